/* The edge and TLS: by the name that a ClientHello asks for, ended here or not. */
#include "edge_test.h"

#define GET(host)  "GET / HTTP/1.1\r\nHost: " host "\r\n\r\n"
#define OK(length) "HTTP/1.1 200 OK\r\nContent-Length: " #length "\r\n\r\n"

static void test_https_is_ended_here(void **state)
{
    add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "web");
    struct client *client = come_by_tls(EDGE_HTTPS, NULL, "a.edge.test");
    client_send(client, GET("a.edge.test"));
    struct fake *fake = await_inbound(1);
    await_request(fake, "X-Forwarded-Proto: https\r\n");
    fake_send(fake, OK(5) "hello");
    await_answer(client, "hello");
    assert_int_equal(world.counts[EDGE_COUNT_HANDSHAKES], 1);
    assert_string_equal(conn_tls_alpn(client->conn), "http/1.1");
    /* No other name's requests on this connection. */
    add_agent(add_socket(SOCKET_HTTPS, "b.edge.test"), "other");
    client_send(client, GET("b.edge.test"));
    await_answer(client, "MISDIRECTED");
    assert_non_null(strstr(client->got, "HTTP/1.1 421 "));
    assert_int_equal(world.opened, 1);
    leave(client);
    await_no_visitor();
}

static void test_unknown_name_gets_a_page(void **state)
{
    struct client *client = come_by_tls(EDGE_HTTPS, NULL, "nobody.edge.test");
    client_send(client, GET("nobody.edge.test"));
    await_answer(client, "UNKNOWN_NAME");
    leave(client);
    await_no_visitor();
}

static void test_without_sni_the_host_decides(void **state)
{
    struct presence *agent = add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "web");
    agent->ref.worker = 1; /* by then it is too late to go there: a link */
    struct client *client = come_by_tls(EDGE_HTTPS, NULL, NULL);
    client_send(client, GET("a.edge.test"));
    struct fake *fake = await_inbound(1);
    await_request(fake, "\r\n\r\n");
    fake_send(fake, OK(5) "hello");
    await_answer(client, "hello");
    assert_int_equal(world.counts[EDGE_COUNT_LINKS], 1);
    leave(client);
    await_no_visitor();
}

static void test_https_goes_to_its_tunnels_worker(void **state)
{
    struct edge *other;
    struct presence *agent = add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "web");
    agent->ref.worker = 3;
    make_edge(3, &other);
    struct client *client = come_by_tls(EDGE_HTTPS, NULL, "a.edge.test");
    client_send(client, GET("a.edge.test"));
    await_no_visitor();
    assert_int_equal(world.passed_to, 3);
    assert_ptr_equal(world.passed->presence, agent);
    struct edge_passed *passed = world.passed;
    world.passed = NULL;
    edge_take(other, passed);
    await_request(await_inbound(1), "\r\n\r\n");
    assert_int_equal(world.counts[EDGE_COUNT_LINKS], 0);
    leave(client);
    await_no_visitor();
    edge_stop(other);
    turn();
    edge_free(other);
}

/* Without close_notify, and with an RST: nobody takes a part for the whole. */
static void test_half_an_answer_cuts_the_visitor(void **state)
{
    add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "web");
    struct client *client = come_by_tls(EDGE_HTTPS, NULL, "a.edge.test");
    client_send(client, "GET / HTTP/1.0\r\nHost: a.edge.test\r\n\r\n");
    struct fake *fake = await_inbound(1);
    await_request(fake, "\r\n\r\n");
    fake_send(fake, "HTTP/1.0 200 OK\r\n\r\nhalf");
    await_answer(client, "half");
    fake_go(fake, "TUNNEL_GONE", "the tunnel is gone");
    await_end(client);
    assert_true(client->failed);
    await_no_visitor();
    leave(client);
}

static void test_tls_socket_is_raw_behind(void **state)
{
    struct socket_facts *facts = add_socket(SOCKET_TLS, "edge.test");
    struct presence *agent = add_agent(facts, "mqtt");
    struct client *client = come_by_tls(EDGE_PORT, agent, "edge.test");
    client_send(client, "toto");
    struct fake *fake = await_inbound(1);
    await_request(fake, "toto");
    fake_connect(fake);
    fake_send(fake, "4 bytes");
    await_answer(client, "4 bytes");
    fake_finish(fake);
    await_end(client);
    assert_true(client->ended);
    conn_shutdown(client->conn);
    await_no_visitor();
    assert_true(fake->closed);
    assert_non_null(strstr(world.told, "tls"));
    leave(client);
}

/* The service's own TLS: the test is its other end, and sees the very bytes that were sent. */
static void test_passthrough_is_untouched(void **state)
{
    static char much[100000];
    memset(much, 'm', sizeof much);
    struct socket_facts *facts = add_socket(SOCKET_PASSTHROUGH, "own.edge.test");
    add_agent(facts, "own");
    for (int i = 1; i <= 2; i++) {
        int fds[2];
        test_tcp_pair(fds);
        struct client service = {0};
        assert_int_equal(conn_open(world.loop, fds[0], &client_callbacks, &service, &service.conn),
                         0);
        assert_int_equal(conn_start_tls_server(service.conn, world.tls), 0);
        struct client *wire = calloc(1, sizeof *wire);
        assert_non_null(wire);
        wire->ready = true;
        assert_int_equal(conn_open(world.loop, fds[1], &client_callbacks, wire, &wire->conn), 0);
        struct client *client =
            come_by_tls(i == 1 ? EDGE_HTTPS : EDGE_SHARED, NULL, "own.edge.test");
        client_send_bytes(client, much, sizeof much);
        struct fake *fake = await_inbound(i);
        size_t up = 0, down = 0;
        while (service.size < sizeof much) {
            if (fake->size > up && !wire->to_send_size) {
                client_send_bytes(wire, fake->got + up, fake->size - up);
                up = fake->size;
                while (wire->to_send_size) /* `got` may move */
                    test_run_for(world.loop, 100);
            }
            if (wire->size > down) {
                fake_send_bytes(fake, wire->got + down, wire->size - down);
                down = wire->size;
            }
            test_run_for(world.loop, 100);
        }
        assert_memory_equal(service.got, much, sizeof much);
        assert_int_equal(world.counts[EDGE_COUNT_HANDSHAKES], 0);
        leave(client);
        await_no_visitor();
        conn_abort(service.conn);
        free(service.got);
        leave(wire);
    }
}

static void test_shared_port_knows_tunnels(void **state)
{
    struct tls_context *device;
    char error[256];
    struct tls_client_options options = {.insecure = true, .alpn = "streamplex/1"};
    assert_int_equal(tls_client_new(&options, &device, error, sizeof error), 0);
    for (int i = 0; i < 2; i++) {
        struct client *client;
        if (i == 0) {
            client = come_by_tls(EDGE_SHARED, NULL, NULL);
        } else {
            client = come(EDGE_SHARED, NULL);
            client->ready = false;
            assert_int_equal(conn_start_tls_client(client->conn, device, "a.edge.test", NULL), 0);
        }
        await_no_visitor();
        assert_non_null(world.tunnel);
        assert_true(world.tunnel->left_size > 100);
        assert_int_equal(((unsigned char *)world.tunnel->left)[0], 22);
        edge_passed_free(world.tunnel);
        world.tunnel = NULL;
        leave(client);
    }
    tls_context_unref(device);
    assert_int_equal(world.gone_unrouted + world.gone_routed, 0);
}

static void test_shared_port_serves_https(void **state)
{
    add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "web");
    struct client *client = come_by_tls(EDGE_SHARED, NULL, "a.edge.test");
    client_send(client, GET("a.edge.test"));
    await_request(await_inbound(1), "\r\n\r\n");
    assert_null(world.tunnel);
    leave(client);
    await_no_visitor();
}

static void test_garbage_is_no_tls(void **state)
{
    struct client *client = come(EDGE_HTTPS, NULL);
    client_send(client, GET("a.edge.test"));
    await_end(client);
    await_no_visitor();
    assert_int_equal(world.counts[EDGE_COUNT_HANDSHAKES_FAILED], 1);
    assert_int_equal(world.gone_unrouted, 1);
    leave(client);
}

static void test_slow_handshakes_end(void **state)
{
    world.config.handshake_timeout = 20000;
    struct client *silent = come(EDGE_HTTPS, NULL), *half = come(EDGE_HTTPS, NULL);
    client_send_bytes(half, "\x16\x03\x01\x02\x00\x01", 6);
    await_end(silent);
    await_end(half);
    await_no_visitor();
    assert_int_equal(world.counts[EDGE_COUNT_HANDSHAKES_FAILED], 2);
    leave(silent);
    leave(half);
}

/* Byte by byte, through a wire that tears. */
static void test_torn_hello_is_understood(void **state)
{
    add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "web");
    int fds[2];
    test_tcp_pair(fds);
    struct client *client = calloc(1, sizeof *client), *wire = calloc(1, sizeof *wire);
    assert_true(client && wire);
    wire->ready = true;
    assert_int_equal(conn_open(world.loop, fds[0], &client_callbacks, client, &client->conn), 0);
    assert_int_equal(conn_open(world.loop, fds[1], &client_callbacks, wire, &wire->conn), 0);
    assert_int_equal(conn_start_tls_client(client->conn, world.tls_client, "a.edge.test", NULL), 0);
    client_send(client, GET("a.edge.test"));
    struct client *far = come(EDGE_HTTPS, NULL);
    size_t up = 0, down = 0;
    while (world.opened == 0) {
        test_run_for(world.loop, 100);
        if (wire->size > up && !far->to_send_size)
            client_send_bytes(far, wire->got + up++, 1);
        if (far->size > down && !wire->to_send_size) {
            client_send_bytes(wire, far->got + down, far->size - down);
            down = far->size;
        }
    }
    await_request(world.fakes, "GET / HTTP/1.1\r\n");
    leave(client);
    leave(far);
    leave(wire);
    await_no_visitor();
}

static void test_new_setup_is_for_new_visitors(void **state)
{
    add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "web");
    struct client *old = come_by_tls(EDGE_HTTPS, NULL, "a.edge.test");
    client_send(old, GET("a.edge.test"));
    struct fake *fake = await_inbound(1);
    await_request(fake, "\r\n\r\n");
    struct edge_setup setup = {.config = &world.config};
    edge_configure(world.edge, &setup); /* https is no more */
    fake_send(fake, OK(5) "hello");
    await_answer(old, "hello");
    struct client *late = come_by_tls(EDGE_HTTPS, NULL, "a.edge.test");
    await_end(late);
    leave(old);
    leave(late);
    await_no_visitor();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_tls_world, end_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_https_is_ended_here),
        TEST(test_unknown_name_gets_a_page),
        TEST(test_without_sni_the_host_decides),
        TEST(test_https_goes_to_its_tunnels_worker),
        TEST(test_half_an_answer_cuts_the_visitor),
        TEST(test_tls_socket_is_raw_behind),
        TEST(test_passthrough_is_untouched),
        TEST(test_shared_port_knows_tunnels),
        TEST(test_shared_port_serves_https),
        TEST(test_garbage_is_no_tls),
        TEST(test_slow_handshakes_end),
        TEST(test_torn_hello_is_understood),
        TEST(test_new_setup_is_for_new_visitors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Who gets into sockets of other kinds than http, and who by a certificate. */
#include "edge_test.h"

#include "certificates.h"

#define GET(host) "GET / HTTP/1.1\r\nHost: " host "\r\n\r\n"

static struct prefix prefix_of(const char *text)
{
    struct prefix prefix;
    assert_int_equal(prefix_parse(text, strlen(text), &prefix), 0);
    return prefix;
}

static void await_reset(struct client *client)
{
    await_end(client);
    assert_true(client->failed);
    leave(client);
    await_no_visitor();
}

/* --- Connections --- */

static void test_denied_connection_is_reset(void **state)
{
    struct prefix deny = prefix_of("192.0.2.0/24");
    struct socket_access access = {.deny = &deny, .deny_count = 1};
    struct presence *tcp = add_agent(add_guarded(SOCKET_TCP, "edge.test", &access), "tcp");
    struct presence *tls = add_agent(add_guarded(SOCKET_TLS, "edge.test", &access), "tls");
    add_agent(add_guarded(SOCKET_PASSTHROUGH, "own.edge.test", &access), "own");
    await_reset(come(EDGE_PORT, tcp));
    await_reset(come_by_tls(EDGE_PORT, tls, "edge.test"));
    await_reset(come_by_tls(EDGE_HTTPS, NULL, "own.edge.test"));
    assert_int_equal(world.opened, 0);
    assert_int_equal(world.counts[EDGE_COUNT_HANDSHAKES], 0);
    assert_int_equal(world.counts[EDGE_COUNT_FORBIDDEN], 3);
    world.address = "198.51.100.1";
    struct client *client = come(EDGE_PORT, tcp);
    await_inbound(1);
    leave(client);
    await_no_visitor();
}

/* There is nobody to ask for a password, so nobody knows it. */
static void test_protected_connection_is_reset(void **state)
{
    struct socket_access access = {
        .is_protected = true, .username = (char *)"alice", .password_hash = (char *)"$"};
    struct presence *tcp = add_agent(add_guarded(SOCKET_TCP, "edge.test", &access), "tcp");
    await_reset(come(EDGE_PORT, tcp));
    assert_int_equal(world.opened, 0);
}

static void test_connections_have_a_rate(void **state)
{
    struct socket_access access = {.rate = 1};
    struct presence *tcp = add_agent(add_guarded(SOCKET_TCP, "edge.test", &access), "tcp");
    int refused = 0;
    for (int i = 0; i < 20; i++) {
        int opened = world.opened;
        struct client *client = come(EDGE_PORT, tcp);
        if (world.opened == opened) {
            await_reset(client);
            refused++;
        } else {
            leave(client);
            await_no_visitor();
        }
    }
    assert_true(refused > 0 && world.opened >= 5);
    assert_int_equal(world.counts[EDGE_COUNT_LIMITED], refused);
}

static void test_connections_have_places(void **state)
{
    struct socket_access access = {.max_connections = 2};
    struct socket_facts *facts = add_guarded(SOCKET_TCP, "edge.test", &access);
    struct presence *tcp = add_agent(facts, "tcp");
    struct client *one = come(EDGE_PORT, tcp), *two = come(EDGE_PORT, tcp);
    await_inbound(2);
    /* The same socket, whatever else becomes of it, has the same visitors. */
    struct socket_facts values = socket_facts_values(facts);
    values.https_only = true;
    struct socket_facts *changed = socket_facts_new(&values);
    apply(REGISTRY_PUT, changed, NULL);
    struct client *three = come(EDGE_PORT, tcp);
    await_end(three);
    assert_true(three->failed);
    leave(three);
    leave(one);
    leave(two);
    await_no_visitor();
    assert_int_equal(atomic_load(&changed->load->visitors), 0);
    one = come(EDGE_PORT, tcp);
    await_inbound(3);
    leave(one);
    await_no_visitor();
    socket_facts_unref(changed);
}

static void test_exhausted_quota_resets(void **state)
{
    struct presence *tcp = add_agent(add_socket(SOCKET_TCP, "edge.test"), "tcp");
    struct client *client = come(EDGE_PORT, tcp);
    client_send(client, "12345");
    struct fake *fake = await_inbound(1);
    await_request(fake, "12345");
    fake_connect(fake);
    fake_send(fake, "1234567");
    await_answer(client, "1234567");
    leave(client);
    await_no_visitor();
    assert_int_equal(world.moved, 12);
    world.is_exhausted = true;
    await_reset(come(EDGE_PORT, tcp));
    assert_int_equal(world.opened, 1);
}

/* --- Certificates --- */

static struct test_ca ca, stranger;

static int begin_ca_world(void **state)
{
    begin_tls_world(state);
    test_ca_init(&ca, "visitors");
    test_ca_init(&stranger, "strangers");
    return 0;
}

static int end_ca_world(void **state)
{
    test_ca_deinit(&ca);
    test_ca_deinit(&stranger);
    return end_world(state);
}

/* Visitors show this from now on; issuer NULL: nothing. */
static void carry(const struct test_ca *issuer, const char *name)
{
    char error[256];
    struct tls_client_options options = {
        .insecure = true, .alpn = "http/1.1", .cache_sessions = true};
    if (issuer) {
        options.certificate_file = test_path(world.folder, "other.pem");
        options.key_file = test_path(world.folder, "other.key");
        test_ca_issue(issuer, name, options.certificate_file, options.key_file);
    }
    tls_context_unref(world.tls_client);
    assert_int_equal(tls_client_new(&options, &world.tls_client, error, sizeof error), 0);
}

static struct socket_access certified(void)
{
    return (struct socket_access){.client_ca = ca.pem};
}

static struct client *come_for_session(const char *name)
{
    struct client *client = come(EDGE_HTTPS, NULL);
    client->ready = false;
    assert_int_equal(conn_start_tls_client(client->conn, world.tls_client, name, name), 0);
    return client;
}

static void test_certificate_lets_in(void **state)
{
    struct socket_access access = certified();
    add_agent(add_guarded(SOCKET_HTTPS, "a.edge.test", &access), "web");
    carry(&ca, "alice, \"the\" first\xc3\xa9");
    for (int i = 1; i <= 2; i++) { /* and again, without resuming anything */
        struct client *client = come_for_session("a.edge.test");
        client_send(client, "GET / HTTP/1.1\r\nHost: a.edge.test\r\n"
                            "X-Client-Cert-Subject: CN=root\r\n\r\n");
        struct fake *fake = await_inbound(i);
        await_request(fake, "\r\n\r\n");
        assert_non_null(strstr(fake->got, "\r\nX-Client-Cert-Subject: "
                                          "CN=alice\\, \\\"the\\\" first\\C3\\A9,O=Tests\r\n"));
        assert_null(strstr(fake->got, "CN=root"));
        assert_false(conn_tls_resumed(client->conn));
        leave(client);
        await_no_visitor();
    }
}

static void test_without_certificate_the_handshake_fails(void **state)
{
    struct socket_access access = certified();
    add_agent(add_guarded(SOCKET_HTTPS, "a.edge.test", &access), "web");
    struct presence *tls = add_agent(add_guarded(SOCKET_TLS, "edge.test", &access), "tls");
    const struct test_ca *const issuers[] = {NULL, &stranger};
    for (size_t i = 0; i < 2; i++) {
        carry(issuers[i], "alice");
        struct client *client = come_by_tls(EDGE_HTTPS, NULL, "a.edge.test");
        client_send(client, GET("a.edge.test"));
        await_end(client);
        assert_true(client->failed);
        if (!i)
            assert_non_null(strstr(conn_error_text(client->conn), "certificate required"));
        leave(client);
        client = come_by_tls(EDGE_PORT, tls, "edge.test");
        client_send(client, "hello");
        await_reset(client);
    }
    assert_int_equal(world.opened, 0);
    assert_int_equal(world.counts[EDGE_COUNT_HANDSHAKES_FAILED], 4);
    carry(&ca, "alice");
    struct client *client = come_by_tls(EDGE_PORT, tls, "edge.test");
    client_send(client, "hello");
    await_request(await_inbound(1), "hello");
    leave(client);
    await_no_visitor();
}

/* By http, without a name, to a name without a CA, or with a CA that counts no more. */
static void test_other_ways_in_are_closed(void **state)
{
    struct socket_access access = certified();
    struct socket_facts *facts = add_guarded(SOCKET_HTTPS, "a.edge.test", &access);
    add_agent(facts, "web");
    carry(&ca, "alice");
    struct client *client = come(EDGE_HTTP, NULL);
    client_send(client, GET("a.edge.test"));
    await_answer(client, "CERTIFICATE_REQUIRED");
    assert_non_null(strstr(client->got, "HTTP/1.1 403 "));
    leave(client);
    client = come_by_tls(EDGE_HTTPS, NULL, NULL);
    client_send(client, GET("a.edge.test"));
    await_answer(client, "CERTIFICATE_REQUIRED");
    leave(client);
    client = come_by_tls(EDGE_HTTPS, NULL, "b.edge.test");
    client_send(client, GET("a.edge.test"));
    await_answer(client, "MISDIRECTED");
    leave(client);
    client = come_by_tls(EDGE_HTTPS, NULL, "a.edge.test");
    client_send(client, GET("a.edge.test"));
    await_inbound(1);
    struct socket_facts values = socket_facts_values(facts);
    struct socket_access other = {.client_ca = stranger.pem};
    values.access = &other;
    struct socket_facts *changed = socket_facts_new(&values);
    apply(REGISTRY_PUT, changed, NULL);
    socket_facts_unref(changed);
    fake_connect(world.fakes);
    fake_send(world.fakes, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    await_answer(client, "ok");
    client_send(client, GET("a.edge.test"));
    await_answer(client, "CERTIFICATE_REQUIRED");
    assert_int_equal(world.opened, 1);
    leave(client);
    await_no_visitor();
}

/* A session from the time when none was asked for. */
static void test_resumption_skips_nothing(void **state)
{
    struct socket_facts *facts = add_socket(SOCKET_HTTPS, "a.edge.test");
    add_agent(facts, "web");
    carry(NULL, NULL);
    for (int i = 1; i <= 2; i++) {
        struct client *client = come_for_session("a.edge.test");
        client_send(client, GET("a.edge.test"));
        fake_connect(await_inbound(i));
        fake_send(world.fakes, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        await_answer(client, "ok"); /* and the session before it */
        assert_int_equal(conn_tls_resumed(client->conn), i == 2);
        leave(client);
        await_no_visitor();
    }
    struct socket_facts values = socket_facts_values(facts);
    struct socket_access access = certified();
    values.access = &access;
    struct socket_facts *changed = socket_facts_new(&values);
    apply(REGISTRY_PUT, changed, NULL);
    socket_facts_unref(changed);
    struct client *client = come_for_session("a.edge.test");
    client_send(client, GET("a.edge.test"));
    await_end(client);
    assert_true(client->failed);
    assert_int_equal(world.opened, 2);
    leave(client);
    await_no_visitor();
}

/* What the control room has let through by mistake lets nobody in. */
static void test_unreadable_ca_lets_nobody_in(void **state)
{
    struct socket_access access = {.client_ca = (char *)"no PEM"};
    add_agent(add_guarded(SOCKET_HTTPS, "a.edge.test", &access), "web");
    await_reset(come_by_tls(EDGE_HTTPS, NULL, "a.edge.test"));
    assert_int_equal(world.opened, 0);
}

#define TEST(name)    cmocka_unit_test_setup_teardown(name, begin_tls_world, end_world)
#define CA_TEST(name) cmocka_unit_test_setup_teardown(name, begin_ca_world, end_ca_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_denied_connection_is_reset),
        TEST(test_protected_connection_is_reset),
        TEST(test_connections_have_a_rate),
        TEST(test_connections_have_places),
        TEST(test_exhausted_quota_resets),
        CA_TEST(test_certificate_lets_in),
        CA_TEST(test_without_certificate_the_handshake_fails),
        CA_TEST(test_other_ways_in_are_closed),
        CA_TEST(test_resumption_skips_nothing),
        TEST(test_unreadable_ca_lets_nobody_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

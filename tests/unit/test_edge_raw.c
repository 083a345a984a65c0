/* The edge and bytes as they are: sockets with a port of their own. */
#include "edge_test.h"

static struct presence *one_agent(void)
{
    return add_agent(add_socket(SOCKET_TCP, "edge.test"), "shell");
}

static void test_bytes_pass_both_ways(void **state)
{
    struct client *client = come(EDGE_PORT, one_agent());
    client_send(client, "hello");
    struct fake *fake = await_inbound(1);
    await_request(fake, "hello");
    fake_connect(fake);
    fake_send(fake, "hi there");
    await_answer(client, "hi there");
    assert_int_equal(fake->consumed, 8);
    client->shut_after = true;
    client_send(client, "bye");
    await_request(fake, "bye");
    turn();
    assert_true(fake->ended);
    fake_send(fake, "!"); /* half-closed, not closed */
    await_answer(client, "hi there!");
    fake_finish(fake);
    await_end(client);
    assert_true(client->ended && fake->closed);
    await_no_visitor();
    assert_int_equal(world.counts[EDGE_COUNT_VISITS], 1);
    assert_int_equal(world.counts[EDGE_COUNT_BYTES_IN], 8);
    assert_int_equal(world.counts[EDGE_COUNT_BYTES_OUT], 9);
    assert_int_equal(world.routed, 1);
    assert_int_equal(world.gone_routed, 1);
    assert_int_equal(world.tells, 1);
    assert_non_null(strstr(world.told, "tcp"));
    assert_non_null(strstr(world.told, "200"));
    leave(client);
}

static void test_service_may_speak_and_end_first(void **state)
{
    struct client *client = come(EDGE_PORT, one_agent());
    struct fake *fake = await_inbound(1);
    fake_send(fake, "SSH-2.0\r\n"); /* before `connected` */
    fake_connect(fake);
    await_answer(client, "SSH-2.0\r\n");
    fake_finish(fake);
    await_end(client);
    assert_true(client->ended);
    client_send(client, "still here");
    await_request(fake, "still here");
    conn_shutdown(client->conn);
    await_no_visitor();
    assert_true(fake->closed);
    leave(client);
}

static void test_orderly_close_by_the_agent_is_a_fin(void **state)
{
    struct client *client = come(EDGE_PORT, one_agent());
    struct fake *fake = await_inbound(1);
    fake_connect(fake);
    client->shut_after = true;
    client_send(client, "x");
    await_request(fake, "x");
    turn();
    fake_send(fake, "last");
    fake_go(fake, "", "");
    await_end(client);
    assert_true(client->ended && !client->failed);
    assert_string_equal(client->got, "last");
    await_no_visitor();
    leave(client);
}

static void test_next_agent_gets_all_that_came(void **state)
{
    struct socket_facts *facts = add_socket(SOCKET_TCP, "edge.test");
    struct presence *chosen = add_agent(facts, "one");
    add_agent(facts, "two");
    struct client *client = come(EDGE_PORT, chosen);
    client_send(client, "first words");
    struct fake *first = await_inbound(1);
    assert_ptr_equal(first->presence, chosen);
    turn();
    assert_int_equal(first->size, 0); /* kept until a service has it */
    fake_go(first, "ECONNREFUSED", "connect ECONNREFUSED");
    struct fake *second = await_inbound(2);
    assert_ptr_not_equal(second->presence, chosen);
    fake_connect(second);
    await_request(second, "first words");
    assert_int_equal(world.counts[EDGE_COUNT_RETRIES], 1);
    leave(client);
    await_no_visitor();
    assert_int_equal(world.tells, 1);
}

static void test_refused_by_all_is_a_reset(void **state)
{
    struct socket_facts *facts = add_socket(SOCKET_TCP, "edge.test");
    struct presence *chosen = add_agent(facts, "one");
    add_agent(facts, "two");
    struct client *client = come(EDGE_PORT, chosen);
    for (int i = 1; i <= 2; i++)
        fake_go(await_inbound(i), "ECONNREFUSED", "connect ECONNREFUSED");
    await_end(client);
    assert_true(client->failed);
    assert_int_equal(world.tells, 1);
    assert_non_null(strstr(world.told, "502"));
    assert_non_null(strstr(world.told, "SERVICE_REFUSED"));
    await_no_visitor();
    leave(client);
}

static void test_chosen_agent_that_has_gone_is_replaced(void **state)
{
    struct socket_facts *facts = add_socket(SOCKET_TCP, "edge.test");
    world.full = add_agent(facts, "one");
    struct presence *other = add_agent(facts, "two");
    struct client *client = come(EDGE_PORT, world.full);
    struct fake *fake = await_inbound(1);
    assert_ptr_equal(fake->presence, other);
    leave(client);
    await_no_visitor();
}

static void test_nobody_online_is_a_reset(void **state)
{
    world.full = one_agent();
    struct client *client = come(EDGE_PORT, world.full);
    await_end(client);
    assert_true(client->failed);
    assert_int_equal(world.counts[EDGE_COUNT_NO_AGENT], 1);
    await_no_visitor();
    assert_int_equal(world.gone_unrouted, 1);
    leave(client);
}

static void test_reset_of_the_service_is_a_reset(void **state)
{
    struct client *client = come(EDGE_PORT, one_agent());
    struct fake *fake = await_inbound(1);
    fake_connect(fake);
    fake_send(fake, "part");
    await_answer(client, "part");
    fake_go(fake, "ECONNRESET", "read ECONNRESET");
    await_end(client);
    assert_true(client->failed);
    assert_non_null(strstr(world.told, "SERVICE_BROKEN"));
    await_no_visitor();
    leave(client);
}

static void test_reset_of_the_visitor_is_a_reset(void **state)
{
    struct client *client = come(EDGE_PORT, one_agent());
    client_send(client, "x");
    struct fake *fake = await_inbound(1);
    fake_connect(fake);
    await_request(fake, "x");
    leave(client);
    await_fake_over(fake);
    assert_true(fake->aborted);
    await_no_visitor();
    assert_non_null(strstr(world.told, "VISITOR_GONE"));
}

/* Its bytes wait in the socket, unread; its reset is noticed all the same. */
static void test_reset_before_a_service_has_it_is_noticed(void **state)
{
    struct socket_facts *facts = add_socket(SOCKET_TCP, "edge.test");
    struct presence *chosen = add_agent(facts, "one");
    add_agent(facts, "two");
    struct client *client = come(EDGE_PORT, chosen);
    client_send(client, "x");
    struct fake *fake = await_inbound(1);
    turn();
    leave(client);
    await_fake_over(fake);
    assert_true(fake->aborted);
    await_no_visitor();
}

static void test_agent_that_says_nothing_is_given_up(void **state)
{
    world.config.answer_timeout = 20000;
    struct socket_facts *facts = add_socket(SOCKET_TCP, "edge.test");
    struct presence *chosen = add_agent(facts, "one");
    add_agent(facts, "two");
    struct client *client = come(EDGE_PORT, chosen);
    struct fake *first = await_inbound(1), *second = await_inbound(2);
    assert_true(first->aborted);
    await_end(client);
    assert_true(client->failed && second->aborted);
    assert_non_null(strstr(world.told, "SERVICE_SILENT"));
    await_no_visitor();
    leave(client);
    /* A connection that stands may be silent for as long as it likes. */
    client = come(EDGE_PORT, chosen);
    fake_connect(await_inbound(3));
    test_run_for(world.loop, 60000);
    assert_int_equal(edge_visitors(world.edge), 1);
    leave(client);
    await_no_visitor();
}

#define MUCH (16 * 1024 * 1024)

static void test_much_passes_both_ways(void **state)
{
    char *bytes = malloc(MUCH);
    assert_non_null(bytes);
    for (size_t i = 0; i < MUCH; i++)
        bytes[i] = (char)(i * 2654435761u >> 21);
    struct client *client = come(EDGE_PORT, one_agent());
    client->paused = true;
    client_send_bytes(client, bytes, MUCH);
    struct fake *fake = await_inbound(1);
    fake->paused = true;
    fake_connect(fake);
    size_t sent = 0;
    while (fake->pushed - fake->consumed < 262144) {
        assert_true(sent < MUCH); /* a visitor that doesn't read isn't read for */
        fake_send_bytes(fake, bytes + sent, 65536);
        sent += 65536;
        test_run_for(world.loop, 100);
    }
    assert_true(client->to_send_size > 0);
    fake_resume(fake);
    client_resume(client);
    while (sent < MUCH || fake->size < MUCH || client->size < MUCH) {
        if (sent < MUCH && fake->pushed - fake->consumed < 262144) {
            fake_send_bytes(fake, bytes + sent, 65536);
            sent += 65536;
        }
        test_run_for(world.loop, 100);
    }
    assert_memory_equal(fake->got, bytes, MUCH);
    assert_memory_equal(client->got, bytes, MUCH);
    assert_int_equal(fake->consumed, fake->pushed);
    leave(client);
    await_no_visitor();
    free(bytes);
}

static void trust(struct prefix *prefix)
{
    assert_int_equal(prefix_parse("192.0.2.0/24", 12, prefix), 0);
    world.config.trusted = prefix;
    world.config.trusted_count = 1;
}

static void test_proxy_header_is_taken_off(void **state)
{
    static const char bytes[] = "PROXY TCP4 198.51.100.9 192.0.2.1 5555 80\r\nhello";
    struct prefix prefix;
    struct presence *agent = one_agent();
    trust(&prefix);
    for (int i = 1; i <= 2; i++) {
        struct client *client = come(EDGE_PORT, agent);
        if (i == 1)
            client_send(client, bytes);
        for (size_t at = 0; i == 2 && at < sizeof bytes - 1; at++) {
            client_send_bytes(client, bytes + at, 1);
            test_run_for(world.loop, 100);
        }
        struct fake *fake = await_inbound(i);
        assert_string_equal(fake->visitor, "198.51.100.9:5555");
        await_request(fake, "hello");
        assert_string_equal(fake->got, "hello");
        leave(client);
        await_no_visitor();
    }
}

static void test_trusted_peer_without_header_gets_its_service(void **state)
{
    struct prefix prefix;
    struct presence *agent = one_agent();
    trust(&prefix);
    struct client *client = come(EDGE_PORT, agent);
    client_send(client, "GET me");
    await_request(await_inbound(1), "GET me");
    leave(client);
    world.config.handshake_timeout = 20000;
    client = come(EDGE_PORT, agent); /* which waits for the service to speak first */
    fake_send(await_inbound(2), "220 mail\r\n");
    await_answer(client, "220 mail");
    leave(client);
    await_no_visitor();
}

static void test_bad_proxy_header_ends_it(void **state)
{
    struct prefix prefix;
    struct presence *agent = one_agent();
    trust(&prefix);
    struct client *client = come(EDGE_PORT, agent);
    client_send(client, "PROXY TCP4 nonsense\r\n");
    await_end(client);
    await_no_visitor();
    assert_int_equal(world.opened, 0);
    leave(client);
}

static void test_stopping_resets(void **state)
{
    struct client *client = come(EDGE_PORT, one_agent());
    struct fake *fake = await_inbound(1);
    fake_connect(fake);
    edge_stop(world.edge);
    assert_true(fake->aborted);
    await_end(client);
    leave(client);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_world, end_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_bytes_pass_both_ways),
        TEST(test_service_may_speak_and_end_first),
        TEST(test_orderly_close_by_the_agent_is_a_fin),
        TEST(test_next_agent_gets_all_that_came),
        TEST(test_refused_by_all_is_a_reset),
        TEST(test_chosen_agent_that_has_gone_is_replaced),
        TEST(test_nobody_online_is_a_reset),
        TEST(test_reset_of_the_service_is_a_reset),
        TEST(test_reset_of_the_visitor_is_a_reset),
        TEST(test_reset_before_a_service_has_it_is_noticed),
        TEST(test_agent_that_says_nothing_is_given_up),
        TEST(test_much_passes_both_ways),
        TEST(test_proxy_header_is_taken_off),
        TEST(test_trusted_peer_without_header_gets_its_service),
        TEST(test_bad_proxy_header_ends_it),
        TEST(test_stopping_resets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Credit, growing windows, budgets; without flow the buffer and the stall rule. */
#include "pair.h"

static struct plex_substream *open_one(struct pair *pair)
{
    struct plex_substream *substream = side_open(&pair->device, PLEX_NET);
    pair_run(pair);
    pair->server.quiet = pair->device.quiet = true;
    return substream;
}

static uint64_t outstanding(const struct side *side)
{
    struct plex_stats stats;
    plex_session_stats(side->session, &stats);
    return stats.credit_outstanding;
}

static void test_sender_stops_without_credit(void **state)
{
    struct pair *pair = pair_new(PLEX_FEATURES_ALL);
    pair->server.hoard = true;
    struct plex_substream *device = open_one(pair);
    assert_int_equal(outstanding(&pair->server), 65536);
    side_send(device, NULL, 1000000);
    pair_run(pair);
    assert_int_equal(pair->server.hosts[2].received, 65536);
    assert_int_equal(outstanding(&pair->server), 0);
    /* A quarter of the window is worth a frame, less isn't. */
    plex_substream_consume(side_get(&pair->server, 2), 16383);
    assert_false(plex_session_has_output(pair->server.session));
    plex_substream_consume(side_get(&pair->server, 2), 1);
    pair_run(pair);
    assert_int_equal(pair->server.hosts[2].received, 65536 + 16384);
    pair_free(pair);
}

static void test_siblings_do_not_notice(void **state)
{
    struct pair *pair = pair_new(PLEX_FEATURES_ALL);
    pair->server.hoard = true;
    struct plex_substream *blocked = open_one(pair);
    side_send(blocked, NULL, 1000000);
    pair_run(pair);
    pair->server.hoard = false;
    struct plex_substream *other = side_open(&pair->device, PLEX_NET);
    side_send(other, NULL, 10000000);
    pair_run(pair);
    assert_int_equal(pair->server.hosts[4].received, 10000000);
    assert_int_equal(pair->server.hosts[2].received, 65536);
    assert_true(plex_session_can_take(pair->server.session));
    pair_free(pair);
}

static void test_tiny_window(void **state)
{
    struct pair *pair = pair_prepare(PLEX_FEATURES_ALL);
    pair->device.config.window = pair->device.config.window_max = PLEX_WINDOW_MIN;
    pair_start(pair);
    open_one(pair);
    struct plex_substream *server = side_get(&pair->server, 2);
    side_send(server, NULL, 100000);
    /* Never more on the way than the window. */
    uint8_t buffer[PLEX_PULL_MAX];
    size_t size = plex_session_pull(pair->server.session, buffer, sizeof buffer, pair->now);
    assert_int_equal(size, 1024 + 5);
    assert_int_equal(side_feed(&pair->device, buffer, size, pair->now), 0);
    pair_run(pair);
    assert_int_equal(pair->device.hosts[2].received, 100000);
    pair_free(pair);
}

static void test_overrun_is_a_fault(void **state)
{
    struct pair *pair = pair_new(PLEX_FEATURES_ALL);
    static uint8_t payload[65000];
    pair->server.hoard = true;
    open_one(pair);
    assert_int_equal(side_frame(&pair->server, 2, 0, payload, 65000, pair->now), 0);
    uint8_t header[PLEX_HEADER_SIZE + 537];
    frame(header, 2, 0, payload, 537);
    assert_int_equal(side_feed(&pair->server, header, PLEX_HEADER_SIZE, pair->now),
                     PLEX_TUNNEL_CREDIT);
    pair_free(pair);
}

/* A device uploads at full rate over a path with a round trip of 100 ms: what is pulled arrives 50
 * ms later. */
static void test_window_grows_with_the_round_trip(void **state)
{
    struct pair *pair = pair_new(PLEX_FEATURES_ALL);
    static uint8_t up[40 << 20], down[65536];
    struct plex_substream *device = open_one(pair);
    side_send(device, NULL, (size_t)4 << 30);
    uint64_t received[40] = {0};
    unsigned trips = 0;
    for (; trips < 12; trips++) {
        size_t up_size = 0, down_size = 0, size;
        while (up_size + PLEX_PULL_MAX <= sizeof up &&
               (size = plex_session_pull(pair->device.session, up + up_size, PLEX_PULL_MAX,
                                         pair->now)))
            up_size += size;
        pair->now += 50 * MS;
        uint64_t before = pair->server.hosts[2].received;
        /* It comes in pieces, and the server answers each. */
        for (size_t at = 0; at < up_size; at += 65536) {
            size_t piece = up_size - at < 65536 ? up_size - at : 65536;
            assert_int_equal(side_feed(&pair->server, up + at, piece, pair->now), 0);
            while ((size = plex_session_pull(pair->server.session, down + down_size, PLEX_PULL_MAX,
                                             pair->now)))
                down_size += size;
            assert_true(down_size < sizeof down - PLEX_PULL_MAX);
        }
        received[trips] = pair->server.hosts[2].received - before;
        pair->now += 50 * MS;
        assert_int_equal(side_feed(&pair->device, down, down_size, pair->now), 0);
    }
    struct plex_stats stats;
    plex_session_stats(pair->server.session, &stats);
    assert_int_equal(stats.rtt_min, 100000);
    assert_int_equal(received[0], 65536);
    /* 16 MiB a round trip, within some ten of them, and never more. */
    assert_true(received[10] > (15u << 20));
    for (unsigned i = 0; i < trips; i++)
        assert_true(received[i] <= 16u << 20);
    pair_free(pair);
}

static void test_slow_use_does_not_grow_it(void **state)
{
    struct pair *pair = pair_new(PLEX_FEATURES_ALL);
    struct plex_substream *device = open_one(pair);
    plex_session_ping(pair->server.session);
    uint8_t buffer[PLEX_PULL_MAX];
    size_t size = plex_session_pull(pair->server.session, buffer, sizeof buffer, pair->now);
    pair->now += 10 * MS;
    side_feed(&pair->device, buffer, size, pair->now);
    pair_run(pair);
    for (int i = 0; i < 100; i++) {
        side_send(device, NULL, 16384);
        pair->now += 20 * MS;
        pair_run(pair);
    }
    assert_int_equal(outstanding(&pair->server), 65536);
    pair_free(pair);
}

static void test_budgets_bound_what_is_outstanding(void **state)
{
    for (int shared = 0; shared < 2; shared++) {
        struct pair *pair = pair_prepare(PLEX_FEATURES_ALL);
        struct plex_budget budget = {.limit = shared ? 150000 : UINT64_MAX};
        pair->server.config.budget = &budget;
        if (!shared)
            pair->server.config.credit_limit = 150000;
        pair_start(pair);
        pair->server.quiet = true;
        struct plex_substream *device[4];
        for (int i = 0; i < 4; i++)
            device[i] = side_open(&pair->device, PLEX_NET);
        pair_run(pair);
        assert_int_equal(budget.used, 4 * 65536); /* announced is announced */
        /* Under pressure windows shrink to a frame each, and everything still flows. */
        for (int i = 0; i < 4; i++)
            side_send(device[i], NULL, 1000000);
        pair_run(pair);
        for (uint16_t id = 2; id <= 8; id += 2)
            assert_int_equal(pair->server.hosts[id].received, 1000000);
        assert_true(budget.used <= 150000 + 16384);
        assert_int_equal(budget.used, outstanding(&pair->server));
        for (int i = 0; i < 4; i++)
            plex_substream_close(device[i]);
        pair_run(pair);
        assert_int_equal(budget.used, 0);
        pair_free(pair);
    }
}

static void test_bytes_that_the_host_keeps_are_charged(void **state)
{
    struct pair *pair = pair_prepare(PLEX_FEATURES_ALL);
    struct plex_budget budget = {.limit = UINT64_MAX}, other = {.limit = UINT64_MAX};
    pair->server.config.budget = &budget;
    pair->server.hoard = true;
    pair_start(pair);
    side_send(open_one(pair), NULL, 1000000);
    pair_run(pair);
    assert_int_equal(outstanding(&pair->server), 0);
    assert_int_equal(budget.used, 65536);
    struct plex_config config = pair->server.config;
    config.budget = &other;
    plex_session_configure(pair->server.session, &config);
    assert_int_equal(budget.used, 0);
    assert_int_equal(other.used, 65536);
    plex_substream_abort(side_get(&pair->server, 2), NULL, NULL);
    assert_int_equal(other.used, 0);
    pair->server.hosts[2].substream = NULL;
    plex_session_configure(pair->server.session, &pair->server.config);
    pair_free(pair);
}

/* Without reset, an opener that gave up must still let the acceptor finish. */
static void test_dropping_opener_gives_credit(void **state)
{
    struct pair *pair = pair_new(PLEX_FLOW);
    struct plex_substream *device = open_one(pair);
    struct plex_substream *server = side_get(&pair->server, 2);
    pair->device.hosts[2].substream = NULL;
    plex_substream_close(device);
    pair->server.hosts[2].close_after = true;
    side_send(server, NULL, 1000000);
    pair_run(pair);
    struct plex_stats stats;
    plex_session_stats(pair->device.session, &stats);
    assert_int_equal(stats.substreams, 0);
    pair_free(pair);
}

/* Without flow */

static void test_full_buffer_stops_feed(void **state)
{
    struct pair *pair = pair_prepare(0);
    pair->server.config.buffer_limit = 100000;
    pair->server.hoard = true;
    pair_start(pair);
    open_one(pair);
    static uint8_t bytes[PLEX_HEADER_SIZE + 60000], payload[60000];
    size_t size = frame(bytes, 2, 0, payload, sizeof payload), taken;
    assert_int_equal(side_feed(&pair->server, bytes, size, pair->now), 0);
    assert_int_equal(plex_session_feed(pair->server.session, bytes, size, pair->now, &taken), 0);
    assert_int_equal(taken, PLEX_HEADER_SIZE + 40000);
    assert_false(plex_session_can_take(pair->server.session));
    /* Half a frame is there, and its clock doesn't run. */
    assert_int_equal(plex_session_deadline(pair->server.session), pair->now + 10 * SECOND);
    plex_substream_consume(side_get(&pair->server, 2), 24999);
    assert_int_equal(pair->server.resumes, 0);
    plex_substream_consume(side_get(&pair->server, 2), 1);
    assert_int_equal(pair->server.resumes, 1);
    assert_int_equal(side_feed(&pair->server, bytes + taken, size - taken, pair->now), 0);
    assert_int_equal(pair->server.hosts[2].received, 120000);
    pair_free(pair);
}

static struct pair *stalled_pair(void)
{
    struct pair *pair = pair_prepare(0);
    pair->server.config.buffer_limit = 200000;
    pair_start(pair);
    pair->server.hoard = true;
    struct plex_substream *device = open_one(pair);
    side_open(&pair->device, PLEX_NET);
    pair_run(pair);
    side_expect(&pair->server, "token secret\nopen 2 net\nopen 4 net\n");
    static uint8_t buffer[PLEX_PULL_MAX];
    size_t taken, size = 1;
    side_send(device, NULL, 10000000);
    /* What the server doesn't take is lost to the test, no matter. */
    for (taken = 1; taken == size || taken == 1;) {
        size = plex_session_pull(pair->device.session, buffer, sizeof buffer, pair->now);
        assert_int_equal(plex_session_feed(pair->server.session, buffer, size, pair->now, &taken),
                         0);
    }
    assert_false(plex_session_can_take(pair->server.session));
    return pair;
}

static void test_stalling_substream_is_aborted(void **state)
{
    struct pair *pair = stalled_pair();
    struct plex_session *session = pair->server.session;
    plex_substream_consume(side_get(&pair->server, 2), 40000);
    assert_int_equal(plex_session_deadline(session), pair->now + 10 * SECOND);
    assert_int_equal(plex_session_tick(session, pair->now + 10 * SECOND - 1), 0);
    side_expect(&pair->server, "");
    assert_int_equal(plex_session_tick(session, pair->now + 10 * SECOND), 0);
    side_expect(&pair->server, "gone 2 SUBSTREAM_STALLED\n");
    struct plex_stats stats;
    plex_session_stats(session, &stats);
    assert_int_equal(stats.buffered, 0);
    assert_int_equal(stats.stalls, 1);
    assert_int_equal(pair->server.resumes, 1);
    assert_string_equal(
        side_pull_text(&pair->server, pair->now),
        "2 1 {\"event\":\"error\",\"message\":\"stalled: the target takes no data\"}\n"
        "2 1 {\"event\":\"end\"}\n2 1 {\"event\":\"custom\",\"emitArgs\":[\"close\"]}\n");
    pair_free(pair);
}

static void test_slow_but_moving_substream_is_not(void **state)
{
    struct pair *pair = stalled_pair();
    struct plex_session *session = pair->server.session;
    plex_substream_consume(side_get(&pair->server, 2), 49999);
    /* Not enough to go on, nor, so far, to be spared. */
    assert_false(plex_session_can_take(session));
    plex_substream_consume(side_get(&pair->server, 2), 20000);
    assert_true(plex_session_can_take(session));
    assert_int_equal(plex_session_tick(session, pair->now + 11 * SECOND), 0);
    side_expect(&pair->server, "");
    pair_free(pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sender_stops_without_credit),
        cmocka_unit_test(test_siblings_do_not_notice),
        cmocka_unit_test(test_tiny_window),
        cmocka_unit_test(test_overrun_is_a_fault),
        cmocka_unit_test(test_window_grows_with_the_round_trip),
        cmocka_unit_test(test_slow_use_does_not_grow_it),
        cmocka_unit_test(test_budgets_bound_what_is_outstanding),
        cmocka_unit_test(test_bytes_that_the_host_keeps_are_charged),
        cmocka_unit_test(test_dropping_opener_gives_credit),
        cmocka_unit_test(test_full_buffer_stops_feed),
        cmocka_unit_test(test_stalling_substream_is_aborted),
        cmocka_unit_test(test_slow_but_moving_substream_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Pings, pongs and round trips. */
#include "pair.h"

/* A ping of the server's, whose pong comes after so long. */
static void round_trip(struct pair *pair, uint64_t time)
{
    uint8_t buffer[PLEX_PULL_MAX];
    plex_session_ping(pair->server.session);
    size_t size = plex_session_pull(pair->server.session, buffer, sizeof buffer, pair->now);
    assert_int_equal(size, PLEX_HEADER_SIZE + 8);
    assert_int_equal(side_feed(&pair->device, buffer, size, pair->now), 0);
    pair->now += time;
    size = plex_session_pull(pair->device.session, buffer, sizeof buffer, pair->now);
    assert_int_equal(side_feed(&pair->server, buffer, size, pair->now), 0);
}

static uint32_t rtt_min(struct pair *pair)
{
    struct plex_stats stats;
    plex_session_stats(pair->server.session, &stats);
    return stats.rtt_min;
}

static void test_least_round_trip_of_ten_seconds(void **state)
{
    struct pair *pair = pair_new(PLEX_FEATURES_ALL);
    assert_int_equal(rtt_min(pair), 0);
    round_trip(pair, 40 * MS);
    round_trip(pair, 20 * MS);
    round_trip(pair, 60 * MS);
    assert_int_equal(rtt_min(pair), 20 * MS);
    pair->now += 6 * SECOND;
    round_trip(pair, 80 * MS);
    assert_int_equal(rtt_min(pair), 20 * MS);
    pair->now += 6 * SECOND;
    round_trip(pair, 90 * MS);
    assert_int_equal(rtt_min(pair), 80 * MS);
    pair->now += 11 * SECOND;
    round_trip(pair, 100 * MS);
    assert_int_equal(rtt_min(pair), 100 * MS);
    pair_free(pair);
}

static void test_wrong_pongs_are_ignored(void **state)
{
    struct pair *pair = pair_new(PLEX_FEATURES_ALL);
    assert_int_equal(side_frame(&pair->server, 0, 4, "\0\0\0\0\0\0\0\0", 8, pair->now), 0);
    plex_session_ping(pair->server.session);
    assert_string_equal(side_pull_text(&pair->server, pair->now), "0 3 0000000000000001\n");
    assert_int_equal(side_frame(&pair->server, 0, 4, "\0\0\0\0\0\0\0\2", 8, pair->now), 0);
    assert_int_equal(rtt_min(pair), 0);
    /* One at a time. */
    plex_session_ping(pair->server.session);
    assert_false(plex_session_has_output(pair->server.session));
    assert_int_equal(side_frame(&pair->server, 0, 4, "\0\0\0\0\0\0\0\1", 8, pair->now + MS), 0);
    assert_int_equal(rtt_min(pair), MS);
    pair_free(pair);
}

static void test_no_ping_without_the_feature(void **state)
{
    struct pair *pair = pair_new(PLEX_FLOW);
    plex_session_ping(pair->server.session);
    assert_false(plex_session_has_output(pair->server.session));
    pair_free(pair);
}

static void test_interval_and_timeout(void **state)
{
    struct pair *pair = pair_prepare(PLEX_FEATURES_ALL);
    pair->server.config.ping_interval = 15 * SECOND;
    pair->server.config.ping_timeout = 5 * SECOND;
    pair_start(pair);
    struct plex_session *session = pair->server.session;
    assert_int_equal(plex_session_deadline(session), pair->now + 15 * SECOND);
    pair->now += 15 * SECOND;
    assert_int_equal(plex_session_tick(session, pair->now), 0);
    pair_run(pair);
    assert_int_equal(plex_session_deadline(session), pair->now + 15 * SECOND);
    pair->now += 15 * SECOND;
    assert_int_equal(plex_session_tick(session, pair->now), 0);
    assert_string_equal(side_pull_text(&pair->server, pair->now), "0 3 0000000000000002\n");
    assert_int_equal(plex_session_deadline(session), pair->now + 5 * SECOND);
    /* Any byte is a sign of life. */
    assert_int_equal(side_frame(&pair->server, 0, 3, "12345678", 8, pair->now + 3 * SECOND), 0);
    assert_int_equal(plex_session_tick(session, pair->now + 5 * SECOND), 0);
    assert_int_equal(plex_session_tick(session, pair->now + 8 * SECOND), PLEX_TUNNEL_PING_TIMEOUT);
    pair_free(pair);
}

static void test_bulk_pings_by_itself_but_seldom(void **state)
{
    struct pair *pair = pair_new(PLEX_FEATURES_ALL);
    struct plex_substream *device = side_open(&pair->device, PLEX_NET);
    pair->server.quiet = true;
    side_send(device, NULL, 2000000);
    pair_run(pair);
    assert_int_equal(rtt_min(pair), 1);
    plex_session_ping(pair->server.session);
    /* In the same instant there was one, now comes the second. */
    assert_string_equal(side_pull_text(&pair->server, pair->now), "0 3 0000000000000002\n");
    pair_free(pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_least_round_trip_of_ten_seconds),
        cmocka_unit_test(test_wrong_pongs_are_ignored),
        cmocka_unit_test(test_no_ping_without_the_feature),
        cmocka_unit_test(test_interval_and_timeout),
        cmocka_unit_test(test_bulk_pings_by_itself_but_seldom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A session's deadlines, memory and connections. */
#include "internal.h"
#include "pair.h"

static void test_sizes(void **state)
{
    struct pair *pair = pair_new(PLEX_FEATURES_ALL);
    size_t session = pair->server.heap.bytes;
    print_message("an idle session: %zu bytes\n", session);
    assert_true(session <= 512);
    enum { COUNT = 500 };
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(
            plex_substream_connect(side_open(&pair->device, PLEX_NET), "example.com", 80), 0);
    pair_run(pair);
    double one = (double)(pair->server.heap.bytes - session) / COUNT;
    print_message("an idle substream: %.1f bytes, %zu without its slot\n", one,
                  sizeof(struct plex_substream));
    assert_true(one <= 256);
    assert_true((double)(pair->device.heap.bytes - session) / COUNT <=
                256 + 32); /* its host name waits no more */
    for (uint16_t id = 2; id <= 2 * COUNT; id += 2)
        plex_substream_close(side_get(&pair->server, id));
    pair_run(pair);
    pair->server.mute = true;
    memset(pair->server.hosts, 0, IDS * sizeof *pair->server.hosts);
    assert_int_equal(pair->server.heap.bytes, session);
    assert_int_equal(pair->device.heap.bytes, session);
    pair_free(pair);
}

static void test_bad_configurations(void **state)
{
    struct side side;
    side_prepare(&side, PLEX_SERVER);
    const struct plex_config good = side.config;
    struct plex_config *config = &side.config;
#define REFUSED(FIELD, VALUE)                                                                      \
    config->FIELD = VALUE;                                                                         \
    assert_null(plex_session_new(config, NULL, 0));                                                \
    *config = good
    REFUSED(window, 1023);
    REFUSED(window, (16u << 20) + 1);
    REFUSED(window_max, 65535);
    REFUSED(window_max, (16u << 20) + 1);
    REFUSED(max_json, 1023);
    REFUSED(max_json, 65533);
    REFUSED(max_substreams, 0);
    REFUSED(max_substreams, 32768);
    REFUSED(buffer_limit, 0);
    REFUSED(features, 32);
    REFUSED(callbacks, NULL);
    REFUSED(allocator, NULL);
    side_start(&side, 0);
    side_finish(&side);
}

static void test_auth_timeout(void **state)
{
    struct side side;
    side_prepare(&side, PLEX_SERVER);
    side_start(&side, 5 * SECOND);
    assert_int_equal(plex_session_deadline(side.session), 25 * SECOND);
    assert_int_equal(plex_session_tick(side.session, 25 * SECOND - 1), 0);
    assert_int_equal(plex_session_tick(side.session, 25 * SECOND), PLEX_TUNNEL_AUTH_TIMEOUT);
    assert_int_equal(plex_session_tick(side.session, 25 * SECOND), PLEX_TUNNEL_AUTH_TIMEOUT);
    assert_int_equal(plex_session_deadline(side.session), UINT64_MAX);
    assert_string_equal(
        side_pull_text(&side, 25 * SECOND),
        "0 1 {\"type\":\"message\",\"object\":{\"error\":\"no accepted token in time\"}}\n");
    side_finish(&side);
}

static void test_half_a_frame_then_silence(void **state)
{
    struct pair *pair = pair_new(0);
    struct plex_session *session = pair->server.session;
    assert_int_equal(plex_session_deadline(session), UINT64_MAX);
    assert_int_equal(side_feed(&pair->server, "\0", 1, pair->now), 0);
    assert_int_equal(plex_session_deadline(session), pair->now + 30 * SECOND);
    assert_int_equal(plex_session_tick(session, pair->now + 29 * SECOND), 0);
    assert_int_equal(side_feed(&pair->server, "\4", 1, pair->now + 29 * SECOND), 0);
    assert_int_equal(plex_session_tick(session, pair->now + 58 * SECOND), 0);
    /* A pause of ours is no fault of theirs. */
    plex_session_pause(session);
    assert_int_equal(plex_session_deadline(session), UINT64_MAX);
    assert_int_equal(plex_session_tick(session, pair->now + 100 * SECOND), 0);
    plex_session_resume(session);
    assert_int_equal(plex_session_tick(session, pair->now + 129 * SECOND), 0);
    assert_int_equal(plex_session_tick(session, pair->now + 159 * SECOND),
                     PLEX_TUNNEL_FRAME_TIMEOUT);
    pair_free(pair);
}

static void test_idle(void **state)
{
    struct pair *pair = pair_prepare(0);
    pair->server.config.idle_timeout = 120 * SECOND;
    pair_start(pair);
    struct plex_session *session = pair->server.session;
    struct plex_substream *device = side_open(&pair->device, PLEX_NET);
    pair_run(pair);
    assert_int_equal(plex_session_deadline(session), UINT64_MAX);
    pair->now += 3600 * SECOND;
    assert_int_equal(plex_session_tick(session, pair->now), 0);
    side_send(device, "x", 1);
    pair_run(pair);
    plex_substream_close(side_get(&pair->server, 2));
    pair->server.hosts[2].substream = NULL;
    pair->now += SECOND;
    pair_run(pair);
    assert_int_equal(plex_session_deadline(session), pair->now + 120 * SECOND);
    assert_int_equal(plex_session_tick(session, pair->now + 120 * SECOND), PLEX_TUNNEL_IDLE);
    pair_free(pair);
}

static void test_failing_tells_everyone(void **state)
{
    struct pair *pair = pair_new(0);
    struct plex_substream *first = side_open(&pair->device, PLEX_NET), *other;
    pair_run(pair);
    side_send(side_get(&pair->server, 2), "dropped", 7);
    plex_session_fail(pair->server.session, PLEX_TUNNEL_IDLE);
    side_expect(&pair->server, "open 2 net\ngone 2 SUBSTREAM_TUNNEL_GONE\n");
    size_t taken;
    assert_int_equal(plex_session_feed(pair->server.session, "x", 1, pair->now, &taken),
                     PLEX_TUNNEL_IDLE);
    assert_false(plex_session_can_take(pair->server.session));
    assert_int_equal(
        plex_substream_open(pair->server.session, PLEX_INBOUND, "s", "v", NULL, &other),
        PLEX_OURS_STATE);
    pair_run(pair);
    assert_int_equal(pair->device.error, 0);
    assert_false(plex_session_has_output(pair->server.session));
    (void)first;
    pair_free(pair);
}

/* Both ends count the same, frames torn by a new connection included. */
static void test_counters_and_a_new_connection(void **state)
{
    struct pair *pair = pair_new(PLEX_FEATURES_ALL);
    static uint8_t buffer[PLEX_PULL_MAX];
    struct plex_stats server, device;
    struct plex_substream *substream = side_open(&pair->device, PLEX_NET);
    side_send(substream, "hello world", 11);
    size_t size = plex_session_pull(pair->device.session, buffer, sizeof buffer, pair->now);
    assert_int_equal(side_feed(&pair->server, buffer, size - 5, pair->now), 0);
    plex_session_detach(pair->server.session);
    plex_session_detach(pair->device.session);
    assert_false(plex_session_has_output(pair->server.session));
    assert_int_equal(plex_session_pull(pair->device.session, buffer, sizeof buffer, pair->now), 0);
    plex_session_stats(pair->server.session, &server);
    plex_session_stats(pair->device.session, &device);
    assert_int_equal(device.bytes_out, size);
    assert_int_equal(server.bytes_in, size - 5);
    pair->now += 1000 * SECOND;
    unsigned outputs = pair->device.outputs;
    plex_substream_ready(substream);
    plex_session_attach(pair->server.session, pair->now);
    plex_session_attach(pair->device.session, pair->now);
    assert_int_equal(pair->device.outputs, outputs + 1);
    assert_int_equal(plex_session_tick(pair->server.session, pair->now), 0);
    /* The resending is the host's: it knows from the counters what didn't arrive. */
    uint8_t rest[5] = {'w', 'o', 'r', 'l', 'd'};
    assert_int_equal(side_feed(&pair->server, rest, 5, pair->now), 0);
    side_expect(&pair->server, "open 2 net\ndata 2 hello world\n");
    /* A token message isn't counted, nor its answer. */
    assert_int_equal(plex_session_send_token(pair->device.session, "again", 5), 0);
    side_send(side_get(&pair->server, 2), "back", 4);
    pair_run(pair);
    plex_session_stats(pair->server.session, &server);
    plex_session_stats(pair->device.session, &device);
    assert_int_equal(server.bytes_in, device.bytes_out);
    assert_int_equal(device.bytes_in, server.bytes_out);
    assert_int_equal(device.bytes_in, 9);
    pair_free(pair);
}

/* A whole life, with the nth allocation and all after it failing: whatever comes of it, nothing
 * leaks. */
static bool life(size_t server_fails, size_t device_fails)
{
    struct pair *pair = pair_prepare(PLEX_FEATURES_ALL);
    struct plex_substream *device = NULL, *server = NULL;
    bool failed = false;
    pair->server.answer = -1;
    pair->server.heap.fail_after = server_fails;
    pair->device.heap.fail_after = device_fails;
    pair->device.config.features = 0; /* so that substreams are held */
    pair->server.session = plex_session_new(&pair->server.config, &pair->server, pair->now);
    pair->device.session = plex_session_new(&pair->device.config, &pair->device, pair->now);
    if (pair->server.session && pair->device.session &&
        plex_session_send_token(pair->device.session, "T", 1) == 0) {
        pair_run(pair);
        static const char open[] = "{\"type\":\"stream\",\"sock\":1000,\"name\":\"net\"}";
        uint8_t buffer[PLEX_PULL_MAX];
        size_t size = frame(buffer, 0, 1, open, strlen(open)), taken;
        /* Torn, so that it is gathered. */
        int r = plex_session_feed(pair->server.session, buffer, 9, pair->now, &taken);
        if (!r)
            r = plex_session_feed(pair->server.session, buffer + 9, size - 9, pair->now, &taken);
        if (!r)
            r = plex_session_authorize(pair->server.session, true);
        pair_run(pair);
        for (int i = 0; i < 10 && plex_session_is_authed(pair->device.session); i++)
            if (plex_substream_open(pair->device.session, PLEX_NET, NULL, NULL, NULL, &device) <
                    0 ||
                plex_substream_connect(device, "h", 80) < 0)
                failed = true;
        size = plex_session_pull(pair->device.session, buffer, sizeof buffer, pair->now);
        if (!r && size)
            r = plex_session_feed(pair->server.session, buffer, size, pair->now, &taken);
        if (pair->server.hosts[2].substream) {
            server = side_get(&pair->server, 2);
            pair->server.hosts[2].substream = NULL;
            plex_substream_abort(server, "message", "CODE");
            pair_run(pair);
            failed |= !strstr(pair->device.log, "error 2 message\n");
        }
        failed |= r < 0 || !server;
    } else {
        failed = true;
    }
    side_finish(&pair->server);
    side_finish(&pair->device);
    free(pair);
    return failed;
}

static void test_every_allocation_may_fail(void **state)
{
    size_t fails;
    assert_false(life(0, 0));
    for (fails = 1; life(fails, 0); fails++)
        assert_true(fails < 1000);
    assert_true(fails > 8);
    for (fails = 1; life(0, fails); fails++)
        assert_true(fails < 1000);
    assert_true(fails > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_bad_configurations),
        cmocka_unit_test(test_auth_timeout),
        cmocka_unit_test(test_half_a_frame_then_silence),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_failing_tells_everyone),
        cmocka_unit_test(test_counters_and_a_new_connection),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

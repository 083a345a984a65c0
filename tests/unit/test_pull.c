/* What goes out, in which order, and in how fair turns. */
#include "pair.h"

static struct plex_substream *opened(struct pair *pair)
{
    struct plex_substream *device = side_open(&pair->device, PLEX_NET);
    uint16_t id = plex_substream_id(device);
    pair_run(pair);
    return side_get(&pair->server, id);
}

/* The ids of the frames in one pull, of the type given. */
static size_t pull_ids(struct side *side, uint64_t now, uint16_t *ids, size_t *ret_size)
{
    static uint8_t buffer[PLEX_PULL_MAX];
    size_t count = 0, size = plex_session_pull(side->session, buffer, side->pull_size, now);
    for (size_t at = 0; at < size; at += (size_t)(buffer[at] << 8 | buffer[at + 1]) + 2)
        ids[count++] = (uint16_t)(buffer[at + 2] << 8 | buffer[at + 3]);
    *ret_size = size;
    return count;
}

static void test_bulk_takes_turns(void **state)
{
    struct pair *pair = pair_new(0);
    uint16_t ids[64];
    size_t size;
    for (int i = 0; i < 3; i++)
        opened(pair);
    for (uint16_t id = 2; id <= 6; id += 2)
        side_send(side_get(&pair->server, id), NULL, 1000000);
    for (int round = 0; round < 30; round++) {
        assert_int_equal(pull_ids(&pair->server, pair->now, ids, &size), 1);
        assert_int_equal(ids[0], 2 + 2 * (round % 3));
        assert_int_equal(size, PLEX_PULL_MAX);
    }
    pair_free(pair);
}

static void test_small_frames_share_a_pull_and_wait_one_turn(void **state)
{
    struct pair *pair = pair_new(0);
    uint16_t ids[64];
    size_t size;
    for (int i = 0; i < 11; i++)
        opened(pair);
    side_send(side_get(&pair->server, 2), NULL, 1000000);
    assert_int_equal(pull_ids(&pair->server, pair->now, ids, &size), 1);
    for (uint16_t id = 4; id <= 22; id += 2)
        side_send(side_get(&pair->server, id), "small", 5);
    pull_ids(&pair->server, pair->now, ids, &size);
    /* Behind one frame of the bulk, all ten. */
    size_t count = pull_ids(&pair->server, pair->now, ids, &size);
    assert_true(count >= 10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(ids[i], 4 + 2 * i);
    assert_true(size <= PLEX_PULL_MAX);
    pair_free(pair);
}

static void test_no_data_frame_is_begun_in_a_corner(void **state)
{
    struct pair *pair = pair_new(0);
    uint16_t ids[64];
    size_t size;
    struct plex_substream *first = opened(pair), *second = opened(pair);
    side_send(first, NULL, PLEX_PULL_MAX - 2 * PLEX_HEADER_SIZE - 400);
    side_send(second, NULL, 100000);
    assert_int_equal(pull_ids(&pair->server, pair->now, ids, &size), 1);
    assert_int_equal(size, PLEX_PULL_MAX - PLEX_HEADER_SIZE - 400);
    assert_int_equal(pull_ids(&pair->server, pair->now, ids, &size), 1);
    assert_int_equal(ids[0], 4);
    assert_int_equal(size, PLEX_PULL_MAX);
    pair_free(pair);
}

static void test_the_tunnel_goes_ahead_of_data(void **state)
{
    struct pair *pair = pair_new(PLEX_FEATURES_ALL);
    struct plex_substream *bulk = opened(pair), *aborted = opened(pair);
    side_send(bulk, "data", 4);
    pair->server.hosts[2].end_after = true;
    plex_substream_notify(bulk, PLEX_EVENT_CONNECT, NULL);
    side_send(aborted, "dropped", 7);
    plex_substream_abort(aborted, "m", NULL);
    pair->server.hosts[4].substream = NULL;
    plex_session_goaway(pair->server.session, 0);
    plex_session_ping(pair->server.session);
    assert_int_equal(side_frame(&pair->server, 0, 3, "12345678", 8, pair->now), 0);
    assert_int_equal(
        side_json(&pair->server, 0, "{\"type\":\"message\",\"object\":{\"token\":\"T\"}}"), 0);
    assert_string_equal(side_pull_text(&pair->server, pair->now),
                        "0 1 {\"type\":\"message\",\"object\":{\"authed\":true}}\n"
                        "0 4 3132333435363738\n0 3 0000000000000001\n0 6 0000\n"
                        "4 1 {\"event\":\"error\",\"message\":\"m\"}\n4 5 0000\n"
                        "2 1 {\"event\":\"custom\",\"emitArgs\":[\"connect\"]}\n2 0 data\n"
                        "2 1 {\"event\":\"end\"}\n");
    pair_free(pair);
}

static void test_an_opener_keeps_its_order(void **state)
{
    struct pair *pair = pair_new(0);
    struct plex_substream *device = side_open(&pair->device, PLEX_TLS);
    side_send(device, "data", 4);
    pair->device.hosts[2].end_after = true;
    plex_substream_timeout(device, 0);
    assert_int_equal(plex_substream_connect(device, "h", 443), 0);
    assert_string_equal(side_pull_text(&pair->device, pair->now),
                        "0 1 {\"type\":\"stream\",\"sock\":2,\"name\":\"tls\"}\n"
                        "2 1 {\"event\":\"custom\",\"emitArgs\":[\"_pls_connect\",443,\"h\"]}\n"
                        "2 1 {\"event\":\"custom\",\"emitArgs\":[\"_pls_timeout\",0]}\n"
                        "2 0 data\n2 1 {\"event\":\"end\"}\n");
    pair_free(pair);
}

static void test_output_is_announced_once(void **state)
{
    struct pair *pair = pair_new(0);
    static uint8_t buffer[PLEX_PULL_MAX];
    struct plex_substream *server = opened(pair);
    unsigned before = pair->server.outputs;
    side_send(server, NULL, 20000);
    plex_substream_ready(server);
    plex_substream_notify(server, PLEX_EVENT_CONNECT, NULL);
    assert_int_equal(pair->server.outputs, before + 1);
    assert_true(plex_session_pull(pair->server.session, buffer, sizeof buffer, pair->now) > 0);
    plex_substream_notify(server, PLEX_EVENT_TIMEOUT, NULL);
    assert_int_equal(pair->server.outputs, before + 1);
    /* Until a pull finds nothing, or leaves nothing. */
    while (plex_session_pull(pair->server.session, buffer, sizeof buffer, pair->now) > 0)
        ;
    plex_substream_notify(server, PLEX_EVENT_TIMEOUT, NULL);
    assert_int_equal(pair->server.outputs, before + 2);
    assert_true(plex_session_pull(pair->server.session, buffer, sizeof buffer, pair->now) > 0);
    assert_false(plex_session_has_output(pair->server.session));
    plex_substream_notify(server, PLEX_EVENT_TIMEOUT, NULL);
    assert_int_equal(pair->server.outputs, before + 3);
    assert_int_equal(plex_session_pull(pair->server.session, buffer, PLEX_PULL_MIN - 1, pair->now),
                     0);
    pair_free(pair);
}

static void test_close_inside_pull_follows_its_data(void **state)
{
    struct pair *pair = pair_new(0);
    struct plex_substream *server = opened(pair);
    side_send(server, "last", 4);
    pair->server.hosts[2].close_after = true;
    pair_run(pair);
    side_expect(&pair->device, "data 2 last\nend 2\ngone 2 SUBSTREAM_CLOSED\n");
    pair_free(pair);
}

static void test_smallest_buffer(void **state)
{
    struct pair *pair = pair_new(PLEX_FEATURES_ALL);
    pair->server.pull_size = pair->device.pull_size = PLEX_PULL_MIN;
    struct plex_substream *device = side_open(&pair->device, PLEX_NET);
    side_send(device, NULL, 100000);
    pair->server.quiet = true;
    for (int i = 0; i < 50; i++)
        assert_int_equal(
            plex_substream_connect(side_open(&pair->device, PLEX_TLS), "a-host.example.com", 1), 0);
    pair_run(pair);
    assert_int_equal(pair->server.hosts[2].received, 100000);
    struct plex_stats stats;
    plex_session_stats(pair->server.session, &stats);
    assert_int_equal(stats.substreams, 51);
    pair_free(pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bulk_takes_turns),
        cmocka_unit_test(test_small_frames_share_a_pull_and_wait_one_turn),
        cmocka_unit_test(test_no_data_frame_is_begun_in_a_corner),
        cmocka_unit_test(test_the_tunnel_goes_ahead_of_data),
        cmocka_unit_test(test_an_opener_keeps_its_order),
        cmocka_unit_test(test_output_is_announced_once),
        cmocka_unit_test(test_close_inside_pull_follows_its_data),
        cmocka_unit_test(test_smallest_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The engine as a firmware compiles it (PLEX_BOARD): a device, and what it lacks. Its wire is the
 * vectors' business. */
#include "pair.h"

/* error.c of the whole engine */
const char *whole_error_name(int error);
const char *whole_error_text(int error);

#define GRANTED                                                                                    \
    "{\"type\":\"message\",\"object\":{\"authed\":true,\"streamplex\":{\"version\":1,"             \
    "\"features\":[\"flow\",\"ping\",\"reset\",\"goaway\",\"inbound\"]}}}"
#define ACCEPTED "{\"type\":\"message\",\"object\":{\"authed\":true}}"
#define CLOSE    "{\"event\":\"custom\",\"emitArgs\":[\"close\"]}"
#define INBOUND(ID)                                                                                \
    "{\"type\":\"stream\",\"sock\":" ID ",\"name\":\"inbound\",\"service\":\"s\",\"visitor\":"     \
    "\"v\"}"

static uint8_t zeroes[PLEX_PAYLOAD_MAX];

static int feed_json(struct side *side, uint16_t channel, const char *json, uint64_t now)
{
    return side_frame(side, channel, 1, json, strlen(json), now);
}

static struct side *board_prepare(uint32_t features)
{
    struct side *side = calloc(1, sizeof *side);
    assert_non_null(side);
    side_prepare(side, PLEX_DEVICE);
    side->config.features = features;
    return side;
}

/* Authorised, with nothing in the log or to be pulled. */
static void board_start(struct side *side, uint64_t now)
{
    side_start(side, now);
    assert_int_equal(plex_session_send_token(side->session, "secret", 6), 0);
    side_pull_text(side, now);
    assert_int_equal(feed_json(side, 0, side->config.features ? GRANTED : ACCEPTED, now), 0);
    side_expect(side, "authed 1\n");
}

static void board_finish(struct side *side)
{
    side_finish(side);
    free(side);
}

static void test_it_is_a_device_only(void **state)
{
    struct side *side = board_prepare(PLEX_FEATURES_ALL);
    side->config.side = PLEX_SERVER;
    assert_null(plex_session_new(&side->config, NULL, 0));
    side->config.side = PLEX_DEVICE;
    board_start(side, 0);
    assert_int_equal(plex_session_authorize(side->session, true), PLEX_OURS_STATE);
    assert_int_equal(plex_session_asked(side->session), 0);
    board_finish(side);
}

/* Each text is the whole engine's or none, and those that a board sends aren't left out. */
static void test_texts_that_are_sent(void **state)
{
    static const int names[] = {PLEX_SUBSTREAM_AFTER_END, PLEX_SUBSTREAM_LIMIT,
                                PLEX_SUBSTREAM_GOAWAY, PLEX_SUBSTREAM_BAD_KIND};
    for (int error = -400; error <= 1; error++) {
        const char *name = plex_error_name(error), *text = plex_error_text(error);
        bool named = false;
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
            named |= names[i] == error;
        assert_string_equal(name, named ? whole_error_name(error) : "");
        if (*text || named)
            assert_string_equal(text, whole_error_text(error));
        bool fault = error <= PLEX_TUNNEL_FRAME_LENGTH && error >= PLEX_TUNNEL_PING_TIMEOUT;
        if (error == PLEX_OURS_MEMORY || (fault && error != PLEX_TUNNEL_LATE_DATA))
            assert_string_not_equal(text, "");
    }
}

static void test_refusals_have_their_codes(void **state)
{
    struct side *side = board_prepare(PLEX_FEATURES_ALL);
    side->config.max_substreams = 1;
    board_start(side, 0);
    assert_int_equal(feed_json(side, 0, INBOUND("1"), 0), 0);
    assert_int_equal(feed_json(side, 0, INBOUND("3"), 0), 0);
    plex_session_goaway(side->session, 0);
    assert_int_equal(feed_json(side, 0, INBOUND("5"), 0), 0);
    side_expect(side, "open 1 inbound s v\n");
    const char *sent = side_pull_text(side, 0);
    assert_non_null(strstr(
        sent, "3 1 {\"event\":\"error\",\"message\":\"too many substreams\",\"code\":\"SUBSTREAM_"
              "LIMIT\"}"));
    assert_non_null(strstr(sent, "5 1 {\"event\":\"error\",\"message\":\"the server is going "
                                 "away\",\"code\":\"SUBSTREAM_GOAWAY\"}"));
    board_finish(side);
}

/* Without flow all that is fed is passed on, until the host says pause. */
static void test_without_flow_the_host_says_when(void **state)
{
    struct side *side = board_prepare(0);
    uint8_t bytes[200];
    size_t taken, size;
    side->hoard = side->quiet = true;
    board_start(side, 0);
    side_open(side, PLEX_NET);
    side_pull_text(side, 0);
    for (int i = 0; i < 64; i++) /* 4 MB */
        assert_int_equal(side_frame(side, 2, 0, zeroes, sizeof zeroes, 0), 0);
    assert_int_equal(side->hosts[2].received, 64 * sizeof zeroes);
    assert_int_equal(plex_session_deadline(side->session), UINT64_MAX);
    side->pause_on_data = true;
    size = frame(bytes, 2, 0, zeroes, 60);
    size += frame(bytes + size, 2, 0, zeroes, 60);
    assert_int_equal(plex_session_feed(side->session, bytes, size, 0, &taken), 0);
    assert_int_equal(taken, size / 2);
    assert_false(plex_session_can_take(side->session));
    assert_int_equal(side->hosts[2].received, 64 * sizeof zeroes + 60);
    plex_session_resume(side->session);
    assert_int_equal(plex_session_feed(side->session, bytes + taken, size - taken, 0, &taken), 0);
    assert_int_equal(taken, size / 2);
    board_finish(side);
}

/* However fast it consumes: what the peer may send is the window that was announced, and all of it
 * again and again. */
static void test_windows_stay(void **state)
{
    struct side *side = board_prepare(PLEX_FEATURES_ALL);
    struct plex_stats stats;
    side->config.window = 4096;
    side->quiet = true;
    board_start(side, 0);
    side_open(side, PLEX_NET);
    side_pull_text(side, 0);
    plex_session_ping(side->session);
    side_pull_text(side, 0);
    assert_int_equal(side_frame(side, 0, 4, "\0\0\0\0\0\0\0\1", 8, 100 * MS), 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(side_frame(side, 2, 0, zeroes, 4096, 100 * MS), 0);
        side_pull_text(side, 100 * MS);
        plex_session_stats(side->session, &stats);
        assert_int_equal(stats.credit_outstanding, 4096);
    }
    assert_int_equal(stats.rtt_min, 0);
    /* What isn't consumed isn't granted. */
    side->hoard = true;
    assert_int_equal(side_frame(side, 2, 0, zeroes, 4096, 100 * MS), 0);
    plex_session_stats(side->session, &stats);
    assert_int_equal(stats.credit_outstanding, 0);
    assert_int_equal(side_frame(side, 2, 0, zeroes, 1, 100 * MS), PLEX_TUNNEL_CREDIT);
    board_finish(side);
}

static void test_late_frames_are_dropped(void **state)
{
    struct side *side = board_prepare(PLEX_FEATURES_ALL);
    board_start(side, 0);
    side_open(side, PLEX_NET);
    side_pull_text(side, 0);
    assert_int_equal(feed_json(side, 2, CLOSE, 0), 0);
    side_expect(side, "gone 2 \n");
    for (int i = 0; i < 64; i++) {
        assert_int_equal(side_frame(side, 2, 0, zeroes, sizeof zeroes, 0), 0);
        assert_int_equal(feed_json(side, 2, "not JSON at all", 0), 0);
    }
    assert_true(plex_session_can_take(side->session));
    side_expect(side, "");
    board_finish(side);
}

static void test_deadlines(void **state)
{
    struct side *side = board_prepare(PLEX_FEATURES_ALL);
    side->config.ping_interval = 10 * SECOND;
    side->config.ping_timeout = 5 * SECOND;
    side_start(side, 0);
    assert_int_equal(plex_session_deadline(side->session), 20 * SECOND);
    assert_int_equal(plex_session_tick(side->session, 20 * SECOND), PLEX_TUNNEL_AUTH_TIMEOUT);
    plex_session_free(side->session);
    board_start(side, 0);
    assert_int_equal(plex_session_tick(side->session, 10 * SECOND), 0);
    assert_string_not_equal(side_pull_text(side, 10 * SECOND), "");
    assert_int_equal(plex_session_tick(side->session, 15 * SECOND - 1), 0);
    assert_int_equal(plex_session_tick(side->session, 15 * SECOND), PLEX_TUNNEL_PING_TIMEOUT);
    plex_session_free(side->session);
    board_start(side, 0);
    assert_int_equal(side_feed(side, "\0", 1, 0), 0);
    assert_int_equal(plex_session_tick(side->session, 10 * SECOND), 0); /* a ping is due */
    side->config.ping_timeout = 0;
    assert_int_equal(plex_session_tick(side->session, 30 * SECOND), PLEX_TUNNEL_FRAME_TIMEOUT);
    board_finish(side);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_is_a_device_only),
        cmocka_unit_test(test_texts_that_are_sent),
        cmocka_unit_test(test_refusals_have_their_codes),
        cmocka_unit_test(test_without_flow_the_host_says_when),
        cmocka_unit_test(test_windows_stay),
        cmocka_unit_test(test_late_frames_are_dropped),
        cmocka_unit_test(test_deadlines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

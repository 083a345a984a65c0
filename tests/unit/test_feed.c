/* Frames torn in every way, bad ones, and floods. */
#include "pair.h"

static const uint64_t now = 1000 * SECOND;

#define NET2    "{\"type\":\"stream\",\"sock\":2,\"name\":\"net\"}"
#define CONNECT "{\"event\":\"custom\",\"emitArgs\":[\"_pls_connect\",80,\"example.com\"]}"

static struct side *side_new(enum plex_side which, uint32_t features)
{
    struct side *side = malloc(sizeof *side);
    assert_non_null(side);
    side_prepare(side, which);
    side->config.features = features;
    side_start(side, now);
    return side;
}

/* A server with a device's token accepted. */
static struct side *server_new(uint32_t features)
{
    struct side *side = side_new(PLEX_SERVER, features);
    char json[256];
    snprintf(
        json, sizeof json, "{\"type\":\"message\",\"object\":{\"token\":\"T\"%s}}",
        features
            ? ",\"streamplex\":{\"version\":1,\"features\":[\"flow\",\"ping\",\"reset\",\"goaway\","
              "\"inbound\"]}"
            : "");
    assert_int_equal(side_json(side, 0, json), 0);
    side_pull_text(side, now);
    side_expect(side, "token T\n");
    return side;
}

static void side_free(struct side *side)
{
    side_finish(side);
    free(side);
}

/* A device's whole conversation. */
static size_t conversation(uint8_t *bytes, bool v1)
{
    size_t size = 0;
    static const char v1_token[] = "{\"type\":\"message\",\"object\":{\"token\":\"T\","
                                   "\"streamplex\":{\"version\":1,\"features\":[\"flow\","
                                   "\"ping\",\"reset\",\"goaway\"]}}}";
    static const char token[] = "{\"type\":\"message\",\"object\":{\"token\":\"T\"}}";
    size += v1 ? frame(bytes, 0, 1, v1_token, strlen(v1_token))
               : frame(bytes, 0, 1, token, strlen(token));
    size += frame(bytes + size, 0, 1, NET2, strlen(NET2));
    size += frame(bytes + size, 2, 1, CONNECT, strlen(CONNECT));
    size += frame(bytes + size, 2, 0, "hello", 5);
    size += frame(bytes + size, 2, 0, "", 0);
    size += frame(bytes + size, 2, 0, " world", 6);
    if (v1) {
        size += frame(bytes + size, 0, 3, "12345678", 8);
        size += frame(bytes + size, 999, 200, "skipped", 7);
        size += frame(bytes + size, 0, 255, "", 0);
        size += frame(bytes + size, 2, 2, "\0\0\1\0", 4);
        size += frame(bytes + size, 0, 6, "\0\7", 2);
    }
    size += frame(bytes + size, 2, 1, "{\"event\":\"end\"}", 15);
    if (v1)
        size += frame(bytes + size, 2, 5, "\0\0", 2);
    return size;
}

static const char legacy_log[] =
    "token T\nopen 2 net\nconnect 2 example.com 80\ndata 2 hello world\nend 2\n";
static const char v1_log[] =
    "token T\nopen 2 net\nconnect 2 example.com 80\ndata 2 hello world\ngoaway 7\nend 2\n"
    "gone 2 SUBSTREAM_RESET\n";

static void test_every_tearing_is_the_same(void **state)
{
    uint8_t bytes[1024];
    uint32_t random = 1;
    for (int v1 = 0; v1 < 2; v1++)
        for (int round = 0; round < 200; round++) {
            struct side *side = side_new(PLEX_SERVER, v1 ? PLEX_FEATURES_ALL : 0);
            size_t size = conversation(bytes, v1);
            /* Round 0 whole, 1 byte by byte, then at random. */
            for (size_t at = 0; at < size;) {
                random = random * 1664525u + 1013904223u;
                size_t piece = round == 0 ? size : round == 1 ? 1 : 1 + (random >> 8) % 30;
                piece = piece < size - at ? piece : size - at;
                uint8_t *exact = malloc(piece);
                memcpy(exact, bytes + at, piece);
                assert_int_equal(side_feed(side, exact, piece, now), 0);
                free(exact);
                at += piece;
            }
            side_expect(side, v1 ? v1_log : legacy_log);
            side_free(side);
        }
}

/* Pausing after each piece of data, and detaching there, loses nothing. */
static void test_pause_and_detach_at_every_byte(void **state)
{
    uint8_t bytes[1024];
    size_t size = conversation(bytes, true);
    for (size_t cut = 0; cut <= size; cut++) {
        struct side *side = side_new(PLEX_SERVER, PLEX_FEATURES_ALL);
        size_t taken;
        side->pause_on_data = true;
        for (size_t at = 0; at < size; at += taken) {
            size_t piece = at < cut ? cut - at : size - at;
            plex_session_resume(side->session);
            assert_int_equal(plex_session_feed(side->session, bytes + at, piece, now, &taken), 0);
            if (at + taken == cut) {
                plex_session_detach(side->session);
                size_t none;
                assert_int_equal(plex_session_feed(side->session, bytes, 1, now, &none),
                                 PLEX_OURS_STATE);
                assert_int_equal(plex_session_deadline(side->session), UINT64_MAX);
                plex_session_attach(side->session, now);
            }
        }
        side_expect(side, v1_log);
        side_free(side);
    }
}

struct bad {
    uint16_t channel;
    uint8_t type;
    const char *payload;
    int size; /* -1: strlen */
    int legacy, v1;
};

static const struct bad bad[] = {
    {2, 2, "\0\0\0\1", 4, PLEX_TUNNEL_FRAME_TYPE, 0},
    {2, 2, "\0\0\0\0", 4, PLEX_TUNNEL_FRAME_TYPE, PLEX_TUNNEL_EXTENSION},
    {2, 2, "\x80\0\0\0", 4, PLEX_TUNNEL_FRAME_TYPE, PLEX_TUNNEL_EXTENSION},
    {2, 2, "\x7f\xff\xff\xff", 4, PLEX_TUNNEL_FRAME_TYPE, PLEX_TUNNEL_CREDIT},
    {2, 2, "\0\0\1", 3, PLEX_TUNNEL_FRAME_TYPE, PLEX_TUNNEL_EXTENSION},
    {0, 2, "\0\0\0\1", 4, PLEX_TUNNEL_FRAME_TYPE, PLEX_TUNNEL_EXTENSION},
    {2, 3, "12345678", 8, PLEX_TUNNEL_FRAME_TYPE, PLEX_TUNNEL_EXTENSION},
    {0, 3, "1234567", 7, PLEX_TUNNEL_FRAME_TYPE, PLEX_TUNNEL_EXTENSION},
    {0, 4, "123456789", 9, PLEX_TUNNEL_FRAME_TYPE, PLEX_TUNNEL_EXTENSION},
    {0, 4, "12345678", 8, PLEX_TUNNEL_FRAME_TYPE, 0},
    {0, 5, "\0\0", 2, PLEX_TUNNEL_FRAME_TYPE, PLEX_TUNNEL_EXTENSION},
    {2, 5, "\0", 1, PLEX_TUNNEL_FRAME_TYPE, PLEX_TUNNEL_EXTENSION},
    {4, 5, "\0\0", 2, PLEX_TUNNEL_FRAME_TYPE, PLEX_TUNNEL_CHANNEL},
    {1, 5, "\0\0", 2, PLEX_TUNNEL_FRAME_TYPE, PLEX_TUNNEL_CHANNEL},
    {2, 6, "\0\0", 2, PLEX_TUNNEL_FRAME_TYPE, PLEX_TUNNEL_EXTENSION},
    {0, 7, "", 0, PLEX_TUNNEL_FRAME_TYPE, PLEX_TUNNEL_FRAME_TYPE},
    {0, 127, "", 0, PLEX_TUNNEL_FRAME_TYPE, PLEX_TUNNEL_FRAME_TYPE},
    {0, 128, "x", 1, PLEX_TUNNEL_FRAME_TYPE, 0},
    {0, 0, "x", 1, PLEX_TUNNEL_CHANNEL, PLEX_TUNNEL_CHANNEL},
    {4, 0, "x", 1, PLEX_TUNNEL_CHANNEL, PLEX_TUNNEL_CHANNEL},
    {1, 0, "x", 1, PLEX_TUNNEL_CHANNEL, PLEX_TUNNEL_CHANNEL},
    {65535, 1, "{}", 2, PLEX_TUNNEL_CHANNEL, PLEX_TUNNEL_CHANNEL},
    {0, 1, "", 0, PLEX_TUNNEL_JSON, PLEX_TUNNEL_JSON},
    {0, 1, "null", -1, PLEX_TUNNEL_JSON, PLEX_TUNNEL_JSON},
    {0, 1, "{}", -1, PLEX_TUNNEL_JSON, PLEX_TUNNEL_JSON},
    {0, 1, "{\"type\":1}", -1, PLEX_TUNNEL_JSON, PLEX_TUNNEL_JSON},
    {0, 1, "{\"type\":\"stream\",\"type\":\"stream\"}", -1, PLEX_TUNNEL_JSON, PLEX_TUNNEL_JSON},
    {0, 1, "{\"type\":\"other\"}", -1, 0, 0},
    {0, 1, "{\"type\":\"message\"}", -1, PLEX_TUNNEL_JSON, PLEX_TUNNEL_JSON},
    {0, 1, "{\"type\":\"stream\"}", -1, PLEX_TUNNEL_SOCK, PLEX_TUNNEL_SOCK},
    {0, 1, "{\"type\":\"stream\",\"sock\":0,\"name\":\"net\"}", -1, PLEX_TUNNEL_SOCK,
     PLEX_TUNNEL_SOCK},
    {0, 1, "{\"type\":\"stream\",\"sock\":3,\"name\":\"net\"}", -1, PLEX_TUNNEL_SOCK,
     PLEX_TUNNEL_SOCK},
    {0, 1, "{\"type\":\"stream\",\"sock\":2,\"name\":\"net\"}", -1, PLEX_TUNNEL_SOCK,
     PLEX_TUNNEL_SOCK},
    {0, 1, "{\"type\":\"stream\",\"sock\":-4,\"name\":\"net\"}", -1, PLEX_TUNNEL_SOCK,
     PLEX_TUNNEL_SOCK},
    {0, 1, "{\"type\":\"stream\",\"sock\":65536,\"name\":\"net\"}", -1, PLEX_TUNNEL_SOCK,
     PLEX_TUNNEL_SOCK},
    {0, 1, "{\"type\":\"stream\",\"sock\":\"4\",\"name\":\"net\"}", -1, PLEX_TUNNEL_SOCK,
     PLEX_TUNNEL_SOCK},
    {0, 1, "{\"type\":\"stream\",\"sock\":4.5,\"name\":\"net\"}", -1, PLEX_TUNNEL_SOCK,
     PLEX_TUNNEL_SOCK},
    {0, 1, "{\"type\":\"stream\",\"sock\":4}", -1, PLEX_TUNNEL_JSON, PLEX_TUNNEL_JSON},
    {0, 1, "{\"type\":\"stream\",\"sock\":4,\"name\":7}", -1, PLEX_TUNNEL_JSON, PLEX_TUNNEL_JSON},
    {2, 1, "{}", -1, PLEX_TUNNEL_JSON, PLEX_TUNNEL_JSON},
    {2, 1, "{\"event\":null}", -1, PLEX_TUNNEL_JSON, PLEX_TUNNEL_JSON},
    {2, 1, "{\"event\":\"other\"}", -1, 0, 0},
    {2, 1, "{\"event\":\"error\",\"message\":1}", -1, 0, 0},
    {2, 1, "{\"event\":\"custom\"}", -1, PLEX_TUNNEL_JSON, PLEX_TUNNEL_JSON},
    {2, 1, "{\"event\":\"custom\",\"emitArgs\":[]}", -1, PLEX_TUNNEL_JSON, PLEX_TUNNEL_JSON},
    {2, 1, "{\"event\":\"custom\",\"emitArgs\":{}}", -1, PLEX_TUNNEL_JSON, PLEX_TUNNEL_JSON},
    {2, 1, "{\"event\":\"custom\",\"emitArgs\":[1]}", -1, PLEX_TUNNEL_JSON, PLEX_TUNNEL_JSON},
    {2, 1, "{\"event\":\"custom\",\"emitArgs\":[\"close\"]}", -1, 0, 0},
};

static void test_bad_frames(void **state)
{
    for (int v1 = 0; v1 < 2; v1++)
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
            struct side *side = server_new(v1 ? PLEX_FEATURES_ALL : 0);
            assert_int_equal(side_json(side, 0, NET2), 0);
            size_t size = bad[i].size < 0 ? strlen(bad[i].payload) : (size_t)bad[i].size;
            int r = side_frame(side, bad[i].channel, bad[i].type, bad[i].payload, size, now);
            int expected = v1 ? bad[i].v1 : bad[i].legacy;
            if (r != expected)
                fail_msg("case %zu, v1 %d: %s", i, v1, plex_error_name(r));
            if (r) {
                char text[128];
                snprintf(text, sizeof text,
                         "0 1 {\"type\":\"message\",\"object\":{\"error\":\"%s\"}}\n",
                         plex_error_text(r));
                assert_string_equal(side_pull_text(side, now), text);
                side_expect(side, "open 2 net\ngone 2 SUBSTREAM_TUNNEL_GONE\n");
            }
            side_free(side);
        }
}

static void test_short_lengths(void **state)
{
    for (uint8_t length = 0; length < 3; length++) {
        struct side *side = side_new(PLEX_SERVER, 0);
        uint8_t bytes[] = {0, length};
        assert_int_equal(side_feed(side, bytes, 1, now), 0);
        assert_int_equal(side_feed(side, bytes + 1, 1, now), PLEX_TUNNEL_FRAME_LENGTH);
        side_free(side);
    }
}

static void test_json_over_the_limit(void **state)
{
    struct side *side = server_new(0);
    static char json[20000];
    memset(json, ' ', sizeof json);
    memcpy(json, "{\"type\":\"x\"}", 12);
    assert_int_equal(side_frame(side, 0, 1, json, 16384, now), 0);
    assert_int_equal(side_frame(side, 0, 1, json, 16385, now), PLEX_TUNNEL_JSON_SIZE);
    side_free(side);
}

/* Faults of one substream leave the tunnel and its siblings alone. */
static void test_bad_arguments_of_a_substream(void **state)
{
    static char host[400];
    snprintf(host, sizeof host, "[\"_pls_connect\",80,\"%0254d\"]", 0);
    static const struct {
        const char *arguments;
        int reason;
    } cases[] = {
        {"[\"_pls_connect\"]", PLEX_SUBSTREAM_BAD_PORT},
        {"[\"_pls_connect\",0,\"h\"]", PLEX_SUBSTREAM_BAD_PORT},
        {"[\"_pls_connect\",65536,\"h\"]", PLEX_SUBSTREAM_BAD_PORT},
        {"[\"_pls_connect\",\"80\",\"h\"]", PLEX_SUBSTREAM_BAD_PORT},
        {"[\"_pls_connect\",80.5,\"h\"]", PLEX_SUBSTREAM_BAD_PORT},
        {"[\"_pls_connect\",null,\"h\"]", PLEX_SUBSTREAM_BAD_PORT},
        {"[\"_pls_connect\",80]", PLEX_SUBSTREAM_BAD_HOST},
        {"[\"_pls_connect\",80,null]", PLEX_SUBSTREAM_BAD_HOST},
        {"[\"_pls_connect\",80,\"\"]", PLEX_SUBSTREAM_BAD_HOST},
        {"[\"_pls_connect\",80,\"a b\"]", PLEX_SUBSTREAM_BAD_HOST},
        {"[\"_pls_connect\",80,\"\\u00e4\"]", PLEX_SUBSTREAM_BAD_HOST},
        {"[\"_pls_connect\",80,7]", PLEX_SUBSTREAM_BAD_HOST},
        {host, PLEX_SUBSTREAM_BAD_HOST},
        {"[\"_pls_timeout\"]", PLEX_SUBSTREAM_BAD_TIMEOUT},
        {"[\"_pls_timeout\",-1]", PLEX_SUBSTREAM_BAD_TIMEOUT},
        {"[\"_pls_timeout\",2147483648]", PLEX_SUBSTREAM_BAD_TIMEOUT},
        {"[\"_pls_timeout\",1e300]", PLEX_SUBSTREAM_BAD_TIMEOUT},
        {"[\"_pls_timeout\",\"1\"]", PLEX_SUBSTREAM_BAD_TIMEOUT},
    };
    for (int v1 = 0; v1 < 2; v1++)
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct side *side = server_new(v1 ? PLEX_FEATURES_ALL : 0);
            char json[400], sent[400];
            const char *text = plex_error_text(cases[i].reason);
            snprintf(json, sizeof json, "{\"event\":\"custom\",\"emitArgs\":%s}",
                     cases[i].arguments);
            assert_int_equal(side_json(side, 0, NET2), 0);
            assert_int_equal(side_json(side, 2, json), 0);
            if (v1)
                snprintf(sent, sizeof sent,
                         "2 1 {\"event\":\"error\",\"message\":\"%s\",\"code\":\"%s\"}\n2 5 %04x\n",
                         text, plex_error_name(cases[i].reason), (unsigned)-cases[i].reason);
            else
                snprintf(sent, sizeof sent,
                         "2 1 {\"event\":\"error\",\"message\":\"%s\"}\n2 1 {\"event\":\"end\"}\n"
                         "2 1 {\"event\":\"custom\",\"emitArgs\":[\"close\"]}\n",
                         text);
            assert_string_equal(side_pull_text(side, now), sent);
            /* The id is free again. */
            assert_int_equal(side_json(side, 0, NET2), 0);
            assert_int_equal(side_json(side, 2, CONNECT), 0);
            char log[200];
            snprintf(log, sizeof log,
                     "open 2 net\ngone 2 %s\nopen 2 net\nconnect 2 example.com 80\n",
                     plex_error_name(cases[i].reason));
            side_expect(side, log);
            side_free(side);
        }
}

static void test_connect_twice_and_data_after_end(void **state)
{
    struct side *side = server_new(0);
    assert_int_equal(side_json(side, 0, NET2), 0);
    assert_int_equal(side_json(side, 2, CONNECT), 0);
    assert_int_equal(side_json(side, 2, CONNECT), 0);
    side_pull_text(side, now);
    assert_int_equal(side_json(side, 0, NET2), 0);
    assert_int_equal(side_json(side, 2, "{\"event\":\"end\"}"), 0);
    assert_int_equal(side_json(side, 2, "{\"event\":\"end\"}"), 0);
    assert_int_equal(side_frame(side, 2, 0, "", 0, now), 0);
    assert_int_equal(side_frame(side, 2, 0, "x", 1, now), 0);
    side_expect(side,
                "open 2 net\nconnect 2 example.com 80\ngone 2 SUBSTREAM_TWICE\nopen 2 net\nend 2\n"
                "gone 2 SUBSTREAM_AFTER_END\n");
    side_free(side);
}

static void test_unknown_kinds_are_refused(void **state)
{
    struct side *side = server_new(0);
    assert_int_equal(side_json(side, 0, "{\"type\":\"stream\",\"sock\":4,\"name\":\"udp\"}"), 0);
    assert_int_equal(side_json(side, 0, "{\"type\":\"stream\",\"sock\":6,\"name\":\"inbound\"}"),
                     0);
    assert_string_equal(
        side_pull_text(side, now),
        "4 1 {\"event\":\"error\",\"message\":\"substreams of this name are not known\"}\n"
        "4 1 {\"event\":\"end\"}\n4 1 {\"event\":\"custom\",\"emitArgs\":[\"close\"]}\n"
        "6 1 {\"event\":\"error\",\"message\":\"substreams of this name are not known\"}\n"
        "6 1 {\"event\":\"end\"}\n6 1 {\"event\":\"custom\",\"emitArgs\":[\"close\"]}\n");
    side_expect(side, "");
    side_free(side);
}

static void test_floods_cost_no_memory(void **state)
{
    struct side *side = server_new(PLEX_FEATURES_ALL);
    assert_int_equal(side_json(side, 0, NET2), 0);
    size_t before = side->heap.bytes;
    for (int i = 0; i < 20000; i++) {
        assert_int_equal(side_frame(side, 0, 3, "12345678", 8, now), 0);
        assert_int_equal(side_frame(side, 2, 0, "", 0, now), 0);
        assert_int_equal(side_json(side, 0, "{\"type\":\"x\"}"), 0);
        assert_int_equal(side_json(side, 0, "{\"type\":\"message\",\"object\":{\"token\":\"T\"}}"),
                         0);
        side->log_size = 0;
    }
    assert_int_equal(side->heap.bytes, before);
    assert_string_equal(
        side_pull_text(side, now),
        "0 1 {\"type\":\"message\",\"object\":{\"authed\":true}}\n0 4 3132333435363738\n");
    side_free(side);
}

static void test_a_flood_of_opens_stops_feed(void **state)
{
    struct side *side = server_new(0);
    side->config.max_substreams = 1;
    uint8_t bytes[128];
    size_t taken = 1, size = 0;
    int opens = 0;
    for (; taken == size || !opens; opens++) {
        char json[64];
        snprintf(json, sizeof json, "{\"type\":\"stream\",\"sock\":%d,\"name\":\"net\"}",
                 2 * opens + 2);
        size = frame(bytes, 0, 1, json, strlen(json));
        assert_int_equal(plex_session_feed(side->session, bytes, size, now, &taken), 0);
    }
    assert_int_equal(opens, 1 + 64 + 1);
    assert_int_equal(taken, 0);
    assert_int_equal(side->resumes, 0);
    side_pull_text(side, now);
    assert_int_equal(side->resumes, 1);
    struct plex_stats stats;
    plex_session_stats(side->session, &stats);
    assert_int_equal(stats.substreams, 1);
    assert_int_equal(side_feed(side, bytes, size, now), 0);
    side_free(side);
}

static void test_late_frames(void **state)
{
    static uint8_t payload[65532];
    /* Legacy: a mebibyte a second. */
    struct side *side = server_new(0);
    assert_int_equal(side_json(side, 0, NET2), 0);
    plex_substream_close(side_get(side, 2));
    side_pull_text(side, now);
    for (int second = 0; second < 3; second++)
        for (int i = 0; i < 16; i++)
            assert_int_equal(
                side_frame(side, 2, 0, payload, 65532, now + (unsigned)second * SECOND), 0);
    assert_int_equal(side_json(side, 2, "not JSON, and nobody looks"), 0);
    /* More waits, and the tunnel with it, until the second is over. */
    assert_int_equal(side_frame(side, 2, 0, payload, 65, now + 2 * SECOND), 0);
    assert_false(plex_session_can_take(side->session));
    assert_int_equal(plex_session_deadline(side->session), now + 3 * SECOND);
    assert_int_equal(plex_session_tick(side->session, now + 3 * SECOND - 1), 0);
    assert_false(plex_session_can_take(side->session));
    assert_int_equal(side->resumes, 0);
    assert_int_equal(plex_session_tick(side->session, now + 3 * SECOND), 0);
    assert_true(plex_session_can_take(side->session));
    assert_int_equal(side->resumes, 1);
    side_free(side);
    /* With flow: what was outstanding. */
    side = server_new(PLEX_FEATURES_ALL);
    assert_int_equal(side_json(side, 0, NET2), 0);
    plex_substream_abort(side_get(side, 2), NULL, NULL);
    side_pull_text(side, now);
    assert_int_equal(side_frame(side, 2, 0, payload, 65000, now), 0);
    assert_int_equal(side_frame(side, 2, 0, payload, 536, now), 0);
    assert_int_equal(side_frame(side, 2, 5, "\0\0", 2, now), 0);
    assert_int_equal(side_frame(side, 2, 0, payload, 1, now + 100 * SECOND), PLEX_TUNNEL_LATE_DATA);
    side_free(side);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_tearing_is_the_same),
        cmocka_unit_test(test_pause_and_detach_at_every_byte),
        cmocka_unit_test(test_bad_frames),
        cmocka_unit_test(test_short_lengths),
        cmocka_unit_test(test_json_over_the_limit),
        cmocka_unit_test(test_bad_arguments_of_a_substream),
        cmocka_unit_test(test_connect_twice_and_data_after_end),
        cmocka_unit_test(test_unknown_kinds_are_refused),
        cmocka_unit_test(test_floods_cost_no_memory),
        cmocka_unit_test(test_a_flood_of_opens_stops_feed),
        cmocka_unit_test(test_late_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Tokens, answers, extensions, and what is held meanwhile. */
#include "pair.h"

#define TOKEN "{\"type\":\"message\",\"object\":{\"token\":\"T\"}}"
#define TOKEN_V1                                                                                   \
    "{\"type\":\"message\",\"object\":{\"token\":\"T\",\"streamplex\":{\"version\":1,"             \
    "\"features\":[\"flow\"]}}}"
#define NET2           "{\"type\":\"stream\",\"sock\":2,\"name\":\"net\"}"
#define ACCEPTED       "0 1 {\"type\":\"message\",\"object\":{\"authed\":true}}\n"
#define REFUSED        "0 1 {\"type\":\"message\",\"object\":{\"authed\":false}}\n"
#define NOT_AUTHORIZED "0 1 {\"type\":\"message\",\"object\":{\"error\":\"Not authorized!\"}}\n"

static const uint64_t now = 1000 * SECOND;

static struct side *server_new(int answer)
{
    struct side *side = malloc(sizeof *side);
    assert_non_null(side);
    side_prepare(side, PLEX_SERVER);
    side->answer = answer;
    side_start(side, now);
    return side;
}

static void server_free(struct side *side)
{
    side_finish(side);
    free(side);
}

static void test_open_before_any_token(void **state)
{
    struct side *side = server_new(1);
    assert_int_equal(side_json(side, 0, NET2), PLEX_TUNNEL_NOT_AUTHORIZED);
    assert_string_equal(side_pull_text(side, now), NOT_AUTHORIZED);
    size_t taken;
    assert_int_equal(plex_session_feed(side->session, "x", 1, now, &taken),
                     PLEX_TUNNEL_NOT_AUTHORIZED);
    server_free(side);
}

static void test_refused_token_may_be_followed_by_another(void **state)
{
    struct side *side = server_new(0);
    assert_int_equal(side_json(side, 0, TOKEN), 0);
    assert_string_equal(side_pull_text(side, now), REFUSED);
    side->answer = 1;
    assert_int_equal(side_json(side, 0, TOKEN), 0);
    assert_string_equal(side_pull_text(side, now), ACCEPTED);
    /* Once accepted, a refusal changes nothing. */
    side->answer = 0;
    assert_int_equal(side_json(side, 0, TOKEN), 0);
    assert_string_equal(side_pull_text(side, now), REFUSED);
    assert_int_equal(side_json(side, 0, NET2), 0);
    side_expect(side, "token T\ntoken T\ntoken T\nopen 2 net\n");
    server_free(side);
}

static void test_held_then_accepted(void **state)
{
    struct side *side = server_new(-1);
    assert_int_equal(side_json(side, 0, TOKEN), 0);
    assert_int_equal(side_json(side, 0, NET2), 0);
    assert_int_equal(
        side_json(side, 2, "{\"event\":\"custom\",\"emitArgs\":[\"_pls_connect\",80,\"h\"]}"), 0);
    /* The answer comes in the middle of a data frame. */
    uint8_t bytes[32];
    size_t size = frame(bytes, 2, 0, "hello", 5);
    assert_int_equal(side_feed(side, bytes, 7, now), 0);
    side_expect(side, "token T\n");
    assert_int_equal(plex_session_authorize(side->session, true), 0);
    assert_int_equal(side_feed(side, bytes + 7, size - 7, now), 0);
    side_expect(side, "open 2 net\nconnect 2 h 80\ndata 2 hello\n");
    assert_string_equal(side_pull_text(side, now), ACCEPTED);
    assert_int_equal(plex_session_authorize(side->session, true), PLEX_OURS_STATE);
    server_free(side);
}

/* Wherever the answer falls within what the device sends, the same happens. */
static void test_answer_at_every_byte(void **state)
{
    static const char connect[] = "{\"event\":\"custom\",\"emitArgs\":[\"_pls_connect\",80,\"h\"]}";
    uint8_t bytes[512];
    size_t size = frame(bytes, 0, 1, NET2, strlen(NET2));
    size += frame(bytes + size, 2, 1, connect, strlen(connect));
    size += frame(bytes + size, 2, 0, "hello", 5);
    size += frame(bytes + size, 0, 1, "{\"type\":\"other\"}", 16);
    size += frame(bytes + size, 2, 1, "{\"event\":\"end\"}", 15);
    for (size_t at = 0; at <= size; at++) {
        struct side *side = server_new(-1);
        assert_int_equal(side_json(side, 0, TOKEN), 0);
        assert_int_equal(side_feed(side, bytes, at, now), 0);
        assert_int_equal(plex_session_authorize(side->session, true), 0);
        assert_int_equal(side_feed(side, bytes + at, size - at, now), 0);
        side_expect(side, "token T\nopen 2 net\nconnect 2 h 80\ndata 2 hello\nend 2\n");
        server_free(side);
    }
}

static void test_token_answered_at_once_begins_what_was_held(void **state)
{
    struct side *side = server_new(-1);
    uint8_t bytes[512];
    assert_int_equal(side_json(side, 0, TOKEN), 0);
    assert_int_equal(side_json(side, 0, NET2), 0);
    side->answer = 1;
    size_t size = frame(bytes, 0, 1, TOKEN, strlen(TOKEN));
    size += frame(bytes + size, 2, 0, "later", 5);
    assert_int_equal(side_feed(side, bytes, size, now), 0);
    side_expect(side, "token T\ntoken T\nopen 2 net\ndata 2 later\n");
    server_free(side);
}

static void test_held_then_refused(void **state)
{
    struct side *side = server_new(-1);
    assert_int_equal(side_json(side, 0, TOKEN), 0);
    assert_int_equal(side_json(side, 0, NET2), 0);
    assert_int_equal(plex_session_authorize(side->session, false), 0);
    assert_string_equal(side_pull_text(side, now), REFUSED NOT_AUTHORIZED);
    assert_int_equal(plex_session_deadline(side->session), 0);
    assert_int_equal(plex_session_tick(side->session, now), PLEX_TUNNEL_NOT_AUTHORIZED);
    server_free(side);
}

static void test_held_opens_are_bounded(void **state)
{
    struct side *side = server_new(-1);
    assert_int_equal(side_json(side, 0, TOKEN), 0);
    char json[64];
    for (int i = 1; i <= PLEX_HELD_OPENS_MAX; i++) {
        assert_true(plex_session_can_take(side->session));
        snprintf(json, sizeof json, "{\"type\":\"stream\",\"sock\":%d,\"name\":\"net\"}", 2 * i);
        assert_int_equal(side_json(side, 0, json), 0);
    }
    assert_false(plex_session_can_take(side->session));
    size_t taken;
    assert_int_equal(plex_session_feed(side->session, "x", 1, now, &taken), 0);
    assert_int_equal(taken, 0);
    assert_int_equal(plex_session_authorize(side->session, true), 0);
    assert_int_equal(side->resumes, 1);
    struct plex_stats stats;
    plex_session_stats(side->session, &stats);
    assert_int_equal(stats.substreams, PLEX_HELD_OPENS_MAX);
    server_free(side);
}

static void test_held_bytes_are_bounded(void **state)
{
    struct side *side = server_new(-1);
    static uint8_t bytes[3 * 32768], payload[30000];
    side->quiet = true;
    assert_int_equal(side_json(side, 0, TOKEN), 0);
    assert_int_equal(side_json(side, 0, NET2), 0);
    size_t size = 0, taken;
    for (int i = 0; i < 3; i++)
        size += frame(bytes + size, 2, 0, payload, sizeof payload);
    assert_int_equal(plex_session_feed(side->session, bytes, size, now, &taken), 0);
    assert_int_equal(taken, 2 * 30005 + 5); /* and the third's header */
    assert_true(side->heap.bytes < 80000);
    assert_int_equal(plex_session_authorize(side->session, true), 0);
    assert_int_equal(side_feed(side, bytes + taken, size - taken, now), 0);
    assert_int_equal(side->hosts[2].received, 90000);
    server_free(side);
}

static void test_replay_respects_pause(void **state)
{
    struct side *side = server_new(-1);
    assert_int_equal(side_json(side, 0, TOKEN), 0);
    assert_int_equal(side_json(side, 0, NET2), 0);
    assert_int_equal(side_frame(side, 2, 0, "one", 3, now), 0);
    assert_int_equal(side_frame(side, 2, 0, "two", 3, now), 0);
    side->pause_on_data = true;
    assert_int_equal(plex_session_authorize(side->session, true), 0);
    side_expect(side, "token T\nopen 2 net\ndata 2 one\n");
    plex_session_resume(side->session);
    side_expect(side, "data 2 two\n");
    server_free(side);
}

static void test_frames_of_ids_never_held(void **state)
{
    struct side *side = server_new(-1);
    assert_int_equal(side_json(side, 0, TOKEN), 0);
    assert_int_equal(side_json(side, 0, NET2), 0);
    assert_int_equal(side_frame(side, 4, 0, "x", 1, now), PLEX_TUNNEL_CHANNEL);
    server_free(side);
}

static void test_version_1_waits_for_the_answer(void **state)
{
    struct side *side = server_new(-1);
    assert_int_equal(side_json(side, 0, TOKEN_V1), 0);
    assert_int_equal(side_json(side, 0, NET2), PLEX_TUNNEL_EXTENSION);
    server_free(side);
    side = server_new(-1);
    assert_int_equal(side_json(side, 0, TOKEN), 0);
    assert_int_equal(side_json(side, 0, NET2), 0);
    assert_int_equal(side_json(side, 0, TOKEN_V1), PLEX_TUNNEL_EXTENSION);
    server_free(side);
}

static void test_bad_tokens_and_terms(void **state)
{
    static const struct {
        const char *object;
        int error;
    } cases[] = {
        {"{\"token\":\"\"}", PLEX_TUNNEL_JSON},
        {"{\"token\":1}", PLEX_TUNNEL_JSON},
        {"{\"token\":null}", PLEX_TUNNEL_JSON},
        {"{\"token\":\"a\\u0000\"}", PLEX_TUNNEL_JSON},
        {"{\"token\":\"a\",\"token\":\"b\"}", PLEX_TUNNEL_JSON},
        {"[]", PLEX_TUNNEL_JSON},
        {"null", PLEX_TUNNEL_JSON},
        {"{\"token\":\"T\",\"streamplex\":1}", PLEX_TUNNEL_EXTENSION},
        {"{\"token\":\"T\",\"streamplex\":null}", PLEX_TUNNEL_EXTENSION},
        {"{\"token\":\"T\",\"streamplex\":{}}", PLEX_TUNNEL_EXTENSION},
        {"{\"token\":\"T\",\"streamplex\":{\"version\":0}}", PLEX_TUNNEL_EXTENSION},
        {"{\"token\":\"T\",\"streamplex\":{\"version\":1.5}}", PLEX_TUNNEL_EXTENSION},
        {"{\"token\":\"T\",\"streamplex\":{\"version\":1,\"version\":1}}", PLEX_TUNNEL_JSON},
        {"{\"token\":\"T\",\"streamplex\":{\"version\":1,\"features\":{}}}", PLEX_TUNNEL_EXTENSION},
        {"{\"token\":\"T\",\"streamplex\":{\"version\":1,\"features\":[1]}}",
         PLEX_TUNNEL_EXTENSION},
        {"{\"token\":\"T\",\"streamplex\":{\"version\":1,\"window\":1023}}", PLEX_TUNNEL_EXTENSION},
        {"{\"token\":\"T\",\"streamplex\":{\"version\":1,\"window\":16777217}}",
         PLEX_TUNNEL_EXTENSION},
        {"{\"token\":\"T\",\"streamplex\":{\"version\":1,\"max_json\":1023}}",
         PLEX_TUNNEL_EXTENSION},
        {"{\"token\":\"T\",\"streamplex\":{\"version\":1,\"max_json\":65533}}",
         PLEX_TUNNEL_EXTENSION},
        {"{\"token\":\"T\",\"streamplex\":{\"version\":1,\"max_substreams\":0}}",
         PLEX_TUNNEL_EXTENSION},
        {"{\"token\":\"T\",\"streamplex\":{\"version\":1,\"max_substreams\":32768}}",
         PLEX_TUNNEL_EXTENSION},
        {"{\"token\":\"T\",\"streamplex\":{\"version\":99,\"features\":[\"x\",\"flow\"],\"y\":[]}}",
         0},
        {"{\"other\":1}", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct side *side = server_new(1);
        char json[256];
        snprintf(json, sizeof json, "{\"type\":\"message\",\"object\":%s}", cases[i].object);
        int r = side_json(side, 0, json);
        if (r != cases[i].error)
            fail_msg("%s: %s", json, plex_error_name(r));
        server_free(side);
    }
}

static void test_token_lengths(void **state)
{
    char token[PLEX_TOKEN_MAX + 1];
    memset(token, 't', sizeof token);
    struct pair *pair = pair_prepare(PLEX_FEATURES_ALL);
    side_start(&pair->server, pair->now);
    side_start(&pair->device, pair->now);
    struct plex_session *device = pair->device.session;
    assert_int_equal(plex_session_send_token(device, token, 0), PLEX_OURS_ARGUMENT);
    assert_int_equal(plex_session_send_token(device, token, sizeof token), PLEX_OURS_ARGUMENT);
    assert_int_equal(plex_session_send_token(device, "\xff", 1), PLEX_OURS_ARGUMENT);
    assert_int_equal(plex_session_send_token(device, "a\0b", 3), PLEX_OURS_ARGUMENT);
    assert_int_equal(plex_session_send_token(pair->server.session, "a", 1), PLEX_OURS_STATE);
    /* The longest passes, through the smallest buffer. */
    pair->device.pull_size = PLEX_PULL_MIN;
    assert_int_equal(plex_session_send_token(device, token, PLEX_TOKEN_MAX), 0);
    pair_run(pair);
    assert_int_equal(strlen(pair->server.log), strlen("token \n") + PLEX_TOKEN_MAX);
    side_expect(&pair->device, "authed 1\n");
    /* Of characters that are written as six, as many as a message of 4096 takes. */
    memset(token, 1, sizeof token);
    assert_int_equal(plex_session_send_token(device, token, PLEX_TOKEN_MAX), PLEX_OURS_ARGUMENT);
    pair_free(pair);
}

static void test_json_limit_before_authentication(void **state)
{
    struct side *side = server_new(1);
    static char json[PLEX_JSON_BEFORE_AUTH + 1];
    memset(json, ' ', sizeof json);
    memcpy(json, TOKEN, strlen(TOKEN));
    assert_int_equal(side_frame(side, 0, 1, json, PLEX_JSON_BEFORE_AUTH, now), 0);
    server_free(side);
    side = server_new(1);
    /* Seen in the header already. */
    uint8_t bytes[PLEX_HEADER_SIZE + sizeof json];
    frame(bytes, 0, 1, json, PLEX_JSON_BEFORE_AUTH + 1);
    assert_int_equal(side_feed(side, bytes, PLEX_HEADER_SIZE, now), PLEX_TUNNEL_JSON_SIZE);
    server_free(side);
}

static void test_features_are_what_both_have(void **state)
{
    struct pair *pair = pair_prepare(PLEX_FLOW | PLEX_PING);
    pair->device.config.features = PLEX_PING | PLEX_RESET;
    pair_start(pair);
    assert_int_equal(plex_session_features(pair->server.session), PLEX_PING);
    assert_int_equal(plex_session_features(pair->device.session), PLEX_PING);
    pair_free(pair);
    /* A side without any is legacy. */
    for (int legacy = 0; legacy < 2; legacy++) {
        pair = pair_prepare(PLEX_FEATURES_ALL);
        *(legacy ? &pair->server.config.features : &pair->device.config.features) = 0;
        pair_start(pair);
        assert_int_equal(plex_session_features(pair->server.session), 0);
        assert_int_equal(plex_session_features(pair->device.session), 0);
        assert_true(plex_session_is_authed(pair->device.session));
        pair_free(pair);
    }
}

static void test_device_ignores_what_it_did_not_ask_for(void **state)
{
    struct side *side = malloc(sizeof *side);
    assert_non_null(side);
    side_prepare(side, PLEX_DEVICE);
    side_start(side, now);
    assert_int_equal(side_json(side, 0, "{\"type\":\"message\",\"object\":{\"authed\":true}}"), 0);
    assert_false(plex_session_is_authed(side->session));
    struct plex_substream *substream;
    assert_int_equal(plex_substream_open(side->session, PLEX_NET, NULL, NULL, NULL, &substream),
                     PLEX_OURS_STATE);
    side_expect(side, "");
    server_free(side);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_before_any_token),
        cmocka_unit_test(test_refused_token_may_be_followed_by_another),
        cmocka_unit_test(test_held_then_accepted),
        cmocka_unit_test(test_answer_at_every_byte),
        cmocka_unit_test(test_token_answered_at_once_begins_what_was_held),
        cmocka_unit_test(test_held_then_refused),
        cmocka_unit_test(test_held_opens_are_bounded),
        cmocka_unit_test(test_held_bytes_are_bounded),
        cmocka_unit_test(test_replay_respects_pause),
        cmocka_unit_test(test_frames_of_ids_never_held),
        cmocka_unit_test(test_version_1_waits_for_the_answer),
        cmocka_unit_test(test_bad_tokens_and_terms),
        cmocka_unit_test(test_token_lengths),
        cmocka_unit_test(test_json_limit_before_authentication),
        cmocka_unit_test(test_features_are_what_both_have),
        cmocka_unit_test(test_device_ignores_what_it_did_not_ask_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

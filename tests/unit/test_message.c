/* The host's own messages on channel 0: when they are asked for, and what room they get. What is
 * handed on is the vectors' business. */
#include "pair.h"

static const char *const one[] = {"{\"visit\":1}", NULL};

static void test_it_reaches_the_other_side(void **state)
{
    static const char *const asked[] = {"{\"register\":{}}", NULL};
    struct pair *pair = pair_new(PLEX_FEATURES_ALL);
    pair->device.messages = asked;
    plex_session_message_ready(pair->device.session);
    pair->server.messages = one;
    plex_session_message_ready(pair->server.session);
    assert_true(plex_session_has_output(pair->server.session));
    pair_run(pair);
    side_expect(&pair->server, "message {\"register\":{}}\n");
    side_expect(&pair->device, "message {\"visit\":1}\n");
    pair_free(pair);
}

/* The flag is all that the engine keeps: a host that has nothing clears it. */
static void test_nothing_to_say_after_all(void **state)
{
    struct pair *pair = pair_new(PLEX_FEATURES_ALL);
    plex_session_message_ready(pair->server.session);
    plex_session_message_ready(pair->server.session);
    assert_string_equal(side_pull_text(&pair->server, pair->now), "");
    assert_false(plex_session_has_output(pair->server.session));
    pair->server.messages = one;
    assert_string_equal(side_pull_text(&pair->server, pair->now), "");
    pair_free(pair);
}

static void test_output_is_told(void **state)
{
    struct pair *pair = pair_new(PLEX_FEATURES_ALL);
    unsigned before = pair->server.outputs;
    pair->server.messages = one;
    plex_session_message_ready(pair->server.session);
    plex_session_message_ready(pair->server.session);
    assert_int_equal(pair->server.outputs, before + 1);
    pair_free(pair);
}

static void test_no_message_without_the_feature(void **state)
{
    struct pair *pair = pair_new(PLEX_FEATURES_ALL & ~(uint32_t)PLEX_INBOUND_OPENS);
    pair->server.messages = one;
    plex_session_message_ready(pair->server.session);
    assert_false(plex_session_has_output(pair->server.session));
    pair_free(pair);
}

static void test_a_host_without_messages(void **state)
{
    struct pair *pair = pair_prepare(PLEX_FEATURES_ALL);
    pair->server.callbacks.on_message = NULL;
    pair->server.callbacks.on_message_pull = NULL;
    pair_start(pair);
    plex_session_message_ready(pair->server.session);
    assert_false(plex_session_has_output(pair->server.session));
    pair->device.messages = one;
    plex_session_message_ready(pair->device.session);
    pair_run(pair);
    side_expect(&pair->server, "token secret\n");
    assert_int_equal(pair->server.error, 0);
    pair_free(pair);
}

/* The smallest buffer has the room that is promised, behind what is short; and what is longer, such
 * as a message before, makes it wait for the next buffer. */
static void test_the_room_in_the_smallest_buffer(void **state)
{
    static char longest[961];
    const char *const two[] = {longest, longest, NULL};
    struct pair *pair = pair_new(PLEX_FEATURES_ALL);
    uint8_t buffer[PLEX_PULL_MIN];
    memset(longest, ' ', 960);
    longest[0] = '{';
    longest[959] = '}';
    pair->server.messages = two;
    plex_session_goaway(pair->server.session, 0);
    plex_session_ping(pair->server.session);
    plex_session_message_ready(pair->server.session);
    for (int i = 0; i < 2; i++) {
        size_t size = plex_session_pull(pair->server.session, buffer, sizeof buffer, pair->now);
        assert_true(size > 960);
        side_feed(&pair->device, buffer, size, pair->now);
        assert_true(pair->server.message_room >= 960);
    }
    assert_null(*pair->server.messages);
    assert_int_equal(pair->device.error, 0);
    pair_free(pair);
}

static void test_the_room_is_what_the_peer_takes(void **state)
{
    struct pair *pair = pair_prepare(PLEX_FEATURES_ALL);
    pair->device.config.max_json = 1024;
    pair_start(pair);
    plex_session_message_ready(pair->server.session);
    side_pull_text(&pair->server, pair->now);
    assert_int_equal(pair->server.message_room,
                     1024 - strlen("{\"type\":\"message\",\"object\":}"));
    plex_session_message_ready(pair->device.session);
    side_pull_text(&pair->device, pair->now);
    assert_int_equal(pair->device.message_room,
                     PLEX_PULL_MAX - 5 - strlen("{\"type\":\"message\",\"object\":}"));
    pair_free(pair);
}

/* Two messages that fill a buffer of the smallest size go in two; data waits behind both. */
static void test_data_waits_behind_a_message_without_room(void **state)
{
    static char longer[601];
    const char *const two[] = {longer, longer, NULL};
    struct pair *pair = pair_new(PLEX_FEATURES_ALL);
    memset(longer, ' ', 600);
    longer[0] = '{';
    longer[599] = '}';
    side_send(side_open(&pair->server, PLEX_INBOUND), "GET", 3);
    pair->server.pull_size = PLEX_PULL_MIN;
    pair->server.messages = two;
    plex_session_message_ready(pair->server.session);
    pair->device.quiet = true;
    pair_run(pair);
    const char *first = strstr(pair->device.log, "message"),
               *open = strstr(pair->device.log, "open");
    assert_non_null(first);
    assert_non_null(open);
    assert_ptr_equal(pair->device.log, first);
    assert_non_null(strstr(first + 1, "message"));
    assert_true(strstr(first + 1, "message") < open);
    pair_free(pair);
}

static size_t end_the_session(struct plex_session *session, char *buffer, size_t capacity)
{
    plex_session_fail(session, PLEX_TUNNEL_IDLE);
    buffer[0] = '{';
    buffer[1] = '}';
    return 2;
}

/* The last words are still pulled, and nothing of the message. */
static void test_the_session_ends_while_a_message_is_asked_for(void **state)
{
    struct pair *pair = pair_prepare(PLEX_FEATURES_ALL);
    pair->server.callbacks.on_message_pull = end_the_session;
    pair_start(pair);
    plex_session_message_ready(pair->server.session);
    assert_string_equal(
        side_pull_text(&pair->server, pair->now),
        "0 1 {\"type\":\"message\",\"object\":{\"error\":\"idle without substreams\"}}\n");
    pair_free(pair);
}

static size_t too_long(struct plex_session *session, char *buffer, size_t capacity)
{
    return capacity + 1;
}

static void test_a_message_longer_than_its_room_is_none(void **state)
{
    struct pair *pair = pair_prepare(PLEX_FEATURES_ALL);
    pair->server.callbacks.on_message_pull = too_long;
    pair_start(pair);
    plex_session_message_ready(pair->server.session);
    assert_string_equal(side_pull_text(&pair->server, pair->now), "");
    pair_free(pair);
}

static void answer(struct plex_session *session, const char *json, size_t length)
{
    said_message(session, json, length);
    side_of(session)->messages = one;
    plex_session_message_ready(session);
    plex_session_pause(session);
}

/* A host answers from within on_message, and takes nothing more until it says so. */
static void test_answered_and_paused_from_within(void **state)
{
    struct pair *pair = pair_prepare(PLEX_FEATURES_ALL);
    uint8_t buffer[256];
    size_t taken;
    pair->server.callbacks.on_message = answer;
    pair_start(pair);
    side_expect(&pair->server, "token secret\n");
    size_t size = frame(buffer, 0, 1, "{\"type\":\"message\",\"object\":{}}", 30), whole = size;
    whole += frame(buffer + size, 0, 1, "{\"type\":\"message\",\"object\":{}}", 30);
    assert_int_equal(plex_session_feed(pair->server.session, buffer, whole, pair->now, &taken), 0);
    assert_int_equal(taken, size);
    side_expect(&pair->server, "message {}\n");
    assert_string_equal(side_pull_text(&pair->server, pair->now),
                        "0 1 {\"type\":\"message\",\"object\":{\"visit\":1}}\n");
    plex_session_resume(pair->server.session);
    assert_int_equal(
        plex_session_feed(pair->server.session, buffer + taken, size, pair->now, &taken), 0);
    side_expect(&pair->server, "message {}\n");
    pair_free(pair);
}

static void test_detached_nothing_is_pulled(void **state)
{
    struct pair *pair = pair_new(PLEX_FEATURES_ALL);
    pair->server.messages = one;
    plex_session_detach(pair->server.session);
    plex_session_message_ready(pair->server.session);
    assert_string_equal(side_pull_text(&pair->server, pair->now), "");
    plex_session_attach(pair->server.session, pair->now);
    pair_run(pair);
    side_expect(&pair->device, "message {\"visit\":1}\n");
    pair_free(pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_reaches_the_other_side),
        cmocka_unit_test(test_nothing_to_say_after_all),
        cmocka_unit_test(test_output_is_told),
        cmocka_unit_test(test_no_message_without_the_feature),
        cmocka_unit_test(test_a_host_without_messages),
        cmocka_unit_test(test_the_room_in_the_smallest_buffer),
        cmocka_unit_test(test_the_room_is_what_the_peer_takes),
        cmocka_unit_test(test_data_waits_behind_a_message_without_room),
        cmocka_unit_test(test_the_session_ends_while_a_message_is_asked_for),
        cmocka_unit_test(test_a_message_longer_than_its_room_is_none),
        cmocka_unit_test(test_answered_and_paused_from_within),
        cmocka_unit_test(test_detached_nothing_is_pulled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Every code has its name and sentence, and nothing else has. */
#include "pair.h"

static void test_each_code(void **state)
{
    static const struct {
        int error;
        const char *name;
    } codes[] = {
#define CODE(NAME) {PLEX_##NAME, #NAME}
        CODE(OK),
        CODE(SUBSTREAM_CLOSED),
        CODE(SUBSTREAM_RESET),
        CODE(SUBSTREAM_BAD_PORT),
        CODE(SUBSTREAM_BAD_HOST),
        CODE(SUBSTREAM_BAD_TIMEOUT),
        CODE(SUBSTREAM_TWICE),
        CODE(SUBSTREAM_AFTER_END),
        CODE(SUBSTREAM_LIMIT),
        CODE(SUBSTREAM_STALLED),
        CODE(SUBSTREAM_GOAWAY),
        CODE(SUBSTREAM_BAD_KIND),
        CODE(SUBSTREAM_TUNNEL_GONE),
        CODE(TUNNEL_FRAME_LENGTH),
        CODE(TUNNEL_FRAME_TYPE),
        CODE(TUNNEL_JSON),
        CODE(TUNNEL_JSON_SIZE),
        CODE(TUNNEL_SOCK),
        CODE(TUNNEL_CHANNEL),
        CODE(TUNNEL_CREDIT),
        CODE(TUNNEL_LATE_DATA),
        CODE(TUNNEL_NOT_AUTHORIZED),
        CODE(TUNNEL_EXTENSION),
        CODE(TUNNEL_AUTH_TIMEOUT),
        CODE(TUNNEL_FRAME_TIMEOUT),
        CODE(TUNNEL_IDLE),
        CODE(TUNNEL_PING_TIMEOUT),
        CODE(OURS_MEMORY),
        CODE(OURS_ARGUMENT),
        CODE(OURS_STATE),
        CODE(OURS_NO_ID),
    };
    unsigned known = 0;
    for (int error = -1000; error <= 1000; error++)
        known += strcmp(plex_error_name(error), "UNKNOWN") != 0;
    assert_int_equal(known, sizeof codes / sizeof codes[0]);
    for (size_t i = 0; i < known; i++) {
        assert_string_equal(plex_error_name(codes[i].error), codes[i].name);
        assert_true(strlen(plex_error_text(codes[i].error)) > 3);
    }
    assert_string_equal(plex_error_text(PLEX_TUNNEL_NOT_AUTHORIZED), "Not authorized!");
    assert_string_equal(plex_error_text(PLEX_OURS_NO_ID), "every id is in use");
    assert_string_equal(plex_error_text(-100), "unknown error");
    assert_string_equal(plex_error_name(INT32_MIN), "UNKNOWN");
    assert_string_equal(plex_error_name(INT32_MAX), "UNKNOWN");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

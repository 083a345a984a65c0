/* A login is asked for again in good time. */
#include "agent/login_keeper.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake_api.h"

static void test_half_of_what_is_left(void **state)
{
    assert_int_equal(login_keeper_wait(19000, 1000), 9000);
    assert_int_equal(login_keeper_wait(1010, 1000), 60); /* a minute at least */
    assert_int_equal(login_keeper_wait(500, 1000), 60);
    assert_int_equal(login_keeper_wait(UINT64_MAX, 1000), 86400);
}

static void on_token(void *user, const char *token)
{
    fail_msg("nothing was asked yet");
}

/* Stopped before its time: nothing is asked, nothing left. */
static void test_stopped_before_its_time(void **state)
{
    const struct login login = {.token = "eyJ.x.y", .api = "https://x"};
    struct login_keeper *keeper = login_keeper_new(&login);
    struct loop *loop;
    assert_int_equal(loop_new(&loop), 0);
    assert_int_equal(login_keeper_start(keeper, loop, on_token, NULL), 0);
    assert_string_equal(login_keeper_token(keeper), "eyJ.x.y");
    login_keeper_stop(keeper);
    loop_free(loop);
    login_keeper_free(keeper);
    login_keeper_stop(NULL);
    login_keeper_free(NULL);
    assert_int_equal(fake_api.open, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half_of_what_is_left),
        cmocka_unit_test(test_stopped_before_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

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

static struct loop *loop;

/* Stopped before its time: nothing is asked, nothing left. */
static void test_stopped_before_its_time(void **state)
{
    const struct login login = {.token = "eyJ.x.y", .api = "https://x"};
    struct login_keeper *keeper = login_keeper_new(&login);
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

static char tokens[3][64];
static size_t count;

static void on_next(void *user, const char *token)
{
    struct login_keeper **keeper = user;
    snprintf(tokens[count++], sizeof tokens[0], "%s", token);
    assert_string_equal(login_keeper_token(*keeper), token);
    if (count < 2)
        login_keeper_refresh(*keeper);
    else
        loop_stop(loop);
}

static void test_each_token_asks_for_the_next(void **state)
{
    const struct login login = {.token = "eyJ.1", .api = "https://x", .ca = "/ca"};
    struct login_keeper *keeper = login_keeper_new(&login);
    FAKE_API({"POST", "/login/refresh", "{}", API_CLIENT_OK, "{\"token\":\"eyJ.2\"}"},
             {"POST", "/login/refresh", "{}", API_CLIENT_OK, "{\"token\":\"eyJ.3\"}"});
    assert_int_equal(loop_new(&loop), 0);
    assert_int_equal(login_keeper_start(keeper, loop, on_next, &keeper), 0);
    login_keeper_refresh(keeper);
    login_keeper_refresh(keeper); /* one question is enough */
    loop_run(loop);
    assert_string_equal(tokens[0], "eyJ.2");
    assert_string_equal(tokens[1], "eyJ.3");
    assert_string_equal(fake_api.login, "eyJ.2");
    assert_string_equal(fake_api.ca, "/ca");
    login_keeper_stop(keeper);
    loop_free(loop);
    FAKE_API_DONE();
    login_keeper_free(keeper);
}

/* What was being asked is waited for, and then of no use. */
static void test_stopped_while_asking(void **state)
{
    const struct login login = {.token = "eyJ.1", .api = "https://x"};
    struct login_keeper *keeper = login_keeper_new(&login);
    FAKE_API({"POST", "/login/refresh", "{}", API_CLIENT_OK, "{\"token\":\"eyJ.2\"}"});
    assert_int_equal(loop_new(&loop), 0);
    assert_int_equal(login_keeper_start(keeper, loop, on_token, NULL), 0);
    login_keeper_refresh(keeper);
    login_keeper_stop(keeper);
    loop_free(loop);
    assert_string_equal(login_keeper_token(keeper), "eyJ.1");
    login_keeper_free(keeper);
    assert_int_equal(fake_api.open, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half_of_what_is_left),
        cmocka_unit_test(test_stopped_before_its_time),
        cmocka_unit_test(test_each_token_asks_for_the_next),
        cmocka_unit_test(test_stopped_while_asking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>

#include "bench/options.h"

static void test_rates(void **state)
{
    (void)state;
    uint64_t rate = 7;
    assert_int_equal(options_parse_rate("1gbit", &rate), 0);
    assert_int_equal(rate, 125000000);
    assert_int_equal(options_parse_rate("2.4mbit", &rate), 0);
    assert_int_equal(rate, 300000);
    assert_int_equal(options_parse_rate("80kbit", &rate), 0);
    assert_int_equal(rate, 10000);
    assert_int_equal(options_parse_rate("0", &rate), 0);
    assert_int_equal(rate, 0);
}

static void test_what_is_no_rate(void **state)
{
    (void)state;
    static const char *const texts[] = {"",       "gbit", "1tbit", "-1mbit",
                                        "1 gbit", "nan",  "inf",   "99999gbit"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        uint64_t rate = 7;
        assert_int_equal(options_parse_rate(texts[i], &rate), -1);
        assert_int_equal(rate, 7);
    }
}

static void test_routes(void **state)
{
    (void)state;
    char error[128];
    struct bench_options options = {
        .routes = "server,plain", .rate = "0", .known_routes = "server,hop,plain"};
    assert_true(options_has_route(&options, "server"));
    assert_true(options_has_route(&options, "plain"));
    assert_false(options_has_route(&options, "hop"));
    assert_int_equal(options_check(&options, error, sizeof(error)), 0);
    options.routes = "server,plainly";
    assert_false(options_has_route(&options, "plain"));
    assert_int_equal(options_check(&options, error, sizeof(error)), -1);
    assert_string_equal(error, "--routes: plainly is none of server,hop,plain");
}

static void test_self_and_server_exclude_each_other(void **state)
{
    (void)state;
    char error[128];
    struct bench_options options = {
        .routes = "hop", .known_routes = "server,hop,plain", .self = true, .reach.server = "h:1"};
    assert_int_equal(options_check(&options, error, sizeof(error)), -1);
    options.self = false;
    assert_int_equal(options_check(&options, error, sizeof(error)), 0);
}

static void test_rows_of_the_edge(void **state)
{
    (void)state;
    char error[128];
    struct bench_options options = {
        .what = "bulk,return", .known_routes = "edge,plain", .edge = true};
    assert_int_equal(options_check(&options, error, sizeof(error)), 0);
    assert_true(options_has_word(options.what, "return"));
    assert_false(options_has_word(options.what, "ret"));
    assert_false(options_has_word(options.what, "visits"));
    assert_true(options_has_route(&options, "edge"));
    assert_false(options_has_route(&options, "nginx"));
    options.what = "bulk,speed";
    assert_int_equal(options_check(&options, error, sizeof(error)), -1);
    assert_string_equal(error, "--what: speed is none of " OPTIONS_WHAT);
}

static void test_the_edge_has_its_own_server(void **state)
{
    (void)state;
    char error[128];
    struct bench_options options = {.known_routes = "edge", .edge = true, .reach.server = "h:1"};
    assert_int_equal(options_check(&options, error, sizeof(error)), -1);
    options.reach.server = NULL;
    assert_int_equal(options_check(&options, error, sizeof(error)), 0);
    options.legacy = true;
    assert_int_equal(options_check(&options, error, sizeof(error)), -1);
}

static void test_defaults_are_valid(void **state)
{
    (void)state;
    char *argv[] = {"bench", "open", NULL}, error[256], **arguments = NULL;
    int count = 0;
    struct bench_options options = {0};
    assert_int_equal(
        settings_read(&bench_table, 2, argv, &options, &arguments, &count, error, sizeof(error)),
        0);
    assert_int_equal(count, 1);
    assert_string_equal(arguments[0], "open");
    assert_int_equal(options_check(&options, error, sizeof(error)), 0);
    assert_int_equal(options.rounds, 3);
    assert_int_equal(options.direction, DIRECTION_ALL);
    free(arguments);
    settings_free(&bench_table, &options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_what_is_no_rate),
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_self_and_server_exclude_each_other),
        cmocka_unit_test(test_rows_of_the_edge),
        cmocka_unit_test(test_the_edge_has_its_own_server),
        cmocka_unit_test(test_defaults_are_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

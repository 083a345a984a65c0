#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/metrics.h"

static struct counters one, two;
static struct counters *const both[] = {&one, &two};

static char *text(void)
{
    size_t length = 0;
    char *made = metrics_text(both, 2, &length);
    assert_non_null(made);
    assert_int_equal(strlen(made), length);
    return made;
}

static int count(const char *where, const char *what)
{
    int found = 0;
    for (; (where = strstr(where, what)); where += strlen(what))
        found++;
    return found;
}

static void test_workers_are_summed(void **state)
{
    (void)state;
    counter_add(&one.tunnels, 5);
    counter_add(&two.tunnels, 7);
    counter_add(&two.tunnels, -1);
    counter_add(&two.bytes_to_devices, INT64_C(5000000000));
    char *made = text();
    assert_int_equal(count(made, "\nstreamplex_tunnels 11\n"), 1);
    assert_int_equal(count(made, "\nstreamplex_bytes_to_devices_total 5000000000\n"), 1);
    free(made);
}

static void test_results_are_labels_of_one_family(void **state)
{
    (void)state;
    counter_add(&one.dials_connected, 1);
    counter_add(&one.dials_refused, 2);
    counter_add(&one.dials_failed, 3);
    counter_add(&two.dials_lookup_failed, 4);
    counter_add(&two.auth_system_errors, 6);
    counter_add(&two.handshakes_failed, 8);
    char *made = text();
    assert_int_equal(count(made, "# TYPE streamplex_dials_total counter\n"), 1);
    assert_int_equal(count(made, "# HELP streamplex_dials_total Dials"), 1);
    assert_int_equal(count(made, "\nstreamplex_dials_total{result=\"connected\"} 1\n"), 1);
    assert_int_equal(count(made, "\nstreamplex_dials_total{result=\"refused\"} 2\n"), 1);
    assert_int_equal(count(made, "\nstreamplex_dials_total{result=\"failed\"} 3\n"), 1);
    assert_int_equal(count(made, "\nstreamplex_dials_total{result=\"not_found\"} 4\n"), 1);
    assert_int_equal(count(made, "\nstreamplex_auth_total{result=\"system_error\"} 6\n"), 1);
    assert_int_equal(count(made, "\nstreamplex_handshakes_total{result=\"failed\"} 8\n"), 1);
    free(made);
}

static void test_each_family_has_one_help_and_one_type(void **state)
{
    (void)state;
    char *made = text();
    for (char *line = strtok(made, "\n"), *next; line; line = next) {
        next = strtok(NULL, "\n");
        char name[128], kind[16];
        if (sscanf(line, "# HELP %127s", name) == 1) {
            char type[128];
            assert_non_null(next);
            assert_int_equal(sscanf(next, "# TYPE %127s %15s", type, kind), 2);
            assert_string_equal(type, name);
            bool total = strlen(name) > 6 && strcmp(name + strlen(name) - 6, "_total") == 0;
            assert_string_equal(kind, total ? "counter" : "gauge");
        }
    }
    free(made);
    made = text();
    assert_int_equal(count(made, "# HELP "), count(made, "# TYPE "));
    free(made);
}

static void test_the_process_is_described(void **state)
{
    (void)state;
    char *made = text();
    assert_int_equal(count(made, "\nstreamplex_build_info{version=\"" STREAMPLEX_VERSION "\"} 1\n"),
                     1);
    double value = 0;
    char *at = strstr(made, "\nprocess_resident_memory_bytes ");
    assert_non_null(at);
    assert_int_equal(sscanf(at, " process_resident_memory_bytes %lf", &value), 1);
    assert_true(value > 100000);
    at = strstr(made, "\nprocess_open_fds ");
    assert_non_null(at);
    assert_int_equal(sscanf(at, " process_open_fds %lf", &value), 1);
    assert_true(value >= 1 && value < 1000);
    assert_int_equal(made[strlen(made) - 1], '\n');
    free(made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_workers_are_summed),
        cmocka_unit_test(test_results_are_labels_of_one_family),
        cmocka_unit_test(test_each_family_has_one_help_and_one_type),
        cmocka_unit_test(test_the_process_is_described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

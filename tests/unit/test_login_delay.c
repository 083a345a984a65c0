/* Delays for those who guess; the test moves the clock. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "net/login_delay.h"

#define SECOND UINT64_C(1000000)
#define HOUR   (3600 * SECOND)

static struct login_delay *delay;

static int setup(void **state)
{
    return login_delay_new(&delay);
}

static int teardown(void **state)
{
    login_delay_free(delay);
    return 0;
}

static union address from(const char *host)
{
    union address address;
    assert_int_equal(0, address_from_host(host, 1234, &address));
    return address;
}

static void wrong(const char *host, const char *account, int times, uint64_t now)
{
    union address address = from(host);
    for (int i = 0; i < times; i++)
        login_delay_wrong(delay, &address, account, now);
}

static uint64_t ask(const char *host, const char *account, uint64_t now)
{
    union address address = from(host);
    return login_delay_ask(delay, &address, account, now);
}

static void test_grows(void **state)
{
    uint64_t now = 7 * HOUR;
    static const uint64_t seconds[] = {0,  0,  0,  0,   0,   1,   2,   4,  8,
                                       16, 32, 64, 128, 256, 512, 900, 900};
    for (size_t i = 0; i < sizeof seconds / sizeof seconds[0]; i++) {
        wrong("192.0.2.1", "ann@example.com", 1, now);
        assert_int_equal(seconds[i] * SECOND, ask("192.0.2.1", "ann@example.com", now));
        if (seconds[i])
            assert_int_equal(1, ask("192.0.2.1", "ann@example.com", now + seconds[i] * SECOND - 1));
        now += seconds[i] * SECOND;
        assert_int_equal(0, ask("192.0.2.1", "ann@example.com", now));
    }
}

static void test_address_and_account_count_apart(void **state)
{
    wrong("192.0.2.1", "ann@example.com", 6, 0);
    assert_int_equal(SECOND, ask("192.0.2.1", "bob@example.com", 0));
    assert_int_equal(SECOND, ask("192.0.2.1", NULL, 0));
    assert_int_equal(SECOND, ask("192.0.2.2", "ann@example.com", 0));
    assert_int_equal(0, ask("192.0.2.2", "bob@example.com", 0));
    wrong("192.0.2.3", "ann@example.com", 1, 0); /* the longer one holds */
    assert_int_equal(2 * SECOND, ask("192.0.2.1", "ann@example.com", 0));
}

static void test_right_forgets_the_account_alone(void **state)
{
    wrong("192.0.2.1", "ann@example.com", 6, 0);
    login_delay_right(delay, "Ann@Example.com");
    login_delay_right(delay, "nobody@example.com");
    assert_int_equal(0, ask("192.0.2.2", "ann@example.com", 0));
    assert_int_equal(SECOND, ask("192.0.2.1", "ann@example.com", 0));
}

static void test_case_of_an_account_does_not_matter(void **state)
{
    wrong("192.0.2.1", "ann@example.com", 3, 0);
    wrong("192.0.2.2", "ANN@EXAMPLE.COM", 3, 0);
    assert_int_equal(SECOND, ask("192.0.2.3", "Ann@example.com", 0));
}

static void test_addresses_of_one_host(void **state)
{
    wrong("2001:db8:1:2::1", NULL, 3, 0);
    wrong("2001:db8:1:2:3:4:5:6", NULL, 3, 0);
    assert_int_equal(SECOND, ask("2001:db8:1:2:ffff::", NULL, 0));
    assert_int_equal(0, ask("2001:db8:1:3::1", NULL, 0));
    wrong("::ffff:192.0.2.1", NULL, 6, 0);
    assert_int_equal(SECOND, ask("192.0.2.1", NULL, 0));
    assert_int_equal(0, ask("192.0.2.2", NULL, 0));
    assert_int_equal(0, ask("::ffff:192.0.2.2", NULL, 0));
}

static void test_without_an_address(void **state)
{
    union address local = {.any.sa_family = AF_UNIX};
    for (int i = 0; i < 6; i++) {
        login_delay_wrong(delay, NULL, NULL, 0);
        login_delay_wrong(delay, &local, NULL, 0);
    }
    assert_int_equal(0, login_delay_ask(delay, NULL, NULL, 0));
    assert_int_equal(0, login_delay_ask(delay, &local, "ann@example.com", 0));
    for (int i = 0; i < 6; i++)
        login_delay_wrong(delay, &local, "ann@example.com", 0);
    assert_int_equal(SECOND, login_delay_ask(delay, NULL, "ann@example.com", 0));
}

static void test_forgotten_after_an_hour(void **state)
{
    wrong("192.0.2.1", "ann@example.com", 6, 0);
    wrong("192.0.2.1", "ann@example.com", 1, HOUR - 1); /* still counted: the seventh */
    assert_int_equal(2 * SECOND, ask("192.0.2.1", "ann@example.com", HOUR - 1));
    wrong("192.0.2.1", "ann@example.com", 5, 2 * HOUR - 1); /* from the start */
    assert_int_equal(0, ask("192.0.2.1", "ann@example.com", 2 * HOUR - 1));
    wrong("192.0.2.1", "ann@example.com", 1, 2 * HOUR - 1);
    assert_int_equal(SECOND, ask("192.0.2.1", "ann@example.com", 2 * HOUR - 1));
}

static void test_a_clock_that_stands_back_frees_nobody(void **state)
{
    wrong("192.0.2.1", "ann@example.com", 6, HOUR);
    assert_int_equal(SECOND, ask("192.0.2.1", "ann@example.com", HOUR - 1));
    assert_int_equal(SECOND, ask("192.0.2.1", "ann@example.com", 0));
}

static void test_long_account_names(void **state)
{
    static char name[100001];
    memset(name, 'A', sizeof name - 1);
    wrong("192.0.2.1", name, 6, 0);
    memset(name, 'a', sizeof name - 1);
    assert_int_equal(SECOND, ask("192.0.2.2", name, 0));
}

static void test_is_bounded(void **state)
{
    char name[32];
    wrong("192.0.2.1", "first@example.com", 6, 0);
    wrong("192.0.2.1", "second@example.com", 6, 0);
    for (int i = 0; i < 65535; i++) {
        snprintf(name, sizeof name, "%d@example.com", i);
        login_delay_wrong(delay, NULL, name, 0);
    }
    /* who was wrong longest ago made room, nobody else */
    assert_int_equal(0, ask("192.0.2.2", "first@example.com", 0));
    assert_int_equal(SECOND, ask("192.0.2.2", "second@example.com", 0));
    assert_true(ask("192.0.2.1", NULL, 0) > SECOND); /* addresses have a table of their own */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_grows),
        TEST(test_address_and_account_count_apart),
        TEST(test_right_forgets_the_account_alone),
        TEST(test_case_of_an_account_does_not_matter),
        TEST(test_addresses_of_one_host),
        TEST(test_without_an_address),
        TEST(test_forgotten_after_an_hour),
        TEST(test_a_clock_that_stands_back_frees_nobody),
        TEST(test_long_account_names),
        TEST(test_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

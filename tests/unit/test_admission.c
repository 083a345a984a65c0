#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "server/admission.h"

static struct admission *admission;

static int set_up(void **state)
{
    assert_int_equal(admission_new(&admission), 0);
    return 0;
}

static int tear_down(void **state)
{
    admission_free(admission);
    return 0;
}

static union address address(const char *host)
{
    union address address;
    assert_int_equal(address_from_host(host, 1000, &address), 0);
    return address;
}

static void test_caps_the_process(void **state)
{
    struct admission_limits limits = {
        .tunnels = 2, .tunnels_per_address = 9, .unauthed = 9, .unauthed_per_address = 9};
    union address a = address("192.0.2.1"), b = address("192.0.2.2"), c = address("192.0.2.3");
    admission_configure(admission, &limits);
    assert_null(admission_enter(admission, &a));
    assert_null(admission_enter(admission, &b));
    assert_string_equal(admission_enter(admission, &c), "max-tunnels");
    admission_report(admission, &a, ADMISSION_GONE_UNAUTHED);
    assert_null(admission_enter(admission, &c));
    assert_int_equal(admission_tunnels(admission), 2);
}

static void test_caps_an_address(void **state)
{
    struct admission_limits limits = {
        .tunnels = 9, .tunnels_per_address = 1, .unauthed = 9, .unauthed_per_address = 9};
    union address a = address("192.0.2.1"), mapped = address("::ffff:192.0.2.1"),
                  b = address("192.0.2.2");
    admission_configure(admission, &limits);
    assert_null(admission_enter(admission, &a));
    assert_string_equal(admission_enter(admission, &mapped), "max-tunnels-per-address");
    assert_null(admission_enter(admission, &b));
}

static void test_counts_a_v6_network_as_one(void **state)
{
    struct admission_limits limits = {
        .tunnels = 9, .tunnels_per_address = 1, .unauthed = 9, .unauthed_per_address = 9};
    union address a = address("2001:db8:0:1::1"), same = address("2001:db8:0:1:ffff::2"),
                  other = address("2001:db8:0:2::1");
    admission_configure(admission, &limits);
    assert_null(admission_enter(admission, &a));
    assert_string_equal(admission_enter(admission, &same), "max-tunnels-per-address");
    assert_null(admission_enter(admission, &other));
}

static void test_caps_those_not_authenticated(void **state)
{
    struct admission_limits limits = {
        .tunnels = 9, .tunnels_per_address = 9, .unauthed = 2, .unauthed_per_address = 1};
    union address a = address("192.0.2.1"), b = address("192.0.2.2"), c = address("192.0.2.3");
    admission_configure(admission, &limits);
    assert_null(admission_enter(admission, &a));
    assert_string_equal(admission_enter(admission, &a), "max-unauthed-per-address");
    assert_null(admission_enter(admission, &b));
    assert_string_equal(admission_enter(admission, &c), "max-unauthed");
    admission_report(admission, &a, ADMISSION_AUTHED);
    assert_null(admission_enter(admission, &a));
    /* Going, it gives back what it holds and no more. */
    admission_report(admission, &a, ADMISSION_GONE_AUTHED);
    assert_int_equal(admission_tunnels(admission), 2);
    assert_string_equal(admission_enter(admission, &c), "max-unauthed");
}

/* A proxy in front is many visitors' address. */
static void test_trusted_addresses_have_no_cap_of_their_own(void **state)
{
    static const char *const names[] = {"all", "one", "new", "one-new"};
    struct admission_limits limits = {3, 1, 9, 1, names};
    union address a = address("192.0.2.1"), b = address("192.0.2.2");
    admission_configure(admission, &limits);
    assert_null(admission_enter_trusted(admission, &a));
    assert_null(admission_enter_trusted(admission, &a));
    assert_string_equal(admission_enter(admission, &a), "one");
    assert_null(admission_enter(admission, &b));
    assert_string_equal(admission_enter_trusted(admission, &a), "all");
    for (int i = 0; i < 2; i++)
        admission_report(admission, &a, ADMISSION_GONE_UNAUTHED);
    assert_int_equal(admission_tunnels(admission), 1);
    assert_null(admission_enter(admission, &a));
}

static void *come_and_go(void *argument)
{
    const union address *peer = argument;
    for (int i = 0; i < 2000; i++) {
        assert_null(admission_enter(admission, peer));
        admission_report(admission, peer, ADMISSION_AUTHED);
        admission_report(admission, peer, ADMISSION_GONE_AUTHED);
    }
    return NULL;
}

static void test_counts_from_any_thread(void **state)
{
    struct admission_limits limits = {9, 9, 9, 9, NULL};
    union address peers[] = {address("192.0.2.1"), address("192.0.2.1"), address("192.0.2.2")};
    pthread_t threads[3];
    admission_configure(admission, &limits);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &peers[i]), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(admission_tunnels(admission), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_caps_the_process, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_caps_an_address, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_counts_a_v6_network_as_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_caps_those_not_authenticated, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_trusted_addresses_have_no_cap_of_their_own, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_counts_from_any_thread, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

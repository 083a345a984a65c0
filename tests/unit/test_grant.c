/* What a token allows: its lists, its counts, its meters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "control/accounts.h"
#include "server/grant.h"

static struct grant *make(struct device_token token)
{
    token.id = 7;
    struct grant *grant = grant_new("an-owner", &token, NULL);
    assert_non_null(grant);
    return grant;
}

static bool may_dial(const struct grant *grant, const char *text)
{
    union address address;
    struct egress_verdict verdict = {true, ""};
    assert_int_equal(address_parse(text, &address), 0);
    return grant_may_dial(grant, &address, &verdict);
}

static void test_nothing_allows_everything(void **state)
{
    assert_true(grant_may_serve(NULL, "a", "a.test"));
    assert_true(may_dial(NULL, "10.0.0.1:1"));
    assert_true(grant_enter(NULL));
    assert_false(grant_is_exhausted(NULL));
    assert_int_equal(grant_room(NULL), SIZE_MAX);
    grant_count(NULL, 1);
    grant_leave(NULL);
    grant_unref(NULL);
}

static void test_a_login_allows_all_of_its_account(void **state)
{
    struct grant *grant = grant_new("an-owner", NULL, "a-login");
    assert_string_equal(grant->owner, "an-owner");
    assert_true(grant_may_serve(grant, "a", NULL));
    assert_true(may_dial(grant, "192.0.2.1:80"));
    assert_int_equal(grant_room(grant), SIZE_MAX);
    grant_unref(grant);
}

static void test_sockets_by_name_or_host_name(void **state)
{
    struct grant *grant = make((struct device_token){.sockets = "web, A.Edge.Test,x"});
    assert_true(grant_may_serve(grant, "web", "b.edge.test"));
    assert_true(grant_may_serve(grant, "other", "a.edge.test"));
    assert_true(grant_may_serve(grant, "x", NULL));
    assert_false(grant_may_serve(grant, "WEB", NULL)); /* names have a case */
    assert_false(grant_may_serve(grant, "we", "edge.test"));
    assert_false(grant_may_serve(grant, NULL, NULL));
    grant_unref(grant);
    grant = make((struct device_token){.sockets = "-"});
    assert_false(grant_may_serve(grant, "-", "-"));
    grant_unref(grant);
}

static void test_egress_rules_narrow(void **state)
{
    struct grant *grant = make((struct device_token){.egress_deny = "192.0.2.0/24"});
    assert_false(may_dial(grant, "192.0.2.9:80"));
    assert_true(may_dial(grant, "10.0.0.1:80")); /* the server's rules have judged that */
    grant_unref(grant);
    grant = make((struct device_token){.egress_allow = "192.0.2.0/24:443, 198.51.100.1/32",
                                       .egress_deny = "192.0.2.7/32"});
    assert_true(may_dial(grant, "192.0.2.9:443"));
    assert_false(may_dial(grant, "192.0.2.9:80"));
    assert_false(may_dial(grant, "192.0.2.7:443"));
    assert_true(may_dial(grant, "198.51.100.1:1"));
    assert_false(may_dial(grant, "203.0.113.1:443"));
    grant_unref(grant);
}

static void test_rules_that_are_none(void **state)
{
    assert_true(grant_are_rules("192.0.2.0/24:443, 198.51.100.1/32"));
    assert_false(grant_are_rules("192.0.2.0/24,nonsense"));
    assert_null(grant_new("o", &(struct device_token){.egress_deny = "nonsense"}, NULL));
}

static void test_tunnels_are_counted(void **state)
{
    struct grant *grant = make((struct device_token){.max_tunnels = 2});
    assert_true(grant_enter(grant));
    assert_true(grant_enter(grant));
    assert_false(grant_enter(grant));
    grant_leave(grant);
    assert_true(grant_enter(grant));
    assert_int_equal(grant->tunnels, 2);
    grant_unref(grant);
}

static void test_a_bucket_is_emptied_and_filled(void **state)
{
    struct grant *grant = make((struct device_token){.bytes_per_second = 1000});
    assert_int_equal(grant_room(grant), 1000);
    grant_count(grant, 1500);
    assert_int_equal(grant_room(grant), 0);
    assert_int_equal(grant->bytes, 1500);
    grant_refill(grant, 500000); /* what was overdrawn has to come in first */
    assert_int_equal(grant_room(grant), 0);
    grant_refill(grant, 100000);
    assert_int_equal(grant_room(grant), 100);
    grant_refill(grant, 10000000); /* a second's worth at most */
    assert_int_equal(grant_room(grant), 1000);
    grant_unref(grant);
}

static void test_a_bucket_of_any_size(void **state)
{
    struct grant *grant = make((struct device_token){.bytes_per_second = UINT64_MAX});
    grant_refill(grant, 1000000);
    assert_int_equal(grant_room(grant), INT64_MAX);
    grant_unref(grant);
    grant = make((struct device_token){.bytes_per_second = 1});
    grant_count(grant, 1);
    grant_refill(grant, 100000); /* less than a byte's share is a byte */
    assert_int_equal(grant_room(grant), 1);
    grant_unref(grant);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_allows_everything),
        cmocka_unit_test(test_a_login_allows_all_of_its_account),
        cmocka_unit_test(test_sockets_by_name_or_host_name),
        cmocka_unit_test(test_egress_rules_narrow),
        cmocka_unit_test(test_rules_that_are_none),
        cmocka_unit_test(test_tunnels_are_counted),
        cmocka_unit_test(test_a_bucket_is_emptied_and_filled),
        cmocka_unit_test(test_a_bucket_of_any_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

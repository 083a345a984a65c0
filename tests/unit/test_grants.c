/* The book of grants: who shares one, what was moved, and whose bytes are used up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "control/accounts.h"
#include "server/grants.h"

#define SECOND 1000000u

static struct loop *loop;
static struct grants *grants;
static uint64_t used_by_owner, used_by_token, quota_of_owner;
static int overdue;

static void add_usage(void *user, const char *owner, uint64_t bytes)
{
    if (!strcmp(owner, "ann"))
        used_by_owner += bytes;
    else if (!strcmp(owner, "token-uuid"))
        used_by_token += bytes;
}

static uint64_t usage(void *user, const char *owner)
{
    return !strcmp(owner, "ann") ? used_by_owner : used_by_token;
}

static uint64_t quota(void *user, const char *owner)
{
    return quota_of_owner;
}

static void on_overdue(void *user, const struct grant *grant)
{
    overdue++;
}

static int set_up(void **state)
{
    const struct grants_host host = {add_usage, usage, quota, on_overdue, NULL};
    used_by_owner = used_by_token = quota_of_owner = 0;
    overdue = 0;
    return loop_new(&loop) < 0 ? -1 : grants_new(loop, &host, &grants);
}

static int tear_down(void **state)
{
    grants_free(grants);
    loop_free(loop);
    return 0;
}

static struct device_token token_of(uint64_t month)
{
    return (struct device_token){.id = 3, .uuid = "token-uuid", .bytes_per_month = month};
}

static struct grant *take(const struct device_token *token)
{
    struct grant *grant = grants_take(grants, "ann", token, token ? NULL : "a-login");
    assert_non_null(grant);
    return grant;
}

static void test_one_grant_for_a_token(void **state)
{
    struct device_token token = token_of(0);
    struct grant *first = take(&token), *second = take(&token), *login = take(NULL);
    assert_ptr_equal(first, second);
    assert_ptr_not_equal(first, login);
    assert_int_equal(grants_count(grants), 2);
    grant_unref(first);
    grant_unref(second);
    grants_tick(grants, GRANTS_TICK);
    assert_int_equal(grants_count(grants), 1); /* nobody has the token's any more */
    grant_unref(login);
}

static void test_what_was_moved_is_summed(void **state)
{
    struct device_token token = token_of(0);
    struct grant *grant = take(&token);
    grant_count(grant, 10);
    grants_tick(grants, GRANTS_TICK);
    grant_count(grant, 5);
    grants_tick(grants, GRANTS_TICK);
    assert_int_equal(used_by_owner, 15);
    assert_int_equal(used_by_token, 0); /* without a limit of its own nobody asks */
    grant_count(grant, 2);
    grant_unref(grant); /* what its last tunnel moved counts, too */
    grants_tick(grants, GRANTS_TICK);
    assert_int_equal(used_by_owner, 17);
    assert_int_equal(grants_count(grants), 0);
}

static void test_the_month_of_a_token(void **state)
{
    struct device_token token = token_of(100);
    struct grant *grant = take(&token);
    grant_count(grant, 99);
    grants_tick(grants, GRANTS_TICK);
    assert_false(grant_is_exhausted(grant));
    grant_count(grant, 1);
    grants_tick(grants, GRANTS_TICK);
    assert_true(grant_is_exhausted(grant));
    used_by_token = 0; /* another month */
    grants_tick(grants, SECOND);
    assert_false(grant_is_exhausted(grant));
    grant_unref(grant);
}

static void test_the_quota_of_an_account(void **state)
{
    quota_of_owner = 50;
    used_by_owner = 50;
    struct grant *grant = take(NULL);
    assert_true(grant_is_exhausted(grant)); /* from the first moment on */
    quota_of_owner = 1000;
    grants_tick(grants, SECOND);
    assert_false(grant_is_exhausted(grant));
    grant_unref(grant);
}

static void test_who_goes_on_for_a_minute_is_ended_once(void **state)
{
    quota_of_owner = 1;
    struct grant *grant = take(NULL);
    grant_count(grant, 1);
    grants_tick(grants, GRANTS_TICK);
    assert_true(grant_is_exhausted(grant));
    for (int i = 0; i < 59; i++)
        grants_tick(grants, SECOND);
    assert_int_equal(overdue, 0);
    for (int i = 0; i < 10; i++)
        grants_tick(grants, SECOND);
    assert_int_equal(overdue, 1);
    quota_of_owner = 0;
    grants_tick(grants, SECOND);
    assert_false(grant_is_exhausted(grant));
    grant_unref(grant);
}

static void test_a_revoked_one_is_made_anew(void **state)
{
    struct device_token token = token_of(0), other = token_of(0);
    other.id = 4;
    struct grant *before = take(&token), *kept = take(&other);
    grants_revoke(grants, "ann", &token, NULL);
    struct grant *after = take(&token);
    assert_ptr_not_equal(before, after);
    grant_count(before, 8); /* its tunnels are about to close */
    grants_tick(grants, GRANTS_TICK);
    assert_int_equal(used_by_owner, 8);
    grant_unref(before);
    grant_unref(after);
    grants_revoke(grants, "ann", NULL, NULL);
    assert_int_equal(grants_count(grants), 0);
    grant_unref(kept);
    grants_tick(grants, GRANTS_TICK);
}

static struct grant *take_login(const char *login)
{
    struct grant *grant = grants_take(grants, "ann", NULL, login);
    assert_non_null(grant);
    return grant;
}

static void test_logins_are_ended_one_by_one_or_all(void **state)
{
    struct device_token token = token_of(0);
    struct grant *kept = take(&token), *one = take_login("one"), *other = take_login("other");
    struct grant *again = take_login("one");
    assert_ptr_not_equal(one, other);
    assert_ptr_equal(one, again);
    assert_string_equal(one->login, "one");
    assert_string_equal(kept->login, "");
    grants_revoke(grants, "bob", NULL, "one");
    assert_int_equal(grants_count(grants), 3);
    grants_revoke(grants, "ann", NULL, "one");
    assert_int_equal(grants_count(grants), 2);
    grants_revoke(grants, "ann", NULL, "");
    assert_int_equal(grants_count(grants), 1);
    struct grant *same = take(&token); /* the token's is what is left */
    assert_ptr_equal(same, kept);
    struct grant *const all[] = {kept, one, other, again, same};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        grant_unref(all[i]);
    grants_tick(grants, GRANTS_TICK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_grant_for_a_token, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_was_moved_is_summed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_month_of_a_token, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_quota_of_an_account, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_goes_on_for_a_minute_is_ended_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_revoked_one_is_made_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_logins_are_ended_one_by_one_or_all, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/auth_cache.h"

#define LIFETIME 300000000u

static struct auth_cache cache;
static unsigned char digest[AUTH_DIGEST_SIZE];
static char owner[AUTH_OWNER_MAX + 1];

static const unsigned char *numbered(uint32_t number)
{
    memcpy(digest, &number, sizeof number);
    return digest;
}

static int set_up(void **state)
{
    (void)state;
    auth_cache_init(&cache, LIFETIME);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    auth_cache_deinit(&cache);
    return 0;
}

static void test_an_acceptance_lasts_its_lifetime(void **state)
{
    (void)state;
    auth_cache_add(&cache, numbered(1), "ann", 1000);
    assert_int_equal(auth_cache_find(&cache, numbered(1), 1000, owner), AUTH_ACCEPTED);
    assert_string_equal(owner, "ann");
    assert_int_equal(auth_cache_find(&cache, numbered(2), 1000, owner), -1);
    assert_int_equal(auth_cache_find(&cache, numbered(1), 999 + LIFETIME, owner), AUTH_ACCEPTED);
    assert_int_equal(auth_cache_find(&cache, numbered(1), 1000 + LIFETIME, owner), -1);
}

static void test_a_refusal_lasts_five_seconds(void **state)
{
    (void)state;
    auth_cache_add(&cache, numbered(1), NULL, 0);
    assert_int_equal(auth_cache_find(&cache, numbered(1), 4999999, owner), AUTH_REFUSED);
    assert_int_equal(auth_cache_find(&cache, numbered(1), 5000000, owner), -1);
}

static void test_the_last_answer_counts(void **state)
{
    (void)state;
    auth_cache_add(&cache, numbered(1), "ann", 0);
    auth_cache_add(&cache, numbered(1), NULL, 1);
    assert_int_equal(auth_cache_find(&cache, numbered(1), 2, owner), AUTH_REFUSED);
    auth_cache_add(&cache, numbered(1), "bob", 3);
    assert_int_equal(auth_cache_find(&cache, numbered(1), 4, owner), AUTH_ACCEPTED);
    assert_string_equal(owner, "bob");
}

static void test_a_flood_of_wrong_tokens_pushes_no_right_one_out(void **state)
{
    (void)state;
    auth_cache_add(&cache, numbered(0), "ann", 0);
    for (uint32_t i = 1; i <= AUTH_CACHE_MAX + 10; i++)
        auth_cache_add(&cache, numbered(i), NULL, 1);
    assert_int_equal(auth_cache_find(&cache, numbered(0), 2, owner), AUTH_ACCEPTED);
    assert_int_equal(auth_cache_find(&cache, numbered(10), 2, owner), -1);
    assert_int_equal(auth_cache_find(&cache, numbered(11), 2, owner), AUTH_REFUSED);
    assert_int_equal(auth_cache_find(&cache, numbered(AUTH_CACHE_MAX + 10), 2, owner),
                     AUTH_REFUSED);
}

static void test_lifetime_zero_keeps_nothing(void **state)
{
    (void)state;
    auth_cache_deinit(&cache);
    auth_cache_init(&cache, 0);
    auth_cache_add(&cache, numbered(1), "ann", 0);
    assert_int_equal(auth_cache_find(&cache, numbered(1), 0, owner), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_acceptance_lasts_its_lifetime, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_refusal_lasts_five_seconds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_last_answer_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_flood_of_wrong_tokens_pushes_no_right_one_out,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lifetime_zero_keeps_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

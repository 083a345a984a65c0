#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "net/resolve.h"
#include "net/resolve_cache.h"

static void store(struct resolve_cache *cache, const char *name, uint64_t expires)
{
    union address address = {.v4 = {.sin_family = AF_INET}};
    struct resolve_answer *answer = resolve_answer_new(RESOLVE_OK, &address, 1, expires);
    assert_non_null(answer);
    resolve_cache_store(cache, name, answer);
    resolve_answer_unref(answer);
}

static void test_answers_expire(void **state)
{
    struct resolve_cache *cache = resolve_cache_new(10);
    store(cache, "a.test", 1000);
    assert_null(resolve_cache_find(cache, "b.test", 0));
    assert_non_null(resolve_cache_find(cache, "a.test", 999));
    assert_null(resolve_cache_find(cache, "a.test", 1000));
    assert_int_equal(0, resolve_cache_count(cache));
    resolve_cache_free(cache);
}

static void test_newer_answer_replaces_older(void **state)
{
    struct resolve_cache *cache = resolve_cache_new(10);
    store(cache, "a.test", 1000);
    store(cache, "a.test", 2000);
    assert_int_equal(1, resolve_cache_count(cache));
    assert_int_equal(2000, resolve_cache_find(cache, "a.test", 1500)->expires);
    resolve_cache_free(cache);
}

static void test_unused_longest_goes_first(void **state)
{
    struct resolve_cache *cache = resolve_cache_new(3);
    store(cache, "a.test", 1000);
    store(cache, "b.test", 1000);
    store(cache, "c.test", 1000);
    assert_non_null(resolve_cache_find(cache, "a.test", 1));
    store(cache, "d.test", 1000);
    assert_int_equal(3, resolve_cache_count(cache));
    assert_null(resolve_cache_find(cache, "b.test", 1));
    assert_non_null(resolve_cache_find(cache, "a.test", 1));
    assert_non_null(resolve_cache_find(cache, "c.test", 1));
    assert_non_null(resolve_cache_find(cache, "d.test", 1));
    resolve_cache_free(cache);
}

static void test_count_stays_bounded(void **state)
{
    struct resolve_cache *cache = resolve_cache_new(100);
    for (int i = 0; i < 5000; i++) {
        char name[32];
        snprintf(name, sizeof(name), "%d.test", i);
        store(cache, name, 1000);
    }
    assert_int_equal(100, resolve_cache_count(cache));
    assert_non_null(resolve_cache_find(cache, "4999.test", 1));
    assert_non_null(resolve_cache_find(cache, "4900.test", 1));
    assert_null(resolve_cache_find(cache, "4899.test", 1));
    resolve_cache_clear(cache);
    assert_int_equal(0, resolve_cache_count(cache));
    resolve_cache_free(cache);
}

static void test_answer_outlives_its_cache(void **state)
{
    struct resolve_cache *cache = resolve_cache_new(10);
    store(cache, "a.test", 1000);
    struct resolve_answer *answer = resolve_answer_ref(resolve_cache_find(cache, "a.test", 1));
    resolve_cache_free(cache);
    assert_int_equal(1, answer->count);
    resolve_answer_unref(answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_expire),
        cmocka_unit_test(test_newer_answer_replaces_older),
        cmocka_unit_test(test_unused_longest_goes_first),
        cmocka_unit_test(test_count_stays_bounded),
        cmocka_unit_test(test_answer_outlives_its_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

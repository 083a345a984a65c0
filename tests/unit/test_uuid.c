/* Random identifiers. */
#include "registry_test.h"

#include "net/pki.h"

static int fill_with_ones(void *bytes, size_t size)
{
    memset(bytes, 0xff, size);
    return 0;
}

static int fail_to_fill(void *bytes, size_t size)
{
    return -1;
}

static void test_version_and_variant_are_where_they_belong(void **state)
{
    char uuid[UUID_SIZE];
    assert_int_equal(uuid_make(fill_with_ones, uuid), 0);
    assert_string_equal(uuid, "ffffffff-ffff-4fff-bfff-ffffffffffff");
    assert_true(uuid_is_valid(uuid));
    assert_int_equal(uuid_make(fail_to_fill, uuid), -1);
}

static void test_no_two_are_the_same(void **state)
{
    char a[UUID_SIZE], b[UUID_SIZE];
    assert_int_equal(uuid_make(pki_random, a), 0);
    assert_int_equal(uuid_make(pki_random, b), 0);
    assert_string_not_equal(a, b);
}

static void test_only_the_form_is_valid(void **state)
{
    static const char *const bad[] = {"",
                                      "ffffffff-ffff-4fff-bfff-fffffffffff",
                                      "ffffffff-ffff-4fff-bfff-fffffffffffff",
                                      "FFFFFFFF-FFFF-4FFF-BFFF-FFFFFFFFFFFF",
                                      "fffffffff-fff-4fff-bfff-ffffffffffff",
                                      "ffffffff-ffff-4fff-bfff-fffffffff-ff",
                                      "gfffffff-ffff-4fff-bfff-ffffffffffff"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(uuid_is_valid(bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version_and_variant_are_where_they_belong),
        cmocka_unit_test(test_no_two_are_the_same),
        cmocka_unit_test(test_only_the_form_is_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

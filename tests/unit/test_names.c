#include "registry_test.h"

#include "registry/host_name.h"
#include "registry/names.h"

static uint32_t next[3];

static int random_next(void *bytes, size_t size)
{
    assert_int_equal(size, sizeof next);
    memcpy(bytes, next, size);
    return 0;
}

static int random_fails(void *bytes, size_t size)
{
    return -1;
}

/* Walks through both lists: each word makes a label, and no word stands there twice. */
static void test_every_word_is_a_label_and_alone(void **state)
{
    static char seen[512][2][NAMES_SIZE];
    for (uint32_t i = 0; i < 512; i++) {
        char name[NAMES_SIZE], label[64];
        next[0] = next[1] = i;
        next[2] = 6765 + 10000 * i;
        assert_int_equal(names_make(random_next, name), 0);
        assert_int_equal(host_name_parse_label(name, label), 0);
        assert_string_equal(name, label);
        assert_int_equal(sscanf(name, "%[a-z]-%[a-z]-6765", seen[i][0], seen[i][1]), 2);
        assert_non_null(strstr(name, "-6765"));
        assert_true(strlen(name) <= 9 + 1 + 9 + 5);
    }
    for (int list = 0; list < 2; list++) {
        int count = 1;
        while (strcmp(seen[count][list], seen[0][list]) != 0)
            count++;
        assert_in_range(count, 200, 256);
        for (int i = 0; i < count; i++)
            for (int j = 0; j < i; j++)
                assert_string_not_equal(seen[i][list], seen[j][list]);
    }
}

static void test_digits_are_four(void **state)
{
    char name[NAMES_SIZE];
    memset(next, 0, sizeof next);
    next[2] = 7;
    assert_int_equal(names_make(random_next, name), 0);
    assert_string_equal(strrchr(name, '-'), "-0007");
}

static void test_without_random_bytes_there_is_no_name(void **state)
{
    char name[NAMES_SIZE];
    assert_int_equal(names_make(random_fails, name), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_word_is_a_label_and_alone),
        cmocka_unit_test(test_digits_are_four),
        cmocka_unit_test(test_without_random_bytes_there_is_no_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What a login token says: well-formed, torn, and of all wrong kinds. */
#include "agent/login_claims.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* {"user_id":42,"exp":2000000000} */
#define NUMBERED "e30.eyJ1c2VyX2lkIjo0MiwiZXhwIjoyMDAwMDAwMDAwfQ.c2ln"
/* {"user_id":"7f3a-b"} */
#define NAMED "e30.eyJ1c2VyX2lkIjoiN2YzYS1iIn0.c2ln"
/* {"user_id":"../x"} */
#define PATH "e30.eyJ1c2VyX2lkIjoiLi4veCJ9.c2ln"
/* {"user_id":[1]} */
#define LISTED "e30.eyJ1c2VyX2lkIjpbMV19.c2ln"

static void test_an_id_and_an_end(void **state)
{
    struct login_claims claims;
    assert_int_equal(login_claims_read(NUMBERED, strlen(NUMBERED), &claims), 0);
    assert_string_equal(claims.user_id, "42");
    assert_int_equal(claims.expires, 2000000000);
    assert_int_equal(login_claims_read(NAMED, strlen(NAMED), &claims), 0);
    assert_string_equal(claims.user_id, "7f3a-b");
    assert_int_equal(claims.expires, 0);
}

static void test_other_forms(void **state)
{
    static const char *const texts[] = {"",   ".",    "..",        "a.b",      "e30.e30.x",
                                        PATH, LISTED, "e30.!!!.x", "e30.eyJ.x"};
    struct login_claims claims = {.expires = 5};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_equal(login_claims_read(texts[i], strlen(texts[i]), &claims), -1);
    assert_int_equal(claims.expires, 5);
}

static void test_every_beginning(void **state)
{
    struct login_claims claims;
    size_t end = (size_t)(strrchr(NUMBERED, '.') - NUMBERED);
    for (size_t length = 0; length <= strlen(NUMBERED); length++) {
        char *copy = malloc(length ? length : 1);
        memcpy(copy, NUMBERED, length);
        assert_int_equal(login_claims_read(copy, length, &claims), length > end ? 0 : -1);
        free(copy);
    }
}

static void test_a_long_one(void **state)
{
    struct login_claims claims;
    char *text = malloc(100000);
    memset(text, 'A', 100000);
    text[3] = text[99990] = '.';
    assert_int_equal(login_claims_read(text, 100000, &claims), -1);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_id_and_an_end),
        cmocka_unit_test(test_other_forms),
        cmocka_unit_test(test_every_beginning),
        cmocka_unit_test(test_a_long_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

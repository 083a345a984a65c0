/* Shared tokens: who owns which, and what a token file may hold. */
#include "server/tokens.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

struct fixture {
    struct tokens tokens;
    char error[256];
    char path[64];
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    int fd;
    if (!fixture)
        return -1;
    strcpy(fixture->path, "/tmp/test_tokens_XXXXXX");
    fd = mkstemp(fixture->path);
    *state = fixture;
    return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    tokens_deinit(&fixture->tokens);
    unlink(fixture->path);
    free(fixture);
    return 0;
}

static const char *find(const struct fixture *fixture, const char *token)
{
    return tokens_find(&fixture->tokens, token, strlen(token));
}

static int read_text(struct fixture *fixture, const void *text, size_t length)
{
    FILE *file = fopen(fixture->path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    fclose(file);
    tokens_deinit(&fixture->tokens);
    return tokens_read_file(&fixture->tokens, fixture->path, fixture->error, sizeof fixture->error);
}

static void assert_text_fails(struct fixture *fixture, const char *text, size_t length,
                              const char *error)
{
    char expected[256];
    assert_int_equal(read_text(fixture, text, length), -1);
    snprintf(expected, sizeof expected, "%s%s", fixture->path, error);
    assert_string_equal(fixture->error, expected);
}

static void test_find(void **state)
{
    struct fixture *f = *state;
    char token[16], owner[16];
    assert_null(find(f, "anything")); /* of none */
    for (int i = 1; i <= 9; i++) {
        snprintf(token, sizeof token, "secret-%d", i);
        snprintf(owner, sizeof owner, "owner%d", i);
        assert_int_equal(
            tokens_add(&f->tokens, i % 2 ? NULL : owner, token, f->error, sizeof f->error), 0);
    }
    assert_string_equal(find(f, "secret-1"), "token-1");
    assert_string_equal(find(f, "secret-2"), "owner2");
    assert_string_equal(find(f, "secret-9"), "token-9");
    assert_null(find(f, "secret-10"));
    assert_null(find(f, "secret-"));
    assert_null(find(f, ""));
    assert_null(tokens_find(&f->tokens, "secret-1\0", 9));
    assert_string_equal(tokens_find(&f->tokens, "secret-1x", 8), "token-1");
}

static void test_first_of_equal_tokens_counts(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(tokens_add(&f->tokens, "ann", "same", f->error, sizeof f->error), 0);
    assert_int_equal(tokens_add(&f->tokens, "bob", "same", f->error, sizeof f->error), 0);
    assert_string_equal(find(f, "same"), "ann");
}

static void test_lengths(void **state)
{
    struct fixture *f = *state;
    char token[2050];
    memset(token, 't', sizeof token);
    token[2048] = '\0';
    assert_int_equal(tokens_add(&f->tokens, NULL, token, f->error, sizeof f->error), 0);
    assert_string_equal(find(f, token), "token-1");
    token[2048] = 't';
    token[2049] = '\0';
    assert_int_equal(tokens_add(&f->tokens, NULL, token, f->error, sizeof f->error), -1);
    assert_string_equal(f->error, "a token has 1 to 2048 bytes");
    assert_int_equal(tokens_add(&f->tokens, NULL, "", f->error, sizeof f->error), -1);
    assert_int_equal(f->tokens.count, 1);
}

static void test_owners(void **state)
{
    static const char *const good[] = {"a", "Ann.B_c@d-9", "token-", "token-1a", "token"};
    static const char *const bad[] = {"", "a b", "a/b", "\xc3\xa9", "a:b"};
    struct fixture *f = *state;
    char owner[66];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(tokens_add(&f->tokens, good[i], "t", f->error, sizeof f->error), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(tokens_add(&f->tokens, bad[i], "t", f->error, sizeof f->error), -1);
        assert_string_equal(f->error,
                            "an owner has 1 to 64 characters of A-Z, a-z, 0-9 and . _ @ -");
    }
    assert_int_equal(tokens_add(&f->tokens, "token-12", "t", f->error, sizeof f->error), -1);
    assert_string_equal(f->error,
                        "owner token-12: names like this are for tokens without an owner");
    memset(owner, 'o', sizeof owner);
    owner[64] = '\0';
    assert_int_equal(tokens_add(&f->tokens, owner, "long", f->error, sizeof f->error), 0);
    assert_string_equal(find(f, "long"), owner);
    owner[64] = 'o';
    owner[65] = '\0';
    assert_int_equal(tokens_add(&f->tokens, owner, "t", f->error, sizeof f->error), -1);
}

static void test_file(void **state)
{
    static const char text[] = "# the fleet\r\n"
                               "\n"
                               "  \t\r\n"
                               "first\r\n"
                               "  ann: second \n"
                               "a b:third\n"
                               "bob:four:th\n"
                               " # not a token\n"
                               "carol:#fifth\n"
                               "last";
    struct fixture *f = *state;
    assert_int_equal(read_text(f, text, sizeof text - 1), 0);
    assert_int_equal(f->tokens.count, 6);
    assert_string_equal(find(f, "first"), "token-1");
    assert_string_equal(find(f, "second"), "ann");
    assert_string_equal(find(f, "a b:third"), "token-3"); /* no owner has a blank */
    assert_string_equal(find(f, "four:th"), "bob");
    assert_string_equal(find(f, "#fifth"), "carol");
    assert_string_equal(find(f, "last"), "token-6");
    assert_int_equal(read_text(f, "", 0), 0);
    assert_int_equal(f->tokens.count, 0);
}

static void test_file_errors(void **state)
{
    struct fixture *f = *state;
    char longest[4096];
    assert_text_fails(f, "good\n\nann:\n", 11, ":3: a token has 1 to 2048 bytes");
    assert_text_fails(f, "a\0b\n", 4, ":1: a token can't have a NUL byte");
    assert_text_fails(f, "token-7:secret\n", 15,
                      ":1: owner token-7: names like this are for tokens without an owner");
    memset(longest, ' ', sizeof longest);
    assert_text_fails(f, longest, sizeof longest, ":1: the line is longer than 2177 bytes");
    memset(longest, 't', sizeof longest);
    assert_text_fails(f, longest, 2049, ":1: a token has 1 to 2048 bytes");
    assert_int_equal(read_text(f, longest, 2048), 0);
    memcpy(longest, "ann:", 4);
    assert_int_equal(read_text(f, longest, 2052), 0);
    assert_int_equal(tokens_read_file(&f->tokens, "/nonexistent/tokens", f->error, sizeof f->error),
                     -1);
    assert_string_equal(f->error, "/nonexistent/tokens: No such file or directory");
    assert_int_equal(tokens_read_file(&f->tokens, "/tmp", f->error, sizeof f->error), -1);
    assert_string_equal(f->error, "/tmp: Is a directory");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_find),    TEST(test_first_of_equal_tokens_counts),
        TEST(test_lengths), TEST(test_owners),
        TEST(test_file),    TEST(test_file_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

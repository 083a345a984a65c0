#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "edge/acme.h"

#define TOKEN "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr_oA"

static char webroot[] = "/tmp/streamplex-test-XXXXXX";

static void write_file(int root, const char *name, size_t length)
{
    int fd = openat(root, name, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
    for (size_t i = 0; i < length; i++)
        assert_int_equal(write(fd, "x", 1), 1);
    close(fd);
}

static int make(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(webroot));
    int root = open(webroot, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mkdirat(root, ".well-known", 0700);
    mkdirat(root, ".well-known/acme-challenge", 0700);
    mkdirat(root, ".well-known/acme-challenge/folder", 0700);
    write_file(root, ".well-known/acme-challenge/" TOKEN, 87);
    write_file(root, ".well-known/acme-challenge/empty", 0);
    write_file(root, ".well-known/acme-challenge/longest", ACME_MAX);
    write_file(root, ".well-known/acme-challenge/too_long", ACME_MAX + 1);
    write_file(root, ".well-known/acme-challenge/a.txt", 1);
    mkfifoat(root, ".well-known/acme-challenge/pipe", 0600);
    assert_int_equal(symlinkat("/etc/passwd", root, ".well-known/acme-challenge/link"), 0);
    close(root);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    static const char *const names[] = {TOKEN,   "empty", "longest", "too_long",
                                        "a.txt", "pipe",  "link"};
    char path[512];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s" ACME_PATH "%s", webroot, names[i]);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s" ACME_PATH "folder", webroot);
    rmdir(path);
    snprintf(path, sizeof path, "%s/.well-known/acme-challenge", webroot);
    rmdir(path);
    snprintf(path, sizeof path, "%s/.well-known", webroot);
    rmdir(path);
    return rmdir(webroot);
}

static void test_a_challenge_is_read(void **state)
{
    (void)state;
    char buffer[ACME_MAX] = "";
    assert_int_equal(acme_read(webroot, ACME_PATH TOKEN, buffer), 87);
    assert_memory_equal(buffer, "xxxxx", 5);
    assert_int_equal(buffer[87], 0);
    assert_int_equal(acme_read(webroot, ACME_PATH "empty", buffer), 0);
    assert_int_equal(acme_read(webroot, ACME_PATH "longest", buffer), ACME_MAX);
}

static void test_nothing_else_is_read(void **state)
{
    (void)state;
    static const char *const bad[] = {
        ACME_PATH,
        ACME_PATH "none",
        ACME_PATH "too_long",
        ACME_PATH "a.txt",
        ACME_PATH "folder",
        ACME_PATH "pipe",
        ACME_PATH "link",
        ACME_PATH "../acme-challenge/empty",
        ACME_PATH "..",
        ACME_PATH "empty?x",
        ACME_PATH "empty/",
        ACME_PATH "/empty",
        ACME_PATH "%65mpty",
        "/etc/passwd",
        "/",
        "",
    };
    char buffer[ACME_MAX];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (acme_read(webroot, bad[i], buffer) != -1)
            fail_msg("read: %s", bad[i]);
    assert_int_equal(acme_read("/nowhere/at/all", ACME_PATH TOKEN, buffer), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_challenge_is_read),
        cmocka_unit_test(test_nothing_else_is_read),
    };
    return cmocka_run_group_tests(tests, make, clean);
}

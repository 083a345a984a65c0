#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/beneath.h"

typedef int opener(int folder, const char *path, int flags);

static char folder[] = "/tmp/streamplex-test-XXXXXX";
static int root;

static int make(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat(root, "shared", 0700), 0);
    assert_int_equal(mkdirat(root, "shared/sub", 0700), 0);
    close(openat(root, "secret", O_CREAT | O_WRONLY, 0600));
    close(openat(root, "shared/file", O_CREAT | O_WRONLY, 0600));
    close(openat(root, "shared/sub/file", O_CREAT | O_WRONLY, 0600));
    assert_int_equal(symlinkat("../secret", root, "shared/out"), 0);
    assert_int_equal(symlinkat("/etc", root, "shared/etc"), 0);
    assert_int_equal(symlinkat("/proc/self/root", root, "shared/magic"), 0);
    assert_int_equal(symlinkat("sub/file", root, "shared/in"), 0);
    assert_int_equal(mkfifoat(root, "shared/pipe", 0600), 0);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    static const char *const names[] = {"shared/sub/file", "shared/file", "shared/out",
                                        "shared/etc",      "shared/in",   "shared/magic",
                                        "shared/pipe",     "secret"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlinkat(root, names[i], 0);
    unlinkat(root, "shared/sub", AT_REMOVEDIR);
    unlinkat(root, "shared", AT_REMOVEDIR);
    close(root);
    return rmdir(folder);
}

static int open_with(opener *open_it, const char *path, int flags)
{
    int shared = openat(root, "shared", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = open_it(shared, path, flags);
    close(shared);
    if (fd < 0)
        return fd;
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    close(fd);
    return 0;
}

static int open_shared(opener *open_it, const char *path)
{
    return open_with(open_it, path, O_RDONLY);
}

static void expect_inside(opener *open_it)
{
    assert_int_equal(open_shared(open_it, "file"), 0);
    assert_int_equal(open_shared(open_it, "sub/file"), 0);
    assert_int_equal(open_shared(open_it, "sub"), 0);
    assert_int_equal(open_shared(open_it, ""), 0);
    assert_int_equal(open_with(open_it, "sub/file", O_PATH), 0);
    assert_int_equal(open_with(open_it, "sub", O_RDONLY | O_DIRECTORY), 0);
    assert_int_equal(open_with(open_it, "file", O_RDONLY | O_DIRECTORY), -ENOTDIR);
    assert_int_equal(open_shared(open_it, "pipe"), 0); /* and nobody waits */
    assert_int_equal(open_shared(open_it, "none"), -ENOENT);
    assert_int_equal(open_shared(open_it, "none/file"), -ENOENT);
    assert_int_equal(open_shared(open_it, "file/file"), -ENOTDIR);
}

static void expect_outside(opener *open_it)
{
    static const char *const bad[] = {"..",          "../secret", "sub/../../secret",
                                      "/etc/passwd", "sub//file", "sub/./file",
                                      "./file",      "file/",     "sub/",
                                      "sub/../file", "."};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (open_shared(open_it, bad[i]) != -EINVAL)
            fail_msg("%s", bad[i]);
    assert_true(open_shared(open_it, "out") < 0);
    assert_true(open_shared(open_it, "etc/passwd") < 0);
    assert_true(open_shared(open_it, "magic/etc/passwd") < 0);
}

static void test_what_is_inside_opens(void **state)
{
    (void)state;
    expect_inside(beneath_open);
    expect_inside(beneath_open_stepwise);
    int fd = beneath_open(root, "shared/in", O_RDONLY);
    if (fd >= 0) /* a kernel with openat2(2) */
        close(fd);
    else
        assert_int_equal(fd, -ELOOP);
    assert_int_equal(open_shared(beneath_open_stepwise, "in"), -ELOOP);
}

static void test_nothing_leads_out(void **state)
{
    (void)state;
    expect_outside(beneath_open);
    expect_outside(beneath_open_stepwise);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_inside_opens),
        cmocka_unit_test(test_nothing_leads_out),
    };
    return cmocka_run_group_tests(tests, make, clean);
}

/* What the scheduler is asked for, and what is left as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <linux/sched.h>
#include <linux/sched/types.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "net/time_slice.h"

static struct sched_attr attributes(void)
{
    struct sched_attr attr;
    assert_int_equal(syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0), 0);
    return attr;
}

static bool kernel_has_slices(void)
{
    struct utsname name;
    int major = 0, minor = 0;
    assert_int_equal(uname(&name), 0);
    assert_int_equal(sscanf(name.release, "%d.%d", &major, &minor), 2);
    return major > 6 || (major == 6 && minor >= 12);
}

static void test_slice_is_short_and_nice_stays(void **state)
{
    assert_int_not_equal(nice(3), -1);
    struct sched_attr before = attributes();
    time_slice_shorten();
    struct sched_attr after = attributes();
    assert_int_equal(after.sched_policy, SCHED_NORMAL);
    assert_int_equal(after.sched_nice, before.sched_nice);
    /* a kernel may have got slices in an older version, too */
    if (kernel_has_slices() || after.sched_runtime != before.sched_runtime)
        assert_int_equal(after.sched_runtime, 500000);
}

static void test_other_policies_stay(void **state)
{
    struct sched_attr idle = {.size = sizeof idle, .sched_policy = SCHED_IDLE};
    assert_int_equal(syscall(SYS_sched_setattr, 0, &idle, 0), 0);
    struct sched_attr before = attributes();
    time_slice_shorten();
    struct sched_attr after = attributes();
    assert_int_equal(after.sched_policy, SCHED_IDLE);
    assert_int_equal(after.sched_runtime, before.sched_runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slice_is_short_and_nice_stays),
        cmocka_unit_test(test_other_policies_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What the tests of src/net share: a loop that runs until something has happened, pairs of
 * connections, and a folder with a certificate. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"
#include "net/conn.h"
#include "net/loop.h"
#include "net/pki.h"
#include "net/timer.h"
#include "net/tls.h"

#define TEST_SECOND UINT64_C(1000000)

/* --- loop: run until a condition holds; 20 s without it is a failure, never a wait --- */

struct test_watchdog {
    struct timer timer;
    bool barked;
};

static inline void test_bark(struct timer *timer)
{
    ((struct test_watchdog *)(void *)timer)->barked = true;
    loop_stop(timer->loop);
}

struct test_until {
    struct timer tick;
    struct loop *loop;
    bool (*holds)(void *user);
    void *user;
};

static inline void test_check(struct timer *timer)
{
    struct test_until *until =
        (struct test_until *)(void *)((char *)timer - offsetof(struct test_until, tick));
    if (until->holds(until->user))
        loop_stop(until->loop);
    else
        timer_start(timer, loop_now(until->loop) + 1000);
}

static inline void test_run_until(struct loop *loop, bool (*holds)(void *user), void *user)
{
    struct test_watchdog watchdog = {0};
    struct test_until until = {.loop = loop, .holds = holds, .user = user};
    timer_init(&watchdog.timer, loop, test_bark);
    timer_start(&watchdog.timer, loop_update_now(loop) + 20 * TEST_SECOND);
    timer_init(&until.tick, loop, test_check);
    timer_start(&until.tick, loop_now(loop));
    if (!holds(user))
        loop_run(loop);
    timer_stop(&until.tick);
    timer_stop(&watchdog.timer);
    assert_false(watchdog.barked);
}

static inline bool test_flag_holds(void *flag)
{
    return *(bool *)flag;
}

static inline bool test_never(void *deadline_passed)
{
    return *(bool *)deadline_passed;
}

struct test_pause {
    struct timer timer;
    bool over;
};

static inline void test_pause_over(struct timer *timer)
{
    ((struct test_pause *)(void *)timer)->over = true;
}

/* Lets the loop have its turns for a while, for what must not happen. */
static inline void test_run_for(struct loop *loop, uint64_t microseconds)
{
    struct test_pause pause = {0};
    timer_init(&pause.timer, loop, test_pause_over);
    timer_start(&pause.timer, loop_update_now(loop) + microseconds);
    test_run_until(loop, test_never, &pause.over);
}

/* --- files ---------------------------------------------------------------- */

static inline char *test_folder(void)
{
    char *path = strdup("/tmp/streamplex-test-XXXXXX");
    assert_non_null(mkdtemp(path));
    return path;
}

static inline const char *test_path(const char *folder, const char *name)
{
    static char paths[8][512];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static inline void test_remove_folder(char *folder)
{
    static const char *const names[] = {"ca.pem",     "ca.key",    "server.pem",
                                        "server.key", "other.pem", "other.key"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)unlink(test_path(folder, names[i]));
    assert_int_equal(rmdir(folder), 0);
    free(folder);
}

/* --- sockets -------------------------------------------------------------- */

/* Two ends of a TCP connection over the loopback interface; blocking. */
static inline void test_tcp_pair(int fds[2])
{
    union address address;
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(address_from_host("127.0.0.1", 0, &address), 0);
    assert_int_equal(bind(listener, &address.any, address_size(&address)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, &address.any, &size), 0);
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fds[0], &address.any, address_size(&address)), 0);
    fds[1] = accept(listener, NULL, NULL);
    assert_true(fds[1] >= 0);
    close(listener);
}

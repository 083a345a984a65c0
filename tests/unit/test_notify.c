#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/notify.h"

#ifdef HAVE_SYSTEMD
#define SYSTEMD true
#else
#define SYSTEMD false
#endif

struct manager {
    char folder[64];
    struct sockaddr_un address;
    int fd;
};

static int set_up(void **state)
{
    static struct manager manager;
    strcpy(manager.folder, "/tmp/streamplex-notify-XXXXXX");
    if (!mkdtemp(manager.folder))
        return -1;
    manager.address.sun_family = AF_UNIX;
    snprintf(manager.address.sun_path, sizeof manager.address.sun_path, "%s/socket",
             manager.folder);
    manager.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bind(manager.fd, (struct sockaddr *)&manager.address, sizeof manager.address) < 0)
        return -1;
    setenv("NOTIFY_SOCKET", manager.address.sun_path, 1);
    *state = &manager;
    return 0;
}

static int tear_down(void **state)
{
    struct manager *manager = *state;
    close(manager->fd);
    unlink(manager->address.sun_path);
    rmdir(manager->folder);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return 0;
}

/* What the manager heard next, "" for nothing. */
static const char *heard(struct manager *manager)
{
    static char text[512];
    ssize_t length = recv(manager->fd, text, sizeof text - 1, 0);
    text[length < 0 ? 0 : length] = 0;
    return text;
}

static void test_each_state_is_told(void **state)
{
    struct manager *manager = *state;
    if (!SYSTEMD)
        skip();
    notify_ready();
    assert_string_equal(heard(manager), "READY=1");
    notify_reloading();
    assert_int_equal(strncmp(heard(manager), "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
    notify_stopping();
    assert_string_equal(heard(manager), "STOPPING=1");
    notify_status("%d tunnels", 12);
    assert_string_equal(heard(manager), "STATUS=12 tunnels");
}

static void test_status_cannot_smuggle_an_assignment(void **state)
{
    struct manager *manager = *state;
    if (!SYSTEMD)
        skip();
    notify_status("%s", "x\nMAINPID=1");
    assert_string_equal(heard(manager), "STATUS=x MAINPID=1");
}

static void test_without_a_manager_nothing_happens(void **state)
{
    unsetenv("NOTIFY_SOCKET");
    notify_ready();
    notify_status("%s", "nobody listens");
    assert_string_equal(heard(*state), "");
    assert_int_equal(notify_watchdog_interval(), 0);
    int first;
    char **names;
    assert_int_equal(notify_listen_fds(&first, &names), 0);
    assert_null(names);
}

static void watch_for(const char *interval, pid_t whom)
{
    char pid[16];
    snprintf(pid, sizeof pid, "%d", (int)whom);
    setenv("WATCHDOG_PID", pid, 1);
    setenv("WATCHDOG_USEC", interval, 1);
}

static void test_pings_come_thrice_as_often_as_needed(void **state)
{
    if (!SYSTEMD)
        skip();
    watch_for("30000000", getpid());
    assert_int_equal(notify_watchdog_interval(), 10000000);
    notify_watchdog();
    assert_string_equal(heard(*state), "WATCHDOG=1");
}

static void test_a_watch_kept_on_another_process_is_not_ours(void **state)
{
    (void)state;
    watch_for("30000000", getppid());
    assert_int_equal(notify_watchdog_interval(), 0);
}

/* In a child of its own: the descriptors of socket activation begin at 3, which here may be
 * anything. */
static int take_sockets(void)
{
    int listener = fcntl(socket(AF_INET6, SOCK_STREAM, 0), F_DUPFD, 10);
    char pid[16];
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", "2", 1);
    setenv("LISTEN_FDNAMES", "tunnels:old", 1);
    if (dup2(listener, 3) != 3 || dup2(listener, 4) != 4)
        return 1;
    int first;
    char **names;
    if (notify_listen_fds(&first, &names) != 2 || first != 3)
        return 2;
    if (strcmp(names[0], "tunnels") != 0 || strcmp(names[1], "old") != 0)
        return 3;
    notify_free_names(names, 2);
    if (!(fcntl(3, F_GETFD) & FD_CLOEXEC) || !(fcntl(4, F_GETFD) & FD_CLOEXEC))
        return 4;
    return getenv("LISTEN_FDS") ? 5 : 0;
}

static void test_passed_sockets_come_with_their_names(void **state)
{
    (void)state;
    if (!SYSTEMD)
        skip();
    pid_t child = fork();
    if (child == 0)
        _exit(take_sockets());
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_state_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_status_cannot_smuggle_an_assignment, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_without_a_manager_nothing_happens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pings_come_thrice_as_often_as_needed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_watch_kept_on_another_process_is_not_ours, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_passed_sockets_come_with_their_names, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

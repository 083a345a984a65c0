#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "edge/access_log.h"

#define WRITERS 4
#define LINES   200

static char folder[] = "/tmp/streamplex-test-XXXXXX";
static char file[64];
static char error[256];
static char content[1 << 20];

static const struct visit_record record = {
    .service = "echo",
    .socket = "edge.localhost:41106",
    .owner = "ann",
    .type = "tcp",
    .visitor = "192.0.2.106",
    .method = "",
    .target = "",
    .version = "",
    .referer = "",
    .user_agent = "",
    .error = "",
    .time = 1606331990999,
    .status = 200,
    .bytes_in = 5,
    .bytes_out = 8,
    .total = 1899000,
};

#define LINE                                                                                       \
    "192.0.2.106 [25/Nov/2020:19:19:50 +0000] TCP 200 bytes_sent:8 bytes_received:5 "              \
    "session_time: 1.899 socket=edge.localhost:41106 owner=\"ann\"\n"

static int make(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/access.log", folder);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    unlink(file);
    return rmdir(folder);
}

static int remove_file(void **state)
{
    (void)state;
    unlink(file);
    return 0;
}

static size_t read_file(void)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t length = read(fd, content, sizeof content - 1);
    assert_true(length >= 0);
    content[length] = 0;
    close(fd);
    return (size_t)length;
}

static struct access_log *open_log(bool is_json)
{
    struct access_log *log;
    if (access_log_open(file, is_json, &log, error, sizeof error) < 0)
        fail_msg("%s", error);
    return log;
}

static void test_lines_are_appended(void **state)
{
    (void)state;
    struct stat facts;
    for (int i = 0; i < 2; i++) {
        struct access_log *log = open_log(false);
        access_log_write(log, &record);
        access_log_unref(log);
    }
    read_file();
    assert_string_equal(content, LINE LINE);
    assert_int_equal(stat(file, &facts), 0);
    assert_int_equal(facts.st_mode & 0137, 0);
}

static void test_json_is_a_line_each(void **state)
{
    (void)state;
    struct access_log *log = open_log(true);
    access_log_write(log, &record);
    access_log_unref(log);
    size_t length = read_file();
    assert_true(length > 2 && content[0] == '{' && content[length - 2] == '}');
    assert_int_equal(content[length - 1], '\n');
    assert_non_null(strstr(content, "\"owner\":\"ann\""));
}

static void test_it_lives_as_long_as_a_reference(void **state)
{
    (void)state;
    struct access_log *log = open_log(false);
    assert_ptr_equal(access_log_ref(log), log);
    access_log_unref(log);
    access_log_write(log, &record);
    access_log_unref(log);
    read_file();
    assert_string_equal(content, LINE);
    assert_null(access_log_ref(NULL));
    access_log_unref(NULL);
    access_log_write(NULL, &record);
}

/* logrotate moves the file, and the reload opens a new one; who still has the old one writes there.
 */
static void test_a_moved_file_is_left_for_a_new_one(void **state)
{
    (void)state;
    char moved[80];
    struct access_log *old = open_log(false);
    snprintf(moved, sizeof moved, "%s.1", file);
    assert_int_equal(rename(file, moved), 0);
    struct access_log *new = open_log(false);
    access_log_write(old, &record);
    assert_int_equal(read_file(), 0);
    access_log_write(new, &record);
    assert_int_equal(read_file(), strlen(LINE));
    access_log_unref(old);
    access_log_unref(new);
    unlink(moved);
}

static void *write_lines(void *user)
{
    for (int i = 0; i < LINES; i++)
        access_log_write(user, &record);
    access_log_unref(user);
    return NULL;
}

static void test_workers_dont_mix_their_lines(void **state)
{
    (void)state;
    pthread_t threads[WRITERS];
    struct access_log *log = open_log(false);
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, access_log_ref(log)), 0);
    access_log_unref(log);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(read_file(), WRITERS * LINES * strlen(LINE));
    for (size_t at = 0; content[at]; at += strlen(LINE))
        assert_memory_equal(content + at, LINE, strlen(LINE));
}

static void test_what_cant_be_opened_is_said(void **state)
{
    (void)state;
    struct access_log *log = NULL;
    assert_int_equal(access_log_open("/nowhere/at/all", false, &log, error, sizeof error), -1);
    assert_null(log);
    assert_string_equal(
        error, "the access log /nowhere/at/all can't be opened: No such file or directory");
    assert_int_equal(mkfifo(file, 0600), 0); /* and nobody reads it */
    assert_int_equal(access_log_open(file, false, &log, error, sizeof error), -1);
    assert_null(log);
}

static void test_a_full_disk_ends_nothing(void **state)
{
    (void)state;
    struct access_log *log;
    assert_int_equal(access_log_open("/dev/full", false, &log, error, sizeof error), 0);
    access_log_write(log, &record);
    access_log_write(log, &record);
    access_log_unref(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_lines_are_appended, remove_file),
        cmocka_unit_test_teardown(test_json_is_a_line_each, remove_file),
        cmocka_unit_test_teardown(test_it_lives_as_long_as_a_reference, remove_file),
        cmocka_unit_test_teardown(test_a_moved_file_is_left_for_a_new_one, remove_file),
        cmocka_unit_test_teardown(test_workers_dont_mix_their_lines, remove_file),
        cmocka_unit_test_teardown(test_what_cant_be_opened_is_said, remove_file),
        cmocka_unit_test(test_a_full_disk_ends_nothing),
    };
    return cmocka_run_group_tests(tests, make, clean);
}

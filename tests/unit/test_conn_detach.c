/* A raw connection that goes to another loop from within on_readable, as a visitor does when its
 * first bytes have told where it belongs. */
#include "net_test.h"

#include <sys/ioctl.h>

static struct loop *loops[2];

/* Reads `head_to` bytes on the first loop, all on the second. */
struct guest {
    struct conn *conn;
    size_t head_to;
    bool reads_on;  /* until CONN_WAIT or CONN_END, before it is handed on */
    char head[100]; /* read on the first loop */
    size_t head_size;
    char text[100]; /* read on the second */
    size_t size;
    int calls;     /* of the first loop's callbacks after it was handed on */
    bool handed;   /* over */
    bool seen_end; /* on the first loop */
    bool ended, failed;
};

static struct guest guest;

/* --- The second loop -------------------------------------------------------------- */

static void read_all(struct conn *conn)
{
    ssize_t n;
    while ((n = conn_read(conn, guest.text + guest.size, sizeof guest.text - guest.size)) > 0)
        guest.size += (size_t)n;
    guest.ended |= n == CONN_END;
    guest.failed |= n == CONN_FAILED;
}

static void ignore(struct conn *conn)
{
}

static void count_failure(struct conn *conn)
{
    guest.failed = true;
}

static const struct conn_callbacks after = {ignore, read_all, ignore, ignore, count_failure};

/* --- The first -------------------------------------------------------------------- */

/* The bytes that were read here go first, then what the connection hadn't given out yet. */
static void hand_on(struct conn *conn)
{
    int fd;
    void *left;
    size_t left_size;
    char bytes[200];
    assert_int_equal(conn_detach(conn, &fd, &left, &left_size), 0);
    memcpy(bytes, guest.head, guest.head_size);
    if (left_size)
        memcpy(bytes + guest.head_size, left, left_size);
    free(left);
    assert_int_equal(
        conn_attach(loops[1], fd, bytes, guest.head_size + left_size, &after, NULL, &guest.conn),
        0);
    guest.handed = true;
}

static void read_head(struct conn *conn)
{
    ssize_t n = 1;
    if (guest.handed)
        guest.calls++;
    while (n > 0 && guest.head_size < guest.head_to) {
        n = conn_read(conn, guest.head + guest.head_size, guest.head_to - guest.head_size);
        if (n > 0)
            guest.head_size += (size_t)n;
    }
    guest.seen_end |= n == CONN_END;
    if (guest.reads_on ? n <= 0 : guest.head_size == guest.head_to)
        hand_on(conn);
}

static void count_call(struct conn *conn)
{
    guest.calls += guest.handed;
}

static const struct conn_callbacks before = {count_call, read_head, count_call, count_call,
                                             count_call};

/* --- Tests ------------------------------------------------------------------------ */

static int set_up(void **state)
{
    guest = (struct guest){0};
    for (int i = 0; i < 2; i++)
        assert_int_equal(loop_new(&loops[i]), 0);
    return 0;
}

static int tear_down(void **state)
{
    for (int i = 0; i < 2; i++)
        loop_free(loops[i]);
    return 0;
}

static void visitor_writes(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void finish(int fd, const char *expected)
{
    test_run_until(loops[1], test_flag_holds, &guest.ended);
    guest.text[guest.size] = 0;
    assert_string_equal(guest.text, expected);
    assert_int_equal(guest.calls, 0);
    assert_false(guest.failed);
    assert_int_equal(conn_write(guest.conn, "answer", 6), 6); /* the visitor has half-closed only */
    conn_close(guest.conn);
    test_run_for(loops[1], 1000);
    char buffer[10] = "";
    assert_int_equal(recv(fd, buffer, sizeof buffer, MSG_WAITALL), 6);
    assert_string_equal(buffer, "answer");
    close(fd);
}

static void test_the_head_and_the_rest_arrive(void **state)
{
    int fds[2];
    test_tcp_pair(fds);
    guest.head_to = 4;
    visitor_writes(fds[0], "head and body");
    assert_int_equal(conn_open(loops[0], fds[1], &before, NULL, &guest.conn), 0);
    test_run_until(loops[0], test_flag_holds, &guest.handed);
    test_run_for(loops[0], 1000);
    visitor_writes(fds[0], ", and more");
    shutdown(fds[0], SHUT_WR);
    test_run_for(loops[0], 1000);
    finish(fds[0], "head and body, and more");
}

/* All was read, and nothing more comes but the FIN: no event may be missed for having been one of
 * the first loop's. */
static void test_an_empty_socket_goes_on(void **state)
{
    int fds[2];
    test_tcp_pair(fds);
    guest.head_to = sizeof guest.head;
    guest.reads_on = true;
    visitor_writes(fds[0], "all");
    assert_int_equal(conn_open(loops[0], fds[1], &before, NULL, &guest.conn), 0);
    test_run_until(loops[0], test_flag_holds, &guest.handed);
    assert_false(guest.seen_end);
    test_run_for(loops[1], 1000);
    assert_int_equal(guest.size, 3);
    shutdown(fds[0], SHUT_WR);
    finish(fds[0], "all");
}

/* The end that was seen before is seen again by the next owner. */
static void test_an_end_seen_before_is_seen_again(void **state)
{
    int fds[2];
    test_tcp_pair(fds);
    guest.head_to = sizeof guest.head;
    guest.reads_on = true;
    visitor_writes(fds[0], "all of it");
    shutdown(fds[0], SHUT_WR);
    test_run_for(loops[0], 1000); /* bytes and FIN are one event */
    assert_int_equal(conn_open(loops[0], fds[1], &before, NULL, &guest.conn), 0);
    test_run_until(loops[0], test_flag_holds, &guest.handed);
    assert_true(guest.seen_end);
    finish(fds[0], "all of it");
}

/* The FIN came with the bytes, and wasn't read. */
static void test_an_end_behind_the_head_is_seen(void **state)
{
    int fds[2];
    test_tcp_pair(fds);
    guest.head_to = 4;
    visitor_writes(fds[0], "head");
    shutdown(fds[0], SHUT_WR);
    test_run_for(loops[0], 1000);
    assert_int_equal(conn_open(loops[0], fds[1], &before, NULL, &guest.conn), 0);
    test_run_until(loops[0], test_flag_holds, &guest.handed);
    assert_false(guest.seen_end);
    test_run_for(loops[0], 1000);
    finish(fds[0], "head");
}

/* What was given as left over is told by a deferred, not by an event; some of it isn't read. */
static void test_left_overs_are_handed_on_twice(void **state)
{
    int fds[2];
    test_tcp_pair(fds);
    guest.head_to = 4;
    int flags = 1;
    assert_int_equal(ioctl(fds[1], FIONBIO, &flags), 0);
    assert_int_equal(conn_attach(loops[0], fds[1], "PROXY hd", 8, &before, NULL, &guest.conn), 0);
    visitor_writes(fds[0], ", body");
    shutdown(fds[0], SHUT_WR);
    test_run_until(loops[0], test_flag_holds, &guest.handed);
    finish(fds[0], "PROXY hd, body");
}

/* To the very loop that it comes from: the old connection's events are not the new one's. */
static void test_the_same_loop_may_take_it_again(void **state)
{
    int fds[2];
    struct loop *other = loops[1];
    test_tcp_pair(fds);
    guest.head_to = 4;
    visitor_writes(fds[0], "head and body");
    shutdown(fds[0], SHUT_WR);
    assert_int_equal(conn_open(loops[0], fds[1], &before, NULL, &guest.conn), 0);
    loops[1] = loops[0];
    test_run_until(loops[0], test_flag_holds, &guest.handed);
    finish(fds[0], "head and body");
    loops[1] = other;
}

#define WITH_LOOPS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LOOPS(test_the_head_and_the_rest_arrive),
        WITH_LOOPS(test_an_empty_socket_goes_on),
        WITH_LOOPS(test_an_end_seen_before_is_seen_again),
        WITH_LOOPS(test_an_end_behind_the_head_is_seen),
        WITH_LOOPS(test_left_overs_are_handed_on_twice),
        WITH_LOOPS(test_the_same_loop_may_take_it_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Corking: records of a turn in one send, in order, whatever the socket takes of it. */
#include "net_test.h"

#include <poll.h>

#include "net/conn_internal.h"

static struct loop *loop;
static char *folder;
static struct tls_context *server_context, *client_context;

struct writer {
    struct conn *conn;
    uint64_t written, to_write;
    size_t piece; /* bytes a record */
    bool ready, failed, rest_seen;
    int failures;
};

struct reader {
    struct conn *conn;
    uint64_t read;
    bool ready, reads, ended, failed;
};

struct pair {
    struct writer writer;
    struct reader reader;
};

static unsigned char pattern(uint64_t at)
{
    return (unsigned char)(at * 2654435761u >> 13);
}

/* --- the writing end: as a tunnel does it, up to 16 records a turn -------- */

static void write_records(struct writer *writer)
{
    unsigned char record[CONN_RECORD_MAX];
    for (int i = 0; i < 16 && writer->written < writer->to_write; i++) {
        size_t size = writer->piece;
        if (size > writer->to_write - writer->written)
            size = (size_t)(writer->to_write - writer->written);
        for (size_t k = 0; k < size; k++)
            record[k] = pattern(writer->written + k);
        ssize_t n = conn_write(writer->conn, record, size);
        memset(record, 0, size); /* what was taken is taken */
        if (n == CONN_FAILED)
            writer->failed = true;
        if (n <= 0)
            return;
        assert_int_equal(n, size);
        writer->written += (uint64_t)n;
    }
}

static void write_corked(struct writer *writer)
{
    conn_cork(writer->conn);
    write_records(writer);
    if (conn_uncork(writer->conn) < 0)
        writer->failed = true;
    if (writer->conn->out) {
        writer->rest_seen = true;
        assert_false(conn_can_write(writer->conn));
    }
}

/* Until it is blocked or all is written. */
static void write_turns(struct writer *writer)
{
    while (!writer->failed && writer->written < writer->to_write && conn_can_write(writer->conn))
        write_corked(writer);
}

static void on_writer_ready(struct conn *conn)
{
    ((struct writer *)conn_user(conn))->ready = true;
}

static void on_writer_readable(struct conn *conn)
{
    unsigned char buffer[100];
    struct writer *writer = conn_user(conn);
    ssize_t n = conn_read(conn, buffer, sizeof buffer);
    if (n == CONN_FAILED)
        writer->failed = true;
}

static void on_writer_writable(struct conn *conn)
{
    write_turns(conn_user(conn));
}

static void on_writer_failed(struct conn *conn)
{
    struct writer *writer = conn_user(conn);
    writer->failed = true;
    writer->failures++;
}

static const struct conn_callbacks writer_callbacks = {
    .on_ready = on_writer_ready,
    .on_readable = on_writer_readable,
    .on_writable = on_writer_writable,
    .on_failed = on_writer_failed,
};

/* --- the reading end ------------------------------------------------------ */

static void read_on(struct reader *reader)
{
    unsigned char buffer[20000];
    while (reader->reads) {
        ssize_t n = conn_read(reader->conn, buffer, sizeof buffer);
        reader->ended |= n == CONN_END;
        reader->failed |= n == CONN_FAILED;
        if (n <= 0)
            return;
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal(buffer[i], pattern(reader->read + (uint64_t)i));
        reader->read += (uint64_t)n;
    }
}

static void on_reader_ready(struct conn *conn)
{
    ((struct reader *)conn_user(conn))->ready = true;
}

static void on_reader_readable(struct conn *conn)
{
    read_on(conn_user(conn));
}

static void on_reader_writable(struct conn *conn)
{
}

static void on_reader_failed(struct conn *conn)
{
    ((struct reader *)conn_user(conn))->failed = true;
}

static const struct conn_callbacks reader_callbacks = {
    .on_ready = on_reader_ready,
    .on_readable = on_reader_readable,
    .on_writable = on_reader_writable,
    .on_failed = on_reader_failed,
};

/* --- pairs ---------------------------------------------------------------- */

static bool both_ready(void *user)
{
    const struct pair *pair = user;
    return pair->writer.ready && pair->reader.ready;
}

static bool reader_ended(void *user)
{
    const struct pair *pair = user;
    return pair->reader.ended || pair->reader.failed;
}

static bool writer_failed(void *user)
{
    return ((const struct pair *)user)->writer.failed;
}

static bool all_read(void *user)
{
    const struct pair *pair = user;
    return pair->reader.read == pair->writer.to_write;
}

static void pair_open(struct pair *pair, int send_buffer, size_t piece, uint64_t to_write)
{
    int fds[2];
    *pair = (struct pair){.writer = {.piece = piece, .to_write = to_write}};
    test_tcp_pair(fds);
    /* A small receive buffer, too, would make delayed ACKs set the pace. */
    if (send_buffer)
        assert_int_equal(
            setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer), 0);
    struct writer *writer = &pair->writer;
    struct reader *reader = &pair->reader;
    assert_int_equal(conn_open(loop, fds[1], &writer_callbacks, writer, &writer->conn), 0);
    assert_int_equal(conn_open(loop, fds[0], &reader_callbacks, reader, &reader->conn), 0);
    reader->reads = true;
    assert_int_equal(conn_start_tls_client(reader->conn, client_context, "localhost", NULL), 0);
    assert_int_equal(conn_start_tls_server(writer->conn, server_context), 0);
    test_run_until(loop, both_ready, pair);
    test_run_for(loop, 0);
    reader->reads = false;
}

/* Written until the socket is full and a part of what was corked waits with the connection. */
static void pair_open_with_rest(struct pair *pair)
{
    pair_open(pair, 4096, 5000, 10000000);
    write_turns(&pair->writer);
    assert_false(pair->writer.failed);
    assert_non_null(pair->writer.conn->out);
    assert_true(conn_buffered(pair->writer.conn) > 0);
    pair->writer.to_write = pair->writer.written;
}

static void start_reading(struct pair *pair)
{
    pair->reader.reads = true;
    read_on(&pair->reader);
}

static bool has_arrived(const struct conn *conn, int milliseconds)
{
    struct pollfd fd = {.fd = conn_fd(conn), .events = POLLIN};
    return poll(&fd, 1, milliseconds) > 0;
}

/* --- the tests ------------------------------------------------------------ */

static void test_nothing_goes_out_before_uncorking(void **state)
{
    struct pair pair;
    pair_open(&pair, 0, 1000, 5000);
    while (conn_read(pair.reader.conn, (char[100]){0}, 100) > 0)
        ;
    conn_cork(pair.writer.conn);
    write_records(&pair.writer);
    assert_int_equal(pair.writer.written, 5000);
    assert_false(has_arrived(pair.reader.conn, 0)); /* loopback delivers within the send */
    assert_int_equal(conn_uncork(pair.writer.conn), 0);
    assert_true(has_arrived(pair.reader.conn, 10000));
    start_reading(&pair);
    test_run_until(loop, all_read, &pair);
    conn_close(pair.writer.conn);
    conn_close(pair.reader.conn);
}

static void test_uncorked_writing_goes_out_at_once(void **state)
{
    struct pair pair;
    pair_open(&pair, 0, 1000, 2000);
    conn_cork(pair.writer.conn);
    assert_int_equal(conn_uncork(pair.writer.conn), 0); /* nothing written between */
    write_records(&pair.writer);
    assert_true(has_arrived(pair.reader.conn, 10000));
    start_reading(&pair);
    test_run_until(loop, all_read, &pair);
    conn_close(pair.writer.conn);
    conn_close(pair.reader.conn);
}

static void cross(size_t piece, int send_buffer, uint64_t bytes, bool expect_rest)
{
    struct pair pair;
    pair_open(&pair, send_buffer, piece, bytes);
    start_reading(&pair);
    write_turns(&pair.writer);
    test_run_until(loop, all_read, &pair);
    assert_false(pair.writer.failed);
    assert_int_equal(pair.writer.rest_seen, expect_rest);
    assert_int_equal(conn_buffered(pair.writer.conn), 0);
    conn_close(pair.writer.conn);
    conn_close(pair.reader.conn);
}

/* 16 full records are four times what is corked at once. */
static void test_more_than_the_cork_holds(void **state)
{
    cross(CONN_RECORD_MAX, 4 << 20, 16 * CONN_RECORD_MAX, false);
}

static void test_order_is_kept_over_short_sends(void **state)
{
    cross(CONN_RECORD_MAX, 8192, 1000000, true);
    cross(5001, 8192, 300000, true);
    cross(1, 4096, 5000, true); /* what TLS adds is most of it */
}

static void test_close_delivers_the_rest(void **state)
{
    struct pair pair;
    pair_open_with_rest(&pair);
    conn_close(pair.writer.conn);
    start_reading(&pair);
    test_run_until(loop, reader_ended, &pair);
    assert_false(pair.reader.failed);
    assert_int_equal(pair.reader.read, pair.writer.written);
    conn_close(pair.reader.conn);
}

/* close_notify and FIN keep their place behind it. */
static void test_shutdown_waits_for_the_rest(void **state)
{
    struct pair pair;
    pair_open_with_rest(&pair);
    conn_shutdown(pair.writer.conn);
    start_reading(&pair);
    test_run_until(loop, reader_ended, &pair);
    assert_false(pair.reader.failed);
    assert_int_equal(pair.reader.read, pair.writer.written);
    assert_null(pair.writer.conn->out);
    conn_close(pair.writer.conn);
    conn_close(pair.reader.conn);
}

static void test_abort_drops_the_rest(void **state)
{
    struct pair pair;
    pair_open_with_rest(&pair);
    conn_abort(pair.writer.conn);
    start_reading(&pair);
    test_run_until(loop, reader_ended, &pair);
    assert_true(pair.reader.read < pair.writer.written);
    conn_close(pair.reader.conn);
}

static void test_freeing_the_loop_frees_the_rest(void **state)
{
    struct pair pair;
    struct loop *shared = loop;
    assert_int_equal(loop_new(&loop), 0);
    pair_open_with_rest(&pair);
    conn_close(pair.writer.conn);
    conn_abort(pair.reader.conn);
    loop_free(loop);
    loop = shared;
}

/* The blocked connection isn't corked: its turn comes when the rest is out. */
static void test_a_blocked_connection_takes_nothing(void **state)
{
    struct pair pair;
    pair_open_with_rest(&pair);
    pair.writer.to_write += 5000;
    conn_cork(pair.writer.conn);
    write_records(&pair.writer);
    assert_true(pair.writer.written < pair.writer.to_write);
    assert_int_equal(conn_uncork(pair.writer.conn), 0);
    start_reading(&pair);
    test_run_until(loop, all_read, &pair); /* by on_writable */
    conn_close(pair.writer.conn);
    conn_close(pair.reader.conn);
}

static void test_reset_while_a_rest_waits_fails_once(void **state)
{
    struct pair pair;
    pair_open_with_rest(&pair);
    conn_abort(pair.reader.conn);
    test_run_until(loop, writer_failed, &pair);
    test_run_for(loop, 5000);
    assert_true(pair.writer.failures <= 1);
    assert_int_equal(conn_write(pair.writer.conn, "x", 1), CONN_FAILED);
    conn_close(pair.writer.conn);
}

/* The socket fails under the corked records: whoever uncorks hears of it, and the next one corked
 * isn't troubled. */
static void test_failure_while_corked(void **state)
{
    for (size_t piece = 1000; piece <= CONN_RECORD_MAX; piece += CONN_RECORD_MAX - 1000) {
        struct pair pair, other;
        pair_open(&pair, 0, piece, 16 * piece);
        pair_open(&other, 0, 1000, 1000);
        assert_int_equal(shutdown(conn_fd(pair.writer.conn), SHUT_WR), 0); /* EPIPE from now on */
        conn_cork(pair.writer.conn);
        write_records(&pair.writer);
        /* A full cork fails while writing, a small one at its end. */
        assert_int_equal(pair.writer.failed, piece > 1000);
        assert_int_equal(conn_uncork(pair.writer.conn), CONN_FAILED);
        assert_int_equal(conn_error(pair.writer.conn), -EPIPE);
        assert_int_equal(conn_write(pair.writer.conn, "x", 1), CONN_FAILED);
        write_corked(&other.writer);
        start_reading(&other);
        test_run_until(loop, all_read, &other);
        conn_close(pair.writer.conn);
        conn_close(pair.reader.conn);
        conn_close(other.writer.conn);
        conn_close(other.reader.conn);
    }
}

/* --- set-up --------------------------------------------------------------- */

static int set_up(void **state)
{
    static const char *const names[] = {"localhost"};
    char error[256] = "", *path = folder = test_folder();
    assert_int_equal(loop_new(&loop), 0);
    assert_int_equal(pki_ensure_server(path, names, 1, error, sizeof error), 0);
    struct tls_server_options server = {.certificate_file = test_path(path, "server.pem"),
                                        .key_file = test_path(path, "server.key")};
    struct tls_client_options client = {.ca_file = test_path(path, "ca.pem")};
    assert_int_equal(tls_server_new(&server, &server_context, error, sizeof error), 0);
    assert_int_equal(tls_client_new(&client, &client_context, error, sizeof error), 0);
    return 0;
}

static int tear_down(void **state)
{
    tls_context_unref(server_context);
    tls_context_unref(client_context);
    loop_free(loop);
    test_remove_folder(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_goes_out_before_uncorking),
        cmocka_unit_test(test_uncorked_writing_goes_out_at_once),
        cmocka_unit_test(test_more_than_the_cork_holds),
        cmocka_unit_test(test_order_is_kept_over_short_sends),
        cmocka_unit_test(test_close_delivers_the_rest),
        cmocka_unit_test(test_shutdown_waits_for_the_rest),
        cmocka_unit_test(test_abort_drops_the_rest),
        cmocka_unit_test(test_freeing_the_loop_frees_the_rest),
        cmocka_unit_test(test_a_blocked_connection_takes_nothing),
        cmocka_unit_test(test_reset_while_a_rest_waits_fails_once),
        cmocka_unit_test(test_failure_while_corked),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

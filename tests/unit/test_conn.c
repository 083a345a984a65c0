/* Connections, raw and under TLS: the same tests for both, over real sockets. */
#include "net_test.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>

#include "net/conn_internal.h"

static struct loop *loop;
static char *folder;
static struct tls_context *server_context, *client_context;

/* --- one end, as a pattern source and a pattern checker ------------------- */

struct end {
    struct conn *conn;
    uint64_t to_write, written, read;
    size_t piece;     /* bytes per conn_write() */
    uint64_t read_to; /* reads no further than this */
    bool shut_after;  /* conn_shutdown() when all is written */
    bool ready, ended, failed, hung_up;
    int readables, writables, failures, hangups;
    void (*on_event)(struct end *end); /* after each callback's work */
};

static unsigned char pattern(uint64_t at)
{
    return (unsigned char)(at * 2654435761u >> 13);
}

static void end_write(struct end *end)
{
    unsigned char buffer[65536];
    while (end->written < end->to_write) {
        size_t size = end->piece ? end->piece : sizeof buffer;
        if (size > end->to_write - end->written)
            size = (size_t)(end->to_write - end->written);
        for (size_t i = 0; i < size; i++)
            buffer[i] = pattern(end->written + i);
        ssize_t n = conn_write(end->conn, buffer, size);
        memset(buffer, 0, size); /* what was taken is taken */
        if (n == CONN_FAILED)
            end->failed = true;
        if (n <= 0)
            return;
        end->written += (uint64_t)n;
    }
    if (end->shut_after)
        conn_shutdown(end->conn);
}

static void end_read(struct end *end)
{
    unsigned char buffer[40000];
    while (end->read < end->read_to) {
        size_t size = sizeof buffer;
        if (size > end->read_to - end->read)
            size = (size_t)(end->read_to - end->read);
        ssize_t n = conn_read(end->conn, buffer, size);
        if (n == CONN_END)
            end->ended = true;
        if (n == CONN_FAILED)
            end->failed = true;
        if (n <= 0)
            return;
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal(buffer[i], pattern(end->read + (uint64_t)i));
        end->read += (uint64_t)n;
    }
}

static void event(struct end *end)
{
    if (end->on_event)
        end->on_event(end);
}

static void on_ready(struct conn *conn)
{
    struct end *end = conn_user(conn);
    assert_false(end->ready);
    end->ready = true;
    end_write(end);
    event(end);
}

static void on_readable(struct conn *conn)
{
    struct end *end = conn_user(conn);
    end->readables++;
    end_read(end);
    event(end);
}

static void on_writable(struct conn *conn)
{
    struct end *end = conn_user(conn);
    end->writables++;
    end_write(end);
    event(end);
}

static void on_hangup(struct conn *conn)
{
    struct end *end = conn_user(conn);
    end->hung_up = true;
    end->hangups++;
    event(end);
}

static void on_failed(struct conn *conn)
{
    struct end *end = conn_user(conn);
    end->failed = true;
    end->failures++;
    event(end);
}

static const struct conn_callbacks callbacks = {on_ready, on_readable, on_writable, on_hangup,
                                                on_failed};

/* --- pairs ---------------------------------------------------------------- */

struct pair {
    struct end a, b; /* a: client, b: server */
};

static bool both_ready(void *user)
{
    struct pair *pair = user;
    return pair->a.ready && pair->b.ready;
}

static void pair_init(struct pair *pair)
{
    *pair = (struct pair){.a.read_to = UINT64_MAX, .b.read_to = UINT64_MAX};
}

static void pair_start(struct pair *pair, const int fds[2], bool tls)
{
    assert_int_equal(conn_open(loop, fds[0], &callbacks, &pair->a, &pair->a.conn), 0);
    assert_int_equal(conn_open(loop, fds[1], &callbacks, &pair->b, &pair->b.conn), 0);
    if (!tls) {
        pair->a.ready = pair->b.ready = true;
        return;
    }
    assert_int_equal(conn_start_tls_client(pair->a.conn, client_context, "localhost", NULL), 0);
    assert_int_equal(conn_start_tls_server(pair->b.conn, server_context), 0);
    test_run_until(loop, both_ready, pair);
}

static void pair_open(struct pair *pair, bool tls)
{
    int fds[2];
    pair_init(pair);
    test_tcp_pair(fds);
    pair_start(pair, fds, tls);
}

static void pair_close(struct pair *pair)
{
    conn_close(pair->a.conn);
    conn_close(pair->b.conn);
    test_run_for(loop, 0);
}

static bool b_ended(void *user)
{
    return ((struct pair *)user)->b.ended;
}

static bool both_ended(void *user)
{
    struct pair *pair = user;
    return pair->a.ended && pair->b.ended;
}

static bool b_gone(void *user)
{
    struct pair *pair = user;
    return pair->b.hung_up || pair->b.ended || pair->b.failed;
}

static void set_buffers(const int fds[2], int option, int size)
{
    for (int i = 0; i < 2; i++)
        assert_int_equal(setsockopt(fds[i], SOL_SOCKET, option, &size, sizeof size), 0);
}

/* A record doesn't fit; what fits is sent in few, slow steps. */
static void small_buffers(const int fds[2])
{
    set_buffers(fds, SO_SNDBUF, 4096);
    set_buffers(fds, SO_RCVBUF, 4096);
}

/* --- reading and writing -------------------------------------------------- */

static void exchange(bool tls, uint64_t bytes, size_t piece)
{
    struct pair pair;
    int fds[2];
    pair_init(&pair);
    test_tcp_pair(fds);
    set_buffers(fds, SO_SNDBUF,
                4096); /* small receive buffers, too, would make delayed ACKs set the pace */
    pair_start(&pair, fds, tls);
    pair.a.to_write = pair.b.to_write = bytes;
    pair.a.piece = pair.b.piece = piece;
    pair.a.shut_after = pair.b.shut_after = true;
    end_write(&pair.a);
    end_write(&pair.b);
    test_run_until(loop, both_ended, &pair);
    assert_int_equal(pair.a.read, bytes);
    assert_int_equal(pair.b.read, bytes);
    assert_true(pair.a.writables > 0 && pair.b.writables > 0); /* both were blocked */
    assert_int_equal(pair.a.hangups + pair.b.hangups + pair.a.failures + pair.b.failures, 0);
    pair_close(&pair);
}

static void test_megabytes_cross_in_both_directions_raw(void **state)
{
    exchange(false, 3000000, 0);
}

static void test_megabytes_cross_in_both_directions_tls(void **state)
{
    exchange(true, 3000000, 0);
}

static void test_odd_pieces_cross_blocked_sockets_tls(void **state)
{
    exchange(true, 300000, 5001);
}

static void test_tls_takes_whole_records_or_nothing(void **state)
{
    static unsigned char buffer[65536];
    struct pair pair;
    int fds[2];
    ssize_t n;
    uint64_t taken = 0;
    pair_init(&pair);
    test_tcp_pair(fds);
    small_buffers(fds);
    pair_start(&pair, fds, true);
    pair.b.read_to = 0;
    while ((n = conn_write(pair.a.conn, buffer, sizeof buffer)) > 0) {
        assert_int_equal(n, CONN_RECORD_MAX);
        taken += (uint64_t)n;
        assert_true(taken < 10000000);
    }
    assert_int_equal(n, CONN_WAIT);
    assert_false(conn_can_write(pair.a.conn));
    assert_int_equal(conn_buffered(pair.a.conn), CONN_RECORD_MAX);
    conn_abort(pair.a.conn);
    conn_abort(pair.b.conn);
}

static bool a_failed(void *user)
{
    return ((struct pair *)user)->a.failed;
}

static bool b_has_read_a_byte(void *user)
{
    return ((struct pair *)user)->b.read > 0;
}

/* A peer that pauses in the middle reads on later, with no new event between. */
static void pause_and_go_on(bool tls)
{
    struct pair pair;
    pair_open(&pair, tls);
    pair.b.read_to = 1;
    pair.a.to_write = 100000;
    end_write(&pair.a);
    test_run_until(loop, b_has_read_a_byte, &pair);
    test_run_for(loop, 5000);
    assert_int_equal(pair.b.read, 1);
    assert_true(pair.b.readables <= 2);
    pair.b.read_to = UINT64_MAX;
    end_read(&pair.b);
    pair.a.shut_after = true;
    end_write(&pair.a);
    test_run_until(loop, b_ended, &pair);
    assert_int_equal(pair.b.read, 100000);
    pair_close(&pair);
}

static void test_reader_pauses_and_goes_on_raw(void **state)
{
    pause_and_go_on(false);
}

static void test_reader_pauses_and_goes_on_tls(void **state)
{
    pause_and_go_on(true);
}

static void half_close(bool tls)
{
    struct pair pair;
    pair_open(&pair, tls);
    pair.a.to_write = 10;
    pair.a.shut_after = true;
    end_write(&pair.a);
    conn_shutdown(pair.a.conn); /* idempotent */
    test_run_until(loop, b_ended, &pair);
    assert_int_equal(pair.b.read, 10);
    assert_false(pair.a.ended);
    pair.b.to_write = 50000;
    pair.b.shut_after = true;
    end_write(&pair.b);
    test_run_until(loop, both_ended, &pair);
    assert_int_equal(pair.a.read, 50000);
    pair_close(&pair);
}

static void test_half_close_leaves_the_other_direction_raw(void **state)
{
    half_close(false);
}

static void test_half_close_leaves_the_other_direction_tls(void **state)
{
    half_close(true);
}

static void test_shutdown_waits_for_a_blocked_record(void **state)
{
    struct pair pair;
    int fds[2];
    pair_init(&pair);
    test_tcp_pair(fds);
    small_buffers(fds);
    pair_start(&pair, fds, true);
    pair.b.read_to = 0;
    pair.a.to_write = UINT64_MAX;
    end_write(&pair.a);
    assert_false(conn_can_write(pair.a.conn));
    pair.a.to_write = 0;
    conn_shutdown(pair.a.conn);
    pair.b.read_to = UINT64_MAX;
    end_read(&pair.b);
    test_run_until(loop, b_ended, &pair);
    assert_int_equal(pair.b.read, pair.a.written);
    pair_close(&pair);
}

/* --- the peer goes -------------------------------------------------------- */

static void fin_while_paused(bool tls)
{
    struct pair pair;
    pair_open(&pair, tls);
    pair.b.read_to = 0;
    pair.a.to_write = 1000;
    pair.a.shut_after = true;
    end_write(&pair.a);
    test_run_until(loop, b_gone, &pair);
    assert_true(pair.b.hung_up);
    assert_int_equal(conn_error(pair.b.conn), 0);
    pair.b.read_to = UINT64_MAX;
    end_read(&pair.b);
    if (!pair.b.ended)
        test_run_until(loop, b_ended, &pair);
    assert_int_equal(pair.b.read, 1000);
    assert_int_equal(pair.b.hangups, 1);
    pair_close(&pair);
}

static void test_fin_is_noticed_while_paused_raw(void **state)
{
    fin_while_paused(false);
}

static void test_fin_is_noticed_while_paused_tls(void **state)
{
    fin_while_paused(true);
}

/* The FIN comes in a later event than the data at which the reader stopped. */
static void test_fin_after_data_is_noticed_while_paused(void **state)
{
    struct pair pair;
    pair_open(&pair, false);
    pair.b.read_to = 1;
    pair.a.to_write = 1000;
    end_write(&pair.a);
    test_run_until(loop, b_has_read_a_byte, &pair);
    assert_false(pair.b.hung_up);
    conn_shutdown(pair.a.conn);
    test_run_until(loop, b_gone, &pair);
    assert_true(pair.b.hung_up);
    pair_close(&pair);
}

static void rst(bool tls, bool paused)
{
    struct pair pair;
    pair_open(&pair, tls);
    if (paused) {
        pair.b.read_to = 1;
        pair.a.to_write = 10;
        end_write(&pair.a);
        test_run_until(loop, b_has_read_a_byte, &pair);
    }
    conn_abort(pair.a.conn);
    test_run_until(loop, b_gone, &pair);
    assert_int_equal(pair.b.hung_up, paused);
    assert_int_equal(conn_error(pair.b.conn), -ECONNRESET);
    assert_string_equal(conn_error_code(pair.b.conn), "ECONNRESET");
    if (paused) {
        pair.b.read_to = UINT64_MAX;
        end_read(&pair.b);
        assert_int_equal(pair.b.read, 10); /* what came before the RST isn't lost */
    }
    assert_true(pair.b.failed);
    assert_int_equal(conn_write(pair.b.conn, "x", 1), CONN_FAILED);
    conn_close(pair.b.conn);
    test_run_for(loop, 0);
}

static void test_rst_is_an_error_raw(void **state)
{
    rst(false, false);
}

static void test_rst_is_an_error_tls(void **state)
{
    rst(true, false);
}

static void test_rst_is_noticed_while_paused_raw(void **state)
{
    rst(false, true);
}

static void test_rst_is_noticed_while_paused_tls(void **state)
{
    rst(true, true);
}

/* A relay that has read the end would else wait for ever for the other side of a visitor that is
 * gone. */
static void rst_after_end(bool tls)
{
    struct pair pair;
    pair_open(&pair, tls);
    conn_shutdown(pair.a.conn);
    test_run_until(loop, b_ended, &pair);
    test_run_for(loop, 0);
    assert_false(pair.b.hung_up);
    conn_abort(pair.a.conn);
    test_run_until(loop, test_flag_holds, &pair.b.hung_up);
    assert_true(conn_error(pair.b.conn) < 0);
    assert_int_equal(conn_write(pair.b.conn, "x", 1), CONN_FAILED);
    conn_close(pair.b.conn);
    test_run_for(loop, 0);
}

static void test_rst_after_the_end_is_noticed(void **state)
{
    rst_after_end(false);
    rst_after_end(true);
}

/* TCP may end without close_notify: an end, not a fault. */
static void test_missing_close_notify_is_an_end(void **state)
{
    struct pair pair;
    pair_open(&pair, true);
    assert_int_equal(shutdown(conn_fd(pair.a.conn), SHUT_WR), 0);
    test_run_until(loop, b_ended, &pair);
    assert_int_equal(conn_error(pair.b.conn), 0);
    pair_close(&pair);
}

static void test_garbage_in_a_record_fails(void **state)
{
    struct pair pair;
    pair_open(&pair, true);
    assert_int_equal(send(conn_fd(pair.a.conn), "\x17\x03\x03\x00\x14garbage garbage garb", 25, 0),
                     25);
    test_run_until(loop, b_gone, &pair);
    assert_true(pair.b.failed);
    assert_int_equal(conn_error(pair.b.conn), -EPROTO);
    assert_string_equal(conn_error_code(pair.b.conn), "EPROTO");
    assert_true(strlen(conn_error_text(pair.b.conn)) > 0);
    pair_close(&pair);
}

static void test_reset_while_a_record_is_blocked_fails_once(void **state)
{
    struct pair pair;
    int fds[2];
    pair_init(&pair);
    test_tcp_pair(fds);
    small_buffers(fds);
    pair_start(&pair, fds, true);
    pair.a.read_to = pair.b.read_to = 0;
    pair.a.to_write = UINT64_MAX;
    end_write(&pair.a);
    conn_abort(pair.b.conn);
    test_run_until(loop, a_failed, &pair);
    assert_int_equal(pair.a.failures, 1);
    conn_close(pair.a.conn);
    test_run_for(loop, 0);
}

/* --- closing -------------------------------------------------------------- */

static void close_it(struct end *end)
{
    conn_close(end->conn);
    end->conn = NULL;
    end->on_event = NULL;
    end->ended = true;
}

static void abort_it(struct end *end)
{
    conn_abort(end->conn);
    end->conn = NULL;
    end->on_event = NULL;
    end->ended = true;
}

static void end_in_callback(bool tls, void (*how)(struct end *end))
{
    struct pair pair;
    pair_open(&pair, tls);
    pair.b.on_event = how;
    pair.a.to_write = 100000;
    end_write(&pair.a);
    test_run_until(loop, b_ended, &pair);
    test_run_for(loop, 2000);
    conn_close(pair.a.conn);
    test_run_for(loop, 2000);
}

static void test_owner_closes_within_a_callback(void **state)
{
    end_in_callback(false, close_it);
    end_in_callback(true, close_it);
    end_in_callback(false, abort_it);
    end_in_callback(true, abort_it);
}

static void test_owner_closes_within_on_ready(void **state)
{
    struct pair pair;
    int fds[2];
    pair_init(&pair);
    test_tcp_pair(fds);
    pair.b.on_event = close_it;
    assert_int_equal(conn_open(loop, fds[0], &callbacks, &pair.a, &pair.a.conn), 0);
    assert_int_equal(conn_open(loop, fds[1], &callbacks, &pair.b, &pair.b.conn), 0);
    assert_int_equal(conn_start_tls_client(pair.a.conn, client_context, "localhost", NULL), 0);
    assert_int_equal(conn_start_tls_server(pair.b.conn, server_context), 0);
    test_run_until(loop, b_ended, &pair);
    assert_int_equal(pair.b.readables, 0);
    conn_abort(pair.a.conn);
    test_run_for(loop, 1000);
}

/* A server answers and closes though the client's bytes are unread: the answer arrives, no RST
 * destroys it. */
static void last_words(bool tls)
{
    static unsigned char unread[20000];
    struct pair pair;
    pair_open(&pair, tls);
    pair.b.read_to = 0;
    pair.a.read_to = 0;
    assert_true(conn_write(pair.a.conn, unread, 15000) > 0);
    test_run_for(loop, 2000);
    pair.b.to_write = 5000;
    end_write(&pair.b);
    conn_close(pair.b.conn);
    test_run_for(loop, 2000);
    assert_true(conn_write(pair.a.conn, unread, 15000) > 0); /* the client goes on for a while */
    test_run_for(loop, 2000);
    pair.a.read_to = UINT64_MAX;
    end_read(&pair.a);
    if (!pair.a.ended)
        test_run_until(loop, (bool (*)(void *))test_flag_holds, &pair.a.ended);
    assert_int_equal(pair.a.read, 5000);
    assert_false(pair.a.failed);
    conn_close(pair.a.conn);
    test_run_for(loop, 2000);
}

static void test_close_lets_the_last_words_arrive(void **state)
{
    last_words(false);
    last_words(true);
}

static void test_close_sends_a_blocked_record_first(void **state)
{
    struct pair pair;
    int fds[2];
    pair_init(&pair);
    test_tcp_pair(fds);
    small_buffers(fds);
    pair_start(&pair, fds, true);
    pair.b.read_to = 0;
    pair.a.to_write = UINT64_MAX;
    end_write(&pair.a);
    assert_false(conn_can_write(pair.a.conn));
    conn_close(pair.a.conn);
    pair.b.read_to = UINT64_MAX;
    end_read(&pair.b);
    test_run_until(loop, b_ended, &pair);
    assert_int_equal(pair.b.read, pair.a.written);
    conn_close(pair.b.conn);
    test_run_for(loop, 2000);
}

static bool fd_is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void test_close_after_the_end_is_immediate(void **state)
{
    for (int tls = 0; tls < 2; tls++) {
        struct pair pair;
        pair_open(&pair, tls);
        int fd = conn_fd(pair.b.conn);
        conn_shutdown(pair.a.conn);
        test_run_until(loop, b_ended, &pair);
        conn_close(pair.b.conn);
        assert_false(fd_is_open(fd));
        conn_close(pair.a.conn);
        test_run_for(loop, 2000);
    }
}

static void test_freeing_the_loop_ends_lingering_connections(void **state)
{
    struct loop *first = loop;
    struct pair pair;
    assert_int_equal(loop_new(&loop), 0);
    pair_open(&pair, false);
    int fd = conn_fd(pair.b.conn);
    conn_close(pair.b.conn); /* the client doesn't answer: it lingers */
    assert_true(fd_is_open(fd));
    conn_abort(pair.a.conn);
    loop_free(loop);
    assert_false(fd_is_open(fd));
    loop = first;
}

/* --- connecting ----------------------------------------------------------- */

static void test_connect_and_accept(void **state)
{
    struct end end = {.read_to = UINT64_MAX};
    union address address, peer;
    socklen_t size = sizeof address;
    char got[6] = "";
    int listener = socket(AF_INET6, SOCK_STREAM, 0);
    assert_int_equal(address_parse("[::1]:0", &address), 0);
    assert_int_equal(bind(listener, &address.any, address_size(&address)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, &address.any, &size), 0);
    assert_int_equal(conn_connect(loop, &address, &callbacks, &end, &end.conn), 0);
    assert_false(end.ready);
    test_run_until(loop, test_flag_holds, &end.ready);
    assert_true(conn_peer_address(end.conn, &peer));
    assert_true(address_equal(&peer, &address));
    int fd = accept(listener, NULL, NULL);
    assert_int_equal(conn_write(end.conn, "hello", 5), 5);
    assert_int_equal(recv(fd, got, 5, MSG_WAITALL), 5);
    assert_string_equal(got, "hello");
    close(fd);
    test_run_until(loop, test_flag_holds, &end.ended);
    conn_close(end.conn);
    close(listener);
    test_run_for(loop, 0);
}

static void test_refused_connect_fails(void **state)
{
    struct end end = {0};
    union address address;
    socklen_t size = sizeof address;
    int bound = socket(AF_INET, SOCK_STREAM, 0); /* bound, but nobody listens */
    assert_int_equal(address_parse("127.0.0.1:0", &address), 0);
    assert_int_equal(bind(bound, &address.any, address_size(&address)), 0);
    assert_int_equal(getsockname(bound, &address.any, &size), 0);
    assert_int_equal(conn_connect(loop, &address, &callbacks, &end, &end.conn), 0);
    test_run_until(loop, test_flag_holds, &end.failed);
    assert_string_equal(conn_error_code(end.conn), "ECONNREFUSED");
    assert_int_equal(end.failures, 1);
    conn_close(end.conn);
    close(bound);
    test_run_for(loop, 0);
}

/* An error that connect(2) itself returns comes by on_failed, too, and not before conn_connect()
 * has returned. */
static void test_connect_that_fails_at_once_fails_later(void **state)
{
    struct end end = {.on_event = close_it};
    union address address;
    assert_int_equal(address_parse("255.255.255.255:80", &address), 0);
    assert_int_equal(conn_connect(loop, &address, &callbacks, &end, &end.conn), 0);
    assert_false(end.failed);
    test_run_until(loop, test_flag_holds, &end.failed);
    assert_int_equal(end.failures, 1);
    test_run_for(loop, 0);
    assert_int_equal(conn_connect(loop, &address, &callbacks, &end, &end.conn), 0);
    conn_close(end.conn); /* no callback any more */
    test_run_for(loop, 0);
    assert_int_equal(end.failures, 1);
}

/* --- handing over --------------------------------------------------------- */

static void test_detached_socket_is_attached_with_its_left_overs(void **state)
{
    struct pair pair;
    int fd;
    void *left;
    size_t left_size;
    unsigned char head[3];
    pair_open(&pair, false);
    pair.b.read_to = 0;
    pair.a.to_write = 5000;
    pair.a.shut_after = true;
    end_write(&pair.a);
    test_run_until(loop, b_gone, &pair);
    for (unsigned i = 0; i < 3; i++)
        head[i] = pattern(i);
    assert_int_equal(conn_read(pair.b.conn, (unsigned char[3]){0}, 3), 3);
    assert_int_equal(conn_detach(pair.b.conn, &fd, &left, &left_size), 0);
    assert_null(left);
    test_run_for(loop, 1000);
    pair.b.read_to = UINT64_MAX;
    assert_int_equal(conn_attach(loop, fd, head, 3, &callbacks, &pair.b, &pair.b.conn), 0);
    assert_int_equal(conn_buffered(pair.b.conn), 3);
    assert_int_equal(pair.b.readables, 1); /* of before; not while conn_attach() runs */
    /* handed on before anybody read: the left-overs go with it */
    assert_int_equal(conn_detach(pair.b.conn, &fd, &left, &left_size), 0);
    assert_int_equal(left_size, 3);
    assert_int_equal(conn_attach(loop, fd, left, left_size, &callbacks, &pair.b, &pair.b.conn), 0);
    free(left);
    test_run_until(loop, b_ended, &pair);
    assert_int_equal(pair.b.read, 5000);
    pair_close(&pair);
}

static void test_left_overs_can_be_the_hello_of_tls(void **state)
{
    struct pair pair;
    unsigned char hello[2000];
    int fds[2];
    pair_init(&pair);
    test_tcp_pair(fds);
    assert_int_equal(conn_open(loop, fds[0], &callbacks, &pair.a, &pair.a.conn), 0);
    assert_int_equal(conn_start_tls_client(pair.a.conn, client_context, "localhost", NULL), 0);
    ssize_t n = recv(fds[1], hello, sizeof hello, 0);
    assert_true(n > 100);
    assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(conn_attach(loop, fds[1], hello, (size_t)n, &callbacks, &pair.b, &pair.b.conn),
                     0);
    assert_int_equal(conn_start_tls_server(pair.b.conn, server_context), 0);
    test_run_until(loop, both_ready, &pair);
    int fd;
    void *left;
    size_t left_size;
    assert_int_equal(conn_detach(pair.b.conn, &fd, &left, &left_size), -EOPNOTSUPP);
    pair_close(&pair);
}

static void test_new_owner_is_told_what_was_known(void **state)
{
    struct pair pair;
    pair_open(&pair, false);
    conn_set_callbacks(pair.b.conn, NULL, NULL);
    pair.a.to_write = 100;
    pair.a.shut_after = true;
    end_write(&pair.a);
    test_run_for(loop, 3000);
    assert_int_equal(pair.b.readables + pair.b.hangups, 0);
    conn_set_callbacks(pair.b.conn, &callbacks, &pair.b);
    assert_int_equal(pair.b.readables, 0);
    test_run_until(loop, b_ended, &pair);
    assert_int_equal(pair.b.read, 100);
    pair_close(&pair);
}

static void test_tunnel_options_are_set(void **state)
{
    struct pair pair;
    int value;
    socklen_t size = sizeof value;
    pair_open(&pair, false);
    conn_set_tunnel_options(pair.a.conn);
    conn_set_quickack(pair.a.conn, true);
    int fd = conn_fd(pair.a.conn);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &size), 0);
    assert_int_not_equal(value, 0);
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &size), 0);
    assert_int_not_equal(value, 0);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &value, &size), 0);
    assert_int_equal(value, 60);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, &size), 0);
    assert_int_equal(value, 120000);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &value, &size), 0);
    assert_int_equal(value, 32768);
    pair_close(&pair);
}

static void test_connection_is_small(void **state)
{
    print_message("struct conn: %zu bytes\n", sizeof(struct conn));
    assert_true(sizeof(struct conn) <= 192);
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
        cmocka_unit_test(test_megabytes_cross_in_both_directions_raw),
        cmocka_unit_test(test_megabytes_cross_in_both_directions_tls),
        cmocka_unit_test(test_odd_pieces_cross_blocked_sockets_tls),
        cmocka_unit_test(test_tls_takes_whole_records_or_nothing),
        cmocka_unit_test(test_reader_pauses_and_goes_on_raw),
        cmocka_unit_test(test_reader_pauses_and_goes_on_tls),
        cmocka_unit_test(test_half_close_leaves_the_other_direction_raw),
        cmocka_unit_test(test_half_close_leaves_the_other_direction_tls),
        cmocka_unit_test(test_shutdown_waits_for_a_blocked_record),
        cmocka_unit_test(test_fin_is_noticed_while_paused_raw),
        cmocka_unit_test(test_fin_is_noticed_while_paused_tls),
        cmocka_unit_test(test_fin_after_data_is_noticed_while_paused),
        cmocka_unit_test(test_rst_is_an_error_raw),
        cmocka_unit_test(test_rst_is_an_error_tls),
        cmocka_unit_test(test_rst_is_noticed_while_paused_raw),
        cmocka_unit_test(test_rst_is_noticed_while_paused_tls),
        cmocka_unit_test(test_rst_after_the_end_is_noticed),
        cmocka_unit_test(test_missing_close_notify_is_an_end),
        cmocka_unit_test(test_garbage_in_a_record_fails),
        cmocka_unit_test(test_reset_while_a_record_is_blocked_fails_once),
        cmocka_unit_test(test_owner_closes_within_a_callback),
        cmocka_unit_test(test_owner_closes_within_on_ready),
        cmocka_unit_test(test_close_lets_the_last_words_arrive),
        cmocka_unit_test(test_close_sends_a_blocked_record_first),
        cmocka_unit_test(test_close_after_the_end_is_immediate),
        cmocka_unit_test(test_freeing_the_loop_ends_lingering_connections),
        cmocka_unit_test(test_connect_and_accept),
        cmocka_unit_test(test_refused_connect_fails),
        cmocka_unit_test(test_connect_that_fails_at_once_fails_later),
        cmocka_unit_test(test_detached_socket_is_attached_with_its_left_overs),
        cmocka_unit_test(test_left_overs_can_be_the_hello_of_tls),
        cmocka_unit_test(test_new_owner_is_told_what_was_known),
        cmocka_unit_test(test_tunnel_options_are_set),
        cmocka_unit_test(test_connection_is_small),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

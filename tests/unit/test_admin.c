#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/conn.h"
#include "net/timer.h"
#include "server/admin.h"

static struct counters one, two;
static struct counters *const both[] = {&one, &two};

struct bench {
    struct loop *loop;
    struct admin *admin;
    union address address;
    bool ready;
    int under_way;
};

/* A collector: sends its request in pieces, gathers what comes until the end. */
struct client {
    struct timer timer; /* first */
    struct bench *bench;
    struct conn *conn;
    const char *request;
    size_t piece, length;
    bool over;
    char answer[16384];
};

static bool is_ready(void *user)
{
    return ((struct bench *)user)->ready;
}

static void open_admin(struct bench *bench, uint64_t timeout)
{
    struct admin_options options = {.counters = both,
                                    .counters_count = 2,
                                    .is_ready = is_ready,
                                    .user = bench,
                                    .timeout = timeout};
    assert_int_equal(address_from_host("127.0.0.1", 0, &options.address), 0);
    assert_int_equal(admin_open(bench->loop, &options, &bench->admin), 0);
    admin_address(bench->admin, &bench->address);
    assert_int_not_equal(address_port(&bench->address), 0);
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    bench->ready = true;
    *state = bench;
    if (loop_new(&bench->loop) < 0)
        return -1;
    open_admin(bench, 0);
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    admin_close(bench->admin);
    loop_free(bench->loop);
    free(bench);
    return 0;
}

static void finish(struct client *client)
{
    if (client->over)
        return;
    client->over = true;
    timer_stop(&client->timer);
    conn_close(client->conn);
    if (!--client->bench->under_way)
        loop_stop(client->bench->loop);
}

static void send_piece(struct timer *timer)
{
    struct client *client = (struct client *)timer;
    size_t left = strlen(client->request);
    if (!left)
        return;
    ssize_t taken =
        conn_write(client->conn, client->request, left < client->piece ? left : client->piece);
    if (taken < 0) {
        finish(client);
        return;
    }
    client->request += taken;
    timer_start(timer, loop_now(client->bench->loop));
}

static void on_ready(struct conn *conn)
{
    send_piece(conn_user(conn));
}

static void on_readable(struct conn *conn)
{
    struct client *client = conn_user(conn);
    for (;;) {
        ssize_t got = conn_read(conn, client->answer + client->length,
                                sizeof client->answer - 1 - client->length);
        if (got == CONN_WAIT)
            return;
        if (got < 0) {
            finish(client);
            return;
        }
        client->length += (size_t)got;
    }
}

static void on_failed(struct conn *conn)
{
    finish(conn_user(conn));
}

static const struct conn_callbacks callbacks = {.on_ready = on_ready,
                                                .on_readable = on_readable,
                                                .on_writable = on_ready,
                                                .on_failed = on_failed};

static void begin(struct bench *bench, struct client *client, const char *request, size_t piece)
{
    *client = (struct client){.bench = bench, .request = request, .piece = piece};
    timer_init(&client->timer, bench->loop, send_piece);
    assert_int_equal(conn_connect(bench->loop, &bench->address, &callbacks, client, &client->conn),
                     0);
    bench->under_way++;
}

static const char *ask(struct bench *bench, const char *request, size_t piece)
{
    static struct client client;
    begin(bench, &client, request, piece);
    loop_run(bench->loop);
    return client.answer;
}

static void assert_begins(const char *answer, const char *with)
{
    if (strncmp(answer, with, strlen(with)) != 0)
        fail_msg("\"%s\" doesn't begin with \"%s\"", answer, with);
}

static void test_metrics_are_those_of_all_workers(void **state)
{
    counter_add(&one.tunnels, 3);
    counter_add(&two.tunnels, 4);
    const char *answer = ask(*state, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", 1000);
    assert_begins(answer, "HTTP/1.1 200 OK\r\nDate: ");
    assert_non_null(
        strstr(answer, "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert_non_null(strstr(answer, "\nstreamplex_tunnels 7\n"));
    const char *body = strstr(answer, "\r\n\r\n") + 4, *length = strstr(answer, "Content-Length: ");
    assert_non_null(length);
    assert_int_equal(strtoul(length + 16, NULL, 10), strlen(body));
}

static void test_a_torn_request_is_the_same(void **state)
{
    assert_begins(ask(*state, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 5),
                  "HTTP/1.1 200 OK\r\n");
}

static void test_health_and_readiness(void **state)
{
    struct bench *bench = *state;
    const char *answer = ask(bench, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 1000);
    assert_begins(answer, "HTTP/1.1 200 OK\r\n");
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\nok\n");
    assert_begins(ask(bench, "GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n", 1000),
                  "HTTP/1.1 200 OK\r\n");
    bench->ready = false;
    assert_begins(ask(bench, "GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n", 1000), "HTTP/1.1 503 ");
    assert_begins(ask(bench, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 1000),
                  "HTTP/1.1 200 OK\r\n");
}

static void test_other_requests_are_refused(void **state)
{
    assert_begins(ask(*state, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n", 1000), "HTTP/1.1 404 ");
    const char *answer = ask(*state, "DELETE /metrics HTTP/1.1\r\nHost: a\r\n\r\n", 1000);
    assert_begins(answer, "HTTP/1.1 405 ");
    assert_non_null(strstr(answer, "\r\nAllow: GET\r\n"));
    assert_begins(ask(*state, "\x16\x03\x01", 1000), "HTTP/1.1 400 ");
    char head[9001];
    memset(head, 'a', 9000);
    head[9000] = 0;
    memcpy(head, "GET /metrics HTTP/1.1\r\nX: ", 26);
    assert_begins(ask(*state, head, 1000), "HTTP/1.1 431 ");
}

static void test_the_silent_are_let_go(void **state)
{
    struct bench *bench = *state;
    admin_close(bench->admin);
    open_admin(bench, 20000);
    assert_string_equal(ask(bench, "GET /metr", 1000), "");
}

static void test_more_than_32_at_once_are_turned_away(void **state)
{
    struct bench *bench = *state;
    admin_close(bench->admin);
    open_admin(bench, 50000);
    static struct client silent[32], late;
    for (int i = 0; i < 32; i++)
        begin(bench, &silent[i], "", 1);
    begin(bench, &late, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 1000);
    loop_run(bench->loop);
    assert_int_equal(late.length, 0);
    /* All of them have been let go by now. */
    assert_begins(ask(bench, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 1000),
                  "HTTP/1.1 200 OK\r\n");
}

static void stop(struct timer *timer)
{
    loop_stop(((struct client *)timer)->bench->loop);
}

static void test_closing_drops_who_is_there(void **state)
{
    struct bench *bench = *state;
    static struct client client;
    begin(bench, &client, "GET /metr", 1000);
    struct client last = {.bench = bench};
    timer_init(&last.timer, bench->loop, stop);
    timer_start(&last.timer, loop_update_now(bench->loop) + 20000);
    loop_run(bench->loop);
    assert_false(client.over);
    admin_close(bench->admin);
    bench->admin = NULL;
    loop_run(bench->loop);
    assert_true(client.over);
}

static void test_only_loopback_will_do(void **state)
{
    struct bench *bench = *state;
    static const char *const far[] = {"0.0.0.0", "192.0.2.1", "::", "2001:db8::1",
                                      "::ffff:192.0.2.1"};
    for (size_t i = 0; i < sizeof far / sizeof *far; i++) {
        struct admin_options options = {.counters = both, .counters_count = 2};
        struct admin *admin;
        assert_int_equal(address_from_host(far[i], 0, &options.address), 0);
        assert_int_equal(admin_open(bench->loop, &options, &admin), -EPERM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_metrics_are_those_of_all_workers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_torn_request_is_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_health_and_readiness, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_requests_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_silent_are_let_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_more_than_32_at_once_are_turned_away, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_closing_drops_who_is_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_only_loopback_will_do, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

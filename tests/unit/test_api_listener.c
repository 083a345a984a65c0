/* The API's connections, by the operator's unix socket: a client on a thread of its own, and an API
 * that says what it was asked. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/api_text.h"
#include "server/api_listener_internal.h"

static char folder[64], path[128], error[256];
static struct loop *loop;
static struct api_listener *listener;
static int asked, answered, last_status;

/* --- The API: it answers at the turn's end, with what it was asked --- */

struct fake_call {
    struct loop_message message; /* first */
    api_on_answer *on_answer;
    void *user;
    char body[512];
    int status;
};

static struct fake_call *held; /* of /hold */

/* The last shared text, and how many held it right after the answer, the API among them. */
static struct api_text *shared;
static unsigned references;
static bool stops_when_answered;

static void answer_call(struct fake_call *call)
{
    static char large[300000];
    struct api_answer answer = {call->status, "text/plain",       "X-More: 1\r\n",
                                call->body,   strlen(call->body), NULL};
    if (strstr(call->body, "/large")) {
        memset(large, 'l', sizeof large);
        answer.body = large;
        answer.body_length = sizeof large;
    }
    if (strstr(call->body, "/shared")) {
        memset(large, 's', sizeof large);
        answer.shared = api_text_new(large, sizeof large);
        answer.body = answer.shared->text;
        answer.body_length = sizeof large;
        answer.head = "Cache-Control: private, no-cache\r\n";
        shared = answer.shared;
    }
    call->on_answer(call->user, &answer);
    if (answer.shared)
        references = answer.shared->references;
    api_text_unref(answer.shared);
    free(call);
    if (stops_when_answered)
        loop_stop(loop);
}

static void run_call(struct loop_message *message)
{
    answer_call((struct fake_call *)message);
}

/* In place of control/api.c's. */
void api_handle(struct api *api, const struct api_request *request, api_on_answer *on_answer,
                void *user)
{
    struct fake_call *call = calloc(1, sizeof *call);
    call->message.run = run_call;
    call->on_answer = on_answer;
    call->user = user;
    call->status = !strcmp(request->path, "/nothing") ? 204 : 200;
    snprintf(call->body, sizeof call->body, "%s %s %s%s", request->method, request->path,
             request->body, request->is_operator ? " operator" : "");
    if (!strcmp(request->path, "/hold"))
        held = call;
    else
        loop_post(loop, &call->message);
}

static void on_asked(void *user, const char *asked_path)
{
    asked++;
}

static void on_answered(void *user, const char *asked_path, int status)
{
    answered++;
    last_status = status;
}

/* --- A client on its own thread --- */

struct client {
    struct loop_message over; /* first */
    pthread_t thread;
    const char *request; /* sent at once; then all is read to the end */
    bool leaves;         /* without reading: a reset when something came */
    char *answer;
    size_t length;
};

static void stop(struct loop_message *message)
{
    loop_stop(loop);
}

static int connect_to(const char *file)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    strcpy(address.sun_path, file);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void *run_client(void *argument)
{
    struct client *client = argument;
    int fd = connect_to(path);
    size_t length = strlen(client->request), sent = 0;
    while (fd >= 0 && sent < length) {
        ssize_t n = send(fd, client->request + sent, length - sent, MSG_NOSIGNAL);
        if (n < 0)
            break;
        sent += (size_t)n;
    }
    for (ssize_t n = 1; fd >= 0 && n > 0 && !client->leaves;) {
        n = recv(fd, client->answer + client->length, 1000000 - client->length - 1, 0);
        client->length += n > 0 ? (size_t)n : 0;
    }
    if (fd >= 0)
        close(fd);
    client->over.run = stop;
    loop_post(loop, &client->over);
    return NULL;
}

static void start(struct client *client, const char *request, bool leaves)
{
    *client = (struct client){.request = request, .leaves = leaves, .answer = calloc(1, 1000000)};
    pthread_create(&client->thread, NULL, run_client, client);
}

static void begin(struct client *client, const char *request)
{
    start(client, request, false);
}

static const char *finish(struct client *client)
{
    static char copy[1000000];
    loop_run(loop);
    pthread_join(client->thread, NULL);
    memcpy(copy, client->answer, client->length + 1);
    free(client->answer);
    return copy;
}

static const char *ask(const char *request)
{
    struct client client;
    begin(&client, request);
    return finish(&client);
}

static void send_and_leave(const char *request)
{
    struct client client;
    start(&client, request, true);
    loop_run(loop);
    pthread_join(client.thread, NULL);
    free(client.answer);
}

static int count(const char *text, const char *what)
{
    int found = 0;
    for (const char *at = text; (at = strstr(at, what)); at++)
        found++;
    return found;
}

/* --- Life --- */

static void open_listener(uint64_t timeout)
{
    const struct api_listener_options options = {
        .admin_path = path, .timeout = timeout, .on_asked = on_asked, .on_answered = on_answered};
    if (api_listener_open(loop, NULL, &options, NULL, &listener, error, sizeof error) < 0)
        fail_msg("%s", error);
}

static int set_up(void **state)
{
    asked = answered = last_status = 0;
    held = NULL;
    strcpy(folder, "/tmp/streamplex-listener-XXXXXX");
    if (!mkdtemp(folder) || loop_new(&loop) < 0)
        return -1;
    snprintf(path, sizeof path, "%s/admin.sock", folder);
    open_listener(0);
    return 0;
}

static int tear_down(void **state)
{
    api_listener_close(listener);
    listener = NULL;
    loop_free(loop);
    unlink(path);
    rmdir(folder);
    return 0;
}

/* --- Tests --- */

static void test_a_request_and_its_answer(void **state)
{
    const char *answer = ask("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
                             "Connection: close\r\n\r\nhi");
    assert_non_null(strstr(answer, "HTTP/1.1 200 OK\r\n"));
    assert_int_equal(count(answer, "\r\nDate: "), 1);
    assert_non_null(strstr(answer, "X-More: 1\r\n"));
    assert_non_null(strstr(answer, "Content-Length: 19\r\n"));
    assert_non_null(strstr(answer, "Connection: close\r\n"));
    assert_non_null(strstr(answer, "\r\n\r\nPOST /a hi operator"));
    assert_int_equal(asked, 1);
    assert_int_equal(answered, 1);
}

static void test_many_at_once_are_answered_in_order(void **state)
{
    const char *answer = ask("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
                             "GET /3 HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_int_equal(count(answer, "HTTP/1.1 200 OK"), 3);
    assert_true(strstr(answer, "/1") < strstr(answer, "/2"));
    assert_true(strstr(answer, "/2") < strstr(answer, "/3"));
    assert_int_equal(count(answer, "Connection: close"), 1);
}

static void test_an_answer_larger_than_the_socket_takes(void **state)
{
    const char *answer = ask("GET /large HTTP/1.0\r\nHost: a\r\n\r\n");
    const char *body = strstr(answer, "\r\n\r\n");
    assert_non_null(body);
    assert_int_equal(strspn(body + 4, "l"), 300000);
}

static void test_shared_bodies_in_order(void **state)
{
    const char *answer = ask("GET /shared HTTP/1.1\r\nHost: a\r\n\r\n"
                             "GET /shared HTTP/1.1\r\nHost: a\r\n\r\n"
                             "GET /x HTTP/1.0\r\nHost: a\r\n\r\n");
    for (int i = 0; i < 2; i++) {
        const char *body = strstr(answer, "\r\n\r\n");
        assert_non_null(body);
        assert_int_equal(strspn(body + 4, "s"), 300000);
        answer = body + 4 + 300000;
    }
    assert_non_null(strstr(answer, "GET /x"));
}

static void test_what_waits_of_a_shared_body_is_the_text_itself(void **state)
{
    static const char request[] = "GET /shared HTTP/1.1\r\nHost: a\r\n\r\n";
    int fd = connect_to(path);
    assert_int_equal(send(fd, request, sizeof request - 1, 0), sizeof request - 1);
    stops_when_answered = true;
    loop_run(loop);
    stops_when_answered = false;
    assert_int_equal(references, 2);
    close(fd);
    (void)ask("GET /x HTTP/1.0\r\nHost: a\r\n\r\n"); /* it goes on */
    assert_int_equal(last_status, 200);
}

static void test_who_leaves_amid_a_shared_body(void **state)
{
    shared = NULL;
    send_and_leave("GET /shared HTTP/1.1\r\nHost: a\r\n\r\n");
    while (!shared)
        (void)ask("GET /x HTTP/1.0\r\nHost: a\r\n\r\n");
    (void)ask("GET /x HTTP/1.0\r\nHost: a\r\n\r\n"); /* it goes on */
    assert_int_equal(last_status, 200);
}

static void test_the_answer_says_how_it_may_be_kept(void **state)
{
    const char *answer = ask("HEAD /shared HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_int_equal(count(answer, "Cache-Control: "), 1);
    assert_non_null(strstr(answer, "Cache-Control: private, no-cache\r\n"));
    answer = ask("HEAD /x HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_non_null(strstr(answer, "Cache-Control: no-store\r\n"));
}

static void test_answers_without_a_body(void **state)
{
    const char *answer = ask("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n"
                             "HEAD /x HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_int_equal(count(answer, "Content-Length: "), 1);
    assert_null(strstr(answer, "HEAD /x"));
}

static void test_what_cannot_be_read(void **state)
{
    const char *answer = ask("GET /\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_non_null(strstr(answer, "HTTP/1.1 400 "));
    assert_int_equal(count(answer, "HTTP/1.1 "), 1); /* what follows can't be read, either */
    assert_non_null(strstr(answer, "{\"error\":{\"code\":\"BAD_REQUEST\""));
    assert_int_equal(asked, 0);
    assert_int_equal(last_status, 400);
}

static void test_who_is_slow(void **state)
{
    api_listener_close(listener);
    open_listener(20000);
    assert_non_null(strstr(ask("GET / HTTP/1.1\r\nHost:"), "HTTP/1.1 408 "));
    assert_string_equal(ask(""), ""); /* nothing was asked: nothing is said */
    assert_int_equal(last_status, 408);
}

static void test_who_leaves_while_it_is_answered(void **state)
{
    send_and_leave("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    while (!held)
        (void)ask("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    answer_call(held);
    (void)ask("GET / HTTP/1.0\r\nHost: a\r\n\r\n"); /* it goes on */
    assert_int_equal(last_status, 200);
}

static void test_draining(void **state)
{
    struct client client;
    begin(&client, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    while (!held)
        (void)ask("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    api_listener_drain(listener);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(connect_to(path), -1);
    answer_call(held); /* it is still answered, and closed then */
    assert_non_null(strstr(finish(&client), "Connection: close"));
}

static void test_the_socket_is_its_owners(void **state)
{
    struct stat status;
    assert_int_equal(lstat(path, &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void test_a_socket_that_somebody_left_is_replaced(void **state)
{
    struct api_listener *first = listener;
    first->admin_inode++; /* so that it stays, as after a crash */
    api_listener_close(first);
    assert_int_equal(access(path, F_OK), 0);
    open_listener(0);
    assert_non_null(strstr(ask("GET / HTTP/1.0\r\nHost: a\r\n\r\n"), "200 OK"));
}

static void test_a_socket_in_use_is_not(void **state)
{
    const struct api_listener_options options = {.admin_path = path};
    struct api_listener *second;
    assert_int_equal(api_listener_open(loop, NULL, &options, NULL, &second, error, sizeof error),
                     -1);
    assert_non_null(strstr(error, path));
    assert_non_null(strstr(ask("GET / HTTP/1.0\r\nHost: a\r\n\r\n"), "200 OK"));
}

static void test_another_file_is_left_alone(void **state)
{
    char file[160];
    struct api_listener *second;
    snprintf(file, sizeof file, "%s/file", folder);
    close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    const struct api_listener_options options = {.admin_path = file};
    assert_int_equal(api_listener_open(loop, NULL, &options, NULL, &second, error, sizeof error),
                     -1);
    assert_int_equal(unlink(file), 0);
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        EACH(test_a_request_and_its_answer),
        EACH(test_many_at_once_are_answered_in_order),
        EACH(test_an_answer_larger_than_the_socket_takes),
        EACH(test_shared_bodies_in_order),
        EACH(test_what_waits_of_a_shared_body_is_the_text_itself),
        EACH(test_who_leaves_amid_a_shared_body),
        EACH(test_the_answer_says_how_it_may_be_kept),
        EACH(test_answers_without_a_body),
        EACH(test_what_cannot_be_read),
        EACH(test_who_is_slow),
        EACH(test_who_leaves_while_it_is_answered),
        EACH(test_draining),
        EACH(test_the_socket_is_its_owners),
        EACH(test_a_socket_that_somebody_left_is_replaced),
        EACH(test_a_socket_in_use_is_not),
        EACH(test_another_file_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A shared folder over socket pairs: the test writes requests and reads answers, both on the loop,
 * as the agent does. */
#include "net_test.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include "agent/files.h"

#define BIG (3 * 1024 * 1024 + 17)

static struct loop *loop;
static struct files *files;
static char *folder;

static char answer_text[BIG + 65536];
static size_t answer_length;

/* --- the folder --- */

static void write_bytes(const char *name, const char *bytes, size_t length)
{
    FILE *file = fopen(test_path(folder, name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    fclose(file);
    struct timespec times[2] = {{784111777, 0}, {784111777, 0}};
    assert_int_equal(utimensat(AT_FDCWD, test_path(folder, name), times, 0), 0);
}

static void write_text(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

static unsigned char pattern(size_t at)
{
    return (unsigned char)(at * 2654435761u >> 13);
}

static void write_big(void)
{
    char *bytes = malloc(BIG);
    for (size_t i = 0; i < BIG; i++)
        bytes[i] = (char)pattern(i);
    write_bytes("big.bin", bytes, BIG);
    free(bytes);
}

static int make(void **state)
{
    (void)state;
    char error[256];
    folder = test_folder();
    assert_int_equal(mkdir(test_path(folder, "site"), 0700), 0);
    assert_int_equal(mkdir(test_path(folder, "list"), 0700), 0);
    assert_int_equal(mkdir(test_path(folder, "list/b ?"), 0700), 0);
    write_text("hello.txt", "hello, visitor\n");
    write_text("empty", "");
    write_text("site/index.html", "<h1>index</h1>");
    write_text("list/a<&>\"\xff.html", "x");
    write_text("list/Z", "1234567");
    write_text("list/.hidden", "secret");
    write_big();
    assert_int_equal(symlink("/etc/passwd", test_path(folder, "list/out")), 0);
    assert_int_equal(symlink("../hello.txt", test_path(folder, "list/in")), 0);
    assert_int_equal(mkfifo(test_path(folder, "list/pipe"), 0600), 0);
    assert_int_equal(loop_new(&loop), 0);
    assert_int_equal(files_open(loop, folder, false, &files, error, sizeof error), 0);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    static const char *const names[] = {
        "hello.txt", "empty",    "big.bin", "site/index.html", "list/a<&>\"\xff.html",
        "list/Z",    "list/out", "list/in", "list/.hidden",    "list/pipe",
    };
    files_close(files);
    test_run_for(loop, 0);
    loop_free(loop);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(unlink(test_path(folder, names[i])), 0);
    assert_int_equal(rmdir(test_path(folder, "list/b ?")), 0);
    assert_int_equal(rmdir(test_path(folder, "list")), 0);
    assert_int_equal(rmdir(test_path(folder, "site")), 0);
    test_remove_folder(folder);
    return 0;
}

/* --- the asking end --- */

struct asker {
    int fd;      /* non-blocking */
    size_t want; /* bytes of answer to read; SIZE_MAX: until the end */
    bool ended, failed;
};

static void asker_open(struct asker *asker, struct files *served)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(files_serve(served, fds[1]), 0);
    *asker = (struct asker){.fd = fds[0]};
    answer_length = 0;
    answer_text[0] = 0;
}

static void asker_close(struct asker *asker)
{
    close(asker->fd);
    test_run_for(loop, 0);
}

static void asker_write(struct asker *asker, const char *text, size_t length)
{
    assert_int_equal(write(asker->fd, text, length), length);
}

static bool has_read(void *user)
{
    struct asker *asker = user;
    while (!asker->ended && answer_length < asker->want) {
        size_t room = sizeof answer_text - 1 - answer_length;
        size_t size = asker->want - answer_length < room ? asker->want - answer_length : room;
        ssize_t got = read(asker->fd, answer_text + answer_length, size);
        if (got < 0 && errno == EAGAIN)
            return false;
        asker->failed |= got < 0;
        asker->ended |= got <= 0;
        answer_length += got > 0 ? (size_t)got : 0;
        answer_text[answer_length] = 0;
    }
    return true;
}

static void asker_read(struct asker *asker, size_t want)
{
    asker->want = want;
    test_run_until(loop, has_read, asker);
}

static bool has_head(void *user)
{
    struct asker *asker = user;
    asker->want = SIZE_MAX;
    has_read(asker);
    return strstr(answer_text, "\r\n\r\n") || asker->ended;
}

/* One request on a connection of its own, which says that it closes. */
static void ask_of(struct files *served, const char *method, const char *target, const char *fields)
{
    char text[4096];
    struct asker asker;
    asker_open(&asker, served);
    int length = snprintf(text, sizeof text,
                          "%s %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                          "%s\r\n",
                          method, target, fields);
    asker_write(&asker, text, (size_t)length);
    asker_read(&asker, SIZE_MAX);
    assert_false(asker.failed);
    asker_close(&asker);
}

static void ask(const char *method, const char *target, const char *fields)
{
    ask_of(files, method, target, fields);
}

static const char *body(void)
{
    const char *end = strstr(answer_text, "\r\n\r\n");
    assert_non_null(end);
    return end + 4;
}

static void expect_status(int status)
{
    int given = 0;
    assert_int_equal(sscanf(answer_text, "HTTP/1.1 %d ", &given), 1);
    if (given != status)
        fail_msg("%d, not %d: %s", given, status, answer_text);
}

static void expect_has(const char *text)
{
    if (!strstr(answer_text, text))
        fail_msg("%s isn't in %s", text, answer_text);
}

static void expect_lacks(const char *text)
{
    if (strstr(answer_text, text))
        fail_msg("%s is in %s", text, answer_text);
}

/* --- files --- */

static void test_a_file_is_sent(void **state)
{
    (void)state;
    ask("GET", "/hello.txt", "");
    expect_status(200);
    expect_has("Content-Type: text/plain; charset=utf-8\r\n");
    expect_has("Content-Length: 15\r\n");
    expect_has("Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
    expect_has("Accept-Ranges: bytes\r\n");
    expect_has("ETag: \"");
    expect_has("Date: ");
    expect_has("Connection: close\r\n");
    assert_string_equal(body(), "hello, visitor\n");
    ask("HEAD", "/hello.txt", "");
    expect_status(200);
    expect_has("Content-Length: 15\r\n");
    assert_string_equal(body(), "");
    ask("GET", "/empty", "");
    expect_status(200);
    expect_has("Content-Length: 0\r\n");
    expect_has("Content-Type: application/octet-stream\r\n");
    ask("GET", "/site/", "");
    expect_has("Content-Type: text/html; charset=utf-8\r\n");
    assert_string_equal(body(), "<h1>index</h1>");
    ask("GET", "/list/in", "");
    assert_string_equal(body(), "hello, visitor\n");
}

static void test_a_big_file_is_sent_in_pieces(void **state)
{
    (void)state;
    ask("GET", "/big.bin", "");
    expect_status(200);
    const char *bytes = body();
    assert_int_equal(answer_text + answer_length - bytes, BIG);
    for (size_t i = 0; i < BIG; i++)
        if ((unsigned char)bytes[i] != pattern(i))
            fail_msg("byte %zu is another", i);
}

static void test_parts_are_sent(void **state)
{
    (void)state;
    ask("GET", "/hello.txt", "Range: bytes=7-13\r\n");
    expect_status(206);
    expect_has("Content-Range: bytes 7-13/15\r\n");
    expect_has("Content-Length: 7\r\n");
    assert_string_equal(body(), "visitor");
    ask("GET", "/hello.txt", "Range: bytes=15-\r\n");
    expect_status(416);
    expect_has("Content-Range: bytes */15\r\n");
    ask("GET", "/hello.txt", "Range: bytes=0-1,3-4\r\n");
    expect_status(200);
    ask("GET", "/big.bin", "Range: bytes=-3\r\n");
    expect_status(206);
    assert_int_equal((unsigned char)body()[2], pattern(BIG - 1));
}

static void test_what_the_asker_has_isnt_sent_again(void **state)
{
    (void)state;
    char field[256], tag[128];
    ask("GET", "/hello.txt", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
    expect_status(304);
    assert_string_equal(body(), "");
    expect_lacks("Content-Length");
    assert_int_equal(sscanf(strstr(answer_text, "ETag: "), "ETag: %127s", tag), 1);
    snprintf(field, sizeof field, "If-None-Match: %s\r\n", tag);
    ask("GET", "/hello.txt", field);
    expect_status(304);
    snprintf(field, sizeof field, "If-Match: \"x\"\r\n");
    ask("GET", "/hello.txt", field);
    expect_status(412);
    write_text("hello.txt", "hello, visitoR\n"); /* same size and second */
    struct timespec times[2] = {{784111777, 1}, {784111777, 1}};
    assert_int_equal(utimensat(AT_FDCWD, test_path(folder, "hello.txt"), times, 0), 0);
    snprintf(field, sizeof field, "If-None-Match: %s\r\n", tag);
    ask("GET", "/hello.txt", field);
    expect_status(200);
    snprintf(field, sizeof field, "Range: bytes=0-1\r\nIf-Range: %s\r\n", tag);
    ask("GET", "/hello.txt", field);
    expect_status(200);
    write_text("hello.txt", "hello, visitor\n");
}

/* --- what isn't served --- */

static void test_what_isnt_there_is_not_found(void **state)
{
    (void)state;
    static const char *const targets[] = {
        "/none",       "/hello.txt/", "/hello.txt/x",    "/list/.hidden", "/list/out",
        "/list/pipe",  "/../x",       "/%2e%2e/x",       "//etc/passwd",  "/list/..%2f..",
        "/list/out/x", "/site/.",     "/list/%2ehidden",
    };
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        ask("GET", targets[i], "");
        expect_status(404);
        expect_has("Content-Type: text/html; charset=utf-8\r\n");
        expect_has("There is nothing of this name here.");
    }
    ask("HEAD", "/none", "");
    expect_status(404);
    assert_string_equal(body(), "");
}

static void test_other_requests_are_refused(void **state)
{
    (void)state;
    ask("POST", "/hello.txt", "Content-Length: 0\r\n");
    expect_status(405);
    expect_has("Allow: GET, HEAD\r\n");
    ask("GET", "/%zz", "");
    expect_status(400);
    ask("GET", "/hello.txt", "A : b\r\n");
    expect_status(400);
    ask("BREW", "/", "");
    expect_status(501);
}

static void test_a_head_beyond_the_cap_is_refused(void **state)
{
    (void)state;
    static char text[20000];
    struct asker asker;
    memset(text, 'a', sizeof text);
    memcpy(text, "GET /", 5);
    asker_open(&asker, files);
    asker_write(&asker, text, sizeof text);
    asker_read(&asker, SIZE_MAX);
    expect_status(431);
    expect_has("Connection: close\r\n");
    asker_close(&asker);
}

/* --- folders --- */

static void test_a_folder_is_listed(void **state)
{
    (void)state;
    ask("GET", "/list/", "");
    expect_status(200);
    expect_has("Content-Type: text/html; charset=utf-8\r\n");
    expect_has("<h1>/list</h1>");
    expect_has("<a href=\"../\">../</a>");
    expect_has("<a href=\"./b%20%3F/\">b ?/</a>");
    expect_has("<a href=\"./a%3C%26%3E%22%FF.html\">a&lt;&amp;&gt;&quot;\xef\xbf\xbd.html</a>");
    expect_has("<a href=\"./Z\">Z</a><td>7 B<td>1994-11-06 08:49");
    expect_has("<a href=\"./in\">in</a><td>15 B");
    expect_lacks("hidden");
    expect_lacks("out<");
    expect_lacks("pipe");
    /* folders first, then by name whatever its case */
    assert_true(strstr(body(), "./b%20") < strstr(body(), "./a%3C"));
    assert_true(strstr(body(), "./a%3C") < strstr(body(), "./in"));
    assert_true(strstr(body(), "./in") < strstr(body(), "./Z"));
    size_t length = strlen(body());
    char field[64];
    snprintf(field, sizeof field, "Content-Length: %zu\r\n", length);
    expect_has(field);
    ask("HEAD", "/list/", "");
    expect_has(field);
    assert_string_equal(body(), "");
    ask("GET", "/", "");
    expect_status(200);
    expect_lacks("../");
    expect_has("./big.bin\">big.bin</a><td>3.1 MB");
}

static void test_a_folder_without_its_slash_leads_to_it(void **state)
{
    (void)state;
    ask("GET", "/list/b%20%3f?x=1", "");
    expect_status(301);
    expect_has("Location: /list/b%20%3F/?x=1\r\n");
}

static void test_hidden_files_are_served_when_asked(void **state)
{
    (void)state;
    struct files *open_files;
    char error[256];
    assert_int_equal(files_open(loop, folder, true, &open_files, error, sizeof error), 0);
    ask_of(open_files, "GET", "/list/.hidden", "");
    expect_status(200);
    assert_string_equal(body(), "secret");
    ask_of(open_files, "GET", "/list/", "");
    expect_has("./.hidden");
    ask_of(open_files, "GET", "/list/../hello.txt", "");
    expect_status(404);
    files_close(open_files);
}

/* --- connections --- */

static void test_requests_follow_each_other(void **state)
{
    (void)state;
    static const char request[] = "GET /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n";
    struct asker asker;
    asker_open(&asker, files);
    for (int i = 0; i < 3; i++) {
        asker_write(&asker, request, sizeof request - 1);
        answer_length = 0;
        answer_text[0] = 0;
        test_run_until(loop, has_head, &asker);
        expect_status(200);
        expect_lacks("Connection:");
        assert_false(asker.ended);
    }
    shutdown(asker.fd, SHUT_WR);
    asker_read(&asker, SIZE_MAX);
    assert_true(asker.ended && !asker.failed);
    asker_close(&asker);
}

/* Whatever the pieces they come in, and all at once, too. */
static void test_pipelined_requests_are_answered_in_turn(void **state)
{
    (void)state;
    static const char requests[] = "GET /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n"
                                   "HEAD /empty HTTP/1.1\r\nHost: a\r\n\r\n"
                                   "GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n"
                                   "GET /site/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
                                   "GET /none HTTP/1.1\r\nHost: a\r\n\r\n";
    static const size_t pieces[] = {1, 7, 64, sizeof requests};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct asker asker;
        asker_open(&asker, files);
        for (size_t at = 0; at < sizeof requests - 1; at += pieces[i]) {
            size_t left = sizeof requests - 1 - at;

            if (!asker.ended &&
                write(asker.fd, requests + at, left < pieces[i] ? left : pieces[i]) < 0)
                assert_int_equal(errno, EPIPE);
            test_run_for(loop, 0);
        }
        asker_read(&asker, SIZE_MAX);
        const char *end = answer_text + answer_length;
        static const char last[] = "\r\n\r\n<h1>index</h1>";
        assert_memory_equal(end - (sizeof last - 1), last, sizeof last - 1);
        assert_true(answer_length > BIG + 15);
        assert_memory_equal(body(), "hello, visitor\nHTTP/1.1 200 OK\r\n", 32);
        asker_close(&asker);
    }
}

static void test_http_1_0_closes_unless_asked(void **state)
{
    (void)state;
    static const char closing[] = "GET /hello.txt HTTP/1.0\r\n\r\n";
    static const char kept[] = "GET /hello.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    struct asker asker;
    asker_open(&asker, files);
    asker_write(&asker, kept, sizeof kept - 1);
    test_run_until(loop, has_head, &asker);
    expect_has("Connection: keep-alive\r\n");
    assert_false(asker.ended);
    asker_write(&asker, closing, sizeof closing - 1);
    asker_read(&asker, SIZE_MAX);
    expect_has("Connection: close\r\n");
    asker_close(&asker);
}

/* What follows the body can't be found without reading it; it mustn't be taken for a request. */
static void test_a_request_with_a_body_is_the_last(void **state)
{
    (void)state;
    static const char request[] = "GET /hello.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 38\r\n\r\n"
                                  "GET /site/ HTTP/1.1\r\nHost: a\r\n\r\n    ";
    struct asker asker;
    asker_open(&asker, files);
    asker_write(&asker, request, sizeof request - 1);
    asker_read(&asker, SIZE_MAX);
    assert_string_equal(body(), "hello, visitor\n");
    asker_close(&asker);
}

static void test_many_are_served_at_once(void **state)
{
    (void)state;
    static const char request[] = "GET /big.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    struct asker askers[16];
    for (size_t i = 0; i < 16; i++) {
        asker_open(&askers[i], files);
        asker_write(&askers[i], request, sizeof request - 1);
    }
    test_run_for(loop, 0); /* all of them are under way, and none is read */
    for (size_t i = 16; i-- > 0;) {
        answer_length = 0;
        asker_read(&askers[i], SIZE_MAX);
        assert_int_equal(answer_text + answer_length - body(), BIG);
        asker_close(&askers[i]);
    }
}

static void test_an_asker_that_has_ended_gets_its_answer(void **state)
{
    (void)state;
    static const char request[] = "GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n";
    struct asker asker;
    asker_open(&asker, files);
    asker_write(&asker, request, sizeof request - 1);
    test_run_for(loop, 0);
    shutdown(asker.fd, SHUT_WR);
    asker_read(&asker, SIZE_MAX);
    assert_int_equal(answer_text + answer_length - body(), BIG);
    asker_close(&asker);
}

static void test_a_file_that_shrinks_cuts_the_connection(void **state)
{
    (void)state;
    static const char request[] = "GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n";
    struct asker asker;
    asker_open(&asker, files);
    asker_write(&asker, request, sizeof request - 1);
    test_run_until(loop, has_head, &asker);
    assert_true(answer_length < BIG); /* the rest waits for room in the socket */
    assert_int_equal(truncate(test_path(folder, "big.bin"), 100), 0);
    asker_read(&asker, SIZE_MAX);
    assert_true(asker.ended);
    assert_true(answer_length < BIG);
    asker_close(&asker);
    write_big();
}

static void test_askers_that_go_away_leave_nothing(void **state)
{
    (void)state;
    static const char request[] = "GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n";
    for (size_t length = 0; length < sizeof request; length += 12) {
        struct asker asker;
        asker_open(&asker, files);
        asker_write(&asker, request, length);
        test_run_for(loop, 0);
        asker_close(&asker);
    }
    struct asker asker;
    asker_open(&asker, files);
    asker_write(&asker, request, sizeof request - 1);
    test_run_for(loop, 0);
    asker_close(&asker);
}

static void test_closing_cuts_what_is_under_way(void **state)
{
    (void)state;
    static const char request[] = "GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n";
    struct files *other;
    struct asker idle, busy;
    char error[256];
    assert_int_equal(files_open(loop, folder, false, &other, error, sizeof error), 0);
    asker_open(&idle, other);
    asker_open(&busy, other);
    asker_write(&busy, request, sizeof request - 1);
    test_run_for(loop, 0);
    files_close(other);
    asker_read(&idle, SIZE_MAX);
    asker_read(&busy, SIZE_MAX);
    assert_true(idle.ended && busy.ended);
    asker_close(&idle);
    asker_close(&busy);
}

static void test_what_is_no_folder_is_said(void **state)
{
    (void)state;
    struct files *none = NULL;
    char error[256];
    assert_int_equal(files_open(loop, "/nowhere", false, &none, error, sizeof error), -1);
    assert_string_equal(error, "the folder /nowhere can't be shared: No such file or directory");
    assert_int_equal(
        files_open(loop, test_path(folder, "hello.txt"), false, &none, error, sizeof error), -1);
    assert_null(none);
    files_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_is_sent),
        cmocka_unit_test(test_a_big_file_is_sent_in_pieces),
        cmocka_unit_test(test_parts_are_sent),
        cmocka_unit_test(test_what_the_asker_has_isnt_sent_again),
        cmocka_unit_test(test_what_isnt_there_is_not_found),
        cmocka_unit_test(test_other_requests_are_refused),
        cmocka_unit_test(test_a_head_beyond_the_cap_is_refused),
        cmocka_unit_test(test_a_folder_is_listed),
        cmocka_unit_test(test_a_folder_without_its_slash_leads_to_it),
        cmocka_unit_test(test_hidden_files_are_served_when_asked),
        cmocka_unit_test(test_requests_follow_each_other),
        cmocka_unit_test(test_pipelined_requests_are_answered_in_turn),
        cmocka_unit_test(test_http_1_0_closes_unless_asked),
        cmocka_unit_test(test_a_request_with_a_body_is_the_last),
        cmocka_unit_test(test_many_are_served_at_once),
        cmocka_unit_test(test_an_asker_that_has_ended_gets_its_answer),
        cmocka_unit_test(test_a_file_that_shrinks_cuts_the_connection),
        cmocka_unit_test(test_askers_that_go_away_leave_nothing),
        cmocka_unit_test(test_closing_cuts_what_is_under_way),
        cmocka_unit_test(test_what_is_no_folder_is_said),
    };
    return cmocka_run_group_tests(tests, make, clean);
}

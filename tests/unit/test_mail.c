/* Mails to an SMTP server on the same loop, which says what it is told to. */
#include "net_test.h"

#include "net/acceptor.h"
#include "net/mail.h"
#include "net/secret.h"

#define PASSWORD "s3cr3t word"

struct talk {
    struct conn *conn;
    size_t length;
    char line[8192];
    bool in_data;
};

static struct loop *loop;
static struct mail_sender *sender;
static char *folder;
static char error[256];

/* The server, and what the last mail was. */
static struct {
    struct acceptor *acceptor;
    struct tls_context *tls;
    uint16_t port;
    bool offers_starttls, offers_auth, is_silent, closes_early, ignores_quit, starts_with_tls;
    const char *answer_to_rcpt, *answer_to_auth, *answer_to_data;
    int connections, mails, starttls, secure_mails;
    char from[256], to[256], auth[256], mail[16384];
    struct talk talks[16];
} server;

/* --- The server --- */

static void say(struct talk *talk, const char *text)
{
    ssize_t written = conn_write(talk->conn, text, strlen(text));
    assert_true(written == (ssize_t)strlen(text) || written == CONN_FAILED); /* it has hung up */
}

static bool is_secure(const struct talk *talk)
{
    return conn_tls_version(talk->conn)[0] != 0;
}

static void greet_back(struct talk *talk)
{
    say(talk, "250-fake.test\r\n");
    if (server.offers_starttls && !is_secure(talk))
        say(talk, "250-STARTTLS\r\n");
    if (server.offers_auth)
        say(talk, "250-AUTH PLAIN\r\n");
    say(talk, "250 8BITMIME\r\n");
}

static void take_data_line(struct talk *talk)
{
    if (strcmp(talk->line, ".") == 0) {
        talk->in_data = false;
        server.mails++;
        server.secure_mails += is_secure(talk);
        say(talk, server.answer_to_data ? server.answer_to_data : "250 taken\r\n");
        return;
    }
    size_t used = strlen(server.mail);
    snprintf(server.mail + used, sizeof server.mail - used, "%s\n", talk->line);
}

static void take_command(struct talk *talk)
{
    const char *line = talk->line;
    if (strncmp(line, "EHLO ", 5) == 0) {
        greet_back(talk);
    } else if (strcmp(line, "STARTTLS") == 0) {
        server.starttls++;
        say(talk, "220 go on\r\n");
        assert_int_equal(0, conn_start_tls_server(talk->conn, server.tls));
    } else if (strncmp(line, "AUTH ", 5) == 0) {
        snprintf(server.auth, sizeof server.auth, "%.255s", line);
        if (strlen(line) == strlen("AUTH PLAIN"))
            say(talk, "334 \r\n");
        else
            say(talk, server.answer_to_auth ? server.answer_to_auth : "235 welcome\r\n");
    } else if (strncmp(line, "MAIL ", 5) == 0) {
        snprintf(server.from, sizeof server.from, "%.255s", line);
        say(talk, "250 fine\r\n");
    } else if (strncmp(line, "RCPT ", 5) == 0) {
        snprintf(server.to, sizeof server.to, "%.255s", line);
        say(talk, server.answer_to_rcpt ? server.answer_to_rcpt : "250 fine\r\n");
    } else if (strcmp(line, "DATA") == 0) {
        server.mail[0] = 0;
        talk->in_data = true;
        say(talk, "354 go on\r\n");
    } else if (strcmp(line, "QUIT") == 0) {
        if (!server.ignores_quit)
            say(talk, "221 bye\r\n");
    } else if (*server.auth) { /* what follows "334" */
        snprintf(server.auth, sizeof server.auth, "AUTH PLAIN %.200s", line);
        say(talk, server.answer_to_auth ? server.answer_to_auth : "235 welcome\r\n");
    } else {
        say(talk, "500 what\r\n");
    }
}

static void on_readable(struct conn *conn)
{
    struct talk *talk = conn_user(conn);
    char byte;
    while (conn_read(conn, &byte, 1) == 1) {
        assert_true(talk->length < sizeof talk->line);
        talk->line[talk->length++] = byte;
        if (byte != '\n')
            continue;
        assert_true(talk->length >= 2 && talk->line[talk->length - 2] == '\r');
        talk->line[talk->length - 2] = 0;
        talk->length = 0;
        int handshakes = server.starttls;
        if (talk->in_data)
            take_data_line(talk);
        else
            take_command(talk);
        if (handshakes != server.starttls)
            return;
    }
}

static void on_ready(struct conn *conn)
{
    if (server.starts_with_tls)
        say(conn_user(conn), "220 fake.test\r\n");
}

static void quiet(struct conn *conn)
{
}

static void on_accept(struct acceptor *acceptor, int fd, const union address *peer, void *user)
{
    static const struct conn_callbacks callbacks = {.on_ready = on_ready,
                                                    .on_readable = on_readable,
                                                    .on_writable = quiet,
                                                    .on_hangup = quiet,
                                                    .on_failed = quiet};
    struct talk *talk = &server.talks[server.connections++];
    if (server.closes_early) {
        server.connections--;
        close(fd);
        return;
    }
    assert_int_equal(0, conn_attach(loop, fd, NULL, 0, &callbacks, talk, &talk->conn));
    if (server.starts_with_tls)
        assert_int_equal(0, conn_start_tls_server(talk->conn, server.tls));
    else if (!server.is_silent)
        say(talk, "220 fake.test\r\n");
}

static int setup(void **state)
{
    union address address;
    const char *names[] = {"127.0.0.1"};
    memset(&server, 0, sizeof server);
    sender = NULL;
    folder = test_folder();
    assert_int_equal(0, loop_new(&loop));
    assert_int_equal(0, pki_ensure_server(folder, names, 1, error, sizeof error));
    struct tls_server_options options = {.certificate_file = test_path(folder, "server.pem"),
                                         .key_file = test_path(folder, "server.key")};
    assert_int_equal(0, tls_server_new(&options, &server.tls, error, sizeof error));
    assert_int_equal(0, address_from_host("127.0.0.1", 0, &address));
    assert_int_equal(0, acceptor_open(loop, &address, on_accept, NULL, &server.acceptor));
    acceptor_address(server.acceptor, &address);
    server.port = address_port(&address);
    return 0;
}

static int teardown(void **state)
{
    mail_free(sender);
    acceptor_close(server.acceptor);
    for (int i = 0; i < server.connections; i++)
        conn_abort(server.talks[i].conn);
    tls_context_unref(server.tls);
    loop_free(loop);
    test_remove_folder(folder);
    return 0;
}

/* --- The sender --- */

struct outcome {
    bool done, failed;
    char error[256];
};

static void on_done(void *user, const char *sentence)
{
    struct outcome *outcome = user;
    assert_false(outcome->done);
    outcome->done = true;
    outcome->failed = sentence != NULL;
    snprintf(outcome->error, sizeof outcome->error, "%s", sentence ? sentence : "");
    assert_null(strstr(outcome->error, "s3cr3t"));
    assert_null(strstr(outcome->error, "ann@"));
}

static void make_sender(const char *scheme, const char *login, const char *host, bool trusts,
                        uint64_t timeout)
{
    char url[256];
    snprintf(url, sizeof url, "%s://%s%s:%u", scheme, login, host, server.port);
    struct mail_options options = {.url = url,
                                   .from = "Plex <plex@example.com>",
                                   .ca_file = trusts ? test_path(folder, "ca.pem") : NULL,
                                   .timeout = timeout};
    assert_int_equal(0, mail_new(loop, &options, &sender, error, sizeof error));
}

static struct outcome send_one(void)
{
    struct outcome outcome = {0};
    assert_int_equal(
        0, mail_send(sender, "ann@example.org", "Confirm", "Hello\n.\nAnn\n", on_done, &outcome));
    assert_false(outcome.done);
    test_run_until(loop, test_flag_holds, &outcome.done);
    return outcome;
}

static void test_mail_arrives(void **state)
{
    make_sender("smtp", "", "127.0.0.1", false, 0);
    struct outcome outcome = send_one();
    assert_string_equal("", outcome.error);
    assert_false(outcome.failed);
    assert_int_equal(1, server.mails);
    assert_int_equal(0, strncmp(server.from, "MAIL FROM:<plex@example.com>", 28));
    assert_string_equal("RCPT TO:<ann@example.org>", server.to);
    assert_non_null(strstr(server.mail, "From: Plex\n <plex@example.com>\n"));
    assert_non_null(strstr(server.mail, "\nTo: ann@example.org\n"));
    assert_non_null(strstr(server.mail, "\nSubject: Confirm\n"));
    assert_non_null(strstr(server.mail, "\n\nSGVsbG8NCi4NCkFubg0K\n"));
    assert_string_equal("", server.auth);
    outcome = send_one();
    assert_false(outcome.failed);
    assert_int_equal(2, server.mails);
}

static void test_user_and_password(void **state)
{
    char expected[128] = "AUTH PLAIN ";
    secret_base64("\0plex@x\0" PASSWORD, 8 + strlen(PASSWORD), expected + strlen(expected));
    server.offers_auth = true;
    make_sender("smtp", "plex%40x:s3cr3t%20word@", "127.0.0.1", false, 0);
    struct outcome outcome = send_one();
    assert_string_equal("", outcome.error);
    assert_string_equal(expected, server.auth);
}

static void test_wrong_password(void **state)
{
    server.offers_auth = true;
    server.answer_to_auth = "535 no, " PASSWORD "\r\n";
    make_sender("smtp", "plex:s3cr3t%20word@", "127.0.0.1", false, 0);
    struct outcome outcome = send_one();
    assert_true(outcome.failed);
    assert_non_null(strstr(outcome.error, "password"));
    assert_int_equal(0, server.mails);
}

static void test_refused_recipient(void **state)
{
    server.answer_to_rcpt = "550 no ann@example.org here\r\n";
    make_sender("smtp", "", "127.0.0.1", false, 0);
    struct outcome outcome = send_one();
    assert_true(outcome.failed);
    assert_non_null(strstr(outcome.error, "550"));
    assert_int_equal(0, server.mails);
}

static void test_refused_text(void **state)
{
    server.answer_to_data = "554 spam\r\n";
    make_sender("smtp", "", "127.0.0.1", false, 0);
    struct outcome outcome = send_one();
    assert_true(outcome.failed);
    assert_non_null(strstr(outcome.error, "554"));
}

static void test_starttls_is_taken_when_offered(void **state)
{
    server.offers_starttls = true;
    make_sender("smtp", "", "127.0.0.1", false, 0);
    struct outcome outcome = send_one();
    assert_string_equal("", outcome.error);
    assert_int_equal(1, server.starttls);
    assert_int_equal(1, server.secure_mails);
}

static void test_smtps(void **state)
{
    server.starts_with_tls = true;
    make_sender("smtps", "", "127.0.0.1", true, 0);
    struct outcome outcome = send_one();
    assert_string_equal("", outcome.error);
    assert_int_equal(1, server.secure_mails);
}

static void test_smtps_checks_the_certificate(void **state)
{
    server.starts_with_tls = true;
    make_sender("smtps", "", "127.0.0.1", false, 0);
    struct outcome outcome = send_one();
    assert_true(outcome.failed);
    assert_non_null(strstr(outcome.error, "certificate"));
    assert_int_equal(0, server.mails);
}

/* A name that only this program knows: another machine's, as far as the sender can tell. */
static void test_other_machines_need_starttls(void **state)
{
    server.offers_auth = true;
    make_sender("smtp", "plex:s3cr3t%20word@", "0.0.0.0", false, 0);
    struct outcome outcome = send_one();
    assert_true(outcome.failed);
    assert_non_null(strstr(outcome.error, "STARTTLS"));
    assert_string_equal("", server.auth);
    assert_string_equal("", server.from);
    mail_free(sender);
    server.offers_starttls = true;
    make_sender("smtp", "plex:s3cr3t%20word@", "0.0.0.0", true, 0);
    outcome = send_one(); /* the certificate is 127.0.0.1's */
    assert_true(outcome.failed);
    assert_string_equal("", server.auth);
    assert_int_equal(0, server.mails);
}

static void test_silent_server(void **state)
{
    server.is_silent = true;
    make_sender("smtp", "", "127.0.0.1", false, 50000);
    struct outcome outcome = send_one();
    assert_true(outcome.failed);
    assert_non_null(strstr(outcome.error, "Timeout"));
}

static bool recipient_is_known(void *user)
{
    return server.to[0] != 0;
}

static void test_an_answer_to_quit_is_not_awaited(void **state)
{
    struct outcome outcome;
    server.ignores_quit = true;
    make_sender("smtp", "", "127.0.0.1", false, 0);
    outcome = send_one(); /* or the watchdog barks */
    assert_false(outcome.failed);
    server.answer_to_rcpt = "550 no\r\n"; /* libcurl says QUIT elsewhere, then */
    server.to[0] = 0;
    outcome.done = true; /* would fail in on_done() */
    assert_int_equal(0, mail_send(sender, "ann@example.org", "s", "t", on_done, &outcome));
    test_run_until(loop, recipient_is_known, NULL);
    mail_free(sender); /* at once, though libcurl would wait */
    sender = NULL;
}

static void test_server_that_hangs_up(void **state)
{
    server.closes_early = true;
    make_sender("smtp", "", "127.0.0.1", false, 0);
    struct outcome outcome = send_one();
    assert_true(outcome.failed);
    assert_true(outcome.error[0]);
}

static bool threads_are_busy(void *user)
{
    return server.connections == MAIL_CONNECTIONS_MAX;
}

static void test_bounded(void **state)
{
    struct outcome never = {.done = true}; /* would fail in on_done() */
    server.is_silent = true;               /* nothing ends but by being given up */
    make_sender("smtp", "", "127.0.0.1", false, 0);
    for (int i = 0; i < MAIL_CONNECTIONS_MAX; i++)
        assert_int_equal(0, mail_send(sender, "ann@example.org", "s", "t", on_done, &never));
    test_run_until(loop, threads_are_busy, NULL);
    for (int i = 0; i < MAIL_WAITING_MAX; i++)
        assert_int_equal(0, mail_send(sender, "ann@example.org", "s", "t", on_done, &never));
    assert_int_equal(-EAGAIN, mail_send(sender, "ann@example.org", "s", "t", on_done, &never));
    mail_free(sender); /* long before their time, and without a callback */
    sender = NULL;
    test_run_for(loop, 10000);
    assert_int_equal(MAIL_CONNECTIONS_MAX, server.connections);
}

static void test_many(void **state)
{
    struct outcome outcomes[6] = {0};
    make_sender("smtp", "", "127.0.0.1", false, 0);
    for (int i = 0; i < 6; i++)
        assert_int_equal(0, mail_send(sender, "ann@example.org", "s", "t", on_done, &outcomes[i]));
    for (int i = 0; i < 6; i++)
        test_run_until(loop, test_flag_holds, &outcomes[i].done);
    for (int i = 0; i < 6; i++)
        assert_string_equal("", outcomes[i].error);
    assert_int_equal(6, server.mails);
}

static void test_what_cannot_be_sent(void **state)
{
    struct outcome outcome = {0};
    make_sender("smtp", "", "127.0.0.1", false, 0);
    for (int i = 0; i < MAIL_WAITING_MAX + 3; i++) /* none takes a place */
        assert_int_equal(-EINVAL, mail_send(sender, "ann@example.org>\r\nRCPT TO:<eve@example.org",
                                            "s", "t", on_done, &outcome));
    assert_false(send_one().failed);
}

static void free_sender(void *user, const char *sentence)
{
    int *calls = user;
    mail_free(sender);
    sender = NULL;
    ++*calls;
}

static bool was_called(void *calls)
{
    return *(int *)calls > 0;
}

static void test_freed_by_a_callback(void **state)
{
    int calls = 0;
    make_sender("smtp", "", "127.0.0.1", false, 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(0, mail_send(sender, "ann@example.org", "s", "t", free_sender, &calls));
    test_run_until(loop, was_called, &calls);
    while (loop_settle(loop))
        ;
    assert_int_equal(1, calls); /* whichever was first; the others are dropped */
    mail_free(NULL);
}

static void test_options_that_cannot_be(void **state)
{
    static const char *const urls[] = {"",
                                       "mail.example.com:25/",
                                       "http://mail.example.com/",
                                       "smtp://",
                                       "smtp://plex@mail.example.com",
                                       "smtp://plex:s3cr3t@mail.example.com/path",
                                       "smtp://plex:s3cr3t@mail.example.com/?a=b",
                                       "smtp://plex:s3cr3t@mail.example.com/#a",
                                       "smtp://plex:s3cr3t@mail.example.com:port",
                                       "smtp://plex:s3cr3t%0a@mail.example.com"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct mail_options options = {.url = urls[i], .from = "plex@example.com"};
        error[0] = 0;
        assert_int_equal(-1, mail_new(loop, &options, &sender, error, sizeof error));
        assert_true(error[0]);
        assert_null(strstr(error, "s3cr3t"));
    }
    struct mail_options options = {.url = "smtp://mail.example.com", .from = "a@b\r\nBcc: c@d"};
    assert_int_equal(-1, mail_new(loop, &options, &sender, error, sizeof error));
    assert_null(sender);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_mail_arrives),
        TEST(test_user_and_password),
        TEST(test_wrong_password),
        TEST(test_refused_recipient),
        TEST(test_refused_text),
        TEST(test_starttls_is_taken_when_offered),
        TEST(test_smtps),
        TEST(test_smtps_checks_the_certificate),
        TEST(test_other_machines_need_starttls),
        TEST(test_silent_server),
        TEST(test_an_answer_to_quit_is_not_awaited),
        TEST(test_server_that_hangs_up),
        TEST(test_bounded),
        TEST(test_many),
        TEST(test_what_cannot_be_sent),
        TEST(test_freed_by_a_callback),
        TEST(test_options_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

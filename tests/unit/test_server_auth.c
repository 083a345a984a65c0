#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_oauth.h"
#include "net/pki.h"
#include "server/auth.h"

#define SECRET      "s3cr3t-of-the-client"
#define ANSWERS_MAX 2048

struct answer {
    bool given;
    enum auth_result result;
    char owner[AUTH_OWNER_MAX + 1];
};

struct bench {
    struct loop *loop;
    struct config *config;
    struct auth *auth;
    struct fake_oauth server;
    int asked, answered, wanted; /* the loop stops once `wanted` are answered */
    struct answer answers[ANSWERS_MAX];
    char folder[64], program[96];
    int log, real_stderr;
};

/* What the log said is read back: neither tokens nor secrets may stand there. */
static void catch_log(struct bench *bench)
{
    fflush(stderr);
    bench->log = memfd_create("log", MFD_CLOEXEC);
    bench->real_stderr = dup(STDERR_FILENO);
    dup2(bench->log, STDERR_FILENO);
}

static const char *logged(struct bench *bench)
{
    static char text[65536];
    ssize_t length = pread(bench->log, text, sizeof text - 1, 0);
    text[length < 0 ? 0 : length] = 0;
    return text;
}

static struct config *config_new(void)
{
    struct config *config = calloc(1, sizeof *config);
    config->references = 1;
    config->settings.auth_cache = 300000000;
    config->settings.auth_check_timeout = 600000000; /* where it isn't what is tested */
    return config;
}

static void begin(struct bench *bench, struct config *config)
{
    bench->config = config;
    assert_int_equal(auth_new(bench->loop, config, &bench->auth), 0);
}

static struct config *oauth_config(struct bench *bench)
{
    struct config *config = config_new();
    union address address;
    acceptor_address(bench->server.acceptor, &address);
    assert_true(asprintf(&config->settings.oauth, "http://client:" SECRET "@127.0.0.1:%d/base/",
                         address_port(&address)) > 0);
    return config;
}

static void begin_oauth(struct bench *bench)
{
    begin(bench, oauth_config(bench));
}

static struct config *exec_config(struct bench *bench, const char *script)
{
    snprintf(bench->program, sizeof bench->program, "%s/check", bench->folder);
    FILE *file = fopen(bench->program, "w");
    assert_non_null(file);
    fprintf(file, "#!/bin/sh\n%s\n", script);
    fclose(file);
    assert_int_equal(chmod(bench->program, 0700), 0);
    struct config *config = config_new();
    config->settings.auth_exec = strdup(bench->program);
    return config;
}

static void end(struct bench *bench)
{
    auth_free(bench->auth);
    config_unref(bench->config);
    bench->auth = NULL;
    bench->config = NULL;
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    *state = bench;
    strcpy(bench->folder, "/tmp/streamplex-auth-XXXXXX");
    if (!mkdtemp(bench->folder) || loop_new(&bench->loop) < 0 ||
        fake_oauth_open(&bench->server, bench->loop) < 0)
        return -1;
    catch_log(bench);
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    dup2(bench->real_stderr, STDERR_FILENO);
    close(bench->real_stderr);
    fputs(logged(bench), stderr); /* failed assertions stand there, too */
    close(bench->log);
    end(bench);
    fake_oauth_close(&bench->server);
    loop_free(bench->loop);
    if (*bench->program)
        unlink(bench->program);
    rmdir(bench->folder);
    free(bench);
    return 0;
}

static void on_answered(struct loop_message *message)
{
    struct auth_question *question = (struct auth_question *)message;
    struct bench *bench = question->user;
    struct answer *answer = &bench->answers[question->tunnel];
    assert_false(answer->given);
    answer->given = true;
    answer->result = question->result;
    strcpy(answer->owner, question->owner);
    assert_int_equal(question->token_length, 0);
    auth_question_free(question);
    if (++bench->answered == bench->wanted)
        loop_stop(bench->loop);
}

/* Asks; the number of its answer. */
static int ask_bytes(struct bench *bench, const char *token, size_t length)
{
    struct auth_question *question = auth_question_new(token, length);
    assert_non_null(question);
    question->reply_to = bench->loop;
    question->answered = on_answered;
    question->user = bench;
    question->tunnel = (uint64_t)bench->asked;
    auth_ask(bench->auth, bench->loop, question);
    return bench->asked++;
}

static int ask(struct bench *bench, const char *token)
{
    return ask_bytes(bench, token, strlen(token));
}

static void wait_for(struct bench *bench, int answers)
{
    bench->wanted = answers;
    if (bench->answered < answers)
        loop_run(bench->loop);
    assert_null(strstr(logged(bench), SECRET));
    assert_null(strstr(logged(bench), "tok-"));
}

static const struct answer *judge(struct bench *bench, const char *token)
{
    int number = ask(bench, token);
    wait_for(bench, bench->answered + 1);
    return &bench->answers[number];
}

static void assert_accepted(const struct answer *answer, const char *owner)
{
    assert_true(answer->given);
    assert_int_equal(answer->result, AUTH_ACCEPTED);
    assert_string_equal(answer->owner, owner);
}

static void assert_result(const struct answer *answer, enum auth_result result)
{
    assert_true(answer->given);
    assert_int_equal(answer->result, result);
    assert_string_equal(answer->owner, "");
}

/* Shared tokens. */

static void test_shared_tokens_are_judged_at_once(void **state)
{
    struct bench *bench = *state;
    struct config *config = config_new();
    char error[128];
    assert_int_equal(tokens_add(&config->tokens, "bob", "tok-1", error, sizeof error), 0);
    assert_true(auth_is_local(config));
    begin(bench, config);
    assert_accepted(judge(bench, "tok-1"), "bob");
    assert_result(judge(bench, "tok-2"), AUTH_REFUSED);
}

static void test_oauth_wins_over_program_over_tokens(void **state)
{
    struct bench *bench = *state;
    char error[128];
    struct config *config = exec_config(bench, "cat >/dev/null; echo program");
    assert_int_equal(tokens_add(&config->tokens, "bob", "tok-1", error, sizeof error), 0);
    assert_false(auth_is_local(config));
    begin(bench, config);
    assert_accepted(judge(bench, "tok-1"), "program");
    struct config *both = oauth_config(bench);
    both->settings.auth_exec = strdup(bench->program);
    assert_false(auth_is_local(both));
    auth_configure(bench->auth, both);
    config_unref(both);
    assert_accepted(judge(bench, "tok-1"), "ann");
}

/* Tokens of accounts. */

static int judged;

static enum auth_result judge_account(void *user, const char *token, size_t length,
                                      struct grant **ret_grant)
{
    judged++;
    assert_int_equal(strlen(token), length);
    if (!strncmp(token, "sp_good", 7))
        *ret_grant = grant_new("an-account", NULL, "a-login");
    return *ret_grant ? AUTH_ACCEPTED : !strncmp(token, "sp_bad", 6) ? AUTH_REFUSED : AUTH_NOT_MINE;
}

static void test_accounts_are_asked_after_shared_tokens(void **state)
{
    struct bench *bench = *state;
    struct config *config = config_new();
    char error[128];
    config->accounts_on = true;
    assert_int_equal(tokens_add(&config->tokens, "bob", "sp_good-tok-1", error, sizeof error), 0);
    assert_false(auth_is_local(config));
    assert_true(auth_knows_tokens(config));
    begin(bench, config);
    assert_result(judge(bench, "sp_good-tok-2"), AUTH_REFUSED); /* nobody judges them yet */
    auth_set_judge(bench->auth, judge_account, NULL);
    judged = 0;
    assert_accepted(judge(bench, "sp_good-tok-1"), "bob");
    assert_int_equal(judged, 0);
    assert_accepted(judge(bench, "sp_good-tok-2"), "an-account");
    assert_result(judge(bench, "sp_bad-tok-3"), AUTH_REFUSED);
    assert_result(judge(bench, "tok-4"), AUTH_REFUSED);
    assert_result(judge(bench, "sp_good\n"), AUTH_REFUSED); /* no check may see that */
    assert_int_equal(judged, 3);
}

static void test_accounts_are_asked_before_a_checker(void **state)
{
    struct bench *bench = *state;
    struct config *config = exec_config(bench, "cat >/dev/null; echo program");
    config->accounts_on = true;
    begin(bench, config);
    auth_set_judge(bench->auth, judge_account, NULL);
    assert_accepted(judge(bench, "sp_good-tok-1"), "an-account");
    assert_accepted(judge(bench, "tok-2"), "program");
    assert_result(judge(bench, "sp_bad-tok-3"), AUTH_REFUSED); /* not the checker's to say */
}

/* OAuth. */

static void test_both_oauth_calls_are_as_specified(void **state)
{
    struct bench *bench = *state;
    begin_oauth(bench);
    assert_accepted(judge(bench, "tok-a&b=c+d"), "ann");
    const char *post = bench->server.token_request, *get = bench->server.profile_request;
    assert_int_equal(strncmp(post, "POST /base/oauth/token HTTP/1.1\r\n", 33), 0);
    /* client:s3cr3t-of-the-client */
    assert_non_null(
        strstr(post, "\r\nAuthorization: Basic Y2xpZW50OnMzY3IzdC1vZi10aGUtY2xpZW50\r\n"));
    assert_non_null(strcasestr(post, "\r\nContent-Type: application/x-www-form-urlencoded\r\n"));
    assert_string_equal(strstr(post, "\r\n\r\n") + 4,
                        "grant_type=https%3A%2F%2Ftessel-grant&api_key=tok-a%26b%3Dc%2Bd");
    assert_int_equal(strncmp(get, "GET /base/users/profile?access_token=at%2F1 HTTP/1.1\r\n", 54),
                     0);
    assert_null(strstr(get, "Authorization"));
}

static void test_an_accepted_token_is_asked_about_once(void **state)
{
    struct bench *bench = *state;
    begin_oauth(bench);
    assert_accepted(judge(bench, "tok-1"), "ann");
    assert_accepted(judge(bench, "tok-1"), "ann");
    assert_int_equal(bench->server.token_requests, 1);
    bench->server.profile.body = "{\"username\":\"bob\"}";
    assert_accepted(judge(bench, "tok-2"), "bob");
    assert_int_equal(bench->server.token_requests, 2);
}

static void test_http_400_refuses_and_is_kept_a_while(void **state)
{
    struct bench *bench = *state;
    begin_oauth(bench);
    bench->server.token = (struct fake_answer){400, "{\"error\":\"no\"}"};
    assert_result(judge(bench, "tok-1"), AUTH_REFUSED);
    assert_result(judge(bench, "tok-1"), AUTH_REFUSED);
    assert_int_equal(bench->server.token_requests, 1);
    assert_int_equal(bench->server.profile_requests, 0);
    assert_string_equal(logged(bench), "");
}

static void test_anything_unexpected_is_our_fault_and_not_kept(void **state)
{
    static const struct {
        struct fake_answer token, profile;
    } cases[] = {
        {{401, "{}"}, {200, "{\"username\":\"ann\"}"}},
        {{500, "{\"access_token\":\"a\"}"}, {200, "{\"username\":\"ann\"}"}},
        {{302, ""}, {200, "{\"username\":\"ann\"}"}},
        {{0, NULL}, {200, "{\"username\":\"ann\"}"}},
        {{200, "<html>"}, {200, "{\"username\":\"ann\"}"}},
        {{200, "{\"access_token\":null}"}, {200, "{\"username\":\"ann\"}"}},
        {{200, "{\"access_token\":\"tok-x\"}"}, {400, "{\"username\":\"ann\"}"}},
        {{200, "{\"access_token\":\"tok-x\"}"}, {0, NULL}},
        {{200, "{\"access_token\":\"tok-x\"}"}, {200, "{\"name\":\"ann\"}"}},
        {{200, "{\"access_token\":\"tok-x\"}"}, {200, "{\"username\":\"a\\nb\"}"}},
    };
    struct bench *bench = *state;
    begin_oauth(bench);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bench->server.token = cases[i].token;
        bench->server.profile = cases[i].profile;
        assert_result(judge(bench, "tok-1"), AUTH_SYSTEM_ERROR);
        assert_int_equal(bench->server.token_requests, i + 1);
    }
    bench->server.token = (struct fake_answer){200, "{\"access_token\":\"tok-x\"}"};
    bench->server.profile = (struct fake_answer){200, "{\"username\":\"ann\"}"};
    assert_accepted(judge(bench, "tok-1"), "ann");
    assert_non_null(strstr(logged(bench), "a token could not be checked"));
    assert_non_null(strstr(logged(bench), "HTTP 401"));
}

static void test_a_server_that_is_not_there_is_our_fault(void **state)
{
    struct bench *bench = *state;
    begin_oauth(bench);
    acceptor_close(bench->server.acceptor);
    bench->server.acceptor = NULL;
    assert_result(judge(bench, "tok-1"), AUTH_SYSTEM_ERROR);
}

static void test_a_server_that_does_not_answer_is_given_up(void **state)
{
    struct bench *bench = *state;
    struct config *config = oauth_config(bench);
    config->settings.auth_check_timeout = 30000;
    begin(bench, config);
    bench->server.hold = true;
    assert_result(judge(bench, "tok-1"), AUTH_SYSTEM_ERROR);
}

static void test_a_fleet_with_one_token_makes_one_check(void **state)
{
    struct bench *bench = *state;
    begin_oauth(bench);
    for (int i = 0; i < 500; i++)
        ask(bench, "tok-1");
    wait_for(bench, 500);
    for (int i = 0; i < 500; i++)
        assert_accepted(&bench->answers[i], "ann");
    assert_int_equal(bench->server.token_requests, 1);
}

static void release_at_64(struct fake_oauth *server)
{
    struct bench *bench = server->user;
    if (server->token_requests != 64 || !server->hold)
        return;
    /* 64 are under way, and no more are; those over the bounds have been answered. */
    for (int i = 0; i < bench->asked; i++)
        assert_int_equal(bench->answers[i].given, i >= 64 + 1024);
    server->on_request = NULL;
    fake_oauth_release(server);
}

static void test_checks_are_bounded(void **state)
{
    struct bench *bench = *state;
    begin_oauth(bench);
    bench->server.hold = true;
    bench->server.on_request = release_at_64;
    bench->server.user = bench;
    for (int i = 0; i < 64 + 1024 + 10; i++) {
        char token[32];
        snprintf(token, sizeof token, "tok-%d", i);
        ask(bench, token);
    }
    wait_for(bench, bench->asked);
    for (int i = 0; i < 64 + 1024; i++)
        assert_accepted(&bench->answers[i], "ann");
    for (int i = 64 + 1024; i < bench->asked; i++)
        assert_result(&bench->answers[i], AUTH_SYSTEM_ERROR);
    assert_int_equal(bench->server.token_requests, 64 + 1024);
}

static void test_odd_tokens_are_refused_unseen(void **state)
{
    struct bench *bench = *state;
    static char longest[AUTH_TOKEN_MAX + 2];
    memset(longest, 'a', sizeof longest - 1);
    begin_oauth(bench);
    ask(bench, "");
    ask(bench, longest);
    ask(bench, "tok-\n1");
    ask(bench, "tok-\x7f");
    ask_bytes(bench, "tok-1\0x", 7);
    wait_for(bench, 5);
    for (int i = 0; i < 5; i++)
        assert_result(&bench->answers[i], AUTH_REFUSED);
    assert_int_equal(bench->server.token_requests, 0);
    longest[AUTH_TOKEN_MAX] = 0;
    assert_accepted(judge(bench, longest), "ann");
}

/* Reload. */

static void test_a_reload_forgets_what_was_answered(void **state)
{
    struct bench *bench = *state;
    begin_oauth(bench);
    assert_accepted(judge(bench, "tok-1"), "ann");
    auth_configure(bench->auth, bench->config);
    bench->server.token.status = 400;
    assert_result(judge(bench, "tok-1"), AUTH_REFUSED);
}

static void reload_to_program(struct fake_oauth *server)
{
    struct bench *bench = server->user;
    if (server->token_requests != 64)
        return;
    server->on_request = NULL;
    struct config *config = exec_config(bench, "cat >/dev/null; echo program");
    auth_configure(bench->auth, config);
    config_unref(config);
    fake_oauth_release(server);
}

static void test_a_reload_keeps_checks_under_way_and_moves_the_waiting(void **state)
{
    struct bench *bench = *state;
    begin_oauth(bench);
    bench->server.hold = true;
    bench->server.on_request = reload_to_program;
    bench->server.user = bench;
    for (int i = 0; i < 70; i++) {
        char token[32];
        snprintf(token, sizeof token, "tok-%d", i);
        ask(bench, token);
    }
    ask(bench, "tok-69"); /* a second one for a check that waits */
    wait_for(bench, 71);
    for (int i = 0; i < 64; i++)
        assert_accepted(&bench->answers[i], "ann");
    for (int i = 64; i < 71; i++)
        assert_accepted(&bench->answers[i], "program");
    /* What the old configuration found is asked anew. */
    assert_accepted(judge(bench, "tok-0"), "program");
}

static void reload_to_tokens(struct fake_oauth *server)
{
    struct bench *bench = server->user;
    if (server->token_requests != 64)
        return;
    char error[128];
    server->on_request = NULL;
    struct config *config = config_new();
    assert_int_equal(tokens_add(&config->tokens, "bob", "tok-64", error, sizeof error), 0);
    auth_configure(bench->auth, config);
    config_unref(config);
    fake_oauth_release(server);
}

static void test_a_reload_to_shared_tokens_judges_the_waiting_by_them(void **state)
{
    struct bench *bench = *state;
    begin_oauth(bench);
    bench->server.hold = true;
    bench->server.on_request = reload_to_tokens;
    bench->server.user = bench;
    for (int i = 0; i < 66; i++) {
        char token[32];
        snprintf(token, sizeof token, "tok-%d", i);
        ask(bench, token);
    }
    wait_for(bench, 66);
    assert_accepted(&bench->answers[63], "ann");
    assert_accepted(&bench->answers[64], "bob");
    assert_result(&bench->answers[65], AUTH_REFUSED);
}

static void stop_at_64(struct fake_oauth *server)
{
    if (server->token_requests == 64)
        loop_stop(server->loop);
}

static void test_what_is_open_at_the_end_is_dropped(void **state)
{
    struct bench *bench = *state;
    begin_oauth(bench);
    bench->server.hold = true;
    bench->server.on_request = stop_at_64;
    for (int i = 0; i < 80; i++) {
        char token[32];
        snprintf(token, sizeof token, "tok-%d", i);
        ask(bench, token);
    }
    loop_run(bench->loop);
    ask(bench, "tok-0"); /* still on its way to auth when that ends */
    end(bench);
    assert_int_equal(bench->answered, 0);
}

/* Programs. */

static void test_a_program_accepts_names_and_refuses(void **state)
{
    struct bench *bench = *state;
    begin(bench, exec_config(bench, "read -r token\n"
                                    "case $token in\n"
                                    "tok-good) echo ' ann b. '; echo more;;\n"
                                    "*) echo bob; exit 1;;\n"
                                    "esac"));
    assert_accepted(judge(bench, "tok-good"), "ann b.");
    assert_result(judge(bench, "tok-bad"), AUTH_REFUSED);
    assert_string_equal(logged(bench), "");
}

static void test_a_program_may_name_nobody(void **state)
{
    struct bench *bench = *state;
    begin(bench, exec_config(bench, "cat >/dev/null"));
    unsigned char digest[32];
    char name[32];
    pki_sha256("tok-1", 5, digest);
    snprintf(name, sizeof name, "token-%02x%02x%02x%02x%02x%02x", digest[0], digest[1], digest[2],
             digest[3], digest[4], digest[5]);
    assert_accepted(judge(bench, "tok-1"), name);
}

static void test_a_program_that_misbehaves_is_our_fault(void **state)
{
    static const char *const scripts[] = {
        "cat >/dev/null; echo ann; exit 2",       "kill -9 $$",
        "cat >/dev/null; printf 'a\\033[1mb\\n'", "cat >/dev/null; printf '\\377\\n'",
        "cat >/dev/null; printf '%0129d\\n' 7",   "cat >/dev/null; head -c 100000 /dev/zero",
    };
    struct bench *bench = *state;
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        begin(bench, exec_config(bench, scripts[i]));
        const struct answer *answer = judge(bench, "tok-1");
        if (answer->result != AUTH_SYSTEM_ERROR)
            fail_msg("no system error: %s", scripts[i]);
        assert_non_null(strstr(logged(bench), "a token could not be checked"));
        end(bench);
    }
}

static void test_a_program_that_takes_too_long_is_our_fault(void **state)
{
    struct bench *bench = *state;
    struct config *config = exec_config(bench, "exec sleep 1000");
    config->settings.auth_check_timeout = 30000;
    begin(bench, config);
    assert_result(judge(bench, "tok-1"), AUTH_SYSTEM_ERROR);
}

static void test_a_program_that_is_not_there_is_our_fault(void **state)
{
    struct bench *bench = *state;
    struct config *config = config_new();
    config->settings.auth_exec = strdup("/nonexistent/check");
    begin(bench, config);
    assert_result(judge(bench, "tok-1"), AUTH_SYSTEM_ERROR);
}

static void test_settings_are_validated(void **state)
{
    (void)state;
    char error[256];
    struct serve_settings settings = {0};
    assert_int_equal(auth_validate(&settings, error, sizeof error), 0);
    settings.auth_exec = (char[]){"/bin/true"};
    assert_int_equal(auth_validate(&settings, error, sizeof error), 0);
    settings.auth_exec = (char[]){"/nonexistent/check"};
    assert_int_equal(auth_validate(&settings, error, sizeof error), -1);
    assert_non_null(strstr(error, "/nonexistent/check"));
    settings.oauth = (char[]){"https://id:secret@oauth.example.org"};
    assert_int_equal(auth_validate(&settings, error, sizeof error), 0);
    settings.oauth = (char[]){"http://id:hunter2@oauth.example.org"};
    assert_int_equal(auth_validate(&settings, error, sizeof error), -1);
    assert_null(strstr(error, "hunter2"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_shared_tokens_are_judged_at_once),
        TEST(test_oauth_wins_over_program_over_tokens),
        TEST(test_accounts_are_asked_after_shared_tokens),
        TEST(test_accounts_are_asked_before_a_checker),
        TEST(test_both_oauth_calls_are_as_specified),
        TEST(test_an_accepted_token_is_asked_about_once),
        TEST(test_http_400_refuses_and_is_kept_a_while),
        TEST(test_anything_unexpected_is_our_fault_and_not_kept),
        TEST(test_a_server_that_is_not_there_is_our_fault),
        TEST(test_a_server_that_does_not_answer_is_given_up),
        TEST(test_a_fleet_with_one_token_makes_one_check),
        TEST(test_checks_are_bounded),
        TEST(test_odd_tokens_are_refused_unseen),
        TEST(test_a_reload_forgets_what_was_answered),
        TEST(test_a_reload_keeps_checks_under_way_and_moves_the_waiting),
        TEST(test_a_reload_to_shared_tokens_judges_the_waiting_by_them),
        TEST(test_what_is_open_at_the_end_is_dropped),
        TEST(test_a_program_accepts_names_and_refuses),
        TEST(test_a_program_may_name_nobody),
        TEST(test_a_program_that_misbehaves_is_our_fault),
        TEST(test_a_program_that_takes_too_long_is_our_fault),
        TEST(test_a_program_that_is_not_there_is_our_fault),
        cmocka_unit_test(test_settings_are_validated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

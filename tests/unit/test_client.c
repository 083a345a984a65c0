/* The commands against an API that follows a script: what they ask, what they show, how they end.
 */
#include "agent/client.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/commands.h"
#include "captured.h"
#include "fake_api.h"
#include "login_home.h"

/* {"user_id":42,"exp":2000000000} */
#define TOKEN "e30.eyJ1c2VyX2lkIjo0MiwiZXhwIjoyMDAwMDAwMDAwfQ.c2ln"

static int run(int (*command)(int, char **), ...)
{
    char *argv[32] = {"x"};
    int argc = 1;
    va_list list;
    va_start(list, command);
    while ((argv[argc] = va_arg(list, char *)))
        argc++;
    va_end(list);
    captured_free();
    captured_begin();
    int status = command(argc, argv);
    captured_end();
    return status;
}

#define RUN(...) run(__VA_ARGS__, (char *)NULL)
#define ASSERT_SAYS(text, part)                                                                    \
    do {                                                                                           \
        if (!strstr(text, part))                                                                   \
            fail_msg("\"%s\" isn't in \"%s\"", part, text);                                        \
    } while (0)

static int begin(void **state)
{
    static const char *const variables[] = {"STREAMPLEX_API", "STREAMPLEX_CA", "STREAMPLEX_JSON",
                                            "STREAMPLEX_PASSWORD", "STREAMPLEX_STATE"};
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        unsetenv(variables[i]);
    return home_make(state);
}

static int end(void **state)
{
    captured_free();
    return home_remove(state);
}

static void log_in(void)
{
    FAKE_API({"POST", "/login", "{\"email\":\"a@b\",\"password\":\"secret\"}", API_CLIENT_OK,
              "{\"token\":\"" TOKEN "\"}"});
    assert_int_equal(
        RUN(login_main, "--api=https://api.x/", "--email", "a@b", "--password", "secret"), 0);
    FAKE_API_DONE();
}

/* --- Logins --- */

static void test_login_is_kept_for_later_commands(void **state)
{
    char expected[256];
    log_in();
    snprintf(expected, sizeof expected, "Logged in! Token stored in %s/streamplex/token\n",
             home_config);
    assert_string_equal(captured.out, expected);
    assert_string_equal(fake_api.url, "https://api.x/");
    assert_string_equal(fake_api.login, "");
    FAKE_API({"GET", "/socket", NULL, API_CLIENT_OK, "[]"});
    assert_int_equal(RUN(socket_ls_main), 0);
    assert_string_equal(fake_api.url, "https://api.x/");
    assert_string_equal(fake_api.login, TOKEN);
    ASSERT_SAYS(captured.out, "There are no sockets yet");
}

static void test_a_login_goes_nowhere_else(void **state)
{
    log_in();
    FAKE_API({"GET", "/socket", NULL, API_CLIENT_OK, "[]"});
    assert_int_equal(RUN(socket_ls_main, "--api", "https://evil.x"), CLIENT_LOGIN);
    assert_int_equal(fake_api.at, 0);
    ASSERT_SAYS(captured.error, "not logged in");
    assert_int_equal(RUN(socket_ls_main, "--api", "https://api.x"), 0);
    assert_string_equal(fake_api.login, TOKEN);
}

static void test_without_a_login(void **state)
{
    assert_int_equal(RUN(socket_ls_main), CLIENT_LOGIN);
    ASSERT_SAYS(captured.error, "streamplex socket ls: not logged in: streamplex login\n");
    assert_int_equal(RUN(login_main, "--email", "a@b"), CLIENT_WRONG);
    ASSERT_SAYS(captured.error, "STREAMPLEX_API");
}

static void test_how_commands_end(void **state)
{
    log_in();
    FAKE_API({"GET", "/socket", NULL, API_CLIENT_UNREACHABLE, "no route"},
             {"GET", "/socket", NULL, API_CLIENT_REFUSED, "the store failed"},
             {"GET", "/socket", NULL, API_CLIENT_LOGIN, "the login has ended"});
    assert_int_equal(RUN(socket_ls_main), CLIENT_UNREACHABLE);
    ASSERT_SAYS(captured.error, "no route");
    assert_int_equal(RUN(socket_ls_main), CLIENT_WRONG);
    assert_int_equal(RUN(socket_ls_main), CLIENT_LOGIN);
    ASSERT_SAYS(captured.error, "the login has ended; log in again: streamplex login");
    assert_int_equal(RUN(socket_ls_main, "--nothing"), CLIENT_WRONG);
    assert_int_equal(RUN(socket_ls_main, "more"), CLIENT_WRONG);
    FAKE_API_DONE();
}

static void test_logout_removes_the_login_here_in_any_case(void **state)
{
    log_in();
    FAKE_API({"POST", "/logout", "{\"all\":false}", API_CLIENT_OK, NULL});
    assert_int_equal(RUN(logout_main), 0);
    assert_int_equal(access(home_path("config/streamplex/token"), F_OK), -1);
    log_in();
    FAKE_API({"POST", "/logout", "{\"all\":true}", API_CLIENT_UNREACHABLE, "no route"});
    assert_int_equal(RUN(logout_main, "--all"), CLIENT_UNREACHABLE);
    ASSERT_SAYS(captured.error, "may still take it");
    assert_int_equal(access(home_path("config/streamplex/token"), F_OK), -1);
}

static void test_a_wrong_password_leaves_the_old_login(void **state)
{
    log_in();
    FAKE_API({"POST", "/login", "{\"email\":\"a@b\",\"password\":\"bad\"}", API_CLIENT_LOGIN,
              "e-mail or password is wrong"});
    assert_int_equal(RUN(login_main, "--email=a@b", "--password=bad"), CLIENT_LOGIN);
    /* and no advice to do what was just done */
    assert_string_equal(captured.error, "streamplex login: e-mail or password is wrong\n");
    assert_int_equal(access(home_path("config/streamplex/token"), F_OK), 0);
}

/* --- Accounts --- */

static void test_account_create(void **state)
{
    FAKE_API({"POST", "/user", "{\"email\":\"a@b\",\"name\":\"Ann\",\"password\":\"12345678\"}",
              API_CLIENT_OK, "{\"state\":\"active\"}"},
             {"POST", "/user",
              "{\"email\":\"a@b\",\"name\":\"Ann\",\"password\":\"12345678\",\"sshkey\":\"ssh-rsa "
              "AAA me\"}",
              API_CLIENT_OK, "{\"state\":\"pending\",\"message\":\"see\\u001b your mail\"}"});
    assert_int_equal(RUN(account_create_main, "--api=https://x", "--name=Ann", "--email=a@b",
                         "--password=12345678"),
                     0);
    ASSERT_SAYS(captured.out, "Account created!");
    assert_int_equal(RUN(account_create_main, "--api=https://x", "--name=Ann", "--email=a@b",
                         "--password=12345678", "--sshkey", "ssh-rsa AAA me"),
                     0);
    assert_string_equal(captured.out, "see\\x1b your mail\n");
    assert_int_equal(RUN(account_create_main, "--api=https://x", "--email=a@b"), CLIENT_WRONG);
    ASSERT_SAYS(captured.error, "give --name");
    FAKE_API_DONE();
}

static void test_a_key_from_a_file(void **state)
{
    FILE *file = fopen(home_path("file"), "w");
    fputs("ssh-ed25519 BBB me\n", file);
    fclose(file);
    FAKE_API({"POST", "/user",
              "{\"email\":\"a@b\",\"name\":\"Ann\",\"password\":\"12345678\",\"sshkey\":"
              "\"ssh-ed25519 BBB me\"}",
              API_CLIENT_OK, "{\"state\":\"active\"}"});
    assert_int_equal(RUN(account_create_main, "--api=https://x", "--name=Ann", "--email=a@b",
                         "--password=12345678", "--sshkey", home_path("file")),
                     0);
    file = fopen(home_path("file"), "w");
    fputs("-----BEGIN OPENSSH PRIVATE KEY-----\n", file);
    fclose(file);
    assert_int_equal(RUN(account_create_main, "--api=https://x", "--name=Ann", "--email=a@b",
                         "--password=12345678", "--sshkey", home_path("file")),
                     CLIENT_WRONG);
    ASSERT_SAYS(captured.error, "private key");
    FAKE_API_DONE();
}

static void test_account_show(void **state)
{
    log_in();
    FAKE_API({"GET", "/user/42", NULL, API_CLIENT_OK,
              "{\"user_id\":\"u\",\"name\":\"Ann\",\"quota_bytes\":0,\"used_bytes\":1536,"
              "\"created\":1700000000}"});
    assert_int_equal(RUN(account_show_main), 0);
    ASSERT_SAYS(captured.out, "| used this month | 1.5 KiB                 |");
    ASSERT_SAYS(captured.out, "| quota           | none                    |");
    ASSERT_SAYS(captured.out, "| created         | 2023-11-14 22:13:20 UTC |");
    FAKE_API_DONE();
}

/* --- Sockets and tunnels --- */

#define SOCKET                                                                                     \
    "{\"socket_id\":\"s1\",\"dnsname\":\"a.example\",\"name\":\"a\\nb\",\"socket_type\":"          \
    "\"https\","                                                                                   \
    "\"socket_tcp_ports\":[],\"protected_socket\":true,\"online\":2,\"tunnels\":[{\"tunnel_id\":"  \
    "\"t1\",\"tunnel_server\":\"x:5005\",\"local_port\":0}]}"

static void test_socket_ls(void **state)
{
    log_in();
    FAKE_API({"GET", "/socket", NULL, API_CLIENT_OK, "[" SOCKET "]"},
             {"GET", "/socket", NULL, API_CLIENT_OK, "[" SOCKET "]"});
    assert_int_equal(RUN(socket_ls_main), 0);
    assert_string_equal(
        captured.out, "+-----------+-----------+-------+---------+------+-----------+--------+\n"
                      "| socket_id | dns_name  | type  | port(s) | name | protected | online |\n"
                      "+-----------+-----------+-------+---------+------+-----------+--------+\n"
                      "| s1        | a.example | https |         | a\\nb | yes       | 2      |\n"
                      "+-----------+-----------+-------+---------+------+-----------+--------+\n");
    assert_int_equal(RUN(socket_ls_main, "--json"), 0);
    json_t *answer = json_loads(captured.out, 0, NULL);
    assert_int_equal(json_array_size(answer), 1);
    json_decref(answer);
}

static void test_socket_create(void **state)
{
    log_in();
    FAKE_API(
        {"POST", "/socket",
         "{\"allow\":[\"10.0.0.0/8\",\"::1/128\"],\"name\":\"a\",\"protected_password\":\"pw\","
         "\"protected_socket\":true,\"protected_username\":\"u\",\"rate\":5,\"socket_type\":"
         "\"http\"}",
         API_CLIENT_OK, SOCKET});
    assert_int_equal(RUN(socket_create_main, "--name", "a", "--type", "http", "--protected",
                         "--username", "u", "--password", "pw", "--allow", "10.0.0.0/8", "--allow",
                         "::1/128", "--rate", "5"),
                     0);
    ASSERT_SAYS(captured.out, "| s1 ");
    assert_int_equal(RUN(socket_create_main, "--name", "a", "--username", "u"), CLIENT_WRONG);
    ASSERT_SAYS(captured.error, "go with --protected");
    assert_int_equal(RUN(socket_create_main, "--name", "a", "--protected"), CLIENT_WRONG);
    ASSERT_SAYS(captured.error, "--username");
    assert_int_equal(RUN(socket_create_main), CLIENT_WRONG);
    ASSERT_SAYS(captured.error, "give --name");
    FAKE_API_DONE();
}

static void test_socket_show_and_delete(void **state)
{
    log_in();
    FAKE_API({"GET", "/socket/s1", NULL, API_CLIENT_OK, SOCKET},
             {"DELETE", "/socket/a%2Fb%20c", NULL, API_CLIENT_OK, NULL});
    assert_int_equal(RUN(socket_show_main, "--socket_id", "s1"), 0);
    ASSERT_SAYS(captured.out, "| t1        | x:5005        |");
    assert_int_equal(RUN(socket_delete_main, "--socket-id", "a/b c"), 0);
    assert_string_equal(captured.out, "Socket deleted.\n");
    assert_int_equal(RUN(socket_delete_main, "--socket-id", ".."), CLIENT_WRONG);
    assert_int_equal(RUN(socket_delete_main), CLIENT_WRONG);
    FAKE_API_DONE();
}

static void test_tunnels(void **state)
{
    log_in();
    FAKE_API({"GET", "/socket/s/tunnel", NULL, API_CLIENT_OK, "[]"},
             {"POST", "/socket/s/tunnel", "{}", API_CLIENT_OK,
              "{\"tunnel_id\":\"t9\",\"tunnel_server\":\"x:1\",\"created\":0}"},
             {"DELETE", "/socket/s/tunnel/t9", NULL, API_CLIENT_OK, NULL});
    assert_int_equal(RUN(tunnel_ls_main, "--socket_id=s"), 0);
    ASSERT_SAYS(captured.out, "no tunnels yet");
    assert_int_equal(RUN(tunnel_create_main, "--socket_id=s"), 0);
    ASSERT_SAYS(captured.out, "| t9 ");
    assert_int_equal(RUN(tunnel_delete_main, "--socket_id=s", "--tunnel_id=t9", "--json"), 0);
    assert_string_equal(captured.out, "{}\n");
    assert_int_equal(RUN(tunnel_delete_main, "--socket_id=s"), CLIENT_WRONG);
    FAKE_API_DONE();
}

static void test_tokens(void **state)
{
    log_in();
    FAKE_API({"POST", "/token", "{\"bytes_per_month\":1073741824,\"name\":\"d\",\"sockets\":[]}",
              API_CLIENT_OK,
              "{\"token_id\":\"i\",\"token\":\"sp_x\",\"expires\":0,\"sockets\":null}"},
             {"DELETE", "/token/i", NULL, API_CLIENT_OK, NULL});
    assert_int_equal(RUN(token_create_main, "--name=d", "--socket=-", "--bytes-per-month=1g"), 0);
    ASSERT_SAYS(captured.out, "isn't shown again: sp_x\n");
    ASSERT_SAYS(captured.out, "| never ");
    assert_int_equal(RUN(token_revoke_main, "--token_id=i"), 0);
    FAKE_API_DONE();
}

/* --- The operator --- */

static void test_admin_by_the_socket(void **state)
{
    setenv("STREAMPLEX_STATE", "/state", 1);
    FAKE_API({"GET", "/admin/user", NULL, API_CLIENT_OK, "[]"},
             {"PUT", "/admin/user/a%40b", "{\"state\":\"disabled\"}", API_CLIENT_OK,
              "{\"state\":\"disabled\"}"},
             {"PUT", "/admin/quota/a%40b", "{\"quota_bytes\":1048576}", API_CLIENT_OK, "{}"},
             {"DELETE", "/admin/tunnel/7", NULL, API_CLIENT_OK, NULL});
    assert_int_equal(RUN(admin_user_ls_main), 0);
    ASSERT_SAYS(captured.out, "There are no users yet");
    assert_string_equal(fake_api.unix_path, "/state/admin.sock");
    assert_string_equal(fake_api.url, "");
    assert_int_equal(
        RUN(admin_user_set_main, "--admin_socket=/s", "--user=a@b", "--state=disabled"), 0);
    assert_string_equal(fake_api.unix_path, "/s");
    assert_int_equal(RUN(admin_quota_set_main, "--user=a@b", "--bytes=1m"), 0);
    assert_int_equal(RUN(admin_tunnel_close_main, "7"), 0);
    assert_int_equal(RUN(admin_tunnel_close_main), CLIENT_WRONG);
    ASSERT_SAYS(captured.error, "ID is missing");
    assert_int_equal(RUN(admin_quota_set_main, "--user=a@b"), CLIENT_WRONG);
    assert_int_equal(RUN(admin_user_set_main, "--user=a@b"), CLIENT_WRONG);
    ASSERT_SAYS(captured.error, "nothing to change");
    FAKE_API_DONE();
}

static void test_admin_tunnels_and_backup(void **state)
{
    char folder[256], body[600], answer[600];
    struct fake_line lines[] = {
        {"GET", "/admin/tunnel", NULL, API_CLIENT_OK,
         "[{\"tunnel_id\":3,\"user_name\":\"a@b\",\"rtt\":12345,\"bytes_in\":2097152}]"},
        {"POST", "/admin/backup", body, API_CLIENT_OK, answer}};
    assert_non_null(getcwd(folder, sizeof folder));
    snprintf(body, sizeof body, "{\"file\":\"%s/b.db\"}", folder);
    snprintf(answer, sizeof answer, "{\"file\":\"%s/b.db\"}", folder);
    fake_api.lines = lines;
    fake_api.count = 2;
    fake_api.at = 0;
    assert_int_equal(RUN(admin_tunnel_ls_main), 0);
    ASSERT_SAYS(captured.out, "| 12.3 ms |");
    ASSERT_SAYS(captured.out, "| 2.0 MiB |");
    assert_int_equal(RUN(admin_backup_main, "b.db"), 0);
    ASSERT_SAYS(captured.out, "Backup written to ");
    FAKE_API_DONE();
}

/* What a server answers may be anything: nothing of it ends the program. */
static void test_answers_of_all_kinds(void **state)
{
    static const char *const answers[] = {"{}",
                                          "[]",
                                          "1",
                                          "\"x\"",
                                          "null",
                                          "[[],1,null,{}]",
                                          "{\"tunnels\":7,\"allow\":{\"a\":[[1],2.5]}}"};
    struct fake_line line = {"GET", "/socket/s", NULL, API_CLIENT_OK, NULL};
    log_in();
    fake_api.lines = &line;
    fake_api.count = 1;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        line.answer = answers[i];
        line.path = "/socket/s";
        fake_api.at = 0;
        assert_int_equal(RUN(socket_show_main, "--socket_id=s"), 0);
        line.path = "/socket";
        fake_api.at = 0;
        assert_int_equal(RUN(socket_ls_main), 0);
        fake_api.at = 0;
        assert_int_equal(RUN(socket_ls_main, "--json"), 0);
    }
}

int main(void)
{
#define IN_HOME(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        IN_HOME(test_login_is_kept_for_later_commands),
        IN_HOME(test_a_login_goes_nowhere_else),
        IN_HOME(test_without_a_login),
        IN_HOME(test_how_commands_end),
        IN_HOME(test_logout_removes_the_login_here_in_any_case),
        IN_HOME(test_a_wrong_password_leaves_the_old_login),
        IN_HOME(test_account_create),
        IN_HOME(test_a_key_from_a_file),
        IN_HOME(test_account_show),
        IN_HOME(test_socket_ls),
        IN_HOME(test_socket_create),
        IN_HOME(test_socket_show_and_delete),
        IN_HOME(test_tunnels),
        IN_HOME(test_tokens),
        IN_HOME(test_admin_by_the_socket),
        IN_HOME(test_admin_tunnels_and_backup),
        IN_HOME(test_answers_of_all_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

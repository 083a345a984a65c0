/* Accounts over the API: registration, logins, one's own account, the page of a confirmation. */
#include "api_rig.h"

#define NEW_BOB "{\"name\":\"Bob\",\"email\":\"bob@b.test\",\"password\":\"secret secret\"}"

static int setup_closed(void **state)
{
    rig_open(API_CLOSED);
    return 0;
}

static int setup_confirm(void **state)
{
    rig_open(API_CONFIRM);
    return 0;
}

/* --- Registration --- */

static void test_register(void **state)
{
    *rig.login = 0;
    ask("POST", "/user",
        "{\"name\":\"Bob \xc3\xa9\",\"email\":\"bob@b.test\",\"password\":\"secret secret\","
        "\"sshkey\":\"ssh-ed25519 AAAA bob\\n\"}");
    assert_int_equal(rig.status, 200);
    assert_string_equal(text_of("name"), "Bob \xc3\xa9");
    assert_string_equal(text_of("email"), "bob@b.test");
    assert_string_equal(text_of("sshkey"), "ssh-ed25519 AAAA bob");
    assert_string_equal(text_of("state"), "active");
    assert_null(strstr(rig.body, "secret"));
    ask("POST", "/user", NEW_BOB);
    assert_error(409, "EMAIL_TAKEN");
}

static void test_registration_is_closed(void **state)
{
    ask("POST", "/user", NEW_BOB);
    assert_error(403, "REGISTRATION_CLOSED");
    assert_int_equal(rig.accounts.account_count, 1);
}

static void test_values_of_a_new_account(void **state)
{
    static const struct {
        const char *body, *words;
    } cases[] = {
        {"{}", "name is missing"},
        {"{\"name\":\"B\",\"password\":\"secret12\"}", "email is missing"},
        {"{\"name\":\"B\",\"email\":\"b@b\"}", "password is missing"},
        {"{\"name\":7,\"email\":\"b@b\",\"password\":\"secret12\"}", "name must be a text"},
        {"{\"name\":null,\"email\":\"b@b\",\"password\":\"secret12\"}", "name is missing"},
        {"{\"name\":\"\",\"email\":\"b@b\",\"password\":\"secret12\"}", "name must have 1 to 128"},
        {"{\"name\":\"a\\u001b[2J\",\"email\":\"b@b\",\"password\":\"secret12\"}",
         "name must not hold control characters"},
        {"{\"name\":\"a\\u0085\",\"email\":\"b@b\",\"password\":\"secret12\"}", "control"},
        {"{\"name\":\"B\",\"email\":[],\"password\":\"secret12\"}", "email must be a text"},
        {"{\"name\":\"B\",\"email\":\"b@b\\r\\nBcc: x\",\"password\":\"secret12\"}", "control"},
        {"{\"name\":\"B\",\"email\":\"b@b\",\"password\":12345678}", "password must be a text"},
        {"{\"name\":\"B\",\"email\":\"b@b\",\"password\":\"secret12\",\"sshkey\":{}}",
         "sshkey must be a text"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ask("POST", "/user", cases[i].body);
        assert_error(422, "BAD_VALUE");
        assert_says(cases[i].words);
    }
    assert_int_equal(rig.accounts.account_count, 1);
    ask("POST", "/user", "{\"name\":\"B\",\"email\":\"b@b\",\"password\":\"short\"}");
    assert_error(422, "BAD_PASSWORD");
}

static void test_sql_in_a_name_is_a_name(void **state)
{
    ask("POST", "/user",
        "{\"name\":\"'; DROP TABLE accounts; "
        "--\",\"email\":\"b@b.test\",\"password\":\"secret12\"}");
    assert_string_equal(text_of("name"), "'; DROP TABLE accounts; --");
}

static void test_a_link_is_mailed(void **state)
{
    ask("POST", "/user", NEW_BOB);
    assert_int_equal(rig.status, 200);
    assert_string_equal(text_of("state"), "pending");
    assert_string_equal(rig.host.mail_to, "bob@b.test");
    assert_non_null(strstr(rig.host.mail_text, "https://api.test/confirm?code=code2\n"));
    assert_non_null(strstr(rig.host.mail_text, "within 24 hours"));
    ask("POST", "/login", "{\"email\":\"bob@b.test\",\"password\":\"secret secret\"}");
    assert_error(401, "ACCOUNT_PENDING");
    *rig.login = 0;
    assert_int_equal(ask("GET", "/confirm?code=code2", ""), 200);
    assert_string_equal(rig.content_type_got, "text/html; charset=utf-8");
    assert_says("confirmed");
    assert_int_equal(
        ask("POST", "/login", "{\"email\":\"bob@b.test\",\"password\":\"secret secret\"}"), 200);
    assert_int_equal(ask("GET", "/confirm?code=code2", ""), 404);
}

/* Who has no mail to read can't tell whether there is an account. */
static void test_no_telling_whether_an_email_has_an_account(void **state)
{
    static char first[1024];
    ask("POST", "/user", NEW_BOB);
    strcpy(first, rig.body);
    ask("POST", "/user",
        "{\"name\":\"Bob\",\"email\":\"ann@a.test\",\"password\":\"secret secret\"}");
    assert_int_equal(rig.status, 200);
    assert_string_equal(rig.body, first);
    assert_int_equal(rig.host.mails, 2);
    assert_string_equal(rig.host.mail_to, "ann@a.test");
    assert_non_null(strstr(rig.host.mail_text, "already"));
    assert_null(strstr(rig.host.mail_text, "confirm?"));
    assert_int_equal(rig.accounts.account_count, 2);
    assert_string_equal(rig.accounts.accounts[0]->password_hash, "password");
}

/* Its mail was lost, or somebody else asked for it first. */
static void test_an_account_that_waits_makes_way(void **state)
{
    static char first[1024];
    ask("POST", "/user",
        "{\"name\":\"Eve\",\"email\":\"bob@b.test\",\"password\":\"eve's secret\"}");
    strcpy(first, rig.body);
    ask("POST", "/user", NEW_BOB);
    assert_int_equal(rig.status, 200);
    assert_string_equal(rig.body, first);
    assert_non_null(strstr(rig.host.mail_text, "confirm?code=code3\n"));
    assert_int_equal(ask("GET", "/confirm?code=code2", ""), 404);
    assert_int_equal(ask("GET", "/confirm?code=code3", ""), 200);
    assert_int_equal(rig.accounts.account_count, 2);
    ask("POST", "/login", "{\"email\":\"bob@b.test\",\"password\":\"eve's secret\"}");
    assert_error(401, "LOGIN_FAILED");
    assert_int_equal(
        ask("POST", "/login", "{\"email\":\"bob@b.test\",\"password\":\"secret secret\"}"), 200);
}

static void test_without_mail_the_link_is_logged(void **state)
{
    rig.api->host.send_mail = NULL;
    ask("POST", "/user", NEW_BOB);
    assert_int_equal(rig.status, 200);
    assert_null(strstr(rig.body, "code2"));
}

static void test_registering_too_often(void **state)
{
    char body[128];
    int i = 0;
    do {
        snprintf(body, sizeof body,
                 "{\"name\":\"B\",\"email\":\"same@b.test\",\"password\":\"secret12\"}");
        ask("POST", "/user", body);
    } while (rig.status == 200 && ++i < 20);
    assert_error(429, "TOO_MANY_ATTEMPTS");
    assert_in_range(i, 5, 6);
    assert_non_null(strstr(rig.head, "Retry-After: "));
}

static void test_what_may_fail_when_registering(void **state)
{
    static const struct {
        int error, status;
        const char *code;
    } cases[] = {{ACCOUNTS_BAD_EMAIL, 422, "BAD_EMAIL"},
                 {ACCOUNTS_BAD_NAME, 422, "BAD_NAME"},
                 {ACCOUNTS_BUSY, 429, "BUSY"},
                 {ACCOUNTS_STORE, 503, "STORE_FAILED"},
                 {ACCOUNTS_MEMORY, 503, "OUT_OF_MEMORY"}};
    for (size_t i = 0; i < 5; i++) {
        char body[128];
        snprintf(body, sizeof body,
                 "{\"name\":\"B\",\"email\":\"%zu@b.test\",\"password\":\"secret12\"}", i);
        rig.accounts.fail = cases[i].error;
        ask("POST", "/user", body);
        assert_error(cases[i].status, cases[i].code);
        assert_true(cases[i].status == 422 || strstr(rig.head, "Retry-After: "));
    }
}

/* --- The page --- */

static void test_links_that_can_not_be_used(void **state)
{
    static const char *const targets[] = {"/confirm",
                                          "/confirm?",
                                          "/confirm?code=",
                                          "/confirm?code=%zz",
                                          "/confirm?kode=code1",
                                          "/confirm?code=<script>",
                                          "/confirm?xcode=code2"};
    ask("POST", "/user", NEW_BOB);
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(ask("GET", targets[i], ""), 404);
        assert_null(strstr(rig.body, "<script>"));
    }
    rig.accounts.fail = ACCOUNTS_STORE;
    assert_int_equal(ask("GET", "/confirm?code=code2", ""), 503);
    rig.accounts.fail = ACCOUNTS_EXPIRED;
    assert_int_equal(ask("GET", "/confirm?code=code2", ""), 410);
    assert_says("streamplex account create");
    assert_int_equal(ask("GET", "/confirm?a=b&code=c%6fde2&x", ""), 200);
}

/* --- Logins --- */

static void test_login(void **state)
{
    *rig.login = 0;
    ask("POST", "/login", "{\"email\":\"ANN@a.test\",\"password\":\"password\"}");
    assert_int_equal(rig.status, 200);
    assert_string_equal(text_of("token"), "login:1:0");
    /* Wrong is wrong, whatever is wrong. */
    static char first[1024];
    ask("POST", "/login", "{\"email\":\"ann@a.test\",\"password\":\"wrong\"}");
    assert_error(401, "LOGIN_FAILED");
    strcpy(first, rig.body);
    ask("POST", "/login", "{\"email\":\"nobody@a.test\",\"password\":\"wrong\"}");
    assert_string_equal(rig.body, first);
    ask("POST", "/login", "{\"email\":\"ann@a.test\"}");
    assert_error(422, "BAD_VALUE");
    ask("POST", "/login", "{\"email\":true,\"password\":\"x\"}");
    assert_says("email must be a text");
}

static void test_login_has_to_wait(void **state)
{
    rig.accounts.fail = ACCOUNTS_WAIT;
    rig.accounts.wait = 3200000;
    ask("POST", "/login", "{\"email\":\"ann@a.test\",\"password\":\"password\"}");
    assert_error(429, "TOO_MANY_ATTEMPTS");
    assert_string_equal(rig.head, "Retry-After: 4\r\n");
    rig.accounts.fail = ACCOUNTS_WAIT;
    rig.accounts.wait = 1;
    ask("POST", "/login", "{\"email\":\"ann@a.test\",\"password\":\"password\"}");
    assert_string_equal(rig.head, "Retry-After: 1\r\n");
    rig.accounts.fail = ACCOUNTS_BUSY;
    ask("POST", "/login", "{\"email\":\"ann@a.test\",\"password\":\"password\"}");
    assert_error(429, "BUSY");
    rig.accounts.fail = ACCOUNTS_DISABLED;
    ask("POST", "/login", "{\"email\":\"ann@a.test\",\"password\":\"password\"}");
    assert_error(401, "ACCOUNT_DISABLED");
}

static void test_refresh(void **state)
{
    assert_int_equal(ask("POST", "/login/refresh", ""), 200);
    assert_string_equal(text_of("token"), "login:1:0");
    rig.accounts.fail = ACCOUNTS_DENIED;
    ask("POST", "/login/refresh", "");
    assert_error(401, "LOGIN_REVOKED");
}

static void test_logout(void **state)
{
    assert_int_equal(ask("POST", "/logout", ""), 204);
    assert_int_equal(rig.accounts.logouts, 1);
    assert_int_equal(ask("POST", "/logout", "{\"all\":true}"), 204);
    assert_int_equal(rig.accounts.logouts_all, 1);
    assert_int_equal(ask("POST", "/logout", "{\"all\":false}"), 204);
    assert_int_equal(rig.accounts.logouts, 2);
    ask("POST", "/logout", "{\"all\":\"yes\"}");
    assert_error(422, "BAD_VALUE");
    assert_says("all must be true or false");
    rig.accounts.fail = ACCOUNTS_STORE;
    ask("POST", "/logout", "");
    assert_error(503, "STORE_FAILED");
}

/* --- One's own account --- */

static void test_show(void **state)
{
    char target[64];
    snprintf(target, sizeof target, "/user/%s", rig.ann->uuid);
    assert_int_equal(ask("GET", target, ""), 200);
    assert_string_equal(text_of("user_id"), rig.ann->uuid);
    assert_string_equal(text_of("user_name"), "ann@a.test");
    assert_string_equal(text_of("sshkey"), "");
    assert_int_equal(number_of("used_bytes"), 42);
    /* As the user_id of a login has it. */
    assert_int_equal(ask("GET", "/user/1", ""), 200);
}

static void test_somebody_elses_account(void **state)
{
    char target[64];
    const struct account *bob = fake_account_add(&rig.accounts, "bob@b.test", ACCOUNT_ACTIVE);
    snprintf(target, sizeof target, "/user/%s", bob->uuid);
    ask("GET", target, "");
    assert_error(404, "NOT_FOUND");
    ask("PUT", target, "{\"name\":\"x\"}");
    assert_error(404, "NOT_FOUND");
    ask("GET", "/user/2", "");
    assert_error(404, "NOT_FOUND");
    ask("GET", "/user/01", "");
    assert_error(404, "NOT_FOUND");
}

static void test_change(void **state)
{
    ask("PUT", "/user/1", "{\"name\":\"Anna\",\"sshkey\":\"ssh-rsa B\"}");
    assert_int_equal(rig.status, 200);
    assert_string_equal(text_of("name"), "Anna");
    assert_string_equal(text_of("sshkey"), "ssh-rsa B");
    ask("PUT", "/user/1", "{\"name\":7}");
    assert_error(422, "BAD_VALUE");
    ask("PUT", "/user/1", "{\"email\":\"new@a.test\"}");
    assert_error(422, "BAD_VALUE");
    assert_int_equal(ask("PUT", "/user/1", "{\"email\":\"ann@a.test\"}"), 200);
}

static void test_change_the_password(void **state)
{
    ask("PUT", "/user/1", "{\"password\":\"new password\"}");
    assert_error(422, "BAD_VALUE");
    assert_says("current_password is missing");
    ask("PUT", "/user/1", "{\"password\":\"new password\",\"current_password\":\"wrong\"}");
    assert_error(403, "WRONG_PASSWORD");
    rig.accounts.fail = ACCOUNTS_WAIT;
    rig.accounts.wait = 2000000;
    ask("PUT", "/user/1", "{\"password\":\"new password\",\"current_password\":\"wrong\"}");
    assert_error(429, "TOO_MANY_ATTEMPTS");
    assert_int_equal(
        ask("PUT", "/user/1", "{\"password\":\"new password\",\"current_password\":\"password\"}"),
        200);
    /* Which ended this login. */
    ask("GET", "/user/1", "");
    assert_error(401, "LOGIN_REVOKED");
}

#define WITH(setup_, test_) cmocka_unit_test_setup_teardown(test_, setup_, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(rig_setup, test_register),
        WITH(setup_closed, test_registration_is_closed),
        WITH(rig_setup, test_values_of_a_new_account),
        WITH(rig_setup, test_sql_in_a_name_is_a_name),
        WITH(setup_confirm, test_a_link_is_mailed),
        WITH(setup_confirm, test_no_telling_whether_an_email_has_an_account),
        WITH(setup_confirm, test_an_account_that_waits_makes_way),
        WITH(setup_confirm, test_without_mail_the_link_is_logged),
        WITH(setup_confirm, test_registering_too_often),
        WITH(rig_setup, test_what_may_fail_when_registering),
        WITH(setup_confirm, test_links_that_can_not_be_used),
        WITH(rig_setup, test_login),
        WITH(rig_setup, test_login_has_to_wait),
        WITH(rig_setup, test_refresh),
        WITH(rig_setup, test_logout),
        WITH(rig_setup, test_show),
        WITH(rig_setup, test_somebody_elses_account),
        WITH(rig_setup, test_change),
        WITH(rig_setup, test_change_the_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What is the operator's: users, quotas, everybody's tokens and sockets, live tunnels, backups. */
#include "api_rig.h"

#define SOCKET_1 "00000000-0000-4000-a000-000000000001"

static int setup(void **state)
{
    rig_open(API_CLOSED);
    rig.is_operator = true;
    return 0;
}

/* --- Users --- */

static void test_users(void **state)
{
    ask("POST", "/admin/user",
        "{\"name\":\"Bob\",\"email\":\"bob@b.test\",\"password\":\"secret12\"}");
    assert_int_equal(rig.status, 200);
    assert_string_equal(text_of("state"), "active");
    assert_int_equal(ask("GET", "/admin/user", ""), 200);
    assert_int_equal(json_array_size(rig.json), 2);
    ask("POST", "/admin/user",
        "{\"name\":\"Bob\",\"email\":\"bob@b.test\",\"password\":\"secret12\"}");
    assert_error(409, "EMAIL_TAKEN");
    ask("POST", "/admin/user", "{\"name\":\"Bob\"}");
    assert_error(422, "BAD_VALUE");
}

static void test_a_user_by_any_name(void **state)
{
    char target[64];
    snprintf(target, sizeof target, "/admin/user/%s", rig.ann->uuid);
    assert_int_equal(ask("GET", target, ""), 200);
    assert_int_equal(ask("GET", "/admin/user/1", ""), 200);
    assert_int_equal(ask("GET", "/admin/user/Ann@a.test", ""), 200);
    assert_int_equal(ask("GET", "/admin/user/ann%40a.test", ""), 200);
    ask("GET", "/admin/user/nobody", "");
    assert_error(404, "NOT_FOUND");
    assert_int_equal(ask("GET", "/admin/user/99999999999999999999999", ""), 404);
    assert_int_equal(ask("PUT", "/admin/user/nobody", "{}"), 404);
    assert_int_equal(ask("DELETE", "/admin/user/nobody", ""), 404);
    assert_int_equal(ask("PUT", "/admin/quota/nobody", "{\"quota_bytes\":1}"), 404);
}

static void test_change_a_user(void **state)
{
    ask("PUT", "/admin/user/1",
        "{\"name\":\"Anna\",\"email\":\"anna@a.test\",\"password\":\"secret12\","
        "\"state\":\"disabled\",\"quota_bytes\":1000}");
    assert_int_equal(rig.status, 200);
    assert_string_equal(text_of("name"), "Anna");
    assert_string_equal(text_of("email"), "anna@a.test");
    assert_string_equal(text_of("state"), "disabled");
    assert_int_equal(number_of("quota_bytes"), 1000);
    assert_string_equal(rig.accounts.accounts[0]->password_hash, "secret12");
    ask("PUT", "/admin/user/1", "{\"state\":\"active\"}");
    assert_string_equal(text_of("state"), "active");
    assert_int_equal(number_of("quota_bytes"), 1000);
    assert_int_equal(ask("PUT", "/admin/user/1", "{}"), 200);
    rig.accounts.fail = ACCOUNTS_TAKEN;
    ask("PUT", "/admin/user/1", "{\"email\":\"x@a.test\"}");
    assert_error(409, "EMAIL_TAKEN");
}

/* All is judged before anything changes. */
static void test_a_change_with_one_bad_value(void **state)
{
    ask("PUT", "/admin/user/1", "{\"name\":\"Anna\",\"state\":\"gone\"}");
    assert_error(422, "BAD_VALUE");
    assert_says("state must be active or disabled");
    ask("PUT", "/admin/user/1", "{\"state\":\"disabled\",\"quota_bytes\":-1}");
    assert_error(422, "BAD_VALUE");
    assert_string_equal(rig.accounts.accounts[0]->name, "Ann");
    assert_int_equal(rig.accounts.accounts[0]->state, ACCOUNT_ACTIVE);
}

static void test_a_store_that_fails(void **state)
{
    static const char *const bodies[] = {"{\"name\":\"b\"}", "{\"state\":\"disabled\"}",
                                         "{\"quota_bytes\":1}"};
    for (int i = 0; i < 3; i++) {
        rig.accounts.fail = ACCOUNTS_STORE;
        ask("PUT", "/admin/user/1", bodies[i]);
        assert_error(503, "STORE_FAILED");
    }
    rig.accounts.fail = ACCOUNTS_STORE;
    ask("DELETE", "/admin/user/1", "");
    assert_error(503, "STORE_FAILED");
}

static void test_a_user_goes_with_the_sockets(void **state)
{
    assert_int_equal(ask("POST", "/socket", "{\"name\":\"a\"}"), 200);
    assert_int_equal(ask("POST", "/connect", "{\"name\":\"b\"}"), 200);
    const struct socket_claim claim = {.owner = "fleet", .name = "other"};
    fake_socket_add(&rig.host, &claim);
    assert_int_equal(ask("DELETE", "/admin/user/ann@a.test", ""), 204);
    assert_int_equal(rig.accounts.account_count, 0);
    assert_int_equal(rig.host.count, 1);
    assert_string_equal(rig.host.sockets[0]->owner, "fleet");
}

/* Its sockets can't be written off: the account stays, and can be deleted again. */
static void test_a_user_whose_sockets_stay(void **state)
{
    assert_int_equal(ask("POST", "/socket", "{\"name\":\"a\"}"), 200);
    rig.host.fail = REGISTRY_STORE;
    ask("DELETE", "/admin/user/1", "");
    assert_error(503, "STORE_FAILED");
    assert_int_equal(rig.accounts.account_count, 1);
    assert_int_equal(ask("DELETE", "/admin/user/1", ""), 204);
}

static void test_quotas(void **state)
{
    assert_int_equal(ask("PUT", "/admin/quota/1", "{\"quota_bytes\":5000}"), 200);
    assert_int_equal(ask("GET", "/admin/quota", ""), 200);
    const json_t *quota = json_array_get(rig.json, 0);
    assert_int_equal(json_integer_value(json_object_get(quota, "quota_bytes")), 5000);
    assert_int_equal(json_integer_value(json_object_get(quota, "used_bytes")), 42);
    ask("PUT", "/admin/quota/1", "{}");
    assert_error(422, "BAD_VALUE");
    assert_says("quota_bytes is missing");
    ask("PUT", "/admin/quota/1", "{\"quota_bytes\":\"1\"}");
    assert_error(422, "BAD_VALUE");
    rig.accounts.fail = ACCOUNTS_STORE;
    ask("PUT", "/admin/quota/1", "{\"quota_bytes\":1}");
    assert_error(503, "STORE_FAILED");
}

/* --- Tokens --- */

static void test_tokens(void **state)
{
    char target[64];
    ask("POST", "/admin/token", "{\"user_id\":\"ann@a.test\",\"name\":\"board\"}");
    assert_int_equal(rig.status, 200);
    assert_non_null(strstr(text_of("token"), "sp_"));
    snprintf(target, sizeof target, "/admin/token/%s", text_of("token_id"));
    assert_int_equal(ask("GET", "/admin/token", ""), 200);
    assert_string_equal(json_string_value(json_object_get(json_array_get(rig.json, 0), "email")),
                        "ann@a.test");
    rig.accounts.fail = ACCOUNTS_STORE;
    ask("DELETE", target, "");
    assert_error(503, "STORE_FAILED");
    assert_int_equal(ask("DELETE", target, ""), 204);
    ask("DELETE", target, "");
    assert_error(404, "NOT_FOUND");
    ask("POST", "/admin/token", "{\"name\":\"board\"}");
    assert_error(422, "BAD_VALUE");
    ask("POST", "/admin/token", "{\"user_id\":\"nobody\",\"name\":\"board\"}");
    assert_error(404, "NOT_FOUND");
}

/* --- Sockets, tunnels --- */

static void test_everybodys_sockets(void **state)
{
    assert_int_equal(ask("POST", "/socket", "{\"name\":\"a\"}"), 200);
    const struct socket_claim claim = {.owner = "fleet", .name = "other"};
    fake_socket_add(&rig.host, &claim);
    assert_int_equal(ask("GET", "/admin/socket", ""), 200);
    assert_int_equal(json_array_size(rig.json), 2);
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(rig.json, 0), "user_name")), "ann@a.test");
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(rig.json, 1), "user_name")), "fleet");
    assert_int_equal(ask("GET", "/admin/socket/" SOCKET_1, ""), 200);
    rig.host.fail = REGISTRY_STORE;
    ask("DELETE", "/admin/socket/" SOCKET_1, "");
    assert_error(503, "STORE_FAILED");
    assert_int_equal(ask("DELETE", "/admin/socket/" SOCKET_1, ""), 204);
    assert_int_equal(ask("DELETE", "/admin/socket/" SOCKET_1, ""), 404);
    assert_int_equal(ask("GET", "/admin/socket/" SOCKET_1, ""), 404);
}

static void test_tunnels(void **state)
{
    assert_int_equal(ask("GET", "/admin/tunnel", ""), 200);
    assert_int_equal(json_array_size(rig.json), 2);
    const json_t *tunnel = json_array_get(rig.json, 0);
    assert_int_equal(json_integer_value(json_object_get(tunnel, "tunnel_id")), 7);
    assert_string_equal(json_string_value(json_object_get(tunnel, "user_name")), "ann@a.test");
    assert_string_equal(json_string_value(json_object_get(tunnel, "address")), "192.0.2.1:4000");
    assert_int_equal(json_integer_value(json_object_get(tunnel, "rtt")), 1500);
    assert_int_equal(ask("DELETE", "/admin/tunnel/7", ""), 204);
    assert_int_equal(rig.host.closed, 7);
    ask("DELETE", "/admin/tunnel/9", "");
    assert_error(404, "NOT_FOUND");
    ask("DELETE", "/admin/tunnel/7x", "");
    assert_error(404, "NOT_FOUND");
    assert_int_equal(rig.host.closed, 9);
}

static void test_backup(void **state)
{
    ask("POST", "/admin/backup", "{\"file\":\"/backup/a.db\"}");
    assert_int_equal(rig.status, 200);
    assert_string_equal(text_of("file"), "/backup/a.db");
    ask("POST", "/admin/backup", "{\"file\":\"a.db\"}");
    assert_error(422, "BAD_VALUE");
    ask("POST", "/admin/backup", "{}");
    assert_error(422, "BAD_VALUE");
    rig.host.backup_error = "/backup/a.db exists already \xc3";
    ask("POST", "/admin/backup", "{\"file\":\"/backup/a.db\"}");
    assert_error(503, "BACKUP_FAILED");
    assert_says("exists already ?");
    rig.host.backup_refuse = -1;
    ask("POST", "/admin/backup", "{\"file\":\"/backup/a.db\"}");
    assert_error(429, "BUSY");
}

#define WITH_RIG(test_) cmocka_unit_test_setup_teardown(test_, setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(test_users),
        WITH_RIG(test_a_user_by_any_name),
        WITH_RIG(test_change_a_user),
        WITH_RIG(test_a_change_with_one_bad_value),
        WITH_RIG(test_a_store_that_fails),
        WITH_RIG(test_a_user_goes_with_the_sockets),
        WITH_RIG(test_a_user_whose_sockets_stay),
        WITH_RIG(test_quotas),
        WITH_RIG(test_tokens),
        WITH_RIG(test_everybodys_sockets),
        WITH_RIG(test_tunnels),
        WITH_RIG(test_backup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A socket's tunnels over the API, and a socket with a tunnel in one. */
#include "api_rig.h"

#define SOCKET_1 "/socket/00000000-0000-4000-a000-000000000001"

static char tunnel[128]; /* the path of the last one made */

static int setup(void **state)
{
    rig_setup(state);
    return ask("POST", "/socket", "{\"name\":\"a\"}") == 200 ? 0 : -1;
}

static void make(void)
{
    assert_int_equal(ask("POST", SOCKET_1 "/tunnel", ""), 200);
    snprintf(tunnel, sizeof tunnel, SOCKET_1 "/tunnel/%s", text_of("tunnel_id"));
}

static void test_create(void **state)
{
    make();
    assert_string_equal(text_of("tunnel_server"), "tunnel.test:5005");
    assert_int_equal(number_of("local_port"), 0);
    assert_true(uuid_is_valid(text_of("tunnel_id")));
    assert_int_equal(rig.store.count, 1);
    assert_int_equal(ask("GET", tunnel, ""), 200);
    make();
    assert_int_equal(ask("GET", SOCKET_1 "/tunnel", ""), 200);
    assert_int_equal(json_array_size(rig.json), 2);
    ask("GET", SOCKET_1, "");
    assert_int_equal(json_array_size(json_object_get(rig.json, "tunnels")), 2);
}

static void test_a_port_is_told(void **state)
{
    ask("POST", "/socket", "{\"name\":\"b\",\"socket_type\":\"tcp\"}");
    ask("POST", "/socket/00000000-0000-4000-a000-000000000002/tunnel", "{}");
    assert_int_equal(number_of("local_port"), 40002);
}

static void test_delete(void **state)
{
    make();
    rig.store.fail = "disk full";
    ask("DELETE", tunnel, "");
    assert_error(503, "STORE_FAILED");
    rig.store.fail = NULL;
    assert_int_equal(ask("GET", tunnel, ""), 200);
    rig.store.refuse = STORE_BUSY;
    ask("DELETE", tunnel, "");
    assert_error(503, "STORE_FAILED");
    rig.store.refuse = 0;
    assert_int_equal(ask("DELETE", tunnel, ""), 204);
    ask("DELETE", tunnel, "");
    assert_error(404, "NOT_FOUND");
    assert_int_equal(rig.store.count, 0);
}

static void test_what_is_not_there(void **state)
{
    make();
    fake_login_make(fake_account_add(&rig.accounts, "bob@b.test", ACCOUNT_ACTIVE), rig.login);
    assert_int_equal(ask("GET", tunnel, ""), 404);
    assert_int_equal(ask("DELETE", tunnel, ""), 404);
    assert_int_equal(ask("GET", SOCKET_1 "/tunnel", ""), 404);
    assert_int_equal(ask("POST", SOCKET_1 "/tunnel", ""), 404);
    fake_login_make(rig.ann, rig.login);
    assert_int_equal(ask("GET", SOCKET_1 "/tunnel/x", ""), 404);
    assert_int_equal(rig.store.count, 1);
}

static void test_a_store_that_fails(void **state)
{
    rig.store.fail = "disk full";
    ask("POST", SOCKET_1 "/tunnel", "");
    assert_error(503, "STORE_FAILED");
    rig.store.fail = NULL;
    rig.store.refuse = STORE_MEMORY;
    ask("POST", SOCKET_1 "/tunnel", "");
    assert_error(503, "STORE_FAILED");
    rig.store.refuse = 0;
    ask("GET", SOCKET_1 "/tunnel", "");
    assert_string_equal(rig.body, "[]");
}

/* On its way to disk it isn't shown. */
static void test_not_there_before_it_is_stored(void **state)
{
    rig_begin("POST", SOCKET_1 "/tunnel", "", 0);
    json_t *list = api_tunnels_json(rig.api, rig.host.sockets[0]);
    assert_int_equal(json_array_size(list), 0);
    json_decref(list);
    rig_finish("POST", SOCKET_1 "/tunnel");
    assert_int_equal(rig.status, 200);
}

static void test_at_most_so_many(void **state)
{
    for (int i = 0; i < API_TUNNELS_MAX; i++)
        make();
    ask("POST", SOCKET_1 "/tunnel", "");
    assert_error(403, "TOO_MANY_TUNNELS");
    assert_int_equal(ask("DELETE", tunnel, ""), 204);
    make();
}

static void test_gone_with_the_socket(void **state)
{
    make();
    assert_int_equal(ask("DELETE", SOCKET_1, ""), 204);
    assert_int_equal(api_tunnels_count(rig.api, 1), 0);
    ask("GET", tunnel, "");
    assert_error(404, "NOT_FOUND");
}

static void test_the_socket_goes_while_one_is_made(void **state)
{
    rig_begin("POST", SOCKET_1 "/tunnel", "", 0);
    api_socket_gone(rig.api, rig.host.sockets[0]);
    fake_host_deinit(&rig.host);
    rig_finish("POST", SOCKET_1 "/tunnel");
    assert_error(404, "NOT_FOUND");
    assert_int_equal(api_tunnels_count(rig.api, 1), 0);
}

static void test_they_outlive_the_process(void **state)
{
    char error[256];
    const struct api_options options = {API_OPEN, ""};
    const struct api_host host = fake_host_calls(&rig.host);
    make();
    api_free(rig.api);
    assert_int_equal(api_new(rig.loop, &rig.accounts, &rig.store, &host, &options, &rig.api, error,
                             sizeof error),
                     0);
    assert_int_equal(ask("GET", tunnel, ""), 200);
    make();
    assert_int_equal(rig.store.tunnels[1].id, 2);
}

/* --- POST /connect --- */

static void test_connect(void **state)
{
    ask("POST", "/connect", "{\"name\":\"b\",\"socket_type\":\"http\"}");
    assert_int_equal(rig.status, 200);
    const json_t *tunnels = json_object_get(rig.json, "tunnels");
    assert_int_equal(json_array_size(tunnels), 1);
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(tunnels, 0), "tunnel_server")),
        "tunnel.test:5005");
}

/* An agent that was killed, and starts again. */
static void test_connect_again(void **state)
{
    ask("POST", "/connect", "{\"name\":\"b\"}");
    char *first = strdup(rig.body);
    ask("POST", "/connect", "{\"name\":\"b\"}");
    assert_int_equal(rig.status, 200);
    assert_string_equal(rig.body, first);
    free(first);
    /* Of a socket that had no tunnel. */
    ask("POST", "/connect", "{\"name\":\"a\"}");
    assert_int_equal(json_array_size(json_object_get(rig.json, "tunnels")), 1);
    assert_int_equal(rig.host.count, 2);
    ask("POST", "/connect", "{\"name\":\"a\",\"socket_type\":\"tcp\"}");
    assert_error(409, "OTHER_TYPE");
}

/* What isn't asked for stays: least of all is a protection lost. */
static void test_connect_again_changes_what_is_given(void **state)
{
    ask("POST", "/connect",
        "{\"name\":\"b\",\"socket_type\":\"https\",\"protected_socket\":true,"
        "\"protected_username\":\"u\",\"protected_password\":\"p\",\"https_only\":true,"
        "\"host_header\":\"h\"}");
    ask("POST", "/connect", "{\"name\":\"b\",\"rate\":5}");
    assert_int_equal(rig.status, 200);
    const struct socket_facts *facts = rig.host.sockets[1];
    assert_int_equal(facts->access->rate, 5);
    assert_true(facts->access->is_protected);
    assert_string_equal(facts->access->password_hash, "hash of p");
    assert_true(facts->https_only);
    assert_string_equal(facts->host_header, "h");
    assert_int_equal(facts->type, SOCKET_HTTPS);
}

/* Nothing half-done: without its tunnel, the socket isn't there either. */
static void test_connect_with_a_store_that_fails(void **state)
{
    rig.store.fail = "disk full";
    ask("POST", "/connect", "{\"name\":\"b\"}");
    assert_error(503, "STORE_FAILED");
    assert_int_equal(rig.host.count, 1);
    rig.store.fail = NULL;
    rig.store.refuse = STORE_BUSY;
    ask("POST", "/connect", "{\"name\":\"b\"}");
    assert_error(503, "STORE_FAILED");
    assert_int_equal(rig.host.count, 1);
    /* One that was there stays. */
    ask("POST", "/connect", "{\"name\":\"a\"}");
    assert_error(503, "STORE_FAILED");
    assert_int_equal(rig.host.count, 1);
}

#define WITH_RIG(test_) cmocka_unit_test_setup_teardown(test_, setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(test_create),
        WITH_RIG(test_a_port_is_told),
        WITH_RIG(test_delete),
        WITH_RIG(test_what_is_not_there),
        WITH_RIG(test_a_store_that_fails),
        WITH_RIG(test_not_there_before_it_is_stored),
        WITH_RIG(test_at_most_so_many),
        WITH_RIG(test_gone_with_the_socket),
        WITH_RIG(test_the_socket_goes_while_one_is_made),
        WITH_RIG(test_they_outlive_the_process),
        WITH_RIG(test_connect),
        WITH_RIG(test_connect_again),
        WITH_RIG(test_connect_again_changes_what_is_given),
        WITH_RIG(test_connect_with_a_store_that_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Sockets over the API. */
#include <time.h>

#include "api_rig.h"

#define SOCKET_1 "/socket/00000000-0000-4000-a000-000000000001"
#define SOCKET_2 "/socket/00000000-0000-4000-a000-000000000002"
/* A CA of its own, whose key is gone. */
#define PEM                                                                                        \
    "-----BEGIN CERTIFICATE-----\\n"                                                               \
    "MIIBMDCB46ADAgECAhQ1eEQNGxG8imFfmUqfgeSaYODu1zAFBgMrZXAwDTELMAkG\\n"                          \
    "A1UEAwwCY2EwIBcNMjYxMTIyMTAzNDEwWhgPMjEyNjEwMjkxMDM0MTBaMA0xCzAJ\\n"                          \
    "BgNVBAMMAmNhMCowBQYDK2VwAyEA4xMMCpvaFvwKSle3Mw7dlfqbQ8jNPu5P5wvi\\n"                          \
    "BDPI4CSjUzBRMB0GA1UdDgQWBBRWZbBWsSrHshZ9tZF+5qVkVyQozjAfBgNVHSME\\n"                          \
    "GDAWgBRWZbBWsSrHshZ9tZF+5qVkVyQozjAPBgNVHRMBAf8EBTADAQH/MAUGAytl\\n"                          \
    "cANBAEJmI3UCjvE0/OXIDXCeFL3LaHXn6nU7Xi1v03VceT3MyG28HHqmYPpirKPT\\n"                          \
    "LSl8v3KqnntuuFs1bAMJLMZGWwk=\\n"                                                              \
    "-----END CERTIFICATE-----\\n"
#define PROTECTED                                                                                  \
    "{\"name\":\"web\",\"protected_socket\":true,\"protected_username\":\"ann\","                  \
    "\"protected_password\":\"opensesame\"}"

static struct account *bob;

/* Asks as somebody else; the next question is Ann's again. */
static int ask_as_bob(const char *method, const char *target, const char *body)
{
    if (!bob)
        bob = fake_account_add(&rig.accounts, "bob@b.test", ACCOUNT_ACTIVE);
    fake_login_make(bob, rig.login);
    ask(method, target, body);
    fake_login_make(rig.ann, rig.login);
    return rig.status;
}

static int setup(void **state)
{
    bob = NULL;
    return rig_setup(state);
}

/* --- Creating --- */

static void test_create(void **state)
{
    ask("POST", "/socket",
        "{\"name\":\"caf\xc3\xa9\",\"description\":\"d\",\"socket_type\":\"https\","
        "\"hostname\":\"foo\",\"https_only\":true,\"host_header\":\"localhost:8080\","
        "\"allow\":[\"192.0.2.0/24\",\"2001:db8::/32\"],\"deny\":[\"192.0.2.7\"],\"rate\":10,"
        "\"visitor_rate\":2,\"max_connections\":100,\"client_ca\":\"" PEM "\","
        "\"protected_socket\":false,\"protected_username\":\"\",\"protected_password\":\"\","
        "\"cloud_authentication_enabled\":false,"
        "\"cloud_authentication_email_allowed_addressses\":[]}");
    assert_int_equal(rig.status, 200);
    assert_string_equal(text_of("socket_id"), &SOCKET_1[8]);
    assert_string_equal(text_of("dnsname"), "foo.edge.test");
    assert_string_equal(text_of("url"), "https://foo.edge.test");
    assert_string_equal(text_of("name"), "caf\xc3\xa9");
    assert_string_equal(text_of("description"), "d");
    assert_string_equal(text_of("socket_type"), "https");
    assert_string_equal(text_of("user_name"), "ann@a.test");
    assert_string_equal(text_of("host_header"), "localhost:8080");
    assert_string_equal(text_of("protected_username"), "");
    assert_string_equal(json_string_value(json_array_get(json_object_get(rig.json, "allow"), 1)),
                        "2001:db8::/32");
    assert_string_equal(json_string_value(json_array_get(json_object_get(rig.json, "deny"), 0)),
                        "192.0.2.7/32");
    assert_int_equal(number_of("rate"), 10);
    assert_int_equal(number_of("visitor_rate"), 2);
    assert_int_equal(number_of("max_connections"), 100);
    assert_true(json_is_true(json_object_get(rig.json, "client_ca")));
    assert_true(json_is_true(json_object_get(rig.json, "https_only")));
    assert_true(json_is_false(json_object_get(rig.json, "protected_socket")));
    assert_int_equal(json_array_size(json_object_get(rig.json, "socket_tcp_ports")), 0);
    assert_string_equal(rig.host.sockets[0]->owner, rig.ann->uuid);
}

static void test_a_socket_with_a_port(void **state)
{
    ask("POST", "/socket", "{\"name\":\"a\",\"socket_type\":\"tcp\"}");
    assert_int_equal(rig.status, 200);
    assert_int_equal(
        json_integer_value(json_array_get(json_object_get(rig.json, "socket_tcp_ports"), 0)),
        40001);
    assert_string_equal(text_of("url"), "edge.test:40001");
}

static void test_a_name_alone_makes_one_that_everybody_may_visit(void **state)
{
    ask("POST", "/socket", "{\"name\":\"a\"}");
    assert_string_equal(text_of("socket_type"), "http");
    assert_string_equal(text_of("dnsname"), "made-up-1.edge.test");
    assert_null(rig.host.sockets[0]->access);
    assert_null(rig.host.sockets[0]->description);
}

static void test_a_password_is_never_given_back(void **state)
{
    ask("POST", "/socket", PROTECTED);
    assert_int_equal(rig.status, 200);
    assert_true(json_is_true(json_object_get(rig.json, "protected_socket")));
    assert_string_equal(text_of("protected_username"), "ann");
    assert_null(strstr(rig.body, "opensesame"));
    assert_string_equal(rig.host.sockets[0]->access->password_hash, "hash of opensesame");
    ask("GET", "/socket", "");
    assert_null(strstr(rig.body, "opensesame"));
}

static void test_hashing_has_its_bound(void **state)
{
    fake_work_is_full = true;
    ask("POST", "/socket", PROTECTED);
    assert_error(429, "BUSY");
    assert_string_equal(rig.head, "Retry-After: 2\r\n");
    assert_int_equal(rig.host.count, 0);
}

static void test_values_that_can_not_be(void **state)
{
    static const struct {
        const char *values, *words;
    } cases[] = {
        {"\"x\":1", "name is missing"},
        {"\"name\":1", "name must be a text"},
        {"\"name\":\"\"", "name must have 1 to 64 bytes"},
        {"\"name\":\"a\\nb\"", "name must not hold control characters"},
        {"\"name\":\"a\\u202e\",\"rate\":\"x\"", "rate must be a number"},
        {"\"name\":\"a\",\"description\":[]", "description must be a text"},
        {"\"name\":\"a\",\"socket_type\":\"ftp\"", "socket_type must be http, https"},
        {"\"name\":\"a\",\"socket_type\":4", "socket_type must be a text"},
        {"\"name\":\"a\",\"rate\":1.5", "rate must be a number without a fraction"},
        {"\"name\":\"a\",\"rate\":-1", "rate must be a number of 0 to 4294967295"},
        {"\"name\":\"a\",\"visitor_rate\":4294967296", "visitor_rate must be a number of 0 to"},
        {"\"name\":\"a\",\"max_connections\":true", "max_connections must be a number"},
        {"\"name\":\"a\",\"https_only\":\"yes\"", "https_only must be true or false"},
        {"\"name\":\"a\",\"https_only\":true,\"socket_type\":\"tcp\"", "https_only is for http"},
        {"\"name\":\"a\",\"allow\":\"192.0.2.0/24\"", "allow must be a list"},
        {"\"name\":\"a\",\"allow\":[1]", "allow must be a list of texts"},
        {"\"name\":\"a\",\"allow\":[\"192.0.2.0/24,192.0.3.0/24\"]", "without commas"},
        {"\"name\":\"a\",\"deny\":[\"192.0.2.1/24\"]", "deny: "},
        {"\"name\":\"a\",\"deny\":[\"\"]", "deny must be a list of texts"},
        {"\"name\":\"a\",\"protected_socket\":1", "protected_socket must be true or false"},
        {"\"name\":\"a\",\"protected_socket\":true", "protected_username must be"},
        {"\"name\":\"a\",\"protected_socket\":true,\"protected_username\":\"a:b\","
         "\"protected_password\":\"x\"",
         "without a colon"},
        {"\"name\":\"a\",\"protected_socket\":true,\"protected_username\":\"ab\"",
         "protected_password is missing"},
        {"\"name\":\"a\",\"protected_socket\":true,\"protected_username\":\"ab\","
         "\"protected_password\":\"\"",
         "protected_password is missing"},
        {"\"name\":\"a\",\"protected_username\":\"ab\",\"protected_password\":\"x\"",
         "need protected_socket"},
        {"\"name\":\"a\",\"socket_type\":\"tcp\",\"protected_socket\":true,"
         "\"protected_username\":\"ab\",\"protected_password\":\"x\"",
         "only http and https sockets"},
        {"\"name\":\"a\",\"socket_type\":\"tls\",\"protected_socket\":true,"
         "\"protected_username\":\"ab\",\"protected_password\":\"x\"",
         "only http and https sockets"},
        {"\"name\":\"a\",\"client_ca\":\"rubbish\"", "client_ca must be certificates"},
        {"\"name\":\"a\",\"client_ca\":true", "client_ca must be a text"},
        {"\"name\":\"a\",\"socket_type\":\"tcp\",\"client_ca\":\"" PEM "\"", "client_ca is for"},
        {"\"name\":\"a\",\"client_ca\":\"-----BEGIN CERTIFICATE-----\\nAAAA\\n"
         "-----END CERTIFICATE-----\\n\"",
         "client_ca must be certificates in PEM"},
        {"\"name\":\"a\",\"socket_type\":\"passthrough\",\"client_ca\":\"" PEM "\"",
         "client_ca is for"},
        {"\"name\":\"a\",\"hostname\":\"x\",\"socket_type\":\"tcp\"", "hostname is for sockets"},
        {"\"name\":\"a\",\"host_header\":\"a b\"", "host_header must be a host name"},
        {"\"name\":\"a\",\"host_header\":\"a\\r\\nX: y\"", "host_header must not hold control"},
        {"\"name\":\"a\",\"host_header\":\"a\",\"socket_type\":\"tls\"", "host_header is for"},
        {"\"name\":\"a\",\"cloud_authentication_enabled\":true", "can't be true"},
    };
    char body[1024];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(body, sizeof body, "{%s}", cases[i].values);
        ask("POST", "/socket", body);
        if (rig.status != 422)
            fail_msg("%s: %d", body, rig.status);
        assert_error(422, "BAD_VALUE");
        assert_says(cases[i].words);
        assert_int_equal(ask("POST", "/connect", body), 422);
    }
    assert_int_equal(rig.host.count, 0);
}

static void test_too_many_prefixes(void **state)
{
    static char body[4096] = "{\"name\":\"a\",\"allow\":[\"192.0.2.1\"";
    for (int i = 0; i < ACCESS_PREFIXES_MAX; i++)
        strcat(body, ",\"192.0.2.1\"");
    strcat(body, "]}");
    ask("POST", "/socket", body);
    assert_error(422, "BAD_VALUE");
    assert_says("more than 64 prefixes");
}

static void test_a_name_of_ones_own_is_taken(void **state)
{
    ask("POST", "/socket", "{\"name\":\"web\",\"hostname\":\"foo\"}");
    ask("POST", "/socket", "{\"name\":\"web\"}");
    assert_error(409, "NAME_TAKEN");
    ask("POST", "/socket", "{\"name\":\"other\",\"hostname\":\"FOO\"}");
    assert_error(409, "NAME_TAKEN");
    ask("POST", "/socket", "{\"name\":\"other\",\"dnsname\":\"foo.edge.test\"}");
    assert_error(409, "NAME_TAKEN");
    assert_int_equal(ask("POST", "/socket", "{\"name\":\"other\",\"hostname\":\"fo\"}"), 200);
    assert_int_equal(ask_as_bob("POST", "/socket", "{\"name\":\"web\"}"), 200);
    assert_int_equal(rig.host.count, 3);
}

/* The second comes while the first is on its way to disk: it doesn't get the first's socket, whose
 * rules of access aren't its own. */
static void on_other(void *user, const struct api_answer *answer)
{
    *(int *)user = answer->status;
}

static void test_two_of_one_name_at_once(void **state)
{
    const struct api_request request = {.method = "POST",
                                        .path = "/socket",
                                        .query = "",
                                        .token = rig.login,
                                        .content_type = "application/json",
                                        .body = "{\"name\":\"web\"}",
                                        .body_length = 14};
    int other = 0;
    rig_begin("POST", "/socket", PROTECTED, sizeof PROTECTED - 1);
    api_handle(rig.api, &request, on_other, &other);
    rig_finish("POST", "/socket");
    assert_int_equal(rig.status, 200);
    assert_int_equal(other, 409);
    assert_int_equal(rig.host.count, 1);
}

static void test_what_the_registry_refuses(void **state)
{
    static const struct {
        int error, status;
        const char *code;
    } cases[] = {
        {REGISTRY_TAKEN, 409, "NAME_TAKEN"},
        {REGISTRY_BAD_NAME, 422, "NAME_INVALID"},
        {REGISTRY_NOT_ALLOWED, 422, "NAME_NOT_ALLOWED"},
        {REGISTRY_NO_PORT, 503, "PORTS_EXHAUSTED"},
        {REGISTRY_OTHER_TYPE, 409, "OTHER_TYPE"},
        {REGISTRY_TOO_MANY, 403, "TOO_MANY_SOCKETS"},
        {REGISTRY_MEMORY, 503, "OUT_OF_MEMORY"},
        {REGISTRY_STORE, 503, "STORE_FAILED"},
        {REGISTRY_DRAINING, 503, "DRAINING"},
        {REGISTRY_BUSY, 429, "BUSY"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rig.host.fail = cases[i].error;
        ask("POST", "/socket", "{\"name\":\"a\"}");
        assert_error(cases[i].status, cases[i].code);
        bool is_later = cases[i].status == 503 || cases[i].status == 429;
        assert_int_equal(strstr(rig.head, "Retry-After: ") != NULL, is_later);
    }
}

/* --- Asking --- */

static void test_show(void **state)
{
    ask("POST", "/socket", "{\"name\":\"a\"}");
    rig.host.agents[0] = 2;
    assert_int_equal(ask("GET", SOCKET_1, ""), 200);
    assert_int_equal(number_of("online"), 2);
    assert_int_equal(ask("GET",
                         "/socket/%30"
                         "0000000-0000-4000-a000-000000000001",
                         ""),
                     200);
}

/* What isn't there and what is another's are told apart by nobody. */
static void test_another_accounts_socket(void **state)
{
    static char unknown[256];
    ask("POST", "/socket", "{\"name\":\"a\"}");
    ask("GET", SOCKET_2, "");
    assert_error(404, "NOT_FOUND");
    strcpy(unknown, rig.body);
    ask_as_bob("GET", SOCKET_1, "");
    assert_error(404, "NOT_FOUND");
    assert_string_equal(rig.body, unknown);
    assert_int_equal(ask_as_bob("PUT", SOCKET_1, "{\"name\":\"b\"}"), 404);
    assert_int_equal(ask_as_bob("DELETE", SOCKET_1, ""), 404);
    assert_int_equal(ask_as_bob("GET", "/socket", ""), 200);
    assert_string_equal(rig.body, "[]");
    assert_string_equal(rig.host.sockets[0]->name, "a");
}

static void test_wrong_ids(void **state)
{
    static const char *const ids[] = {
        "1", "x", "..", "'", "%27%20OR%201=1", "%ff", "00000000-0000-4000-A000-000000000001"};
    ask("POST", "/socket", "{\"name\":\"a\"}");
    for (size_t i = 0; i < 7; i++) {
        char target[128];
        snprintf(target, sizeof target, "/socket/%s", ids[i]);
        ask("GET", target, "");
        assert_error(404, "NOT_FOUND");
    }
}

/* --- The list --- */

static void test_the_list_is_rendered_once(void **state)
{
    ask("POST", "/socket", "{\"name\":\"a\"}");
    ask("POST", "/socket", "{\"name\":\"b\"}");
    ask("GET", "/socket", "");
    assert_int_equal(json_array_size(rig.json), 2);
    size_t renders = rig.host.renders;
    ask("GET", "/socket", "");
    assert_int_equal(ask("GET", "/connect", ""), 200);
    assert_int_equal(json_array_size(rig.json), 2);
    assert_int_equal(rig.host.renders, renders);
}

/* Whatever changes shows at once: an agent, a socket, the account, a tunnel, the configuration. */
static void test_the_list_is_never_old(void **state)
{
    const struct api_options options = {API_OPEN, ""};
    ask("POST", "/socket", "{\"name\":\"a\"}");
    ask("GET", "/socket", "");
    rig.host.agents[0] = 1;
    rig.host.version++;
    ask("GET", "/socket", "");
    assert_says("\"online\":1");
    ask("POST", SOCKET_1 "/tunnel", "");
    ask("GET", "/socket", "");
    assert_says("\"tunnel_id\"");
    struct account next = *rig.ann;
    next.email = "anna@a.test";
    fake_account_replace(&rig.accounts, &next);
    ask("GET", "/socket", "");
    assert_says("anna@a.test");
    size_t renders = rig.host.renders;
    assert_int_equal(api_configure(rig.api, &options), 0);
    ask("GET", "/socket", "");
    assert_int_equal(rig.host.renders, renders + 1);
    ask("DELETE", SOCKET_1, "");
    ask("GET", "/socket", "");
    assert_string_equal(rig.body, "[]");
}

static void test_an_etag_saves_the_body(void **state)
{
    char tag[64];
    ask("POST", "/socket", "{\"name\":\"a\"}");
    ask("GET", "/socket", "");
    assert_int_equal(sscanf(rig.head, "ETag: %63s", tag), 1);
    rig.if_none_match = tag;
    assert_int_equal(ask("GET", "/socket", ""), 304);
    assert_int_equal(rig.body_length, 0);
    rig.if_none_match = "\"other\", W/\"x\"";
    assert_int_equal(ask("GET", "/socket", ""), 200);
    rig.if_none_match = tag;
    ask("POST", "/socket", "{\"name\":\"b\"}");
    assert_int_equal(ask("GET", "/socket", ""), 200);
}

static void test_a_list_is_packed_for_who_takes_it(void **state)
{
    char tag[64], packed_tag[64], body[64];
    for (int i = 0; i < 20; i++) {
        snprintf(body, sizeof body, "{\"name\":\"socket-%d\"}", i);
        ask("POST", "/socket", body);
    }
    ask("GET", "/socket", "");
    size_t length = rig.body_length;
    assert_int_equal(sscanf(rig.head, "ETag: %63s", tag), 1);
    assert_non_null(strstr(rig.head, "Vary: Accept-Encoding\r\n"));
    assert_null(strstr(rig.head, "Content-Encoding"));
    rig.takes_gzip = true;
    assert_int_equal(ask("GET", "/socket", ""), 200);
    assert_non_null(strstr(rig.head, "Vary: Accept-Encoding\r\nContent-Encoding: gzip\r\n"));
    assert_int_equal(sscanf(rig.head, "ETag: %63s", packed_tag), 1);
    assert_true(rig.body_length < length / 2);
    assert_memory_equal(rig.body, "\x1f\x8b\x08", 3);
    rig.if_none_match = tag; /* of the other form */
    assert_int_equal(ask("GET", "/socket", ""), 200);
    rig.if_none_match = packed_tag;
    assert_int_equal(ask("GET", "/socket", ""), 304);
    assert_null(strstr(rig.head, "Content-Encoding"));
    assert_non_null(strstr(rig.head, "Vary: "));
}

static void test_lists_of_many_owners_have_a_bound(void **state)
{
    for (int i = 0; i < FAKE_MAX - 1; i++) {
        char email[32];
        snprintf(email, sizeof email, "%d@a.test", i);
        fake_login_make(fake_account_add(&rig.accounts, email, ACCOUNT_ACTIVE), rig.login);
        ask("GET", "/socket", "");
    }
    assert_int_equal(rig.api->cached, 64);
    /* The one used last is still there, the first isn't; and each has one entry. */
    size_t renders = rig.host.renders;
    ask("GET", "/socket", "");
    assert_int_equal(rig.host.renders, renders);
    fake_login_make(rig.accounts.accounts[1], rig.login);
    ask("GET", "/socket", "");
    assert_int_equal(rig.host.renders, renders + 1);
    rig.host.version++;
    ask("GET", "/socket", "");
    assert_int_equal(rig.host.renders, renders + 2);
    assert_int_equal(rig.api->cached, 64);
}

/* 1,000 sockets, 2,000 requests a second: here without TLS, and with a wide margin for a slow
 * machine with sanitizers. */
static void test_a_thousand_sockets(void **state)
{
    for (int i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof name, "socket %d", i);
        const struct socket_claim claim = {.owner = rig.ann->uuid, .name = name};
        fake_socket_add(&rig.host, &claim);
    }
    ask("GET", "/socket", "");
    assert_int_equal(json_array_size(rig.json), 1000);
    assert_true(rig.body_length < 700 * 1000);
    size_t renders = rig.host.renders;
    for (int i = 0; i < 200; i++) {
        rig_begin("GET", "/socket", "", 0);
        rig_settle();
        assert_int_equal(rig.status, 200);
    }
    assert_int_equal(rig.host.renders, renders);
}

/* --- Changing --- */

static void test_change(void **state)
{
    ask("POST", "/socket", PROTECTED);
    ask("PUT", SOCKET_1, "{\"description\":\"new\",\"rate\":5}");
    assert_int_equal(rig.status, 200);
    assert_string_equal(text_of("description"), "new");
    assert_string_equal(text_of("protected_username"), "ann");
    assert_int_equal(number_of("rate"), 5);
    assert_string_equal(rig.host.sockets[0]->access->password_hash, "hash of opensesame");
    ask("PUT", SOCKET_1, "{\"protected_password\":\"other\"}");
    assert_string_equal(rig.host.sockets[0]->access->password_hash, "hash of other");
    assert_int_equal(rig.host.sockets[0]->access->rate, 5);
    ask("PUT", SOCKET_1, "{\"name\":\"renamed\",\"protected_socket\":false,\"https_only\":true}");
    assert_string_equal(text_of("name"), "renamed");
    assert_string_equal(text_of("protected_username"), "");
    assert_null(rig.host.sockets[0]->access->password_hash);
    ask("PUT", SOCKET_1, "{\"client_ca\":\"" PEM "\"}");
    assert_true(json_is_true(json_object_get(rig.json, "client_ca")));
    ask("PUT", SOCKET_1, "{\"client_ca\":false,\"description\":\"\",\"host_header\":\"h\"}");
    assert_true(json_is_false(json_object_get(rig.json, "client_ca")));
    assert_null(rig.host.sockets[0]->description);
    assert_string_equal(rig.host.sockets[0]->host_header, "h");
    ask("PUT", SOCKET_1, "{\"host_header\":\"\",\"allow\":[],\"deny\":null}");
    assert_null(rig.host.sockets[0]->host_header);
    assert_true(rig.host.sockets[0]->https_only);
}

/* Who changes a part of what was answered, and sends the whole back. */
static void test_a_whole_socket_sent_back(void **state)
{
    ask("POST", "/socket",
        "{\"name\":\"a\",\"hostname\":\"foo\",\"client_ca\":\"" PEM "\",\"rate\":3,"
        "\"allow\":[\"192.0.2.0/24\"]}");
    char *body = strdup(rig.body);
    ask("PUT", SOCKET_1, body);
    assert_int_equal(rig.status, 200);
    assert_string_equal(rig.body, body);
    free(body);
}

static void test_what_can_not_be_changed(void **state)
{
    ask("POST", "/socket", "{\"name\":\"a\"}");
    ask("POST", "/socket", "{\"name\":\"b\"}");
    ask("PUT", SOCKET_1, "{\"socket_type\":\"tcp\"}");
    assert_error(422, "BAD_VALUE");
    assert_says("socket_type can't be changed");
    ask("PUT", SOCKET_1, "{\"dnsname\":\"other.edge.test\"}");
    assert_says("dnsname can't be changed");
    ask("PUT", SOCKET_1, "{\"name\":\"b\"}");
    assert_error(409, "NAME_TAKEN");
    assert_int_equal(ask("PUT", SOCKET_1, "{\"name\":\"a\"}"), 200);
    ask("PUT", SOCKET_1, "{\"protected_socket\":true,\"protected_username\":\"u\"}");
    assert_says("protected_password is missing");
    rig.host.fail = REGISTRY_STORE;
    ask("PUT", SOCKET_1, "{\"rate\":1}");
    assert_error(503, "STORE_FAILED");
}

/* Its password is being hashed when it goes. */
static void test_gone_while_it_is_changed(void **state)
{
    ask("POST", "/socket", "{\"name\":\"a\"}");
    static const char body[] = "{\"protected_socket\":true,\"protected_username\":\"u\","
                               "\"protected_password\":\"p\"}";
    rig_begin("PUT", SOCKET_1, body, sizeof body - 1);
    fake_host_deinit(&rig.host);
    rig_finish("PUT", SOCKET_1);
    assert_error(404, "NOT_FOUND");
}

static void test_two_changes_at_once(void **state)
{
    ask("POST", "/socket", "{\"name\":\"a\"}");
    static const char body[] = "{\"protected_socket\":true,\"protected_username\":\"u\","
                               "\"protected_password\":\"p\"}";
    rig_begin("PUT", SOCKET_1, body, sizeof body - 1);
    struct socket_facts next = *rig.host.sockets[0];
    next.https_only = true;
    socket_facts_unref(rig.host.sockets[0]);
    rig.host.sockets[0] = socket_facts_new(&next);
    rig_finish("PUT", SOCKET_1);
    assert_error(429, "BUSY");
    assert_true(rig.host.sockets[0]->https_only);
    assert_int_equal(ask("PUT", SOCKET_1, body), 200);
    assert_true(rig.host.sockets[0]->https_only);
}

/* --- Deleting --- */

static void test_delete(void **state)
{
    ask("POST", "/socket", "{\"name\":\"a\"}");
    rig.host.fail = REGISTRY_STORE;
    ask("DELETE", SOCKET_1, "");
    assert_error(503, "STORE_FAILED");
    rig.host.fail = REGISTRY_BUSY;
    ask("DELETE", SOCKET_1, "");
    assert_error(429, "BUSY");
    assert_int_equal(ask("DELETE", SOCKET_1, ""), 204);
    ask("DELETE", SOCKET_1, "");
    assert_error(404, "NOT_FOUND");
}

#define WITH_RIG(test_) cmocka_unit_test_setup_teardown(test_, setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(test_create),
        WITH_RIG(test_a_socket_with_a_port),
        WITH_RIG(test_a_name_alone_makes_one_that_everybody_may_visit),
        WITH_RIG(test_a_password_is_never_given_back),
        WITH_RIG(test_hashing_has_its_bound),
        WITH_RIG(test_values_that_can_not_be),
        WITH_RIG(test_too_many_prefixes),
        WITH_RIG(test_a_name_of_ones_own_is_taken),
        WITH_RIG(test_two_of_one_name_at_once),
        WITH_RIG(test_what_the_registry_refuses),
        WITH_RIG(test_show),
        WITH_RIG(test_another_accounts_socket),
        WITH_RIG(test_wrong_ids),
        WITH_RIG(test_the_list_is_rendered_once),
        WITH_RIG(test_the_list_is_never_old),
        WITH_RIG(test_an_etag_saves_the_body),
        WITH_RIG(test_a_list_is_packed_for_who_takes_it),
        WITH_RIG(test_lists_of_many_owners_have_a_bound),
        WITH_RIG(test_a_thousand_sockets),
        WITH_RIG(test_change),
        WITH_RIG(test_a_whole_socket_sent_back),
        WITH_RIG(test_what_can_not_be_changed),
        WITH_RIG(test_gone_while_it_is_changed),
        WITH_RIG(test_two_changes_at_once),
        WITH_RIG(test_delete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

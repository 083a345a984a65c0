/* Who gets into a socket of http: by address, name and password, rates, places and quota. */
#include "edge_test.h"

#include "net/secret.h"

#define GET(host) "GET / HTTP/1.1\r\nHost: " host "\r\n\r\n"
/* "alice:secret" and "alice:wrong" */
#define RIGHT           "Authorization: Basic YWxpY2U6c2VjcmV0\r\n"
#define WRONG           "Authorization: Basic YWxpY2U6d3Jvbmc=\r\n"
#define OTHER           "Authorization: Basic Ym9iOnNlY3JldA==\r\n" /* "bob:secret" */
#define GET_WITH(lines) "GET / HTTP/1.1\r\nHost: a.edge.test\r\n" lines "\r\n"
#define OK(length)      "HTTP/1.1 200 OK\r\nContent-Length: " #length "\r\n\r\n"

static struct prefix prefix_of(const char *text)
{
    struct prefix prefix;
    assert_int_equal(prefix_parse(text, strlen(text), &prefix), 0);
    return prefix;
}

static struct socket_access protection(void)
{
    static char hash[SECRET_HASH_MAX];
    if (!hash[0])
        assert_int_equal(secret_hash_password("secret", hash), 0);
    return (struct socket_access){
        .is_protected = true, .username = (char *)"alice", .password_hash = hash};
}

static struct socket_facts *add_protected(void)
{
    struct socket_access access = protection();
    struct socket_facts *facts = add_guarded(SOCKET_HTTP, "a.edge.test", &access);
    add_agent(facts, "web");
    return facts;
}

static struct client *come_from(const char *address)
{
    world.address = address;
    return come(EDGE_HTTP, NULL);
}

static size_t count_text(const char *text, const char *what)
{
    size_t count = 0;
    while ((text = strstr(text, what))) {
        count++;
        text += strlen(what);
    }
    return count;
}

struct wanted_count {
    const struct client *client;
    const char *what;
    size_t least;
};

static bool has_count(void *user)
{
    const struct wanted_count *wanted = user;
    return wanted->client->got && count_text(wanted->client->got, wanted->what) >= wanted->least;
}

static void await_count(const struct client *client, const char *what, size_t least)
{
    struct wanted_count wanted = {client, what, least};
    test_run_until(world.loop, has_count, &wanted);
}

static void answer_ok(struct fake *fake)
{
    fake_connect(fake);
    fake_send(fake, OK(2) "ok");
}

/* --- Addresses --- */

static void test_denied_address_is_forbidden(void **state)
{
    struct prefix allow = prefix_of("192.0.2.0/24"), deny = prefix_of("192.0.2.7/32");
    struct socket_access access = {
        .allow = &allow, .allow_count = 1, .deny = &deny, .deny_count = 1};
    add_agent(add_guarded(SOCKET_HTTP, "a.edge.test", &access), "web");
    static const char *const outside[] = {"192.0.2.7", "::ffff:192.0.2.7", "198.51.100.1", "::1"};
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        struct client *client = come_from(outside[i]);
        client_send(client, GET("a.edge.test"));
        await_answer(client, "FORBIDDEN");
        assert_non_null(strstr(client->got, "HTTP/1.1 403 "));
        leave(client);
    }
    assert_int_equal(world.opened, 0);
    assert_int_equal(world.counts[EDGE_COUNT_FORBIDDEN], 4);
    struct client *client = come_from("192.0.2.8");
    client_send(client, GET("a.edge.test"));
    await_request(await_inbound(1), "\r\n\r\n");
    leave(client);
    await_no_visitor();
}

/* --- Names and passwords --- */

static void test_each_request_needs_its_credentials(void **state)
{
    add_protected();
    struct client *client = come(EDGE_HTTP, NULL);
    client_send(client, GET("a.edge.test"));
    await_answer(client, "UNAUTHORIZED");
    assert_non_null(strstr(client->got, "HTTP/1.1 401 "));
    assert_non_null(strstr(client->got,
                           "WWW-Authenticate: Basic realm=\"a.edge.test\", charset=\"UTF-8\"\r\n"));
    assert_int_equal(world.opened, 0);
    client_send(client, GET_WITH(RIGHT));
    struct fake *fake = await_inbound(1);
    await_request(fake, "\r\n\r\n");
    assert_null(strstr(fake->got, "uthorization"));
    answer_ok(fake);
    await_answer(client, "ok");
    /* The connection being known doesn't help. */
    client_send(client, GET("a.edge.test"));
    await_count(client, "HTTP/1.1 401 ", 2);
    assert_int_equal(count_text(fake->got, "GET /"), 1);
    leave(client);
    await_no_visitor();
}

static void test_wrong_credentials_are_refused(void **state)
{
    static const char *const wrong[] = {
        GET_WITH(WRONG),
        GET_WITH(OTHER),
        GET_WITH("Authorization: Bearer YWxpY2U6c2VjcmV0\r\n"),
        GET_WITH("Authorization: Basic YWxpY2U6c2VjcmV0!\r\n"),
        GET_WITH(RIGHT WRONG),
        GET_WITH(RIGHT RIGHT),
    };
    add_protected();
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct client *client = come(EDGE_HTTP, NULL);
        client_send(client, wrong[i]);
        await_answer(client, "UNAUTHORIZED");
        leave(client);
    }
    assert_int_equal(world.opened, 0);
    await_no_visitor();
}

/* Without the guard's threads, only what was proved before is let in. */
static void test_proved_credentials_are_not_hashed_again(void **state)
{
    struct socket_facts *facts = add_protected();
    struct client *client = come(EDGE_HTTP, NULL);
    client_send(client, GET_WITH(RIGHT));
    struct fake *fake = await_inbound(1);
    await_request(fake, "\r\n\r\n");
    answer_ok(fake);
    await_answer(client, "ok");
    guard_stop(world.guard);
    client_send(client, "GET /second HTTP/1.1\r\nHost: a.edge.test\r\n" RIGHT "\r\n");
    await_request(fake, "/second");
    fake_send(fake, OK(3) "two");
    await_answer(client, "two");
    client_send(client, GET_WITH(WRONG));
    await_answer(client, "TOO_MANY_ATTEMPTS");
    assert_non_null(strstr(client->got, "HTTP/1.1 429 "));
    leave(client);
    /* Nor with another password set since then. */
    struct socket_facts values = socket_facts_values(facts);
    struct socket_access access = protection();
    access.username = (char *)"alicia";
    values.access = &access;
    struct socket_facts *changed = socket_facts_new(&values);
    apply(REGISTRY_PUT, changed, NULL);
    socket_facts_unref(changed);
    client = come(EDGE_HTTP, NULL);
    client_send(client, GET_WITH(RIGHT));
    await_answer(client, "TOO_MANY_ATTEMPTS");
    leave(client);
    await_no_visitor();
}

static int checked;

static void on_checked(struct work *work)
{
    checked++;
    assert_int_equal(((struct guard_check *)work)->verdict, GUARD_WRONG);
    free(work);
}

static void test_who_guesses_has_to_wait(void **state)
{
    add_protected();
    for (int i = 0; i < 6; i++) { /* a hash that can't be read takes no time */
        struct guard_check *check = calloc(1, sizeof *check);
        assert_non_null(check);
        check->work.done = on_checked;
        check->password = check->hash = "";
        check->is_known = true;
        check->now = loop_update_now(world.loop) + 100 * TEST_SECOND;
        assert_int_equal(address_from_host(world.address, 0, &check->visitor), 0);
        assert_int_equal(guard_add(world.guard, world.loop, check), 0);
    }
    struct wanted_number six = {&checked, 6};
    test_run_until(world.loop, has_number, &six);
    struct client *client = come_from("198.51.100.1"); /* this one has guessed nothing */
    client_send(client, GET_WITH(RIGHT));
    await_inbound(1);
    leave(client);
    guard_stop(world.guard); /* it isn't even asked */
    client = come_from("192.0.2.7");
    client_send(client, GET_WITH(WRONG));
    await_answer(client, "TOO_MANY_ATTEMPTS");
    assert_non_null(strstr(client->got, "HTTP/1.1 429 "));
    assert_non_null(strstr(client->got, "Retry-After: 1\r\n")); /* 2, had it been asked */
    leave(client);
    client = come(EDGE_HTTP, NULL); /* but who is known needn't wait for the guesses of others */
    client_send(client, GET_WITH(RIGHT));
    await_inbound(2);
    leave(client);
    await_no_visitor();
}

static void test_visitors_leave_while_they_are_judged(void **state)
{
    struct client *clients[4];
    add_protected();
    for (size_t i = 0; i < 4; i++) { /* all wait for one check */
        clients[i] = come(EDGE_HTTP, NULL);
        client_send(clients[i], GET_WITH(RIGHT));
    }
    turn();
    leave(clients[1]);
    leave(clients[3]);
    struct wanted_number two = {&world.opened, 2};
    test_run_until(world.loop, has_number, &two);
    leave(clients[0]);
    leave(clients[2]);
    await_no_visitor();
    struct client *last = come(EDGE_HTTP, NULL);
    client_send(last, GET_WITH(WRONG));
    turn();
    leave(last); /* and the world ends while its password is being looked at */
}

static void test_upgrades_are_guarded(void **state)
{
#define UPGRADE "Connection: Upgrade\r\nUpgrade: websocket\r\n"
    add_protected();
    struct client *client = come(EDGE_HTTP, NULL);
    client_send(client, GET_WITH(UPGRADE));
    await_answer(client, "UNAUTHORIZED");
    client_send(client, GET_WITH(UPGRADE RIGHT));
    struct fake *fake = await_inbound(1);
    await_request(fake, "\r\n\r\n");
    assert_non_null(strstr(fake->got, "Upgrade: websocket\r\n"));
    assert_null(strstr(fake->got, "uthorization"));
    leave(client);
    await_no_visitor();
}

static void test_unprotected_services_judge_for_themselves(void **state)
{
    add_agent(add_socket(SOCKET_HTTP, "a.edge.test"), "web");
    struct client *client = come(EDGE_HTTP, NULL);
    client_send(client, GET_WITH(WRONG "X-Client-Cert-Subject: CN=root\r\n"
                                       "X_Client_Cert_Subject: CN=root\r\n"));
    struct fake *fake = await_inbound(1);
    await_request(fake, "\r\n\r\n");
    assert_non_null(strstr(fake->got, WRONG));
    assert_null(strstr(fake->got, "CN=root")); /* nobody but us may say so */
    leave(client);
    await_no_visitor();
}

static void test_realm_is_the_sockets_name(void **state)
{
    static const char *const names[][2] = {
        {"a \"b\" \\c", "realm=\"a \\\"b\\\" \\\\c\""},
        {"caf\xc3\xa9", "realm=\"a.edge.test\""},
    };
    for (size_t i = 0; i < 2; i++) {
        struct socket_access access = protection();
        struct socket_facts values = {.id = ++world.next_id,
                                      .type = SOCKET_HTTP,
                                      .owner = (char *)"alice",
                                      .name = (char *)names[i][0],
                                      .hostname = (char *)"a.edge.test",
                                      .access = &access};
        struct socket_facts *facts = socket_facts_new(&values);
        apply(REGISTRY_PUT, facts, NULL);
        struct client *client = come(EDGE_HTTP, NULL);
        client_send(client, GET("a.edge.test"));
        await_answer(client, names[i][1]);
        leave(client);
        apply(REGISTRY_REMOVE, facts, NULL);
        socket_facts_unref(facts);
    }
    await_no_visitor();
}

/* --- Rates, places, quotas --- */

#define FIVE(text)   text text text text text
#define TWENTY(text) FIVE(text) FIVE(text) FIVE(text) FIVE(text)

/* Nobody serves these sockets: whoever is let in hears that. */
static void test_rate_of_a_socket_is_for_all(void **state)
{
    struct socket_access access = {.rate = 1};
    add_guarded(SOCKET_HTTP, "a.edge.test", &access);
    struct client *one = come_from("192.0.2.1");
    client_send(one, FIVE(GET("a.edge.test")));
    await_count(one, "HTTP/1.1 ", 5);
    assert_int_equal(count_text(one->got, "HTTP/1.1 503 "), 5);
    struct client *two = come_from("192.0.2.2");
    client_send(two, TWENTY(GET("a.edge.test")));
    await_answer(two, "RATE_LIMITED");
    assert_non_null(strstr(two->got, "HTTP/1.1 429 "));
    assert_non_null(strstr(two->got, "Retry-After: 1\r\n"));
    assert_true(world.counts[EDGE_COUNT_LIMITED] > 0);
    leave(one);
    leave(two);
    await_no_visitor();
}

static void test_rate_of_a_visitor_is_its_own(void **state)
{
    struct socket_access access = {.visitor_rate = 1};
    add_guarded(SOCKET_HTTP, "a.edge.test", &access);
    struct client *one = come_from("2001:db8::1");
    client_send(one, TWENTY(GET("a.edge.test")));
    await_answer(one, "RATE_LIMITED");
    assert_true(count_text(one->got, "HTTP/1.1 503 ") >= 5);
    struct client *neighbour = come_from("2001:db8::2"); /* of the same /64 */
    client_send(neighbour, FIVE(GET("a.edge.test")));
    await_answer(neighbour, "RATE_LIMITED");
    struct client *other = come_from("2001:db8:0:1::1");
    client_send(other, FIVE(GET("a.edge.test")));
    await_count(other, "HTTP/1.1 ", 5);
    assert_int_equal(count_text(other->got, "HTTP/1.1 503 "), 5);
    leave(one);
    leave(neighbour);
    leave(other);
    await_no_visitor();
}

/* What isn't let in doesn't use up what those have who are. */
static void test_strangers_do_not_use_up_the_rate(void **state)
{
    struct socket_access access = protection();
    access.rate = 1;
    add_guarded(SOCKET_HTTP, "a.edge.test", &access);
    struct client *stranger = come(EDGE_HTTP, NULL);
    client_send(stranger, TWENTY(GET("a.edge.test")));
    await_count(stranger, "HTTP/1.1 401 ", 20);
    struct client *client = come(EDGE_HTTP, NULL);
    client_send(client, GET_WITH(RIGHT));
    await_answer(client, "NO_AGENT");
    leave(stranger);
    leave(client);
    await_no_visitor();
}

static bool is_alone(void *user)
{
    return world.counts[EDGE_COUNT_VISITORS] == 1;
}

static void test_places_are_given_back(void **state)
{
    struct socket_access access = {.max_connections = 1};
    add_guarded(SOCKET_HTTP, "a.edge.test", &access);
    add_guarded(SOCKET_HTTP, "b.edge.test", &access);
    struct client *one = come(EDGE_HTTP, NULL), *two = come(EDGE_HTTP, NULL);
    client_send(one, GET("a.edge.test") GET("a.edge.test"));
    await_count(one, "NO_AGENT", 4); /* in head and body */
    client_send(two, GET("a.edge.test"));
    await_answer(two, "SOCKET_FULL");
    assert_non_null(strstr(two->got, "HTTP/1.1 503 "));
    client_send(one, GET("b.edge.test")); /* goes elsewhere */
    await_count(one, "NO_AGENT", 6);
    client_send(two, GET("a.edge.test"));
    await_answer(two, "NO_AGENT");
    leave(two);
    test_run_until(world.loop, is_alone, NULL);
    client_send(one, GET("a.edge.test"));
    await_count(one, "NO_AGENT", 8);
    assert_null(strstr(one->got, "SOCKET_FULL"));
    leave(one);
    await_no_visitor();
}

static void test_exhausted_quota_refuses(void **state)
{
    add_agent(add_socket(SOCKET_HTTP, "a.edge.test"), "web");
    struct client *client = come(EDGE_HTTP, NULL);
    client_send(client, GET("a.edge.test"));
    struct fake *fake = await_inbound(1);
    await_request(fake, "\r\n\r\n");
    answer_ok(fake);
    await_answer(client, "ok");
    world.is_exhausted = true;
    client_send(client, GET("a.edge.test"));
    await_answer(client, "QUOTA_EXCEEDED");
    assert_non_null(strstr(client->got, "HTTP/1.1 503 "));
    assert_int_equal(count_text(fake->got, "GET /"), 1);
    leave(client);
    await_no_visitor();
    assert_int_equal(world.moved, fake->size + fake->pushed);
    assert_int_equal(world.counts[EDGE_COUNT_LIMITED], 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_world, end_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_denied_address_is_forbidden),
        TEST(test_each_request_needs_its_credentials),
        TEST(test_wrong_credentials_are_refused),
        TEST(test_proved_credentials_are_not_hashed_again),
        TEST(test_who_guesses_has_to_wait),
        TEST(test_visitors_leave_while_they_are_judged),
        TEST(test_upgrades_are_guarded),
        TEST(test_unprotected_services_judge_for_themselves),
        TEST(test_realm_is_the_sockets_name),
        TEST(test_rate_of_a_socket_is_for_all),
        TEST(test_rate_of_a_visitor_is_its_own),
        TEST(test_strangers_do_not_use_up_the_rate),
        TEST(test_places_are_given_back),
        TEST(test_exhausted_quota_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The edge and HTTP: requests find their services, and answers their visitors. */
#include "edge_test.h"

#include <sys/stat.h>
#include <time.h>

#include "edge/access_log.h"

#define GET(host)  "GET / HTTP/1.1\r\nHost: " host "\r\n\r\n"
#define OK(length) "HTTP/1.1 200 OK\r\nContent-Length: " #length "\r\n\r\n"

static void test_request_goes_to_its_socket(void **state)
{
    struct presence *agent = add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "web");
    add_agent(add_socket(SOCKET_HTTPS, "b.edge.test"), "other");
    struct client *client = come(EDGE_HTTP, NULL);
    client_send(client, GET("A.edge.test:8080"));
    struct fake *fake = await_inbound(1);
    assert_ptr_equal(fake->presence, agent);
    assert_string_equal(fake->visitor, "192.0.2.7:4711");
    await_request(fake, "\r\n\r\n");
    assert_non_null(strstr(fake->got, "X-Forwarded-For: 192.0.2.7\r\n"));
    fake_connect(fake);
    fake_send(fake, OK(5) "hello");
    await_answer(client, "hello");
    assert_int_equal(world.counts[EDGE_COUNT_VISITS], 1);
    assert_int_equal(world.counts[EDGE_COUNT_BYTES_OUT], 5);
    assert_int_equal(world.tells, 1);
    assert_ptr_equal(world.told_presence, agent);
    assert_non_null(strstr(world.told, "200"));
    assert_int_equal(world.routed, 1);
    leave(client);
    await_no_visitor();
    assert_int_equal(world.gone_routed, 1);
    assert_int_equal(world.gone_unrouted, 0);
}

static void test_inbound_is_kept_for_its_requests(void **state)
{
    add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "web");
    struct client *client = come(EDGE_HTTP, NULL);
    client_send(client, GET("a.edge.test"));
    struct fake *fake = await_inbound(1);
    await_request(fake, "\r\n\r\n");
    fake_send(fake, OK(3) "one");
    await_answer(client, "one");
    client_send(client, "GET /second HTTP/1.1\r\nHost: a.edge.test\r\n\r\n");
    await_request(fake, "/second");
    fake_send(fake, OK(3) "two");
    await_answer(client, "two");
    assert_int_equal(world.opened, 1);
    assert_int_equal(world.tells, 2);
    leave(client);
    await_no_visitor();
}

static void test_pipelined_requests_are_answered_in_turn(void **state)
{
    add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "web");
    struct client *client = come(EDGE_HTTP, NULL);
    client_send(client, GET("a.edge.test")
                            GET("nobody.test") "GET /third HTTP/1.1\r\nHost: a.edge.test\r\n\r\n");
    struct fake *fake = await_inbound(1);
    await_request(fake, "\r\n\r\n");
    assert_null(strstr(fake->got, "/third"));
    fake_send(fake, OK(3) "one");
    if (world.opened == 1 && !fake->closed && !fake->aborted && !fake->ended) {
        await_request(fake, "/third");
    } else {
        fake = await_inbound(2);
        await_request(fake, "/third");
    }
    fake_send(fake, OK(5) "three");
    await_answer(client, "three");
    const char *first = strstr(client->got, "one"), *second = strstr(client->got, " 404 "),
               *third = strstr(client->got, "three");
    assert_true(first && second && first < second && second < third);
    leave(client);
    await_no_visitor();
}

static void test_own_pages_say_what_is_wrong(void **state)
{
    struct socket_facts *facts = add_socket(SOCKET_HTTPS, "off.edge.test");
    struct client *client = come(EDGE_HTTP, NULL);
    client_send(client, GET("nobody.test"));
    time_t before = time(NULL);
    await_answer(client, "UNKNOWN_NAME");
    assert_non_null(strstr(client->got, "HTTP/1.1 404 "));
    struct tm parts = {0};
    const char *date = strstr(client->got, "\r\nDate: ");
    assert_non_null(date);
    assert_non_null(strptime(date, "\r\nDate: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts));
    assert_in_range(timegm(&parts), before - 1, time(NULL));
    client_send(client, GET("off.edge.test"));
    await_answer(client, "NO_AGENT");
    assert_non_null(strstr(client->got, "HTTP/1.1 503 "));
    assert_non_null(strstr(client->got, "Retry-After:"));
    assert_int_equal(world.counts[EDGE_COUNT_UNKNOWN_NAME], 1);
    assert_int_equal(world.counts[EDGE_COUNT_NO_AGENT], 1);
    /* An agent that is there, and busy, and takes no more. */
    world.full = add_agent(facts, "web");
    atomic_store(&world.full->busy, 5);
    client_send(client, GET("off.edge.test"));
    await_answer(client, "TOO_MANY_CONNECTIONS");
    assert_int_equal(world.opened, 0);
    assert_int_equal(world.tells, 0);
    leave(client);
    await_no_visitor();
    assert_int_equal(world.gone_unrouted, 1);
}

static void test_a_request_that_comes_again_and_again_is_508(void **state)
{
    struct edge_setup setup = {.config = &world.config};
    char *name = strdup("streamplex-7");
    world.config.cdn_id = name;
    edge_configure(world.edge, &setup);
    add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "web");
    struct client *client = come(EDGE_HTTP, NULL);
    client_send(client, "GET / HTTP/1.1\r\nHost: a.edge.test\r\nCDN-Loop: one, streamplex-7, "
                        "streamplex-7, streamplex-7\r\n\r\n");
    await_answer(client, "X-Streamplex-Error: LOOP_DETECTED\r\n");
    assert_non_null(strstr(client->got, "HTTP/1.1 508 Loop Detected\r\n"));
    assert_null(strstr(client->got, "Connection: close"));
    assert_int_equal(world.opened, 0);
    assert_int_equal(world.counts[EDGE_COUNT_SERVICE_BROKEN], 1);
    /* On the same connection, after a reload, one that another edge has passed on. */
    struct edge_config reloaded = world.config;
    reloaded.cdn_id = "streamplex-7";
    setup.config = &reloaded;
    edge_configure(world.edge, &setup);
    free(name);
    client_send(client, "GET / HTTP/1.1\r\nHost: a.edge.test\r\nCDN-Loop: streamplex-8\r\n\r\n");
    struct fake *fake = await_inbound(1);
    await_request(fake, "CDN-Loop: streamplex-8, streamplex-7\r\n");
    fake_send(fake, OK(3) "one");
    await_answer(client, "one");
    leave(client);
    await_no_visitor();
    world.config.cdn_id = NULL;
    setup.config = &world.config;
    edge_configure(world.edge, &setup);
}

static void test_large_head_is_431(void **state)
{
    static char head[40000];
    struct client *client = come(EDGE_HTTP, NULL);
    int n = snprintf(head, sizeof head, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
    memset(head + n, 'x', sizeof head - (size_t)n - 1);
    client_send(client, head);
    await_answer(client, " 431 ");
    await_end(client);
    assert_int_equal(world.counts[EDGE_COUNT_BAD_REQUESTS], 1);
    leave(client);
    await_no_visitor();
}

static void test_visits_are_recorded_as_whose_they_are(void **state)
{
    char *folder = test_folder(), error[256], lines[4096] = "";
    const char *path = test_path(folder, "access.log");
    assert_int_equal(access_log_open(path, false, &world.config.access_log, error, sizeof error),
                     0);
    add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "web");
    struct client *client = come(EDGE_HTTP, NULL);
    client_send(client, GET("a.edge.test"));
    struct fake *fake = await_inbound(1);
    await_request(fake, "\r\n\r\n");
    fake_send(fake, OK(5) "hello");
    await_answer(client, "hello");
    assert_non_null(strstr(world.told, "192.0.2.7"));
    /* Of what comes on the same connection and isn't for it, its agent hears nothing. */
    client_send(client, "GET /lost HTTP/1.1\r\nHost: nobody.test\r\n\r\n");
    await_answer(client, " 404 ");
    client_send(client, "GET /bad HTTP/1.1\r\nHost : a.edge.test\r\n\r\n");
    await_answer(client, " 400 ");
    leave(client);
    await_no_visitor();
    assert_int_equal(world.tells, 1);
    assert_int_equal(world.counts[EDGE_COUNT_VISITS], 3);
    assert_int_equal(world.counts[EDGE_COUNT_BAD_REQUESTS], 1);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_true(fread(lines, 1, sizeof lines - 1, file) > 0);
    fclose(file);
    assert_non_null(strstr(lines, "\"GET / HTTP/1.1\" 200 5 "));
    assert_non_null(strstr(lines, "\"GET /lost HTTP/1.1\" 404 "));
    access_log_unref(world.config.access_log);
    world.config.access_log = NULL;
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
    free(folder);
}

/* --- Agents that fail ----------------------------------------------------- */

static void test_refused_request_goes_to_the_next_agent(void **state)
{
    struct socket_facts *facts = add_socket(SOCKET_HTTPS, "a.edge.test");
    add_agent(facts, "one");
    add_agent(facts, "two");
    struct client *client = come(EDGE_HTTP, NULL);
    client_send(client, GET("a.edge.test"));
    struct fake *first = await_inbound(1);
    await_request(first, "\r\n\r\n");
    fake_go(first, "ECONNREFUSED", "connect ECONNREFUSED");
    struct fake *second = await_inbound(2);
    assert_ptr_not_equal(first->presence, second->presence);
    await_request(second, "\r\n\r\n");
    fake_connect(second);
    fake_send(second, OK(2) "ok");
    await_answer(client, "ok");
    assert_int_equal(world.counts[EDGE_COUNT_RETRIES], 1);
    assert_ptr_equal(world.told_presence, second->presence);
    leave(client);
    await_no_visitor();
}

static void test_refused_by_all_is_502(void **state)
{
    struct socket_facts *facts = add_socket(SOCKET_HTTPS, "a.edge.test");
    add_agent(facts, "one");
    add_agent(facts, "two");
    struct client *client = come(EDGE_HTTP, NULL);
    client_send(client, GET("a.edge.test"));
    for (int i = 1; i <= 2; i++)
        fake_go(await_inbound(i), "ECONNREFUSED", "connect ECONNREFUSED");
    await_answer(client, "SERVICE_REFUSED");
    assert_non_null(strstr(client->got, "HTTP/1.1 502 "));
    assert_non_null(strstr(world.told, "SERVICE_REFUSED"));
    leave(client);
    await_no_visitor();
}

static void test_body_waits_for_the_agent_that_takes_it(void **state)
{
    struct socket_facts *facts = add_socket(SOCKET_HTTPS, "a.edge.test");
    add_agent(facts, "one");
    add_agent(facts, "two");
    struct client *client = come(EDGE_HTTP, NULL);
    client_send(client, "POST / HTTP/1.1\r\nHost: a.edge.test\r\nContent-Length: 4\r\n\r\nbody");
    struct fake *first = await_inbound(1);
    await_request(first, "\r\n\r\n");
    turn();
    assert_null(strstr(first->got, "body"));
    fake_go(first, "ECONNREFUSED", "connect ECONNREFUSED");
    struct fake *second = await_inbound(2);
    fake_connect(second);
    await_request(second, "\r\n\r\nbody");
    fake_send(second, OK(2) "ok");
    await_answer(client, "ok");
    assert_non_null(strstr(world.told, "4"));
    leave(client);
    await_no_visitor();
}

static void test_dead_tunnel_without_answer_is_tried_elsewhere(void **state)
{
    struct socket_facts *facts = add_socket(SOCKET_HTTPS, "a.edge.test");
    add_agent(facts, "one");
    add_agent(facts, "two");
    struct client *client = come(EDGE_HTTP, NULL);
    client_send(client, GET("a.edge.test"));
    struct fake *first = await_inbound(1);
    await_request(first, "\r\n\r\n");
    fake_connect(first);
    fake_go(first, "TUNNEL_GONE", "the tunnel is gone");
    struct fake *second = await_inbound(2);
    await_request(second, "\r\n\r\n");
    fake_send(second, OK(2) "ok");
    await_answer(client, "ok");
    leave(client);
    await_no_visitor();
}

static void test_sent_body_is_never_sent_twice(void **state)
{
    struct socket_facts *facts = add_socket(SOCKET_HTTPS, "a.edge.test");
    add_agent(facts, "one");
    add_agent(facts, "two");
    struct client *client = come(EDGE_HTTP, NULL);
    client_send(client, "POST / HTTP/1.1\r\nHost: a.edge.test\r\nContent-Length: 4\r\n\r\nbody");
    struct fake *first = await_inbound(1);
    fake_connect(first);
    await_request(first, "body");
    fake_go(first, "TUNNEL_GONE", "the tunnel is gone");
    await_answer(client, "TUNNEL_GONE");
    assert_int_equal(world.opened, 1);
    leave(client);
    await_no_visitor();
}

static void test_half_an_answer_cuts_the_visitor(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf", /* its end would seem to be the end */
    };
    add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "web");
    for (int i = 0; i < 2; i++) {
        struct client *client = come(EDGE_HTTP, NULL);
        client_send(client, GET("a.edge.test"));
        struct fake *fake = await_inbound(i + 1);
        await_request(fake, "\r\n\r\n");
        fake_connect(fake);
        fake_send(fake, answers[i]);
        await_answer(client, "half");
        fake_go(fake, "TUNNEL_GONE", "the tunnel is gone");
        await_end(client);
        assert_true(client->failed);
        assert_non_null(strstr(world.told, "TUNNEL_GONE"));
        leave(client);
        await_no_visitor();
    }
    assert_int_equal(world.tells, 2);
}

static void test_whole_answer_before_a_reset_is_whole(void **state)
{
    add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "web");
    struct client *client = come(EDGE_HTTP, NULL);
    client_send(client, GET("a.edge.test"));
    struct fake *fake = await_inbound(1);
    await_request(fake, "\r\n\r\n");
    fake_send(fake, OK(5) "whole");
    fake_go(fake, "ECONNRESET", "read ECONNRESET");
    await_answer(client, "whole");
    client_send(client, GET("a.edge.test"));
    fake = await_inbound(2);
    await_request(fake, "\r\n\r\n");
    fake_send(fake, OK(5) "again");
    await_answer(client, "again");
    leave(client);
    await_no_visitor();
}

static void test_answer_without_length_ends_with_its_service(void **state)
{
    add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "web");
    struct client *client = come(EDGE_HTTP, NULL);
    client_send(client, "GET / HTTP/1.0\r\nHost: a.edge.test\r\n\r\n");
    struct fake *fake = await_inbound(1);
    await_request(fake, "\r\n\r\n");
    fake_send(fake, "HTTP/1.0 200 OK\r\n\r\nall of it");
    fake_finish(fake);
    await_end(client);
    assert_true(client->ended && !client->failed);
    assert_non_null(strstr(client->got, "all of it"));
    await_fake_over(fake);
    assert_true(fake->closed && fake->ended);
    leave(client);
    await_no_visitor();
}

static void test_garbage_from_the_service_is_502(void **state)
{
    add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "web");
    struct client *client = come(EDGE_HTTP, NULL);
    client_send(client, GET("a.edge.test"));
    struct fake *fake = await_inbound(1);
    await_request(fake, "\r\n\r\n");
    fake_send(fake, "SSH-2.0-OpenSSH_9.2\r\n");
    await_answer(client, "SERVICE_BROKEN");
    await_fake_over(fake);
    assert_int_equal(world.counts[EDGE_COUNT_SERVICE_BROKEN], 1);
    leave(client);
    await_no_visitor();
}

static void test_kept_connection_that_was_closed_is_made_anew(void **state)
{
    add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "web");
    struct client *client = come(EDGE_HTTP, NULL);
    client_send(client, GET("a.edge.test"));
    struct fake *fake = await_inbound(1);
    await_request(fake, "\r\n\r\n");
    fake_send(fake, OK(3) "one");
    await_answer(client, "one");
    fake_finish(fake); /* while idle */
    assert_true(fake->closed);
    client_send(client, GET("a.edge.test"));
    fake = await_inbound(2);
    await_request(fake, "\r\n\r\n");
    fake_send(fake, OK(3) "two");
    await_answer(client, "two");
    /* The service closes just as the next request is on its way: nobody sees it. */
    fake->paused = true;
    client_send(client, GET("a.edge.test"));
    turn();
    fake_finish(fake);
    fake = await_inbound(3);
    await_request(fake, "\r\n\r\n");
    fake_send(fake, OK(5) "three");
    await_answer(client, "three");
    assert_int_equal(world.counts[EDGE_COUNT_RETRIES], 1);
    leave(client);
    await_no_visitor();
}

/* --- Hosts ---------------------------------------------------------------- */

static void test_other_host_on_a_plain_connection_is_routed_again(void **state)
{
    struct presence *a = add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "a");
    struct presence *b = add_agent(add_socket(SOCKET_HTTPS, "b.edge.test"), "b");
    struct client *client = come(EDGE_HTTP, NULL);
    client_send(client, GET("a.edge.test"));
    struct fake *first = await_inbound(1);
    await_request(first, "\r\n\r\n");
    fake_send(first, OK(3) "one");
    await_answer(client, "one");
    b->ref.worker = 1; /* once something was answered, the connection stays here */
    client_send(client, GET("b.edge.test"));
    struct fake *second = await_inbound(2);
    assert_ptr_equal(first->presence, a);
    assert_ptr_equal(second->presence, b);
    assert_null(world.passed);
    assert_int_equal(world.counts[EDGE_COUNT_LINKS], 1);
    /* The first service's connection ends in order. */
    assert_true(first->ended && !first->aborted);
    fake_send(first, "late");
    assert_int_equal(first->consumed, first->pushed);
    fake_finish(first);
    assert_true(first->closed);
    await_request(second, "\r\n\r\n");
    fake_send(second, OK(3) "two");
    await_answer(client, "two");
    leave(client);
    await_no_visitor();
}

static void test_https_only_is_redirected(void **state)
{
    struct socket_facts *facts = add_socket(SOCKET_HTTPS, "a.edge.test");
    facts->https_only = true;
    add_agent(facts, "web");
    struct client *client = come(EDGE_HTTP, NULL);
    client_send(client, "GET /path?q=1 HTTP/1.1\r\nHost: a.edge.test:80\r\n\r\n");
    await_answer(client, "\r\n\r\n");
    assert_non_null(strstr(client->got, "HTTP/1.1 308 "));
    assert_non_null(strstr(client->got, "Location: https://a.edge.test/path?q=1\r\n"));
    leave(client);
    await_no_visitor();
    world.config.https_port = 8443;
    client = come(EDGE_HTTP, NULL);
    client_send(client, GET("a.edge.test"));
    await_answer(client, "Location: https://a.edge.test:8443/\r\n");
    leave(client);
    await_no_visitor();
}

/* Never to another page than the one asked for. */
static void test_long_url_is_redirected_whole_or_not(void **state)
{
    struct socket_facts *facts = add_socket(SOCKET_HTTPS, "a.edge.test");
    char request[12000];
    facts->https_only = true;
    add_agent(facts, "web");
    for (int length = 5000; length <= 10000; length += 5000) {
        struct client *client = come(EDGE_HTTP, NULL);
        snprintf(request, sizeof request, "GET /%0*d HTTP/1.1\r\nHost: a.edge.test\r\n\r\n", length,
                 7);
        client_send(client, request);
        await_answer(client, length == 5000 ? "00007\r\n" : "URL_TOO_LONG\r\n");
        leave(client);
        await_no_visitor();
    }
}

static void test_acme_challenges_come_from_the_webroot(void **state)
{
    char *folder = test_folder();
    assert_int_equal(mkdir(test_path(folder, ".well-known"), 0700), 0);
    assert_int_equal(mkdir(test_path(folder, ".well-known/acme-challenge"), 0700), 0);
    const char *path = test_path(folder, ".well-known/acme-challenge/token_1");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("token_1.thumbprint", file);
    fclose(file);
    world.config.acme_webroot = folder;
    struct client *client = come(EDGE_HTTP, NULL);
    client_send(client, "GET /.well-known/acme-challenge/token_1 HTTP/1.1\r\nHost: x.test\r\n\r\n");
    await_answer(client, "token_1.thumbprint");
    client_send(client, "GET /.well-known/acme-challenge/absent HTTP/1.1\r\nHost: x.test\r\n\r\n");
    await_answer(client, "NOT_FOUND");
    leave(client);
    await_no_visitor();
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(test_path(folder, ".well-known/acme-challenge")), 0);
    assert_int_equal(rmdir(test_path(folder, ".well-known")), 0);
    assert_int_equal(rmdir(folder), 0);
    free(folder);
}

static void test_proxy_header_of_a_trusted_peer_is_believed(void **state)
{
    struct prefix trusted;
    add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "web");
    assert_int_equal(prefix_parse("192.0.2.0/24", 12, &trusted), 0);
    world.config.trusted = &trusted;
    world.config.trusted_count = 1;
    static const char request[] =
        "PROXY TCP4 198.51.100.9 192.0.2.1 5555 80\r\nGET / HTTP/1.1\r\nHost: a.edge.test\r\n\r\n";
    for (int i = 1; i <= 2; i++) {
        struct client *client = come(EDGE_HTTP, NULL);
        if (i == 1)
            client_send(client, request);
        for (size_t at = 0; i == 2 && at < sizeof request - 1; at++) {
            client_send_bytes(client, request + at, 1); /* torn */
            test_run_for(world.loop, 100);
        }
        struct fake *fake = await_inbound(i);
        assert_string_equal(fake->visitor, "198.51.100.9:5555");
        await_request(fake, "X-Real-IP: 198.51.100.9\r\n");
        leave(client);
        await_no_visitor();
    }
    struct client *client = come(EDGE_HTTP, NULL); /* it needs none */
    client_send(client, GET("a.edge.test"));
    assert_string_equal(await_inbound(3)->visitor, "192.0.2.7:4711");
    leave(client);
    await_no_visitor();
    world.config.trusted_count = 0; /* anybody else's is no HTTP */
    client = come(EDGE_HTTP, NULL);
    client_send(client, request);
    await_answer(client, " 400 ");
    leave(client);
    await_no_visitor();
}

/* --- Workers -------------------------------------------------------------- */

static void test_connection_goes_to_its_tunnels_worker(void **state)
{
    struct edge *other;
    struct presence *agent = add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "web");
    agent->ref.worker = 1;
    make_edge(1, &other);
    struct client *client = come(EDGE_HTTP, NULL);
    client_send(client, "GET /1 HTTP/1.1\r\nHo");
    turn();
    client_send(client, "st: a.edge.test\r\n\r\n");
    await_no_visitor();
    assert_non_null(world.passed);
    assert_int_equal(world.passed_to, 1);
    assert_ptr_equal(world.passed->presence, agent);
    assert_int_equal(world.passed->left_size,
                     strlen("GET /1 HTTP/1.1\r\nHost: a.edge.test\r\n\r\n"));
    assert_int_equal(world.opened + world.routed + world.gone_routed + world.gone_unrouted, 0);
    struct edge_passed *passed = world.passed;
    world.passed = NULL;
    agent->ref.worker = 0; /* it has moved: no connection is passed twice */
    edge_take(other, passed);
    struct fake *fake = await_inbound(1);
    await_request(fake, "GET /1 ");
    fake_send(fake, OK(2) "ok");
    await_answer(client, "ok");
    assert_null(world.passed);
    assert_int_equal(world.counts[EDGE_COUNT_VISITS], 1);
    leave(client);
    await_no_visitor();
    edge_stop(other);
    turn();
    edge_free(other);
}

/* --- Visitors that go ----------------------------------------------------- */

static void test_visitor_gone_in_an_upload_resets_the_service(void **state)
{
    add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "web");
    for (int i = 0; i < 2; i++) {
        struct client *client = come(EDGE_HTTP, NULL);
        client_send(client,
                    "PUT / HTTP/1.1\r\nHost: a.edge.test\r\nContent-Length: 100\r\n\r\nhalf");
        struct fake *fake = await_inbound(i + 1);
        fake_connect(fake);
        await_request(fake, "half");
        if (i == 0)
            conn_shutdown(client->conn);
        else
            leave(client);
        await_fake_over(fake);
        assert_true(fake->aborted);
        if (i == 0)
            leave(client);
        await_no_visitor();
        assert_int_equal(world.tells, i + 1);
    }
}

static void test_visitor_reset_in_an_answer_resets_the_service(void **state)
{
    add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "web");
    struct client *client = come(EDGE_HTTP, NULL);
    client_send(client, GET("a.edge.test"));
    struct fake *fake = await_inbound(1);
    await_request(fake, "\r\n\r\n");
    fake_send(fake, OK(100) "some");
    await_answer(client, "some");
    leave(client);
    await_fake_over(fake);
    assert_true(fake->aborted);
    await_no_visitor();
    assert_non_null(strstr(world.told, "VISITOR_GONE"));
}

static void test_half_closed_visitor_gets_its_answer(void **state)
{
    add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "web");
    struct client *client = come(EDGE_HTTP, NULL);
    client->shut_after = true;
    client_send(client, GET("a.edge.test"));
    struct fake *fake = await_inbound(1);
    await_request(fake, "\r\n\r\n");
    turn();
    fake_send(fake, OK(2) "ok");
    await_end(client);
    assert_true(client->ended);
    assert_non_null(strstr(client->got, "\r\n\r\nok"));
    leave(client);
    await_no_visitor();
}

/* It has sent its FIN, so that nothing of it is awaited any more; keepalive's RST is noticed all
 * the same. */
static void test_half_closed_visitor_that_goes_is_missed(void **state)
{
    world.config.keepalive = 20000;
    add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "web");
    struct client *client = come(EDGE_HTTP, NULL);
    client->shut_after = true;
    client_send(client, GET("a.edge.test"));
    struct fake *fake = await_inbound(1);
    await_request(fake, "\r\n\r\n");
    fake_send(fake, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
    await_answer(client, "data: 1");
    test_run_for(world.loop, 60000);
    assert_int_equal(edge_visitors(world.edge), 1);
    leave(client);
    await_no_visitor();
    assert_true(fake->aborted);
    assert_non_null(strstr(world.told, "VISITOR_GONE"));
}

/* --- Time ----------------------------------------------------------------- */

static void test_silent_service_is_504(void **state)
{
    world.config.answer_timeout = 20000;
    add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "web");
    struct client *client = come(EDGE_HTTP, NULL);
    client_send(client, GET("a.edge.test"));
    struct fake *fake = await_inbound(1);
    await_answer(client, "SERVICE_SILENT");
    assert_non_null(strstr(client->got, "HTTP/1.1 504 "));
    assert_true(fake->aborted);
    leave(client);
    await_no_visitor();
}

static void test_body_that_stops_coming_is_408(void **state)
{
    world.config.answer_timeout = 20000;
    add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "web");
    struct client *client = come(EDGE_HTTP, NULL);
    client_send(client, "POST / HTTP/1.1\r\nHost: a.edge.test\r\nContent-Length: 10\r\n\r\nhalf");
    struct fake *fake = await_inbound(1);
    await_request(fake, "half");
    await_answer(client, "REQUEST_TIMEOUT");
    assert_non_null(strstr(client->got, "HTTP/1.1 408 "));
    assert_true(fake->aborted);
    leave(client);
    await_no_visitor();
}

static void test_answer_that_has_begun_may_take_its_time(void **state)
{
    world.config.answer_timeout = world.config.keepalive = world.config.head_timeout = 20000;
    add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "web");
    struct client *client = come(EDGE_HTTP, NULL);
    client_send(client, GET("a.edge.test"));
    struct fake *fake = await_inbound(1);
    await_request(fake, "\r\n\r\n");
    fake_send(fake, OK(8) "slow");
    test_run_for(world.loop, 60000);
    fake_send(fake, "done");
    await_answer(client, "slowdone");
    leave(client);
    await_no_visitor();
}

static void test_slow_heads_and_idle_visitors_go(void **state)
{
    world.config.head_timeout = world.config.keepalive = 20000;
    struct client *slow = come(EDGE_HTTP, NULL), *silent = come(EDGE_HTTP, NULL),
                  *idle = come(EDGE_HTTP, NULL);
    client_send(slow, "GET / HTTP/1.1\r\nHost:");
    client_send(idle, GET("nobody.test"));
    await_end(slow);
    await_end(silent);
    await_end(idle);
    assert_non_null(strstr(slow->got, "HTTP/1.1 408 "));
    assert_non_null(strstr(slow->got, "REQUEST_TIMEOUT"));
    assert_int_equal(silent->size, 0);
    assert_non_null(strstr(idle->got, " 404 "));
    assert_null(strstr(idle->got, " 408 "));
    leave(slow);
    leave(silent);
    leave(idle);
    await_no_visitor();
    assert_int_equal(world.gone_unrouted, 3);
}

/* --- Much ----------------------------------------------------------------- */

#define MUCH (4 * 1024 * 1024)

/* So that a kernel with large buffers doesn't take all. */
static void limit_buffer(const struct client *client, int option)
{
    int size = 512 * 1024;
    assert_int_equal(setsockopt(conn_fd(client->conn), SOL_SOCKET, option, &size, sizeof size), 0);
}

static void test_slow_visitor_holds_its_service_back(void **state)
{
    static char piece[16384];
    memset(piece, 'x', sizeof piece);
    add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "web");
    struct client *client = come(EDGE_HTTP, NULL);
    limit_buffer(client, SO_RCVBUF);
    client->paused = true;
    client_send(client, GET("a.edge.test"));
    struct fake *fake = await_inbound(1);
    await_request(fake, "\r\n\r\n");
    fake_send(fake, "HTTP/1.1 200 OK\r\nContent-Length: 16777216\r\n\r\n");
    size_t sent = 0;
    while (sent < 16777216 && fake->pushed - fake->consumed < 262144) {
        fake_send_bytes(fake, piece, sizeof piece);
        sent += sizeof piece;
        test_run_for(world.loop, 100);
    }
    assert_true(sent < 16777216); /* what isn't consumed isn't sent: so credit runs out */
    client_resume(client);
    while (sent < 16777216) {
        fake_send_bytes(fake, piece, sizeof piece);
        sent += sizeof piece;
        if (fake->pushed - fake->consumed > 262144)
            test_run_for(world.loop, 1000);
    }
    while (fake->consumed < fake->pushed || client->size < 16777216)
        test_run_for(world.loop, 1000);
    assert_int_equal(world.counts[EDGE_COUNT_BYTES_OUT], 16777216);
    leave(client);
    await_no_visitor();
}

static void test_slow_service_holds_its_visitor_back(void **state)
{
    static char request[MUCH + 200];
    int n = snprintf(request, sizeof request,
                     "PUT / HTTP/1.1\r\nHost: a.edge.test\r\nContent-Length: %d\r\n\r\n", MUCH);
    for (int i = 0; i < MUCH; i++)
        request[n + i] = (char)('a' + i % 23);
    add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "web");
    struct client *client = come(EDGE_HTTP, NULL);
    limit_buffer(client, SO_SNDBUF);
    client_send_bytes(client, request, (size_t)n + MUCH);
    struct fake *fake = await_inbound(1);
    fake->paused = true;
    fake->most = 5000;
    fake_connect(fake);
    test_run_for(world.loop, 20000);
    assert_true(client->to_send_size > 0);
    fake_resume(fake);
    while (fake->size < MUCH)
        test_run_for(world.loop, 1000);
    turn();
    const char *body = strstr(fake->got, "\r\n\r\n") + 4;
    assert_int_equal(fake->size - (size_t)(body - fake->got), MUCH);
    assert_memory_equal(body, request + n, MUCH);
    fake_send(fake, OK(2) "ok");
    await_answer(client, "ok");
    assert_int_equal(world.counts[EDGE_COUNT_BYTES_IN], MUCH);
    leave(client);
    await_no_visitor();
}

/* As long as no service has the connection, no more of a body is read than can be kept. */
static void test_held_body_stays_with_the_visitor(void **state)
{
    static char request[2 * MUCH + 200];
    int n = snprintf(request, sizeof request,
                     "PUT / HTTP/1.1\r\nHost: a.edge.test\r\nContent-Length: %d\r\n\r\n", 2 * MUCH);
    memset(request + n, 'b', 2 * MUCH);
    struct socket_facts *facts = add_socket(SOCKET_HTTPS, "a.edge.test");
    add_agent(facts, "one");
    add_agent(facts, "two");
    struct client *client = come(EDGE_HTTP, NULL);
    limit_buffer(client, SO_SNDBUF);
    client_send_bytes(client, request, (size_t)n + 2 * MUCH);
    struct fake *fake = await_inbound(1);
    test_run_for(world.loop, 100000);
    assert_true(client->to_send_size > 0);
    fake_connect(fake);
    while (fake->size < 2 * MUCH)
        test_run_for(world.loop, 1000);
    fake_send(fake, OK(2) "ok");
    await_answer(client, "ok");
    leave(client);
    await_no_visitor();
}

static void test_upgraded_connection_is_raw(void **state)
{
    add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "web");
    struct client *client = come(EDGE_HTTP, NULL);
    client_send(client, "GET /chat HTTP/1.1\r\nHost: a.edge.test\r\nConnection: Upgrade\r\n"
                        "Upgrade: websocket\r\n\r\n");
    struct fake *fake = await_inbound(1);
    await_request(fake, "\r\n\r\n");
    fake_send(fake, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                    "Upgrade: websocket\r\n\r\nfirst");
    await_answer(client, "first");
    client_send(client, "\x81\x02hi there");
    await_request(fake, "hi there");
    fake_send(fake, "and back");
    await_answer(client, "and back");
    assert_int_equal(fake->consumed, fake->pushed);
    assert_int_equal(world.tells, 0);
    fake_finish(fake);
    await_end(client);
    assert_true(client->ended);
    client_send(client, "last");
    await_request(fake, "last");
    conn_shutdown(client->conn);
    await_no_visitor();
    assert_true(fake->closed);
    assert_int_equal(world.tells, 1);
    assert_non_null(strstr(world.told, "101"));
    assert_int_equal(world.counts[EDGE_COUNT_BYTES_OUT], strlen("firstand back"));
    assert_int_equal(world.counts[EDGE_COUNT_BYTES_IN], strlen("\x81\x02hi therelast"));
    leave(client);
}

static void test_upgraded_connection_is_cut_with_its_tunnel(void **state)
{
    add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "web");
    struct client *client = come(EDGE_HTTP, NULL);
    client_send(client, "GET /chat HTTP/1.1\r\nHost: a.edge.test\r\nConnection: Upgrade\r\n"
                        "Upgrade: websocket\r\n\r\n");
    struct fake *fake = await_inbound(1);
    await_request(fake, "\r\n\r\n");
    fake_send(fake, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                    "Upgrade: websocket\r\n\r\nfirst");
    await_answer(client, "first");
    fake_go(fake, "TUNNEL_GONE", "the tunnel is gone");
    await_end(client);
    assert_true(client->failed);
    await_no_visitor();
    assert_int_equal(world.tells, 1);
    assert_non_null(strstr(world.told, "TUNNEL_GONE"));
    leave(client);
}

/* --- The edge's end ------------------------------------------------------- */

static void test_draining_ends_what_is_idle(void **state)
{
    add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "web");
    struct client *idle = come(EDGE_HTTP, NULL), *busy = come(EDGE_HTTP, NULL);
    client_send(idle, GET("nobody.test"));
    await_answer(idle, " 404 ");
    client_send(busy, GET("a.edge.test"));
    struct fake *fake = await_inbound(1);
    await_request(fake, "\r\n\r\n");
    edge_drain(world.edge);
    await_end(idle);
    assert_int_equal(edge_visitors(world.edge), 1);
    fake_send(fake, OK(2) "ok");
    await_end(busy);
    assert_true(busy->ended);
    assert_non_null(strstr(busy->got, "Connection: close\r\n"));
    assert_non_null(strstr(busy->got, "\r\n\r\nok"));
    leave(idle);
    leave(busy);
    await_no_visitor();
}

static void test_stopping_ends_everything(void **state)
{
    add_agent(add_socket(SOCKET_HTTPS, "a.edge.test"), "web");
    struct client *idle = come(EDGE_HTTP, NULL), *busy = come(EDGE_HTTP, NULL);
    client_send(busy, GET("a.edge.test"));
    struct fake *fake = await_inbound(1);
    edge_stop(world.edge);
    assert_true(fake->aborted);
    await_end(idle);
    await_end(busy);
    struct client *late = come(EDGE_HTTP, NULL);
    await_end(late);
    leave(idle);
    leave(busy);
    leave(late);
    assert_int_equal(world.gone_routed + world.gone_unrouted, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_world, end_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_request_goes_to_its_socket),
        TEST(test_inbound_is_kept_for_its_requests),
        TEST(test_pipelined_requests_are_answered_in_turn),
        TEST(test_own_pages_say_what_is_wrong),
        TEST(test_a_request_that_comes_again_and_again_is_508),
        TEST(test_large_head_is_431),
        TEST(test_visits_are_recorded_as_whose_they_are),
        TEST(test_refused_request_goes_to_the_next_agent),
        TEST(test_refused_by_all_is_502),
        TEST(test_body_waits_for_the_agent_that_takes_it),
        TEST(test_dead_tunnel_without_answer_is_tried_elsewhere),
        TEST(test_sent_body_is_never_sent_twice),
        TEST(test_half_an_answer_cuts_the_visitor),
        TEST(test_whole_answer_before_a_reset_is_whole),
        TEST(test_answer_without_length_ends_with_its_service),
        TEST(test_garbage_from_the_service_is_502),
        TEST(test_kept_connection_that_was_closed_is_made_anew),
        TEST(test_other_host_on_a_plain_connection_is_routed_again),
        TEST(test_https_only_is_redirected),
        TEST(test_long_url_is_redirected_whole_or_not),
        TEST(test_acme_challenges_come_from_the_webroot),
        TEST(test_proxy_header_of_a_trusted_peer_is_believed),
        TEST(test_connection_goes_to_its_tunnels_worker),
        TEST(test_visitor_gone_in_an_upload_resets_the_service),
        TEST(test_visitor_reset_in_an_answer_resets_the_service),
        TEST(test_half_closed_visitor_gets_its_answer),
        TEST(test_half_closed_visitor_that_goes_is_missed),
        TEST(test_silent_service_is_504),
        TEST(test_body_that_stops_coming_is_408),
        TEST(test_answer_that_has_begun_may_take_its_time),
        TEST(test_slow_heads_and_idle_visitors_go),
        TEST(test_slow_visitor_holds_its_service_back),
        TEST(test_slow_service_holds_its_visitor_back),
        TEST(test_held_body_stays_with_the_visitor),
        TEST(test_upgraded_connection_is_raw),
        TEST(test_upgraded_connection_is_cut_with_its_tunnel),
        TEST(test_draining_ends_what_is_idle),
        TEST(test_stopping_ends_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

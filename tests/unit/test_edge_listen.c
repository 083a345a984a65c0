/* Visitors at the edge's listeners and the ports of sockets: let in, counted, refused. */
#include "net_test.h"
#include "registry_test.h"

#include <fcntl.h>

#include "base/log.h"
#include "server/counters.h"
#include "server/edge_listen.h"

#define GIVEN_MAX 8

static struct loop *loop;
static struct edge_listen *listen_;
static struct edge_accept *accept_; /* the only worker's */
static struct directory *directory;
static struct socket_facts *facts;
static struct config *config;
static struct counters counters;
static struct edge_passed *given[GIVEN_MAX];
static int given_count;

static void give(void *user, struct edge_passed *passed)
{
    assert_ptr_equal(user, &counters);
    assert_true(given_count < GIVEN_MAX);
    given[given_count++] = passed;
}

static void share(void *user, struct listening *listening, enum edge_entry entry)
{
    assert_int_equal(edge_accept_start(accept_, listening, entry, 0), 0);
}

static void leave(struct edge_passed *passed)
{
    admission_report(edge_listen_admission(listen_), &passed->peer, ADMISSION_GONE_UNAUTHED);
    edge_passed_free(passed);
}

static void load(const char *const *arguments)
{
    char error[256], text[8][64];
    char *argv[12] = {(char *)"serve", (char *)"--check-config", (char *)"--state=/nonexistent/s"};
    int argc = 3;
    for (; *arguments; arguments++, argc++) {
        snprintf(text[argc - 3], sizeof text[0], "%s", *arguments);
        argv[argc] = text[argc - 3];
    }
    config_unref(config);
    config = NULL;
    if (config_load(argc, argv, &config, error, sizeof error) < 0)
        fail_msg("%s", error);
    edge_listen_configure(listen_, config);
    edge_accept_configure(accept_, &config->edge);
}

static void open_listener_at(const char *text, enum edge_entry entry)
{
    union address address;
    char error[256];
    assert_int_equal(address_parse(text, &address), 0);
    if (edge_listen_open(listen_, entry, &address, -1, error, sizeof error) < 0)
        fail_msg("%s", error);
}

static void open_listener(enum edge_entry entry)
{
    open_listener_at("127.0.0.1:0", entry);
}

static int connect_to(const union address *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, &address->any, address_size(address)), 0);
    return fd;
}

static int visit(enum edge_entry entry)
{
    union address address;
    assert_int_equal(address_from_host("127.0.0.1", edge_listen_port(listen_, entry), &address), 0);
    return connect_to(&address);
}

static bool has_given(void *user)
{
    return given_count >= *(int *)user;
}

static bool has_refused(void *user)
{
    return counters.edge_refused >= *(int *)user;
}

static bool is_empty(void *user)
{
    return admission_tunnels(edge_listen_admission(listen_)) == 0;
}

static void await_given(int count)
{
    test_run_until(loop, has_given, &count);
}

static void test_visitors_are_given_with_their_entry(void **state)
{
    static const enum edge_entry entries[] = {EDGE_HTTP, EDGE_HTTPS, EDGE_SHARED};
    load((const char *const[]){NULL});
    for (int i = 0; i < 3; i++) {
        open_listener(entries[i]);
        int fd = visit(entries[i]);
        await_given(i + 1);
        assert_int_equal(given[i]->entry, entries[i]);
        assert_true(given[i]->fd >= 0);
        assert_true(fcntl(given[i]->fd, F_GETFL) & O_NONBLOCK);
        assert_true(address_equal(&given[i]->peer, &given[i]->visitor));
        assert_null(given[i]->presence);
        assert_false(given[i]->has_proxy_header);
        assert_true(given[i]->accepted_at > 0);
        close(fd);
    }
    assert_int_equal(edge_listen_count(listen_), 3);
    assert_int_equal(admission_tunnels(edge_listen_admission(listen_)), 3);
    for (int i = 0; i < 3; i++)
        leave(given[i]);
    test_run_until(loop, is_empty, NULL);
}

static void test_names_of_passed_sockets(void **state)
{
    enum edge_entry entry;
    assert_true(edge_listen_entry_of("edge-http", &entry));
    assert_int_equal(entry, EDGE_HTTP);
    assert_true(edge_listen_entry_of("edge-https", &entry));
    assert_int_equal(entry, EDGE_HTTPS);
    assert_true(edge_listen_entry_of("shared-443", &entry));
    assert_int_equal(entry, EDGE_SHARED);
    assert_false(edge_listen_entry_of("tunnels", &entry));
    assert_false(edge_listen_entry_of("", &entry));
}

/* Reads until the end; the loop has its turns meanwhile. */
struct reading {
    int fd;
    char text[8192];
    size_t length;
    bool is_over;
    int error; /* that it ended with */
};

static bool read_on(void *user)
{
    struct reading *reading = user;
    ssize_t count = recv(reading->fd, reading->text + reading->length,
                         sizeof reading->text - 1 - reading->length, MSG_DONTWAIT);
    if (count > 0)
        reading->length += (size_t)count;
    reading->text[reading->length] = '\0';
    reading->is_over = count == 0 || (count < 0 && errno != EAGAIN);
    reading->error = count < 0 ? errno : 0;
    return reading->is_over;
}

static void test_over_the_cap_plain_http_gets_a_page(void **state)
{
    static struct reading reading;
    load((const char *const[]){"--max-visitors=1", NULL});
    open_listener(EDGE_HTTP);
    int first = visit(EDGE_HTTP);
    await_given(1);
    reading = (struct reading){.fd = visit(EDGE_HTTP)};
    /* its request is on the way: closing must not destroy the answer */
    assert_int_equal(send(reading.fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27, 0), 27);
    test_run_until(loop, read_on, &reading);
    assert_memory_equal(reading.text, "HTTP/1.1 503 ", 13);
    assert_non_null(strstr(reading.text, "\r\nX-Streamplex-Error: TOO_MANY_CONNECTIONS\r\n"));
    assert_non_null(strstr(reading.text, "\r\nRetry-After: "));
    const char *body = strstr(reading.text, "\r\n\r\n");
    const char *length = strstr(reading.text, "\r\nContent-Length: ");
    assert_non_null(body);
    assert_non_null(length);
    assert_int_equal(strlen(body + 4), strtoul(length + 18, NULL, 10));
    assert_int_equal(counters.edge_refused, 1);
    close(reading.fd);
    close(first);
    leave(given[0]);
    test_run_until(loop, is_empty, NULL);
    int next = visit(EDGE_HTTP); /* there is room again */
    await_given(2);
    close(next);
    leave(given[1]);
}

static void test_over_the_cap_tls_is_closed(void **state)
{
    struct reading reading = {0};
    load((const char *const[]){"--max-visitors-per-address=1", NULL});
    open_listener(EDGE_HTTPS);
    int first = visit(EDGE_HTTPS);
    await_given(1);
    reading.fd = visit(EDGE_HTTPS);
    test_run_until(loop, read_on, &reading);
    assert_int_equal(reading.length, 0);
    assert_int_equal(counters.edge_refused, 1);
    close(reading.fd);
    close(first);
    leave(given[0]);
}

static void test_a_flood_gets_few_pages(void **state)
{
    int fds[40], pages = 0, count = 40;
    load((const char *const[]){"--max-visitors=1", NULL});
    open_listener(EDGE_HTTP);
    int first = visit(EDGE_HTTP);
    await_given(1);
    for (int i = 0; i < count; i++)
        fds[i] = visit(EDGE_HTTP);
    test_run_until(loop, has_refused, &count);
    for (int i = 0; i < count; i++) {
        char byte;
        pages += recv(fds[i], &byte, 1, 0) == 1;
        close(fds[i]);
    }
    assert_true(pages >= 32);
    assert_true(pages < 40 || loop_update_now(loop) > TEST_SECOND); /* unless seconds have passed */
    close(first);
    leave(given[0]);
}

static void visit_as_trusted(const char *listener)
{
    int fds[3];
    load((const char *const[]){"--max-visitors-per-address=1", "--trusted-proxies=127.0.0.0/8",
                               NULL});
    open_listener_at(listener, EDGE_HTTP);
    for (int i = 0; i < 3; i++)
        fds[i] = visit(EDGE_HTTP);
    await_given(3);
    for (int i = 0; i < 3; i++) {
        close(fds[i]);
        leave(given[i]);
    }
}

static void test_a_trusted_proxy_is_many_visitors(void **state)
{
    visit_as_trusted("127.0.0.1:0");
}

/* The kernel tells it as ::ffff:127.0.0.1 there. */
static void test_a_trusted_proxy_is_known_at_an_ipv6_listener(void **state)
{
    visit_as_trusted("[::]:0");
}

static void publish(enum registry_change_kind kind, struct presence *presence)
{
    const struct registry_change change = {kind, facts, presence};
    assert_int_equal(directory_apply(directory, &change), 0);
}

/* A socket's own port: whom the worker knows to serve it is chosen, and who comes when nobody does
 * any more is reset. */
static void test_a_visitor_of_a_port_comes_with_its_presence(void **state)
{
    union address address;
    struct listening *listening;
    struct reading reading = {0};
    struct presence *presence =
        presence_new((struct tunnel_ref){.worker = 3}, facts->id, "web", "");
    load((const char *const[]){NULL});
    publish(REGISTRY_PUT, NULL);
    publish(REGISTRY_ONLINE, presence);
    assert_int_equal(address_parse("127.0.0.1:0", &address), 0);
    assert_int_equal(listening_open(&address, &listening), 0);
    listening_address(listening, &address);
    for (int i = 0; i < 2; i++) /* two tunnels of it on this worker */
        assert_int_equal(edge_accept_start(accept_, listening, EDGE_PORT, facts->id), 0);
    edge_accept_stop(accept_, facts->id);
    int fd = connect_to(&address);
    await_given(1);
    assert_int_equal(given[0]->entry, EDGE_PORT);
    assert_ptr_equal(given[0]->presence, presence);
    leave(given[0]);
    close(fd);
    publish(REGISTRY_OFFLINE, presence);
    presence_unref(presence);
    reading.fd = connect_to(&address);
    test_run_until(loop, read_on, &reading);
    assert_int_equal(reading.error, ECONNRESET);
    close(reading.fd);
    assert_int_equal(given_count, 1);
    listening_unref(listening);
}

/* It was woken for it, and another worker may still serve it. */
static void test_who_waits_when_a_worker_stops_is_taken(void **state)
{
    union address address;
    struct listening *listening;
    struct presence *presence =
        presence_new((struct tunnel_ref){.worker = 3}, facts->id, "web", "");
    load((const char *const[]){NULL});
    publish(REGISTRY_PUT, NULL);
    publish(REGISTRY_ONLINE, presence);
    presence_unref(presence);
    assert_int_equal(address_parse("127.0.0.1:0", &address), 0);
    assert_int_equal(listening_open(&address, &listening), 0);
    listening_address(listening, &address);
    assert_int_equal(edge_accept_start(accept_, listening, EDGE_PORT, facts->id), 0);
    int fd = connect_to(&address);
    edge_accept_stop(accept_, facts->id);
    edge_accept_stop(accept_, facts->id);
    assert_int_equal(given_count, 1);
    leave(given[0]);
    close(fd);
    listening_unref(listening);
}

static void test_closed_listeners_take_nobody(void **state)
{
    load((const char *const[]){NULL});
    open_listener(EDGE_HTTP);
    union address address;
    assert_int_equal(address_from_host("127.0.0.1", edge_listen_port(listen_, EDGE_HTTP), &address),
                     0);
    edge_listen_close(listen_);
    edge_listen_close(listen_);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, &address.any, address_size(&address)), -1);
    close(fd);
    /* which addresses they were is still known */
    assert_int_equal(edge_listen_port(listen_, EDGE_HTTP), address_port(&address));
}

static void test_a_taken_address_is_named(void **state)
{
    union address address;
    enum edge_entry entry;
    char error[256], text[ADDRESS_TEXT_MAX];
    load((const char *const[]){NULL});
    open_listener(EDGE_HTTP);
    address = *edge_listen_address(listen_, 0, &entry);
    assert_int_equal(edge_listen_open(listen_, EDGE_HTTPS, &address, -1, error, sizeof error), -1);
    assert_non_null(strstr(error, address_format(&address, text)));
    assert_non_null(strstr(error, "edge-https"));
    assert_int_equal(edge_listen_count(listen_), 1);
}

static int set_up(void **state)
{
    clearenv();
    log_configure(LOG_ERROR, LOG_TEXT_FORMAT);
    counters = (struct counters){0};
    given_count = 0;
    config = NULL;
    facts = test_facts(7, SOCKET_TCP, "", 1);
    assert_int_equal(loop_new(&loop), 0);
    assert_int_equal(directory_new(&directory), 0);
    assert_int_equal(edge_listen_new(&(struct edge_listen_host){share, NULL}, &listen_), 0);
    const struct edge_accept_host host = {
        .admission = edge_listen_admission(listen_),
        .refusals = edge_listen_refusals(listen_),
        .directory = directory,
        .refused = &counters.edge_refused,
        .give = give,
        .user = &counters,
    };
    return edge_accept_new(loop, &host, NULL, &accept_);
}

static int tear_down(void **state)
{
    edge_listen_close(listen_);
    edge_accept_close(accept_);
    loop_free(loop);
    edge_accept_free(accept_);
    edge_listen_free(listen_);
    directory_free(directory);
    socket_facts_unref(facts);
    config_unref(config);
    return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_visitors_are_given_with_their_entry),
        TEST(test_names_of_passed_sockets),
        TEST(test_over_the_cap_plain_http_gets_a_page),
        TEST(test_over_the_cap_tls_is_closed),
        TEST(test_a_flood_gets_few_pages),
        TEST(test_a_trusted_proxy_is_many_visitors),
        TEST(test_a_trusted_proxy_is_known_at_an_ipv6_listener),
        TEST(test_a_visitor_of_a_port_comes_with_its_presence),
        TEST(test_who_waits_when_a_worker_stops_is_taken),
        TEST(test_closed_listeners_take_nobody),
        TEST(test_a_taken_address_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

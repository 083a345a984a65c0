/* Arrivals between a server's engine, joined in memory, and local services, which are sockets here:
 * what visitors and services see of each other. */
#include "net_test.h"

#include <sys/un.h>

#include "agent/arrival.h"
#include "agent/files.h"

#define BULK (4u << 20)

/* --- A folder's files: another room's test; here it says hello and ends. --- */

struct files {
    int unused;
};

static struct files fake_files;
static bool fake_files_are_open;

int files_open(struct loop *loop, const char *folder, bool shows_hidden, struct files **ret_files,
               char *error, size_t error_size)
{
    if (strcmp(folder, "/missing") == 0) {
        snprintf(error, error_size, "no such folder");
        return -1;
    }
    fake_files_are_open = true;
    *ret_files = &fake_files;
    return 0;
}

int files_serve(struct files *files, int fd)
{
    assert_ptr_equal(files, &fake_files);
    assert_int_equal(write(fd, "files", 5), 5);
    close(fd);
    return 0;
}

void files_close(struct files *files)
{
    if (files)
        fake_files_are_open = false;
}

/* --- The server's engine, the device's, and a visitor --- */

struct visitor {
    struct plex_substream *substream;
    const char *data; /* still to be sent; NULL with a length: zeroes */
    size_t length, received;
    char bytes[64]; /* the first that were received */
    bool end_after, connected, ended, gone;
    int reason;
    char code[64];
};

static struct loop *loop;
static struct resolver *resolver;
static struct plex_session *server, *device;
static struct plex_config server_config, device_config;
static struct arrivals *arrivals;
static struct service_list services;
static unsigned over;
static struct visitor visitor;
static int listener, service; /* -1: none */
static char taken[4096];      /* the first bytes that the service got */
static size_t taken_size;
static bool service_ended, service_reset, service_reads;

static void *take_memory(void *user, size_t size)
{
    return malloc(size);
}

static void give_memory(void *user, void *memory, size_t size)
{
    free(memory);
}

static const struct plex_allocator allocator = {take_memory, give_memory, NULL};

static void on_token(struct plex_session *session, const char *token, size_t length)
{
    assert_int_equal(plex_session_authorize(session, true), 0);
}

static void on_authed(struct plex_session *session, bool accepted)
{
    assert_true(accepted);
}

static void ignore_session(struct plex_session *session)
{
}

static void on_device_open(struct plex_substream *substream, enum plex_kind kind, const char *name,
                           const char *from)
{
    arrivals_open(arrivals, substream, name, from, 1);
}

static void on_visitor_data(struct plex_substream *substream, const void *data, size_t length)
{
    size_t room = sizeof visitor.bytes - 1;
    assert_true(visitor.connected);
    if (visitor.received < room)
        memcpy(visitor.bytes + visitor.received, data,
               length < room - visitor.received ? length : room - visitor.received);
    visitor.received += length;
    plex_substream_consume(substream, length);
}

static void on_visitor_end(struct plex_substream *substream)
{
    visitor.ended = true;
}

static void on_visitor_event(struct plex_substream *substream, enum plex_event event,
                             const char *text)
{
    visitor.connected |= event == PLEX_EVENT_CONNECT;
    assert_null(text); /* addresses of here aren't told */
}

static void on_visitor_error(struct plex_substream *substream, const char *message,
                             const char *code)
{
    snprintf(visitor.code, sizeof visitor.code, "%s", code ? code : "");
}

static void on_visitor_gone(struct plex_substream *substream, int reason)
{
    visitor.gone = true;
    visitor.reason = reason;
    visitor.substream = NULL;
}

static size_t on_visitor_pull(struct plex_substream *substream, void *buffer, size_t capacity)
{
    size_t length = visitor.length < capacity ? visitor.length : capacity;
    if (visitor.data) {
        memcpy(buffer, visitor.data, length);
        visitor.data += length;
    } else {
        memset(buffer, 0, length);
    }
    visitor.length -= length;
    if (!visitor.length && visitor.end_after)
        plex_substream_end(substream);
    return length;
}

static const struct plex_callbacks server_callbacks = {
    .on_token = on_token,
    .on_output = ignore_session,
    .on_resume = ignore_session,
    .on_data = on_visitor_data,
    .on_end = on_visitor_end,
    .on_event = on_visitor_event,
    .on_error = on_visitor_error,
    .on_gone = on_visitor_gone,
    .on_pull = on_visitor_pull,
};

static const struct plex_callbacks device_callbacks = {
    .on_authed = on_authed,
    .on_output = ignore_session,
    .on_resume = ignore_session,
    .on_open = on_device_open,
    .on_data = arrival_on_data,
    .on_end = arrival_on_end,
    .on_gone = arrival_on_gone,
    .on_pull = arrival_on_pull,
};

static bool carry(struct plex_session *from, struct plex_session *to)
{
    unsigned char bytes[PLEX_PULL_MAX];
    size_t count, used;
    bool moved = false;

    while ((count = plex_session_pull(from, bytes, sizeof bytes, loop_now(loop)))) {
        assert_int_equal(plex_session_feed(to, bytes, count, loop_now(loop), &used), 0);
        assert_int_equal(used, count);
        moved = true;
    }
    return moved;
}

/* What came to the service, if it reads. */
static void run_service(void)
{
    char bytes[65536];
    ssize_t count;

    if (service < 0 && listener >= 0)
        service = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (service < 0 || !service_reads)
        return;
    while ((count = read(service, bytes, sizeof bytes)) > 0) {
        size_t room =
            sizeof taken - 1 - (taken_size < sizeof taken ? taken_size : sizeof taken - 1);
        if (room)
            memcpy(taken + taken_size, bytes, (size_t)count < room ? (size_t)count : room);
        taken_size += (size_t)count;
    }
    service_ended |= count == 0;
    service_reset |= count < 0 && errno == ECONNRESET;
}

struct goal {
    bool (*holds)(void);
};

static bool run_all(void *user)
{
    bool moved = true;
    while (moved && device && server) {
        moved = carry(server, device);
        moved = carry(device, server) || moved;
    }
    run_service();
    return ((struct goal *)user)->holds();
}

static void run_until(bool (*holds)(void))
{
    struct goal goal = {holds};
    test_run_until(loop, run_all, &goal);
}

static bool is_gone(void)
{
    return visitor.gone;
}

static bool is_connected(void)
{
    return visitor.connected;
}

static bool has_service(void)
{
    return service >= 0;
}

static bool has_service_end(void)
{
    return service_ended || service_reset;
}

static bool has_visitor_end(void)
{
    return visitor.ended;
}

static void on_over(void *user, uint64_t tunnel)
{
    assert_int_equal(tunnel, 1);
    over++;
}

static int open_all(void **state)
{
    memset(&visitor, 0, sizeof visitor);
    memset(taken, 0, sizeof taken);
    taken_size = 0;
    over = 0;
    service_ended = service_reset = false;
    service_reads = true;
    listener = service = -1;
    services = (struct service_list){0};
    assert_int_equal(loop_new(&loop), 0);
    assert_int_equal(resolver_new(loop, NULL, &resolver), 0);
    plex_config_init(&server_config, PLEX_SERVER);
    plex_config_init(&device_config, PLEX_DEVICE);
    server_config.callbacks = &server_callbacks;
    device_config.callbacks = &device_callbacks;
    server_config.allocator = device_config.allocator = &allocator;
    server = plex_session_new(&server_config, NULL, loop_now(loop));
    device = plex_session_new(&device_config, NULL, loop_now(loop));
    assert_int_equal(plex_session_send_token(device, "t", 1), 0);
    carry(device, server);
    carry(server, device);
    assert_true(plex_session_features(device) & PLEX_INBOUND_OPENS);
    return 0;
}

static int close_all(void **state)
{
    plex_session_free(device);
    plex_session_free(server);
    assert_int_equal(arrivals_count(arrivals), 0);
    arrivals_free(arrivals);
    arrivals = NULL;
    assert_false(fake_files_are_open);
    resolver_free(resolver);
    loop_free(loop);
    service_list_deinit(&services);
    if (listener >= 0)
        close(listener);
    if (service >= 0)
        close(service);
    return 0;
}

static void add_service(struct service_settings settings)
{
    char error[256];
    if (settings.port)
        settings.host = strdup("127.0.0.1");
    assert_int_equal(service_list_add(&services, &settings, "web", "box", error, sizeof error), 0);
    assert_int_equal(
        arrivals_new(loop, resolver, &services, on_over, NULL, &arrivals, error, sizeof error), 0);
}

/* A port; where nobody listens yet, nobody else can. */
static uint16_t bind_here(void)
{
    union address address;
    socklen_t size = sizeof address;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(address_from_host("127.0.0.1", 0, &address), 0);
    assert_int_equal(bind(listener, &address.any, address_size(&address)), 0);
    assert_int_equal(getsockname(listener, &address.any, &size), 0);
    return address_port(&address);
}

static uint16_t listen_here(void)
{
    uint16_t port = bind_here();
    assert_int_equal(listen(listener, 16), 0);
    return port;
}

static void visit(const char *name)
{
    assert_int_equal(
        plex_substream_open(server, PLEX_INBOUND, name, "192.0.2.7", NULL, &visitor.substream), 0);
}

static void send_all(const char *data, size_t length, bool end_after)
{
    visitor.data = data;
    visitor.length = length;
    visitor.end_after = end_after;
    plex_substream_ready(visitor.substream);
}

static void serve_a_port(void)
{
    add_service((struct service_settings){.port = listen_here()});
}

/* --- What is expected --- */

static bool has_five_bytes(void)
{
    return visitor.received >= 5;
}

static void test_bytes_and_ends_pass_both_ways(void **state)
{
    serve_a_port();
    visit("web");
    send_all("hello", 5, true);
    run_until(has_service_end);
    assert_string_equal(taken, "hello");
    run_until(is_connected);                         /* told though the service has said nothing */
    assert_int_equal(write(service, "there", 5), 5); /* after the visitor's end */
    run_until(has_five_bytes);
    assert_string_equal(visitor.bytes, "there");
    assert_false(visitor.gone);
    close(service);
    service = -1;
    run_until(is_gone);
    assert_true(visitor.ended);
    assert_int_equal(visitor.reason, PLEX_SUBSTREAM_CLOSED);
    assert_int_equal(over, 1);
    assert_int_equal(arrivals_count(arrivals), 0);
}

static bool has_taken_three(void)
{
    return taken_size >= 3;
}

static void test_the_service_may_end_first(void **state)
{
    serve_a_port();
    visit("web");
    run_until(has_service);
    assert_int_equal(shutdown(service, SHUT_WR), 0);
    run_until(has_visitor_end);
    assert_false(visitor.gone);
    send_all("yes", 3, false);
    run_until(has_taken_three);
    send_all(NULL, 0, true);
    run_until(is_gone);
    assert_int_equal(visitor.reason, PLEX_SUBSTREAM_CLOSED);
    run_until(has_service_end);
    assert_true(service_ended && !service_reset);
}

static bool has_all(void)
{
    return taken_size == BULK;
}

static void test_much_arrives_whole(void **state)
{
    serve_a_port();
    visit("web");
    send_all(NULL, BULK, true);
    run_until(has_all);
    run_until(has_service_end);
    assert_int_equal(taken_size, BULK);
}

/* Whoever reads nothing holds the visitor up, not this program's memory. */
static void test_a_service_that_doesnt_read_is_waited_for(void **state)
{
    struct plex_stats stats;
    service_reads = false;
    serve_a_port();
    visit("web");
    send_all(NULL, 64u << 20, false);
    run_until(has_service);
    for (int i = 0; i < 50; i++)
        run_until(has_service);
    plex_session_stats(device, &stats);
    assert_in_range(stats.buffered, 0, PLEX_WINDOW_MAX);
    assert_true(visitor.length > 32u << 20);
    assert_false(visitor.gone);
}

static void test_a_port_where_nobody_listens(void **state)
{
    add_service((struct service_settings){.port = bind_here()});
    visit("web");
    send_all("hello", 5, false);
    run_until(is_gone);
    assert_int_equal(visitor.reason, PLEX_SUBSTREAM_RESET);
    assert_string_equal(visitor.code, "ECONNREFUSED");
    assert_false(visitor.connected);
    assert_int_equal(over, 1);
}

static void test_a_service_that_isnt_known(void **state)
{
    serve_a_port();
    visit("other");
    run_until(is_gone);
    assert_string_equal(visitor.code, "ENOENT");
    assert_int_equal(over, 0);
    assert_int_equal(arrivals_count(arrivals), 0);
}

static void test_a_visitors_reset_is_the_services(void **state)
{
    serve_a_port();
    visit("web");
    run_until(is_connected);
    run_until(has_service);
    plex_substream_abort(visitor.substream, NULL, NULL);
    run_until(has_service_end);
    assert_true(service_reset);
    assert_int_equal(over, 1);
}

static void reset_service(void)
{
    const struct linger at_once = {.l_onoff = 1};
    assert_int_equal(setsockopt(service, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    close(service);
    service = -1;
    run_until(is_gone);
}

static void test_a_reset_at_once_is_one_after_connecting(void **state)
{
    serve_a_port();
    visit("web");
    run_until(has_service);
    reset_service();
    assert_true(visitor.connected);
    assert_string_equal(visitor.code, "ECONNRESET");
}

static void test_a_services_reset_is_the_visitors(void **state)
{
    serve_a_port();
    visit("web");
    run_until(is_connected);
    run_until(has_service);
    reset_service();
    assert_int_equal(visitor.reason, PLEX_SUBSTREAM_RESET);
    assert_string_equal(visitor.code, "ECONNRESET");
}

static void test_a_tunnel_that_goes_takes_its_visitors_along(void **state)
{
    serve_a_port();
    visit("web");
    run_until(is_connected);
    run_until(has_service);
    plex_session_free(device);
    device = NULL;
    run_until(has_service_end);
    assert_true(service_reset); /* what it got may not be all */
    assert_int_equal(over, 1);
}

static void test_a_unix_socket(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/tmp/streamplex-test-%d.sock", getpid());
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 4), 0);
    add_service((struct service_settings){.unix_path = strdup(address.sun_path)});
    visit("web");
    send_all("hello", 5, true);
    run_until(has_service_end);
    assert_string_equal(taken, "hello");
    close(service);
    service = -1;
    run_until(is_gone);
    assert_int_equal(visitor.reason, PLEX_SUBSTREAM_CLOSED);
    unlink(address.sun_path);
    memset(&visitor, 0, sizeof visitor);
    visit("web");
    run_until(is_gone);
    assert_string_equal(visitor.code, "ENOENT");
}

static void test_a_folder(void **state)
{
    add_service((struct service_settings){.folder = strdup("/srv")});
    visit("web");
    run_until(has_visitor_end);
    assert_string_equal(visitor.bytes, "files");
    send_all(NULL, 0, true);
    run_until(is_gone);
}

static void test_a_folder_that_isnt_there(void **state)
{
    struct service_settings settings = {.folder = strdup("/missing")};
    char error[256];
    assert_int_equal(service_list_add(&services, &settings, "web", "box", error, sizeof error), 0);
    struct arrivals *none = NULL;
    assert_int_equal(
        arrivals_new(loop, resolver, &services, on_over, NULL, &none, error, sizeof error), -1);
    assert_string_equal(error, "web: no such folder");
    assert_null(none);
    services.count = 0; /* for the end, which asks for arrivals */
    settings_free(&service_table, &services.items[0].settings);
    free(services.items);
    services.items = NULL;
    serve_a_port();
}

static bool has_a_line(void)
{
    return strstr(taken, "hello") != NULL;
}

static void test_the_proxy_header_comes_first(void **state)
{
    add_service((struct service_settings){.port = listen_here(), .proxy_protocol = PROXY_V1});
    visit("web");
    send_all("hello", 5, false);
    run_until(has_a_line);
    assert_memory_equal(taken, "PROXY TCP4 192.0.2.7 127.0.0.1 0 ", 33);
    assert_string_equal(strchr(taken, '\n') + 1, "hello");
}

static void test_the_services_time_is_known(void **state)
{
    serve_a_port();
    visit("web");
    uint16_t id = plex_substream_id(visitor.substream);
    send_all("hello", 5, false);
    run_until(has_a_line);
    const struct service_times *times = arrivals_times(arrivals);
    assert_int_equal(service_times_find(times, 1, id, loop_now(loop)), 0);
    uint64_t before = loop_now(loop);
    assert_int_equal(write(service, "there", 5), 5);
    run_until(has_five_bytes);
    uint64_t taken_time = service_times_find(times, 1, id, loop_now(loop));
    assert_true(taken_time > 0);
    assert_true(taken_time < loop_now(loop) - before + 20 * TEST_SECOND);
    send_all(NULL, 0, true);
    close(service);
    service = -1;
    run_until(is_gone);
    assert_int_equal(service_times_find(times, 1, id, loop_now(loop)), taken_time);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_bytes_and_ends_pass_both_ways),
        TEST(test_the_service_may_end_first),
        TEST(test_much_arrives_whole),
        TEST(test_a_service_that_doesnt_read_is_waited_for),
        TEST(test_a_port_where_nobody_listens),
        TEST(test_a_service_that_isnt_known),
        TEST(test_a_visitors_reset_is_the_services),
        TEST(test_a_reset_at_once_is_one_after_connecting),
        TEST(test_a_services_reset_is_the_visitors),
        TEST(test_a_tunnel_that_goes_takes_its_visitors_along),
        TEST(test_a_unix_socket),
        TEST(test_a_folder),
        TEST(test_a_folder_that_isnt_there),
        TEST(test_the_proxy_header_comes_first),
        TEST(test_the_services_time_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

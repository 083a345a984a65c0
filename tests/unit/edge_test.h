/* What the tests of the edge share: an edge on a loop with a directory, agents that do what a test
 * tells them, and visitors that are connections. */
#pragma once

#include "net_test.h"

#include <fcntl.h>
#include <stdatomic.h>

#include "edge/edge.h"
#include "edge/guard.h"
#include "registry/directory.h"

/* --- A visitor ------------------------------------------------------------ */

struct client {
    struct conn *conn;
    char *got;
    size_t size, room;
    const char *to_send; /* borrowed */
    size_t to_send_size;
    bool ready, ended, failed, paused, shut_after;
};

/* --- An inbound, as its agent sees it ------------------------------------- */

struct fake {
    struct inbound inbound; /* first */
    struct fake *next;
    struct presence *presence;
    char visitor[80];
    char *got;
    size_t size, room;
    size_t pushed, consumed; /* towards the visitor */
    struct loop_deferred pull;
    bool ended; /* the visitor's end was told */
    bool closed, aborted;
    bool paused; /* the agent pulls nothing */
    size_t most; /* bytes an agent pulls at a time, 0: as many as there are */
};

enum { COUNTS = EDGE_COUNT_LINKS + 1 };

struct world {
    struct loop *loop;
    char *folder;
    struct tls_context *tls, *tls_client;
    struct directory *directory;
    struct edge_config config;
    struct edge *edge;
    struct guard *guard;
    const char *address; /* of visitors */
    bool is_exhausted;
    uint64_t moved;
    struct fake *fakes; /* the newest first */
    int opened;
    struct presence *full;      /* takes no more substreams */
    struct edge_passed *passed; /* the last one that went to another worker */
    unsigned passed_to;
    struct edge_passed *tunnel; /* the last one that turned out to be a device */
    int64_t counts[COUNTS];
    int routed, gone_routed, gone_unrouted;
    char told[2048]; /* the last visit that an agent was told of */
    int tells;
    struct presence *told_presence;
    uint64_t next_id;
};

static struct world world;

/* --- The host ------------------------------------------------------------- */

static void fake_run_pull(struct loop_deferred *deferred)
{
    struct fake *fake = (struct fake *)(void *)((char *)deferred - offsetof(struct fake, pull));
    while (!fake->paused && !fake->closed && !fake->aborted && !fake->ended) {
        if (fake->room - fake->size < 70000) {
            fake->room = fake->room * 2 + 140000;
            fake->got = realloc(fake->got, fake->room);
            assert_non_null(fake->got);
        }
        size_t n = fake->inbound.callbacks->on_pull(fake->inbound.user, fake->got + fake->size,
                                                    fake->most ? fake->most : 16384);
        fake->size += n;
        fake->got[fake->size] = '\0';
        if (!n)
            break;
    }
}

static void fake_ready(struct inbound *inbound)
{
    struct fake *fake = (struct fake *)inbound;
    assert_false(fake->closed || fake->aborted);
    loop_defer(world.loop, &fake->pull);
}

static void fake_consume(struct inbound *inbound, size_t length)
{
    struct fake *fake = (struct fake *)inbound;
    fake->consumed += length;
    assert_true(fake->consumed <= fake->pushed);
}

static void fake_end(struct inbound *inbound)
{
    struct fake *fake = (struct fake *)inbound;
    assert_false(fake->ended || fake->closed || fake->aborted);
    fake->ended = true;
}

static void fake_close(struct inbound *inbound)
{
    struct fake *fake = (struct fake *)inbound;
    assert_false(fake->closed || fake->aborted);
    fake->closed = true;
}

static void fake_abort(struct inbound *inbound)
{
    struct fake *fake = (struct fake *)inbound;
    assert_false(fake->closed || fake->aborted);
    fake->aborted = true;
}

static uint16_t fake_substream(const struct inbound *inbound)
{
    return 7;
}

static const struct inbound_ops fake_ops = {fake_ready, fake_consume, fake_end,
                                            fake_close, fake_abort,   fake_substream};

static int world_open(void *user, struct presence *presence, const char *visitor,
                      const struct inbound_callbacks *callbacks, void *callbacks_user,
                      struct inbound **ret_inbound)
{
    if (presence == world.full)
        return -1;
    struct fake *fake = calloc(1, sizeof *fake);
    assert_non_null(fake);
    fake->inbound.ops = &fake_ops;
    fake->inbound.callbacks = callbacks;
    fake->inbound.user = callbacks_user;
    fake->presence = presence;
    fake->pull.run = fake_run_pull;
    snprintf(fake->visitor, sizeof fake->visitor, "%s", visitor);
    fake->next = world.fakes;
    world.fakes = fake;
    world.opened++;
    *ret_inbound = &fake->inbound;
    return 0;
}

static void world_tell(void *user, struct presence *presence, const char *json, size_t length)
{
    assert_true(length < sizeof world.told);
    memcpy(world.told, json, length);
    world.told[length] = '\0';
    world.told_presence = presence;
    world.tells++;
}

static void world_report(void *user, const union address *peer, enum edge_event event)
{
    if (event == EDGE_VISITOR_ROUTED)
        world.routed++;
    else if (event == EDGE_VISITOR_GONE_ROUTED)
        world.gone_routed++;
    else
        world.gone_unrouted++;
}

static void world_count(void *user, enum edge_count what, int64_t amount)
{
    world.counts[what] += amount;
}

static void world_pass(void *user, unsigned worker, struct edge_passed *passed)
{
    assert_null(world.passed);
    world.passed = passed;
    world.passed_to = worker;
}

static void world_pass_tunnel(void *user, struct edge_passed *passed)
{
    assert_null(world.tunnel);
    world.tunnel = passed;
}

static bool world_is_exhausted(void *user, const struct socket_facts *facts)
{
    return world.is_exhausted;
}

static void world_moved(void *user, const struct socket_facts *facts, uint64_t bytes)
{
    assert_non_null(facts);
    world.moved += bytes;
}

/* --- What agents do ------------------------------------------------------- */

static inline void fake_connect(struct fake *fake)
{
    fake->inbound.callbacks->on_connected(fake->inbound.user);
}

static inline void fake_send_bytes(struct fake *fake, const void *bytes, size_t length)
{
    fake->pushed += length;
    fake->inbound.callbacks->on_data(fake->inbound.user, bytes, length);
}

static inline void fake_send(struct fake *fake, const char *text)
{
    fake_send_bytes(fake, text, strlen(text));
}

static inline void fake_finish(struct fake *fake)
{
    fake->inbound.callbacks->on_end(fake->inbound.user);
}

static inline void fake_go(struct fake *fake, const char *code, const char *message)
{
    fake->inbound.callbacks->on_gone(fake->inbound.user, code, message);
    assert_true(fake->closed);
}

static inline void fake_resume(struct fake *fake)
{
    fake->paused = false;
    loop_defer(world.loop, &fake->pull);
}

/* --- Waiting -------------------------------------------------------------- */

static inline bool is_over(void *user)
{
    const struct fake *fake = user;
    return fake->closed || fake->aborted;
}

struct wanted_text {
    const char *const *got;
    const char *text;
};

static inline bool has_text(void *user)
{
    const struct wanted_text *wanted = user;
    return *wanted->got && strstr(*wanted->got, wanted->text);
}

struct wanted_number {
    const int *number;
    int least;
};

static inline bool has_number(void *user)
{
    const struct wanted_number *wanted = user;
    return *wanted->number >= wanted->least;
}

static inline bool has_no_visitor(void *user)
{
    return world.counts[EDGE_COUNT_VISITORS] == 0;
}

/* The newest inbound, once there are `count`. */
static inline struct fake *await_inbound(int count)
{
    struct wanted_number wanted = {&world.opened, count};
    test_run_until(world.loop, has_number, &wanted);
    assert_int_equal(world.opened, count);
    return world.fakes;
}

static inline void await_request(struct fake *fake, const char *text)
{
    struct wanted_text wanted = {(const char *const *)&fake->got, text};
    test_run_until(world.loop, has_text, &wanted);
}

static inline void await_answer(struct client *client, const char *text)
{
    struct wanted_text wanted = {(const char *const *)&client->got, text};
    test_run_until(world.loop, has_text, &wanted);
}

static inline bool client_is_over(void *user)
{
    const struct client *client = user;
    return client->ended || client->failed;
}

static inline void await_end(struct client *client)
{
    test_run_until(world.loop, client_is_over, client);
}

static inline void await_fake_over(struct fake *fake)
{
    test_run_until(world.loop, is_over, fake);
}

static inline void await_no_visitor(void)
{
    test_run_until(world.loop, has_no_visitor, NULL);
}

static inline void turn(void)
{
    test_run_for(world.loop, 5000);
}

/* --- What visitors do ----------------------------------------------------- */

static inline void client_read(struct client *client)
{
    while (!client->paused && !client->ended && !client->failed) {
        if (client->room - client->size < 70000) {
            client->room = client->room * 2 + 140000;
            client->got = realloc(client->got, client->room);
            assert_non_null(client->got);
        }
        ssize_t n = conn_read(client->conn, client->got + client->size, 65536);
        if (n == CONN_WAIT)
            break;
        if (n == CONN_END)
            client->ended = true;
        else if (n < 0)
            client->failed = true;
        else
            client->size += (size_t)n;
        client->got[client->size] = '\0';
    }
}

static inline void client_write(struct client *client)
{
    while (client->to_send_size) {
        ssize_t n = conn_write(client->conn, client->to_send, client->to_send_size);
        if (n < 0)
            client->failed = true;
        if (n <= 0)
            return;
        client->to_send += n;
        client->to_send_size -= (size_t)n;
    }
    if (client->shut_after)
        conn_shutdown(client->conn);
}

static inline void client_on_ready(struct conn *conn)
{
    struct client *client = conn_user(conn);
    client->ready = true;
    client_write(client);
}

static inline void client_on_readable(struct conn *conn)
{
    client_read(conn_user(conn));
}

static inline void client_on_writable(struct conn *conn)
{
    client_write(conn_user(conn));
}

static inline void client_on_failed(struct conn *conn)
{
    ((struct client *)conn_user(conn))->failed = true;
}

static const struct conn_callbacks client_callbacks = {
    .on_ready = client_on_ready,
    .on_readable = client_on_readable,
    .on_writable = client_on_writable,
    .on_failed = client_on_failed,
};

static inline void client_send_bytes(struct client *client, const void *bytes, size_t length)
{
    assert_int_equal(client->to_send_size, 0);
    client->to_send = bytes;
    client->to_send_size = length;
    if (client->ready)
        client_write(client);
}

static inline void client_send(struct client *client, const char *text)
{
    client_send_bytes(client, text, strlen(text));
}

static inline void client_resume(struct client *client)
{
    client->paused = false;
    client_read(client);
}

static inline struct edge_passed *make_passed(enum edge_entry entry, int fd)
{
    struct edge_passed *passed = calloc(1, sizeof *passed);
    assert_non_null(passed);
    int flags = fcntl(fd, F_GETFL);
    assert_int_equal(fcntl(fd, F_SETFL, flags | O_NONBLOCK), 0);
    passed->fd = fd;
    assert_int_equal(address_from_host(world.address, 4711, &passed->peer), 0);
    passed->visitor = passed->peer;
    passed->entry = entry;
    passed->accepted_at = loop_update_now(world.loop);
    return passed;
}

/* A visitor who has come to `entry`; for EDGE_PORT the main thread chose a presence. */
static inline struct client *come(enum edge_entry entry, struct presence *presence)
{
    struct client *client = calloc(1, sizeof *client);
    int fds[2];
    test_tcp_pair(fds);
    assert_non_null(client);
    assert_int_equal(conn_open(world.loop, fds[0], &client_callbacks, client, &client->conn), 0);
    client->ready = true;
    struct edge_passed *passed = make_passed(entry, fds[1]);
    passed->presence = presence ? presence_ref(presence) : NULL;
    edge_take(world.edge, passed);
    return client;
}

/* The same, with TLS; name NULL: without SNI. */
static inline struct client *come_by_tls(enum edge_entry entry, struct presence *presence,
                                         const char *name)
{
    struct client *client = come(entry, presence);
    client->ready = false;
    assert_int_equal(
        conn_start_tls_client(client->conn, world.tls_client, name ? name : "127.0.0.1", NULL), 0);
    return client;
}

static inline void leave(struct client *client)
{
    conn_abort(client->conn);
    free(client->got);
    free(client);
}

/* --- Who is online -------------------------------------------------------- */

static inline void apply(enum registry_change_kind kind, struct socket_facts *facts,
                         struct presence *presence)
{
    struct registry_change change = {kind, facts, presence};
    assert_int_equal(directory_apply(world.directory, &change), 0);
}

/* access: copied, or NULL. */
static inline struct socket_facts *add_guarded(enum socket_type type, const char *host,
                                               const struct socket_access *access)
{
    struct socket_facts values = {
        .id = ++world.next_id,
        .type = type,
        .owner = (char *)"alice",
        .name = (char *)host,
        .hostname = (char *)host,
        .port = socket_type_has_host(type) ? 0 : 41000,
        .access = (struct socket_access *)access,
    };
    struct socket_facts *facts = socket_facts_new(&values);
    assert_non_null(facts);
    apply(REGISTRY_PUT, facts, NULL);
    socket_facts_unref(facts);
    return facts; /* the directory's */
}

static inline struct socket_facts *add_socket(enum socket_type type, const char *host)
{
    return add_guarded(type, host, NULL);
}

static inline struct presence *add_agent(struct socket_facts *facts, const char *service)
{
    struct presence *presence = calloc(1, sizeof *presence);
    assert_non_null(presence);
    atomic_init(&presence->references, 1);
    presence->socket = facts->id;
    presence->ref.slot = (uint32_t)++world.next_id;
    snprintf(presence->service, sizeof presence->service, "%s", service);
    snprintf(presence->instance, sizeof presence->instance, "%s", service);
    apply(REGISTRY_ONLINE, facts, presence);
    presence_unref(presence);
    return presence; /* the directory's */
}

/* --- The world ------------------------------------------------------------ */

static inline void make_edge(unsigned worker, struct edge **ret_edge)
{
    struct edge_host host = {
        .inbound = {.open = world_open, .tell_visit = world_tell, .worker = worker},
        .report = world_report,
        .count = world_count,
        .pass = world_pass,
        .pass_tunnel = world_pass_tunnel,
        .is_exhausted = world_is_exhausted,
        .moved = world_moved,
        .guard = world.guard,
    };
    struct edge_setup setup = {.config = &world.config, .tls = world.tls};
    assert_int_equal(edge_new(world.loop, world.directory, &host, &setup, ret_edge), 0);
}

static inline int begin_world(void **state)
{
    memset(&world, 0, sizeof world);
    world.address = "192.0.2.7";
    world.config = (struct edge_config){
        .domain = "edge.test",
        .head_timeout = 30 * TEST_SECOND,
        .keepalive = 30 * TEST_SECOND,
        .handshake_timeout = 30 * TEST_SECOND,
        .answer_timeout = 30 * TEST_SECOND,
        .head_max = 16384,
        .https_port = 443,
    };
    assert_int_equal(loop_new(&world.loop), 0);
    assert_int_equal(directory_new(&world.directory), 0);
    assert_int_equal(guard_new(&world.guard), 0);
    make_edge(0, &world.edge);
    return 0;
}

/* With certificates; only where a test needs them, for they take their time. */
static inline int begin_tls_world(void **state)
{
    static const char *const names[] = {"*.edge.test", "edge.test"};
    char error[256];
    begin_world(state);
    world.folder = test_folder();
    assert_int_equal(pki_ensure_server(world.folder, names, 2, error, sizeof error), 0);
    struct tls_server_options options = {
        .certificate_file = test_path(world.folder, "server.pem"),
        .key_file = test_path(world.folder, "server.key"),
        .alpn = "http/1.1",
    };
    struct tls_client_options client = {.insecure = true, .alpn = "http/1.1"};
    assert_int_equal(tls_server_new(&options, &world.tls, error, sizeof error), 0);
    assert_int_equal(tls_client_new(&client, &world.tls_client, error, sizeof error), 0);
    struct edge_setup setup = {.config = &world.config, .tls = world.tls};
    edge_configure(world.edge, &setup);
    return 0;
}

static inline int end_world(void **state)
{
    edge_stop(world.edge);
    assert_int_equal(edge_visitors(world.edge), 0);
    turn();
    edge_passed_free(world.passed);
    edge_passed_free(world.tunnel);
    while (world.fakes) {
        struct fake *fake = world.fakes;
        world.fakes = fake->next;
        assert_true(fake->closed || fake->aborted);
        loop_undefer(world.loop, &fake->pull);
        free(fake->got);
        free(fake);
    }
    tls_context_unref(world.tls);
    tls_context_unref(world.tls_client);
    if (world.folder)
        test_remove_folder(world.folder);
    guard_free(world.guard);
    loop_settle(world.loop);
    edge_free(world.edge);
    directory_free(world.directory);
    loop_free(world.loop);
    return 0;
}

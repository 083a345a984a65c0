/* The first bytes of a visitor, and where they lead: a PROXY header of a trusted peer, a
 * ClientHello, a port. Of HTTP the request decides (visitor_request.c). */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edge/proxy_header.h"
#include "edge/visitor.h"

/* A head and what may come in one read with it; beyond it the visitor is served from here. */
#define SEEN_MAX 65536

/* --- What was read before it was routed --- */

int visitor_see(struct visitor *visitor, const void *bytes, size_t length)
{
    size_t needed = visitor->seen_size + length;
    if (needed > visitor->seen_room) {
        size_t room = visitor->seen_room ? visitor->seen_room * 2 : 512;
        if (room < needed)
            room = needed;
        unsigned char *seen = needed > SEEN_MAX ? NULL : realloc(visitor->seen, room);
        if (!seen)
            return -1;
        visitor->seen = seen;
        visitor->seen_room = room;
    }
    memcpy(visitor->seen + visitor->seen_size, bytes, length);
    visitor->seen_size = needed;
    return 0;
}

void visitor_forget_seen(struct visitor *visitor)
{
    free(visitor->seen);
    visitor->seen = NULL;
    visitor->seen_size = visitor->seen_room = 0;
}

static void drop_seen(struct visitor *visitor, size_t length)
{
    visitor->seen_size -= length;
    memmove(visitor->seen, visitor->seen + length, visitor->seen_size);
}

/* Takes the socket, with all that was read from it in `seen`. 0 or -1 (then the conn is still
 * there, or the socket is closed). */
static int detach(struct visitor *visitor, int *ret_fd)
{
    void *left;
    size_t left_size;
    int fd;
    if (conn_detach(visitor->conn, &fd, &left, &left_size) < 0)
        return -1;
    visitor->conn = NULL;
    if (left_size && visitor_see(visitor, left, left_size) < 0) {
        free(left);
        close(fd);
        return -1;
    }
    free(left);
    *ret_fd = fd;
    return 0;
}

/* Gives the bytes back, for whom reads next. False: the visitor is no more. */
static bool unread(struct visitor *visitor)
{
    int fd;
    if (!visitor->seen_size)
        return true;
    if (detach(visitor, &fd) < 0 ||
        visitor_attach(visitor, fd, visitor->seen, visitor->seen_size) < 0) {
        visitor_close(visitor, false, "OUT_OF_MEMORY");
        return false;
    }
    visitor_forget_seen(visitor);
    return true;
}

/* --- To another worker, or to the tunnels --- */

static struct edge_passed *make_passed(struct visitor *visitor)
{
    struct edge_passed *passed = calloc(1, sizeof *passed);
    if (!passed)
        return NULL;
    if (detach(visitor, &passed->fd) < 0) {
        free(passed);
        return NULL;
    }
    passed->left = visitor->seen;
    passed->left_size = visitor->seen_size;
    visitor->seen = NULL;
    passed->peer = visitor->peer;
    passed->visitor = visitor->visitor;
    passed->entry = (enum edge_entry)visitor->entry;
    passed->has_proxy_header = true;
    passed->accepted_at = visitor->accepted_at;
    return passed;
}

bool visitor_pass(struct visitor *visitor)
{
    struct edge *edge = visitor->edge;
    if (visitor->was_passed || visitor->is_tls || visitor->has_answered || visitor->seen_lost)
        return false;
    struct presence *presence = visitor_choose(visitor);
    if (!presence || presence->ref.node || presence->ref.worker == edge->host.inbound.worker)
        return false;
    struct edge_passed *passed = make_passed(visitor);
    if (!passed) {
        visitor_close(visitor, false, "OUT_OF_MEMORY");
        return true;
    }
    passed->presence = presence_ref(presence);
    visitor_forget(visitor);
    edge->host.pass(edge->host.user, presence->ref.worker, passed);
    return true;
}

/* Out of the edge, to who takes it on the main thread. */
static void pass_out(struct visitor *visitor, void (*pass)(void *user, struct edge_passed *passed))
{
    struct edge *edge = visitor->edge;
    struct edge_passed *passed = make_passed(visitor);
    if (!passed) {
        visitor_close(visitor, false, "OUT_OF_MEMORY");
        return;
    }
    visitor_forget(visitor);
    pass(edge->host.user, passed);
}

/* --- To a socket --- */

void visitor_set_facts(struct visitor *visitor, const struct socket_facts *facts)
{
    if (visitor->facts == facts)
        return;
    visitor_tell_moved(visitor);
    socket_facts_unref(visitor->facts);
    visitor->facts = facts ? socket_facts_ref((struct socket_facts *)facts) : NULL;
    if (facts && visitor->presence && visitor->presence->socket != facts->id) {
        presence_unref(visitor->presence);
        visitor->presence = NULL;
    }
}

/* Who accepted it has chosen a presence of the port's socket. */
static void route_port(struct visitor *visitor)
{
    const struct edge *edge = visitor->edge;
    const struct directory_entry *entry =
        visitor->presence ? directory_find_id(edge->directory, visitor->presence->socket) : NULL;
    if (!entry) {
        edge_count(edge, EDGE_COUNT_UNKNOWN_NAME, 1);
        visitor_close(visitor, false, page_code(PAGE_UNKNOWN_NAME));
        return;
    }
    visitor_set_facts(visitor, directory_facts(entry));
    if (!visitor_admit_address(visitor))
        return;
    if (visitor->facts->type == SOCKET_TLS)
        visitor_start_tls(visitor);
    else
        visitor_raw_start(visitor);
}

static void route_hello(struct visitor *visitor, const struct hello *hello)
{
    const struct edge *edge = visitor->edge;
    if (edge_is_api(edge, hello->name) && edge->host.pass_api) {
        pass_out(visitor, edge->host.pass_api);
        return;
    }
    const struct directory_entry *entry =
        directory_find_host(visitor->edge->directory, hello->name, strlen(hello->name));
    if (entry) {
        visitor_set_facts(visitor, directory_facts(entry));
        if (visitor_pass(visitor))
            return;
    }
    if (!unread(visitor))
        return;
    if (entry && visitor->facts->type == SOCKET_PASSTHROUGH)
        visitor_raw_start(visitor);
    else
        visitor_start_tls(visitor);
}

/* What isn't TLS gets its alert from OpenSSL. */
static void judge_hello(struct visitor *visitor)
{
    struct hello hello;
    switch (hello_parse(visitor->seen, visitor->seen_size, &hello)) {
    case HELLO_MORE:
        visitor_arm(visitor);
        break;
    case HELLO_BAD:
        if (unread(visitor))
            visitor_start_tls(visitor);
        break;
    case HELLO_FOUND:
        if (visitor->entry == EDGE_SHARED && (hello.has_tunnel_alpn || !hello.name[0]))
            pass_out(visitor, visitor->edge->host.pass_tunnel);
        else
            route_hello(visitor, &hello);
        break;
    }
}

static void begin_after_proxy(struct visitor *visitor)
{
    visitor->has_proxy_header = true;
    switch ((enum edge_entry)visitor->entry) {
    case EDGE_HTTP:
        visitor_http_start(visitor);
        break;
    case EDGE_HTTPS:
    case EDGE_SHARED:
        visitor->phase = VISITOR_HELLO;
        judge_hello(visitor);
        break;
    case EDGE_PORT:
        if (unread(visitor))
            route_port(visitor);
        break;
    }
}

static void judge_proxy(struct visitor *visitor)
{
    union address source, target;
    size_t size;
    switch (proxy_header_parse(visitor->seen, visitor->seen_size, &size, &source, &target)) {
    case PROXY_MORE:
        visitor_arm(visitor);
        break;
    case PROXY_BAD:
        visitor_close(visitor, false, "PROXY_HEADER");
        break;
    case PROXY_FOUND:
        if (source.any.sa_family)
            visitor->visitor = address_unmap(&source);
        drop_seen(visitor, size);
        begin_after_proxy(visitor);
        break;
    case PROXY_ABSENT:
        begin_after_proxy(visitor);
        break;
    }
}

/* For services that speak first, to which a trusted peer connects without a header. */
void visitor_skip_proxy(struct visitor *visitor)
{
    begin_after_proxy(visitor);
}

void visitor_begin(struct visitor *visitor)
{
    if (!visitor->has_proxy_header && visitor->is_trusted) {
        visitor->phase = VISITOR_PROXY;
        visitor_arm(visitor);
    } else {
        begin_after_proxy(visitor);
    }
}

void visitor_first_bytes(struct visitor *visitor)
{
    struct edge *edge = visitor->edge;
    /* Until CONN_WAIT, or nobody tells of what comes later: a ClientHello behind a PROXY header. */
    while (visitor->phase == VISITOR_PROXY || visitor->phase == VISITOR_HELLO) {
        enum visitor_phase phase = (enum visitor_phase)visitor->phase;
        size_t room = phase == VISITOR_PROXY ? PROXY_HEADER_MAX : HELLO_MAX + 1;
        ssize_t n = visitor->seen_size < room
                        ? conn_read(visitor->conn, edge->scratch, room - visitor->seen_size)
                        : CONN_FAILED;
        if (n == CONN_WAIT)
            return;
        if (n < 0 || visitor_see(visitor, edge->scratch, (size_t)n) < 0) {
            visitor_close(visitor, n == CONN_END, "VISITOR_GONE");
            return;
        }
        if (phase == VISITOR_PROXY)
            judge_proxy(visitor);
        else
            judge_hello(visitor);
    }
}

/* The edge of one worker: its visitors, from the accepted socket to the last byte.
 *
 *   http         first head read, routed by Host          https       ClientHello read, routed by
 * SNI tls, tcp     routed by the port they came to          passthrough by SNI, TLS untouched
 *
 * A visitor that belongs to a tunnel of another worker goes there with its socket and the bytes
 * read so far, unless something was answered already: then its inbound comes over a link.
 *
 * Whether a visitor is let in is asked on the worker that serves it (visitor_access.c).
 *
 * To add a kind of socket: enum socket_type, the way it is routed (visitor_route.c), and its relay.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "edge/inbound.h"
#include "net/loop.h"
#include "net/tls.h"
#include "registry/directory.h"

struct edge;
struct access_log;
struct guard;

enum edge_entry {
    EDGE_HTTP,   /* --edge-http */
    EDGE_HTTPS,  /* --edge-https */
    EDGE_SHARED, /* --shared-443: tunnels, too */
    EDGE_PORT,   /* a socket's own port: tls or tcp */
};

#define EDGE_CDN_ID_SIZE 32

/* What the settings say; immutable, in the server's configuration. Times in microseconds, 0: none.
 */
struct edge_config {
    const char *domain;
    const struct prefix
        *trusted; /* --trusted-proxies: PROXY headers and forwarding headers are believed */
    size_t trusted_count;
    const char *acme_webroot; /* or NULL */
    uint64_t head_timeout; /* from a connection or a request's first byte to its whole head, 15 s */
    uint64_t keepalive;    /* between requests, 75 s */
    uint64_t handshake_timeout;
    uint64_t
        answer_timeout; /* --answer-timeout: from the request to the answer's first byte, 60 s */
    size_t head_max;
    uint16_t https_port;           /* for redirects and URLs; 0: there is no https */
    struct access_log *access_log; /* or NULL; the configuration's reference */
    const char *api_host; /* the name of the API, in lower case; NULL: there is none here */
    const char *cdn_id;   /* struct http_visit_options's, of under EDGE_CDN_ID_SIZE bytes */
};

/* Is the peer one of --trusted-proxies? An IPv4 one counts as such at an IPv6 listener, too. */
bool edge_trusts(const struct edge_config *config, const union address *peer);

/* What a reload changes. The edge takes a reference to the contexts; config outlives the setup. */
struct edge_setup {
    const struct edge_config *config;
    struct tls_context *tls; /* for visitors: certificates by SNI, ALPN http/1.1 */
};

/* A connection on its way: accepted, or passed by another worker. Heap, with its socket. */
struct edge_passed {
    int fd;
    void *left; /* read already; malloced */
    size_t left_size;
    union address peer;    /* of the connection */
    union address visitor; /* as a trusted PROXY header had it; else as peer */
    enum edge_entry entry;
    bool has_proxy_header;     /* was read already */
    struct presence *presence; /* reference; chosen already, or NULL */
    uint64_t accepted_at;      /* microseconds of the monotonic clock */
};
void edge_passed_free(struct edge_passed *passed); /* with its socket; NULL is fine */

enum edge_event { EDGE_VISITOR_ROUTED, EDGE_VISITOR_GONE_ROUTED, EDGE_VISITOR_GONE_UNROUTED };

/* What the edge counts; the worker's counters have a field for each. */
enum edge_count {
    EDGE_COUNT_VISITORS, /* open now */
    EDGE_COUNT_VISITS,   /* connections of ports, requests of http */
    EDGE_COUNT_BYTES_IN, /* from visitors, without TLS and heads */
    EDGE_COUNT_BYTES_OUT,
    EDGE_COUNT_HANDSHAKES,
    EDGE_COUNT_HANDSHAKES_FAILED,
    EDGE_COUNT_UNKNOWN_NAME,
    EDGE_COUNT_NO_AGENT,
    EDGE_COUNT_SERVICE_REFUSED,
    EDGE_COUNT_SERVICE_BROKEN,
    EDGE_COUNT_SERVICE_SILENT,
    EDGE_COUNT_BAD_REQUESTS,
    EDGE_COUNT_FORBIDDEN, /* not let in, by address, certificate or password */
    EDGE_COUNT_LIMITED,   /* by a rate, a number of visitors or a quota */
    EDGE_COUNT_RETRIES,
    EDGE_COUNT_LINKS,
};

struct edge_host {
    struct inbound_host inbound;
    /* For admission: ROUTED at most once, and one of the other two at the end.
     * Of a visitor that was passed on, its new edge reports; of a device, whoever gets it. */
    void (*report)(void *user, const union address *peer, enum edge_event event);
    void (*count)(void *user, enum edge_count what, int64_t amount);
    /* Hands a raw connection, detached from this worker's loop, to another worker's edge. Takes it.
     */
    void (*pass)(void *user, unsigned worker, struct edge_passed *passed);
    /* On EDGE_SHARED: it turned out to be a device. Takes it, for a tunnel; it counts as gone. */
    void (*pass_tunnel)(void *user, struct edge_passed *passed);
    /* It asked for config->api_host in its ClientHello, which is among the bytes read. As above. */
    void (*pass_api)(void *user, struct edge_passed *passed);
    /* Has the socket's owner moved all the bytes that its quota allows? Asked for each visit. NULL:
     * there are no quotas. */
    bool (*is_exhausted)(void *user, const struct socket_facts *facts);
    /* So many more bytes went through the tunnels of this socket, both ways together. Told every
     * 256 KiB of a visitor's and when it leaves the socket. NULL: nobody counts them. */
    void (*moved)(void *user, const struct socket_facts *facts, uint64_t bytes);
    /* Borrowed, shared by all workers; it outlives the edge. NULL: nobody gets into protected
     * sockets, and visitors' rates are without limit. */
    struct guard *guard;
    void *user;
};

int edge_new(struct loop *loop, struct directory *directory, const struct edge_host *host,
             const struct edge_setup *setup, struct edge **ret_edge)
    __attribute__((warn_unused_result));
/* Takes it, whatever becomes of it. */
void edge_take(struct edge *edge, struct edge_passed *passed);
void edge_configure(struct edge *edge, const struct edge_setup *setup);
/* No new requests: idle keep-alive connections close, others say Connection: close. */
void edge_drain(struct edge *edge);
size_t edge_visitors(const struct edge *edge);
/* Closes every visitor. */
void edge_stop(struct edge *edge);
void edge_free(struct edge *edge); /* after the loop's last turn; NULL is fine */

#include "server/edge_accept.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Without memory a port isn't added (its table stays NULL); uthash would end the process. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "base/log.h"
#include "edge/http_date.h"
#include "edge/page.h"
#include "net/acceptor.h"
#include "net/conn.h"
#include "server/counters.h"

/* Each page of a refusal keeps its connection for up to 2 s, so that the visitor gets to read it;
 * more of them would use up the descriptors that the server keeps for itself. */
#define PAGES_A_SECOND 32
#define SECOND         1000000u

struct entrance {
    UT_hash_handle hh;     /* in `ports` */
    struct entrance *next; /* in `others` */
    struct edge_accept *accept;
    struct acceptor *acceptor;
    enum edge_entry entry;
    uint64_t socket; /* of EDGE_PORT */
    unsigned starts;
};

struct edge_accept {
    struct loop *loop;
    struct edge_accept_host host;
    const struct edge_config *config;
    struct entrance *ports;  /* by socket */
    struct entrance *others; /* the listeners of all sockets */
    bool is_closed;
    struct http_date date;
};

/* --- Refusing --- */

static bool may_send_page(struct edge_refusals *refusals, uint64_t now)
{
    pthread_mutex_lock(&refusals->mutex);
    if (now - refusals->pages_since >= SECOND) {
        refusals->pages_since = now;
        refusals->pages = 0;
    }
    bool may = refusals->pages++ < PAGES_A_SECOND;
    pthread_mutex_unlock(&refusals->mutex);
    return may;
}

/* One line a second: a flood of connections shall not be one of lines. */
static bool may_log(struct edge_refusals *refusals, uint64_t now)
{
    pthread_mutex_lock(&refusals->mutex);
    bool may = !refusals->has_logged || now - refusals->logged_at >= SECOND;
    if (may) {
        refusals->has_logged = true;
        refusals->logged_at = now;
    }
    pthread_mutex_unlock(&refusals->mutex);
    return may;
}

/* As much as the socket takes at once, which is all of it on a new connection. Takes fd. */
static void send_page(struct edge_accept *accept, int fd)
{
    static const struct conn_callbacks no_callbacks;
    struct page_text text;
    struct http_answer answer;
    struct conn *conn;
    char bytes[sizeof text + 256];
    page_make(PAGE_TOO_MANY, "", "", &text, &answer);
    int length =
        snprintf(bytes, sizeof bytes,
                 "HTTP/1.1 %d Service Unavailable\r\nDate: %s\r\n%sContent-Type: %s\r\n"
                 "Content-Length: %zu\r\nConnection: close\r\n\r\n%.*s",
                 answer.status, http_date_at(&accept->date, time(NULL)), answer.head,
                 answer.content_type, answer.body_length, (int)answer.body_length, answer.body);
    if (length < 0 || (size_t)length >= sizeof bytes ||
        conn_attach(accept->loop, fd, NULL, 0, &no_callbacks, NULL, &conn) < 0) {
        close(fd);
        return;
    }
    if (conn_write(conn, bytes, (size_t)length) == length)
        conn_close(conn);
    else
        conn_abort(conn);
}

static void refuse(struct edge_accept *accept, int fd, const union address *peer,
                   enum edge_entry entry, const char *cap)
{
    char text[ADDRESS_TEXT_MAX];
    uint64_t now = loop_now(accept->loop);
    counter_add(accept->host.refused, 1);
    if (entry == EDGE_HTTP && may_send_page(accept->host.refusals, now))
        send_page(accept, fd);
    else
        close(fd);
    if (may_log(accept->host.refusals, now))
        log_write(LOG_WARNING,
                  LOG_FIELDS(LOG_TEXT("peer", address_format(peer, text)), LOG_TEXT("cap", cap)),
                  "visitor refused");
}

/* --- Accepting --- */

static void reset(int fd)
{
    static const struct linger at_once = {1, 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
}

/* Borrowed. NULL: its last tunnel went while the visitor came. */
static struct presence *pick(struct edge_accept *accept, uint64_t socket)
{
    const struct directory_entry *entry = directory_find_id(accept->host.directory, socket);
    return entry ? directory_pick(accept->host.directory, entry, NULL, 0) : NULL;
}

static void take(struct edge_accept *accept, int fd, const union address *peer,
                 enum edge_entry entry, struct presence *presence)
{
    struct admission *admission = accept->host.admission;
    const char *cap = edge_trusts(accept->config, peer) ? admission_enter_trusted(admission, peer)
                                                        : admission_enter(admission, peer);
    if (cap) {
        refuse(accept, fd, peer, entry, cap);
        return;
    }
    struct edge_passed *passed = calloc(1, sizeof *passed);
    if (!passed) {
        refuse(accept, fd, peer, entry, "memory");
        admission_report(admission, peer, ADMISSION_GONE_UNAUTHED);
        return;
    }
    passed->fd = fd;
    passed->peer = passed->visitor = *peer;
    passed->entry = entry;
    passed->presence = presence ? presence_ref(presence) : NULL;
    passed->accepted_at = loop_now(accept->loop);
    accept->host.give(accept->host.user, passed);
}

static void on_accept(struct acceptor *acceptor, int fd, const union address *peer, void *user)
{
    struct entrance *entrance = user;
    struct presence *presence =
        entrance->entry == EDGE_PORT ? pick(entrance->accept, entrance->socket) : NULL;
    if (entrance->entry == EDGE_PORT && !presence)
        reset(fd);
    else
        take(entrance->accept, fd, peer, entrance->entry, presence);
}

/* --- Where --- */

static struct entrance *find_port(const struct edge_accept *accept, uint64_t socket)
{
    struct entrance *entrance;
    HASH_FIND(hh, accept->ports, &socket, sizeof socket, entrance);
    return entrance;
}

static int enlist(struct edge_accept *accept, struct entrance *entrance)
{
    if (entrance->entry != EDGE_PORT) {
        entrance->next = accept->others;
        accept->others = entrance;
        return 0;
    }
    HASH_ADD(hh, accept->ports, socket, sizeof entrance->socket, entrance);
    return entrance->hh.tbl ? 0 : -ENOMEM;
}

int edge_accept_start(struct edge_accept *accept, struct listening *listening,
                      enum edge_entry entry, uint64_t socket)
{
    if (accept->is_closed)
        return 0;
    struct entrance *entrance = entry == EDGE_PORT ? find_port(accept, socket) : NULL;
    if (entrance) {
        entrance->starts++;
        return 0;
    }
    entrance = calloc(1, sizeof *entrance);
    if (!entrance)
        return -ENOMEM;
    entrance->accept = accept;
    entrance->entry = entry;
    entrance->socket = socket;
    entrance->starts = 1;
    int error = acceptor_share(accept->loop, listening, on_accept, entrance, &entrance->acceptor);
    if (error == 0)
        error = enlist(accept, entrance);
    if (error < 0) {
        acceptor_close(entrance->acceptor);
        free(entrance);
    }
    return error;
}

static void close_port(struct edge_accept *accept, struct entrance *entrance)
{
    HASH_DEL(accept->ports, entrance);
    acceptor_close(entrance->acceptor);
    free(entrance);
}

void edge_accept_stop(struct edge_accept *accept, uint64_t socket)
{
    struct entrance *entrance = find_port(accept, socket);
    if (!entrance || --entrance->starts > 0)
        return;
    acceptor_accept_waiting(entrance->acceptor); /* other workers may have tunnels for it */
    close_port(accept, entrance);
}

/* --- Life --- */

int edge_accept_new(struct loop *loop, const struct edge_accept_host *host,
                    const struct edge_config *config, struct edge_accept **ret_accept)
{
    struct edge_accept *accept = calloc(1, sizeof *accept);
    if (!accept)
        return -ENOMEM;
    accept->loop = loop;
    accept->host = *host;
    accept->config = config;
    *ret_accept = accept;
    return 0;
}

void edge_accept_configure(struct edge_accept *accept, const struct edge_config *config)
{
    accept->config = config;
}

void edge_accept_close(struct edge_accept *accept)
{
    accept->is_closed = true;
    while (accept->ports)
        close_port(accept, accept->ports);
    while (accept->others) {
        struct entrance *entrance = accept->others;
        accept->others = entrance->next;
        acceptor_close(entrance->acceptor);
        free(entrance);
    }
}

void edge_accept_free(struct edge_accept *accept)
{
    free(accept);
}

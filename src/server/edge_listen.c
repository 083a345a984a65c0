#include "server/edge_listen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "edge/page.h"
#include "net/acceptor.h"
#include "net/conn.h"
#include "server/counters.h"

/* Each page of a refusal keeps its connection for up to 2 s, so that the visitor gets to read it;
 * more of them would use up the descriptors that the server keeps for itself. */
#define PAGES_A_SECOND 32
#define SECOND         1000000u
#define VISITORS_MIN   64 /* however few descriptors there are */

struct listener {
    struct edge_listen *listen;
    struct acceptor *acceptor; /* NULL: closed */
    union address address;
    enum edge_entry entry;
};

struct edge_listen {
    struct loop *loop;
    struct edge_listen_host host;
    struct config *config;
    struct admission *admission;
    struct listener **listeners;
    size_t count;
    uint64_t pages_since; /* the second in which `pages` were sent */
    unsigned pages;
    uint64_t refused_logged_at;
    bool logged_refusal;
};

static const char *const entry_names[] = {
    [EDGE_HTTP] = "edge-http", [EDGE_HTTPS] = "edge-https", [EDGE_SHARED] = "shared-443"};

bool edge_listen_entry_of(const char *name, enum edge_entry *ret_entry)
{
    for (size_t i = 0; i < sizeof entry_names / sizeof *entry_names; i++) {
        if (strcmp(name, entry_names[i]) == 0) {
            *ret_entry = (enum edge_entry)i;
            return true;
        }
    }
    return false;
}

/* --- Refusing --- */

static bool may_send_page(struct edge_listen *listen)
{
    uint64_t now = loop_now(listen->loop);
    if (now - listen->pages_since >= SECOND) {
        listen->pages_since = now;
        listen->pages = 0;
    }
    return listen->pages++ < PAGES_A_SECOND;
}

/* As much as the socket takes at once, which is all of it on a new connection. Takes fd. */
static void send_page(struct edge_listen *listen, int fd)
{
    static const struct conn_callbacks no_callbacks;
    struct page_text text;
    struct http_answer answer;
    struct conn *conn;
    char bytes[sizeof text + 256];
    page_make(PAGE_TOO_MANY, "", "", &text, &answer);
    int length = snprintf(bytes, sizeof bytes,
                          "HTTP/1.1 %d Service Unavailable\r\n%sContent-Type: %s\r\n"
                          "Content-Length: %zu\r\nConnection: close\r\n\r\n%.*s",
                          answer.status, answer.head, answer.content_type, answer.body_length,
                          (int)answer.body_length, answer.body);
    if (length < 0 || (size_t)length >= sizeof bytes ||
        conn_attach(listen->loop, fd, NULL, 0, &no_callbacks, NULL, &conn) < 0) {
        close(fd);
        return;
    }
    if (conn_write(conn, bytes, (size_t)length) == length)
        conn_close(conn);
    else
        conn_abort(conn);
}

static void refuse(struct edge_listen *listen, int fd, const union address *peer,
                   enum edge_entry entry, const char *cap)
{
    char text[ADDRESS_TEXT_MAX];
    uint64_t now = loop_now(listen->loop);
    counter_add(listen->host.refused, 1);
    if (entry == EDGE_HTTP && may_send_page(listen))
        send_page(listen, fd);
    else
        close(fd);
    /* One line a second: a flood of connections shall not be one of lines. */
    if (listen->logged_refusal && now - listen->refused_logged_at < SECOND)
        return;
    listen->logged_refusal = true;
    listen->refused_logged_at = now;
    log_write(LOG_WARNING,
              LOG_FIELDS(LOG_TEXT("peer", address_format(peer, text)), LOG_TEXT("cap", cap)),
              "visitor refused");
}

/* --- Accepting --- */

void edge_listen_take(struct edge_listen *listen, int fd, const union address *peer,
                      enum edge_entry entry, struct presence *presence)
{
    const char *cap = edge_trusts(&listen->config->edge, peer)
                          ? admission_enter_trusted(listen->admission, peer)
                          : admission_enter(listen->admission, peer);
    if (cap) {
        refuse(listen, fd, peer, entry, cap);
        return;
    }
    struct edge_passed *passed = calloc(1, sizeof *passed);
    if (!passed) {
        refuse(listen, fd, peer, entry, "memory");
        admission_report(listen->admission, peer, ADMISSION_GONE_UNAUTHED);
        return;
    }
    passed->fd = fd;
    passed->peer = passed->visitor = *peer;
    passed->entry = entry;
    passed->presence = presence ? presence_ref(presence) : NULL;
    passed->accepted_at = loop_now(listen->loop);
    listen->host.give(listen->host.user, passed);
}

static void on_accept(struct acceptor *acceptor, int fd, const union address *peer, void *user)
{
    struct listener *listener = user;
    edge_listen_take(listener->listen, fd, peer, listener->entry, NULL);
}

int edge_listen_open(struct edge_listen *listen, enum edge_entry entry,
                     const union address *address, int fd, char *error, size_t error_size)
{
    char text[ADDRESS_TEXT_MAX];
    struct listener *listener = calloc(1, sizeof *listener);
    struct listener **grown =
        realloc(listen->listeners, (listen->count + 1) * sizeof *listen->listeners);
    if (grown)
        listen->listeners = grown;
    if (!grown || !listener) {
        free(listener);
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    listener->listen = listen;
    listener->entry = entry;
    int result =
        fd >= 0 ? acceptor_adopt(listen->loop, fd, on_accept, listener, &listener->acceptor)
                : acceptor_open(listen->loop, address, on_accept, listener, &listener->acceptor);
    if (result < 0) {
        snprintf(error, error_size, "%s: cannot listen on %s: %s", entry_names[entry],
                 fd >= 0 ? "the socket passed" : address_format(address, text), strerror(-result));
        free(listener);
        return -1;
    }
    listen->listeners[listen->count++] = listener;
    acceptor_address(listener->acceptor, &listener->address);
    log_write(LOG_INFO,
              LOG_FIELDS(LOG_TEXT("listener", entry_names[entry]),
                         LOG_TEXT("address", address_format(&listener->address, text))),
              "listening");
    return 0;
}

/* --- What there is --- */

size_t edge_listen_count(const struct edge_listen *listen)
{
    return listen->count;
}

const union address *edge_listen_address(const struct edge_listen *listen, size_t index,
                                         enum edge_entry *ret_entry)
{
    *ret_entry = listen->listeners[index]->entry;
    return &listen->listeners[index]->address;
}

uint16_t edge_listen_port(const struct edge_listen *listen, enum edge_entry entry)
{
    for (size_t i = 0; i < listen->count; i++)
        if (listen->listeners[i]->entry == entry)
            return address_port(&listen->listeners[i]->address);
    return 0;
}

struct admission *edge_listen_admission(struct edge_listen *listen)
{
    return listen->admission;
}

/* --- Life --- */

static uint64_t descriptors_for_visitors(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur / 2 < VISITORS_MIN)
        return VISITORS_MIN;
    return files.rlim_cur / 2;
}

void edge_listen_configure(struct edge_listen *listen, struct config *config)
{
    static const char *const names[] = {"max-visitors", "max-visitors-per-address", "max-visitors",
                                        "max-visitors-per-address"};
    const struct serve_settings *settings = &config->settings;
    uint64_t visitors =
        settings->max_visitors ? settings->max_visitors : descriptors_for_visitors();
    const struct admission_limits limits = {
        .tunnels = visitors,
        .tunnels_per_address = settings->max_visitors_per_address,
        .unauthed = visitors, /* who isn't routed yet has a deadline, and costs no more */
        .unauthed_per_address = settings->max_visitors_per_address,
        .names = names,
    };
    struct config *before = listen->config;
    listen->config = config_ref(config);
    config_unref(before);
    admission_configure(listen->admission, &limits);
}

int edge_listen_new(struct loop *loop, const struct edge_listen_host *host,
                    struct edge_listen **ret_listen)
{
    struct edge_listen *listen = calloc(1, sizeof *listen);
    if (!listen)
        return -ENOMEM;
    listen->loop = loop;
    listen->host = *host;
    if (admission_new(loop, &listen->admission) < 0) {
        free(listen);
        return -ENOMEM;
    }
    *ret_listen = listen;
    return 0;
}

void edge_listen_close(struct edge_listen *listen)
{
    for (size_t i = 0; i < listen->count; i++) {
        acceptor_close(listen->listeners[i]->acceptor);
        listen->listeners[i]->acceptor = NULL;
    }
}

void edge_listen_free(struct edge_listen *listen)
{
    if (!listen)
        return;
    for (size_t i = 0; i < listen->count; i++)
        free(listen->listeners[i]);
    free(listen->listeners);
    admission_free(listen->admission);
    config_unref(listen->config);
    free(listen);
}

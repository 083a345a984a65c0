/* The yardstick `hop`: the least that a TLS-to-TCP relay can be. Reads TLS, writes TCP, and the
 * other way round.
 *
 * It shares nothing with src/net, or the yardstick would shrink with what it measures: epoll,
 * SSL_set_fd, one thread. No authentication, no limits, no deadlines, no log. A connection to port
 * i is relayed to TARGET i; where that is
 * "-" the hop sends back by itself what it reads, which is the least a TLS server can do for a
 * handshake. */
#include "bench/shared.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECORD       16384
#define PLAIN_CHUNK  65536
#define EVENTS       256
#define READS_A_TURN 16

enum hop_what { HOP_LISTENER, HOP_TLS, HOP_TCP };

struct hop;

/* What an epoll event points to: a listener, or one end of a relay. */
struct hop_end {
    enum hop_what what;
    int fd;
    bool watched;
    uint32_t events;
    struct hop *hop;
    struct sockaddr_in target; /* of a listener; port 0: answers by itself */
};

struct hop_left {
    uint8_t *bytes;
    size_t size, at;
};

struct hop {
    struct hop_end tls, tcp;
    SSL *ssl;
    bool handshaken, answers, over;
    bool up_ended, down_ended; /* the device, the target sends no more */
    struct hop_left up, down;  /* read on one side, and not yet taken by the other */
    struct hop *next_dead;
};

static int epoll_fd;
static SSL_CTX *context;
static struct hop *dead; /* freed at the end of the turn: other events of it may point there */

static void watch(struct hop_end *end, uint32_t events)
{
    if (end->fd >= 0 && (!end->watched || end->events != events)) {
        struct epoll_event event = {.events = events, .data.ptr = end};
        epoll_ctl(epoll_fd, end->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, end->fd, &event);
        end->watched = true;
        end->events = events;
    }
}

static void hop_close(struct hop *hop)
{
    if (hop->over) {
        return;
    }
    hop->over = true;
    if (hop->handshaken) {
        SSL_shutdown(hop->ssl);
    }
    ERR_clear_error();
    SSL_free(hop->ssl);
    close(hop->tls.fd);
    if (hop->tcp.fd >= 0) {
        close(hop->tcp.fd);
    }
    hop->next_dead = dead;
    dead = hop;
}

static void keep(struct hop_left *left, const uint8_t *bytes, size_t size)
{
    left->bytes = malloc(size);
    if (!left->bytes) {
        abort();
    }
    memcpy(left->bytes, bytes, size);
    left->size = size;
    left->at = 0;
}

static void forget(struct hop_left *left)
{
    free(left->bytes);
    memset(left, 0, sizeof(*left));
}

/* Each returns bytes, 0 for "not now", -1 for an end, -2 for a failure. */
static ssize_t tls_read(struct hop *hop, uint8_t *buffer, size_t size)
{
    ERR_clear_error();
    int got = SSL_read(hop->ssl, buffer, (int)size);
    if (got > 0) {
        return got;
    }
    switch (SSL_get_error(hop->ssl, got)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        return -1;
    default:
        return -2;
    }
}

static ssize_t tls_write(struct hop *hop, const uint8_t *bytes, size_t size)
{
    ERR_clear_error();
    int put = SSL_write(hop->ssl, bytes, (int)size);
    if (put > 0) {
        return put;
    }
    int error = SSL_get_error(hop->ssl, put);
    return error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ ? 0 : -2;
}

static ssize_t tcp_read(struct hop *hop, uint8_t *buffer, size_t size)
{
    ssize_t got = recv(hop->tcp.fd, buffer, size, 0);
    if (got > 0) {
        return got;
    }
    return got == 0 ? -1 : errno == EAGAIN ? 0 : -2;
}

static ssize_t tcp_write(struct hop *hop, const uint8_t *bytes, size_t size)
{
    ssize_t put = send(hop->tcp.fd, bytes, size, MSG_NOSIGNAL);
    return put >= 0 ? put : errno == EAGAIN ? 0 : -2;
}

/* Writes all, or keeps the rest in `left`. False when the relay failed. */
static bool pass(struct hop *hop, ssize_t (*put)(struct hop *, const uint8_t *, size_t),
                 struct hop_left *left, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t done = put(hop, bytes, size);
        if (done < 0) {
            return false;
        }
        if (done == 0) {
            keep(left, bytes, size);
            return true;
        }
        bytes += done;
        size -= (size_t)done;
    }
    return true;
}

/* True when nothing is left. */
static bool pass_left(struct hop *hop, ssize_t (*put)(struct hop *, const uint8_t *, size_t),
                      struct hop_left *left, bool *ret_failed)
{
    while (left->at < left->size) {
        ssize_t done = put(hop, left->bytes + left->at, left->size - left->at);
        if (done <= 0) {
            *ret_failed = done < 0;
            return false;
        }
        left->at += (size_t)done;
    }
    forget(left);
    return true;
}

static bool pump_up(struct hop *hop)
{
    static uint8_t buffer[RECORD];
    bool failed = false;
    if (hop->up.size && !pass_left(hop, hop->answers ? tls_write : tcp_write, &hop->up, &failed)) {
        return !failed;
    }
    /* A record fits the buffer, so nothing waits inside OpenSSL when we stop. */
    for (int i = 0; i < READS_A_TURN && !hop->up.size && !hop->up_ended; i++) {
        ssize_t got = tls_read(hop, buffer, sizeof(buffer));
        if (got == 0) {
            return true;
        }
        if (got == -2) {
            return false;
        }
        if (got == -1) {
            hop->up_ended = true;
            if (hop->answers) {
                return false;
            }
            shutdown(hop->tcp.fd, SHUT_WR);
            return true;
        }
        if (!pass(hop, hop->answers ? tls_write : tcp_write, &hop->up, buffer, (size_t)got)) {
            return false;
        }
    }
    return true;
}

static bool pump_down(struct hop *hop)
{
    static uint8_t buffer[PLAIN_CHUNK];
    bool failed = false;
    if (hop->down.size && !pass_left(hop, tls_write, &hop->down, &failed)) {
        return !failed;
    }
    for (int i = 0; i < READS_A_TURN && !hop->down.size && !hop->down_ended; i++) {
        ssize_t got = tcp_read(hop, buffer, sizeof(buffer));
        if (got == 0) {
            return true;
        }
        if (got == -2) {
            return false;
        }
        if (got == -1) {
            hop->down_ended = true;
            SSL_shutdown(hop->ssl);
            return true;
        }
        if (!pass(hop, tls_write, &hop->down, buffer, (size_t)got)) {
            return false;
        }
        if ((size_t)got < sizeof(buffer)) {
            return true;
        }
    }
    return true;
}

static void rewatch(struct hop *hop)
{
    if (hop->answers) {
        watch(&hop->tls, hop->up.size ? EPOLLOUT : EPOLLIN);
        return;
    }
    watch(&hop->tls,
          (!hop->up.size && !hop->up_ended ? EPOLLIN : 0u) | (hop->down.size ? EPOLLOUT : 0u));
    watch(&hop->tcp,
          (!hop->down.size && !hop->down_ended ? EPOLLIN : 0u) | (hop->up.size ? EPOLLOUT : 0u));
}

static int tcp_options(int fd)
{
    int on = 1;
    return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static bool dial(struct hop *hop, const struct sockaddr_in *target)
{
    hop->tcp.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (hop->tcp.fd < 0 || tcp_options(hop->tcp.fd) < 0) {
        return false;
    }
    return connect(hop->tcp.fd, (const struct sockaddr *)target, sizeof(*target)) == 0 ||
           errno == EINPROGRESS;
}

static void shake_hands(struct hop *hop)
{
    ERR_clear_error();
    int done = SSL_accept(hop->ssl);
    if (done != 1) {
        int error = SSL_get_error(hop->ssl, done);
        if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
            watch(&hop->tls, error == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT);
        } else {
            hop_close(hop);
        }
        return;
    }
    hop->handshaken = true;
    if (!hop->answers && !dial(hop, &hop->tls.target)) {
        hop_close(hop);
        return;
    }
    rewatch(hop);
}

static void handle(struct hop_end *end, uint32_t events)
{
    struct hop *hop = end->hop;
    if (hop->over) {
        return;
    }
    /* A reset is reported whatever is watched: unheeded, it would be again and again. */
    if (end->what == HOP_TLS && (events & (EPOLLERR | EPOLLHUP))) {
        hop_close(hop);
        return;
    }
    if (!hop->handshaken) {
        shake_hands(hop);
        return;
    }
    if (!pump_up(hop) || (!hop->answers && !pump_down(hop))) {
        hop_close(hop);
        return;
    }
    if (hop->up_ended && hop->down_ended && !hop->down.size && !hop->up.size) {
        hop_close(hop);
        return;
    }
    rewatch(hop);
}

static void accept_some(struct hop_end *listener)
{
    for (int i = 0; i < 64; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            return;
        }
        struct hop *hop = calloc(1, sizeof(*hop));
        SSL *ssl = hop ? SSL_new(context) : NULL;
        if (!ssl || tcp_options(fd) < 0 || SSL_set_fd(ssl, fd) != 1) {
            SSL_free(ssl);
            free(hop);
            close(fd);
            continue;
        }
        hop->ssl = ssl;
        hop->answers = listener->target.sin_port == 0;
        hop->tls =
            (struct hop_end){.what = HOP_TLS, .fd = fd, .hop = hop, .target = listener->target};
        hop->tcp = (struct hop_end){.what = HOP_TCP, .fd = -1, .hop = hop};
        watch(&hop->tls, EPOLLIN);
    }
}

static int listen_for(const char *target)
{
    struct hop_end *end = calloc(1, sizeof(*end));
    if (!end) {
        return 0;
    }
    end->what = HOP_LISTENER;
    if (strcmp(target, "-") != 0) {
        char host[64];
        const char *colon = strrchr(target, ':');
        snprintf(host, sizeof(host), "%.*s", colon ? (int)(colon - target) : 0, target);
        end->target.sin_family = AF_INET;
        end->target.sin_port = htons((uint16_t)(colon ? atoi(colon + 1) : 0));
        if (inet_pton(AF_INET, host, &end->target.sin_addr) != 1) {
            free(end);
            return 0;
        }
    }
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(name);
    end->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (end->fd < 0 || bind(end->fd, (struct sockaddr *)&name, size) < 0 ||
        listen(end->fd, SOMAXCONN) < 0 ||
        getsockname(end->fd, (struct sockaddr *)&name, &size) < 0) {
        free(end);
        return 0;
    }
    watch(end, EPOLLIN);
    return ntohs(name.sin_port);
}

static bool make_context(const char *certificate, const char *key)
{
    context = SSL_CTX_new(TLS_server_method());
    if (!context || SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
        return false;
    }
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    /* A stateless ticket, and one of it, as the server does: resuming costs no table here. */
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
    static const unsigned char id[] = "hop";
    return SSL_CTX_set_session_id_context(context, id, sizeof(id)) == 1;
}

int hop_main(int argc, char **argv)
{
    if (argc < 4 || !make_context(argv[1], argv[2])) {
        ERR_print_errors_fp(stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 3; i < argc; i++) {
        int port = listen_for(argv[i]);
        if (port == 0) {
            fprintf(stderr, "streamplex bench: the hop can't listen for %s\n", argv[i]);
            return 2;
        }
        printf("%d%c", port, i + 1 < argc ? ' ' : '\n');
    }
    fflush(stdout);
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            struct hop_end *end = events[i].data.ptr;
            if (end->what == HOP_LISTENER) {
                accept_some(end);
            } else {
                handle(end, events[i].events);
            }
        }
        while (dead) {
            struct hop *next = dead->next_dead;
            forget(&dead->up);
            forget(&dead->down);
            free(dead);
            dead = next;
        }
    }
}

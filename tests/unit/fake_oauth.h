/* An OAuth server for tests, on the loop of the one who asks it: it gathers each request whole,
 * remembers it, and answers as it was told, or not before it is released. */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/acceptor.h"
#include "net/conn.h"

struct fake_answer {
    int status; /* 0: the connection is closed without an answer */
    const char *body;
};

struct fake_peer {
    struct fake_peer *next;
    struct fake_oauth *server;
    struct conn *conn;
    bool held;
    size_t length;
    char request[16384];
};

struct fake_oauth {
    struct loop *loop;
    struct acceptor *acceptor;
    struct fake_answer token, profile;
    bool hold; /* token requests wait for fake_oauth_release() */
    int token_requests, profile_requests;
    void (*on_request)(struct fake_oauth *server); /* may be NULL */
    void *user;
    char token_request[16384], profile_request[16384]; /* the last of each */
    struct fake_peer *peers;
};

static inline void fake_peer_close(struct fake_peer *peer)
{
    struct fake_peer **link = &peer->server->peers;
    while (*link != peer)
        link = &(*link)->next;
    *link = peer->next;
    conn_close(peer->conn);
    free(peer);
}

static inline bool fake_peer_asks_for_token(const struct fake_peer *peer)
{
    return strncmp(peer->request, "POST ", 5) == 0;
}

static inline void fake_peer_answer(struct fake_peer *peer)
{
    const struct fake_answer *answer =
        fake_peer_asks_for_token(peer) ? &peer->server->token : &peer->server->profile;
    char text[16384];
    int length = snprintf(
        text, sizeof text,
        "HTTP/1.1 %d Fake\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
        "Location: /elsewhere\r\nConnection: close\r\n\r\n%s",
        answer->status, answer->body ? strlen(answer->body) : 0, answer->body ? answer->body : "");
    /* An empty socket takes it whole. */
    if (answer->status && conn_write(peer->conn, text, (size_t)length) != length)
        abort();
    fake_peer_close(peer);
}

static inline void fake_peer_judge(struct fake_peer *peer)
{
    struct fake_oauth *server = peer->server;
    const char *end = strstr(peer->request, "\r\n\r\n");
    if (!end || peer->held)
        return;
    const char *announced = strcasestr(peer->request, "\r\nContent-Length: ");
    size_t body = announced && announced < end ? strtoul(announced + 18, NULL, 10) : 0;
    if (strlen(end + 4) < body)
        return;
    if (fake_peer_asks_for_token(peer)) {
        memcpy(server->token_request, peer->request, peer->length + 1);
        server->token_requests++;
        peer->held = server->hold;
    } else {
        memcpy(server->profile_request, peer->request, peer->length + 1);
        server->profile_requests++;
    }
    if (!peer->held)
        fake_peer_answer(peer);
    if (server->on_request)
        server->on_request(server);
}

static inline void fake_peer_on_readable(struct conn *conn)
{
    struct fake_peer *peer = conn_user(conn);
    for (;;) {
        ssize_t got =
            conn_read(conn, peer->request + peer->length, sizeof peer->request - 1 - peer->length);
        if (got == CONN_WAIT)
            break;
        if (got < 0) {
            fake_peer_close(peer);
            return;
        }
        peer->length += (size_t)got;
        peer->request[peer->length] = 0;
    }
    fake_peer_judge(peer);
}

static inline void fake_peer_on_writable(struct conn *conn)
{
    (void)conn;
}

static inline void fake_peer_on_failed(struct conn *conn)
{
    fake_peer_close(conn_user(conn));
}

static inline void fake_oauth_on_accept(struct acceptor *acceptor, int fd,
                                        const union address *address, void *user)
{
    static const struct conn_callbacks callbacks = {.on_readable = fake_peer_on_readable,
                                                    .on_writable = fake_peer_on_writable,
                                                    .on_failed = fake_peer_on_failed};
    (void)acceptor;
    (void)address;
    struct fake_oauth *server = user;
    struct fake_peer *peer = calloc(1, sizeof *peer);
    if (!peer || conn_open(server->loop, fd, &callbacks, peer, &peer->conn) < 0)
        abort();
    peer->server = server;
    peer->next = server->peers;
    server->peers = peer;
}

/* Answers who is held, and from now on everybody at once. */
static inline void fake_oauth_release(struct fake_oauth *server)
{
    server->hold = false;
    for (struct fake_peer *peer = server->peers; peer;) {
        struct fake_peer *next = peer->next;
        if (peer->held)
            fake_peer_answer(peer);
        peer = next;
    }
}

static inline int fake_oauth_open(struct fake_oauth *server, struct loop *loop)
{
    union address address;
    server->loop = loop;
    server->token = (struct fake_answer){200, "{\"access_token\":\"at/1\"}"};
    server->profile = (struct fake_answer){200, "{\"id\":1,\"username\":\"ann\"}"};
    if (address_from_host("127.0.0.1", 0, &address) < 0)
        return -1;
    return acceptor_open(loop, &address, fake_oauth_on_accept, server, &server->acceptor);
}

static inline void fake_oauth_close(struct fake_oauth *server)
{
    acceptor_close(server->acceptor);
    server->acceptor = NULL;
    while (server->peers)
        fake_peer_close(server->peers);
}

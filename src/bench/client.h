/* The device side of the bench: one loop, where the servers are, and waiting.
 *
 * Modes are written one step after another: open, client_wait(), look. All callbacks come from
 * within the waits. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "bench/shared.h"
#include "net/loop.h"
#include "net/timer.h"
#include "streamplex.h"

struct tls_context;

/* Of one read, and of one write to a bare TCP connection. */
#define CLIENT_CHUNK 65536
/* Reads, or writes, of one connection in a row, so that one with a lot doesn't keep the others
 * waiting. */
#define CLIENT_TURN 16

/* Goes on in the next turn of the loop. Embed it, zero it, set run. */
struct client_again {
    void (*run)(struct client_again *again);
    struct client_again *next, *previous; /* both NULL while not asked for */
};

struct client {
    struct loop *loop;
    struct timer timer;
    bool woken;
    struct loop_message again_message;
    bool again_posted;
    struct client_again again; /* head of a ring */
    struct client_again again_mark;
    struct tls_context *tls, *hop_tls; /* trust the server, and the hop */
    char server_name[256];             /* for its certificate */
    char token[PLEX_TOKEN_MAX + 1];
    union address server;
    union address targets[TARGET_COUNT]; /* as the server is told */
    union address plain[TARGET_COUNT];   /* as we reach them */
    union address hops[TARGET_COUNT];
    union address visits[ROUTE_COUNT][TARGET_COUNT]; /* as visitors reach them: edge, ssh */
    union address hop_answers;                       /* the hop's port that answers by itself */
    unsigned target_hosts; /* 1, or how many loopback neighbours of a target listen at its port */
    unsigned next_target, next_source;
    struct plex_config plex; /* the device sessions' */
    bool early_data;         /* data goes before `connect` came */
    /* Scratch of whoever reads, and of whoever writes, just now. */
    uint8_t input[CLIENT_CHUNK], output[CLIENT_CHUNK];
};

/* 0 or -1 with `error`: the loop. The rest of the client is for the caller to fill in. */
int client_init(struct client *client, char *error, size_t error_size)
    __attribute__((warn_unused_result));
void client_deinit(struct client *client);
void client_go_on(struct client *client, struct client_again *again); /* idempotent */
void client_dont_go_on(struct client_again *again);                   /* idempotent */

/* Nanoseconds of the monotonic clock. */
uint64_t client_now(void);
/* Runs the loop until client_wake(), or for so many seconds. True when woken. */
bool client_wait(struct client *client, double seconds);
void client_wake(struct client *client);
/* The target for the next open, one of target_hosts in turn: short connections to one pair of
 * addresses would run out of ephemeral ports. */
union address client_next_target(struct client *client, const union address *target);
/* A TCP connection from the next of many loopback addresses, to a loopback address: a socket, or -1
 * with errno. */
int client_connect_from_many(struct client *client, const union address *to);

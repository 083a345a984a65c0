#include "server/tunnel_census.h"

#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "control/api.h"
#include "server/grant.h"
#include "server/tunnel.h"
#include "server/worker.h"

#define SECOND 1000000u

/* --- A round: every worker is asked, and the last answer ends it --- */

struct found {
    struct api_tunnel tunnel; /* its texts are the three below */
    char owner[129], address[ADDRESS_TEXT_MAX], token[37];
};

struct round;

/* One worker's part, which goes there and back. */
struct part {
    struct loop_message message; /* first */
    struct round *round;
    struct worker *worker;
    struct found *found;
    size_t count, room;
    bool has_closed, has_failed;
};

struct round {
    struct loop *main_loop;
    size_t left;                      /* parts that are on their way */
    void (*visit)(struct part *part); /* on the worker's thread */
    void (*finish)(struct round *round);
    char owner[129];
    bool of_all;
    uint64_t id;
    void (*each)(void *user, const struct api_tunnel *tunnel);
    union {
        void (*listed)(void *user);
        void (*closed)(void *user, bool found);
    } on;
    void *user;
    size_t count;
    struct part parts[];
};

static void come_back(struct loop_message *message)
{
    struct round *round = ((struct part *)message)->round;
    if (--round->left)
        return;
    round->finish(round);
    for (size_t i = 0; i < round->count; i++)
        free(round->parts[i].found);
    free(round);
}

static void arrive(struct loop_message *message)
{
    struct part *part = (struct part *)message;
    part->round->visit(part);
    part->message.run = come_back;
    loop_post(part->round->main_loop, &part->message);
}

static struct round *new_round(struct loop *main_loop, size_t count, void *user)
{
    struct round *round = calloc(1, sizeof *round + count * sizeof *round->parts);
    if (!round)
        return NULL;
    round->main_loop = main_loop;
    round->count = round->left = count;
    round->user = user;
    return round;
}

static void start(struct round *round, struct worker *const *workers)
{
    for (size_t i = 0; i < round->count; i++) {
        struct part *part = &round->parts[i];
        part->round = round;
        part->worker = workers[i];
        part->message.run = arrive;
        loop_post(workers[i]->loop, &part->message);
    }
}

/* --- Listing --- */

/* Microseconds. The session measures while much is sent, and old devices not at all; TCP always
 * does. */
static uint32_t measure(const struct tunnel *tunnel, const struct plex_stats *stats)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    if (stats->rtt_min || !tunnel->conn)
        return stats->rtt_min;
    bool is_known = getsockopt(conn_fd(tunnel->conn), IPPROTO_TCP, TCP_INFO, &info, &size) == 0;
    return is_known ? info.tcpi_rtt : 0;
}

static void fill(const struct tunnel *tunnel, struct found *found)
{
    struct plex_stats stats;
    uint64_t age = loop_now(tunnel->worker->loop) - tunnel->opened_at;
    plex_session_stats(tunnel->session, &stats);
    snprintf(found->owner, sizeof found->owner, "%s", tunnel->owner);
    snprintf(found->token, sizeof found->token, "%s",
             tunnel->grant ? tunnel->grant->token_uuid : "");
    address_format(&tunnel->peer, found->address);
    found->tunnel = (struct api_tunnel){
        .id = tunnel->id,
        .since = (uint64_t)time(NULL) - age / SECOND,
        .rtt = measure(tunnel, &stats),
        .substreams = tunnel->substreams,
        .bytes_in = stats.bytes_in,
        .bytes_out = stats.bytes_out,
    };
}

static struct found *add(struct part *part)
{
    if (part->count == part->room) {
        size_t room = part->room ? part->room * 2 : 64;
        struct found *grown = realloc(part->found, room * sizeof *grown);
        if (!grown)
            return NULL;
        part->found = grown;
        part->room = room;
    }
    return &part->found[part->count++];
}

static void visit_to_list(struct part *part)
{
    const struct round *round = part->round;
    for (const struct tunnel *tunnel = part->worker->tunnels; tunnel; tunnel = tunnel->next) {
        if (!tunnel->owner || (!round->of_all && strcmp(tunnel->owner, round->owner) != 0))
            continue;
        struct found *found = add(part);
        if (!found) {
            part->has_failed = true;
            return;
        }
        fill(tunnel, found);
    }
}

static void finish_list(struct round *round)
{
    for (size_t i = 0; i < round->count; i++) {
        struct part *part = &round->parts[i];
        if (part->has_failed)
            log_write(LOG_ERROR, LOG_NO_FIELDS, "a list of tunnels isn't complete: out of memory");
        for (size_t j = 0; j < part->count; j++) {
            struct found *found = &part->found[j];
            found->tunnel.owner = found->owner;
            found->tunnel.address = found->address;
            found->tunnel.token = found->token;
            round->each(round->user, &found->tunnel);
        }
    }
    round->on.listed(round->user);
}

int tunnel_census_list(struct worker *const *workers, size_t count, struct loop *main_loop,
                       const char *owner, void (*each)(void *user, const struct api_tunnel *tunnel),
                       void (*on_done)(void *user), void *user)
{
    struct round *round = new_round(main_loop, count, user);
    if (!round)
        return -1;
    round->visit = visit_to_list;
    round->finish = finish_list;
    round->of_all = !owner;
    snprintf(round->owner, sizeof round->owner, "%s", owner ? owner : "");
    round->each = each;
    round->on.listed = on_done;
    start(round, workers);
    return 0;
}

/* --- Closing one --- */

static void visit_to_close(struct part *part)
{
    for (struct tunnel *tunnel = part->worker->tunnels; tunnel; tunnel = tunnel->next) {
        if (tunnel->id != part->round->id)
            continue;
        part->has_closed = true;
        tunnel_close(tunnel, "closed by the operator");
        return;
    }
}

static void finish_close(struct round *round)
{
    bool found = false;
    for (size_t i = 0; i < round->count; i++)
        found |= round->parts[i].has_closed;
    round->on.closed(round->user, found);
}

int tunnel_census_close(struct worker *const *workers, size_t count, struct loop *main_loop,
                        uint64_t id, void (*on_done)(void *user, bool found), void *user)
{
    struct round *round = new_round(main_loop, count, user);
    if (!round)
        return -1;
    round->visit = visit_to_close;
    round->finish = finish_close;
    round->id = id;
    round->on.closed = on_done;
    start(round, workers);
    return 0;
}

/* --- Ending those of a grant --- */

struct end_order {
    struct loop_message message; /* first */
    struct worker *worker;
    char owner[129];
    uint64_t token;
    bool logins_only, busy_only;
    char login[JWT_JTI_MAX + 1]; /* "": any */
    const char *reason;
};

static bool is_login(const struct grant *grant, const char *login)
{
    return !grant->token && (!*login || !strcmp(grant->login, login));
}

static bool is_meant(const struct end_order *order, const struct tunnel *tunnel)
{
    const struct grant *grant = tunnel->grant;
    return grant && !strcmp(grant->owner, order->owner) &&
           (!order->token || grant->token == order->token) &&
           (!order->logins_only || is_login(grant, order->login)) &&
           (!order->busy_only || tunnel->substreams);
}

static void end_tunnels(struct loop_message *message)
{
    struct end_order *order = (struct end_order *)message;
    for (struct tunnel *tunnel = order->worker->tunnels, *next; tunnel; tunnel = next) {
        next = tunnel->next;
        if (is_meant(order, tunnel))
            tunnel_close(tunnel, order->reason);
    }
    free(order);
}

void tunnel_census_end(struct worker *const *workers, size_t count,
                       const struct tunnel_census_grant *whom)
{
    for (size_t i = 0; i < count; i++) {
        struct end_order *order = calloc(1, sizeof *order);
        if (!order)
            abort(); /* some 200 bytes for an order that must not be lost: a token was revoked */
        order->message.run = end_tunnels;
        order->worker = workers[i];
        order->token = whom->token;
        order->logins_only = whom->login;
        order->busy_only = whom->busy_only;
        order->reason = whom->reason;
        snprintf(order->owner, sizeof order->owner, "%s", whom->owner);
        snprintf(order->login, sizeof order->login, "%s", whom->login ? whom->login : "");
        loop_post(workers[i]->loop, &order->message);
    }
}

#include "net/dial.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "net/timer.h"

#define ATTEMPT_DELAY 250000u /* RFC 8305, section 8: Connection Attempt Delay */
/* Longer hosts than DNS can carry are cut in messages. */
#define MESSAGE_MAX 512

#define REFUSED 1 /* a candidate's error when on_judge said no; else 0 or a negative errno */

struct candidate {
    union address address;
    struct conn *conn; /* while its attempt is under way */
    int error;
};

struct dial {
    struct loop *loop;
    const struct dial_callbacks *callbacks;
    void *user;
    struct resolve_query *query; /* more addresses may come */
    struct candidate
        *candidates; /* &single for a literal; of a name RESOLVE_ADDRESSES_MAX, malloced */
    unsigned count;
    unsigned next;     /* the first that wasn't tried */
    unsigned attempts; /* under way */
    int lookup_error;  /* RESOLVE_* */
    uint16_t port;
    bool looked_up;
    bool is_calling; /* on_lookup, which may cancel */
    bool is_cancelled;
    struct timer deadline;
    struct timer pause; /* between two attempts */
    struct loop_deferred failure;
    struct candidate single;
    char host[];
};

#define CONTAINER(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/* Ends everything but the memory; `kept` isn't closed. */
static void dial_stop(struct dial *dial, const struct conn *kept)
{
    for (unsigned i = 0; i < dial->next && dial->attempts; i++) {
        struct candidate *candidate = &dial->candidates[i];
        if (candidate->conn) {
            if (candidate->conn != kept) {
                conn_abort(candidate->conn);
            }
            candidate->conn = NULL;
            dial->attempts--;
        }
    }
    resolve_cancel(dial->query);
    dial->query = NULL;
    timer_stop(&dial->deadline);
    timer_stop(&dial->pause);
    loop_undefer(dial->loop, &dial->failure);
}

static void dial_free(struct dial *dial)
{
    if (dial->candidates != &dial->single) {
        free(dial->candidates);
    }
    free(dial);
}

void dial_cancel(struct dial *dial)
{
    if (!dial) {
        return;
    }
    dial_stop(dial, NULL);
    if (dial->is_calling) {
        dial->is_cancelled = true;
        return;
    }
    dial_free(dial);
}

/* ---- what to say of a failure ---- */

/* Says something of this machine, not of the target. */
static bool is_local(int error)
{
    return error == -ENETUNREACH || error == -EADDRNOTAVAIL || error == -EAFNOSUPPORT;
}

/* The candidate whose error stands for all; NULL when none was dialled. */
static const struct candidate *failed_candidate(const struct dial *dial)
{
    const struct candidate *first = NULL;
    for (unsigned i = 0; i < dial->next; i++) {
        const struct candidate *candidate = &dial->candidates[i];
        if (candidate->error < 0 && !is_local(candidate->error)) {
            return candidate;
        }
        if (candidate->error < 0 && !first) {
            first = candidate;
        }
    }
    return first;
}

static void describe_failure(const struct dial *dial, char code[32], char message[MESSAGE_MAX])
{
    char text[ADDRESS_TEXT_MAX];
    const struct candidate *candidate = failed_candidate(dial);
    if (!candidate && dial->lookup_error) {
        snprintf(code, 32, "%s", resolve_error_code(dial->lookup_error));
        snprintf(message, MESSAGE_MAX, "getaddrinfo %s %s", code, dial->host);
        return;
    }
    if (candidate) {
        uv_err_name_r(candidate->error, code, 32);
    } else {
        snprintf(code, 32, "%s", dial->count ? "EACCES" : "ETIMEDOUT");
        /* A device that asked for a name isn't told which address of ours it leads to. */
        candidate = dial->candidates == &dial->single ? &dial->candidates[0] : NULL;
    }
    if (candidate) {
        snprintf(message, MESSAGE_MAX, "connect %s %s", code,
                 address_format_plain(&candidate->address, text));
    } else {
        snprintf(message, MESSAGE_MAX, "connect %s %.300s:%u", code, dial->host, dial->port);
    }
}

static void dial_fail(struct dial *dial)
{
    char code[32], message[MESSAGE_MAX];
    const struct dial_callbacks *callbacks = dial->callbacks;
    void *user = dial->user;
    describe_failure(dial, code, message);
    dial_stop(dial, NULL);
    dial_free(dial);
    callbacks->on_failed(user, code, message);
}

static void failure_run(struct loop_deferred *failure)
{
    dial_fail(CONTAINER(failure, struct dial, failure));
}

static void deadline_run(struct timer *timer)
{
    struct dial *dial = CONTAINER(timer, struct dial, deadline);
    for (unsigned i = 0; i < dial->next; i++) {
        if (dial->candidates[i].conn) {
            dial->candidates[i].error = -ETIMEDOUT;
        }
    }
    dial_fail(dial);
}

/* ---- attempts ---- */

static const struct conn_callbacks attempt_callbacks;

/* Begins the next attempt that can be begun; fails, at the end of this turn, when nothing is left
 * to wait for. */
static void dial_advance(struct dial *dial)
{
    timer_stop(&dial->pause);
    while (dial->next < dial->count) {
        struct candidate *candidate = &dial->candidates[dial->next++];
        if (!dial->callbacks->on_judge(dial->user, &candidate->address)) {
            candidate->error = REFUSED;
            continue;
        }
        candidate->error = conn_connect(dial->loop, &candidate->address, &attempt_callbacks, dial,
                                        &candidate->conn);
        if (candidate->error < 0) {
            candidate->conn = NULL;
            continue;
        }
        dial->attempts++;
        if (dial->next < dial->count) {
            timer_start(&dial->pause, loop_now(dial->loop) + ATTEMPT_DELAY);
        }
        return;
    }
    if (!dial->attempts && !dial->query) {
        loop_defer(dial->loop, &dial->failure);
    }
}

static void pause_over(struct timer *timer)
{
    dial_advance(CONTAINER(timer, struct dial, pause));
}

static struct candidate *candidate_of(struct dial *dial, const struct conn *conn)
{
    for (unsigned i = 0;; i++) {
        if (dial->candidates[i].conn == conn) {
            return &dial->candidates[i];
        }
    }
}

static void attempt_ready(struct conn *conn)
{
    struct dial *dial = conn_user(conn);
    const struct dial_callbacks *callbacks = dial->callbacks;
    void *user = dial->user;
    union address address = candidate_of(dial, conn)->address;
    dial_stop(dial, conn);
    dial_free(dial);
    conn_set_callbacks(conn, NULL, NULL);
    callbacks->on_connected(user, conn, &address);
}

static void attempt_failed(struct conn *conn)
{
    struct dial *dial = conn_user(conn);
    struct candidate *candidate = candidate_of(dial, conn);
    candidate->error = conn_error(conn);
    candidate->conn = NULL;
    dial->attempts--;
    conn_abort(conn);
    dial_advance(dial);
}

static const struct conn_callbacks attempt_callbacks = {
    .on_ready = attempt_ready,
    .on_failed = attempt_failed,
};

/* ---- candidates ---- */

static bool candidate_is_known(const struct dial *dial, const union address *address)
{
    for (unsigned i = 0; i < dial->count; i++) {
        if (address_equal(&dial->candidates[i].address, address)) {
            return true;
        }
    }
    return false;
}

/* Orders what wasn't tried: families in turn, beginning with the one that wasn't last (RFC 8305,
 * section 4), each in its own order. */
static void interleave(struct dial *dial)
{
    sa_family_t last = AF_INET; /* so that IPv6 begins */
    if (dial->next) {
        last = dial->candidates[dial->next - 1].address.any.sa_family;
    }
    for (unsigned i = dial->next; i < dial->count; i++) {
        unsigned found = i;
        while (found < dial->count && dial->candidates[found].address.any.sa_family == last) {
            found++;
        }
        if (found < dial->count) {
            struct candidate moved = dial->candidates[found];
            memmove(&dial->candidates[i + 1], &dial->candidates[i],
                    (found - i) * sizeof(dial->candidates[0]));
            dial->candidates[i] = moved;
        }
        last = dial->candidates[i].address.any.sa_family;
    }
}

/* False without memory. */
static bool candidates_add(struct dial *dial, const union address *addresses, size_t count)
{
    if (!dial->candidates) {
        dial->candidates = calloc(RESOLVE_ADDRESSES_MAX, sizeof(dial->candidates[0]));
        if (!dial->candidates) {
            return false;
        }
    }
    for (size_t i = 0; i < count && dial->count < RESOLVE_ADDRESSES_MAX; i++) {
        union address address = address_unmap(&addresses[i]);
        address_set_port(&address, dial->port);
        if (!candidate_is_known(dial, &address)) {
            dial->candidates[dial->count++] = (struct candidate){.address = address};
        }
    }
    interleave(dial);
    return true;
}

static bool report_lookup(struct dial *dial)
{
    if (dial->looked_up) {
        return true;
    }
    dial->looked_up = true;
    dial->is_calling = true;
    dial->callbacks->on_lookup(dial->user);
    dial->is_calling = false;
    if (dial->is_cancelled) {
        dial_free(dial);
        return false;
    }
    return true;
}

static void resolved(void *user, int error, const union address *addresses, size_t count)
{
    struct dial *dial = user;
    if (error != RESOLVE_PARTIAL) {
        dial->query = NULL;
    }
    if (!report_lookup(dial)) {
        return;
    }
    if (error < 0) {
        dial->lookup_error = error;
    } else if (!candidates_add(dial, addresses, count)) {
        dial->lookup_error = RESOLVE_NO_MEMORY;
    }
    if (!dial->attempts) {
        dial_advance(dial);
    } else if (dial->next < dial->count && !timer_is_running(&dial->pause)) {
        timer_start(&dial->pause, loop_now(dial->loop) + ATTEMPT_DELAY);
    }
}

int dial_start(struct loop *loop, struct resolver *resolver, const char *host, uint16_t port,
               uint64_t timeout, const struct dial_callbacks *callbacks, void *user,
               struct dial **ret_dial)
{
    size_t host_size = strlen(host) + 1;
    struct dial *dial = calloc(1, sizeof(*dial) + host_size);
    if (!dial) {
        return -ENOMEM;
    }
    dial->loop = loop;
    dial->callbacks = callbacks;
    dial->user = user;
    dial->port = port;
    dial->failure.run = failure_run;
    memcpy(dial->host, host, host_size);
    timer_init(&dial->deadline, loop, deadline_run);
    timer_init(&dial->pause, loop, pause_over);

    if (address_from_host(host, port, &dial->single.address) == 0) {
        dial->single.address = address_unmap(&dial->single.address);
        dial->candidates = &dial->single;
        dial->count = 1;
        dial_advance(dial);
    } else if (resolve_start(resolver, host, resolved, dial, &dial->query) != RESOLVE_OK) {
        dial_free(dial);
        return -ENOMEM;
    }
    if (timeout) {
        timer_start(&dial->deadline, loop_now(loop) + timeout);
    }
    *ret_dial = dial;
    return 0;
}

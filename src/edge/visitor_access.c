/* Who may visit a socket: by address, certificate, name and password; and how often, how many at
 * once, and how much. Asked where the visitor is to be served, before anything is opened. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/credentials.h"
#include "edge/guard.h"
#include "edge/visitor.h"

/* A subject that is longer isn't passed on, nor is it cut, for it could become another's. */
#define SUBJECT_MAX 2048

/* Why somebody isn't let in; wait: microseconds until it may be tried again, 0: not known. */
struct refusal {
    enum page page;
    uint64_t wait;
};

/* --- What is asked --- */

static const struct socket_access *access_of(const struct visitor *visitor)
{
    static const struct socket_access everybody;
    return visitor->facts->access ? visitor->facts->access : &everybody;
}

static bool refuse(struct refusal *refusal, enum page page, uint64_t wait)
{
    *refusal = (struct refusal){page, wait};
    return false;
}

/* The CAs may have changed since, and the socket is perhaps another than the handshake's. */
static bool is_certified(const struct visitor *visitor)
{
    const char *wanted = access_of(visitor)->client_ca;
    if (!wanted)
        return true;
    return visitor->certified && (visitor->certified == visitor->facts ||
                                  strcmp(visitor->certified->access->client_ca, wanted) == 0);
}

/* What costs nobody but the visitor. */
static bool may_ask(struct visitor *visitor, struct refusal *refusal)
{
    const struct edge *edge = visitor->edge;
    const struct socket_access *access = access_of(visitor);
    if (!socket_access_admits(access, &visitor->visitor))
        return refuse(refusal, PAGE_FORBIDDEN, 0);
    if (!is_certified(visitor))
        return refuse(refusal, PAGE_NO_CERTIFICATE, 0);
    if (!access->visitor_rate || !edge->host.guard)
        return true;
    uint64_t wait = rate_table_take(guard_rates(edge->host.guard), visitor->facts->id,
                                    &visitor->visitor, access->visitor_rate, loop_now(edge->loop));
    return !wait || refuse(refusal, PAGE_RATE_LIMITED, wait);
}

static bool take_place(struct visitor *visitor)
{
    struct socket_load *load = visitor->facts->load;
    uint32_t most = access_of(visitor)->max_connections;
    if (visitor->load == load)
        return true;
    visitor_leave_place(visitor);
    unsigned before = atomic_fetch_add_explicit(&load->visitors, 1, memory_order_relaxed);
    if (most && before >= most) {
        atomic_fetch_sub_explicit(&load->visitors, 1, memory_order_relaxed);
        return false;
    }
    visitor->load = socket_load_ref(load);
    return true;
}

/* What all visitors of the socket share, so that who isn't let in can't use it up. */
static bool may_enter(struct visitor *visitor, struct refusal *refusal)
{
    const struct edge_host *host = &visitor->edge->host;
    uint32_t rate = access_of(visitor)->rate;
    if (host->is_exhausted && host->is_exhausted(host->user, visitor->facts))
        return refuse(refusal, PAGE_QUOTA_EXCEEDED, 0);
    if (!take_place(visitor))
        return refuse(refusal, PAGE_FULL, 0);
    uint64_t wait =
        rate ? bucket_take(&visitor->facts->load->requests, rate, loop_now(visitor->edge->loop))
             : 0;
    return !wait || refuse(refusal, PAGE_RATE_LIMITED, wait);
}

void visitor_leave_place(struct visitor *visitor)
{
    if (!visitor->load)
        return;
    atomic_fetch_sub_explicit(&visitor->load->visitors, 1, memory_order_relaxed);
    socket_load_unref(visitor->load);
    visitor->load = NULL;
}

/* --- Requests --- */

/* The socket's name as a quoted string (RFC 9110 5.6.4), or its host name, where a header can't say
 * that name. */
static void write_realm(const struct socket_facts *facts, char *buffer, size_t size)
{
    size_t used = 0;
    for (const char *at = facts->name; *at; at++) {
        if (*at < ' ' || *at > '~' || used + 3 > size) {
            snprintf(buffer, size, "%s", facts->hostname);
            return;
        }
        if (*at == '"' || *at == '\\')
            buffer[used++] = '\\';
        buffer[used++] = *at;
    }
    buffer[used] = 0;
}

static void refuse_request(struct visitor *visitor, const struct refusal *refusal)
{
    char realm[REGISTRY_HOST_MAX + 1], value[sizeof realm + 64];
    const char *name = NULL;
    if (refusal->page == PAGE_UNAUTHORIZED) {
        name = "WWW-Authenticate";
        write_realm(visitor->facts, realm, sizeof realm);
        snprintf(value, sizeof value, "Basic realm=\"%s\", charset=\"UTF-8\"", realm);
    } else if (refusal->wait) {
        name = "Retry-After";
        snprintf(value, sizeof value, "%llu",
                 (unsigned long long)(refusal->wait + 999999) / 1000000);
    }
    visitor_answer_with(visitor, refusal->page, visitor->facts->hostname, name, value);
}

void visitor_keep_credentials(struct visitor *visitor, const struct http_request *request)
{
    visitor_forget_credentials(visitor);
    visitor->access = VISITOR_ACCESS_NEW;
    if (access_of(visitor)->is_protected)
        visitor->authorization = strdup(request->authorization); /* NULL: as if there was none */
}

void visitor_forget_credentials(struct visitor *visitor)
{
    if (!visitor->authorization)
        return;
    explicit_bzero(visitor->authorization, strlen(visitor->authorization));
    free(visitor->authorization);
    visitor->authorization = NULL;
}

void visitor_proved(struct visitor *visitor, enum proof_result result, uint64_t wait)
{
    visitor->proof_wait = wait;
    visitor->access = result == PROOF_RIGHT   ? VISITOR_ACCESS_PROVED
                      : result == PROOF_WRONG ? VISITOR_ACCESS_WRONG
                                              : VISITOR_ACCESS_LATER;
    visitor_work(visitor);
}

static enum proof_result prove(struct visitor *visitor, uint64_t *ret_wait)
{
    const struct socket_access *access = access_of(visitor);
    struct credentials credentials;
    if (!access->is_protected)
        return PROOF_RIGHT;
    if (!visitor->authorization || !access->username || !access->password_hash ||
        credentials_parse(visitor->authorization, &credentials) < 0)
        return PROOF_WRONG;
    enum proof_result result = proof_begin(visitor, &credentials, ret_wait);
    credentials_wipe(&credentials);
    return result;
}

static void begin_proof(struct visitor *visitor)
{
    uint64_t wait = 0;
    enum proof_result result = prove(visitor, &wait);
    visitor_forget_credentials(visitor);
    visitor->proof_wait = wait;
    visitor->access = result == PROOF_RIGHT     ? VISITOR_ACCESS_PROVED
                      : result == PROOF_WRONG   ? VISITOR_ACCESS_WRONG
                      : result == PROOF_PENDING ? VISITOR_ACCESS_PROVING
                                                : VISITOR_ACCESS_LATER;
}

bool visitor_admit_request(struct visitor *visitor)
{
    struct refusal refusal;
    if (visitor->access == VISITOR_ACCESS_NEW) {
        if (!may_ask(visitor, &refusal)) {
            refuse_request(visitor, &refusal);
            return false;
        }
        begin_proof(visitor);
    }
    switch ((enum visitor_access)visitor->access) {
    case VISITOR_ACCESS_NEW:
    case VISITOR_ACCESS_PROVING:
        visitor->needs_route = true;
        return false;
    case VISITOR_ACCESS_PROVED:
        if (may_enter(visitor, &refusal))
            return true;
        break;
    case VISITOR_ACCESS_WRONG:
        refusal = (struct refusal){PAGE_UNAUTHORIZED, 0};
        break;
    case VISITOR_ACCESS_LATER:
        refusal = (struct refusal){PAGE_GUESSED, visitor->proof_wait};
        break;
    }
    refuse_request(visitor, &refusal);
    return false;
}

/* --- Connections --- */

static void refuse_connection(struct visitor *visitor, enum page page)
{
    visitor_count_page(visitor, page);
    visitor_close(visitor, false, page_code(page));
}

/* Before it costs a handshake. */
bool visitor_admit_address(struct visitor *visitor)
{
    if (socket_access_admits(visitor->facts->access, &visitor->visitor))
        return true;
    refuse_connection(visitor, PAGE_FORBIDDEN);
    return false;
}

/* Where no password can be asked for, none can be right. */
bool visitor_admit_connection(struct visitor *visitor)
{
    struct refusal refusal = {PAGE_UNAUTHORIZED, 0};
    if (!access_of(visitor)->is_protected && may_ask(visitor, &refusal) &&
        may_enter(visitor, &refusal))
        return true;
    refuse_connection(visitor, refusal.page);
    return false;
}

/* --- Certificates --- */

bool visitor_require_certificate(struct visitor *visitor)
{
    struct edge *edge = visitor->edge;
    const char *pem = visitor->facts ? access_of(visitor)->client_ca : NULL;
    if (!pem)
        return true;
    struct tls_authority *authority = authorities_find(&edge->authorities, pem);
    if (!authority || conn_require_certificate(visitor->conn, authority) < 0) {
        visitor_close(visitor, false, "NO_CLIENT_CA");
        return false;
    }
    visitor->certified = socket_facts_ref(visitor->facts);
    return true;
}

const char *visitor_subject(struct visitor *visitor)
{
    if (!visitor->certified || !access_of(visitor)->client_ca)
        return NULL;
    if (!visitor->subject)
        visitor->subject = conn_tls_peer_subject(visitor->conn);
    return visitor->subject && strlen(visitor->subject) <= SUBJECT_MAX ? visitor->subject : NULL;
}

/* --- Bytes --- */

/* Told in such portions, so that who counts them isn't asked for each packet. */
#define MOVED_PORTION 262144

void visitor_tell_moved(struct visitor *visitor)
{
    const struct edge_host *host = &visitor->edge->host;
    if (visitor->moved && host->moved && visitor->facts)
        host->moved(host->user, visitor->facts, visitor->moved);
    visitor->moved = 0;
}

void visitor_note_moved(struct visitor *visitor, size_t length)
{
    visitor->moved += length;
    if (visitor->moved >= MOVED_PORTION)
        visitor_tell_moved(visitor);
}

#include "edge/proof.h"

#include <stdlib.h>
#include <string.h>

#include "edge/credentials.h"
#include "edge/guard.h"
#include "edge/visitor.h"
#include "net/pki.h"
#include "net/secret.h"

/* When there is too much to check: as long as all that waits takes. */
#define BUSY_WAIT UINT64_C(2000000)

struct proof {
    struct guard_check check; /* first */
    struct edge *edge;
    struct proof *next;
    struct visitor *waiting;
    struct socket_facts *facts; /* reference; has the hash */
    struct credentials credentials;
    unsigned char digest[PROVED_SIZE];
};

static void unlink_proof(struct proof *proof)
{
    struct proof **at = &proof->edge->proofs;
    while (*at != proof)
        at = &(*at)->next;
    *at = proof->next;
}

static void free_proof(struct proof *proof)
{
    credentials_wipe(&proof->credentials);
    socket_facts_unref(proof->facts);
    free(proof);
}

/* The guard never looked at it: it is being stopped, and so are we. */
static enum proof_result result_of(const struct proof *proof, uint64_t *ret_wait)
{
    *ret_wait = BUSY_WAIT;
    switch (proof->check.verdict) {
    case GUARD_RIGHT:
        return PROOF_RIGHT;
    case GUARD_WRONG:
        return PROOF_WRONG;
    case GUARD_LATER:
        *ret_wait = proof->check.wait;
        break;
    case GUARD_UNKNOWN:
        break;
    }
    return PROOF_LATER;
}

static void on_done(struct work *work)
{
    struct proof *proof = (struct proof *)work;
    struct visitor *visitor;
    uint64_t wait;
    enum proof_result result = result_of(proof, &wait);
    unlink_proof(proof); /* who comes from now on isn't to wait for it */
    if (result == PROOF_RIGHT)
        proved_add(proof->edge->proved, proof->digest, loop_now(proof->edge->loop));
    while ((visitor = proof->waiting)) {
        proof->waiting = visitor->next_waiting;
        visitor->proof = NULL;
        visitor_proved(visitor, result, wait);
    }
    free_proof(proof);
}

/* In a time that tells nothing of where they differ. */
static bool is_same(const struct edge *edge, const char *said, const char *name)
{
    unsigned char a[32], b[32];
    const void *key = edge; /* whatever it is, it is the same for both */
    return secret_hmac(&key, sizeof key, said, strlen(said), a) == 0 &&
           secret_hmac(&key, sizeof key, name, strlen(name), b) == 0 && pki_equal(a, b, sizeof a);
}

/* Each of its connections has a port of its own. */
static union address address_of(const struct visitor *visitor)
{
    union address address = visitor->visitor;
    address_set_port(&address, 0);
    return address;
}

static struct proof *make(struct visitor *visitor, const struct credentials *credentials,
                          const unsigned char digest[PROVED_SIZE])
{
    struct proof *proof = calloc(1, sizeof *proof);
    if (!proof)
        return NULL;
    size_t name_size = strlen(credentials->name) + 1;
    proof->edge = visitor->edge;
    proof->facts = socket_facts_ref(visitor->facts);
    memcpy(proof->digest, digest, sizeof proof->digest);
    memcpy(proof->credentials.text, credentials->text, sizeof proof->credentials.text);
    proof->credentials.name = proof->credentials.text;
    proof->credentials.password = proof->credentials.text + name_size;
    proof->check = (struct guard_check){
        .work = {.done = on_done},
        .password = proof->credentials.password,
        .hash = visitor->facts->access->password_hash,
        .is_known = is_same(visitor->edge, credentials->name, visitor->facts->access->username),
        .visitor = address_of(visitor),
        .now = loop_now(visitor->edge->loop),
    };
    return proof;
}

/* By the same address alone: what one guesses isn't to be another's delay. */
static struct proof *find(const struct visitor *visitor, const unsigned char digest[PROVED_SIZE])
{
    struct proof *proof = visitor->edge->proofs;
    union address address = address_of(visitor);
    while (proof && (memcmp(proof->digest, digest, PROVED_SIZE) != 0 ||
                     !address_equal(&proof->check.visitor, &address)))
        proof = proof->next;
    return proof;
}

static struct proof *start(struct visitor *visitor, const struct credentials *credentials,
                           const unsigned char digest[PROVED_SIZE])
{
    struct edge *edge = visitor->edge;
    struct proof *proof = make(visitor, credentials, digest);
    if (!proof)
        return NULL;
    if (guard_add(edge->host.guard, edge->loop, &proof->check) < 0) {
        free_proof(proof);
        return NULL;
    }
    proof->next = edge->proofs;
    edge->proofs = proof;
    return proof;
}

enum proof_result proof_begin(struct visitor *visitor, const struct credentials *credentials,
                              uint64_t *ret_wait)
{
    struct edge *edge = visitor->edge;
    unsigned char digest[PROVED_SIZE];
    uint64_t now = loop_now(edge->loop);
    *ret_wait = BUSY_WAIT;
    if (!edge->host.guard || proved_digest(edge->proved, visitor->facts, credentials, digest) < 0)
        return PROOF_LATER;
    if (proved_has(edge->proved, digest, now))
        return PROOF_RIGHT;
    uint64_t wait = guard_ask(edge->host.guard, &visitor->visitor, now);
    if (wait) {
        *ret_wait = wait;
        return PROOF_LATER;
    }
    struct proof *proof = find(visitor, digest);
    if (!proof)
        proof = start(visitor, credentials, digest);
    if (!proof)
        return PROOF_LATER;
    visitor->proof = proof;
    visitor->next_waiting = proof->waiting;
    proof->waiting = visitor;
    return PROOF_PENDING;
}

void proof_abandon(struct visitor *visitor)
{
    if (!visitor->proof)
        return;
    struct visitor **at = &visitor->proof->waiting;
    while (*at != visitor)
        at = &(*at)->next_waiting;
    *at = visitor->next_waiting;
    visitor->proof = NULL;
}

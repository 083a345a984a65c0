#include "edge/rate_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bucket.h"
#include "net/pki.h"
#include "net/secret.h"

/* 64 Ki buckets, 1 MiB: as many visitors come within the second or so in which a bucket fills. */
#define SETS 8192
#define WAYS 8

struct slot {
    _Atomic uint64_t key; /* 0: never used */
    struct bucket bucket;
};

struct rate_table {
    unsigned char secret[32]; /* keys are digests under it: nobody can aim at one set */
    struct slot slots[SETS][WAYS];
};

int rate_table_new(struct rate_table **ret_table)
{
    struct rate_table *table = calloc(1, sizeof *table);
    if (!table)
        return -ENOMEM;
    if (pki_random(table->secret, sizeof table->secret) < 0) {
        free(table);
        return -EIO;
    }
    *ret_table = table;
    return 0;
}

void rate_table_free(struct rate_table *table)
{
    free(table);
}

/* 0 without memory. */
static uint64_t make_key(const struct rate_table *table, uint64_t socket,
                         const union address *visitor)
{
    union address plain = address_unmap(visitor);
    unsigned char bytes[sizeof socket + 1 + 8] = {0}, digest[32];
    uint64_t key;
    memcpy(bytes, &socket, sizeof socket);
    bytes[sizeof socket] = (unsigned char)plain.any.sa_family;
    if (plain.any.sa_family == AF_INET)
        memcpy(bytes + sizeof socket + 1, &plain.v4.sin_addr, 4);
    else if (plain.any.sa_family == AF_INET6)
        memcpy(bytes + sizeof socket + 1, &plain.v6.sin6_addr, 8);
    if (secret_hmac(table->secret, sizeof table->secret, bytes, sizeof bytes, digest) < 0)
        return 0;
    memcpy(&key, digest, sizeof key);
    return key ? key : 1;
}

static uint64_t fullness(const struct slot *slot)
{
    return atomic_load_explicit(&slot->bucket.full_at, memory_order_relaxed);
}

/* Threads that meet here may give one visitor two buckets, or a new one what is left of an old
 * one's: that is a token more or less, once. */
static struct slot *find(struct rate_table *table, uint64_t key)
{
    struct slot *set = table->slots[key % SETS], *fullest = set;
    for (size_t i = 0; i < WAYS; i++) {
        if (atomic_load_explicit(&set[i].key, memory_order_relaxed) == key)
            return &set[i];
        if (fullness(&set[i]) < fullness(fullest))
            fullest = &set[i];
    }
    atomic_store_explicit(&fullest->key, key, memory_order_relaxed);
    atomic_store_explicit(&fullest->bucket.full_at, 0, memory_order_relaxed);
    return fullest;
}

uint64_t rate_table_take(struct rate_table *table, uint64_t socket, const union address *visitor,
                         uint32_t rate, uint64_t now)
{
    uint64_t key = make_key(table, socket, visitor);
    return key ? bucket_take(&find(table, key)->bucket, rate, now) : 0;
}

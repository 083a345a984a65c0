#include "server/auth_cache.h"

#include <stdlib.h>
#include <string.h>

/* Without memory a cache remembers less; that is no reason to end the process. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct auth_cache_entry {
    UT_hash_handle hh;
    uint64_t expires;
    unsigned char digest[AUTH_DIGEST_SIZE];
    char owner[]; /* "" for refused ones */
};

void auth_cache_init(struct auth_cache *cache, uint64_t lifetime)
{
    *cache =
        (struct auth_cache){.accepted.lifetime = lifetime, .refused.lifetime = AUTH_CACHE_REFUSED};
}

static void drop(struct auth_cache_part *part, struct auth_cache_entry *entry)
{
    HASH_DEL(part->entries, entry);
    free(entry);
}

void auth_cache_deinit(struct auth_cache *cache)
{
    while (cache->accepted.entries)
        drop(&cache->accepted, cache->accepted.entries);
    while (cache->refused.entries)
        drop(&cache->refused, cache->refused.entries);
}

/* The entry, or NULL; one that has expired is dropped. */
static struct auth_cache_entry *find(struct auth_cache_part *part, const unsigned char *digest,
                                     uint64_t now)
{
    struct auth_cache_entry *entry;
    HASH_FIND(hh, part->entries, digest, AUTH_DIGEST_SIZE, entry);
    if (!entry || now < entry->expires)
        return entry;
    drop(part, entry);
    return NULL;
}

int auth_cache_find(struct auth_cache *cache, const unsigned char digest[AUTH_DIGEST_SIZE],
                    uint64_t now, char ret_owner[AUTH_OWNER_MAX + 1])
{
    struct auth_cache_entry *entry = find(&cache->accepted, digest, now);
    if (entry) {
        memcpy(ret_owner, entry->owner, strlen(entry->owner) + 1);
        return AUTH_ACCEPTED;
    }
    return find(&cache->refused, digest, now) ? AUTH_REFUSED : -1;
}

static void forget(struct auth_cache_part *part, const unsigned char *digest)
{
    struct auth_cache_entry *entry;
    HASH_FIND(hh, part->entries, digest, AUTH_DIGEST_SIZE, entry);
    if (entry)
        drop(part, entry);
}

void auth_cache_add(struct auth_cache *cache, const unsigned char digest[AUTH_DIGEST_SIZE],
                    const char *owner, uint64_t now)
{
    struct auth_cache_part *part = owner ? &cache->accepted : &cache->refused;
    forget(&cache->accepted, digest);
    forget(&cache->refused, digest);
    if (!part->lifetime)
        return;
    while (part->entries &&
           (now >= part->entries->expires || HASH_COUNT(part->entries) >= AUTH_CACHE_MAX))
        drop(part, part->entries);
    size_t length = owner ? strlen(owner) : 0;
    struct auth_cache_entry *entry = calloc(1, sizeof *entry + length + 1);
    if (!entry)
        return;
    entry->expires = now + part->lifetime;
    memcpy(entry->digest, digest, AUTH_DIGEST_SIZE);
    memcpy(entry->owner, owner ? owner : "", length + 1);
    HASH_ADD(hh, part->entries, digest, AUTH_DIGEST_SIZE, entry);
    if (!entry->hh.tbl)
        free(entry); /* uthash had no memory for its table */
}

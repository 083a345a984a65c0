#include "net/resolve_cache.h"

#include <stdlib.h>
#include <string.h>

/* Without memory an element isn't added; uthash would end the process. */
#define HASH_NONFATAL_OOM            1
#define uthash_nonfatal_oom(element) ((element)->lost = true)
#include <uthash.h>

struct entry {
    UT_hash_handle hh;
    bool lost;
    struct resolve_answer *answer;
    char name[];
};

/* uthash keeps the order in which elements were added: whoever is used is added again, so the first
 * is the one that was unused longest. */
struct resolve_cache {
    struct entry *entries;
    size_t capacity;
};

struct resolve_answer *resolve_answer_new(int error, const union address *addresses, size_t count,
                                          uint64_t expires)
{
    struct resolve_answer *answer = malloc(sizeof(*answer) + count * sizeof(addresses[0]));
    if (!answer) {
        return NULL;
    }
    *answer = (struct resolve_answer){
        .references = 1, .error = error, .expires = expires, .count = count};
    if (count) {
        memcpy(answer->addresses, addresses, count * sizeof(addresses[0]));
    }
    return answer;
}

struct resolve_answer *resolve_answer_ref(struct resolve_answer *answer)
{
    answer->references++;
    return answer;
}

void resolve_answer_unref(struct resolve_answer *answer)
{
    if (answer && --answer->references == 0) {
        free(answer);
    }
}

struct resolve_cache *resolve_cache_new(size_t capacity)
{
    struct resolve_cache *cache = calloc(1, sizeof(*cache));
    if (cache) {
        cache->capacity = capacity;
    }
    return cache;
}

static void entry_free(struct entry *entry)
{
    resolve_answer_unref(entry->answer);
    free(entry);
}

static void entry_drop(struct resolve_cache *cache, struct entry *entry)
{
    HASH_DEL(cache->entries, entry);
    entry_free(entry);
}

/* As the youngest. False without memory; the entry is gone then. */
static bool entry_add(struct resolve_cache *cache, struct entry *entry)
{
    entry->lost = false;
    HASH_ADD_KEYPTR(hh, cache->entries, entry->name, strlen(entry->name), entry);
    if (entry->lost) {
        entry_free(entry);
        return false;
    }
    return true;
}

static struct entry *entry_find(struct resolve_cache *cache, const char *name)
{
    struct entry *entry;
    HASH_FIND(hh, cache->entries, name, strlen(name), entry);
    return entry;
}

struct resolve_answer *resolve_cache_find(struct resolve_cache *cache, const char *name,
                                          uint64_t now)
{
    struct entry *entry = entry_find(cache, name);
    if (!entry) {
        return NULL;
    }
    if (entry->answer->expires <= now) {
        entry_drop(cache, entry);
        return NULL;
    }
    HASH_DEL(cache->entries, entry);
    return entry_add(cache, entry) ? entry->answer : NULL;
}

void resolve_cache_store(struct resolve_cache *cache, const char *name,
                         struct resolve_answer *answer)
{
    struct entry *entry = entry_find(cache, name);
    if (entry) {
        entry_drop(cache, entry);
    }
    if (HASH_COUNT(cache->entries) >= cache->capacity) {
        entry_drop(cache, cache->entries);
    }
    size_t size = strlen(name) + 1;
    entry = calloc(1, sizeof(*entry) + size);
    if (!entry) {
        return;
    }
    memcpy(entry->name, name, size);
    entry->answer = resolve_answer_ref(answer);
    (void)entry_add(cache, entry);
}

void resolve_cache_clear(struct resolve_cache *cache)
{
    while (cache->entries) {
        entry_drop(cache, cache->entries);
    }
}

void resolve_cache_free(struct resolve_cache *cache)
{
    if (cache) {
        resolve_cache_clear(cache);
        free(cache);
    }
}

size_t resolve_cache_count(const struct resolve_cache *cache)
{
    return HASH_COUNT(cache->entries);
}

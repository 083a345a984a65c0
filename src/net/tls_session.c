#include "net/tls_session.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* without memory, uthash is to give up the one insertion, not the process */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct entry {
    UT_hash_handle hh; /* the hash keeps the order of insertion; what is used is inserted anew */
    SSL_SESSION *session;
    char key[];
};

struct tls_sessions {
    struct entry *entries;
};

struct tls_sessions *tls_sessions_new(void)
{
    return calloc(1, sizeof(struct tls_sessions));
}

static void free_entry(struct entry *entry)
{
    SSL_SESSION_free(entry->session);
    free(entry);
}

static void drop(struct tls_sessions *sessions, struct entry *entry)
{
    HASH_DEL(sessions->entries, entry);
    free_entry(entry);
}

static void insert(struct tls_sessions *sessions, struct entry *entry)
{
    entry->hh.tbl = NULL;
    HASH_ADD_KEYPTR(hh, sessions->entries, entry->key, strlen(entry->key), entry);
    if (!entry->hh.tbl)
        free_entry(entry);
}

void tls_sessions_free(struct tls_sessions *sessions)
{
    if (!sessions)
        return;
    while (sessions->entries)
        drop(sessions, sessions->entries);
    free(sessions);
}

static int is_expired(const SSL_SESSION *session)
{
    return time(NULL) >= SSL_SESSION_get_time(session) + SSL_SESSION_get_timeout(session);
}

SSL_SESSION *tls_sessions_find(struct tls_sessions *sessions, const char *key)
{
    struct entry *entry;
    HASH_FIND_STR(sessions->entries, key, entry);
    if (!entry)
        return NULL;
    if (is_expired(entry->session) || !SSL_SESSION_is_resumable(entry->session)) {
        drop(sessions, entry);
        return NULL;
    }
    SSL_SESSION *session = entry->session;
    HASH_DEL(sessions->entries, entry);
    insert(sessions, entry);
    return session;
}

void tls_sessions_keep(struct tls_sessions *sessions, const char *key, SSL_SESSION *session)
{
    struct entry *entry;
    size_t size = strlen(key) + 1;
    HASH_FIND_STR(sessions->entries, key, entry);
    if (entry)
        drop(sessions, entry);
    else if (HASH_COUNT(sessions->entries) >= TLS_SESSIONS_MAX)
        drop(sessions, sessions->entries);
    entry = malloc(sizeof *entry + size);
    if (!entry) {
        SSL_SESSION_free(session);
        return;
    }
    entry->session = session;
    memcpy(entry->key, key, size);
    insert(sessions, entry);
}

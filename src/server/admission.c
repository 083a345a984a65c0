#include "server/admission.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

/* 4 bytes of IPv4, or the first 8 of IPv6, and the family to tell them apart. */
struct key {
    uint8_t bytes[8];
    uint8_t family;
};

struct source {
    struct key key;
    uint64_t tunnels, unauthed;
    UT_hash_handle hh;
};

struct admission {
    pthread_mutex_t mutex; /* of all below */
    struct admission_limits limits;
    uint64_t tunnels, unauthed;
    struct source *sources;
};

static struct key key_of(const union address *peer)
{
    struct key key;
    union address plain = address_unmap(peer);
    memset(&key, 0, sizeof key); /* the hash reads every byte */
    key.family = (uint8_t)plain.any.sa_family;
    if (plain.any.sa_family == AF_INET)
        memcpy(key.bytes, &plain.v4.sin_addr, 4);
    else
        memcpy(key.bytes, &plain.v6.sin6_addr, 8);
    return key;
}

int admission_new(struct admission **ret_admission)
{
    struct admission *admission = calloc(1, sizeof *admission);
    if (!admission)
        return -ENOMEM;
    pthread_mutex_init(&admission->mutex, NULL);
    *ret_admission = admission;
    return 0;
}

void admission_free(struct admission *admission)
{
    struct source *source, *next;
    if (!admission)
        return;
    HASH_ITER(hh, admission->sources, source, next)
    {
        HASH_DEL(admission->sources, source);
        free(source);
    }
    pthread_mutex_destroy(&admission->mutex);
    free(admission);
}

void admission_configure(struct admission *admission, const struct admission_limits *limits)
{
    pthread_mutex_lock(&admission->mutex);
    admission->limits = *limits;
    pthread_mutex_unlock(&admission->mutex);
}

static const char *const tunnel_names[] = {"max-tunnels", "max-tunnels-per-address", "max-unauthed",
                                           "max-unauthed-per-address"};

static const char *reached_cap(const struct admission *admission, const struct source *source)
{
    const struct admission_limits *limits = &admission->limits;
    const char *const *names = limits->names ? limits->names : tunnel_names;
    if (admission->tunnels >= limits->tunnels)
        return names[0];
    if (admission->unauthed >= limits->unauthed)
        return names[2];
    if (source && source->tunnels >= limits->tunnels_per_address)
        return names[1];
    if (source && source->unauthed >= limits->unauthed_per_address)
        return names[3];
    return NULL;
}

/* Under the mutex. */
static const char *count_in(struct admission *admission, const struct key *key, bool is_trusted)
{
    struct source *source;
    HASH_FIND(hh, admission->sources, key, sizeof *key, source);
    const char *cap = reached_cap(admission, is_trusted ? NULL : source);
    if (cap)
        return cap;
    if (!source) {
        if (!(source = calloc(1, sizeof *source)))
            return "memory";
        source->key = *key;
        HASH_ADD(hh, admission->sources, key, sizeof source->key, source);
    }
    source->tunnels++;
    source->unauthed++;
    admission->tunnels++;
    admission->unauthed++;
    return NULL;
}

static const char *enter(struct admission *admission, const union address *peer, bool is_trusted)
{
    struct key key = key_of(peer);
    pthread_mutex_lock(&admission->mutex);
    const char *cap = count_in(admission, &key, is_trusted);
    pthread_mutex_unlock(&admission->mutex);
    return cap;
}

const char *admission_enter(struct admission *admission, const union address *peer)
{
    return enter(admission, peer, false);
}

const char *admission_enter_trusted(struct admission *admission, const union address *peer)
{
    return enter(admission, peer, true);
}

void admission_report(struct admission *admission, const union address *peer,
                      enum admission_event event)
{
    struct key key = key_of(peer);
    struct source *source;
    pthread_mutex_lock(&admission->mutex);
    HASH_FIND(hh, admission->sources, &key, sizeof key, source);
    if (source && event != ADMISSION_GONE_AUTHED) {
        source->unauthed--;
        admission->unauthed--;
    }
    if (source && event != ADMISSION_AUTHED) {
        source->tunnels--;
        admission->tunnels--;
        if (source->tunnels == 0) {
            HASH_DEL(admission->sources, source);
            free(source);
        }
    }
    pthread_mutex_unlock(&admission->mutex);
}

uint64_t admission_tunnels(struct admission *admission)
{
    pthread_mutex_lock(&admission->mutex);
    uint64_t tunnels = admission->tunnels;
    pthread_mutex_unlock(&admission->mutex);
    return tunnels;
}

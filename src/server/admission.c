#include "server/admission.h"

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
    struct loop *loop;
    struct admission_limits limits;
    uint64_t tunnels, unauthed;
    struct source *sources;
};

struct report {
    struct loop_message message;
    struct admission *admission;
    struct key key;
    enum admission_event event;
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

int admission_new(struct loop *loop, struct admission **ret_admission)
{
    struct admission *admission = calloc(1, sizeof *admission);
    if (!admission)
        return -1;
    admission->loop = loop;
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
    free(admission);
}

void admission_configure(struct admission *admission, const struct admission_limits *limits)
{
    admission->limits = *limits;
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

static const char *enter(struct admission *admission, const union address *peer, bool is_trusted)
{
    struct key key = key_of(peer);
    struct source *source;
    HASH_FIND(hh, admission->sources, &key, sizeof key, source);
    const char *cap = reached_cap(admission, is_trusted ? NULL : source);
    if (cap)
        return cap;
    if (!source) {
        if (!(source = calloc(1, sizeof *source)))
            return "memory";
        source->key = key;
        HASH_ADD(hh, admission->sources, key, sizeof source->key, source);
    }
    source->tunnels++;
    source->unauthed++;
    admission->tunnels++;
    admission->unauthed++;
    return NULL;
}

const char *admission_enter(struct admission *admission, const union address *peer)
{
    return enter(admission, peer, false);
}

const char *admission_enter_trusted(struct admission *admission, const union address *peer)
{
    return enter(admission, peer, true);
}

static void take_report(struct loop_message *message)
{
    struct report *report = (struct report *)message;
    struct admission *admission = report->admission;
    struct source *source;
    HASH_FIND(hh, admission->sources, &report->key, sizeof report->key, source);
    if (source && report->event != ADMISSION_GONE_AUTHED) {
        source->unauthed--;
        admission->unauthed--;
    }
    if (source && report->event != ADMISSION_AUTHED) {
        source->tunnels--;
        admission->tunnels--;
        if (source->tunnels == 0) {
            HASH_DEL(admission->sources, source);
            free(source);
        }
    }
    free(report);
}

void admission_report(struct admission *admission, const union address *peer,
                      enum admission_event event)
{
    struct report *report = malloc(sizeof *report);
    if (!report)
        abort(); /* a count that is wrong for ever would refuse devices for ever */
    *report = (struct report){.message.run = take_report, .admission = admission, .event = event};
    report->key = key_of(peer);
    loop_post(admission->loop, &report->message);
}

uint64_t admission_tunnels(const struct admission *admission)
{
    return admission->tunnels;
}

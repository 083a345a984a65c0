#include "server/edge_listen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"

#define VISITORS_MIN 64 /* however few descriptors there are */

struct listener {
    struct listening *listening; /* NULL: closed */
    union address address;
    enum edge_entry entry;
};

struct edge_listen {
    struct edge_listen_host host;
    struct admission *admission;
    struct edge_refusals refusals;
    struct listener **listeners;
    size_t count;
};

static const char *const entry_names[] = {
    [EDGE_HTTP] = "edge-http", [EDGE_HTTPS] = "edge-https", [EDGE_SHARED] = "shared-443"};

bool edge_listen_entry_of(const char *name, enum edge_entry *ret_entry)
{
    for (size_t i = 0; i < sizeof entry_names / sizeof *entry_names; i++) {
        if (strcmp(name, entry_names[i]) == 0) {
            *ret_entry = (enum edge_entry)i;
            return true;
        }
    }
    return false;
}

int edge_listen_open(struct edge_listen *listen, enum edge_entry entry,
                     const union address *address, int fd, char *error, size_t error_size)
{
    char text[ADDRESS_TEXT_MAX];
    struct listener *listener = calloc(1, sizeof *listener);
    struct listener **grown =
        realloc(listen->listeners, (listen->count + 1) * sizeof *listen->listeners);
    if (grown)
        listen->listeners = grown;
    if (!grown || !listener) {
        free(listener);
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    listener->entry = entry;
    int result = fd >= 0 ? listening_adopt(fd, &listener->listening)
                         : listening_open(address, &listener->listening);
    if (result < 0) {
        snprintf(error, error_size, "%s: cannot listen on %s: %s", entry_names[entry],
                 fd >= 0 ? "the socket passed" : address_format(address, text), strerror(-result));
        free(listener);
        return -1;
    }
    listen->listeners[listen->count++] = listener;
    listening_address(listener->listening, &listener->address);
    listening_set_keepalive(listener->listening);
    listening_set_defer(listener->listening);
    listen->host.share(listen->host.user, listener->listening, entry);
    log_write(LOG_INFO,
              LOG_FIELDS(LOG_TEXT("listener", entry_names[entry]),
                         LOG_TEXT("address", address_format(&listener->address, text))),
              "listening");
    return 0;
}

/* --- What there is --- */

size_t edge_listen_count(const struct edge_listen *listen)
{
    return listen->count;
}

const union address *edge_listen_address(const struct edge_listen *listen, size_t index,
                                         enum edge_entry *ret_entry)
{
    *ret_entry = listen->listeners[index]->entry;
    return &listen->listeners[index]->address;
}

uint16_t edge_listen_port(const struct edge_listen *listen, enum edge_entry entry)
{
    for (size_t i = 0; i < listen->count; i++)
        if (listen->listeners[i]->entry == entry)
            return address_port(&listen->listeners[i]->address);
    return 0;
}

struct admission *edge_listen_admission(struct edge_listen *listen)
{
    return listen->admission;
}

struct edge_refusals *edge_listen_refusals(struct edge_listen *listen)
{
    return &listen->refusals;
}

/* --- Life --- */

static uint64_t descriptors_for_visitors(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur / 2 < VISITORS_MIN)
        return VISITORS_MIN;
    return files.rlim_cur / 2;
}

void edge_listen_configure(struct edge_listen *listen, const struct config *config)
{
    static const char *const names[] = {"max-visitors", "max-visitors-per-address", "max-visitors",
                                        "max-visitors-per-address"};
    const struct serve_settings *settings = &config->settings;
    uint64_t visitors =
        settings->max_visitors ? settings->max_visitors : descriptors_for_visitors();
    const struct admission_limits limits = {
        .tunnels = visitors,
        .tunnels_per_address = settings->max_visitors_per_address,
        .unauthed = visitors, /* who isn't routed yet has a deadline, and costs no more */
        .unauthed_per_address = settings->max_visitors_per_address,
        .names = names,
    };
    admission_configure(listen->admission, &limits);
}

int edge_listen_new(const struct edge_listen_host *host, struct edge_listen **ret_listen)
{
    struct edge_listen *listen = calloc(1, sizeof *listen);
    if (!listen)
        return -ENOMEM;
    listen->host = *host;
    if (admission_new(&listen->admission) < 0) {
        free(listen);
        return -ENOMEM;
    }
    pthread_mutex_init(&listen->refusals.mutex, NULL);
    *ret_listen = listen;
    return 0;
}

void edge_listen_close(struct edge_listen *listen)
{
    for (size_t i = 0; i < listen->count; i++) {
        struct listener *listener = listen->listeners[i];
        if (listener->listening)
            listening_stop(listener->listening);
        listening_unref(listener->listening);
        listener->listening = NULL;
    }
}

void edge_listen_free(struct edge_listen *listen)
{
    if (!listen)
        return;
    for (size_t i = 0; i < listen->count; i++)
        free(listen->listeners[i]);
    free(listen->listeners);
    admission_free(listen->admission);
    pthread_mutex_destroy(&listen->refusals.mutex);
    free(listen);
}

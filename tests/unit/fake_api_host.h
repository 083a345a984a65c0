/* The server as the API sees it, in memory: sockets, live tunnels, mails. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/api.h"

#define FAKE_SOCKETS_MAX 1100

struct fake_host {
    struct loop *loop;
    struct socket_facts *sockets[FAKE_SOCKETS_MAX];
    size_t agents[FAKE_SOCKETS_MAX];
    size_t count;
    uint64_t last_id, version;
    int fail; /* enum registry_error of the next change, once */
    bool is_silent;
    size_t renders;  /* how often all of somebody's sockets were asked for */
    uint64_t closed; /* id of a tunnel */
    const char *backup_error;
    int backup_refuse;
    char mail_to[256], mail_text[1024];
    size_t mails;
};

struct fake_change {
    struct loop_message message; /* first */
    struct fake_host *host;
    void (*on_facts)(void *done_user, int error, struct socket_facts *facts);
    void (*on_done)(void *done_user, int error);
    void (*on_found)(void *done_user, bool found);
    void (*on_listed)(void *done_user);
    void (*on_backup)(void *done_user, const char *error);
    void (*each)(void *done_user, const struct api_tunnel *tunnel);
    struct socket_facts *facts;
    int error;
    bool found;
    void *user;
};

static inline void fake_change_run(struct loop_message *message)
{
    static const struct api_tunnel tunnels[] = {
        {"00000000-0000-4000-8000-000000000001", "192.0.2.1:4000", "", 7, 1700000000, 1500, 2, 10,
         20},
        {"fleet", "[2001:db8::1]:4000", "00000000-0000-4000-9000-000000000009", 8, 1700000000, 0, 0,
         0, 0},
    };
    struct fake_change *change = (struct fake_change *)message;
    struct fake_host *host = change->host;
    if (host->is_silent) {
        socket_facts_unref(change->facts);
        free(change);
        return;
    }
    if (change->on_facts)
        change->on_facts(change->user, change->error, change->error ? NULL : change->facts);
    if (change->on_done)
        change->on_done(change->user, change->error);
    if (change->on_found)
        change->on_found(change->user, change->found);
    for (int i = 0; change->each && i < 2; i++)
        change->each(change->user, &tunnels[i]);
    if (change->on_listed)
        change->on_listed(change->user);
    if (change->on_backup)
        change->on_backup(change->user, host->backup_error);
    socket_facts_unref(change->facts);
    free(change);
}

static inline struct fake_change *fake_change_post(struct fake_host *host, void *user)
{
    struct fake_change *change = calloc(1, sizeof *change);
    change->message.run = fake_change_run;
    change->host = host;
    change->user = user;
    change->error = host->fail;
    host->fail = 0;
    loop_post(host->loop, &change->message);
    return change;
}

static inline struct socket_facts *fake_socket_add(struct fake_host *host,
                                                   const struct socket_claim *claim)
{
    char hostname[REGISTRY_HOST_MAX + 16];
    struct socket_facts values = {.id = ++host->last_id,
                                  .type = claim->type,
                                  .owner = (char *)claim->owner,
                                  .name = (char *)claim->name,
                                  .hostname = hostname,
                                  .host_header = (char *)claim->host_header,
                                  .description = (char *)claim->description,
                                  .access = (struct socket_access *)claim->access,
                                  .https_only = claim->https_only,
                                  .created = 1700000000};
    snprintf(values.uuid, sizeof values.uuid, "00000000-0000-4000-a000-%012u", (unsigned)values.id);
    if (!socket_type_has_host(claim->type)) {
        values.port = (uint16_t)(40000 + values.id);
        strcpy(hostname, "edge.test");
    } else if (claim->hostname) {
        snprintf(hostname, sizeof hostname, "%.240s%s", claim->hostname,
                 strchr(claim->hostname, '.') ? "" : ".edge.test");
    } else {
        snprintf(hostname, sizeof hostname, "made-up-%u.edge.test", (unsigned)values.id);
    }
    host->version++;
    host->agents[host->count] = 0;
    return host->sockets[host->count++] = socket_facts_new(&values);
}

static inline void fake_socket_claim_again(struct socket_facts **facts,
                                           const struct socket_claim *claim)
{
    struct socket_facts next = **facts;
    next.https_only = claim->https_only;
    next.host_header = (char *)claim->host_header;
    if (claim->description)
        next.description = (char *)claim->description;
    if (claim->access)
        next.access = (struct socket_access *)claim->access;
    struct socket_facts *old = *facts;
    *facts = socket_facts_new(&next);
    socket_facts_unref(old);
}

/* As the registry has it: the owner's socket of that name is found again. */
static inline void fake_claim_socket(void *user, const struct socket_claim *claim,
                                     void (*told)(void *done_user, int error,
                                                  struct socket_facts *facts),
                                     void *done_user)
{
    struct fake_host *host = user;
    struct fake_change *change = fake_change_post(host, done_user);
    change->on_facts = told;
    for (size_t i = 0; !change->error && i < host->count; i++)
        if (!strcmp(host->sockets[i]->owner, claim->owner) &&
            !strcmp(host->sockets[i]->name, claim->name)) {
            change->error = host->sockets[i]->type == claim->type ? 0 : REGISTRY_OTHER_TYPE;
            fake_socket_claim_again(&host->sockets[i], claim);
            host->version++;
            change->facts = socket_facts_ref(host->sockets[i]);
            return;
        }
    if (!change->error && host->count == FAKE_SOCKETS_MAX)
        change->error = REGISTRY_TOO_MANY;
    if (!change->error)
        change->facts = socket_facts_ref(fake_socket_add(host, claim));
}

static inline void fake_change_socket(void *user, struct socket_facts *facts,
                                      void (*told)(void *done_user, int error,
                                                   struct socket_facts *facts),
                                      void *done_user)
{
    struct fake_host *host = user;
    struct fake_change *change = fake_change_post(host, done_user);
    change->on_facts = told;
    for (size_t i = 0; !change->error && i < host->count; i++)
        if (host->sockets[i]->id == facts->id) {
            socket_facts_unref(host->sockets[i]);
            host->sockets[i] = socket_facts_ref(facts);
            change->facts = socket_facts_ref(facts);
            host->version++;
        }
}

static inline void fake_remove_socket(void *user, uint64_t id,
                                      void (*told)(void *done_user, int error), void *done_user)
{
    struct fake_host *host = user;
    struct fake_change *change = fake_change_post(host, done_user);
    change->on_done = told;
    if (change->error)
        return;
    for (size_t i = 0; i < host->count; i++)
        if (host->sockets[i]->id == id) {
            socket_facts_unref(host->sockets[i]);
            memmove(&host->sockets[i], &host->sockets[i + 1],
                    (host->count - i - 1) * sizeof host->sockets[0]);
            host->count--;
            host->version++;
            return;
        }
    change->error = REGISTRY_UNKNOWN;
}

static inline struct socket_facts *fake_find_socket(void *user, const char *uuid)
{
    struct fake_host *host = user;
    for (size_t i = 0; i < host->count; i++)
        if (!strcmp(host->sockets[i]->uuid, uuid))
            return host->sockets[i];
    return NULL;
}

static inline void fake_each_socket(void *user, const char *owner,
                                    void (*each)(void *each_user, struct socket_facts *facts,
                                                 size_t agents),
                                    void *each_user)
{
    struct fake_host *host = user;
    host->renders++;
    for (size_t i = 0; i < host->count; i++)
        if (!owner || !strcmp(host->sockets[i]->owner, owner))
            each(each_user, host->sockets[i], host->agents[i]);
}

static inline uint64_t fake_sockets_version(void *user, const char *owner)
{
    return ((struct fake_host *)user)->version;
}

static inline void fake_list_tunnels(void *user, const char *owner,
                                     void (*each)(void *done_user, const struct api_tunnel *tunnel),
                                     void (*told)(void *done_user), void *done_user)
{
    struct fake_change *change = fake_change_post(user, done_user);
    change->each = each;
    change->on_listed = told;
}

static inline void fake_close_tunnel(void *user, uint64_t id,
                                     void (*told)(void *done_user, bool found), void *done_user)
{
    struct fake_host *host = user;
    struct fake_change *change = fake_change_post(host, done_user);
    change->on_found = told;
    change->found = id == 7;
    host->closed = id;
}

static inline void fake_socket_url(void *user, const struct socket_facts *facts, char *buffer,
                                   size_t size)
{
    if (facts->port)
        snprintf(buffer, size, "%s:%u", facts->hostname, facts->port);
    else
        snprintf(buffer, size, "https://%s", facts->hostname);
}

static inline const char *fake_tunnel_server(void *user)
{
    return "tunnel.test:5005";
}

static inline void fake_send_mail(void *user, const char *to, const char *subject, const char *text)
{
    struct fake_host *host = user;
    host->mails++;
    snprintf(host->mail_to, sizeof host->mail_to, "%s", to);
    snprintf(host->mail_text, sizeof host->mail_text, "%s\n%s", subject, text);
}

static inline int fake_backup(void *user, const char *file,
                              void (*told)(void *done_user, const char *error), void *done_user)
{
    struct fake_host *host = user;
    if (host->backup_refuse)
        return host->backup_refuse;
    fake_change_post(host, done_user)->on_backup = told;
    return 0;
}

static inline struct api_host fake_host_calls(struct fake_host *host)
{
    return (struct api_host){
        .claim_socket = fake_claim_socket,
        .change_socket = fake_change_socket,
        .remove_socket = fake_remove_socket,
        .find_socket = fake_find_socket,
        .each_socket = fake_each_socket,
        .sockets_version = fake_sockets_version,
        .list_tunnels = fake_list_tunnels,
        .close_tunnel = fake_close_tunnel,
        .socket_url = fake_socket_url,
        .tunnel_server = fake_tunnel_server,
        .send_mail = fake_send_mail,
        .backup = fake_backup,
        .user = host,
    };
}

static inline void fake_host_deinit(struct fake_host *host)
{
    while (host->count)
        socket_facts_unref(host->sockets[--host->count]);
}

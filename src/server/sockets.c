#include "server/sockets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "server/socket_url.h"
#include "server/sockets_internal.h"

static struct sockets *hold(struct sockets *sockets)
{
    atomic_fetch_add_explicit(&sockets->references, 1, memory_order_relaxed);
    return sockets;
}

static void release(struct sockets *sockets)
{
    if (atomic_fetch_sub_explicit(&sockets->references, 1, memory_order_acq_rel) == 1)
        free(sockets);
}

/* --- What the registry calls for --- */

static void on_change(void *user, const struct registry_change *change)
{
    struct sockets *sockets = user;
    const struct sockets_host *host = &sockets->host;
    host->publish(host->user, change);
    if (!change->facts->port || !change->presence)
        return;
    /* After it, so that whoever accepts there knows the presence. */
    unsigned worker = change->presence->ref.worker;
    struct listening *listening = socket_listener_find(&sockets->listeners, change->facts->id);
    if (change->kind == REGISTRY_OFFLINE)
        host->stop_accepting(host->user, worker, change->facts->id);
    else if (listening) /* not: the server drains */
        host->accept(host->user, worker, change->facts->id, listening);
}

static void on_replaced(void *user, struct tunnel_ref ref)
{
    struct sockets *sockets = user;
    sockets->host.close_tunnel(sockets->host.user, ref, "replaced by a newer tunnel of its agent");
}

static int on_port(void *user, const struct socket_facts *facts, bool open)
{
    struct sockets *sockets = user;
    if (!open) {
        socket_listener_close(&sockets->listeners, facts->id);
        return 0;
    }
    int error = socket_listener_open(&sockets->listeners, &sockets->config->edge_bind, facts);
    if (error)
        log_write(
            LOG_WARNING,
            LOG_FIELDS(LOG_NUMBER("port", facts->port), LOG_TEXT("error", strerrorname_np(-error))),
            "can't listen on the port of a socket");
    return error;
}

static const struct registry_callbacks callbacks = {on_change, on_replaced, on_port};

/* --- Questions --- */

struct socket_question *socket_question_new(void)
{
    return calloc(1, sizeof(struct socket_question));
}

void socket_question_free(struct socket_question *question)
{
    if (!question)
        return;
    socket_facts_unref(question->facts);
    socket_facts_unref(question->wanted);
    socket_access_free(question->access);
    grant_unref(question->grant);
    free(question->description);
    free(question);
}

/* facts: borrowed, for error 0. */
static void answer(struct sockets *sockets, struct socket_question *question, int error,
                   struct socket_facts *facts)
{
    question->error = error;
    if (!error) {
        question->facts = socket_facts_ref(facts);
        question->port =
            socket_url_format(facts, sockets->config, question->url, sizeof question->url);
    }
    question->sockets = NULL;
    question->next = NULL;
    question->message.run = question->answered;
    loop_post(question->reply_to, &question->message);
}

static void log_answer(const struct socket_question *question, int error,
                       const struct socket_facts *facts)
{
    const char *name = facts ? facts->name : question->name;
    if (error)
        log_write(LOG_WARNING,
                  LOG_FIELDS(LOG_TEXT("owner", question->owner), LOG_TEXT("name", name),
                             LOG_TEXT("hostname", question->hostname),
                             LOG_TEXT("error", registry_error_name(error))),
                  "socket refused");
    else
        log_write(LOG_INFO,
                  LOG_FIELDS(LOG_TEXT("owner", question->owner), LOG_TEXT("name", name),
                             LOG_TEXT("hostname", facts->hostname), LOG_NUMBER("port", facts->port),
                             LOG_TEXT("instance", question->instance)),
                  question->is_offline ? "socket kept" : "socket served");
}

void sockets_finish(struct sockets *sockets, struct socket_question *question, int error,
                    struct socket_facts *facts)
{
    if (!error && !question->is_gone && !question->is_offline)
        error = registry_online(sockets->registry, facts, question->ref, question->service,
                                question->instance);
    if (!question->is_gone)
        log_answer(question, error, facts);
    answer(sockets, question, error, facts);
}

static void on_stored(void *user, const char *error);

static struct storing *find_storing(const struct sockets *sockets, const struct socket_facts *facts)
{
    struct storing *storing = sockets->storing;
    while (storing && storing->facts != facts)
        storing = storing->next;
    return storing;
}

/* REGISTRY_OK and *ret_storing, or why it can't be. */
static int begin_storing(struct sockets *sockets, struct socket_facts *facts,
                         struct storing **ret_storing)
{
    struct storing *storing = calloc(1, sizeof *storing);
    if (!storing)
        return REGISTRY_MEMORY;
    int error = store_put_socket(sockets->store, facts, on_stored, storing);
    if (error) {
        log_write(LOG_ERROR, LOG_FIELDS(LOG_TEXT("error", store_error_text(error))),
                  "can't store a socket");
        free(storing);
        return REGISTRY_STORE;
    }
    storing->sockets = sockets;
    storing->facts = socket_facts_ref(facts);
    storing->last = &storing->first;
    storing->link = &sockets->storing;
    storing->next = sockets->storing;
    if (storing->next)
        storing->next->link = &storing->next;
    sockets->storing = storing;
    *ret_storing = storing;
    return REGISTRY_OK;
}

static void end_storing(struct storing *storing)
{
    *storing->link = storing->next;
    if (storing->next)
        storing->next->link = storing->link;
    socket_facts_unref(storing->facts);
    free(storing);
}

void sockets_store_for(struct sockets *sockets, struct socket_question *question,
                       struct socket_facts *facts)
{
    struct storing *storing = find_storing(sockets, facts);
    int error = storing ? REGISTRY_OK : begin_storing(sockets, facts, &storing);
    if (error) {
        registry_cancel(sockets->registry, facts);
        sockets_finish(sockets, question, error, NULL);
        return;
    }
    *storing->last = question;
    storing->last = &question->next;
}

/* A name that nobody could reach, or that would be served in the clear against its owner's will. */
static bool lacks_https(const struct sockets *sockets, const struct socket_question *question)
{
    const struct config *config = sockets->config;
    return (question->type == SOCKET_PASSTHROUGH && !config->edge_https_listener) ||
           (question->https_only && !config->edge.https_port);
}

static int claim(struct sockets *sockets, const struct socket_question *question,
                 struct socket_facts **ret_facts, bool *ret_is_changed)
{
    const struct socket_claim asked = {
        .owner = question->owner,
        .name = question->name,
        .type = question->type,
        .hostname = *question->hostname ? question->hostname : NULL,
        .https_only = question->https_only,
        .host_header = *question->host_header ? question->host_header : NULL,
        .description = question->description,
        .access = question->access,
    };
    if (sockets->is_draining)
        return REGISTRY_DRAINING;
    if (lacks_https(sockets, question))
        return REGISTRY_NO_HTTPS;
    if (sockets_is_reserved(sockets, question->hostname))
        return REGISTRY_TAKEN;
    if (!sockets_is_in_scope(sockets, question))
        return REGISTRY_SCOPE;
    return registry_claim(sockets->registry, &asked, ret_facts, ret_is_changed);
}

static void consider(struct sockets *sockets, struct socket_question *question)
{
    struct socket_facts *facts = NULL;
    bool is_changed = false;
    if (question->wanted) {
        sockets_consider_change(sockets, question);
        return;
    }
    int error = claim(sockets, question, &facts, &is_changed);
    if (!error && is_changed)
        sockets_store_for(sockets, question, facts);
    else
        sockets_finish(sockets, question, error, facts);
    socket_facts_unref(facts);
}

/* Nobody came for a port that was opened for a new socket. */
static void close_unused(struct sockets *sockets, const struct socket_facts *facts)
{
    if (facts->port && !registry_pick(sockets->registry, facts))
        socket_listener_close(&sockets->listeners, facts->id);
}

/* On disk, or not. Who waited asks anew: the one whose question it was gets what was stored;
 * another may have asked for something else. */
static void on_stored(void *user, const char *error)
{
    struct storing *storing = user;
    struct sockets *sockets = storing->sockets;
    struct socket_facts *facts = socket_facts_ref(storing->facts);
    struct socket_question *question = storing->first;
    end_storing(storing);
    if (error) {
        log_write(LOG_ERROR, LOG_FIELDS(LOG_TEXT("error", error)), "can't store a socket");
        registry_cancel(sockets->registry, facts);
    } else
        registry_commit(sockets->registry, facts);
    while (question) {
        struct socket_question *next = question->next;
        question->next = NULL;
        if (error)
            sockets_finish(sockets, question, REGISTRY_STORE, NULL);
        else if (question->is_gone || question->wanted)
            sockets_finish(sockets, question, REGISTRY_OK, facts);
        else
            consider(sockets, question);
        question = next;
    }
    if (!error)
        close_unused(sockets, facts);
    socket_facts_unref(facts);
}

static void on_question(struct loop_message *message)
{
    struct socket_question *question = (struct socket_question *)(void *)message;
    struct sockets *sockets = question->sockets;
    if (sockets->registry)
        consider(sockets, question);
    else
        socket_question_free(question);
    release(sockets);
}

void sockets_ask(struct sockets *sockets, struct loop *main_loop, struct socket_question *question)
{
    question->sockets = hold(sockets);
    question->message.run = on_question;
    loop_post(main_loop, &question->message);
}

/* --- Tunnels that are gone --- */

struct gone_message {
    struct loop_message message; /* first */
    struct sockets *sockets;
    struct tunnel_ref ref;
};

static void on_gone(struct loop_message *message)
{
    struct gone_message *gone = (struct gone_message *)(void *)message;
    struct sockets *sockets = gone->sockets;
    for (struct storing *storing = sockets->storing; storing; storing = storing->next)
        for (struct socket_question *question = storing->first; question; question = question->next)
            if (tunnel_ref_is_same(&question->ref, &gone->ref))
                question->is_gone = true;
    if (sockets->registry)
        registry_offline(sockets->registry, gone->ref);
    free(gone);
    release(sockets);
}

void sockets_tunnel_gone(struct sockets *sockets, struct loop *main_loop, struct tunnel_ref ref)
{
    struct gone_message *gone = malloc(sizeof *gone);
    if (!gone) { /* visitors who are led there are told "gone", and go to the next */
        log_write(LOG_ERROR, LOG_NO_FIELDS, "out of memory: a tunnel that is gone stays listed");
        return;
    }
    *gone = (struct gone_message){{.run = on_gone}, hold(sockets), ref};
    loop_post(main_loop, &gone->message);
}

/* --- Life --- */

static struct registry_options options_of(const struct config *config)
{
    const struct serve_settings *settings = &config->settings;
    return (struct registry_options){
        .domain = settings->edge_domain,
        .custom_domains = (const char *const *)settings->edge_custom_domains.items,
        .custom_domain_count = settings->edge_custom_domains.count,
        .first_port = config->edge_first_port,
        .last_port = config->edge_last_port,
        .max_sockets_per_owner = (uint32_t)settings->max_sockets_per_owner,
    };
}

static int load_one(void *user, struct socket_facts *facts)
{
    struct sockets *sockets = user;
    int error = registry_load(sockets->registry, facts);
    if (error)
        log_write(LOG_ERROR,
                  LOG_FIELDS(LOG_TEXT("owner", facts->owner), LOG_TEXT("name", facts->name),
                             LOG_TEXT("error", registry_error_name(error))),
                  "a stored socket can't be loaded");
    return error;
}

static int load(struct sockets *sockets, char *error, size_t error_size)
{
    const char *folder = sockets->config->settings.state_folder;
    snprintf(error, error_size, "the sockets in the state folder can't be loaded"); /* load_one's */
    if (store_open(folder, sockets->loop, &sockets->store, error, error_size) < 0 ||
        store_load_sockets(sockets->store, load_one, sockets, error, error_size) < 0)
        return -1;
    registry_set_last_id(sockets->registry, store_last_socket(sockets->store));
    return 0;
}

int sockets_open(struct loop *loop, struct config *config, const struct sockets_host *host,
                 struct sockets **ret_sockets, char *error, size_t error_size)
{
    const struct registry_options options = options_of(config);
    struct sockets *sockets = calloc(1, sizeof *sockets);
    if (!sockets) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    atomic_init(&sockets->references, 1);
    sockets->config = config_ref(config);
    sockets->host = *host;
    sockets->loop = loop;
    int result = registry_new(&options, &callbacks, sockets, &sockets->registry);
    if (result)
        snprintf(error, error_size, "the edge's domains: %s", registry_error_text(result));
    if (result || load(sockets, error, error_size) < 0) {
        sockets_close(sockets);
        return -1;
    }
    *ret_sockets = sockets;
    return 0;
}

int sockets_configure(struct sockets *sockets, struct config *config)
{
    const struct registry_options options = options_of(config);
    if (registry_configure(sockets->registry, &options))
        return -ENOMEM; /* that the domains are names was seen when they were read */
    config_unref(sockets->config);
    sockets->config = config_ref(config);
    return 0;
}

void sockets_drain(struct sockets *sockets)
{
    sockets->is_draining = true;
    socket_listener_close_all(&sockets->listeners);
}

void sockets_close(struct sockets *sockets)
{
    if (!sockets)
        return;
    store_close(sockets->store);
    while (sockets->storing) {
        struct socket_question *question = sockets->storing->first;
        while (question) {
            struct socket_question *next = question->next;
            socket_question_free(question);
            question = next;
        }
        end_storing(sockets->storing);
    }
    sockets_drop_removals(sockets);
    socket_listener_close_all(&sockets->listeners);
    registry_free(sockets->registry);
    sockets->registry = NULL;
    config_unref(sockets->config);
    release(sockets);
}

void sockets_each(struct sockets *sockets,
                  void (*each)(void *user, const struct registry_change *change), void *user)
{
    registry_each(sockets->registry, each, user);
}

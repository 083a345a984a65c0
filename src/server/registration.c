#include "server/registration.h"

#include <assert.h>
#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "net/timer.h"
#include "server/register_message.h"
#include "server/grant.h"
#include "server/sockets.h"
#include "server/tunnel.h"
#include "server/worker.h"

#define SOCKETS_MAX   64  /* of a tunnel: more than a person offers from one machine */
#define QUESTIONS_MAX 16  /* under way: each is memory of the main thread's */
#define ANSWERS_MAX   64  /* not pulled yet: an agent that doesn't read makes no more of them */
#define VISITS_MAX    256 /* not pulled yet: some 100 KiB */
/* A visit goes along with what else there is for the agent, which mostly is the next one: a record
 * of its own would wake the agent once more for each. Nobody who watches sees the difference. */
#define VISIT_WAIT 20000 /* microseconds */

struct outgoing {
    struct outgoing *next;
    size_t length;
    bool visit; /* else an answer */
    char text[];
};

/* A socket of this tunnel's, or one asked for, by the name that finds it again. */
struct entry {
    char name[REGISTRY_NAME_MAX + 1];
    bool served;
    uint8_t asked; /* questions under way */
};

struct registration {
    struct tunnel *tunnel;
    struct timer visits_due;       /* runs while there are visits and nothing else to send */
    struct outgoing *first, *last; /* to be pulled */
    struct entry *entries;
    unsigned entry_count;
    unsigned answers, visits, questions;
    bool paused;     /* the session is, for us */
    bool going_away; /* the agent has sent goaway */
    bool asked;      /* anything ever: the sockets may know this tunnel */
    bool complained;
};

static void run_visits_due(struct timer *timer)
{
    const struct registration *own =
        (struct registration *)(void *)((char *)timer - offsetof(struct registration, visits_due));
    if (own->tunnel->session)
        plex_session_message_ready(own->tunnel->session);
}

static struct registration *get(struct tunnel *tunnel)
{
    if (tunnel->registration)
        return tunnel->registration;
    struct registration *own = calloc(1, sizeof *own);
    if (!own)
        return NULL;
    own->tunnel = tunnel;
    timer_init(&own->visits_due, tunnel->worker->loop, run_visits_due);
    tunnel->registration = own;
    return own;
}

static struct tunnel_ref ref_of(const struct tunnel *tunnel)
{
    return (struct tunnel_ref){.worker = (uint16_t)tunnel->worker->index,
                               .slot = tunnel->slot,
                               .generation = tunnel->generation};
}

static void tell_gone(struct worker *worker, struct tunnel_ref ref)
{
    sockets_tunnel_gone(worker->host->sockets, worker->host->loop, ref);
}

/* At a cap nothing more is read, so that nothing has to be dropped. */
static void update_pause(struct tunnel *tunnel)
{
    struct registration *own = tunnel->registration;
    bool pause = own->questions >= QUESTIONS_MAX || own->answers >= ANSWERS_MAX;
    if (pause == own->paused)
        return;
    own->paused = pause;
    if (pause)
        plex_session_pause(tunnel->session);
    else
        tunnel_take_again(tunnel);
}

/* --- Outgoing --- */

static int append(struct tunnel *tunnel, const char *text, size_t length, bool visit)
{
    struct registration *own = tunnel->registration;
    struct outgoing *outgoing = malloc(sizeof *outgoing + length);
    if (!outgoing)
        return -1;
    *outgoing = (struct outgoing){.length = length, .visit = visit};
    memcpy(outgoing->text, text, length);
    if (own->last)
        own->last->next = outgoing;
    else
        own->first = outgoing;
    own->last = outgoing;
    if (visit) {
        own->visits++;
        if (!timer_is_running(&own->visits_due))
            timer_start(&own->visits_due, loop_now(tunnel->worker->loop) + VISIT_WAIT);
    } else {
        own->answers++;
        plex_session_message_ready(tunnel->session);
    }
    return 0;
}

static void drop_first(struct registration *own)
{
    struct outgoing *first = own->first;
    own->first = first->next;
    if (!own->first)
        own->last = NULL;
    if (first->visit)
        own->visits--;
    else
        own->answers--;
    free(first);
}

/* Takes `answer`; NULL is one that memory ran out for. An answer that is lost would leave the agent
 * waiting for ever: then rather the tunnel. */
static void send_answer(struct tunnel *tunnel, json_t *answer)
{
    char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
    if (!text || append(tunnel, text, strlen(text), false) < 0)
        tunnel_finish(tunnel, "out of memory");
    free(text);
    json_decref(answer);
}

static void refuse(struct tunnel *tunnel, const char *service, const char *code,
                   const char *message)
{
    send_answer(tunnel, json_pack("{s:{s:s,s:s,s:s}}", "refused", "service", service, "code", code,
                                  "message", message));
    update_pause(tunnel);
}

size_t registration_pull(struct tunnel *tunnel, char *buffer, size_t capacity)
{
    struct registration *own = tunnel->registration;
    /* A visit may be longer than this agent takes. */
    while (own && own->first && own->first->visit && own->first->length > capacity)
        drop_first(own);
    if (!own || !own->first) {
        if (own)
            timer_stop(&own->visits_due);
        return 0;
    }
    size_t length = own->first->length;
    assert(length <= capacity); /* our answers are shorter than any capacity */
    memcpy(buffer, own->first->text, length);
    drop_first(own);
    update_pause(tunnel);
    return length;
}

void registration_tell_visit(struct tunnel *tunnel, const char *json, size_t length)
{
    if (!tunnel->session || tunnel->finish_reason || length > REGISTRATION_VISIT_MAX ||
        !(plex_session_features(tunnel->session) & PLEX_INBOUND_OPENS))
        return;
    struct registration *own = get(tunnel);
    if (own && own->visits < VISITS_MAX)
        (void)append(tunnel, json, length, true);
}

void registration_send_visits(struct tunnel *tunnel)
{
    const struct registration *own = tunnel->registration;
    if (own && own->visits)
        plex_session_message_ready(tunnel->session);
}

/* --- Questions --- */

static struct entry *find_entry(struct registration *own, const char *name)
{
    for (unsigned i = 0; i < own->entry_count; i++)
        if (!strcmp(own->entries[i].name, name))
            return &own->entries[i];
    return NULL;
}

/* The entry of that name, made if there is none; NULL without memory. */
static struct entry *take_entry(struct registration *own, const char *name)
{
    struct entry *entry = find_entry(own, name);
    if (entry)
        return entry;
    struct entry *entries = realloc(own->entries, (own->entry_count + 1) * sizeof *entries);
    if (!entries)
        return NULL;
    own->entries = entries;
    entry = &entries[own->entry_count++];
    *entry = (struct entry){0};
    memcpy(entry->name, name, strlen(name) + 1);
    return entry;
}

/* A question is answered. What neither is served nor asked for any more makes room. */
static void settle_entry(struct registration *own, const char *name, bool good)
{
    struct entry *entry = find_entry(own, name);
    entry->asked--;
    entry->served |= good;
    if (!entry->served && !entry->asked)
        *entry = own->entries[--own->entry_count];
}

/* On the worker's loop. A tunnel that went meanwhile may have been put online after its end was
 * told: it is told again. */
static void take_answer(struct loop_message *message)
{
    struct socket_question *question = (struct socket_question *)message;
    struct worker *worker = question->user;
    struct tunnel *tunnel = worker_find(worker, question->ref.slot, question->ref.generation);
    if (tunnel)
        registration_answered(tunnel, question);
    else if (question->error == REGISTRY_OK)
        tell_gone(worker, question->ref);
    socket_question_free(question);
}

void registration_answered(struct tunnel *tunnel, const struct socket_question *question)
{
    struct registration *own = tunnel->registration;
    bool good = question->error == REGISTRY_OK;
    own->questions--;
    settle_entry(own, question->name, good);
    if (good && own->going_away)
        tell_gone(tunnel->worker, question->ref);
    if (good)
        send_answer(tunnel,
                    json_pack("{s:{s:s,s:s,s:s,s:i,s:s}}", "registered", "service",
                              question->service, "type", socket_type_name(question->facts->type),
                              "hostname", question->facts->hostname, "port", (int)question->port,
                              "url", question->url));
    else
        send_answer(tunnel, json_pack("{s:{s:s,s:s,s:s}}", "refused", "service", question->service,
                                      "code", registry_error_name(question->error), "message",
                                      registry_error_text(question->error)));
    update_pause(tunnel);
}

static void fill(struct socket_question *question, const struct tunnel *tunnel,
                 const struct register_message *message, enum socket_type type)
{
    struct worker *worker = tunnel->worker;
    question->reply_to = worker->loop;
    question->answered = take_answer;
    question->user = worker;
    question->ref = ref_of(tunnel);
    question->type = type;
    question->https_only = message->https_only;
    question->grant = tunnel->grant ? grant_ref(tunnel->grant) : NULL;
    memcpy(question->owner, tunnel->owner, strlen(tunnel->owner) + 1); /* it was measured */
    memcpy(question->name, message->name, sizeof message->name);
    memcpy(question->service, message->service, sizeof message->service);
    memcpy(question->instance, message->instance, sizeof message->instance);
    memcpy(question->hostname, message->hostname, sizeof message->hostname);
    memcpy(question->host_header, message->host_header, sizeof message->host_header);
}

static void ask(struct tunnel *tunnel, const struct register_message *message,
                enum socket_type type)
{
    struct registration *own = tunnel->registration;
    const struct worker_host *host = tunnel->worker->host;
    if (!find_entry(own, message->name) && own->entry_count >= SOCKETS_MAX) {
        refuse(tunnel, message->service, "TOO_MANY_SOCKETS", "a tunnel serves at most 64 sockets");
        return;
    }
    struct entry *entry = take_entry(own, message->name);
    struct socket_question *question = entry ? socket_question_new() : NULL;
    if (!question) {
        tunnel_finish(tunnel, "out of memory");
        return;
    }
    fill(question, tunnel, message, type);
    entry->asked++;
    own->questions++;
    own->asked = true;
    update_pause(tunnel);
    sockets_ask(host->sockets, host->loop, question);
}

static void take_register(struct tunnel *tunnel, const struct register_message *message)
{
    int type = socket_type_parse(message->type);
    if (type < 0)
        refuse(tunnel, message->service, "BAD_REGISTER",
               "type must be http, https, tls, tcp or passthrough");
    else if (!tunnel->worker->host->sockets)
        refuse(tunnel, message->service, "EDGE_OFF", "this server has no edge");
    else if (strlen(tunnel->owner) > REGISTRY_OWNER_MAX)
        refuse(tunnel, message->service, "BAD_REGISTER", "the owner's name is too long");
    else if (tunnel->registration->going_away)
        refuse(tunnel, message->service, "BAD_REGISTER", "the agent has sent goaway");
    else
        ask(tunnel, message, (enum socket_type)type);
}

/* Once a tunnel, or an agent could fill the log. */
static void complain(struct tunnel *tunnel)
{
    if (tunnel->registration->complained)
        return;
    tunnel->registration->complained = true;
    log_write(LOG_WARNING,
              LOG_FIELDS(LOG_NUMBER("tunnel", tunnel->id), LOG_TEXT("user", tunnel->owner)),
              "registration names no service: ignored");
}

void registration_on_message(struct tunnel *tunnel, const char *json, size_t length)
{
    struct register_message message;
    const char *fault;
    assert(tunnel->owner); /* the engine hands on nothing before authentication */
    enum register_result result = register_message_parse(json, length, &message, &fault);
    if (result == REGISTER_OTHER || tunnel->finish_reason)
        return;
    if (!get(tunnel)) {
        tunnel_finish(tunnel, "out of memory");
        return;
    }
    if (result == REGISTER_GOOD)
        take_register(tunnel, &message);
    else if (result == REGISTER_BAD)
        refuse(tunnel, message.service, "BAD_REGISTER", fault);
    else
        complain(tunnel);
}

/* --- The end --- */

void registration_on_goaway(struct tunnel *tunnel)
{
    struct registration *own = get(tunnel);
    if (!own || own->going_away)
        return;
    own->going_away = true;
    if (own->asked)
        tell_gone(tunnel->worker, ref_of(tunnel));
}

void registration_free(struct tunnel *tunnel)
{
    struct registration *own = tunnel->registration;
    if (!own)
        return;
    if (own->asked)
        tell_gone(tunnel->worker, ref_of(tunnel));
    timer_stop(&own->visits_due);
    while (own->first)
        drop_first(own);
    free(own->entries);
    free(own);
    tunnel->registration = NULL;
}

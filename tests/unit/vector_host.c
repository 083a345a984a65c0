#include "vector_host.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[] = {"net", "tls", "inbound"};
static const char *const event_names[] = {"lookup", "connect", "secureConnect", "timeout"};

const char *vector_host_event_name(enum plex_event event)
{
    return event_names[event];
}

/* The engine's memory is counted, so that a leak fails the case that has it. */
void *vector_host_alloc(void *host, size_t size)
{
    ((struct vector_host *)host)->memory += size;
    return malloc(size);
}

void vector_host_free(void *host, void *memory, size_t size)
{
    if (memory)
        ((struct vector_host *)host)->memory -= size;
    free(memory);
}

static struct vector_told *add_told(struct vector_host *host)
{
    host->told = realloc(host->told, (host->told_count + 1) * sizeof *host->told);
    if (!host->told)
        abort();
    host->told[host->told_count] = (struct vector_told){0};
    return &host->told[host->told_count++];
}

static void __attribute__((format(printf, 2, 3)))
tell(struct vector_host *host, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (vasprintf(&add_told(host)->text, format, args) < 0)
        abort();
    va_end(args);
}

void vector_host_told_drop(struct vector_host *host)
{
    free(host->told[0].text);
    vector_bytes_free(&host->told[0].data);
    host->told_count--;
    memmove(host->told, host->told + 1, host->told_count * sizeof *host->told);
}

static struct vector_host *host_of(struct plex_substream *substream)
{
    return plex_session_user(plex_substream_session(substream));
}

static void on_token(struct plex_session *session, const char *token, size_t length)
{
    tell(plex_session_user(session), "token %.*s", (int)length, token);
}

static void on_authed(struct plex_session *session, bool accepted)
{
    tell(plex_session_user(session), "authed %s", accepted ? "true" : "false");
}

/* The runner looks at plex_session_has_output() instead. */
static void on_output(struct plex_session *session)
{
}

static void on_resume(struct plex_session *session)
{
    ((struct vector_host *)plex_session_user(session))->stopped = false;
}

/* NULL: no such substream is the program's. */
static struct vector_substream *find(struct vector_host *host, unsigned long id)
{
    for (int i = 0; i < VECTOR_SUBSTREAMS; i++)
        if (host->substreams[i].substream && host->substreams[i].id == id)
            return &host->substreams[i];
    return NULL;
}

static void add(struct vector_host *host, struct plex_substream *substream)
{
    struct vector_substream *own = host->substreams;
    while (own->substream)
        if (++own == host->substreams + VECTOR_SUBSTREAMS)
            abort();
    *own = (struct vector_substream){.substream = substream, .id = plex_substream_id(substream)};
}

static void on_open(struct plex_substream *substream, enum plex_kind kind, const char *service,
                    const char *visitor)
{
    struct vector_host *host = host_of(substream);
    uint16_t id = plex_substream_id(substream);
    add(host, substream);
    if (kind == PLEX_INBOUND)
        tell(host, "open %u inbound %s %s", id, service, visitor);
    else
        tell(host, "open %u %s", id, kind_names[kind]);
}

static void on_connect(struct plex_substream *substream, const char *target, uint16_t port)
{
    tell(host_of(substream), "connect %u %u %s", plex_substream_id(substream), port, target);
}

static void on_timeout(struct plex_substream *substream, uint32_t milliseconds)
{
    tell(host_of(substream), "timeout %u %u", plex_substream_id(substream), milliseconds);
}

static void on_data(struct plex_substream *substream, const void *data, size_t length)
{
    struct vector_host *host = host_of(substream);
    uint16_t id = plex_substream_id(substream);
    struct vector_told *last = host->told_count ? &host->told[host->told_count - 1] : NULL;
    if (!last || last->text || last->id != id)
        last = add_told(host);
    last->id = id;
    vector_bytes_add(&last->data, data, length);
    if (host->consume_auto)
        plex_substream_consume(substream, length);
}

static void on_end(struct plex_substream *substream)
{
    tell(host_of(substream), "end %u", plex_substream_id(substream));
}

static void on_event(struct plex_substream *substream, enum plex_event event, const char *text)
{
    tell(host_of(substream), "tell %u %s%s%s", plex_substream_id(substream), event_names[event],
         text ? " " : "", text ? text : "");
}

static void on_error(struct plex_substream *substream, const char *message, const char *code)
{
    tell(host_of(substream), "error %u %s %s", plex_substream_id(substream), code ? code : "-",
         message);
}

static void release(struct vector_substream *own)
{
    vector_bytes_free(&own->to_send);
    *own = (struct vector_substream){0};
}

static void on_gone(struct plex_substream *substream, int reason)
{
    struct vector_host *host = host_of(substream);
    uint16_t id = plex_substream_id(substream);
    release(find(host, id));
    /* Freeing the session at a case's end says so of every substream left. */
    if (reason != PLEX_SUBSTREAM_TUNNEL_GONE)
        tell(host, "gone %u %s", id, plex_error_name(reason));
}

static size_t on_pull(struct plex_substream *substream, void *buffer, size_t capacity)
{
    struct vector_substream *own = find(host_of(substream), plex_substream_id(substream));
    size_t length = own->to_send.length < capacity ? own->to_send.length : capacity;
    if (length)
        memcpy(buffer, own->to_send.bytes, length);
    vector_bytes_drop(&own->to_send, length);
    if (own->end_after && !own->to_send.length)
        plex_substream_end(substream);
    return length;
}

static void on_message(struct plex_session *session, const char *json, size_t length)
{
    tell(plex_session_user(session), "message %.*s", (int)length, json);
}

static size_t on_message_pull(struct plex_session *session, char *buffer, size_t capacity)
{
    struct vector_host *host = plex_session_user(session);
    if (!host->messages.length)
        return 0;
    size_t length = strlen((char *)host->messages.bytes);
    if (length > capacity)
        abort();
    memcpy(buffer, host->messages.bytes, length);
    vector_bytes_drop(&host->messages, length + 1);
    return length;
}

static void on_goaway(struct plex_session *session, uint16_t code)
{
    tell(plex_session_user(session), "goaway %u", code);
}

const struct plex_callbacks vector_host_callbacks = {
    .on_token = on_token,
    .on_authed = on_authed,
    .on_output = on_output,
    .on_resume = on_resume,
    .on_open = on_open,
    .on_connect = on_connect,
    .on_timeout = on_timeout,
    .on_data = on_data,
    .on_end = on_end,
    .on_event = on_event,
    .on_error = on_error,
    .on_gone = on_gone,
    .on_pull = on_pull,
    .on_message = on_message,
    .on_message_pull = on_message_pull,
    .on_goaway = on_goaway,
};

static int index_of(const char *const *names, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

static bool do_open(struct vector_host *host, const char *arguments, const char *expected_error)
{
    char kind_name[16] = "", service[80] = "web", visitor[80] = "192.0.2.1:1";
    unsigned expected = 0;
    if (expected_error)
        sscanf(arguments, "%15s", kind_name);
    else
        sscanf(arguments, "%15s %u %79s %79s", kind_name, &expected, service, visitor);
    int kind = index_of(kind_names, 3, kind_name);
    if (kind < 0)
        return false;
    bool inbound = kind == PLEX_INBOUND;
    struct plex_substream *substream = NULL;
    int error = plex_substream_open(host->session, kind, inbound ? service : NULL,
                                    inbound ? visitor : NULL, NULL, &substream);
    if (expected_error)
        return strcmp(plex_error_name(error), expected_error) == 0;
    if (error || plex_substream_id(substream) != expected)
        return false;
    add(host, substream);
    return true;
}

static bool do_write(struct vector_substream *own, const char *arguments)
{
    if (!vector_bytes_parse(arguments, &own->to_send))
        return false;
    plex_substream_ready(own->substream);
    return true;
}

static void do_end(struct vector_substream *own)
{
    if (own->to_send.length)
        own->end_after = true;
    else
        plex_substream_end(own->substream);
}

static void do_abort(struct vector_substream *own, const char *arguments)
{
    char code[64] = "";
    int used = 0;
    sscanf(arguments, "%63s %n", code, &used);
    const char *message = arguments + used;
    plex_substream_abort(own->substream, strcmp(message, "-") ? message : NULL,
                         strcmp(code, "-") ? code : NULL);
}

static bool do_notify(struct vector_substream *own, const char *arguments)
{
    char name[32] = "", address[64] = "";
    sscanf(arguments, "%31s %63s", name, address);
    int event = index_of(event_names, 4, name);
    if (event < 0)
        return false;
    plex_substream_notify(own->substream, event, address[0] ? address : NULL);
    return true;
}

/* Verbs with an id in front. */
static bool do_substream(struct vector_host *host, const char *verb, const char *arguments)
{
    char *rest;
    unsigned long id = strtoul(arguments, &rest, 10);
    struct vector_substream *own = rest == arguments ? NULL : find(host, id);
    if (!own)
        return false;
    arguments = *rest == ' ' ? rest + 1 : rest;
    unsigned port = 0;
    char target[300] = "";
    if (strcmp(verb, "write") == 0)
        return do_write(own, arguments);
    if (strcmp(verb, "notify") == 0)
        return do_notify(own, arguments);
    if (strcmp(verb, "connect") == 0)
        return sscanf(arguments, "%u %299s", &port, target) == 2 &&
               plex_substream_connect(own->substream, target, (uint16_t)port) == 0;
    if (strcmp(verb, "timeout") == 0) {
        plex_substream_timeout(own->substream, (uint32_t)strtoul(arguments, NULL, 10));
    } else if (strcmp(verb, "consume") == 0) {
        plex_substream_consume(own->substream, strtoul(arguments, NULL, 10));
    } else if (strcmp(verb, "end") == 0) {
        do_end(own);
    } else if (strcmp(verb, "close") == 0) {
        plex_substream_close(own->substream);
        release(own);
    } else if (strcmp(verb, "abort") == 0) {
        do_abort(own, arguments);
        release(own);
    } else {
        return false;
    }
    return true;
}

static void say_message(struct vector_host *host, const char *json)
{
    vector_bytes_add(&host->messages, json, strlen(json) + 1);
    plex_session_message_ready(host->session);
}

/* The host's own doing, of which on_resume needn't tell. */
static void resume(struct vector_host *host)
{
    host->stopped = false;
    plex_session_resume(host->session);
}

bool vector_host_do(struct vector_host *host, const char *line)
{
    char verb[16] = "", error[64] = "";
    int used = 0;
    sscanf(line, "%15s %n", verb, &used);
    const char *arguments = line + used;
    struct plex_session *session = host->session;
    if (strcmp(verb, "authorize") == 0) {
        int result = plex_session_authorize(session, strcmp(arguments, "true") == 0);
        if (result)
            host->result = result;
        return result > -300;
    }
    if (strcmp(verb, "token") == 0)
        return plex_session_send_token(session, arguments, strlen(arguments)) == 0;
    if (strcmp(verb, "open") == 0)
        return do_open(host, arguments, NULL);
    if (strcmp(verb, "fails") == 0)
        return sscanf(arguments, "%*s %63s", error) == 1 && do_open(host, arguments, error);
    if (strcmp(verb, "goaway") == 0)
        plex_session_goaway(session, (uint16_t)strtoul(arguments, NULL, 10));
    else if (strcmp(verb, "ping") == 0)
        plex_session_ping(session);
    else if (strcmp(verb, "message") == 0)
        say_message(host, arguments);
    else if (strcmp(verb, "pause") == 0)
        plex_session_pause(session);
    else if (strcmp(verb, "resume") == 0)
        resume(host);
    else if (strcmp(verb, "detach") == 0)
        plex_session_detach(session);
    else if (strcmp(verb, "attach") == 0)
        plex_session_attach(session, host->now);
    else
        return do_substream(host, verb, arguments);
    return true;
}

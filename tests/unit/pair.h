/* Two engines joined in memory, or one with its peer's frames written by hand, and what each told
 * its host as text: a test compares logs. The host here consumes what it gets at once (unless told
 * not to), and sends what a test gives it by side_send(). */
#pragma once

#include "streamplex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MS       UINT64_C(1000)
#define SECOND   UINT64_C(1000000)
#define LOG_SIZE 65536
#define IDS      65536

struct heap {
    size_t bytes, blocks;
    size_t fail_after; /* allocations that succeed; 0: all do */
    size_t made;
};

/* What the host keeps of a substream, in its user pointer's place: by id. */
struct host {
    struct plex_substream *substream;
    const char *data; /* to be sent; NULL with a length: that many zeroes */
    size_t length;
    uint64_t received;
    bool end_after, close_after;
};

struct side {
    struct plex_session *session;
    struct plex_config config;
    struct plex_callbacks callbacks;
    struct plex_allocator allocator;
    struct heap heap;
    struct host *hosts;
    char log[LOG_SIZE];
    size_t log_size;
    char last_data[32]; /* the log line that data is appended to */
    bool quiet;         /* data isn't logged */
    bool mute;          /* nothing is */
    bool hoard;         /* data isn't consumed */
    int answer;         /* to a token: 1 accept, 0 refuse, -1 later */
    const char *refuse; /* each open is aborted with this */
    bool pause_on_data;
    const char *const *messages; /* to be sent, up to a NULL */
    size_t message_room;         /* at the last pull of one */
    unsigned outputs, resumes;
    size_t pull_size;
    int error;
};

static inline void *heap_alloc(void *user, size_t size)
{
    struct heap *heap = user;
    if (heap->fail_after && heap->made >= heap->fail_after)
        return NULL;
    heap->made++;
    heap->bytes += size;
    heap->blocks++;
    void *memory = malloc(size);
    if (memory)
        memset(memory, 0xa5, size);
    return memory;
}

static inline void heap_free(void *user, void *memory, size_t size)
{
    struct heap *heap = user;
    assert_true(heap->bytes >= size && heap->blocks > 0);
    heap->bytes -= size;
    heap->blocks--;
    memset(memory, 0x5a, size);
    free(memory);
}

static inline void say(struct side *side, const char *format, ...)
{
    va_list arguments;
    if (side->mute)
        return;
    va_start(arguments, format);
    int length =
        vsnprintf(side->log + side->log_size, LOG_SIZE - side->log_size, format, arguments);
    va_end(arguments);
    assert_true(length >= 0 && (size_t)length < LOG_SIZE - side->log_size);
    side->log_size += (size_t)length;
    side->last_data[0] = 0;
}

static inline struct side *side_of(struct plex_session *session)
{
    return plex_session_user(session);
}

static inline struct side *side_of_substream(struct plex_substream *substream)
{
    return side_of(plex_substream_session(substream));
}

static inline struct host *host_of(struct plex_substream *substream)
{
    return &side_of_substream(substream)->hosts[plex_substream_id(substream)];
}

static inline void host_forget(struct plex_substream *substream)
{
    host_of(substream)->substream = NULL;
    host_of(substream)->length = 0;
}

static inline void said_token(struct plex_session *session, const char *token, size_t length)
{
    struct side *side = side_of(session);
    say(side, "token %.*s\n", (int)length, token);
    if (side->answer >= 0)
        assert_int_equal(plex_session_authorize(session, side->answer), 0);
}

static inline void said_authed(struct plex_session *session, bool accepted)
{
    say(side_of(session), "authed %d\n", accepted);
}

static inline void said_output(struct plex_session *session)
{
    side_of(session)->outputs++;
}

static inline void said_resume(struct plex_session *session)
{
    side_of(session)->resumes++;
}

static inline void said_open(struct plex_substream *substream, enum plex_kind kind,
                             const char *service, const char *visitor)
{
    static const char *const names[] = {"net", "tls", "inbound"};
    struct side *side = side_of_substream(substream);
    struct host *host = host_of(substream);
    memset(host, 0, sizeof *host);
    host->substream = substream;
    say(side, "open %u %s", plex_substream_id(substream), names[kind]);
    if (service)
        say(side, " %s %s", service, visitor);
    say(side, "\n");
    if (side->refuse) {
        host_forget(substream);
        plex_substream_abort(substream, side->refuse, "ECODE");
    }
}

static inline void said_connect(struct plex_substream *substream, const char *host, uint16_t port)
{
    say(side_of_substream(substream), "connect %u %s %u\n", plex_substream_id(substream), host,
        port);
}

static inline void said_timeout(struct plex_substream *substream, uint32_t milliseconds)
{
    say(side_of_substream(substream), "timeout %u %u\n", plex_substream_id(substream),
        milliseconds);
}

static inline void said_data(struct plex_substream *substream, const void *data, size_t length)
{
    struct side *side = side_of_substream(substream);
    char line[32];
    assert_true(length > 0);
    host_of(substream)->received += length;
    if (!side->quiet) {
        /* Pieces of one run of data are one line, so that tearing doesn't show. */
        snprintf(line, sizeof line, "data %u ", plex_substream_id(substream));
        if (!strcmp(side->last_data, line))
            side->log_size--;
        else
            say(side, "%s", line);
        say(side, "%.*s\n", (int)length, (const char *)data);
        strcpy(side->last_data, line);
    }
    if (!side->hoard)
        plex_substream_consume(substream, length);
    if (side->pause_on_data)
        plex_session_pause(plex_substream_session(substream));
}

static inline void said_end(struct plex_substream *substream)
{
    say(side_of_substream(substream), "end %u\n", plex_substream_id(substream));
}

static inline void said_event(struct plex_substream *substream, enum plex_event event,
                              const char *text)
{
    static const char *const names[] = {"lookup", "connect", "secureConnect", "timeout"};
    say(side_of_substream(substream), "event %u %s%s%s\n", plex_substream_id(substream),
        names[event], text ? " " : "", text ? text : "");
}

static inline void said_error(struct plex_substream *substream, const char *message,
                              const char *code)
{
    say(side_of_substream(substream), "error %u %s%s%s\n", plex_substream_id(substream), message,
        code ? " " : "", code ? code : "");
}

static inline void said_gone(struct plex_substream *substream, int reason)
{
    say(side_of_substream(substream), "gone %u %s\n", plex_substream_id(substream),
        plex_error_name(reason));
    host_forget(substream);
}

static inline size_t said_pull(struct plex_substream *substream, void *buffer, size_t capacity)
{
    struct host *host = host_of(substream);
    assert_ptr_equal(host->substream, substream);
    assert_true(capacity > 0);
    size_t size = host->length < capacity ? host->length : capacity;
    if (host->data) {
        memcpy(buffer, host->data, size);
        host->data += size;
    } else {
        memset(buffer, 0, size);
    }
    host->length -= size;
    if (!host->length && host->end_after)
        plex_substream_end(substream);
    if (!host->length && host->close_after) {
        host->substream = NULL;
        plex_substream_close(substream);
    }
    return size;
}

static inline void said_message(struct plex_session *session, const char *json, size_t length)
{
    say(side_of(session), "message %.*s\n", (int)length, json);
}

static inline size_t said_message_pull(struct plex_session *session, char *buffer, size_t capacity)
{
    struct side *side = side_of(session);
    side->message_room = capacity;
    if (!side->messages || !*side->messages)
        return 0;
    size_t size = strlen(*side->messages);
    assert_true(size <= capacity);
    memcpy(buffer, *side->messages++, size);
    return size;
}

static inline void said_goaway(struct plex_session *session, uint16_t code)
{
    say(side_of(session), "goaway %u\n", code);
}

static inline void side_prepare(struct side *side, enum plex_side which)
{
    struct host *hosts = calloc(IDS, sizeof *hosts);
    memset(side, 0, sizeof *side);
    assert_non_null(hosts);
    side->hosts = hosts;
    side->answer = 1;
    side->pull_size = PLEX_PULL_MAX;
    side->allocator = (struct plex_allocator){heap_alloc, heap_free, &side->heap};
    side->callbacks = (struct plex_callbacks){
        .on_token = said_token,
        .on_authed = said_authed,
        .on_output = said_output,
        .on_resume = said_resume,
        .on_open = said_open,
        .on_connect = said_connect,
        .on_timeout = said_timeout,
        .on_data = said_data,
        .on_end = said_end,
        .on_event = said_event,
        .on_error = said_error,
        .on_gone = said_gone,
        .on_pull = said_pull,
        .on_message = said_message,
        .on_message_pull = said_message_pull,
        .on_goaway = said_goaway,
    };
    plex_config_init(&side->config, which);
    side->config.callbacks = &side->callbacks;
    side->config.allocator = &side->allocator;
}

static inline void side_start(struct side *side, uint64_t now)
{
    side->session = plex_session_new(&side->config, side, now);
    assert_non_null(side->session);
}

/* Ends it, and checks that nothing is left. */
static inline void side_finish(struct side *side)
{
    plex_session_free(side->session);
    assert_int_equal(side->heap.blocks, 0);
    assert_int_equal(side->heap.bytes, 0);
    free(side->hosts);
    side->hosts = NULL;
    side->session = NULL;
}

static inline void side_send(struct plex_substream *substream, const char *data, size_t length)
{
    struct host *host = host_of(substream);
    host->substream = substream;
    host->data = data;
    host->length = length;
    plex_substream_ready(substream);
}

static inline struct plex_substream *side_open(struct side *side, enum plex_kind kind)
{
    struct plex_substream *substream = NULL;
    bool inbound = kind == PLEX_INBOUND;
    int r = plex_substream_open(side->session, kind, inbound ? "web" : NULL,
                                inbound ? "192.0.2.1:4711" : NULL, NULL, &substream);
    assert_int_equal(r, 0);
    struct host *host = host_of(substream);
    memset(host, 0, sizeof *host);
    host->substream = substream;
    return substream;
}

static inline struct plex_substream *side_get(struct side *side, uint16_t id)
{
    assert_non_null(side->hosts[id].substream);
    return side->hosts[id].substream;
}

/* Feeds all, going on after pauses. */
static inline int side_feed(struct side *side, const void *bytes, size_t length, uint64_t now)
{
    size_t taken;
    side->error = plex_session_feed(side->session, bytes, length, now, &taken);
    if (!side->error)
        assert_int_equal(taken, length);
    return side->error;
}

static inline void side_expect(struct side *side, const char *log)
{
    assert_string_equal(side->log, log);
    side->log_size = 0;
    side->log[0] = 0;
    side->last_data[0] = 0;
}

struct pair {
    struct side server, device;
    uint64_t now;
};

/* Moves one pull; true when there was one. What isn't taken is a test's failure. */
static inline bool pair_move(struct side *from, struct side *to, uint64_t now)
{
    static uint8_t buffer[PLEX_PULL_MAX];
    if (!plex_session_has_output(from->session))
        return false;
    size_t size = plex_session_pull(from->session, buffer, from->pull_size, now);
    if (size)
        side_feed(to, buffer, size, now);
    return size > 0;
}

/* Until neither has anything to say. */
static inline void pair_run(struct pair *pair)
{
    bool more = true;
    while (more) {
        more = pair_move(&pair->device, &pair->server, pair->now);
        more |= pair_move(&pair->server, &pair->device, pair->now);
    }
}

static inline struct pair *pair_prepare(uint32_t features)
{
    struct pair *pair = calloc(1, sizeof *pair);
    assert_non_null(pair);
    side_prepare(&pair->server, PLEX_SERVER);
    side_prepare(&pair->device, PLEX_DEVICE);
    pair->server.config.features = pair->device.config.features = features;
    pair->now = 1000 * SECOND;
    return pair;
}

static inline void pair_start(struct pair *pair)
{
    side_start(&pair->server, pair->now);
    side_start(&pair->device, pair->now);
    assert_int_equal(plex_session_send_token(pair->device.session, "secret", 6), 0);
    pair_run(pair);
}

/* Authorised, with nothing in the logs. */
static inline struct pair *pair_new(uint32_t features)
{
    struct pair *pair = pair_prepare(features);
    pair_start(pair);
    side_expect(&pair->server, "token secret\n");
    side_expect(&pair->device, "authed 1\n");
    return pair;
}

static inline void pair_free(struct pair *pair)
{
    side_finish(&pair->server);
    side_finish(&pair->device);
    free(pair);
}

/* A frame written by hand; returns its size. */
static inline size_t frame(void *buffer, uint16_t channel, uint8_t type, const void *payload,
                           size_t size)
{
    uint8_t *bytes = buffer;
    bytes[0] = (uint8_t)((size + 3) >> 8);
    bytes[1] = (uint8_t)(size + 3);
    bytes[2] = (uint8_t)(channel >> 8);
    bytes[3] = (uint8_t)channel;
    bytes[4] = type;
    if (size)
        memcpy(bytes + 5, payload, size);
    return size + 5;
}

static inline int side_frame(struct side *side, uint16_t channel, uint8_t type, const void *payload,
                             size_t size, uint64_t now)
{
    static uint8_t buffer[PLEX_HEADER_SIZE + PLEX_PAYLOAD_MAX];
    return side_feed(side, buffer, frame(buffer, channel, type, payload, size), now);
}

static inline int side_json(struct side *side, uint16_t channel, const char *json)
{
    return side_frame(side, channel, 1, json, strlen(json), 1000 * SECOND);
}

/* Pulls all, as text: "channel type payload\n" a frame, payloads of types other than 0 and 1 in
 * hex. */
static inline const char *side_pull_text(struct side *side, uint64_t now)
{
    static char text[65536];
    static uint8_t buffer[PLEX_PULL_MAX];
    size_t at = 0;
    text[0] = 0;
    while (plex_session_has_output(side->session)) {
        size_t size = plex_session_pull(side->session, buffer, side->pull_size, now);
        if (!size)
            break;
        for (size_t from = 0; from < size;) {
            size_t length = (size_t)(buffer[from] << 8 | buffer[from + 1]) + 2;
            assert_true(length >= 5 && from + length <= size);
            uint8_t type = buffer[from + 4];
            at += (size_t)snprintf(text + at, sizeof text - at, "%u %u ",
                                   (unsigned)(buffer[from + 2] << 8 | buffer[from + 3]), type);
            for (size_t i = from + 5; i < from + length; i++)
                at += (size_t)snprintf(text + at, sizeof text - at, type > 1 ? "%02x" : "%c",
                                       buffer[i]);
            at += (size_t)snprintf(text + at, sizeof text - at, "\n");
            assert_true(at < sizeof text);
            from += length;
        }
    }
    return text;
}

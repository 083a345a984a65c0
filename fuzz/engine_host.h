/* What both engine fuzzers share: a host that follows the header's rules and, as the input chooses,
 * none of its recommendations; and checks of what must hold whatever a peer sends.
 *
 * Input: byte 0 chooses the host's ways, byte 1 limits, byte 2 seeds tearing and the host's
 * choices; the rest is what the peer sends. */
#pragma once

#include "../protocol/json.h"
#include "streamplex.h"

#include <stdlib.h>
#include <string.h>

enum way {
    WAY_V1 = 1 << 0,     /* asks for or grants extensions */
    WAY_AUTHED = 1 << 1, /* the input begins after the authentication */
    WAY_HOARD = 1 << 2,  /* consumes late or never */
    WAY_ABORT = 1 << 3,  /* ends, closes and aborts at random */
    WAY_LATE = 1 << 4,   /* answers tokens later, or refuses */
    WAY_TEAR = 1 << 5,   /* feeds small pieces, pulls small buffers */
    WAY_PAUSE = 1 << 6,  /* pauses, detaches */
    WAY_TALK = 1 << 7,   /* sends data, opens substreams */
};

struct engine_fuzz {
    struct plex_session *session;
    struct plex_config config;
    struct plex_callbacks callbacks;
    struct plex_allocator allocator;
    struct plex_budget budget;
    size_t heap;
    uint64_t now;
    uint32_t random;
    uint8_t ways;
    uint8_t fail; /* one allocation in 256 / fail fails */
    bool pulling;
};

static struct engine_fuzz fuzz;
/* By id; empty again when a session ends. */
static struct plex_substream *substreams[65536];
static size_t held[65536]; /* bytes not consumed */

static void must(bool condition)
{
    if (!condition)
        abort();
}

static uint32_t chance(uint32_t below)
{
    fuzz.random = fuzz.random * 1664525u + 1013904223u;
    return (fuzz.random >> 8) % below;
}

static void *fuzz_alloc(void *user, size_t size)
{
    if (fuzz.fail && chance(256) < fuzz.fail)
        return NULL;
    fuzz.heap += size;
    return malloc(size);
}

static void fuzz_free(void *user, void *memory, size_t size)
{
    must(fuzz.heap >= size);
    fuzz.heap -= size;
    free(memory);
}

static void lost(uint16_t id)
{
    substreams[id] = NULL;
    held[id] = 0;
}

/* Failures are part of what is fuzzed. */
static void any(int result)
{
    must(result <= 0);
}

/* The host does anything that it may do with a substream. */
static void meddle(struct plex_substream *substream)
{
    uint16_t id = plex_substream_id(substream);
    must(substreams[id] == substream);
    if (fuzz.ways & WAY_TALK && chance(2))
        plex_substream_ready(substream);
    if (held[id] && chance(4)) {
        size_t some = 1 + chance((uint32_t)held[id]);
        held[id] -= some;
        plex_substream_consume(substream, some);
    }
    if (!(fuzz.ways & WAY_ABORT))
        return;
    switch (chance(16)) {
    case 0:
        plex_substream_end(substream);
        break;
    case 1:
        lost(id);
        plex_substream_close(substream);
        break;
    case 2:
        lost(id);
        plex_substream_abort(substream, "an \"error\"\n\xc3\xa4 \xff", chance(2) ? "ECODE" : NULL);
        break;
    case 3:
        lost(id);
        plex_substream_abort(substream, NULL, NULL);
        break;
    case 4:
        plex_substream_notify(substream, (enum plex_event)chance(4),
                              chance(2) ? "192.0.2.1:80" : NULL);
        break;
    case 5:
        any(plex_substream_connect(substream, "example.com", 80));
        break;
    case 6:
        plex_substream_timeout(substream, chance(5000));
        break;
    default:
        break;
    }
}

static void meddle_with_any(void)
{
    uint16_t id = (uint16_t)(1 + chance(16));
    if (substreams[id])
        meddle(substreams[id]);
    if (fuzz.ways & WAY_TALK && !chance(8)) {
        struct plex_substream *substream;
        bool server = fuzz.config.side == PLEX_SERVER;
        enum plex_kind kind = server ? PLEX_INBOUND : (enum plex_kind)chance(2);
        if (plex_substream_open(fuzz.session, kind, server ? "web\"" : NULL,
                                server ? "192.0.2.1:4711" : NULL, NULL, &substream) == 0) {
            id = plex_substream_id(substream);
            must(!substreams[id]);
            substreams[id] = substream;
        }
    }
    if (fuzz.ways & WAY_LATE && fuzz.config.side == PLEX_SERVER && !chance(4))
        any(plex_session_authorize(fuzz.session, chance(3)));
    if (fuzz.ways & WAY_PAUSE && !chance(16))
        plex_session_pause(fuzz.session);
    if (!chance(64))
        plex_session_goaway(fuzz.session, 0);
    if (!chance(64))
        plex_session_ping(fuzz.session);
    if (fuzz.ways & WAY_TALK && !chance(16))
        plex_session_message_ready(fuzz.session);
    if (fuzz.ways & WAY_ABORT && !chance(2048))
        plex_session_fail(fuzz.session, PLEX_TUNNEL_IDLE);
}

static void on_token(struct plex_session *session, const char *token, size_t length)
{
    must(length >= 1 && length <= PLEX_TOKEN_MAX && !memchr(token, 0, length));
    if (!(fuzz.ways & WAY_LATE))
        must(plex_session_authorize(session, true) == 0);
}

static void on_authed(struct plex_session *session, bool accepted)
{
}

static void on_output(struct plex_session *session)
{
    must(plex_session_has_output(session));
}

static void on_resume(struct plex_session *session)
{
    must(plex_session_can_take(session));
}

static void on_open(struct plex_substream *substream, enum plex_kind kind, const char *service,
                    const char *visitor)
{
    uint16_t id = plex_substream_id(substream);
    must(!substreams[id] && id);
    must((kind == PLEX_INBOUND) == (service != NULL) && (visitor != NULL) == (service != NULL));
    must(!service || (strlen(service) <= PLEX_SERVICE_MAX && strlen(visitor) <= PLEX_VISITOR_MAX));
    substreams[id] = substream;
    meddle(substream);
}

static void on_connect(struct plex_substream *substream, const char *host, uint16_t port)
{
    must(port && *host && strlen(host) <= PLEX_HOST_MAX);
    meddle(substream);
}

static void on_timeout(struct plex_substream *substream, uint32_t milliseconds)
{
    must(milliseconds <= INT32_MAX);
    meddle(substream);
}

static void on_data(struct plex_substream *substream, const void *data, size_t length)
{
    uint16_t id = plex_substream_id(substream);
    must(length > 0 && substreams[id] == substream);
    volatile uint8_t last = ((const uint8_t *)data)[length - 1];
    (void)last;
    if (fuzz.ways & WAY_HOARD)
        held[id] += length;
    else
        plex_substream_consume(substream, length);
    meddle(substream);
    meddle_with_any();
}

static void on_end(struct plex_substream *substream)
{
    meddle(substream);
}

static void on_event(struct plex_substream *substream, enum plex_event event, const char *text)
{
    must(event <= PLEX_EVENT_TIMEOUT);
    meddle(substream);
}

static void on_error(struct plex_substream *substream, const char *message, const char *code)
{
    must(strlen(message) <= PLEX_MESSAGE_MAX);
    meddle(substream);
}

static void on_gone(struct plex_substream *substream, int reason)
{
    uint16_t id = plex_substream_id(substream);
    must(substreams[id] == substream && reason <= -101 && reason >= -112);
    lost(id);
    meddle_with_any();
}

static size_t on_pull(struct plex_substream *substream, void *buffer, size_t capacity)
{
    must(fuzz.pulling && capacity > 0 && capacity <= PLEX_PULL_MAX - PLEX_HEADER_SIZE);
    size_t size = chance(3) ? chance((uint32_t)capacity + 1) : 0;
    memset(buffer, 'x', size);
    meddle(substream);
    return size;
}

/* An object that has passed the check, whole and nothing else. */
static void on_message(struct plex_session *session, const char *json, size_t length)
{
    must(length >= 2 && length <= fuzz.config.max_json && *json == '{' && json[length - 1] == '}');
    must(plex_json_check(json, length));
    must(plex_session_features(session) & PLEX_INBOUND_OPENS);
    meddle_with_any();
}

static size_t on_message_pull(struct plex_session *session, char *buffer, size_t capacity)
{
    must(fuzz.pulling && capacity >= 960 && capacity <= PLEX_PULL_MAX);
    meddle_with_any();
    if (!chance(3))
        return 0;
    size_t size = 2 + chance((uint32_t)capacity - 1);
    memset(buffer, ' ', size);
    buffer[0] = '{';
    buffer[size - 1] = '}';
    return size;
}

static void on_goaway(struct plex_session *session, uint16_t code)
{
}

/* Whole frames of known types, JSON that is. */
static void check_output(const uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        must(size - at >= PLEX_HEADER_SIZE);
        size_t length = (size_t)(bytes[at] << 8 | bytes[at + 1]) + 2;
        must(length >= PLEX_HEADER_SIZE && length <= size - at && bytes[at + 4] <= 6);
        if (bytes[at + 4] == 1)
            must(plex_json_check((const char *)bytes + at + 5, length - 5));
        at += length;
    }
}

static void pull(void)
{
    static uint8_t buffer[PLEX_PULL_MAX];
    size_t capacity = fuzz.ways & WAY_TEAR ? PLEX_PULL_MIN + chance(1024) : sizeof buffer;
    fuzz.pulling = true;
    size_t size = plex_session_pull(fuzz.session, buffer, capacity, fuzz.now);
    fuzz.pulling = false;
    must(size <= capacity);
    check_output(buffer, size);
}

static int turn(void)
{
    meddle_with_any();
    if (chance(3))
        pull();
    fuzz.now += chance(8) ? chance(100000) : chance(20000000);
    uint64_t deadline = plex_session_deadline(fuzz.session);
    if (deadline <= fuzz.now)
        return plex_session_tick(fuzz.session, fuzz.now);
    return 0;
}

static int feed(const uint8_t *bytes, size_t size)
{
    unsigned patience = 64; /* for an engine that takes nothing */
    while (size) {
        size_t piece = fuzz.ways & WAY_TEAR ? 1 + chance(40) : size, taken = 0;
        piece = piece < size ? piece : size;
        /* An allocation of the piece alone, so that a read past its end shows. */
        uint8_t *exact = malloc(piece);
        must(exact != NULL);
        memcpy(exact, bytes, piece);
        int r = plex_session_feed(fuzz.session, exact, piece, fuzz.now, &taken);
        free(exact);
        must(taken <= piece);
        if (r < 0) {
            size_t again;
            must(plex_session_feed(fuzz.session, bytes, size, fuzz.now, &again) == r);
            return r;
        }
        must(taken == piece || !plex_session_can_take(fuzz.session));
        bytes += taken;
        size -= taken;
        if (!taken && !patience--)
            return 0;
        if ((r = turn()) < 0)
            return r;
        if (fuzz.ways & WAY_PAUSE && !chance(8)) {
            plex_session_detach(fuzz.session);
            plex_session_attach(fuzz.session, fuzz.now);
        }
        if (chance(2))
            plex_session_resume(fuzz.session);
    }
    return 0;
}

/* A frame of JSON on channel 0. */
static int feed_message(const char *json)
{
    uint8_t bytes[512] = {0};
    size_t length = strlen(json);
    bytes[0] = (uint8_t)((length + 3) >> 8);
    bytes[1] = (uint8_t)(length + 3);
    bytes[4] = 1;
    memcpy(bytes + 5, json, length);
    return feed(bytes, length + 5);
}

static void engine_fuzz(enum plex_side side, const uint8_t *data, size_t size)
{
    if (size < 3)
        return;
    memset(&fuzz, 0, sizeof fuzz);
    fuzz.ways = data[0];
    fuzz.random = data[2] * 2654435769u;
    fuzz.now = 1;
    fuzz.callbacks = (struct plex_callbacks){
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
    fuzz.allocator = (struct plex_allocator){fuzz_alloc, fuzz_free, NULL};
    fuzz.budget.limit = data[1] & 1 ? 100000 : UINT64_MAX;
    plex_config_init(&fuzz.config, side);
    fuzz.config.features = fuzz.ways & WAY_V1 ? (uint32_t)PLEX_FEATURES_ALL : 0;
    fuzz.config.callbacks = &fuzz.callbacks;
    fuzz.config.allocator = &fuzz.allocator;
    fuzz.config.budget = &fuzz.budget;
    if (data[1] & 2)
        fuzz.config.window = PLEX_WINDOW_MIN;
    if (data[1] & 4)
        fuzz.config.max_substreams = 2;
    if (data[1] & 8)
        fuzz.config.buffer_limit = 100;
    if (data[1] & 16)
        fuzz.config.ping_interval = 1000000, fuzz.config.ping_timeout = 5000000;
    if (data[1] & 32)
        fuzz.config.idle_timeout = 30000000;
    if (data[1] & 64)
        fuzz.config.credit_limit = 50000;
    if (data[1] & 128)
        fuzz.config.features &= ~(uint32_t)(PLEX_RESET | PLEX_FLOW * (data[2] & 1));
    fuzz.session = plex_session_new(&fuzz.config, NULL, fuzz.now);
    must(fuzz.session != NULL);
    if (data[2] % 4 == 3)
        fuzz.fail = 8;
    if (side == PLEX_DEVICE && plex_session_send_token(fuzz.session, "T", 1) == 0)
        pull();
    int r = 0;
    if (fuzz.ways & WAY_AUTHED) {
        static const char terms[] = ",\"streamplex\":{\"version\":1,\"features\":[\"flow\","
                                    "\"ping\",\"reset\",\"goaway\",\"inbound\"]}";
        static char message[400];
        strcpy(message, "{\"type\":\"message\",\"object\":{");
        strcat(message, side == PLEX_SERVER ? "\"token\":\"T\"" : "\"authed\":true");
        if (fuzz.ways & WAY_V1 && !(data[1] & 128))
            strcat(message, terms);
        strcat(message, "}}");
        r = feed_message(message);
    }
    if (r == 0)
        r = feed(data + 3, size - 3);
    for (int i = 0; i < 20 && plex_session_has_output(fuzz.session); i++)
        pull();
    plex_session_free(fuzz.session);
    must(fuzz.heap == 0 && fuzz.budget.used == 0);
}

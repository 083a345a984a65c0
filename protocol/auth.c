/* The token, its answer, and the extensions that ride on both (§4, §8.1). */
#include "internal.h"

#include <string.h>

static const char *const feature_names[] = {"flow", "ping", "reset", "goaway", "inbound"};
#define FEATURE_COUNT (sizeof feature_names / sizeof feature_names[0])
/* Names that we don't know: a server grants none of them, a device has asked for none. */
#define FEATURE_UNKNOWN 0x80

static struct plex_terms terms_of(const struct plex_config *config, uint32_t features)
{
    return (struct plex_terms){.window = config->window,
                               .max_json = (uint16_t)config->max_json,
                               .max_substreams = (uint16_t)config->max_substreams,
                               .features = (uint8_t)features,
                               .present = features != 0};
}

/* Reading */

/* These return 0, PLEX_TUNNEL_JSON for a key that is there twice, or PLEX_TUNNEL_EXTENSION. */

/* An integer of least...most; *ret_number stays as it is without the key. */
static int read_number(const char *object, const char *key, uint32_t least, uint32_t most,
                       uint32_t *ret_number)
{
    const char *value;
    int r = plex_json_get(object, key, &value);
    if (r < 0 || !value)
        return r;
    bool good = plex_json_integer(value, ret_number) && *ret_number >= least && *ret_number <= most;
    return good ? 0 : PLEX_TUNNEL_EXTENSION;
}

static int read_features(const char *object, uint8_t *ret_features)
{
    const char *value;
    int r = plex_json_get(object, "features", &value);
    if (r < 0)
        return r;
    if (value && *value != '[')
        return PLEX_TUNNEL_EXTENSION;
    for (value = plex_json_first(value); value; value = plex_json_next(value)) {
        if (!plex_json_is_string(value))
            return PLEX_TUNNEL_EXTENSION;
        unsigned i = 0;
        while (i < FEATURE_COUNT && !plex_json_equals(value, feature_names[i]))
            i++;
        *ret_features |= i < FEATURE_COUNT ? (uint8_t)(1u << i) : FEATURE_UNKNOWN;
    }
    return 0;
}

/* The value of "streamplex", of a version up to `newest`. */
static int read_terms(const char *value, uint32_t newest, struct plex_terms *ret_terms)
{
    uint32_t version = 0, max_json = 16384, max_substreams = 1024;
    struct plex_terms terms = {.present = true, .window = 65536};
    if (*value != '{')
        return PLEX_TUNNEL_EXTENSION;
    int r = read_number(value, "version", 1, newest, &version);
    if (!r && !version)
        r = PLEX_TUNNEL_EXTENSION;
    if (!r)
        r = read_features(value, &terms.features);
    if (!r)
        r = read_number(value, "window", PLEX_WINDOW_MIN, PLEX_WINDOW_MAX, &terms.window);
    if (!r)
        r = read_number(value, "max_json", 1024, PLEX_PAYLOAD_MAX, &max_json);
    if (!r)
        r = read_number(value, "max_substreams", 1, 32767, &max_substreams);
    if (r < 0)
        return r;
    terms.max_json = (uint16_t)max_json;
    terms.max_substreams = (uint16_t)max_substreams;
    *ret_terms = terms;
    return 0;
}

static void agree(struct plex_session *session, const struct plex_terms *theirs, uint32_t features)
{
    session->v1 = true;
    session->features = features;
    session->peer_window = theirs->window;
    session->peer_max = theirs->max_substreams;
    if (session->going_away)
        plex_session_goaway(session, session->goaway_code);
}

/* Token messages and their answers aren't counted (§9). */
static void uncount(struct plex_session *session)
{
    session->bytes_in -= session->parser.counted;
    session->parser.counted = 0;
}

static int token_message(struct plex_session *session, const char *token, const char *terms)
{
    char text[PLEX_TOKEN_MAX + 1];
    struct plex_terms asked = {0};
    int length = plex_json_copy(token, text, sizeof text);
    if (length < 1 || length > PLEX_TOKEN_MAX)
        return PLEX_TUNNEL_JSON;
    if (terms && session->config->features && !session->authed) {
        int r = read_terms(terms, INT32_MAX, &asked);
        if (r < 0)
            return r;
        if (session->held.opens)
            return PLEX_TUNNEL_EXTENSION;
    }
    uncount(session);
    if (!session->authed)
        session->asked = asked;
    session->token_pending = true;
    session->config->callbacks->on_token(session, text, (size_t)length);
    return 0;
}

static int answer_message(struct plex_session *session, const char *authed, const char *terms)
{
    bool accepted = *authed == 't';
    struct plex_terms granted;
    if (!accepted && *authed != 'f')
        return PLEX_TUNNEL_JSON;
    uncount(session);
    if (!session->token_pending)
        return 0;
    if (accepted && !session->authed) {
        if (terms && session->asked.present) {
            int r = read_terms(terms, 1, &granted);
            if (r < 0)
                return r;
            if (granted.features & ~session->asked.features)
                return PLEX_TUNNEL_EXTENSION;
            agree(session, &granted, granted.features);
        }
        session->authed = true;
    }
    session->token_pending = false;
    session->config->callbacks->on_authed(session, accepted);
    return 0;
}

int plex_auth_message(struct plex_session *session, const char *object)
{
    bool server = session->config->side == PLEX_SERVER;
    const char *value, *terms;
    int r = plex_json_get(object, server ? "token" : "authed", &value);
    if (r < 0 || !value)
        return r;
    r = plex_json_get(object, "streamplex", &terms);
    if (r < 0)
        return r;
    return server ? token_message(session, value, terms) : answer_message(session, value, terms);
}

/* Writing */

static void write_terms(struct plex_writer *writer, const struct plex_terms *terms)
{
    plex_write_text(writer, ",\"streamplex\":{\"version\":1,\"features\":[");
    const char *separator = "\"";
    for (unsigned i = 0; i < FEATURE_COUNT; i++)
        if (terms->features & 1u << i) {
            plex_write_text(writer, separator);
            plex_write_text(writer, feature_names[i]);
            separator = "\",\"";
        }
    plex_write_text(writer, terms->features ? "\"],\"window\":" : "],\"window\":");
    plex_write_number(writer, terms->window);
    plex_write_text(writer, ",\"max_json\":");
    plex_write_number(writer, terms->max_json);
    plex_write_text(writer, ",\"max_substreams\":");
    plex_write_number(writer, terms->max_substreams);
    plex_write_text(writer, "}");
}

static void begin_message(struct plex_writer *writer, const char *key)
{
    plex_write_begin(writer, 0, PLEX_FRAME_JSON);
    plex_write_text(writer, "{\"type\":\"message\",\"object\":{\"");
    plex_write_text(writer, key);
    plex_write_text(writer, "\":");
}

static void end_message(struct plex_writer *writer)
{
    plex_write_text(writer, "}}");
    plex_write_end(writer);
}

static void write_token(struct plex_session *session, struct plex_writer *writer)
{
    size_t space = (size_t)(writer->end - writer->at);
    size_t size = (size_t)(session->token_size - session->token_pulled);
    size = size < space ? size : space;
    plex_write_raw(writer, session->token + session->token_pulled, size);
    session->token_pulled += (uint16_t)size;
    if (session->token_pulled < session->token_size) {
        writer->full = true;
        return;
    }
    plex_session_release(session, session->token, PLEX_TOKEN_FRAME);
    session->token = NULL;
    session->token_size = session->token_pulled = 0;
    session->control &= (uint8_t)~CONTROL_TOKEN;
    /* A token may leave less room than the rest of channel 0 needs. */
    writer->full = true;
}

void plex_auth_write(struct plex_session *session, struct plex_writer *writer)
{
    if (session->control & CONTROL_TOKEN) {
        write_token(session, writer);
        return;
    }
    if (session->control & CONTROL_REFUSED) {
        begin_message(writer, "authed");
        plex_write_text(writer, "false");
        end_message(writer);
    }
    if (session->control & CONTROL_ACCEPTED) {
        begin_message(writer, "authed");
        plex_write_text(writer, "true");
        if (session->answer_terms)
            write_terms(writer, &session->ours);
        session->answer_terms = false;
        end_message(writer);
    }
    session->control &= (uint8_t) ~(CONTROL_REFUSED | CONTROL_ACCEPTED);
}

/* The public interface */

int plex_session_authorize(struct plex_session *session, bool accepted)
{
    if (session->config->side != PLEX_SERVER || !session->token_pending || session->error)
        return PLEX_OURS_STATE;
    plex_session_enter(session);
    int r = 0;
    session->token_pending = false;
    session->control |= accepted ? CONTROL_ACCEPTED : CONTROL_REFUSED;
    if (!session->authed && accepted) {
        session->ours = terms_of(session->config, 0);
        session->authed = true;
        if (session->asked.present) {
            session->ours.features = session->asked.features & (uint8_t)session->config->features;
            session->answer_terms = true;
            agree(session, &session->asked, session->ours.features);
        }
        r = plex_feed_unhold(session);
    } else if (!session->authed && session->held.opens) {
        r = PLEX_TUNNEL_NOT_AUTHORIZED;
    }
    if (r < 0)
        plex_session_die(session, r);
    plex_session_leave(session);
    return 0;
}

int plex_session_send_token(struct plex_session *session, const char *token, size_t length)
{
    if (session->config->side != PLEX_DEVICE || session->error || session->token_pulled)
        return PLEX_OURS_STATE;
    if (length < 1 || length > PLEX_TOKEN_MAX)
        return PLEX_OURS_ARGUMENT;
    for (size_t at = 0; at < length;) {
        unsigned size = plex_json_utf8(token + at, token + length);
        if (!size)
            return PLEX_OURS_ARGUMENT;
        at += size;
    }
    uint8_t *frame = plex_session_alloc(session, PLEX_TOKEN_FRAME);
    if (!frame)
        return PLEX_OURS_MEMORY;
    struct plex_terms asked = terms_of(session->config, session->config->features);
    struct plex_writer writer;
    plex_write_init(&writer, frame, PLEX_TOKEN_FRAME);
    begin_message(&writer, "token");
    plex_write_string(&writer, token, length, PLEX_TOKEN_FRAME);
    if (asked.present && !session->authed)
        write_terms(&writer, &asked);
    end_message(&writer);
    if (writer.full) { /* escapes make it longer than a server takes */
        plex_session_release(session, frame, PLEX_TOKEN_FRAME);
        return PLEX_OURS_ARGUMENT;
    }
    plex_session_enter(session);
    plex_session_release(session, session->token, PLEX_TOKEN_FRAME);
    session->token = frame;
    session->token_size = (uint16_t)(writer.at - frame);
    if (!session->authed)
        session->asked = session->ours = asked;
    session->token_pending = true;
    session->control |= CONTROL_TOKEN;
    plex_session_leave(session);
    return 0;
}

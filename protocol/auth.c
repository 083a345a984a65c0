/* The token, its answer, and the extensions that ride on both (§4, §8.1). */
#include "internal.h"

#include <string.h>

const char *const plex_auth_features[] = {"flow", "ping", "reset", "goaway", "inbound"};
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

/* An integer of least...most; *ret_number stays as it is without a value. */
static bool read_number(const char *value, uint32_t least, uint32_t most, uint32_t *ret_number)
{
    return !value ||
           (plex_json_integer(value, ret_number) && *ret_number >= least && *ret_number <= most);
}

static bool read_features(const char *value, uint8_t *ret_features)
{
    if (value && *value != '[')
        return false;
    for (value = plex_json_first(value); value; value = plex_json_next(value)) {
        unsigned i = 0;
        if (!plex_json_is_string(value))
            return false;
        while (i < PLEX_FEATURE_COUNT && !plex_json_equals(value, plex_auth_features[i]))
            i++;
        *ret_features |= i < PLEX_FEATURE_COUNT ? (uint8_t)(1u << i) : FEATURE_UNKNOWN;
    }
    return true;
}

/* The value of "streamplex", of a version up to `newest`. 0, PLEX_TUNNEL_JSON or
 * PLEX_TUNNEL_EXTENSION. */
static int read_terms(const char *value, uint32_t newest, struct plex_terms *ret_terms)
{
    union {
        const char *all[5];
        struct {
            const char *version, *features, *window, *max_json, *max_substreams;
        };
    } keys;
    uint32_t version, max_json = 16384, max_substreams = 1024;
    struct plex_terms terms = {.present = true, .window = 65536};
    if (*value != '{')
        return PLEX_TUNNEL_EXTENSION;
    if (!plex_json_read(value, "version\0features\0window\0max_json\0max_substreams\0", keys.all))
        return PLEX_TUNNEL_JSON;
    if (!keys.version || !read_number(keys.version, 1, newest, &version) ||
        !read_features(keys.features, &terms.features) ||
        !read_number(keys.window, PLEX_WINDOW_MIN, PLEX_WINDOW_MAX, &terms.window) ||
        !read_number(keys.max_json, 1024, PLEX_PAYLOAD_MAX, &max_json) ||
        !read_number(keys.max_substreams, 1, 32767, &max_substreams))
        return PLEX_TUNNEL_EXTENSION;
    terms.max_json = (uint16_t)max_json;
    terms.max_substreams = (uint16_t)max_substreams;
    *ret_terms = terms;
    return 0;
}

static void agree(struct plex_session *session, const struct plex_terms *theirs, uint32_t features)
{
    session->v1 = true;
    session->features = (uint8_t)features;
    session->peer_window = theirs->window;
    session->peer_max = theirs->max_substreams;
    if (PLEX_HAS_MESSAGES)
        session->peer_max_json = theirs->max_json;
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

/* Do messages of the host's own come on this tunnel? */
static bool has_messages(const struct plex_session *session)
{
    return PLEX_HAS_MESSAGES && session->features & PLEX_INBOUND_OPENS &&
           session->config->callbacks->on_message;
}

int plex_auth_message(struct plex_session *session, const char *object)
{
    union {
        const char *all[4];
        struct {
            const char *token, *authed, *terms, *error;
        };
    } keys;
    bool messages = has_messages(session);
    /* All in one walk: a host's message is long, and there may be thousands of them a second. */
    const char *end = plex_json_read(
        object, messages ? "token\0authed\0streamplex\0error\0" : "token\0authed\0streamplex\0",
        keys.all);
    if (!end)
        return PLEX_TUNNEL_JSON;
    if (messages && !keys.token && !keys.authed) {
        if (!keys.error)
            session->config->callbacks->on_message(session, object, (size_t)(end - object));
        return 0;
    }
    if (plex_is_server(session))
        return keys.token ? token_message(session, keys.token, keys.terms) : 0;
    return keys.authed ? answer_message(session, keys.authed, keys.terms) : 0;
}

/* Writing */

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
    if (!PLEX_HAS_SERVER)
        return;
    if (session->control & CONTROL_REFUSED)
        plex_compose_frame(writer, session, NULL, 0, "$oauthed\":false}}");
    if (session->control & CONTROL_ACCEPTED) {
        plex_compose_frame(writer, session, NULL, 0, "$oauthed\":true$g}}");
        session->answer_terms = false;
    }
    session->control &= (uint8_t) ~(CONTROL_REFUSED | CONTROL_ACCEPTED);
}

/* The public interface */

uint32_t plex_session_asked(const struct plex_session *session)
{
    return plex_is_server(session) ? session->asked.features : 0;
}

int plex_session_authorize(struct plex_session *session, bool accepted)
{
    if (!plex_is_server(session) || !session->token_pending || session->error)
        return PLEX_OURS_STATE;
    session->depth++;
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

/* The frame of a token message. False when escapes make it longer than a server takes. */
static bool write_token_frame(struct plex_session *session, const char *token, size_t length,
                              struct plex_writer *writer)
{
    plex_write_begin(writer, 0, PLEX_FRAME_JSON);
    plex_compose(writer, session, NULL, "$otoken\":");
    plex_write_string(writer, token, length, PLEX_TOKEN_FRAME);
    plex_compose(writer, session, NULL, "$g}}");
    plex_write_end(writer);
    session->answer_terms = false;
    return !writer->full;
}

int plex_session_send_token(struct plex_session *session, const char *token, size_t length)
{
    if (plex_is_server(session) || session->error || session->token_pulled)
        return PLEX_OURS_STATE;
    if (length > PLEX_TOKEN_MAX || !plex_json_is_text(token, length))
        return PLEX_OURS_ARGUMENT;
    uint8_t *frame = plex_session_alloc(session, PLEX_TOKEN_FRAME);
    if (!frame)
        return PLEX_OURS_MEMORY;
    struct plex_terms before = session->ours;
    struct plex_writer writer;
    if (!session->authed) {
        session->ours = terms_of(session->config, session->config->features);
        session->answer_terms = session->ours.present;
    }
    plex_write_init(&writer, frame, PLEX_TOKEN_FRAME);
    if (!write_token_frame(session, token, length, &writer)) {
        session->ours = before;
        plex_session_release(session, frame, PLEX_TOKEN_FRAME);
        return PLEX_OURS_ARGUMENT;
    }
    plex_session_release(session, session->token, PLEX_TOKEN_FRAME);
    session->token = frame;
    session->token_size = (uint16_t)(writer.at - frame);
    session->asked = session->ours;
    session->token_pending = true;
    session->control |= CONTROL_TOKEN;
    plex_session_settle(session);
    return 0;
}

/* What the JSON of the wire means (§3.2, §5, §6). */
#include "internal.h"

#include <string.h>

static const char *const kind_names[] = {"net", "tls", "inbound"};

/* The kind that a peer may open by this name, or -1. */
static int kind_of(const struct plex_session *session, const char *name)
{
    bool server = plex_is_server(session);
    for (int kind = PLEX_NET; kind <= PLEX_INBOUND; kind++)
        if (plex_json_equals(name, kind_names[kind]))
            return (kind == PLEX_INBOUND) != server &&
                           (server || session->features & PLEX_INBOUND_OPENS)
                       ? kind
                       : -1;
    return -1;
}

static bool short_string(const char *value, char *buffer, size_t capacity)
{
    int length = plex_json_copy(value, buffer, capacity);
    return length > 0 && (size_t)length < capacity;
}

/* What a message on channel 0 may have. */
union tunnel_keys {
    const char *all[6];
    struct {
        const char *type, *object, *sock, *name, *service, *visitor;
    };
};

/* An open, while the tunnel is authorised. */
static int open_message(struct plex_session *session, const union tunnel_keys *keys, uint16_t id)
{
    char service[PLEX_SERVICE_MAX + 1], visitor[PLEX_VISITOR_MAX + 1];
    if (!plex_json_is_string(keys->name))
        return PLEX_TUNNEL_JSON;
    int kind = kind_of(session, keys->name), refusal = 0;
    bool inbound = kind == PLEX_INBOUND;
    if (inbound && (!short_string(keys->service, service, sizeof service) ||
                    !short_string(keys->visitor, visitor, sizeof visitor)))
        return PLEX_TUNNEL_JSON;
    uint32_t most = session->v1 ? session->ours.max_substreams : session->config->max_substreams;
    if (session->going_away)
        refusal = PLEX_SUBSTREAM_GOAWAY;
    else if (session->peer_count >= most)
        refusal = PLEX_SUBSTREAM_LIMIT;
    else if (kind < 0)
        refusal = PLEX_SUBSTREAM_BAD_KIND;
    return plex_substream_accept(session, id, kind, refusal, inbound ? service : NULL,
                                 inbound ? visitor : NULL);
}

static int stream_message(struct plex_session *session, const union tunnel_keys *keys,
                          const char *text, size_t length)
{
    bool server = plex_is_server(session);
    uint32_t id;
    if (!session->authed) {
        if (!server || !session->token_pending)
            return PLEX_TUNNEL_NOT_AUTHORIZED;
        if (session->asked.present)
            return PLEX_TUNNEL_EXTENSION;
    }
    /* Devices open even ids, servers odd ones. */
    if (!plex_json_integer(keys->sock, &id) || id == 0 || id > UINT16_MAX || (id & 1) == server ||
        plex_table_find(&session->table, (uint16_t)id))
        return PLEX_TUNNEL_SOCK;
    if (id > session->peer_high)
        session->peer_high = (uint16_t)id;
    if (PLEX_HAS_SERVER && !session->authed)
        return plex_feed_hold(session, text, length);
    return open_message(session, keys, (uint16_t)id);
}

int plex_message_tunnel(struct plex_session *session, const char *text, size_t length)
{
    union tunnel_keys keys;
    if (!plex_json_read(text, "type\0object\0sock\0name\0service\0visitor\0", keys.all) ||
        !plex_json_is_string(keys.type))
        return PLEX_TUNNEL_JSON;
    if (plex_json_equals(keys.type, "stream"))
        return stream_message(session, &keys, text, length);
    return plex_json_equals(keys.type, "message") ? plex_auth_message(session, keys.object) : 0;
}

/* Acceptor: `_pls_connect`, its arguments from `port` on. */
static int connect_asked(struct plex_substream *substream, const char *port)
{
    char host[PLEX_HOST_MAX + 1];
    uint32_t number;
    if (substream->marks & SUB_CONNECTED)
        return PLEX_SUBSTREAM_TWICE;
    if (!plex_json_integer(port, &number) || number == 0 || number > UINT16_MAX)
        return PLEX_SUBSTREAM_BAD_PORT;
    if (!short_string(plex_json_next(port), host, sizeof host))
        return PLEX_SUBSTREAM_BAD_HOST;
    for (const char *at = host; *at; at++)
        if (*at < 0x21 || *at > 0x7e)
            return PLEX_SUBSTREAM_BAD_HOST;
    substream->marks |= SUB_CONNECTED;
    substream->session->config->callbacks->on_connect(substream, host, (uint16_t)number);
    return 0;
}

static int timeout_asked(struct plex_substream *substream, const char *milliseconds)
{
    uint32_t number;
    if (!plex_json_number(milliseconds, &number))
        return PLEX_SUBSTREAM_BAD_TIMEOUT;
    substream->session->config->callbacks->on_timeout(substream, number);
    return 0;
}

/* An opener speaks to its acceptor. */
static void ask(struct plex_substream *substream, const char *name)
{
    int r = 0;
    if (!plex_is_server(substream->session)) /* inbound: the opener has nothing to ask */
        return;
    if (plex_json_equals(name, "_pls_connect"))
        r = connect_asked(substream, plex_json_next(name));
    else if (plex_json_equals(name, "_pls_timeout"))
        r = timeout_asked(substream, plex_json_next(name));
    if (r < 0)
        plex_substream_fault(substream, r);
}

static int event_told(struct plex_substream *substream, int event, const char *argument)
{
    char address[PLEX_VISITOR_MAX + 1];
    const char *value = NULL, *text = NULL;
    const struct plex_session *session = substream->session;
    if (event == PLEX_EVENT_CONNECT && session->v1 && argument && *argument == '{') {
        if (!plex_json_read(argument, "address\0", &value))
            return PLEX_TUNNEL_JSON;
        if (short_string(value, address, sizeof address))
            text = address;
    }
    session->config->callbacks->on_event(substream, (enum plex_event)event, text);
    return 0;
}

/* An acceptor speaks to its opener. */
static int told(struct plex_substream *substream, const char *name)
{
    static const char *const names[] = {"lookup", "connect", "secureConnect", "timeout"};
    if (plex_json_equals(name, "close")) {
        plex_substream_over(substream);
        plex_substream_lose(substream, PLEX_SUBSTREAM_CLOSED);
        return 0;
    }
    if (!(substream->marks & SUB_HOST))
        return 0;
    for (int event = PLEX_EVENT_LOOKUP; event <= PLEX_EVENT_TIMEOUT; event++)
        if (plex_json_equals(name, names[event]))
            return event_told(substream, event, plex_json_next(name));
    return 0;
}

/* What an event may have. */
union event_keys {
    const char *all[4];
    struct {
        const char *event, *arguments, *message, *code;
    };
};

static int custom_event(struct plex_substream *substream, const char *arguments)
{
    if (!arguments || *arguments != '[')
        return PLEX_TUNNEL_JSON;
    const char *name = plex_json_first(arguments);
    if (!plex_json_is_string(name))
        return PLEX_TUNNEL_JSON;
    if (substream->marks & SUB_OPENER)
        return told(substream, name);
    /* Its first bytes may have come before the host's close. */
    if (substream->marks & SUB_HOST)
        ask(substream, name);
    return 0;
}

static int error_event(struct plex_substream *substream, const union event_keys *keys)
{
    char message[PLEX_MESSAGE_MAX + 1], code[PLEX_CODE_MAX + 1];
    if (plex_json_copy(keys->message, message, sizeof message) < 0 ||
        (keys->code && plex_json_copy(keys->code, code, sizeof code) < 0))
        return PLEX_TUNNEL_JSON;
    bool coded = keys->code && substream->session->v1;
    substream->session->config->callbacks->on_error(substream, message, coded ? code : NULL);
    return 0;
}

int plex_message_substream(struct plex_substream *substream, const char *text)
{
    union event_keys keys;
    if (!plex_json_read(text, "event\0emitArgs\0message\0code\0", keys.all) ||
        !plex_json_is_string(keys.event))
        return PLEX_TUNNEL_JSON;
    if (plex_json_equals(keys.event, "custom"))
        return custom_event(substream, keys.arguments);
    if (!(substream->marks & SUB_HOST))
        return 0;
    if (plex_json_equals(keys.event, "error"))
        return substream->marks & SUB_OPENER ? error_event(substream, &keys) : 0;
    if (plex_json_equals(keys.event, "end") && !(substream->marks & SUB_IN_END)) {
        substream->marks |= SUB_IN_END;
        substream->session->config->callbacks->on_end(substream);
    }
    return 0;
}

void plex_message_write(struct plex_session *session, struct plex_writer *writer)
{
    static const char before[] = "{\"type\":\"message\",\"object\":";
    const size_t around = sizeof before - 1 + 1;
    while (session->control & CONTROL_MESSAGE) {
        uint8_t *mark = writer->at;
        size_t room = (size_t)(writer->end - mark);
        if (room < PLEX_HEADER_SIZE + around + PLEX_MESSAGE_ROOM) {
            writer->full = true; /* the next pull has the room, and data waits for it */
            return;
        }
        room -= PLEX_HEADER_SIZE;
        room = (room < session->peer_max_json ? room : session->peer_max_json) - around;
        plex_write_begin(writer, 0, PLEX_FRAME_JSON);
        plex_write_raw(writer, before, sizeof before - 1);
        size_t size =
            session->config->callbacks->on_message_pull(session, (char *)writer->at, room);
        if (!size || size > room || session->error) {
            plex_write_undo(writer, mark);
            session->control &= (uint8_t)~CONTROL_MESSAGE;
            return;
        }
        writer->at += size;
        plex_write_raw(writer, "}", 1);
        plex_write_end(writer);
    }
}

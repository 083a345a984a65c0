/* What the JSON of the wire means (§3.2, §5, §6). */
#include "internal.h"

#include <string.h>

static const char *const kind_names[] = {"net", "tls", "inbound"};

/* The kind that a peer may open by this name, or -1. */
static int kind_of(const struct plex_session *session, const char *name)
{
    bool server = session->config->side == PLEX_SERVER;
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

/* An open, while the tunnel is authorised. */
static int open_message(struct plex_session *session, const char *top, uint16_t id)
{
    char service[PLEX_SERVICE_MAX + 1], visitor[PLEX_VISITOR_MAX + 1];
    const char *name, *service_value, *visitor_value;
    if (plex_json_get(top, "name", &name) < 0 || !plex_json_is_string(name))
        return PLEX_TUNNEL_JSON;
    int kind = kind_of(session, name), refusal = 0;
    if (kind == PLEX_INBOUND && (plex_json_get(top, "service", &service_value) < 0 ||
                                 plex_json_get(top, "visitor", &visitor_value) < 0 ||
                                 !short_string(service_value, service, sizeof service) ||
                                 !short_string(visitor_value, visitor, sizeof visitor)))
        return PLEX_TUNNEL_JSON;
    uint32_t most = session->v1 ? session->ours.max_substreams : session->config->max_substreams;
    if (session->going_away)
        refusal = PLEX_SUBSTREAM_GOAWAY;
    else if (session->peer_count >= most)
        refusal = PLEX_SUBSTREAM_LIMIT;
    else if (kind < 0)
        refusal = PLEX_SUBSTREAM_BAD_KIND;
    bool inbound = kind == PLEX_INBOUND;
    return plex_substream_accept(session, id, kind, refusal, inbound ? service : NULL,
                                 inbound ? visitor : NULL);
}

static int stream_message(struct plex_session *session, const char *text, size_t length)
{
    const char *top = plex_json_top(text), *sock;
    bool server = session->config->side == PLEX_SERVER;
    uint32_t id;
    if (!session->authed) {
        if (!server || !session->token_pending)
            return PLEX_TUNNEL_NOT_AUTHORIZED;
        if (session->asked.present)
            return PLEX_TUNNEL_EXTENSION;
    }
    int r = plex_json_get(top, "sock", &sock);
    if (r < 0)
        return r;
    /* Devices open even ids, servers odd ones. */
    if (!plex_json_integer(sock, &id) || id == 0 || id > UINT16_MAX || (id & 1) == server ||
        plex_table_find(&session->table, (uint16_t)id))
        return PLEX_TUNNEL_SOCK;
    if (id > session->peer_high)
        session->peer_high = (uint16_t)id;
    return session->authed ? open_message(session, top, (uint16_t)id)
                           : plex_feed_hold(session, text, length);
}

int plex_message_tunnel(struct plex_session *session, const char *text, size_t length)
{
    const char *top = plex_json_top(text), *type, *object;
    if (plex_json_get(top, "type", &type) < 0 || !plex_json_is_string(type))
        return PLEX_TUNNEL_JSON;
    if (plex_json_equals(type, "stream"))
        return stream_message(session, text, length);
    if (!plex_json_equals(type, "message"))
        return 0;
    int r = plex_json_get(top, "object", &object);
    return r < 0 ? r : plex_auth_message(session, object);
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
    if (substream->kind == PLEX_INBOUND)
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
        if (plex_json_get(argument, "address", &value) < 0)
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

static int custom_event(struct plex_substream *substream, const char *top)
{
    const char *arguments;
    if (plex_json_get(top, "emitArgs", &arguments) < 0 || !arguments || *arguments != '[')
        return PLEX_TUNNEL_JSON;
    const char *name = plex_json_first(arguments);
    if (!plex_json_is_string(name))
        return PLEX_TUNNEL_JSON;
    if (substream->marks & SUB_OPENER)
        return told(substream, name);
    ask(substream, name);
    return 0;
}

static int error_event(struct plex_substream *substream, const char *top)
{
    char message[PLEX_MESSAGE_MAX + 1], code[PLEX_CODE_MAX + 1];
    const char *message_value, *code_value;
    if (plex_json_get(top, "message", &message_value) < 0 ||
        plex_json_get(top, "code", &code_value) < 0)
        return PLEX_TUNNEL_JSON;
    if (plex_json_copy(message_value, message, sizeof message) < 0 ||
        (code_value && plex_json_copy(code_value, code, sizeof code) < 0))
        return PLEX_TUNNEL_JSON;
    bool coded = code_value && substream->session->v1;
    substream->session->config->callbacks->on_error(substream, message, coded ? code : NULL);
    return 0;
}

int plex_message_substream(struct plex_substream *substream, const char *text, size_t length)
{
    const char *top = plex_json_top(text), *event;
    const struct plex_callbacks *callbacks = substream->session->config->callbacks;
    if (plex_json_get(top, "event", &event) < 0 || !plex_json_is_string(event))
        return PLEX_TUNNEL_JSON;
    if (plex_json_equals(event, "custom"))
        return custom_event(substream, top);
    if (!(substream->marks & SUB_HOST))
        return 0;
    if (plex_json_equals(event, "error"))
        return substream->marks & SUB_OPENER ? error_event(substream, top) : 0;
    if (plex_json_equals(event, "end") && !(substream->marks & SUB_IN_END)) {
        substream->marks |= SUB_IN_END;
        callbacks->on_end(substream);
    }
    return 0;
}

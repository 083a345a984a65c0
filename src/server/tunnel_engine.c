/* What the engine tells of a server session, and who it concerns: the tunnel, the outbound or the
 * inbound that a substream is, or the agent's registrations. */
#include "server/inbound.h"
#include "server/outbound.h"
#include "server/registration.h"
#include "server/tunnel.h"

static bool is_inbound(const struct plex_substream *substream)
{
    return plex_substream_kind(substream) == PLEX_INBOUND;
}

static void on_data(struct plex_substream *substream, const void *data, size_t length)
{
    if (is_inbound(substream))
        inbound_on_data(substream, data, length);
    else
        outbound_on_data(substream, data, length);
}

static void on_end(struct plex_substream *substream)
{
    if (is_inbound(substream))
        inbound_on_end(substream);
    else
        outbound_on_end(substream);
}

static void on_gone(struct plex_substream *substream, int reason)
{
    if (is_inbound(substream))
        inbound_on_gone(substream, reason);
    else
        outbound_on_gone(substream, reason);
}

static size_t on_pull(struct plex_substream *substream, void *buffer, size_t capacity)
{
    return is_inbound(substream) ? inbound_on_pull(substream, buffer, capacity)
                                 : outbound_on_pull(substream, buffer, capacity);
}

static void on_message(struct plex_session *session, const char *json, size_t length)
{
    registration_on_message(plex_session_user(session), json, length);
}

static size_t on_message_pull(struct plex_session *session, char *buffer, size_t capacity)
{
    return registration_pull(plex_session_user(session), buffer, capacity);
}

static void on_goaway(struct plex_session *session, uint16_t code)
{
    registration_on_goaway(plex_session_user(session));
}

/* Devices open outbounds alone, and we inbounds alone: that much is certain of the callbacks that
 * only one of the two has. */
const struct plex_callbacks tunnel_engine_callbacks = {
    .on_token = tunnel_on_token,
    .on_output = tunnel_on_output,
    .on_resume = tunnel_on_resume,
    .on_open = outbound_on_open,
    .on_connect = outbound_on_connect,
    .on_timeout = outbound_on_timeout,
    .on_data = on_data,
    .on_end = on_end,
    .on_event = inbound_on_event,
    .on_error = inbound_on_error,
    .on_gone = on_gone,
    .on_pull = on_pull,
    .on_message = on_message,
    .on_message_pull = on_message_pull,
    .on_goaway = on_goaway,
};

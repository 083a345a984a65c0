/* A substream's life: opening, events, end, close, abort (§5 to §7). */
#include "internal.h"

#include <string.h>

static struct plex_substream *create(struct plex_session *session, uint16_t id, uint16_t marks)
{
    struct plex_substream *substream = plex_session_alloc(session, sizeof *substream);
    if (!substream)
        return NULL;
    memset(substream, 0, sizeof *substream);
    substream->session = session;
    substream->id = id;
    substream->marks = marks;
    if (plex_table_add(session, substream) < 0) {
        plex_session_release(session, substream, sizeof *substream);
        return NULL;
    }
    if (marks & SUB_OPENER)
        session->own_count++;
    else
        session->peer_count++;
    plex_flow_open(substream);
    return substream;
}

static void drop_text(struct plex_substream *substream)
{
    if (substream->text)
        plex_session_release(substream->session, substream->text, substream->text->size);
    substream->text = NULL;
}

/* Keeps one or two texts, in place of what was kept. */
static int keep_text(struct plex_substream *substream, const char *first, size_t first_length,
                     const char *second, size_t second_length)
{
    size_t size = sizeof(struct plex_text) + first_length + 1 + (second ? second_length + 1 : 0);
    struct plex_text *text = plex_session_alloc(substream->session, size);
    drop_text(substream);
    if (!text)
        return PLEX_OURS_MEMORY;
    text->size = (uint16_t)size;
    text->second = 0;
    memcpy(text->bytes, first, first_length);
    text->bytes[first_length] = 0;
    if (second) {
        text->second = (uint16_t)(first_length + 1);
        memcpy(text->bytes + text->second, second, second_length);
        text->bytes[text->second + second_length] = 0;
    }
    substream->text = text;
    return 0;
}

/* The length of a text, cut to `most` at a character's border. */
static size_t cut(const char *text, size_t most)
{
    size_t length = 0;
    while (length < most && text[length])
        length++;
    if (text[length])
        while (length && ((uint8_t)text[length] & 0xc0) == 0x80)
            length--;
    return length;
}

void plex_substream_mark(struct plex_substream *substream)
{
    uint16_t due = substream->due, marks = substream->marks;
    if (marks & SUB_GONE)
        return;
    if (due & DUE_URGENT)
        plex_list_append(substream, LIST_URGENT);
    bool data = marks & SUB_DATA && !(marks & SUB_OUT_END) && substream->credit_out;
    if (!(due & DUE_RESET) && (data || due & (DUE_BEFORE_DATA | DUE_AFTER_DATA)))
        plex_list_append(substream, LIST_READY);
    else
        plex_list_remove(substream, LIST_READY);
}

void plex_substream_over(struct plex_substream *substream)
{
    struct plex_session *session = substream->session;
    if (substream->marks & SUB_GONE)
        return;
    plex_table_remove(session, substream);
    plex_list_remove(substream, LIST_READY);
    plex_list_remove(substream, LIST_URGENT);
    if (substream->marks & SUB_OPENER) {
        session->own_count--;
    } else {
        session->peer_count--;
        /* What the opener might still have sent may come late. */
        if (PLEX_HAS_BUFFER && plex_flow_on(session))
            session->late_credit += substream->credit_in;
    }
    if (substream->marks & SUB_REFUSED) {
        session->refusals--;
        session->fresh = true;
    }
    session->emptied = session->now;
    drop_text(substream);
    substream->marks |= SUB_GONE;
    substream->link[LIST_READY].next = session->over;
    session->over = substream;
}

void plex_substream_lose(struct plex_substream *substream, int reason)
{
    if (!(substream->marks & SUB_HOST))
        return;
    plex_flow_uncharge(substream);
    substream->marks &= (uint16_t) ~(SUB_HOST | SUB_DATA);
    substream->marks |= SUB_OUT_END;
    if (reason)
        substream->session->config->callbacks->on_gone(substream, reason);
}

static uint16_t due_end(const struct plex_substream *substream)
{
    return substream->marks & SUB_END_SENT ? 0 : DUE_END;
}

/* What is due from an acceptor, or an opener, that gives up (§7.3). */
static void abort_with(struct plex_substream *substream, uint16_t error)
{
    bool reset = substream->session->features & PLEX_RESET;
    substream->marks |= SUB_DROP;
    if (substream->marks & SUB_OPENER) {
        if (substream->due & DUE_OPEN) {
            plex_substream_over(substream); /* nobody has heard of it */
            return;
        }
        substream->due = reset ? DUE_RESET : due_end(substream);
    } else {
        substream->due &= DUE_BEFORE_DATA; /* a `connect` says that the target may have got data */
        substream->due |= error | (reset ? DUE_RESET : due_end(substream) | DUE_CLOSE);
    }
    plex_substream_mark(substream);
}

void plex_substream_fault(struct plex_substream *substream, int reason)
{
    if (!(substream->marks & SUB_HOST))
        return;
    substream->reason = (int16_t)reason;
    drop_text(substream);
    abort_with(substream, DUE_ERROR);
    plex_substream_lose(substream, reason);
}

void plex_substream_peer_reset(struct plex_substream *substream)
{
    if (substream->marks & SUB_OPENER) {
        plex_substream_over(substream);
    } else {
        /* The acceptor has the last word. */
        substream->due = (substream->due & DUE_ERROR) | DUE_RESET;
        substream->marks |= SUB_DROP;
        plex_substream_mark(substream);
    }
    plex_substream_lose(substream, PLEX_SUBSTREAM_RESET);
}

void plex_substream_data(struct plex_substream *substream, const void *data, size_t size)
{
    if (substream->marks & SUB_HOST && substream->marks & SUB_IN_END)
        plex_substream_fault(substream, PLEX_SUBSTREAM_AFTER_END);
    plex_flow_received(substream, size);
    if (!(substream->marks & SUB_HOST))
        return;
    substream->session->config->callbacks->on_data(substream, data, size);
    plex_flow_fill(substream->session);
}

int plex_substream_accept(struct plex_session *session, uint16_t id, int kind, int refusal,
                          const char *service, const char *visitor)
{
    struct plex_substream *substream =
        create(session, id, refusal ? SUB_REFUSED | SUB_OUT_END : SUB_HOST);
    if (!substream)
        return PLEX_OURS_MEMORY;
    if (refusal) {
        session->refusals++;
        substream->reason = (int16_t)refusal;
        abort_with(substream, DUE_ERROR);
        return 0;
    }
    substream->kind = (uint8_t)kind;
    session->config->callbacks->on_open(substream, (enum plex_kind)kind, service, visitor);
    return 0;
}

/* The public interface */

/* The next id of ours in the cycle that isn't in use, which is the one not used for longest. */
static uint16_t next_id(struct plex_session *session)
{
    unsigned first = plex_is_server(session) ? 1 : 2, id = session->own_last;
    do {
        id = id ? id + 2 : first;
        if (id > UINT16_MAX) {
            id = first;
            session->own_wrapped = true;
        }
    } while (plex_table_find(&session->table, (uint16_t)id));
    session->own_last = (uint16_t)id;
    return (uint16_t)id;
}

static bool text_fits(const char *text, size_t most)
{
    return text && strlen(text) <= most && plex_json_is_text(text, strlen(text));
}

int plex_substream_open(struct plex_session *session, enum plex_kind kind, const char *service,
                        const char *visitor, void *user, struct plex_substream **ret_substream)
{
    bool server = plex_is_server(session), inbound = kind == PLEX_INBOUND;
    if (!session->authed || session->error || server != inbound || kind > PLEX_INBOUND ||
        (inbound && !(session->features & PLEX_INBOUND_OPENS)))
        return PLEX_OURS_STATE;
    if (inbound ? !text_fits(service, PLEX_SERVICE_MAX) || !text_fits(visitor, PLEX_VISITOR_MAX)
                : service || visitor)
        return PLEX_OURS_ARGUMENT;
    if (session->peer_going_away)
        return PLEX_SUBSTREAM_GOAWAY;
    if (session->own_count >= (server ? 32768u : 32767u))
        return PLEX_OURS_NO_ID;
    if (session->own_count >= session->peer_max)
        return PLEX_SUBSTREAM_LIMIT;
    uint16_t last = session->own_last;
    bool wrapped = session->own_wrapped;
    struct plex_substream *substream = create(session, next_id(session), SUB_OPENER | SUB_HOST);
    if (!substream) {
        session->own_last = last;
        session->own_wrapped = wrapped;
        return PLEX_OURS_MEMORY;
    }
    int r = 0;
    substream->kind = (uint8_t)kind;
    substream->user = user;
    substream->due = DUE_OPEN;
    if (inbound)
        r = keep_text(substream, service, strlen(service), visitor, strlen(visitor));
    if (r < 0) {
        plex_substream_over(substream);
        plex_substream_lose(substream, 0);
    } else {
        plex_substream_mark(substream);
        *ret_substream = substream;
    }
    plex_session_settle(session);
    return r;
}

static bool is_opener(const struct plex_substream *substream)
{
    return (substream->marks & (SUB_OPENER | SUB_HOST)) == (SUB_OPENER | SUB_HOST);
}

static bool is_acceptor(const struct plex_substream *substream)
{
    return (substream->marks & (SUB_OPENER | SUB_HOST)) == SUB_HOST;
}

int plex_substream_connect(struct plex_substream *substream, const char *host, uint16_t port)
{
    if (!is_opener(substream) || substream->kind == PLEX_INBOUND ||
        substream->marks & SUB_CONNECTED)
        return PLEX_OURS_STATE;
    if (!host || !port)
        return PLEX_OURS_ARGUMENT;
    size_t length = 0;
    for (; host[length]; length++)
        if (length == PLEX_HOST_MAX || host[length] < 0x21 || host[length] > 0x7e)
            return PLEX_OURS_ARGUMENT;
    if (!length)
        return PLEX_OURS_ARGUMENT;
    if (keep_text(substream, host, length, NULL, 0) < 0)
        return PLEX_OURS_MEMORY;
    substream->port = port;
    substream->marks |= SUB_CONNECTED;
    substream->due |= DUE_CONNECT;
    plex_substream_mark(substream);
    plex_session_settle(substream->session);
    return 0;
}

void plex_substream_timeout(struct plex_substream *substream, uint32_t milliseconds)
{
    if (!is_opener(substream) || milliseconds > INT32_MAX)
        return;
    substream->idle = milliseconds;
    substream->due |= DUE_IDLE;
    plex_substream_mark(substream);
    plex_session_settle(substream->session);
}

void plex_substream_notify(struct plex_substream *substream, enum plex_event event,
                           const char *text)
{
    if (!is_acceptor(substream) || substream->due & DUE_CLOSE ||
        (event != PLEX_EVENT_TIMEOUT && substream->told & 1 << event))
        return;
    /* The address is a courtesy: without memory for it there is none. */
    if (event == PLEX_EVENT_CONNECT && text && substream->session->v1)
        (void)keep_text(substream, text, cut(text, PLEX_VISITOR_MAX), NULL, 0);
    substream->told |= (uint8_t)(1 << event);
    substream->due |= (uint16_t)(DUE_LOOKUP << event);
    plex_substream_mark(substream);
    plex_session_settle(substream->session);
}

void plex_substream_ready(struct plex_substream *substream)
{
    if (!(substream->marks & SUB_HOST) || substream->marks & (SUB_OUT_END | SUB_DATA))
        return;
    substream->marks |= SUB_DATA;
    plex_substream_mark(substream);
    plex_session_settle(substream->session);
}

void plex_substream_end(struct plex_substream *substream)
{
    if (!(substream->marks & SUB_HOST) || substream->marks & SUB_OUT_END)
        return;
    substream->marks |= SUB_OUT_END;
    substream->due |= DUE_END;
    plex_substream_mark(substream);
    plex_session_settle(substream->session);
}

void plex_substream_close(struct plex_substream *substream)
{
    struct plex_session *session = substream->session;
    if (!(substream->marks & SUB_HOST))
        return;
    plex_substream_lose(substream, 0);
    if (substream->marks & SUB_OPENER) {
        abort_with(substream, 0);
    } else {
        substream->due |= due_end(substream) | DUE_CLOSE;
        plex_substream_mark(substream);
    }
    plex_session_settle(session);
}

void plex_substream_abort(struct plex_substream *substream, const char *message, const char *code)
{
    struct plex_session *session = substream->session;
    if (!(substream->marks & SUB_HOST))
        return;
    uint16_t error = 0;
    if (message && is_acceptor(substream)) {
        error = DUE_ERROR;
        if (keep_text(substream, message, cut(message, PLEX_MESSAGE_MAX), session->v1 ? code : NULL,
                      code ? cut(code, PLEX_CODE_MAX) : 0) < 0)
            substream->reason = PLEX_OURS_MEMORY;
    }
    plex_substream_lose(substream, 0);
    abort_with(substream, error);
    plex_session_settle(session);
}

void plex_substream_set_user(struct plex_substream *substream, void *user)
{
    substream->user = user;
}

void *plex_substream_user(const struct plex_substream *substream)
{
    return substream->user;
}

struct plex_session *plex_substream_session(const struct plex_substream *substream)
{
    return substream->session;
}

uint16_t plex_substream_id(const struct plex_substream *substream)
{
    return substream->id;
}

enum plex_kind plex_substream_kind(const struct plex_substream *substream)
{
    return (enum plex_kind)substream->kind;
}

void plex_substream_bytes(const struct plex_substream *substream, uint64_t *ret_in,
                          uint64_t *ret_out)
{
    *ret_in = substream->bytes_in;
    *ret_out = substream->bytes_out;
}

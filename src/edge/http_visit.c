#include "edge/http_visit_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

int http_visit_new(const struct http_visit_options *options,
                   const struct http_visit_callbacks *callbacks, void *user,
                   struct http_visit **ret_visit)
{
    struct http_visit *visit = calloc(1, sizeof *visit);
    if (!visit)
        return -ENOMEM;
    visit->options = options;
    visit->callbacks = callbacks;
    visit->user = user;
    visit->state = HTTP_VISIT_IDLE;
    http_texts_init(&visit->texts);
    http_gather_init(&visit->request_head, HTTP_SCAN_REQUEST);
    *ret_visit = visit;
    return 0;
}

/* All that an exchange, or a head, holds beside the outputs. */
static void clear_exchange(struct http_visit *visit)
{
    http_gather_deinit(&visit->request_head);
    http_gather_init(&visit->request_head, HTTP_SCAN_REQUEST);
    http_gather_deinit(&visit->answer_head);
    http_body_deinit(&visit->request_body);
    http_body_deinit(&visit->answer_body);
    http_texts_deinit(&visit->texts);
    free(visit->waiting);
    free(visit->sent);
    visit->waiting = NULL;
    visit->sent = NULL;
    visit->sent_length = 0;
    visit->is_http10 = visit->is_head = visit->closes = false;
    visit->is_held = visit->has_answer = visit->has_bytes = visit->body_begun = false;
    visit->service_keeps = false;
    visit->status = 0;
    visit->bytes_in = visit->bytes_out = 0;
    visit->request_body = visit->answer_body = (struct http_body){0};
}

void http_visit_free(struct http_visit *visit)
{
    if (!visit)
        return;
    assert(!visit->is_busy && !visit->is_telling);
    clear_exchange(visit);
    fifo_deinit(&visit->pending);
    fifo_deinit(&visit->to_service);
    fifo_deinit(&visit->to_visitor);
    free(visit);
}

/* --- The turn --- */

bool http_visit_enter(struct http_visit *visit)
{
    bool is_outermost = !visit->is_busy;
    visit->is_busy = true;
    return is_outermost;
}

/* Takes from what waits as much as can be taken now. */
static void run_pending(struct http_visit *visit)
{
    while (visit->pending.size) {
        size_t length;
        const char *bytes = fifo_peek(&visit->pending, &length);
        size_t taken = http_visit_take_request(visit, bytes, length);
        if (!taken)
            break;
        fifo_drop(&visit->pending, taken);
    }
}

/* The ends, once all that came before them has been taken. */
static void settle(struct http_visit *visit)
{
    if (visit->state == HTTP_VISIT_RAW && visit->visitor_ended && !visit->told_end) {
        visit->told_end = true;
        visit->callbacks->on_service_end(visit->user);
    }
    /* A service that says no more may still listen. */
    if (visit->state == HTTP_VISIT_RAW && visit->visitor_ended && visit->service_ended &&
        !visit->to_service.size)
        http_visit_finish(visit, false, true, false);
    bool is_idle = visit->state == HTTP_VISIT_IDLE || visit->state == HTTP_VISIT_HEAD;
    if (is_idle && !visit->pending.size && visit->visitor_ended)
        visit->state = HTTP_VISIT_CLOSING;
    if (visit->state == HTTP_VISIT_IDLE && visit->is_draining)
        visit->state = HTTP_VISIT_CLOSING;
    if (visit->state == HTTP_VISIT_EXCHANGE && visit->visitor_ended && !visit->pending.size &&
        !http_visit_request_is_over(visit))
        http_visit_give_up(visit);
    if (visit->state == HTTP_VISIT_CLOSING) {
        clear_exchange(visit);
        fifo_deinit(&visit->pending);
    }
}

/* A callback that passes output on may cause more of it: that is told here, too, not deeper down,
 * or pipelined requests would decide how deep the stack gets. */
static void tell(struct http_visit *visit)
{
    if (visit->is_telling)
        return;
    visit->is_telling = true;
    while (visit->tell_service || visit->tell_visitor) {
        bool service = visit->tell_service && visit->to_service.size;
        bool visitor = visit->tell_visitor && visit->to_visitor.size;
        visit->tell_service = visit->tell_visitor = false;
        if (service)
            visit->callbacks->on_service_output(visit->user);
        if (visitor)
            visit->callbacks->on_visitor_output(visit->user);
    }
    visit->is_telling = false;
}

void http_visit_leave(struct http_visit *visit, bool is_outermost)
{
    if (!is_outermost)
        return;
    run_pending(visit);
    settle(visit);
    visit->is_busy = false;
    tell(visit);
}

/* --- Outputs --- */

void http_visit_note_output(struct http_visit *visit, size_t service_before, size_t visitor_before)
{
    if (!service_before && visit->to_service.size)
        visit->tell_service = true;
    if (!visitor_before && visit->to_visitor.size)
        visit->tell_visitor = true;
}

int http_visit_push_service(struct http_visit *visit, const void *bytes, size_t length)
{
    size_t before = visit->to_service.size;
    if (fifo_push(&visit->to_service, bytes, length) < 0) {
        http_visit_give_up(visit);
        return -1;
    }
    http_visit_note_output(visit, before, visit->to_visitor.size);
    return 0;
}

int http_visit_push_visitor(struct http_visit *visit, const void *bytes, size_t length)
{
    size_t before = visit->to_visitor.size;
    if (fifo_push(&visit->to_visitor, bytes, length) < 0) {
        visit->is_broken = true; /* what it got, or should have got, isn't whole */
        http_visit_give_up(visit);
        return -1;
    }
    http_visit_note_output(visit, visit->to_service.size, before);
    return 0;
}

const void *http_visit_service_output(const struct http_visit *visit, size_t *ret_length)
{
    return fifo_peek(&visit->to_service, ret_length);
}

void http_visit_drop_service_output(struct http_visit *visit, size_t length)
{
    bool is_outermost = http_visit_enter(visit);
    fifo_drop(&visit->to_service, length);
    http_visit_leave(visit, is_outermost);
}

const void *http_visit_visitor_output(const struct http_visit *visit, size_t *ret_length)
{
    return fifo_peek(&visit->to_visitor, ret_length);
}

void http_visit_drop_visitor_output(struct http_visit *visit, size_t length)
{
    bool is_outermost = http_visit_enter(visit);
    fifo_drop(&visit->to_visitor, length);
    http_visit_leave(visit, is_outermost);
}

/* --- Inputs --- */

void http_visit_feed_visitor(struct http_visit *visit, const void *bytes, size_t length)
{
    assert(!visit->is_busy && length <= 65536);
    bool is_outermost = http_visit_enter(visit);
    const char *at = bytes;
    if (!visit->pending.size)
        for (size_t taken = 1; length && taken; length -= taken, at += taken)
            taken = http_visit_take_request(visit, at, length);
    if (length && fifo_push(&visit->pending, at, length) < 0)
        http_visit_give_up(visit);
    http_visit_leave(visit, is_outermost);
}

void http_visit_feed_service(struct http_visit *visit, const void *bytes, size_t length)
{
    assert(!visit->is_busy && length <= 65536);
    bool is_outermost = http_visit_enter(visit);
    const char *at = bytes;
    while (length && (visit->state == HTTP_VISIT_EXCHANGE || visit->state == HTTP_VISIT_RAW)) {
        size_t taken = http_visit_take_answer(visit, at, length);
        length -= taken;
        at += taken;
    }
    http_visit_leave(visit, is_outermost);
}

void http_visit_visitor_ended(struct http_visit *visit)
{
    if (visit->visitor_ended)
        return;
    bool is_outermost = http_visit_enter(visit);
    visit->visitor_ended = true;
    http_visit_leave(visit, is_outermost);
}

void http_visit_service_ended(struct http_visit *visit)
{
    bool is_outermost = http_visit_enter(visit);
    if (visit->state == HTTP_VISIT_RAW) {
        visit->service_ended = true;
    } else if (visit->state == HTTP_VISIT_EXCHANGE && !visit->has_answer) {
        http_visit_bad_answer(visit);
    } else if (visit->state == HTTP_VISIT_EXCHANGE) {
        size_t before = visit->to_visitor.size;
        int result = http_body_finish(&visit->answer_body, &visit->to_visitor);
        http_visit_note_output(visit, visit->to_service.size, before);
        if (result < 0)
            http_visit_give_up(visit);
        else
            http_visit_finish(visit, false, http_visit_request_is_over(visit), false);
    }
    http_visit_leave(visit, is_outermost);
}

void http_visit_abort(struct http_visit *visit)
{
    bool is_outermost = http_visit_enter(visit);
    http_visit_give_up(visit);
    http_visit_leave(visit, is_outermost);
}

void http_visit_drain(struct http_visit *visit)
{
    bool is_outermost = http_visit_enter(visit);
    visit->is_draining = true;
    http_visit_leave(visit, is_outermost);
}

/* --- The end of an exchange --- */

bool http_visit_request_is_over(const struct http_visit *visit)
{
    return http_body_is_over(&visit->request_body);
}

void http_visit_finish(struct http_visit *visit, bool is_own, bool is_whole, bool keeps_service)
{
    struct http_texts texts = visit->texts;
    struct http_record record = {
        .method = texts.method,
        .target = texts.target,
        .version = texts.version,
        .referer = texts.referer,
        .user_agent = texts.user_agent,
        .status = visit->status,
        .bytes_in = visit->request_body.count + visit->bytes_in,
        .bytes_out = visit->answer_body.count + visit->bytes_out,
        .is_own = is_own,
        .is_whole = is_whole,
    };
    bool is_raw = visit->state == HTTP_VISIT_RAW;
    bool closes = visit->closes || !is_whole || is_raw;
    http_texts_init(&visit->texts);
    clear_exchange(visit);
    if (!is_raw && visit->to_service.size) {
        /* The service answered before it had all of the request: the rest is of no use to it, and
         * without the rest it can't find the next request. */
        keeps_service = false;
        fifo_deinit(&visit->to_service);
    }
    visit->state = closes ? HTTP_VISIT_CLOSING : HTTP_VISIT_IDLE;
    visit->callbacks->on_done(visit->user, &record, keeps_service && is_whole);
    if (visit->tells_request)
        visit->parked = texts.memory;
    else
        http_texts_deinit(&texts);
}

void http_visit_give_up(struct http_visit *visit)
{
    switch ((enum http_visit_state)visit->state) {
    case HTTP_VISIT_CLOSING:
        return;
    case HTTP_VISIT_IDLE:
    case HTTP_VISIT_HEAD:
        visit->state = HTTP_VISIT_CLOSING;
        return;
    case HTTP_VISIT_ROUTING:
    case HTTP_VISIT_EXCHANGE:
    case HTTP_VISIT_RAW:
        break;
    }
    if (visit->has_answer)
        visit->is_broken = true;
    http_visit_finish(visit, false, false, false);
}

/* --- Questions --- */

enum http_visit_state http_visit_state(const struct http_visit *visit)
{
    return (enum http_visit_state)visit->state;
}

bool http_visit_awaits_request(const struct http_visit *visit)
{
    return visit->state == HTTP_VISIT_EXCHANGE && !http_visit_request_is_over(visit) &&
           !visit->is_held && !visit->pending.size && !visit->to_service.size;
}

bool http_visit_wants_visitor(const struct http_visit *visit)
{
    return visit->state != HTTP_VISIT_CLOSING && !visit->pending.size &&
           visit->to_service.size <= HTTP_VISIT_LOW;
}

bool http_visit_wants_service(const struct http_visit *visit)
{
    return visit->state != HTTP_VISIT_CLOSING && visit->to_visitor.size <= HTTP_VISIT_LOW;
}

bool http_visit_visitor_ends(const struct http_visit *visit)
{
    return visit->state == HTTP_VISIT_CLOSING ||
           (visit->state == HTTP_VISIT_RAW && visit->service_ended);
}

bool http_visit_is_broken(const struct http_visit *visit)
{
    return visit->is_broken;
}

bool http_visit_has_answer(const struct http_visit *visit)
{
    return visit->state == HTTP_VISIT_RAW ||
           (visit->state == HTTP_VISIT_EXCHANGE && visit->has_answer);
}

bool http_visit_is_raw(const struct http_visit *visit)
{
    return visit->state == HTTP_VISIT_RAW && !visit->pending.size && !visit->to_service.size &&
           !visit->to_visitor.size;
}

void http_visit_count_raw(struct http_visit *visit, uint64_t in, uint64_t out)
{
    visit->bytes_in += in;
    visit->bytes_out += out;
}

size_t http_visit_held(const struct http_visit *visit)
{
    return visit->pending.size + visit->to_service.size + visit->to_visitor.size +
           visit->request_head.capacity + visit->answer_head.capacity +
           visit->request_body.trailers.capacity + visit->answer_body.trailers.capacity +
           visit->texts.size + visit->sent_length + (visit->waiting ? sizeof *visit->waiting : 0);
}

size_t http_visit_size(void)
{
    return sizeof(struct http_visit);
}

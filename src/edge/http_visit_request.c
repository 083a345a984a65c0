/* The visitor's side of a visit: requests, from their first byte to the last of their bodies. */
#include "edge/http_visit_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "edge/http_loop.h"
#include "edge/http_rules.h"
#include "edge/http_write.h"

/* A whole head: kept until its route is known. 0, or the status of a refusal, or -1: no memory. */
static int keep_head(struct http_visit *visit, const char *bytes, size_t length)
{
    struct http_waiting *waiting = malloc(sizeof *waiting + length);
    if (!waiting)
        return -1;
    memcpy(waiting->bytes, bytes, length);
    visit->waiting = waiting;
    struct http_head *head = &waiting->head;
    int status = http_head_parse_request(waiting->bytes, length, head);
    if (!status)
        status = http_rules_request(head);
    /* What it said of itself stands in the record, refused or not. */
    return http_texts_make(&visit->texts, head) < 0 ? -1 : status;
}

static void begin_exchange(struct http_visit *visit)
{
    const struct http_head *head = &visit->waiting->head;
    visit->is_http10 = head->minor == 0;
    visit->is_head = http_text_is(head->method, "HEAD");
    visit->closes = head->closes;
    http_body_init(&visit->request_body, head->framing, head->length, head->framing);
}

static void tell_request(struct http_visit *visit)
{
    const struct http_head *head = &visit->waiting->head;
    struct http_request request = {
        .method = visit->texts.method,
        .target = visit->texts.target,
        .path = visit->texts.path,
        .host = visit->texts.host,
        .accept = visit->texts.accept,
        .expect = visit->texts.expect,
        .authorization = visit->texts.authorization,
        .has_body = !http_visit_request_is_over(visit),
        .is_http10 = visit->is_http10,
        .is_upgrade = head->is_upgrade,
        .is_loop = http_loop_is_closed(head, visit->options->cdn_id),
    };
    visit->state = HTTP_VISIT_ROUTING;
    visit->tells_request = true;
    visit->callbacks->on_request(visit->user, &request);
    visit->tells_request = false;
    free(visit->parked);
    visit->parked = NULL;
}

static size_t take_head(struct http_visit *visit, const char *bytes, size_t length)
{
    if (visit->state == HTTP_VISIT_IDLE) {
        /* The next waits until the last answer has gone, or a flood of requests would pile up
         * answers. */
        if (visit->to_visitor.size > HTTP_VISIT_LOW || visit->is_draining)
            return 0;
        visit->state = HTTP_VISIT_HEAD;
    }
    size_t taken = 0, whole_length = 0;
    const char *whole = NULL;
    int status = 0;
    switch (http_gather_feed(&visit->request_head, bytes, length, visit->options->head_max, &taken,
                             &whole, &whole_length)) {
    case HTTP_GATHERED_MORE:
        return taken;
    case HTTP_GATHERED_WHOLE:
        status = keep_head(visit, whole, whole_length);
        http_gather_deinit(&visit->request_head);
        http_gather_init(&visit->request_head, HTTP_SCAN_REQUEST);
        break;
    case HTTP_GATHERED_BAD:
        status = 400;
        break;
    case HTTP_GATHERED_TOO_LONG:
        status = 431;
        break;
    case HTTP_GATHERED_NO_MEMORY:
        status = -1;
        break;
    }
    if (status < 0) {
        http_visit_give_up(visit);
    } else if (status) {
        http_visit_refuse_page(visit, status);
    } else {
        begin_exchange(visit);
        tell_request(visit);
    }
    return visit->state == HTTP_VISIT_CLOSING ? length : taken;
}

static size_t take_body(struct http_visit *visit, const char *bytes, size_t length)
{
    size_t before = visit->to_service.size;
    long taken = http_body_feed(&visit->request_body, bytes, length, &visit->to_service);
    http_visit_note_output(visit, before, visit->to_visitor.size);
    if (visit->to_service.size > before)
        visit->body_begun = true;
    if (taken >= 0)
        return (size_t)taken;
    if (taken == HTTP_BODY_BAD && !visit->has_answer)
        http_visit_refuse_page(visit, 400);
    else
        http_visit_give_up(visit);
    return length;
}

size_t http_visit_take_request(struct http_visit *visit, const char *bytes, size_t length)
{
    switch ((enum http_visit_state)visit->state) {
    case HTTP_VISIT_IDLE:
    case HTTP_VISIT_HEAD:
        return take_head(visit, bytes, length);
    case HTTP_VISIT_ROUTING:
        return 0;
    case HTTP_VISIT_EXCHANGE:
        if (visit->is_held || http_visit_request_is_over(visit))
            return 0;
        return take_body(visit, bytes, length);
    case HTTP_VISIT_RAW:
        if (http_visit_push_service(visit, bytes, length) == 0)
            visit->bytes_in += length;
        return length;
    case HTTP_VISIT_CLOSING:
        break;
    }
    return length;
}

void http_visit_forward(struct http_visit *visit, const struct http_forward *forward)
{
    assert(visit->state == HTTP_VISIT_ROUTING);
    bool is_outermost = http_visit_enter(visit);
    struct http_buffer buffer = {0};
    http_write_request(&visit->waiting->head, forward, visit->options->cdn_id, &buffer);
    free(visit->waiting);
    visit->waiting = NULL;
    visit->state = HTTP_VISIT_EXCHANGE;
    visit->is_held = forward->hold_body && !http_visit_request_is_over(visit);
    http_gather_init(&visit->answer_head, HTTP_SCAN_ANSWER);
    if (buffer.failed) {
        http_buffer_deinit(&buffer);
        http_visit_give_up(visit);
    } else if (http_visit_push_service(visit, buffer.bytes, buffer.length) < 0) {
        http_buffer_deinit(&buffer);
    } else {
        visit->sent = buffer.bytes;
        visit->sent_length = buffer.length;
    }
    http_visit_leave(visit, is_outermost);
}

void http_visit_release_body(struct http_visit *visit)
{
    bool is_outermost = http_visit_enter(visit);
    visit->is_held = false;
    http_visit_leave(visit, is_outermost);
}

bool http_visit_can_retry(const struct http_visit *visit)
{
    return visit->state == HTTP_VISIT_EXCHANGE && !visit->has_bytes && !visit->body_begun;
}

void http_visit_retry(struct http_visit *visit)
{
    assert(http_visit_can_retry(visit));
    bool is_outermost = http_visit_enter(visit);
    fifo_deinit(&visit->to_service);
    (void)http_visit_push_service(visit, visit->sent, visit->sent_length);
    http_visit_leave(visit, is_outermost);
}

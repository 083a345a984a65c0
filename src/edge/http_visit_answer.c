/* The service's side of a visit: answers, and what comes after an upgrade. */
#include "edge/http_visit_internal.h"

#include <stdlib.h>

#include "edge/http_rules.h"
#include "edge/http_write.h"

static int write_head(struct http_visit *visit, const struct http_head *head,
                      const struct http_write_answer *how)
{
    struct http_buffer buffer = {0};
    http_write_answer(head, how, &buffer);
    int result = -1;
    if (buffer.failed)
        http_visit_give_up(visit);
    else
        result = http_visit_push_visitor(visit, buffer.bytes, buffer.length);
    http_buffer_deinit(&buffer);
    return result;
}

static void forget_sent(struct http_visit *visit)
{
    free(visit->sent);
    visit->sent = NULL;
    visit->sent_length = 0;
}

/* 100, 102, 103: HTTP/1.0 doesn't know them (RFC 9110 15.2). */
static void pass_interim(struct http_visit *visit, const struct http_head *head)
{
    struct http_write_answer how = {.framing = HTTP_FRAMING_NONE};
    if (!visit->is_http10)
        (void)write_head(visit, head, &how);
}

/* 101: only what was asked for, and then what the visitor sent ahead goes on. */
static void pass_switch(struct http_visit *visit, const struct http_head *head)
{
    if (head->minor == 0 || !*visit->texts.upgrade ||
        !http_rules_is_asked(head, http_text_of(visit->texts.upgrade))) {
        http_visit_bad_answer(visit);
        return;
    }
    struct http_write_answer how = {.framing = HTTP_FRAMING_NONE};
    visit->status = 101;
    visit->has_answer = true;
    if (write_head(visit, head, &how) < 0)
        return;
    forget_sent(visit);
    http_texts_shrink(&visit->texts);
    visit->callbacks->on_answer(visit->user);
    if (visit->state != HTTP_VISIT_EXCHANGE)
        return;
    visit->state = HTTP_VISIT_RAW;
}

static enum http_framing framing_back(const struct http_visit *visit, const struct http_head *head)
{
    if (head->framing == HTTP_FRAMING_NONE || head->framing == HTTP_FRAMING_LENGTH)
        return head->framing;
    return visit->is_http10 ? HTTP_FRAMING_UNTIL_CLOSE : HTTP_FRAMING_CHUNKED;
}

static void pass_final(struct http_visit *visit, const struct http_head *head)
{
    struct http_write_answer how = {
        .framing = framing_back(visit, head),
        .is_http10 = visit->is_http10,
    };
    /* With part of the request still to come, the visitor might send a new one instead, or never
     * any more (Expect): what follows couldn't be read in one way only. */
    visit->closes = visit->closes || visit->is_draining || !http_visit_request_is_over(visit) ||
                    how.framing == HTTP_FRAMING_UNTIL_CLOSE;
    how.closes = visit->closes;
    visit->service_keeps =
        !head->closes && !head->is_odd && head->framing != HTTP_FRAMING_UNTIL_CLOSE;
    visit->status = head->status;
    http_body_init(&visit->answer_body, head->framing, head->length, how.framing);
    visit->has_answer = true;
    forget_sent(visit);
    if (write_head(visit, head, &how) < 0)
        return;
    visit->callbacks->on_answer(visit->user);
}

static void pass_head(struct http_visit *visit, const char *bytes, size_t length)
{
    struct http_head head;
    if (http_head_parse_answer(bytes, length, &head) != 0 ||
        http_rules_answer(&head, visit->is_head) != 0)
        http_visit_bad_answer(visit);
    else if (head.status == 101)
        pass_switch(visit, &head);
    else if (head.status < 200)
        pass_interim(visit, &head);
    else
        pass_final(visit, &head);
}

static size_t take_head(struct http_visit *visit, const char *bytes, size_t length)
{
    size_t taken = 0, whole_length = 0;
    const char *whole = NULL;
    switch (http_gather_feed(&visit->answer_head, bytes, length, HTTP_ANSWER_HEAD_MAX, &taken,
                             &whole, &whole_length)) {
    case HTTP_GATHERED_MORE:
        break;
    case HTTP_GATHERED_WHOLE: {
        /* Taken out of the visit: it may end the exchange that it belongs to. */
        struct http_gather gather = visit->answer_head;
        http_gather_init(&visit->answer_head, HTTP_SCAN_ANSWER);
        pass_head(visit, whole, whole_length);
        http_gather_deinit(&gather);
        break;
    }
    case HTTP_GATHERED_BAD:
    case HTTP_GATHERED_TOO_LONG:
    case HTTP_GATHERED_NO_MEMORY:
        http_visit_bad_answer(visit);
        return length;
    }
    return taken;
}

static size_t take_body(struct http_visit *visit, const char *bytes, size_t length)
{
    size_t before = visit->to_visitor.size;
    long taken = http_body_feed(&visit->answer_body, bytes, length, &visit->to_visitor);
    http_visit_note_output(visit, visit->to_service.size, before);
    if (taken >= 0)
        return (size_t)taken;
    http_visit_give_up(visit);
    return length;
}

size_t http_visit_take_answer(struct http_visit *visit, const char *bytes, size_t length)
{
    if (visit->state == HTTP_VISIT_RAW) {
        if (http_visit_push_visitor(visit, bytes, length) == 0)
            visit->bytes_out += length;
        return length;
    }
    visit->has_bytes = true;
    bool had_answer = visit->has_answer;
    size_t taken = had_answer ? take_body(visit, bytes, length) : take_head(visit, bytes, length);
    if (visit->state == HTTP_VISIT_EXCHANGE && visit->has_answer &&
        http_body_is_over(&visit->answer_body)) {
        /* Bytes beyond an answer would be the next one's: that connection isn't used again. */
        bool keeps = visit->service_keeps && taken == length;
        http_visit_finish(visit, false, http_visit_request_is_over(visit), keeps);
    }
    return taken;
}

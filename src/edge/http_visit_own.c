/* Our own answers within a visit. */
#include "edge/http_visit_internal.h"

#include <assert.h>
#include <stdlib.h>

#include "edge/http_write.h"

static void answer(struct http_visit *visit, const struct http_answer *answer, bool is_refusal)
{
    /* Without a head read nothing is known of the visitor: it gets what any can read. */
    bool is_whole = !is_refusal && http_visit_request_is_over(visit);
    visit->closes = visit->closes || !is_whole || answer->closes || visit->is_draining;
    visit->status = answer->status;
    if (!visit->is_head)
        visit->bytes_out = answer->body_length;
    const struct http_visit_callbacks *callbacks = visit->callbacks;
    const struct http_write_own how = {
        .date = callbacks->date ? callbacks->date(visit->user) : NULL,
        .to_head = visit->is_head,
        .is_http10 = visit->is_http10,
        .closes = visit->closes,
    };
    struct http_buffer buffer = {0};
    http_write_own(answer, &how, &buffer);
    if (buffer.failed)
        http_visit_give_up(visit);
    else if (http_visit_push_visitor(visit, buffer.bytes, buffer.length) == 0)
        http_visit_finish(visit, true, is_whole, false);
    http_buffer_deinit(&buffer);
}

void http_visit_answer(struct http_visit *visit, const struct http_answer *own)
{
    assert(visit->state == HTTP_VISIT_ROUTING || visit->state == HTTP_VISIT_EXCHANGE);
    assert(!visit->has_answer);
    bool is_outermost = http_visit_enter(visit);
    answer(visit, own, false);
    http_visit_leave(visit, is_outermost);
}

void http_visit_refuse(struct http_visit *visit, const struct http_answer *own)
{
    assert(visit->state == HTTP_VISIT_IDLE || visit->state == HTTP_VISIT_HEAD);
    bool is_outermost = http_visit_enter(visit);
    answer(visit, own, true);
    http_visit_leave(visit, is_outermost);
}

static void answer_page(struct http_visit *visit, int status, bool is_refusal)
{
    struct page_text *text = malloc(sizeof *text);
    if (!text) {
        http_visit_give_up(visit);
        return;
    }
    struct http_answer own = {0};
    page_make(page_of_status(status), visit->texts.accept, "", text, &own);
    answer(visit, &own, is_refusal);
    free(text);
}

void http_visit_refuse_page(struct http_visit *visit, int status)
{
    visit->is_head =
        *visit->texts.method && http_text_is(http_text_of(visit->texts.method), "HEAD");
    answer_page(visit, status, true);
}

void http_visit_bad_answer(struct http_visit *visit)
{
    if (visit->has_answer)
        http_visit_give_up(visit);
    else
        answer_page(visit, 502, false);
}

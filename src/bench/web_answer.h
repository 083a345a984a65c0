/* The answers that the bench's HTTP visitors get, read as they come. It knows no more of HTTP than
 * these answers need: a status, Content-Length, and a body that is the one expected. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEB_LINE_MAX 128 /* of a head's line so much is looked at */
#define WEB_HEAD_MAX 16384

enum web_result {
    WEB_MORE,
    WEB_DONE, /* the answer is whole; what follows is another's */
    WEB_BAD,  /* answer->fault says why */
};

struct web_answer {
    /* Of the body that a 200 has to have; borrowed. */
    const uint8_t *expected;
    size_t expected_size;

    char line[WEB_LINE_MAX];
    size_t line_length; /* may be more than fit */
    size_t head_length;
    int status; /* 0: not yet read */
    bool in_body, has_length;
    uint64_t length, at; /* of the body */
    const char *fault;   /* static text */
};

void web_answer_init(struct web_answer *answer, const uint8_t *expected, size_t expected_size);
/* Takes bytes as they come; *ret_taken of them were this answer's. After WEB_DONE or WEB_BAD it has
 * to be begun anew. A 101 is whole with its head; other 1xx are passed over. A body that isn't the
 * expected one is WEB_BAD with a 200, and skipped with any other status. */
enum web_result web_answer_feed(struct web_answer *answer, const uint8_t *bytes, size_t length,
                                size_t *ret_taken) __attribute__((warn_unused_result));

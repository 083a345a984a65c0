/* A proof under way: credentials that visitors of this worker wait to have judged. Requests that
 * bring the same ones at once wait for one check together. */
#pragma once

#include <stdint.h>

struct edge;
struct visitor;
struct credentials;

enum proof_result {
    PROOF_RIGHT,
    PROOF_WRONG,
    PROOF_LATER,   /* too many wrong guesses, or too much to check */
    PROOF_PENDING, /* visitor_proved() will be called */
};

/* Judges what a visitor of visitor->facts, which is protected, says. *ret_wait: PROOF_LATER,
 * microseconds. */
enum proof_result proof_begin(struct visitor *visitor, const struct credentials *credentials,
                              uint64_t *ret_wait);
/* The visitor waits no more; one that doesn't is fine. */
void proof_abandon(struct visitor *visitor);

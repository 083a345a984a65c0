/* What a head means, and what we refuse though it parses: everything that two readers might
 * understand differently (RFC 9112 3.2, 6, 9; RFC 9110 7.6, 7.8, 10.1.1). */
#pragma once

#include "edge/http_buffer.h"
#include "edge/http_head.h"

/* Fills the head's second half. 0, or the status of our refusal: 400, or 417 for an Expect other
 * than 100-continue. */
int http_rules_request(struct http_head *head) __attribute__((warn_unused_result));
/* to_head: the request was HEAD. 0 or 502. */
int http_rules_answer(struct http_head *head, bool to_head) __attribute__((warn_unused_result));

/* What a request may be upgraded to, as one list: without h2c, whose frames nobody here reads. */
void http_rules_upgrades(const struct http_head *head, struct http_buffer *buffer);
/* Does the Upgrade of a 101 name one or more protocols, and none but what was asked for? */
bool http_rules_is_asked(const struct http_head *answer, struct http_text asked);

/* The host's part of an authority, and its port (empty without one). false: malformed. */
bool http_rules_authority(struct http_text authority, struct http_text *ret_host,
                          struct http_text *ret_port);

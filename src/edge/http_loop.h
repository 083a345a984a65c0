/* CDN-Loop (RFC 8586): each edge that passes a request on adds its name, and one that finds its own
 * there again and again sees that the request goes in a circle.
 *
 * What came is never dropped, whoever sent it and whatever Connection says: the next round would
 * look like the first. */
#pragma once

#include <stdbool.h>

#include "edge/http_buffer.h"
#include "edge/http_head.h"

/* So often a request may be passed on: a service that is a gateway may well send it to another
 * socket of the same edge, and a circle ends soon enough. */
#define HTTP_LOOP_ROUNDS 3

/* Has the request been here so often? cdn_id: this edge's name; NULL: it has none, and never knows.
 */
bool http_loop_is_closed(const struct http_head *head, const char *cdn_id);
/* Adds the header: what came, as one list, and this edge's name. Without either, nothing. */
void http_loop_write(const struct http_head *head, const char *cdn_id, struct http_buffer *buffer);

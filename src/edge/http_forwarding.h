/* The headers that tell a service who visits it: X-Forwarded-For, -Host and -Proto, X-Real-IP, and
 * Forwarded (RFC 7239). */
#pragma once

#include "edge/http_buffer.h"
#include "edge/http_head.h"
#include "edge/http_visit.h"

/* Adds them. With forward->is_trusted, lists that came with the request are continued and single
 * values kept; else the request's own aren't looked at. */
void http_forwarding_write(const struct http_head *head, const struct http_forward *forward,
                           struct http_buffer *buffer);

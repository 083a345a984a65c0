/* Which form of an answer a client takes: Accept-Encoding (RFC 9110 section 12.5.3). */
#pragma once

#include <stdbool.h>

#include "edge/http_head.h"

/* gzip, by its name or by "*", with a weight above 0, in any of the fields. What can't be read asks
 * for nothing. */
bool api_encoding_takes_gzip(const struct http_head *head);

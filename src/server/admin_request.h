/* A request to the admin listener: head in, what is asked out. http-parser stands behind this file
 * alone, after a strict scan of our own (it takes bare line feeds, folded lines and spaces before
 * colons). */
#pragma once

#include <stddef.h>

#define ADMIN_REQUEST_HEAD_MAX 8192 /* what browsers with long cookies send still fits */

enum admin_request {
    ADMIN_REQUEST_MORE = 0, /* the head isn't whole yet */
    ADMIN_REQUEST_METRICS,
    ADMIN_REQUEST_HEALTH,
    ADMIN_REQUEST_READY,
    ADMIN_REQUEST_BAD,        /* 400 */
    ADMIN_REQUEST_NOT_FOUND,  /* 404 */
    ADMIN_REQUEST_BAD_METHOD, /* 405: only GET is served */
    ADMIN_REQUEST_TOO_LONG,   /* 431 */
};

/* Judges all that has come so far. A body, announced or sent, is BAD; a query after the path is
 * ignored. */
enum admin_request admin_request_parse(const char *bytes, size_t length);

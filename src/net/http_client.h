/* Small HTTP(S) requests, by libcurl's multi interface on the loop. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "net/loop.h"

struct http_client;
struct http_request;

#define HTTP_CLIENT_BODY_MAX 65536

struct http_client_options {
    const char *url;
    const char *form; /* urlencoded body: makes it a POST; NULL: GET */
    const char *user; /* basic auth, or NULL */
    const char *password;
    uint64_t timeout; /* microseconds for the whole of it */
};

/* status: the HTTP status, or -1 when there was no answer (then error is a sentence without
 * secrets). */
typedef void http_client_on_done(void *user, int status, const char *body, size_t length,
                                 const char *error);

/* The system's CAs are trusted (SSL_CERT_FILE/_DIR honoured). Redirects aren't followed. */
int http_client_new(struct loop *loop, struct http_client **ret_client)
    __attribute__((warn_unused_result));
void http_client_free(
    struct http_client *client); /* open requests are dropped without a callback */
/* Options are copied. 0 or -ENOMEM. on_done never comes before this returns. */
int http_client_start(struct http_client *client, const struct http_client_options *options,
                      http_client_on_done *on_done, void *user, struct http_request **ret_request)
    __attribute__((warn_unused_result));
void http_client_cancel(struct http_request *request); /* NULL is fine; not after on_done */
/* Percent-encodes for a form or a query; malloced, NULL without memory. */
char *http_client_escape(const char *text);

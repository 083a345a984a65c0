/* Small HTTP(S) requests, by libcurl's multi interface on the loop.
 *
 * Names are looked up by libcurl's own resolver, which is a thread a lookup in Debian's build: fine
 * for a few calls to one server that the operator named, and never used for what a device asks for.
 * The environment's proxy settings (https_proxy, no_proxy) hold. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "net/loop.h"

struct http_client;
struct http_request;

#define HTTP_CLIENT_BODY_MAX 65536

struct http_client_options {
    const char *url;  /* http or https */
    const char *form; /* urlencoded body: makes it a POST; NULL: GET */
    const char *user; /* basic auth, or NULL */
    const char *password;
    uint64_t timeout; /* microseconds for the whole of it; 0: none */
    /* All of these may be left out. */
    const char *method; /* letters; NULL: POST with a form or a body, else GET */
    const void *body;   /* instead of a form */
    size_t body_length;
    const char *content_type;   /* of the body */
    const char *const *headers; /* "Name: value" each, NULL at the end */
    size_t answer_max;          /* bytes; 0: HTTP_CLIENT_BODY_MAX */
    const char *ca_file;        /* PEM: who is trusted instead of the system's CAs */
    const char *unix_path; /* of a socket to connect to, instead of the URL's host; no proxy then */
};

/* status: the HTTP status, or -1 when there was no (whole) answer; error is a sentence without
 * secrets then, and "" else. body: at most answer_max bytes, NUL-terminated beyond length, borrowed
 * until return. */
typedef void http_client_on_done(void *user, int status, const char *body, size_t length,
                                 const char *error);

/* The system's CAs are trusted (SSL_CERT_FILE/_DIR honoured), as they are now. Redirects aren't
 * followed. 0 or -ENOMEM. */
int http_client_new(struct loop *loop, struct http_client **ret_client)
    __attribute__((warn_unused_result));
void http_client_free(
    struct http_client *client); /* open requests are dropped without a callback; NULL is fine */
/* Options are copied. 0, -ENOMEM, or -EINVAL: a method, a content type or a header that would be
 * something else on the wire (line breaks, say). on_done never comes before this returns. */
int http_client_start(struct http_client *client, const struct http_client_options *options,
                      http_client_on_done *on_done, void *user, struct http_request **ret_request)
    __attribute__((warn_unused_result));
void http_client_cancel(struct http_request *request); /* NULL is fine; not after on_done */
/* Percent-encodes for a form or a query; malloced, NULL without memory. */
char *http_client_escape(const char *text);

/* The commands' side of the REST API: one request after another, by libcurl, over HTTPS or the
 * admin's unix socket. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct json_t; /* jansson's */

struct api_client;

struct api_client_options {
    const char *url;       /* "https://api.example", with a prefix of paths or without; http:// to
                              this machine alone. Or unix_path */
    const char *unix_path; /* the admin socket */
    const char *ca;        /* PEM file, or NULL: the system's (SSL_CERT_FILE/_DIR honoured) */
    const char *login;     /* JWT, or NULL */
};

/* Options are copied. 0, or -1 with a sentence. */
int api_client_new(const struct api_client_options *options, struct api_client **ret_client,
                   char *error, size_t error_size) __attribute__((warn_unused_result));
void api_client_free(struct api_client *client); /* NULL is fine */

enum api_client_result {
    API_CLIENT_OK = 0,
    API_CLIENT_REFUSED = -1,     /* an answer of 400 and above: the sentence is the server's */
    API_CLIENT_UNREACHABLE = -2, /* no answer, or none of an API's: a redirect, no JSON */
    API_CLIENT_LOGIN = -3,       /* 401: not logged in, or no longer */
};
/* Takes 30 s at most. method: "GET", "POST", "PUT", "PATCH" or "DELETE". path: "/socket/...", what
 * is the user's in it percent-encoded (http_client_escape()). body: borrowed, NULL for none.
 * *ret_answer: set with OK alone; a reference, NULL for an empty answer. error: a sentence unless
 * OK, fit for a terminal. */
int api_client_ask(struct api_client *client, const char *method, const char *path,
                   struct json_t *body, struct json_t **ret_answer, char *error, size_t error_size)
    __attribute__((warn_unused_result));

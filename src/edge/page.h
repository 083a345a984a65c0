/* The edge's own answers: small clear pages, as HTML, text or JSON, by what the visitor accepts. */
#pragma once

#include "edge/http_visit.h"

enum page {
    PAGE_BAD_REQUEST,     /* 400 "BAD_REQUEST" */
    PAGE_UNAUTHORIZED,    /* 401 "UNAUTHORIZED"; needs WWW-Authenticate */
    PAGE_FORBIDDEN,       /* 403 "FORBIDDEN": by the visitor's address */
    PAGE_NO_CERTIFICATE,  /* 403 "CERTIFICATE_REQUIRED" */
    PAGE_UNKNOWN_NAME,    /* 404 "UNKNOWN_NAME" */
    PAGE_NOT_FOUND,       /* 404 "NOT_FOUND": of the edge's own paths */
    PAGE_CONNECT_REFUSED, /* 405 "METHOD_NOT_ALLOWED" */
    PAGE_SLOW_REQUEST,    /* 408 "REQUEST_TIMEOUT" */
    PAGE_EXPECT_UNKNOWN,  /* 417 "EXPECTATION_FAILED" */
    PAGE_MISDIRECTED,     /* 421 "MISDIRECTED" */
    PAGE_RATE_LIMITED,    /* 429 "RATE_LIMITED"; needs Retry-After */
    PAGE_GUESSED,         /* 429 "TOO_MANY_ATTEMPTS": of passwords; needs Retry-After */
    PAGE_HEAD_TOO_LARGE,  /* 431 "HEAD_TOO_LARGE" */
    PAGE_METHOD_UNKNOWN,  /* 501 "METHOD_UNKNOWN" */
    PAGE_SERVICE_REFUSED, /* 502 "SERVICE_REFUSED": the agent can't reach its service */
    PAGE_SERVICE_BROKEN,  /* 502 "SERVICE_BROKEN": its answer wasn't HTTP, or broke off */
    PAGE_TUNNEL_GONE,     /* 502 "TUNNEL_GONE" */
    PAGE_NO_AGENT,        /* 503 "NO_AGENT", Retry-After */
    PAGE_TOO_MANY,        /* 503 "TOO_MANY_CONNECTIONS", Retry-After */
    PAGE_FULL,            /* 503 "SOCKET_FULL": as many visitors as it may have, Retry-After */
    PAGE_QUOTA_EXCEEDED,  /* 503 "QUOTA_EXCEEDED" */
    PAGE_SERVICE_SILENT,  /* 504 "SERVICE_SILENT" */
    PAGE_VERSION_UNKNOWN, /* 505 "VERSION_UNKNOWN" */
    PAGE_LOOP,            /* 508 "LOOP_DETECTED": the service leads back to the edge */
    PAGE_REDIRECT,        /* 308 "HTTPS_ONLY": to https; detail is the whole URL */
    PAGE_URL_TOO_LONG,    /* 414 "URL_TOO_LONG": what a redirect beyond PAGE_URL_MAX becomes */
};

/* Of the URL that a redirect names, percent-encoded. */
#define PAGE_URL_MAX 8192

/* Room for head and body of any page. */
struct page_text {
    char head[PAGE_URL_MAX + 512];
    char body[4096];
};

/* Fills the answer, whose texts are in `text`. accept: the visitor's Accept, "" when there was none
 * (curl's "*" "/" "*" gets text, a browser HTML, application/json JSON). detail: what it is about,
 * or "": escaped, and cut when it is long. `closes` is left false. */
void page_make(enum page page, const char *accept, const char *detail, struct page_text *text,
               struct http_answer *ret_answer);
/* One more header line for a page that was made; the value is fit for one. A line that is too long
 * is left out. */
void page_add_header(struct page_text *text, const char *name, const char *value);
/* The page of a request or an answer that can't be passed on, by its status. */
enum page page_of_status(int status);
/* "SERVICE_REFUSED", as in X-Streamplex-Error. */
const char *page_code(enum page page);

/* What libcurl carries for us, on a loop: its multi interface, for http_client.h. For src/net
 * alone.
 *
 * Names are looked up by libcurl's own resolver, which is a thread a lookup in Debian's build: fine
 * for a few calls to servers that the operator named. */
#pragma once

#include <curl/curl.h>

#include "net/loop.h"

struct transfers;

/* Embed it in a heap object and zero it. */
struct transfer {
    struct transfer *next, *prev;
    struct transfers *transfers;
    CURL *easy;       /* made by transfer_prepare(); NULL once its result is known */
    const char *fail; /* a sentence that explains a failure better than libcurl; set by callbacks */
    char error[CURL_ERROR_SIZE]; /* "" when all went well; a sentence without secrets */
    long status;                 /* the last one that the server gave, 0: none */
    CURLcode code;
    struct loop_deferred delivery;
    /* At the end of the turn, outside of libcurl, with the transfer ended (transfer_end()): may do
     * anything to all of them. */
    void (*on_done)(struct transfer *transfer);
};

/* The system's CAs are trusted (SSL_CERT_FILE/_DIR honoured), as they are now. 0 or -ENOMEM. */
int transfers_new(struct loop *loop, struct transfers **ret_transfers)
    __attribute__((warn_unused_result));
/* Every transfer must have been ended. NULL is fine. */
void transfers_free(struct transfers *transfers);
struct transfer *transfers_first(struct transfers *transfers); /* under way, or NULL */

/* Makes transfer->easy and sets what holds for all: no signals, no inherited descriptors, whom to
 * trust, the timeout in microseconds (0: none). ca_file: NULL, or a PEM file that is trusted
 * instead of the system's. 0 or -ENOMEM; either way transfer_end() is due. */
int transfer_prepare(struct transfers *transfers, struct transfer *transfer, uint64_t timeout,
                     const char *ca_file) __attribute__((warn_unused_result));
/* on_done never comes before this returns. 0 or -ENOMEM. */
int transfer_start(struct transfer *transfer) __attribute__((warn_unused_result));
/* Without a callback. Idempotent. */
void transfer_end(struct transfer *transfer);

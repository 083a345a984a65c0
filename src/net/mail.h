/* Sends mails to one SMTP server, by libcurl on threads of its own: even its multi interface waits
 * for the answer to a mail's text within the call, which no loop can afford.
 *
 * To another machine the mail and the password go through TLS or not at all: smtps://, or smtp://
 * with STARTTLS. To this machine (localhost, 127/8, ::1) smtp:// takes STARTTLS when it is offered,
 * whoever's certificate is shown, and goes on without when not. The environment's proxies aren't
 * used. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "net/loop.h"

struct mail_sender;

/* At a time, and waiting for that: who registers many accounts fills no memory. */
#define MAIL_CONNECTIONS_MAX 2
#define MAIL_WAITING_MAX     64

struct mail_options {
    const char *url;     /* "smtp[s]://[USER:PASSWORD@]HOST[:PORT]", percent-encoded */
    const char *from;    /* "ann@example.com" or "Ann <ann@example.com>" */
    const char *ca_file; /* PEM: who is trusted; NULL: the system's CAs (SSL_CERT_FILE honoured) */
    uint64_t timeout;    /* microseconds a mail, from its turn on; 0: 60 s */
};

/* Options are copied. 0, or -1 with a sentence that doesn't repeat the URL (it has a password). */
int mail_new(struct loop *loop, const struct mail_options *options, struct mail_sender **ret_sender,
             char *error, size_t error_size) __attribute__((warn_unused_result));
/* Mails under way and waiting are dropped without a callback; may take a second. NULL is fine. */
void mail_free(struct mail_sender *sender);

/* error: NULL when the server has taken the mail; else a sentence without secrets, borrowed. May
 * do anything to the sender. */
typedef void mail_on_done(void *user, const char *error);

/* to: one address; text: UTF-8. All are copied. 0, or -EINVAL (no address that can be written as it
 * is, see mail_text.h, or something too long), -EAGAIN (MAIL_WAITING_MAX), -ENOMEM: then on_done
 * never comes. It never comes before this returns; it comes on the loop. */
int mail_send(struct mail_sender *sender, const char *to, const char *subject, const char *text,
              mail_on_done *on_done, void *user) __attribute__((warn_unused_result));

/* The text of a mail (RFC 5322, MIME): nothing that is given can be another line of its head.
 * Values in, text out; mail.h sends it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An address has 254 bytes at most (RFC 5321, section 4.5.3.1.3, less the brackets). */
#define MAIL_ADDRESS_MAX 254
#define MAIL_NAME_MAX    256
/* A subject is one line for a person; a text is a page. */
#define MAIL_SUBJECT_MAX 512
#define MAIL_TEXT_MAX    65536

struct mail_address {
    char address[MAIL_ADDRESS_MAX + 1]; /* "ann@example.com" */
    char name[MAIL_NAME_MAX + 1];       /* "Ann Example", "" for none */
};

/* One address that can be written as it is: visible ASCII, a local part without quotes or
 * comments, a domain of labels or "localhost". */
bool mail_is_address(const char *text);
/* "ann@example.com" or "Ann Example <ann@example.com>", the name in UTF-8 without control
 * characters, perhaps in quotes. 0 or -1. */
int mail_address_parse(const char *text, struct mail_address *ret_address)
    __attribute__((warn_unused_result));

struct mail_text {
    const struct mail_address *from;
    const char *to;        /* an address */
    const char *subject;   /* control characters and what isn't UTF-8 become spaces */
    const char *text;      /* its lines end with \n or \r\n */
    uint64_t time;         /* seconds since 1970 */
    const char *unique_id; /* letters and digits, for Message-ID */
};
/* The whole mail, lines ended by CRLF, none longer than 78 bytes but for an address's; malloced,
 * NUL-terminated. 0, -ENOMEM, or -EINVAL: `to` isn't an address, something is too long. */
int mail_text_write(const struct mail_text *mail, char **ret_text, size_t *ret_length)
    __attribute__((warn_unused_result));

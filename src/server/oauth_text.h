/* What an OAuth server's address and answers say: texts in, facts out (auth_oauth.c calls the
 * server). */
#pragma once

#include <stddef.h>

#include "server/auth.h"

struct oauth_address {
    char *base; /* "https://host:port/base", no slash at the end; malloced, as the others */
    char *client_id, *client_secret;
};

/* https://client_id:client_secret@host[:port][/base]; id and secret may be percent-encoded. http://
 * is taken for loopback hosts, for sidecars. 0, or -1 with a sentence that doesn't repeat the
 * setting (it holds a secret). */
int oauth_address_parse(const char *setting, struct oauth_address *ret_address, char *error,
                        size_t error_size) __attribute__((warn_unused_result));
void oauth_address_deinit(struct oauth_address *address);

/* The string `name` of a JSON object: malloced, 1...most bytes without control characters; NULL if
 * the body isn't such. */
char *oauth_answer_text(const char *body, size_t length, const char *name, size_t most)
    __attribute__((warn_unused_result));

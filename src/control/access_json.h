/* The rules of access of a socket as text, for the store. */
#pragma once

#include "registry/access.h"

/* Malloced; NULL without memory. */
char *access_json_format(const struct socket_access *access);
/* Only what access_json_format() writes; members that aren't known are an error, so that no rule is
 * overlooked. 0, or -1. *ret_access is for socket_access_free(). */
int access_json_parse(const char *text, struct socket_access **ret_access)
    __attribute__((warn_unused_result));

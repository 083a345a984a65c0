/* Host names: RFC 1035 section 2.3.4 (lengths), RFC 1123 section 2.1 (characters). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "registry/registry.h"

/* Lower case, without a dot at the end. The text needn't be NUL-terminated, and isn't judged. The
 * length, or 0 when it is empty or too long. */
size_t host_name_fold(const char *text, size_t length, char ret_name[REGISTRY_HOST_MAX + 1]);
/* Folds, and judges: labels of 1 to 63 letters, digits and hyphens, none at either end; one label
 * is enough. A last label of digits alone, as IPv4 addresses have it, isn't a host name's. 0 or -1.
 */
int host_name_parse(const char *text, char ret_name[REGISTRY_HOST_MAX + 1])
    __attribute__((warn_unused_result));
/* One label, fit to stand below a domain: digits alone are fine here. Folds it. 0 or -1. */
int host_name_parse_label(const char *text, char ret_label[64]) __attribute__((warn_unused_result));
/* Is `name` one label below `domain`? Both folded. */
bool host_name_is_below(const char *name, const char *domain);
/* Does a pattern cover it: "example.com" itself, "*.example.com" one label below? Both folded. */
bool host_name_matches(const char *name, const char *pattern);

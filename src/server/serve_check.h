/* What the texts of `streamplex serve`'s settings must be: checks for the table of settings, and
 * what config.c reads again. Each check returns 0, or -1 with a sentence in `error`. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

/* ADDR:PORT, [ADDR]:PORT or PORT. */
int serve_check_address(const char *text, char *error, size_t error_size);
/* CIDR[:PORT[-PORT]], of an egress rule. */
int serve_check_rule(const char *text, char *error, size_t error_size);
/* CIDR, or an address alone. */
int serve_check_prefix(const char *text, char *error, size_t error_size);
/* FIRST-LAST or "none". */
int serve_check_ports(const char *text, char *error, size_t error_size);
/* An address without a port. */
int serve_check_bind(const char *text, char *error, size_t error_size);
/* http:// or https://, and no blanks or control characters. */
int serve_check_url(const char *text, char *error, size_t error_size);
/* A host name. */
int serve_check_domain(const char *text, char *error, size_t error_size);
/* A host name, or "*." and one. */
int serve_check_custom_domain(const char *text, char *error, size_t error_size);

/* "41000-41999"; "none": both 0. 0 or -1. */
int serve_parse_ports(const char *text, uint16_t *ret_first, uint16_t *ret_last)
    __attribute__((warn_unused_result));

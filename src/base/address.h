/* Addresses: an IPv4 or IPv6 socket address in 28 bytes, its text, and prefixes (CIDR). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>
#include <sys/socket.h>

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* "[" 39 characters, "%" scope "]:" port, NUL */
#define ADDRESS_TEXT_MAX 80

struct prefix {
    uint8_t bytes[16]; /* network order; IPv4 uses the first four */
    uint8_t family;    /* AF_INET or AF_INET6 */
    uint8_t bits;
};

/* A literal host ("192.0.2.1", "::1", "[::1]") with a port. 0 or -1; *ret_address changes only on
 * success. */
int address_from_host(const char *host, uint16_t port, union address *ret_address)
    __attribute__((warn_unused_result));
/* "ADDR:PORT", "[ADDR]:PORT", ":PORT" or "PORT" (those two: the wildcard [::]). 0 or -1. */
int address_parse(const char *text, union address *ret_address) __attribute__((warn_unused_result));
socklen_t address_size(const union address *address);
uint16_t address_port(const union address *address);
void address_set_port(union address *address, uint16_t port);
/* "192.0.2.1:80" and "[::1]:80". Returns `buffer`. */
const char *address_format(const union address *address, char buffer[ADDRESS_TEXT_MAX]);
/* The address alone, "::1". Returns `buffer`. */
const char *address_format_host(const union address *address, char buffer[ADDRESS_TEXT_MAX]);
/* As the reference's error texts have it: "192.0.2.1:80" and "::1:80", without brackets. */
const char *address_format_plain(const union address *address, char buffer[ADDRESS_TEXT_MAX]);
/* ::ffff:a.b.c.d becomes a.b.c.d; anything else stays. */
union address address_unmap(const union address *address);
bool address_equal(const union address *a, const union address *b); /* with port */

/* 127.0.0.0/8 and ::1; a v4-mapped address isn't (address_unmap() it first). */
bool address_is_loopback(const union address *address);
/* The same of a host in a URL: "localhost", or such an address. */
bool address_is_loopback_host(const char *host);

/* "10.0.0.0/8", "::1/128"; no length means all bits; bits beyond the length must be 0. 0 or -1. */
int prefix_parse(const char *text, size_t length, struct prefix *ret_prefix)
    __attribute__((warn_unused_result));
bool prefix_contains(const struct prefix *prefix,
                     const union address *address); /* the port plays no part */

#include "base/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static int parse_decimal(const char *text, size_t length, unsigned long max, unsigned long *ret)
{
    unsigned long value = 0;
    if (length == 0 || length > 10)
        return -1;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        value = value * 10 + (unsigned long)(text[i] - '0');
    }
    if (value > max)
        return -1;
    *ret = value;
    return 0;
}

/* An interface's name or its index. */
static int parse_scope(const char *text, uint32_t *ret_scope)
{
    unsigned long index = if_nametoindex(text);
    if (index == 0 && parse_decimal(text, strlen(text), UINT32_MAX, &index) < 0)
        return -1;
    *ret_scope = (uint32_t)index;
    return 0;
}

static int parse_host(const char *text, size_t length, uint16_t port, union address *ret_address)
{
    char host[64];
    union address address;
    if (length == 0 || length >= sizeof host || memchr(text, 0, length))
        return -1;
    memcpy(host, text, length);
    host[length] = 0;
    memset(&address, 0, sizeof address);
    if (inet_pton(AF_INET, host, &address.v4.sin_addr) == 1) {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons(port);
        *ret_address = address;
        return 0;
    }
    char *percent = strchr(host, '%');
    if (percent) {
        *percent = 0;
        if (parse_scope(percent + 1, &address.v6.sin6_scope_id) < 0)
            return -1;
    }
    if (inet_pton(AF_INET6, host, &address.v6.sin6_addr) != 1)
        return -1;
    address.v6.sin6_family = AF_INET6;
    address.v6.sin6_port = htons(port);
    *ret_address = address;
    return 0;
}

int address_from_host(const char *host, uint16_t port, union address *ret_address)
{
    size_t length = strlen(host);
    if (length >= 2 && host[0] == '[' && host[length - 1] == ']') {
        if (!memchr(host, ':', length)) /* brackets are for IPv6 alone */
            return -1;
        return parse_host(host + 1, length - 2, port, ret_address);
    }
    return parse_host(host, length, port, ret_address);
}

int address_parse(const char *text, union address *ret_address)
{
    const char *colon = strrchr(text, ':');
    const char *digits = colon ? colon + 1 : text;
    size_t host_length = colon ? (size_t)(colon - text) : 0;
    unsigned long port;
    if (parse_decimal(digits, strlen(digits), 65535, &port) < 0)
        return -1;
    if (host_length == 0)
        return parse_host("::", 2, (uint16_t)port, ret_address);
    if (text[0] == '[') {
        if (host_length < 2 || text[host_length - 1] != ']' || !memchr(text, ':', host_length))
            return -1;
        return parse_host(text + 1, host_length - 2, (uint16_t)port, ret_address);
    }
    if (memchr(text, ':', host_length)) /* "::1:80" could be read in two ways */
        return -1;
    return parse_host(text, host_length, (uint16_t)port, ret_address);
}

socklen_t address_size(const union address *address)
{
    return address->any.sa_family == AF_INET6 ? sizeof address->v6 : sizeof address->v4;
}

uint16_t address_port(const union address *address)
{
    return ntohs(address->any.sa_family == AF_INET6 ? address->v6.sin6_port : address->v4.sin_port);
}

void address_set_port(union address *address, uint16_t port)
{
    if (address->any.sa_family == AF_INET6)
        address->v6.sin6_port = htons(port);
    else
        address->v4.sin_port = htons(port);
}

const char *address_format_host(const union address *address, char buffer[ADDRESS_TEXT_MAX])
{
    if (address->any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &address->v4.sin_addr, buffer, ADDRESS_TEXT_MAX);
    } else if (address->any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &address->v6.sin6_addr, buffer, ADDRESS_TEXT_MAX);
        if (address->v6.sin6_scope_id) {
            size_t used = strlen(buffer);
            snprintf(buffer + used, ADDRESS_TEXT_MAX - used, "%%%u",
                     (unsigned)address->v6.sin6_scope_id);
        }
    } else {
        strcpy(buffer, "?");
    }
    return buffer;
}

const char *address_format(const union address *address, char buffer[ADDRESS_TEXT_MAX])
{
    char host[ADDRESS_TEXT_MAX];
    address_format_host(address, host);
    if (address->any.sa_family == AF_INET6)
        snprintf(buffer, ADDRESS_TEXT_MAX, "[%.60s]:%u", host, address_port(address));
    else
        snprintf(buffer, ADDRESS_TEXT_MAX, "%.60s:%u", host, address_port(address));
    return buffer;
}

const char *address_format_plain(const union address *address, char buffer[ADDRESS_TEXT_MAX])
{
    char host[ADDRESS_TEXT_MAX];
    address_format_host(address, host);
    snprintf(buffer, ADDRESS_TEXT_MAX, "%.60s:%u", host, address_port(address));
    return buffer;
}

union address address_unmap(const union address *address)
{
    union address plain;
    if (address->any.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr))
        return *address;
    memset(&plain, 0, sizeof plain);
    plain.v4.sin_family = AF_INET;
    plain.v4.sin_port = address->v6.sin6_port;
    memcpy(&plain.v4.sin_addr, address->v6.sin6_addr.s6_addr + 12, 4);
    return plain;
}

bool address_equal(const union address *a, const union address *b)
{
    if (a->any.sa_family != b->any.sa_family || address_port(a) != address_port(b))
        return false;
    if (a->any.sa_family == AF_INET)
        return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    return a->v6.sin6_scope_id == b->v6.sin6_scope_id &&
           memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof a->v6.sin6_addr) == 0;
}

/* True when the bits from `bits` on are 0. */
static bool is_masked(const uint8_t *bytes, unsigned bits, unsigned all_bits)
{
    for (unsigned bit = bits; bit < all_bits; bit++)
        if (bytes[bit / 8] & (0x80 >> bit % 8))
            return false;
    return true;
}

bool address_is_loopback(const union address *address)
{
    if (address->any.sa_family == AF_INET)
        return ntohl(address->v4.sin_addr.s_addr) >> 24 == 127;
    return address->any.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr);
}

bool address_is_loopback_host(const char *host)
{
    union address address;
    return strcasecmp(host, "localhost") == 0 ||
           (address_from_host(host, 0, &address) == 0 && address_is_loopback(&address));
}

int prefix_parse(const char *text, size_t length, struct prefix *ret_prefix)
{
    struct prefix prefix = {0};
    union address address;
    const char *slash = memchr(text, '/', length);
    size_t host_length = slash ? (size_t)(slash - text) : length;
    if (parse_host(text, host_length, 0, &address) < 0 || memchr(text, '%', host_length))
        return -1;
    unsigned all_bits = address.any.sa_family == AF_INET ? 32 : 128;
    unsigned long bits = all_bits;
    if (slash && parse_decimal(slash + 1, length - host_length - 1, all_bits, &bits) < 0)
        return -1;
    prefix.family = (uint8_t)address.any.sa_family;
    prefix.bits = (uint8_t)bits;
    if (prefix.family == AF_INET)
        memcpy(prefix.bytes, &address.v4.sin_addr, 4);
    else
        memcpy(prefix.bytes, &address.v6.sin6_addr, 16);
    if (!is_masked(prefix.bytes, prefix.bits, all_bits))
        return -1;
    *ret_prefix = prefix;
    return 0;
}

bool prefix_contains(const struct prefix *prefix, const union address *address)
{
    if (address->any.sa_family != prefix->family)
        return false;
    const uint8_t *bytes = prefix->family == AF_INET ? (const uint8_t *)&address->v4.sin_addr
                                                     : address->v6.sin6_addr.s6_addr;
    unsigned whole = prefix->bits / 8, rest = prefix->bits % 8;
    if (memcmp(bytes, prefix->bytes, whole) != 0)
        return false;
    return rest == 0 || ((bytes[whole] ^ prefix->bytes[whole]) >> (8 - rest)) == 0;
}

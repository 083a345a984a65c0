#include "edge/proxy_header.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define V1_MAX        107 /* with its CRLF, by the protocol's text 2.1 */
#define V1_FIELD_MAX  40  /* the longest IPv6 address and a NUL */
#define V2_HEAD       16
#define V2_LOCAL      0x20
#define V2_PROXY      0x21
#define V2_TCP4       0x11
#define V2_TCP6       0x21
#define V2_TCP4_SIZE  12
#define V2_TCP6_SIZE  36
#define PREFIX_LENGTH 6

static const uint8_t v1_prefix[PREFIX_LENGTH] = {'P', 'R', 'O', 'X', 'Y', ' '};
static const uint8_t v2_signature[12] = {13, 10, 13, 10, 0, 13, 10, 'Q', 'U', 'I', 'T', 10};

struct route {
    union address source, target;
};

/* --- version 1: a line of text --- */

/* The field from *at on, ended by one space or the line's end; moves *at behind it. */
static bool take_field(const char **at, char field[V1_FIELD_MAX])
{
    size_t length = strcspn(*at, " ");
    if (length == 0 || length >= V1_FIELD_MAX)
        return false;
    memcpy(field, *at, length);
    field[length] = 0;
    *at += length;
    if (**at == ' ')
        (*at)++;
    return true;
}

static bool parse_port(const char *text, in_port_t *ret_port)
{
    unsigned port = 0;
    size_t length = strlen(text);
    if (length == 0 || length > 5 || (length > 1 && *text == '0'))
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        port = port * 10 + (unsigned)(*text - '0');
    }
    *ret_port = htons((uint16_t)port);
    return port <= UINT16_MAX;
}

static bool parse_end(int family, const char *host, const char *port, union address *address)
{
    memset(address, 0, sizeof *address);
    address->any.sa_family = (sa_family_t)family;
    if (family == AF_INET)
        return inet_pton(family, host, &address->v4.sin_addr) == 1 &&
               parse_port(port, &address->v4.sin_port);
    return inet_pton(family, host, &address->v6.sin6_addr) == 1 &&
           parse_port(port, &address->v6.sin6_port);
}

/* line: without prefix and CRLF. */
static bool parse_line(const char *line, struct route *route)
{
    char protocol[V1_FIELD_MAX], fields[4][V1_FIELD_MAX];
    const char *at = line;
    if (!take_field(&at, protocol))
        return false;
    if (strcmp(protocol, "UNKNOWN") == 0)
        return true; /* what follows is to be ignored */
    int family = strcmp(protocol, "TCP4") == 0   ? AF_INET
                 : strcmp(protocol, "TCP6") == 0 ? AF_INET6
                                                 : AF_UNSPEC;
    if (family == AF_UNSPEC)
        return false;
    for (size_t i = 0; i < 4; i++)
        if (!take_field(&at, fields[i]))
            return false;
    return *at == 0 && at[-1] != ' ' && parse_end(family, fields[0], fields[2], &route->source) &&
           parse_end(family, fields[1], fields[3], &route->target);
}

static enum proxy_result parse_v1(const uint8_t *bytes, size_t length, size_t *ret_size,
                                  struct route *route)
{
    char line[V1_MAX + 1];
    size_t end = PREFIX_LENGTH;
    while (end < length && end < V1_MAX - 1 && bytes[end] != '\r') {
        if (bytes[end] < ' ' || bytes[end] > '~')
            return PROXY_BAD;
        end++;
    }
    if (end == length)
        return PROXY_MORE;
    if (bytes[end] != '\r')
        return PROXY_BAD; /* too long */
    if (end + 1 == length)
        return PROXY_MORE;
    if (bytes[end + 1] != '\n')
        return PROXY_BAD;
    memcpy(line, bytes + PREFIX_LENGTH, end - PREFIX_LENGTH);
    line[end - PREFIX_LENGTH] = 0;
    *ret_size = end + 2;
    return parse_line(line, route) ? PROXY_FOUND : PROXY_BAD;
}

/* --- version 2: binary --- */

static void read_v4(const uint8_t *host, const uint8_t *port, union address *address)
{
    memset(address, 0, sizeof *address);
    address->v4.sin_family = AF_INET;
    memcpy(&address->v4.sin_addr, host, 4);
    memcpy(&address->v4.sin_port, port, 2);
}

static void read_v6(const uint8_t *host, const uint8_t *port, union address *address)
{
    memset(address, 0, sizeof *address);
    address->v6.sin6_family = AF_INET6;
    memcpy(&address->v6.sin6_addr, host, 16);
    memcpy(&address->v6.sin6_port, port, 2);
}

/* Is this pair of address family and transport one that a stream can come from, and are there as
 * many bytes as its addresses take? */
static bool is_known_family(uint8_t family, size_t size)
{
    switch (family) {
    case V2_TCP4:
        return size >= V2_TCP4_SIZE;
    case V2_TCP6:
        return size >= V2_TCP6_SIZE;
    case 0x00: /* unspecified */
        return true;
    case 0x31: /* a local stream socket: two paths */
        return size >= 216;
    default:
        return false;
    }
}

static enum proxy_result parse_v2(const uint8_t *bytes, size_t length, size_t *ret_size,
                                  struct route *route)
{
    const uint8_t *body = bytes + V2_HEAD;
    if (length > 12 && bytes[12] != V2_LOCAL && bytes[12] != V2_PROXY)
        return PROXY_BAD;
    if (length < V2_HEAD)
        return PROXY_MORE;
    size_t size = (size_t)bytes[14] << 8 | bytes[15];
    bool is_proxy = bytes[12] == V2_PROXY;
    if (V2_HEAD + size > PROXY_HEADER_MAX || (is_proxy && !is_known_family(bytes[13], size)))
        return PROXY_BAD;
    if (length < V2_HEAD + size)
        return PROXY_MORE;
    if (is_proxy && bytes[13] == V2_TCP4) {
        read_v4(body, body + 8, &route->source);
        read_v4(body + 4, body + 10, &route->target);
    } else if (is_proxy && bytes[13] == V2_TCP6) {
        read_v6(body, body + 32, &route->source);
        read_v6(body + 16, body + 34, &route->target);
    }
    *ret_size = V2_HEAD + size;
    return PROXY_FOUND;
}

enum proxy_result proxy_header_parse(const void *bytes, size_t length, size_t *ret_size,
                                     union address *ret_source, union address *ret_target)
{
    struct route route;
    size_t size = 0;
    enum proxy_result result = PROXY_MORE;
    memset(&route, 0, sizeof route);
    if (length == 0)
        return PROXY_MORE;
    bool is_v1 = *(const uint8_t *)bytes == v1_prefix[0];
    const uint8_t *begin = is_v1 ? v1_prefix : v2_signature;
    size_t begin_length = is_v1 ? sizeof v1_prefix : sizeof v2_signature;
    if (memcmp(bytes, begin, length < begin_length ? length : begin_length) != 0)
        return PROXY_ABSENT;
    if (length >= begin_length)
        result =
            is_v1 ? parse_v1(bytes, length, &size, &route) : parse_v2(bytes, length, &size, &route);
    if (result == PROXY_FOUND) {
        *ret_size = size;
        *ret_source = route.source;
        *ret_target = route.target;
    }
    return result;
}

/* --- writing --- */

static union address map_to_v6(const union address *address)
{
    union address mapped;
    if (address->any.sa_family == AF_INET6)
        return *address;
    memset(&mapped, 0, sizeof mapped);
    mapped.v6.sin6_family = AF_INET6;
    mapped.v6.sin6_port = address->v4.sin_port;
    mapped.v6.sin6_addr.s6_addr[10] = mapped.v6.sin6_addr.s6_addr[11] = 0xff;
    memcpy(mapped.v6.sin6_addr.s6_addr + 12, &address->v4.sin_addr, 4);
    return mapped;
}

static bool is_internet(const union address *address)
{
    return address->any.sa_family == AF_INET || address->any.sa_family == AF_INET6;
}

/* Both of one family, as plain as can be. False when one has none. */
static bool unify(const union address *source, const union address *target, struct route *route)
{
    if (!is_internet(source) || !is_internet(target))
        return false;
    route->source = address_unmap(source);
    route->target = address_unmap(target);
    if (route->source.any.sa_family != route->target.any.sa_family) {
        route->source = map_to_v6(&route->source);
        route->target = map_to_v6(&route->target);
    }
    return true;
}

static const char *host_text(const union address *address, char text[INET6_ADDRSTRLEN])
{
    const void *host = address->any.sa_family == AF_INET ? (const void *)&address->v4.sin_addr
                                                         : (const void *)&address->v6.sin6_addr;
    return inet_ntop(address->any.sa_family, host, text, INET6_ADDRSTRLEN);
}

static size_t write_v1(const struct route *route, void *buffer)
{
    char source[INET6_ADDRSTRLEN], target[INET6_ADDRSTRLEN];
    if (!route)
        return (size_t)snprintf(buffer, PROXY_HEADER_MAX, "PROXY UNKNOWN\r\n");
    return (size_t)snprintf(buffer, PROXY_HEADER_MAX, "PROXY TCP%c %s %s %u %u\r\n",
                            route->source.any.sa_family == AF_INET ? '4' : '6',
                            host_text(&route->source, source), host_text(&route->target, target),
                            address_port(&route->source), address_port(&route->target));
}

static size_t write_v2(const struct route *route, uint8_t *at)
{
    bool is_v4 = route && route->source.any.sa_family == AF_INET;
    size_t size = !route ? 0 : is_v4 ? V2_TCP4_SIZE : V2_TCP6_SIZE;
    memcpy(at, v2_signature, sizeof v2_signature);
    at[12] = route ? V2_PROXY : V2_LOCAL;
    at[13] = !route ? 0 : is_v4 ? V2_TCP4 : V2_TCP6;
    at[14] = 0;
    at[15] = (uint8_t)size;
    at += V2_HEAD;
    if (route && is_v4) {
        memcpy(at, &route->source.v4.sin_addr, 4);
        memcpy(at + 4, &route->target.v4.sin_addr, 4);
        memcpy(at + 8, &route->source.v4.sin_port, 2);
        memcpy(at + 10, &route->target.v4.sin_port, 2);
    } else if (route) {
        memcpy(at, &route->source.v6.sin6_addr, 16);
        memcpy(at + 16, &route->target.v6.sin6_addr, 16);
        memcpy(at + 32, &route->source.v6.sin6_port, 2);
        memcpy(at + 34, &route->target.v6.sin6_port, 2);
    }
    return V2_HEAD + size;
}

size_t proxy_header_write(enum proxy_version version, const union address *source,
                          const union address *target, void *buffer)
{
    struct route unified;
    const struct route *route = unify(source, target, &unified) ? &unified : NULL;
    switch (version) {
    case PROXY_V1:
        return write_v1(route, buffer);
    case PROXY_V2:
        return write_v2(route, buffer);
    case PROXY_NONE:
        break;
    }
    return 0;
}

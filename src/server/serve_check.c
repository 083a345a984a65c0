#include "server/serve_check.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry/registry.h"
#include "server/egress.h"

#define LABEL_MAX 63 /* RFC 1035 2.3.4 */

int serve_check_address(const char *text, char *error, size_t error_size)
{
    union address address;
    if (address_parse(text, &address) == 0)
        return 0;
    snprintf(error, error_size, "\"%.80s\" is not ADDR:PORT, [ADDR]:PORT or PORT", text);
    return -1;
}

int serve_check_rule(const char *text, char *error, size_t error_size)
{
    struct egress_rule rule;
    if (egress_parse(text, &rule, error, error_size) < 0)
        return -1;
    free(rule.text);
    return 0;
}

int serve_check_prefix(const char *text, char *error, size_t error_size)
{
    struct prefix prefix;
    if (prefix_parse(text, strlen(text), &prefix) == 0)
        return 0;
    snprintf(error, error_size,
             "\"%.80s\" is not ADDRESS/BITS with only zeros after these bits, nor an address",
             text);
    return -1;
}

static const char *parse_port(const char *text, uint16_t *ret_port)
{
    unsigned port = 0;
    const char *at = text;
    for (; isdigit((unsigned char)*at) && port <= 65535; at++)
        port = port * 10 + (unsigned)(*at - '0');
    if (at == text || port < 1 || port > 65535)
        return NULL;
    *ret_port = (uint16_t)port;
    return at;
}

int serve_parse_ports(const char *text, uint16_t *ret_first, uint16_t *ret_last)
{
    uint16_t first = 0, last = 0;
    const char *at = text;
    if (strcmp(text, "none") != 0) {
        if (!(at = parse_port(at, &first)))
            return -1;
        last = first;
        if (*at == '-' && !(at = parse_port(at + 1, &last)))
            return -1;
        if (*at || last < first)
            return -1;
    }
    *ret_first = first;
    *ret_last = last;
    return 0;
}

int serve_check_ports(const char *text, char *error, size_t error_size)
{
    uint16_t first, last;
    if (serve_parse_ports(text, &first, &last) == 0)
        return 0;
    snprintf(error, error_size, "\"%.80s\" is not FIRST-LAST with ports of 1...65535, nor none",
             text);
    return -1;
}

int serve_check_bind(const char *text, char *error, size_t error_size)
{
    union address address;
    if (address_from_host(text, 0, &address) == 0)
        return 0;
    snprintf(error, error_size, "\"%.80s\" is not an address (it goes without a port)", text);
    return -1;
}

int serve_check_url(const char *text, char *error, size_t error_size)
{
    const char *rest = strncmp(text, "https://", 8) == 0  ? text + 8
                       : strncmp(text, "http://", 7) == 0 ? text + 7
                                                          : "";
    bool is_good = *rest != '\0';
    for (const char *at = rest; *at; at++)
        is_good &= (unsigned char)*at > ' ' && *at != 0x7f;
    if (is_good)
        return 0;
    snprintf(error, error_size, "\"%.80s\" is not https://HOST[:PORT]", text);
    return -1;
}

static bool is_domain(const char *text)
{
    size_t label = 0, length = strlen(text);
    if (length == 0 || length > REGISTRY_HOST_MAX)
        return false;
    for (size_t i = 0; i <= length; i++) {
        if (i == length || text[i] == '.') {
            if (label == 0 || label > LABEL_MAX || text[i - 1] == '-')
                return false;
            label = 0;
        } else if (isalnum((unsigned char)text[i]) || (text[i] == '-' && label > 0)) {
            label++;
        } else {
            return false;
        }
    }
    return true;
}

int serve_check_domain(const char *text, char *error, size_t error_size)
{
    if (is_domain(text))
        return 0;
    snprintf(error, error_size, "\"%.80s\" is not a host name", text);
    return -1;
}

int serve_check_custom_domain(const char *text, char *error, size_t error_size)
{
    if (is_domain(strncmp(text, "*.", 2) == 0 ? text + 2 : text))
        return 0;
    snprintf(error, error_size, "\"%.80s\" is not a host name, nor \"*.\" and a host name", text);
    return -1;
}

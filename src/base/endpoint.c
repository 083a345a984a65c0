#include "base/endpoint.h"

#include <stdbool.h>
#include <string.h>

/* Digits only: strtoul() would take "+80", " 80" and "80x". */
static int parse_port(const char *text, uint16_t *ret_port)
{
    unsigned port = 0;
    if (!*text || strlen(text) > 5)
        return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        port = port * 10 + (unsigned)(*text - '0');
    }
    if (port == 0 || port > UINT16_MAX)
        return -1;
    *ret_port = (uint16_t)port;
    return 0;
}

static bool is_host(const char *host, size_t length)
{
    if (length == 0 || length > ENDPOINT_HOST_MAX)
        return false;
    for (size_t i = 0; i < length; i++)
        if (host[i] <= ' ' || host[i] > '~' || host[i] == '[' || host[i] == ']')
            return false;
    return true;
}

/* Where the host ends and what stands for the port ("" when there is none). */
static int split(const char *text, const char **ret_host, size_t *ret_length, const char **ret_port)
{
    const char *colon = strchr(text, ':');
    if (text[0] == '[') {
        const char *end = strchr(text, ']');
        if (!end || (end[1] && end[1] != ':') || (end[1] == ':' && !end[2]))
            return -1;
        *ret_host = text + 1;
        *ret_length = (size_t)(end - text - 1);
        *ret_port = end[1] ? end + 2 : "";
        return 0;
    }
    *ret_host = text;
    if (!colon || strchr(colon + 1, ':')) {
        /* Several colons and no brackets: an IPv6 address, whose last group is no port. */
        *ret_length = strlen(text);
        *ret_port = "";
        return 0;
    }
    *ret_length = (size_t)(colon - text);
    *ret_port = colon + 1;
    return colon[1] ? 0 : -1;
}

int endpoint_parse(const char *text, uint16_t default_port, struct endpoint *ret_endpoint)
{
    const char *host, *port_text;
    size_t length;
    uint16_t port = default_port;

    if (split(text, &host, &length, &port_text) < 0 || !is_host(host, length))
        return -1;
    if (*port_text && parse_port(port_text, &port) < 0)
        return -1;
    if (port == 0)
        return -1;
    memcpy(ret_endpoint->host, host, length);
    ret_endpoint->host[length] = '\0';
    ret_endpoint->port = port;
    return 0;
}

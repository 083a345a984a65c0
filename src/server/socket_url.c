#include "server/socket_url.h"

#include <stdio.h>

static uint16_t format(const char *scheme, uint16_t usual, const char *host, uint16_t port,
                       char *url, size_t size)
{
    if (port == usual)
        snprintf(url, size, "%s://%s", scheme, host);
    else
        snprintf(url, size, "%s://%s:%u", scheme, host, port);
    return port;
}

uint16_t socket_url_format(const struct socket_facts *facts, const struct config *config, char *url,
                           size_t size)
{
    if (facts->port) {
        snprintf(url, size, "%s:%u", facts->hostname, facts->port);
        return facts->port;
    }
    if (!config->edge.https_port && config->edge_http_port)
        return format("http", 80, facts->hostname, config->edge_http_port, url, size);
    return format("https", 443, facts->hostname,
                  config->edge.https_port ? config->edge.https_port : 443, url, size);
}

/* Explains the egress policy: what a dial would come to, without dialling. */
#include "server/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/loop.h"
#include "net/resolve.h"
#include "streamplex.h"

enum { STATUS_ALLOWED, STATUS_REFUSED, STATUS_UNKNOWN };

struct lookup {
    struct loop *loop;
    int error;
    size_t count;
    bool is_literal;
    union address addresses[RESOLVE_ADDRESSES_MAX];
};

/* "HOST:PORT", "[IPV6]:PORT" */
static int split(const char *text, char host[PLEX_HOST_MAX + 1], uint16_t *ret_port)
{
    const char *colon = strrchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : 0;
    unsigned long port;
    char *end;
    if (length == 0 || length > PLEX_HOST_MAX)
        return -1;
    if (strspn(colon + 1, "0123456789") != strlen(colon + 1) || strlen(colon + 1) > 5)
        return -1;
    port = strtoul(colon + 1, &end, 10);
    if (port == 0 || port > 65535 || (text[0] == '[') != (text[length - 1] == ']'))
        return -1;
    if (text[0] != '[' && memchr(text, ':', length))
        return -1; /* "::1:80" could be read in two ways */
    memcpy(host, text, length);
    host[length] = '\0';
    *ret_port = (uint16_t)port;
    return 0;
}

static void on_done(void *user, int error, const union address *addresses, size_t count)
{
    struct lookup *lookup = user;
    if (error == RESOLVE_PARTIAL)
        return; /* once more, with all of them */
    lookup->error = error;
    for (size_t i = 0; i < count && i < RESOLVE_ADDRESSES_MAX; i++)
        lookup->addresses[lookup->count++] = addresses[i];
    loop_stop(lookup->loop);
}

static int resolve(const char *host, struct lookup *lookup)
{
    struct resolver *resolver = NULL;
    struct resolve_query *query;
    int result = loop_new(&lookup->loop);
    if (result < 0)
        return result;
    result = resolver_new(lookup->loop, NULL, &resolver);
    if (result == 0)
        result = resolve_start(resolver, host, on_done, lookup, &query);
    if (result == 0)
        loop_run(lookup->loop);
    resolver_free(resolver);
    loop_free(lookup->loop);
    return result;
}

/* The rules, with the listening addresses as they were given in the place of the real ones. */
static int borrow_rules(const struct config *config, struct egress_rules *ret_rules)
{
    size_t count = config->listen_count + config->listen_old_count;
    union address *own = calloc(count + 1, sizeof *own);
    if (!own)
        return -1;
    for (size_t i = 0; i < count; i++)
        own[i] = i < config->listen_count ? config->listen[i]
                                          : config->listen_old[i - config->listen_count];
    *ret_rules = config->egress;
    ret_rules->own = own;
    ret_rules->own_count = count;
    return 0;
}

/* Prints a line for each address. Returns how many may be dialled, or -1. */
static int judge(const struct config *config, const struct lookup *lookup)
{
    struct egress_rules rules;
    struct egress_verdict verdict;
    char text[ADDRESS_TEXT_MAX];
    int allowed = 0;
    if (borrow_rules(config, &rules) < 0)
        return -1;
    for (size_t i = 0; i < lookup->count; i++) {
        egress_judge(&rules, &lookup->addresses[i], &verdict);
        printf("%s  %s by %s\n", address_format(&lookup->addresses[i], text),
               verdict.allowed ? "allowed" : "refused", verdict.rule);
        allowed += verdict.allowed;
    }
    free(rules.own);
    return allowed;
}

static int print_refused(const struct lookup *lookup, const char *host, uint16_t port)
{
    char text[ADDRESS_TEXT_MAX];
    /* As a dial says it: the address when that was asked for, else the name. */
    if (lookup->is_literal)
        printf("refused: the device gets \"connect EACCES %s\"\n",
               address_format_plain(&lookup->addresses[0], text));
    else
        printf("refused: the device gets \"connect EACCES %s:%u\"\n", host, port);
    return STATUS_REFUSED;
}

static int print_outcome(const struct config *config, const struct lookup *lookup, const char *host,
                         uint16_t port)
{
    int allowed = judge(config, lookup);
    if (allowed < 0) {
        fprintf(stderr, "streamplex serve: out of memory\n");
        return STATUS_UNKNOWN;
    }
    if (allowed == 0)
        return print_refused(lookup, host, port);
    if (lookup->count == 1)
        printf("allowed: the device gets a connection\n");
    else
        printf("allowed: the device gets a connection to the first of %d allowed addresses that "
               "answers\n",
               allowed);
    return STATUS_ALLOWED;
}

int explain_run(const struct config *config, const char *host_port)
{
    struct lookup lookup = {0};
    char host[PLEX_HOST_MAX + 1];
    uint16_t port;
    if (split(host_port, host, &port) < 0) {
        fprintf(stderr, "streamplex serve: \"%.300s\" is not HOST:PORT\n", host_port);
        return STATUS_UNKNOWN;
    }
    if (address_from_host(host, port, &lookup.addresses[0]) == 0) {
        lookup.count = 1;
        lookup.is_literal = true;
        return print_outcome(config, &lookup, host, port);
    }
    if (host[0] == '[') {
        fprintf(stderr, "streamplex serve: \"%s\" is not an IPv6 address\n", host);
        return STATUS_UNKNOWN;
    }
    if (resolve(host, &lookup) < 0) {
        fprintf(stderr, "streamplex serve: can't start a resolver\n");
        return STATUS_UNKNOWN;
    }
    if (lookup.error || lookup.count == 0) {
        printf("not resolved: the device gets \"getaddrinfo %s %s\"\n",
               resolve_error_code(lookup.error ? lookup.error : RESOLVE_NOT_FOUND), host);
        return STATUS_UNKNOWN;
    }
    for (size_t i = 0; i < lookup.count; i++)
        address_set_port(&lookup.addresses[i], port);
    return print_outcome(config, &lookup, host, port);
}

/* Judges what may be dialled: the operator's rules, then the built-in ones. */
#include "server/egress.h"

#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct builtin {
    struct prefix prefix;
    const char *text;
    const char *reason;
};

#define V4(bits_, ...)                                                                             \
    {                                                                                              \
        {__VA_ARGS__}, AF_INET, bits_                                                              \
    }
#define V6(bits_, ...)                                                                             \
    {                                                                                              \
        {__VA_ARGS__}, AF_INET6, bits_                                                             \
    }

/* The narrower one first where two overlap, so that the reason given is the closer one. */
static const struct builtin builtins[] = {
    {V4(8, 0), "0.0.0.0/8", "this network"},
    {V4(8, 10), "10.0.0.0/8", "private"},
    {V4(10, 100, 64), "100.64.0.0/10", "shared"},
    {V4(8, 127), "127.0.0.0/8", "loopback"},
    {V4(16, 169, 254), "169.254.0.0/16", "link-local"},
    {V4(12, 172, 16), "172.16.0.0/12", "private"},
    {V4(24, 192, 0, 0), "192.0.0.0/24", "protocol assignments"},
    {V4(16, 192, 168), "192.168.0.0/16", "private"},
    {V4(15, 198, 18), "198.18.0.0/15", "benchmarking"},
    {V4(4, 224), "224.0.0.0/4", "multicast"},
    {V4(32, 255, 255, 255, 255), "255.255.255.255/32", "broadcast"},
    {V4(4, 240), "240.0.0.0/4", "reserved"},
    {V6(128, [15] = 1), "::1/128", "loopback"},
    {V6(96, 0), "::/96", "IPv4-compatible"},
    {V6(96, [10] = 0xff, [11] = 0xff), "::ffff:0:0/96", "IPv4-mapped"},
    {V6(96, 0x00, 0x64, 0xff, 0x9b), "64:ff9b::/96", "NAT64"},
    {V6(32, 0x20, 0x01), "2001::/32", "Teredo"},
    {V6(16, 0x20, 0x02), "2002::/16", "6to4"},
    {V6(7, 0xfc), "fc00::/7", "unique local"},
    {V6(10, 0xfe, 0x80), "fe80::/10", "link-local"},
    {V6(8, 0xff), "ff00::/8", "multicast"},
};

static const struct prefix mapped = V6(96, [10] = 0xff, [11] = 0xff);

/* Where IPv6 ranges carry an IPv4 address. */
static const struct {
    struct prefix prefix;
    size_t offset;
} carriers[] = {
    {V6(96, [10] = 0xff, [11] = 0xff), 12},
    {V6(96, 0), 12},
    {V6(96, 0x00, 0x64, 0xff, 0x9b), 12},
    {V6(16, 0x20, 0x02), 2},
};

static int parse_port(const char *text, size_t length, uint16_t *ret_port)
{
    unsigned port = 0;
    if (length == 0 || length > 5)
        return -1;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    if (port == 0 || port > 65535)
        return -1;
    *ret_port = (uint16_t)port;
    return 0;
}

/* "443" or "8000-8999" */
static int parse_ports(const char *text, struct egress_rule *rule)
{
    size_t length = strcspn(text, "-");
    if (parse_port(text, length, &rule->first_port) < 0)
        return -1;
    rule->last_port = rule->first_port;
    if (text[length] &&
        parse_port(text + length + 1, strlen(text + length + 1), &rule->last_port) < 0)
        return -1;
    return rule->first_port <= rule->last_port ? 0 : -1;
}

/* Finds the range's ends and the ports ("" when there are none). */
static int split(const char *text, const char **ret_range, size_t *ret_length,
                 const char **ret_ports)
{
    const char *colon = strchr(text, ':');
    if (text[0] == '[') {
        const char *bracket = strchr(text, ']');
        if (!bracket || (bracket[1] && bracket[1] != ':') || (bracket[1] == ':' && !bracket[2]))
            return -1;
        *ret_range = text + 1;
        *ret_length = (size_t)(bracket - text - 1);
        *ret_ports = bracket[1] ? bracket + 2 : "";
        return memchr(text, ':', *ret_length) ? 0 : -1;
    }
    *ret_range = text;
    *ret_ports = "";
    if (!colon || strchr(colon + 1, ':')) {
        *ret_length = strlen(text);
        return 0;
    }
    *ret_length = (size_t)(colon - text);
    *ret_ports = colon + 1;
    return colon[1] ? 0 : -1;
}

int egress_parse(const char *text, struct egress_rule *ret_rule, char *error, size_t error_size)
{
    struct egress_rule rule = {.first_port = 1, .last_port = 65535};
    const char *range, *ports;
    size_t length;
    if (split(text, &range, &length, &ports) < 0) {
        snprintf(error, error_size,
                 "\"%.80s\" is not CIDR[:port[-port]] (IPv6 with a port: [::1/128]:443)", text);
        return -1;
    }
    if (prefix_parse(range, length, &rule.prefix) < 0) {
        snprintf(error, error_size,
                 "\"%.*s\" is not a range of addresses like 192.0.2.0/24 (with no bits set beyond "
                 "its length)",
                 length > 80 ? 80 : (int)length, range);
        return -1;
    }
    if (*ports && parse_ports(ports, &rule) < 0) {
        snprintf(error, error_size, "\"%.80s\" is not a port or range of ports from 1 to 65535",
                 ports);
        return -1;
    }
    rule.text = strdup(text);
    if (!rule.text) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    *ret_rule = rule;
    return 0;
}

static int add(struct egress_rule **rules, size_t *count, const char *text, char *error,
               size_t error_size)
{
    struct egress_rule *grown = realloc(*rules, (*count + 1) * sizeof *grown);
    if (!grown) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    *rules = grown;
    if (egress_parse(text, &grown[*count], error, error_size) < 0)
        return -1;
    ++*count;
    return 0;
}

int egress_add_deny(struct egress_rules *rules, const char *text, char *error, size_t error_size)
{
    return add(&rules->deny, &rules->deny_count, text, error, error_size);
}

int egress_add_allow(struct egress_rules *rules, const char *text, char *error, size_t error_size)
{
    return add(&rules->allow, &rules->allow_count, text, error, error_size);
}

int egress_set_own(struct egress_rules *rules, const union address *addresses, size_t count)
{
    union address *copy = calloc(count + 1, sizeof *copy);
    if (!copy)
        return -1;
    if (count)
        memcpy(copy, addresses, count * sizeof *copy);
    free(rules->own);
    rules->own = copy;
    rules->own_count = count;
    return 0;
}

/* The IPv4 address that an IPv6 one carries, with its port. */
static bool find_carried(const union address *address, union address *ret_carried)
{
    for (size_t i = 0; i < sizeof carriers / sizeof carriers[0]; i++) {
        if (!prefix_contains(&carriers[i].prefix, address))
            continue;
        memset(ret_carried, 0, sizeof *ret_carried);
        ret_carried->v4.sin_family = AF_INET;
        ret_carried->v4.sin_port = address->v6.sin6_port;
        memcpy(&ret_carried->v4.sin_addr, address->v6.sin6_addr.s6_addr + carriers[i].offset, 4);
        return true;
    }
    return false;
}

static bool covers(const struct egress_rule *rule, const union address *address)
{
    uint16_t port = address_port(address);
    return port >= rule->first_port && port <= rule->last_port &&
           prefix_contains(&rule->prefix, address);
}

static const struct egress_rule *find_deny(const struct egress_rules *rules,
                                           const union address *address)
{
    union address carried;
    bool carries = find_carried(address, &carried);
    for (size_t i = 0; i < rules->deny_count; i++)
        if (covers(&rules->deny[i], address) || (carries && covers(&rules->deny[i], &carried)))
            return &rules->deny[i];
    return NULL;
}

static const struct egress_rule *find_allow(const struct egress_rules *rules,
                                            const union address *address)
{
    bool is_mapped = prefix_contains(&mapped, address);
    union address plain = address_unmap(address);
    for (size_t i = 0; i < rules->allow_count; i++) {
        const struct egress_rule *rule = &rules->allow[i];
        if (covers(rule, &plain))
            return rule;
        if (is_mapped && rule->prefix.bits >= mapped.bits && covers(rule, address))
            return rule;
    }
    return NULL;
}

static bool same_host(const union address *a, const union address *b)
{
    if (a->any.sa_family != b->any.sa_family)
        return false;
    if (a->any.sa_family == AF_INET)
        return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    return memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof a->v6.sin6_addr) == 0;
}

/* Asked anew each time, because addresses come and go; only dials to an own port get here. When
 * the machine doesn't say, every address may be its own. */
static bool is_local(const union address *address)
{
    struct ifaddrs *interfaces;
    bool found = false;
    if (getifaddrs(&interfaces) < 0)
        return true;
    for (const struct ifaddrs *at = interfaces; at && !found; at = at->ifa_next) {
        union address local;
        if (!at->ifa_addr || at->ifa_addr->sa_family != address->any.sa_family)
            continue;
        memset(&local, 0, sizeof local);
        memcpy(&local, at->ifa_addr,
               address->any.sa_family == AF_INET ? sizeof local.v4 : sizeof local.v6);
        found = same_host(&local, address);
    }
    freeifaddrs(interfaces);
    return found;
}

/* 4: 0.0.0.0, which takes IPv4 alone; 6: ::, which takes both; 0: no wildcard. */
static int wildcard_of(const union address *own)
{
    if (own->any.sa_family == AF_INET)
        return own->v4.sin_addr.s_addr == htonl(INADDR_ANY) ? 4 : 0;
    return IN6_IS_ADDR_UNSPECIFIED(&own->v6.sin6_addr) ? 6 : 0;
}

static bool is_own(const union address *own, const union address *address)
{
    union address plain = address_unmap(address);
    union address own_plain = address_unmap(own);
    int wildcard = wildcard_of(&own_plain);
    if (address_port(own) == 0 || address_port(own) != address_port(address))
        return false;
    if (!wildcard)
        return same_host(&own_plain, &plain);
    return (wildcard == 6 || plain.any.sa_family == AF_INET) && is_local(&plain);
}

static const union address *find_own(const struct egress_rules *rules, const union address *address)
{
    for (size_t i = 0; i < rules->own_count; i++)
        if (is_own(&rules->own[i], address))
            return &rules->own[i];
    return NULL;
}

static const struct builtin *find_builtin(const union address *address)
{
    for (size_t i = 0; i < sizeof builtins / sizeof builtins[0]; i++)
        if (prefix_contains(&builtins[i].prefix, address))
            return &builtins[i];
    return NULL;
}

void egress_judge(const struct egress_rules *rules, const union address *address,
                  struct egress_verdict *ret_verdict)
{
    char text[ADDRESS_TEXT_MAX];
    const struct egress_rule *rule;
    const struct builtin *builtin;
    const union address *own;
    char *sentence = ret_verdict->rule;
    size_t size = sizeof ret_verdict->rule;
    ret_verdict->allowed = false;
    if ((rule = find_deny(rules, address))) {
        snprintf(sentence, size, "--egress-deny %s", rule->text);
    } else if ((rule = find_allow(rules, address))) {
        snprintf(sentence, size, "--egress-allow %s", rule->text);
        ret_verdict->allowed = true;
    } else if ((builtin = find_builtin(address))) {
        snprintf(sentence, size, "built-in %s (%s)", builtin->text, builtin->reason);
    } else if ((own = find_own(rules, address))) {
        snprintf(sentence, size, "built-in own address %s", address_format(own, text));
    } else {
        snprintf(sentence, size, "default");
        ret_verdict->allowed = true;
    }
}

void egress_judge_narrow(const struct egress_rules *rules, const union address *address,
                         struct egress_verdict *ret_verdict)
{
    const struct egress_rule *deny = find_deny(rules, address);
    const struct egress_rule *allow = deny ? NULL : find_allow(rules, address);
    ret_verdict->allowed = !deny && (allow || !rules->allow_count);
    snprintf(ret_verdict->rule, sizeof ret_verdict->rule, "the token's %s%s",
             deny    ? "deny "
             : allow ? "allow "
                     : "allow list",
             deny    ? deny->text
             : allow ? allow->text
                     : "");
}

static void free_rules(struct egress_rule *rules, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(rules[i].text);
    free(rules);
}

void egress_deinit(struct egress_rules *rules)
{
    free_rules(rules->deny, rules->deny_count);
    free_rules(rules->allow, rules->allow_count);
    free(rules->own);
    *rules = (struct egress_rules){0};
}

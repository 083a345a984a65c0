/* Egress policy: which resolved addresses the server may dial on a device's behalf.
 *
 * Asked in this order, the first match decides: explicit deny, explicit allow, built-in deny, allow. The built-in rules
 * keep devices out of the server's own network (DESIGN: private, link-local, shared, multicast, translation and transition ranges,
 * v4-mapped forms, the server's own addresses at its own ports).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

struct egress_rule {
    struct prefix prefix;
    uint16_t first_port, last_port; /* 1...65535 when no port was given */
    char *text;                     /* as the operator wrote it */
};

struct egress_rules {
    struct egress_rule *deny, *allow;
    size_t deny_count, allow_count;
    union address *own; /* listening addresses with their real ports; a wildcard stands for each address of this machine */
    size_t own_count;
};

struct egress_verdict {
    bool allowed;
    /* Which rule decided, for the log: "--egress-deny 10.0.0.0/8", "built-in 127.0.0.0/8 (loopback)", "default". */
    char rule[128];
};

/* "CIDR[:port[-port]]", IPv6 with a port "[::1/128]:443". 0, or -1 with a sentence in `error`. ret_rule->text is malloced. */
int egress_parse(const char *text, struct egress_rule *ret_rule, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* Judges one address about to be dialled (v4-mapped, NAT64 and 6to4 forms are judged by the rules of both). */
void egress_judge(const struct egress_rules *rules, const union address *address, struct egress_verdict *ret_verdict);
void egress_deinit(struct egress_rules *rules);

/* Egress policy: which resolved addresses the server may dial on a device's behalf.
 *
 * Asked in this order, the first match decides: explicit deny, explicit allow, built-in deny,
 * allow. The built-in rules keep devices out of the server's own network: private, link-local,
 * shared, multicast, translation and transition ranges, IPv4-mapped addresses, and the server's own
 * addresses at its own ports.
 *
 * An IPv6 address may carry an IPv4 one. An explicit deny of IPv4 addresses holds for all that
 * carry them (IPv4-mapped, IPv4-compatible, NAT64, 6to4); an explicit allow only for the
 * IPv4-mapped, which are the same target. And because they are IPv4 in truth, no allow of an IPv6
 * range wider than
 * ::ffff:0:0/96 opens them: `--egress-allow ::/0` speaks of IPv6.
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
    union address *own; /* listening addresses with their real ports; a wildcard stands for each
                           address of this machine */
    size_t own_count;
};

struct egress_verdict {
    bool allowed;
    /* Which rule decided, for the log: "--egress-deny 10.0.0.0/8", "built-in 127.0.0.0/8
     * (loopback)", "built-in own address [::]:5005", "default". */
    char rule[128];
};

/* "CIDR[:port[-port]]", IPv6 with a port "[::1/128]:443". 0, or -1 with a sentence in `error`.
 * ret_rule->text is malloced. */
int egress_parse(const char *text, struct egress_rule *ret_rule, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* Adds rules made of texts; for one that doesn't parse -1 with a sentence. Grown by realloc. */
int egress_add_deny(struct egress_rules *rules, const char *text, char *error, size_t error_size)
    __attribute__((warn_unused_result));
int egress_add_allow(struct egress_rules *rules, const char *text, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* Replaces the server's own addresses by a copy of these; before the rules are shared. 0 or -1: no
 * memory. */
int egress_set_own(struct egress_rules *rules, const union address *addresses, size_t count)
    __attribute__((warn_unused_result));
/* Judges one address about to be dialled. Any thread; allocates nothing but for a dial to an own
 * port on a wildcard address, where this machine's addresses are asked for. */
void egress_judge(const struct egress_rules *rules, const union address *address,
                  struct egress_verdict *ret_verdict);
/* The same by rules that narrow others which have allowed already: an explicit deny, then an
 * explicit allow; outside of an allow list nothing is allowed, without one everything. */
void egress_judge_narrow(const struct egress_rules *rules, const union address *address,
                         struct egress_verdict *ret_verdict);
void egress_deinit(struct egress_rules *rules);

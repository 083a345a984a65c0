/* The egress policy: what rules parse, which of them decides, and the ends of every built-in range.
 */
#include "server/egress.h"

#include <ifaddrs.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static union address address_of(const char *host, uint16_t port)
{
    union address address;
    assert_int_equal(address_from_host(host, port, &address), 0);
    return address;
}

static void assert_judged(const struct egress_rules *rules, const char *host, uint16_t port,
                          bool allowed, const char *rule)
{
    struct egress_verdict verdict;
    union address address = address_of(host, port);
    egress_judge(rules, &address, &verdict);
    if (verdict.allowed != allowed || strcmp(verdict.rule, rule) != 0)
        fail_msg("%s port %u: %s by %s, not %s", host, port,
                 verdict.allowed ? "allowed" : "refused", verdict.rule, rule);
}

static void deny(struct egress_rules *rules, const char *text)
{
    char error[256];
    assert_int_equal(egress_add_deny(rules, text, error, sizeof error), 0);
}

static void allow(struct egress_rules *rules, const char *text)
{
    char error[256];
    assert_int_equal(egress_add_allow(rules, text, error, sizeof error), 0);
}

/* First and last address of each range, with the neighbours outside (NULL: there is none, or it's
 * another built-in range's and has its own row). */
static void test_builtin_ranges(void **state)
{
    static const struct {
        const char *before, *first, *last, *after, *rule;
    } cases[] = {
        {NULL, "0.0.0.0", "0.255.255.255", "1.0.0.0", "0.0.0.0/8 (this network)"},
        {"9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0", "10.0.0.0/8 (private)"},
        {"100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0",
         "100.64.0.0/10 (shared)"},
        {"126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0", "127.0.0.0/8 (loopback)"},
        {"169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0",
         "169.254.0.0/16 (link-local)"},
        {"172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0", "172.16.0.0/12 (private)"},
        {"191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0",
         "192.0.0.0/24 (protocol assignments)"},
        {"192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0",
         "192.168.0.0/16 (private)"},
        {"198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0",
         "198.18.0.0/15 (benchmarking)"},
        {"223.255.255.255", "224.0.0.0", "239.255.255.255", NULL, "224.0.0.0/4 (multicast)"},
        {NULL, "240.0.0.0", "255.255.255.254", NULL, "240.0.0.0/4 (reserved)"},
        {NULL, "255.255.255.255", "255.255.255.255", NULL, "255.255.255.255/32 (broadcast)"},
        {NULL, "::", "::", NULL, "::/96 (IPv4-compatible)"},
        {NULL, "::1", "::1", NULL, "::1/128 (loopback)"},
        {NULL, "::2", "::ffff:ffff", "::1:0:0", "::/96 (IPv4-compatible)"},
        {"::fffe:ffff:ffff", "::ffff:0:0", "::ffff:ffff:ffff", "::1:0:0:0",
         "::ffff:0:0/96 (IPv4-mapped)"},
        {"64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff", "64:ff9b::", "64:ff9b::ffff:ffff",
         "64:ff9b::1:0:0", "64:ff9b::/96 (NAT64)"},
        {"2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
         "2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", "2001:1::", "2001::/32 (Teredo)"},
        {"2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
         "2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2003::", "2002::/16 (6to4)"},
        {"fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
         "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe00::", "fc00::/7 (unique local)"},
        {"fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
         "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fec0::", "fe80::/10 (link-local)"},
        {"feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
         "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, "ff00::/8 (multicast)"},
    };
    const struct egress_rules rules = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char rule[128];
        snprintf(rule, sizeof rule, "built-in %s", cases[i].rule);
        assert_judged(&rules, cases[i].first, 443, false, rule);
        assert_judged(&rules, cases[i].last, 443, false, rule);
        if (cases[i].before)
            assert_judged(&rules, cases[i].before, 443, true, "default");
        if (cases[i].after)
            assert_judged(&rules, cases[i].after, 443, true, "default");
    }
    assert_judged(&rules, "8.8.8.8", 53, true, "default");
    assert_judged(&rules, "2606:4700::1111", 443, true, "default");
}

static void test_order_of_rules(void **state)
{
    struct egress_rules rules = {0};
    allow(&rules, "10.0.0.0/8");
    deny(&rules, "10.1.0.0/16");
    deny(&rules, "8.8.8.8");
    allow(&rules, "8.8.0.0/16");
    assert_judged(&rules, "10.2.0.1", 80, true, "--egress-allow 10.0.0.0/8");
    assert_judged(&rules, "10.1.0.1", 80, false, "--egress-deny 10.1.0.0/16");
    assert_judged(&rules, "8.8.8.8", 80, false, "--egress-deny 8.8.8.8");
    assert_judged(&rules, "8.8.8.9", 80, true, "--egress-allow 8.8.0.0/16");
    assert_judged(&rules, "192.168.0.1", 80, false, "built-in 192.168.0.0/16 (private)");
    egress_deinit(&rules);
}

static void test_ports(void **state)
{
    struct egress_rules rules = {0};
    allow(&rules, "127.0.0.1:8000-8002");
    allow(&rules, "[::1/128]:443");
    assert_judged(&rules, "127.0.0.1", 7999, false, "built-in 127.0.0.0/8 (loopback)");
    assert_judged(&rules, "127.0.0.1", 8000, true, "--egress-allow 127.0.0.1:8000-8002");
    assert_judged(&rules, "127.0.0.1", 8002, true, "--egress-allow 127.0.0.1:8000-8002");
    assert_judged(&rules, "127.0.0.1", 8003, false, "built-in 127.0.0.0/8 (loopback)");
    assert_judged(&rules, "::1", 443, true, "--egress-allow [::1/128]:443");
    assert_judged(&rules, "::1", 444, false, "built-in ::1/128 (loopback)");
    egress_deinit(&rules);
}

static void test_addresses_that_carry_ipv4(void **state)
{
    struct egress_rules rules = {0};
    allow(&rules, "10.0.0.0/8");
    deny(&rules, "10.9.0.0/16");
    /* mapped: the same target */
    assert_judged(&rules, "::ffff:10.0.0.1", 80, true, "--egress-allow 10.0.0.0/8");
    assert_judged(&rules, "::ffff:10.9.0.1", 80, false, "--egress-deny 10.9.0.0/16");
    assert_judged(&rules, "::ffff:8.8.8.8", 80, false, "built-in ::ffff:0:0/96 (IPv4-mapped)");
    /* translated: only a deny reaches through */
    assert_judged(&rules, "64:ff9b::10.0.0.1", 80, false, "built-in 64:ff9b::/96 (NAT64)");
    assert_judged(&rules, "2002:a00:1::", 80, false, "built-in 2002::/16 (6to4)");
    assert_judged(&rules, "64:ff9b::10.9.0.1", 80, false, "--egress-deny 10.9.0.0/16");
    assert_judged(&rules, "2002:a09:1::", 80, false, "--egress-deny 10.9.0.0/16");
    assert_judged(&rules, "::10.9.0.1", 80, false, "--egress-deny 10.9.0.0/16");
    allow(&rules, "64:ff9b::/96");
    assert_judged(&rules, "64:ff9b::8.8.8.8", 80, true, "--egress-allow 64:ff9b::/96");
    assert_judged(&rules, "64:ff9b::10.9.0.1", 80, false, "--egress-deny 10.9.0.0/16");
    egress_deinit(&rules);
}

static void test_allow_of_all_ipv6_opens_no_mapped_address(void **state)
{
    struct egress_rules rules = {0};
    allow(&rules, "::/0");
    assert_judged(&rules, "fd00::1", 80, true, "--egress-allow ::/0");
    assert_judged(&rules, "::ffff:127.0.0.1", 80, false, "built-in ::ffff:0:0/96 (IPv4-mapped)");
    allow(&rules, "::ffff:8.0.0.0/104");
    assert_judged(&rules, "::ffff:8.8.8.8", 80, true, "--egress-allow ::ffff:8.0.0.0/104");
    assert_judged(&rules, "::ffff:10.0.0.1", 80, false, "built-in ::ffff:0:0/96 (IPv4-mapped)");
    egress_deinit(&rules);
}

static void test_rules_that_parse(void **state)
{
    static const struct {
        const char *text;
        int family, bits, first, last;
    } cases[] = {
        {"10.0.0.0/8", AF_INET, 8, 1, 65535},
        {"0.0.0.0/0", AF_INET, 0, 1, 65535},
        {"192.0.2.1", AF_INET, 32, 1, 65535},
        {"192.0.2.1:80", AF_INET, 32, 80, 80},
        {"192.0.2.0/24:1-65535", AF_INET, 24, 1, 65535},
        {"::1", AF_INET6, 128, 1, 65535},
        {"fd00::/8", AF_INET6, 8, 1, 65535},
        {"[fd00::/8]", AF_INET6, 8, 1, 65535},
        {"[::1]:443", AF_INET6, 128, 443, 443},
        {"[fd00::/8]:8000-8999", AF_INET6, 8, 8000, 8999},
        {"::/0", AF_INET6, 0, 1, 65535},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct egress_rule rule;
        char error[256];
        assert_int_equal(egress_parse(cases[i].text, &rule, error, sizeof error), 0);
        assert_int_equal(rule.prefix.family, cases[i].family);
        assert_int_equal(rule.prefix.bits, cases[i].bits);
        assert_int_equal(rule.first_port, cases[i].first);
        assert_int_equal(rule.last_port, cases[i].last);
        assert_string_equal(rule.text, cases[i].text);
        free(rule.text);
    }
}

static void test_rules_that_do_not_parse(void **state)
{
    static const char form[] = " is not CIDR[:port[-port]] (IPv6 with a port: [::1/128]:443)";
    static const char range[] =
        " is not a range of addresses like 192.0.2.0/24 (with no bits set beyond its length)";
    static const char port[] = " is not a port or range of ports from 1 to 65535";
    const struct {
        const char *text, *subject, *error;
    } cases[] = {
        {"", "", range},
        {"example.com", "example.com", range},
        {"example.com:80", "example.com", range},
        {"10.0.0.1/8", "10.0.0.1/8", range},
        {"10.0.0.0/33", "10.0.0.0/33", range},
        {"10.0.0.0/", "10.0.0.0/", range},
        {"fd00::/129", "fd00::/129", range},
        {"::1:443:80/x", "::1:443:80/x", range},
        {"[10.0.0.0/8]:80", "[10.0.0.0/8]:80", form},
        {"[::1/128", "[::1/128", form},
        {"[::1]443", "[::1]443", form},
        {"[::1]:", "[::1]:", form},
        {"10.0.0.0/8:", "10.0.0.0/8:", form},
        {"10.0.0.0/8:0", "0", port},
        {"10.0.0.0/8:65536", "65536", port},
        {"10.0.0.0/8:90-80", "90-80", port},
        {"10.0.0.0/8:80-", "80-", port},
        {"10.0.0.0/8:-80", "-80", port},
        {"10.0.0.0/8:http", "http", port},
        {"10.0.0.0/8: 80", " 80", port},
        {"10.0.0.0/8:80-90-95", "80-90-95", port},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct egress_rules rules = {0};
        char error[256], expected[256];
        assert_int_equal(egress_add_allow(&rules, cases[i].text, error, sizeof error), -1);
        snprintf(expected, sizeof expected, "\"%s\"%s", cases[i].subject, cases[i].error);
        assert_string_equal(error, expected);
        assert_int_equal(rules.allow_count, 0);
        egress_deinit(&rules);
    }
}

static void test_own_address(void **state)
{
    struct egress_rules rules = {0};
    const union address own[] = {address_of("192.0.2.1", 5005), address_of("2001:db8::1", 5006)};
    assert_int_equal(egress_set_own(&rules, own, 2), 0);
    assert_judged(&rules, "192.0.2.1", 5005, false, "built-in own address 192.0.2.1:5005");
    assert_judged(&rules, "192.0.2.1", 5006, true, "default");
    assert_judged(&rules, "192.0.2.2", 5005, true, "default");
    assert_judged(&rules, "2001:db8::1", 5006, false, "built-in own address [2001:db8::1]:5006");
    assert_judged(&rules, "2001:db8::1", 5005, true, "default");
    allow(&rules, "192.0.2.1:5005");
    assert_judged(&rules, "192.0.2.1", 5005, true, "--egress-allow 192.0.2.1:5005");
    /* set again, not added */
    assert_int_equal(egress_set_own(&rules, own, 1), 0);
    assert_judged(&rules, "2001:db8::1", 5006, true, "default");
    egress_deinit(&rules);
}

/* Loopback and private addresses are refused by their ranges first; what the wildcard alone keeps
 * out is a public address of this machine, if it has one. */
static void test_wildcard_is_every_address_of_this_machine(void **state)
{
    static const char *const wildcards[] = {"::", "0.0.0.0"};
    const struct egress_rules no_rules = {0};
    struct ifaddrs *interfaces;
    assert_int_equal(getifaddrs(&interfaces), 0);
    for (size_t w = 0; w < 2; w++) {
        const union address own = address_of(wildcards[w], 5005);
        struct egress_rules rules = {0};
        assert_int_equal(egress_set_own(&rules, &own, 1), 0);
        /* 203.0.113.0/24 is for documents: no machine has it */
        assert_judged(&rules, "203.0.113.9", 5005, true, "default");
        for (const struct ifaddrs *at = interfaces; at; at = at->ifa_next) {
            struct egress_verdict verdict;
            union address local = {0};
            int family = at->ifa_addr ? at->ifa_addr->sa_family : AF_UNSPEC;
            if (family != AF_INET && family != AF_INET6)
                continue;
            memcpy(&local, at->ifa_addr, family == AF_INET ? sizeof local.v4 : sizeof local.v6);
            address_set_port(&local, 5005);
            egress_judge(&no_rules, &local, &verdict);
            if (!verdict.allowed || (family == AF_INET6 && w == 1))
                continue;
            egress_judge(&rules, &local, &verdict);
            assert_false(verdict.allowed);
            assert_int_equal(strncmp(verdict.rule, "built-in own address ", 21), 0);
        }
        egress_deinit(&rules);
    }
    freeifaddrs(interfaces);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_builtin_ranges),
        cmocka_unit_test(test_order_of_rules),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_addresses_that_carry_ipv4),
        cmocka_unit_test(test_allow_of_all_ipv6_opens_no_mapped_address),
        cmocka_unit_test(test_rules_that_parse),
        cmocka_unit_test(test_rules_that_do_not_parse),
        cmocka_unit_test(test_own_address),
        cmocka_unit_test(test_wildcard_is_every_address_of_this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

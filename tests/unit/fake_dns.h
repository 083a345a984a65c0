/* A DNS server for tests: on the loop, on a port of its own, answering by rules. */
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "net/poll.h"

enum { FAKE_DNS_A = 1, FAKE_DNS_AAAA = 28 };
enum { FAKE_DNS_OK = 0, FAKE_DNS_SERVFAIL = 2, FAKE_DNS_NXDOMAIN = 3, FAKE_DNS_REFUSED = 5 };

/* What is asked and has no rule, doesn't exist. */
struct fake_dns_rule {
    const char *name; /* NULL ends an array of rules */
    int type;
    int rcode;
    const char *addresses[4]; /* none: no data */
    uint32_t ttl;
    bool silent;
    bool held;      /* until fake_dns_release() */
    bool truncated; /* over UDP; whole over TCP */
};

struct fake_dns {
    const struct fake_dns_rule *rules;
    struct loop *loop;
    struct poll *udp_poll, *tcp_poll, *peer_poll;
    int udp, tcp;
    char servers[32]; /* for struct resolver_options */
    unsigned asked;
    unsigned asked_by_tcp;
    char last_name[256]; /* of the last question for A */
    unsigned char held[512];
    size_t held_length;
    struct sockaddr_in held_peer;
};

static inline const struct fake_dns_rule *fake_dns_match(const struct fake_dns *dns,
                                                         const char *name, int type)
{
    for (const struct fake_dns_rule *rule = dns->rules; rule && rule->name; rule++) {
        if (rule->type == type && strcasecmp(rule->name, name) == 0) {
            return rule;
        }
    }
    return NULL;
}

/* Reads the question; its end. */
static inline size_t fake_dns_question(const unsigned char *query, size_t length, char name[256],
                                       int *ret_type)
{
    size_t at = 12, out = 0;
    while (at < length && query[at]) {
        if (out) {
            name[out++] = '.';
        }
        memcpy(name + out, query + at + 1, query[at]);
        out += query[at];
        at += 1u + query[at];
    }
    name[out] = 0;
    *ret_type = query[at + 1] << 8 | query[at + 2];
    return at + 5;
}

static inline size_t fake_dns_record(unsigned char *at, int type, const char *address, uint32_t ttl)
{
    size_t size = type == FAKE_DNS_A ? 4 : 16;
    const unsigned char head[12] = {0xc0,
                                    12, /* the name is the question's */
                                    0,
                                    (unsigned char)type,
                                    0,
                                    1,
                                    (unsigned char)(ttl >> 24),
                                    (unsigned char)(ttl >> 16),
                                    (unsigned char)(ttl >> 8),
                                    (unsigned char)ttl,
                                    0,
                                    (unsigned char)size};
    memcpy(at, head, sizeof(head));
    assert_int_equal(1, inet_pton(type == FAKE_DNS_A ? AF_INET : AF_INET6, address, at + 12));
    return sizeof(head) + size;
}

/* The answer's length; 0: none. */
static inline size_t fake_dns_answer(struct fake_dns *dns, const unsigned char *query,
                                     size_t length, bool is_tcp, unsigned char answer[512],
                                     bool *ret_held)
{
    char name[256];
    int type;
    size_t end = fake_dns_question(query, length, name, &type);
    const struct fake_dns_rule *rule = fake_dns_match(dns, name, type);
    dns->asked++;
    dns->asked_by_tcp += is_tcp;
    if (type == FAKE_DNS_A) {
        strcpy(dns->last_name, name);
    }
    if (rule && rule->silent) {
        return 0;
    }
    bool is_cut = rule && rule->truncated && !is_tcp;
    memcpy(answer, query, end);
    answer[2] = (unsigned char)(0x81 | (is_cut ? 2 : 0)); /* QR, RD, TC */
    answer[3] = (unsigned char)(0x80 | (rule ? rule->rcode : FAKE_DNS_NXDOMAIN));
    memset(answer + 6, 0, 6);
    for (int i = 0; rule && !is_cut && i < 4 && rule->addresses[i]; i++) {
        end += fake_dns_record(answer + end, type, rule->addresses[i], rule->ttl);
        answer[7]++;
    }
    *ret_held = rule && rule->held;
    return end;
}

static inline void fake_dns_udp_ready(void *user, int fd, bool readable, bool writable)
{
    struct fake_dns *dns = user;
    unsigned char query[512], answer[512];
    struct sockaddr_in peer;
    socklen_t peer_size = sizeof(peer);
    ssize_t length = recvfrom(fd, query, sizeof(query), 0, (struct sockaddr *)&peer, &peer_size);
    if (length < 17) {
        return;
    }
    bool held = false;
    size_t size = fake_dns_answer(dns, query, (size_t)length, false, answer, &held);
    if (held) {
        memcpy(dns->held, answer, size);
        dns->held_length = size;
        dns->held_peer = peer;
    } else if (size) {
        (void)sendto(fd, answer, size, 0, (struct sockaddr *)&peer, peer_size);
    }
}

static inline void fake_dns_release(struct fake_dns *dns)
{
    assert_true(dns->held_length > 0);
    assert_true(sendto(dns->udp, dns->held, dns->held_length, 0, (struct sockaddr *)&dns->held_peer,
                       sizeof(dns->held_peer)) > 0);
    dns->held_length = 0;
}

/* The whole question is there at once: c-ares writes it with one call. */
static inline void fake_dns_peer_ready(void *user, int fd, bool readable, bool writable)
{
    struct fake_dns *dns = user;
    unsigned char query[514], answer[514];
    ssize_t length = recv(fd, query, sizeof(query), 0);
    if (length > 2) {
        bool held;
        size_t size = fake_dns_answer(dns, query + 2, (size_t)length - 2, true, answer + 2, &held);
        answer[0] = (unsigned char)(size >> 8);
        answer[1] = (unsigned char)size;
        assert_int_equal(size + 2, write(fd, answer, size + 2));
    }
    poll_close(dns->peer_poll);
    dns->peer_poll = NULL;
    close(fd);
}

/* One connection at a time. */
static inline void fake_dns_tcp_ready(void *user, int fd, bool readable, bool writable)
{
    struct fake_dns *dns = user;
    int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (peer < 0) {
        return;
    }
    assert_null(dns->peer_poll);
    assert_int_equal(0, poll_open(dns->loop, peer, fake_dns_peer_ready, dns, &dns->peer_poll));
    poll_want(dns->peer_poll, true, false);
}

/* UDP and TCP on the same port, whichever is free for both. */
static inline void fake_dns_bind(struct fake_dns *dns)
{
    for (int i = 0; i < 100; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof(address);
        dns->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        dns->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        assert_int_equal(0, bind(dns->tcp, (struct sockaddr *)&address, size));
        assert_int_equal(0, listen(dns->tcp, 4));
        assert_int_equal(0, getsockname(dns->tcp, (struct sockaddr *)&address, &size));
        if (bind(dns->udp, (struct sockaddr *)&address, size) == 0) {
            snprintf(dns->servers, sizeof(dns->servers), "127.0.0.1:%u", ntohs(address.sin_port));
            return;
        }
        close(dns->tcp);
        close(dns->udp);
    }
    fail_msg("no port is free");
}

static inline void fake_dns_open(struct fake_dns *dns, struct loop *loop,
                                 const struct fake_dns_rule *rules)
{
    memset(dns, 0, sizeof(*dns));
    dns->loop = loop;
    dns->rules = rules;
    fake_dns_bind(dns);
    assert_int_equal(0, poll_open(loop, dns->udp, fake_dns_udp_ready, dns, &dns->udp_poll));
    assert_int_equal(0, poll_open(loop, dns->tcp, fake_dns_tcp_ready, dns, &dns->tcp_poll));
    poll_want(dns->udp_poll, true, false);
    poll_want(dns->tcp_poll, true, false);
}

static inline void fake_dns_close(struct fake_dns *dns)
{
    poll_close(dns->udp_poll);
    poll_close(dns->tcp_poll);
    close(dns->udp);
    close(dns->tcp);
}

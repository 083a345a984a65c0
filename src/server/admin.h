/* The admin listener: /metrics (Prometheus text), /healthz, /readyz, on loopback only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "net/loop.h"
#include "server/counters.h"

struct admin;

struct admin_options {
    union address address;
    struct counters *const *counters; /* one per worker; borrowed for the life of the admin */
    size_t counters_count;
    bool (*is_ready)(void *user); /* false: /readyz answers 503 (starting, draining) */
    void *user;
    uint64_t timeout; /* microseconds for a request and its answer together; 0: 5 s */
};

/* 0 or a negative errno (-EPERM: not a loopback address). */
int admin_open(struct loop *loop, const struct admin_options *options, struct admin **ret_admin)
    __attribute__((warn_unused_result));
void admin_address(const struct admin *admin, union address *ret_address);
void admin_close(struct admin *admin); /* NULL is fine */

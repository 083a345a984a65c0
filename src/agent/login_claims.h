/* What our own login token says about us. It is the server that proves it; we only read. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct login_claims {
    char user_id[64];
    uint64_t expires; /* seconds since 1970; 0: it doesn't say */
};

/* 0, or -1: it isn't a token of that form. */
int login_claims_read(const char *token, size_t length, struct login_claims *ret_claims)
    __attribute__((warn_unused_result));

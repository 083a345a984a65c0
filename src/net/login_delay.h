/* Growing delays for those who guess: after a few wrong passwords an address, and an account, has
 * to wait, longer each time. Asked before any hashing. Bounded tables; time is an argument
 * (microseconds). */
#pragma once

#include <stdint.h>

#include "base/address.h"

struct login_delay;

int login_delay_new(struct login_delay **ret_delay) __attribute__((warn_unused_result));
void login_delay_free(struct login_delay *delay); /* NULL is fine */
/* Microseconds to wait before this address (IPv6: its /64) and this account may try; 0: now.
 * account is an e-mail, found in lower case, or NULL, and may be of nobody. address may be NULL or
 * of another family than the internet's (the admin's socket): then the account alone counts. */
uint64_t login_delay_ask(const struct login_delay *delay, const union address *address,
                         const char *account, uint64_t now);
/* Wrong: 5 are free, the 6th costs 1 s, each more twice as much as the last, 15 min at most;
 * forgotten after an hour without one. */
void login_delay_wrong(struct login_delay *delay, const union address *address, const char *account,
                       uint64_t now);
/* Right: the account's count is forgotten, the address's stays. */
void login_delay_right(struct login_delay *delay, const char *account);

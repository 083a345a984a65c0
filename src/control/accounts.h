/* Accounts, logins and device tokens: indexes in memory on the main thread over what the store
 * keeps.
 *
 * Everything that changes something is acknowledged when it is on disk; what is only asked is
 * answered at once. A password is hashed in a queue of its own, one or two at a time.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "control/jwt.h"
#include "control/store.h"
#include "net/loop.h"

struct accounts;

#define ACCOUNT_ID_MAX     36 /* a UUID */
#define ACCOUNT_EMAIL_MAX  254
#define ACCOUNT_NAME_MAX   128
#define ACCOUNT_SSHKEY_MAX 4096
/* Seconds from an account's making in which the link confirms it: mails are read within a day. */
#define ACCOUNT_CONFIRM_LIFETIME 86400
#define ACCOUNT_SECRET_SIZE      44 /* a device token: "sp_" and 40 characters, with NUL */

enum account_state { ACCOUNT_PENDING, ACCOUNT_ACTIVE, ACCOUNT_DISABLED };

/* Immutable once made; a change is a new one. Counted by reference (main thread and store). */
struct account {
    atomic_int references;
    uint64_t id; /* never reused; the owner of sockets is its uuid */
    char uuid[ACCOUNT_ID_MAX + 1];
    char *email;         /* as given; found in lower case */
    char *name, *sshkey; /* sshkey may be NULL */
    char *password_hash;
    uint32_t gen; /* logins made before it was raised are no more */
    enum account_state state;
    uint64_t created;
    char confirm[33];     /* the code of the link, "" when there is none */
    uint64_t quota_bytes; /* a month; 0: none */
};

/* What a long-lived token may do. Immutable, counted by reference: tunnels keep it, on their
 * workers. */
struct device_token {
    atomic_int references;
    uint64_t id;
    char uuid[ACCOUNT_ID_MAX + 1];
    char owner[ACCOUNT_ID_MAX + 1]; /* the account's uuid */
    uint64_t account;
    char *name;
    unsigned char digest[32];         /* SHA-256 of the secret; the secret itself is shown once */
    char *egress_allow, *egress_deny; /* rules as --egress-allow has them, commas between; they only
                                         narrow; NULL: none */
    char *sockets; /* names or host names that it may serve, commas between; NULL: all; "-": none */
    uint32_t max_tunnels, max_substreams; /* 0: the server's */
    uint64_t bytes_per_second;            /* both ways together; 0: unlimited */
    uint64_t bytes_per_month;             /* 0: unlimited */
    uint64_t created, expires;            /* seconds since 1970; expires 0: never */
};

/* A copy of the values and their strings, with one reference. NULL: no memory. */
struct account *account_new(const struct account *values) __attribute__((warn_unused_result));
struct account *account_ref(struct account *account);
void account_unref(struct account *account); /* NULL is fine */
/* The same. */
struct device_token *device_token_new(const struct device_token *values)
    __attribute__((warn_unused_result));
struct device_token *device_token_ref(struct device_token *token);
void device_token_unref(struct device_token *token); /* NULL is fine */

enum account_error {
    ACCOUNTS_OK = 0,
    ACCOUNTS_BAD_EMAIL = -1,
    ACCOUNTS_BAD_NAME = -2,
    ACCOUNTS_BAD_PASSWORD = -3, /* under 8 or over 1024 bytes */
    ACCOUNTS_TAKEN = -4,        /* that e-mail has an account */
    ACCOUNTS_WRONG = -5,        /* e-mail or password; never told which */
    ACCOUNTS_PENDING = -6, /* right, but not confirmed yet (told only to who has the password) */
    ACCOUNTS_DISABLED = -7,
    ACCOUNTS_WAIT = -8,     /* too many wrong ones: ret_wait */
    ACCOUNTS_BUSY = -9,     /* the hashing queue, or the store's, is full: 429 */
    ACCOUNTS_STORE = -10,   /* the store failed (disk full): 503 */
    ACCOUNTS_UNKNOWN = -11, /* no such account, token, ... */
    ACCOUNTS_EXPIRED = -12,
    ACCOUNTS_DENIED = -13,    /* logged out, or gen was raised, or revoked */
    ACCOUNTS_BAD_SCOPE = -14, /* a rule or number of a token that can't be */
    ACCOUNTS_MEMORY = -15,
    ACCOUNTS_LIMIT = -16, /* more tokens than an account may have (1000) */
};
const char *account_error_text(int error);

/* What is no more, so that its tunnels are to end. Borrowed. */
struct accounts_revoked {
    const char *owner;                /* the account's uuid */
    const struct device_token *token; /* that was revoked or changed, or NULL */
    const char *login;                /* the jti of one that was logged out, "": of all; or NULL */
    /* Neither: the account was disabled or removed. */
};

struct accounts_options {
    const unsigned char *jwt_key; /* 32 bytes; copied */
    uint64_t login_lifetime;      /* seconds; 18000 */
    uint64_t (*wall_clock)(void); /* seconds since 1970 */
    uint64_t (*clock)(void);      /* microseconds, for delays; NULL: the loop's */
    void (*on_revoked)(void *user, const struct accounts_revoked *revoked);
    /* Are these the rules of struct device_token (egress_allow, egress_deny)? NULL: only that they
     * are a list is looked at. */
    bool (*is_egress)(void *user, const char *rules);
    void *user;
};

/* Loads all. 0, or -1 with a sentence. */
int accounts_new(struct loop *loop, struct store *store, const struct accounts_options *options,
                 struct accounts **ret_accounts, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* Writes what is to be written once a minute; before store_close(), which waits for it. Open
 * questions end without an answer. NULL is fine. Never from within on_revoked. */
void accounts_free(struct accounts *accounts);

/* error: enum account_error. account: borrowed, NULL on error. Never before the function returns,
 * but with ACCOUNTS_MEMORY, as there is nothing then that could be kept for later. The same goes
 * for the next three. */
typedef void accounts_on_account(void *user, int error, const struct account *account,
                                 uint64_t wait);
/* wait: microseconds, with ACCOUNTS_WAIT. login: a JWT, "" on error. */
typedef void accounts_on_login(void *user, int error, const char *login,
                               const struct account *account, uint64_t wait);
typedef void accounts_on_token(void *user, int error, const struct device_token *token,
                               const char *secret);
typedef void accounts_on_done(void *user, int error);

struct account_values {
    const char *email, *name, *password,
        *sshkey; /* NULL: not given, or unchanged; sshkey "": none */
};
/* confirmed: active at once, else pending with a code, which is good for ACCOUNT_CONFIRM_LIFETIME.
 */
void accounts_create(struct accounts *accounts, const struct account_values *values, bool confirmed,
                     accounts_on_account *on_done, void *user);
/* ACCOUNTS_EXPIRED: the code came too late; once its account was removed, another with that e-mail
 * gets a new one. */
void accounts_confirm(struct accounts *accounts, const char *code, accounts_on_account *on_done,
                      void *user);
/* A changed password raises gen, and the tunnels of logins end. current: the current password, or
 * NULL for the operator. */
void accounts_change(struct accounts *accounts, uint64_t id, const struct account_values *values,
                     const char *current, accounts_on_account *on_done, void *user);
void accounts_set_state(struct accounts *accounts, uint64_t id, enum account_state state,
                        accounts_on_done *on_done, void *user);
void accounts_set_quota(struct accounts *accounts, uint64_t id, uint64_t bytes,
                        accounts_on_done *on_done, void *user);
void accounts_remove(struct accounts *accounts, uint64_t id, accounts_on_done *on_done, void *user);

void accounts_login(struct accounts *accounts, const char *email, const char *password,
                    const union address *address, accounts_on_login *on_done, void *user);
/* At once: who has this login. *ret_account is borrowed until the next turn. */
int accounts_check_login(struct accounts *accounts, const char *login, size_t length,
                         struct account **ret_account, struct jwt_claims *ret_claims)
    __attribute__((warn_unused_result));
/* A later end for a login that is still good: both texts are of one login, and a logout with either
 * ends both. The length or an error. */
int accounts_refresh(struct accounts *accounts, const struct jwt_claims *claims,
                     char buffer[JWT_MAX]);
/* This login alone, or (all) every login of the account; the tunnels that it let in end. */
void accounts_logout(struct accounts *accounts, const struct jwt_claims *claims, bool all,
                     accounts_on_done *on_done, void *user);

struct account *accounts_find(struct accounts *accounts, uint64_t id);
struct account *accounts_find_uuid(struct accounts *accounts, const char *uuid);
struct account *accounts_find_email(struct accounts *accounts, const char *email);
void accounts_each(struct accounts *accounts,
                   void (*each)(void *user, const struct account *account), void *user);

/* values: id, uuid, owner, account, digest, created are made here. */
void accounts_create_token(struct accounts *accounts, uint64_t account,
                           const struct device_token *values, accounts_on_token *on_done,
                           void *user);
/* account 0: whoever's it is, for the operator. */
void accounts_revoke_token(struct accounts *accounts, uint64_t account, const char *uuid,
                           accounts_on_done *on_done, void *user);
/* At once: a device's secret. *ret_token is borrowed until the next turn. Notes its use (kept in
 * memory, written at most once a minute). */
int accounts_check_token(struct accounts *accounts, const char *secret, size_t length,
                         struct device_token **ret_token) __attribute__((warn_unused_result));
/* In the order of their making; account 0: of all, for the operator. */
void accounts_each_token(struct accounts *accounts, uint64_t account,
                         void (*each)(void *user, const struct device_token *token,
                                      uint64_t last_used),
                         void *user);

/* Bytes that an owner's tunnels and visitors have moved, summed from the workers' meters by the
 * caller; written once a minute. The month's sum so far, UTC. */
void accounts_add_usage(struct accounts *accounts, const char *owner, uint64_t bytes);
uint64_t accounts_usage(const struct accounts *accounts, const char *owner);
/* Writes usage and last uses now; happens once a minute by itself. */
void accounts_flush(struct accounts *accounts);

/* What the files of the accounts share.
 *
 *   accounts.c            life, what is asked at once, loading
 *   accounts_index.c      where accounts and tokens are found
 *   accounts_check.c      what e-mails, names and scopes may be
 *   accounts_question.c   a question on its way: to the hashing queue, to the store, to its answer
 *   accounts_create.c     made, confirmed
 *   accounts_change.c     changed, removed: one change of an account at a time
 *   accounts_login.c      passwords and logins
 *   accounts_token.c      device tokens
 *   accounts_usage.c      bytes by month, and what is written once a minute
 *
 * A question is posted to the loop first, so that its answer never comes too early; then it goes
 * from place to place, and its `next` says what is done there. Memory changes when the store has
 * the change; what has to be unique (an e-mail) is reserved before.
 */
#pragma once

#include <stddef.h>

/* Without memory an element isn't added (its table stays NULL); uthash would end the process. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "control/accounts.h"
#include "net/login_delay.h"
#include "net/secret.h"
#include "net/timer.h"
#include "net/work.h"

/* Changes of one account that may wait for each other: somebody holds a key down. */
#define ACCOUNTS_CHANGES_MAX 16
#define ACCOUNTS_TOKENS_MAX  1000
/* Logins denied at the same time, some 100 bytes each: who refreshes and logs out all day meets it.
 */
#define ACCOUNTS_DENIED_MAX 1000000
#define ACCOUNTS_SCOPE_MAX  4096 /* bytes of each list of a token */

struct account_entry;

/* An e-mail that is given away: an account has one, and two while it changes. */
struct email_node {
    UT_hash_handle hh;
    struct account_entry *entry;
    char key[ACCOUNT_EMAIL_MAX + 1]; /* in lower case */
};

struct token_entry {
    UT_hash_handle by_digest, by_uuid;
    struct account_entry *owner;
    struct token_entry *next, *previous; /* of the account */
    struct device_token *token;
    bool is_stored;
    bool is_used; /* since its last use was written */
    uint64_t last_used;
};

struct account_entry {
    UT_hash_handle by_id, by_uuid, by_confirm;
    uint64_t id;
    char uuid[ACCOUNT_ID_MAX + 1];
    char confirm[33];        /* "": none, and not in by_confirm */
    struct account *account; /* as on disk; NULL: it is new and not there yet */
    struct email_node *email, *email_wanted;
    struct question *changing; /* the one whose turn it is */
    struct question *first, **last;
    size_t waiting;
    struct token_entry *first_token, *last_token;
    size_t token_count;
};

struct denied_login {
    UT_hash_handle hh;
    char jti[JWT_JTI_MAX + 1];
    uint64_t expires;
    bool is_stored;
    unsigned storing; /* questions that wait for the store */
};

struct usage_key {
    char owner[REGISTRY_OWNER_MAX + 1];
    uint32_t month;
};

struct usage_entry {
    UT_hash_handle hh;
    struct usage_key key; /* zeroed beyond the owner */
    uint64_t bytes;       /* in all */
    uint64_t unwritten;   /* of them */
};

struct flush;

struct accounts {
    struct loop *loop;
    struct store *store;
    struct accounts_options options;
    unsigned char jwt_key[32];
    struct work_queue *work;
    struct login_delay *delay;
    struct timer minute;
    struct account_entry *by_id, *by_uuid, *by_confirm;
    struct email_node *emails;
    struct token_entry *tokens_by_digest, *tokens_by_uuid;
    struct denied_login *denied;
    struct usage_entry *usage;
    struct flush *flush; /* on its way to the store */
    uint64_t last_account, last_token;
    struct question *questions;
};

enum question_place { AT_LOOP, AT_WORK, AT_STORE, AT_ENTRY };

struct question {
    struct work work;
    struct loop_message message;
    struct question *next, **link; /* of the accounts' questions */
    struct question *behind;       /* in an entry's queue */
    struct accounts *accounts;     /* NULL: closed meanwhile */
    enum question_place place;
    void (*go_on)(struct question *question);
    int error;

    /* Who asked. */
    union {
        accounts_on_account *account;
        accounts_on_login *login;
        accounts_on_token *token;
        accounts_on_done *done;
    } on;
    void (*tell)(struct question *question);
    void *user;

    /* What was asked for. */
    uint64_t id; /* of the account */
    char *email, *name, *sshkey, *password, *current;
    union address address;
    bool has_address, is_confirmed, is_removal, raises_gen, has_state, has_quota;
    char code[33];
    enum account_state state;
    uint64_t quota_bytes;
    struct jwt_claims claims;
    char uuid[ACCOUNT_ID_MAX + 1]; /* of a token */

    /* The hashing queue's. */
    bool verifies, has_run, is_right, has_failed;
    char stored_hash[SECRET_HASH_MAX];   /* "": nobody's */
    char password_hash[SECRET_HASH_MAX]; /* made */

    /* What came of it. */
    uint64_t wait;
    struct account *account;
    struct device_token *token;
    char secret[ACCOUNT_SECRET_SIZE];
    char login[JWT_MAX];
};

/* NULL: no memory. */
struct question *question_new(struct accounts *accounts, void (*tell)(struct question *question),
                              void *user) __attribute__((warn_unused_result));
/* A copy of what may be NULL; question->error is set without memory. */
void question_keep(struct question *question, const char *text, char **ret_copy);
void question_keep_values(struct question *question, const struct account_values *values);
/* For `tell`, where on.account or on.done is to be told. */
void question_tell_account(struct question *question);
void question_tell_done(struct question *question);
void question_post(struct question *question, void (*go_on)(struct question *question));
/* To the hashing queue; ACCOUNTS_BUSY when it is full. */
void question_work(struct question *question, void (*run)(struct work *work),
                   void (*go_on)(struct question *question));
/* With what a store_...() returned when it was asked with question_stored; go_on sees
 * question->error. */
void question_store(struct question *question, int asked, void (*go_on)(struct question *question));
void question_stored(void *user, const char *error);
/* Tells who asked; the question is no more. The caller may be, too: return. */
void question_finish(struct question *question, int error);
void question_drop_all(struct accounts *accounts);
struct question *question_of_work(struct work *work);

void accounts_tell_revoked(const struct accounts *accounts, const struct accounts_revoked *revoked);
uint64_t accounts_now(const struct accounts *accounts);   /* seconds since 1970 */
uint64_t accounts_clock(const struct accounts *accounts); /* microseconds, for delays */
void accounts_fold_email(const char *email, char ret_key[ACCOUNT_EMAIL_MAX + 1]);

/* enum account_error each; NULL is fine where it may be left out. */
int accounts_check_email(const char *email);
int accounts_check_name(const char *name);
int accounts_check_password(const char *password);
int accounts_check_sshkey(const char *sshkey);
int accounts_check_scope(const struct accounts *accounts, const struct device_token *values);

struct account_entry *accounts_entry(const struct accounts *accounts, uint64_t id);
struct account_entry *accounts_entry_of_email(const struct accounts *accounts, const char *email);
struct account_entry *accounts_entry_of_code(const struct accounts *accounts, const char *code);
/* Found by all that the account says; entry->account is for the caller. NULL: no memory. */
struct account_entry *accounts_add_entry(struct accounts *accounts, const struct account *account)
    __attribute__((warn_unused_result));
/* With its tokens. */
void accounts_remove_entry(struct accounts *accounts, struct account_entry *entry);
struct email_node *accounts_add_email(struct accounts *accounts, struct account_entry *entry,
                                      const char *email) __attribute__((warn_unused_result));
void accounts_remove_email(struct accounts *accounts, struct email_node *node); /* NULL: fine */
/* The code of the account as it is now. */
void accounts_index_code(struct accounts *accounts, struct account_entry *entry);

struct token_entry *accounts_token(const struct accounts *accounts, const char *uuid);
struct token_entry *accounts_token_of_digest(const struct accounts *accounts,
                                             const unsigned char digest[32]);
/* Takes a reference. NULL: no memory. */
struct token_entry *accounts_add_token(struct accounts *accounts, struct account_entry *owner,
                                       struct device_token *token)
    __attribute__((warn_unused_result));
void accounts_remove_token(struct accounts *accounts, struct token_entry *entry);

/* NULL: no memory. */
struct denied_login *accounts_add_denied(struct accounts *accounts, const char *jti,
                                         uint64_t expires) __attribute__((warn_unused_result));
void accounts_remove_denied(struct accounts *accounts, struct denied_login *denied);
/* Those that have expired a day ago, as the store does it. */
void accounts_forget_denied(struct accounts *accounts);

/* The change that the question is, when those of the same account before it are done. */
void accounts_take_turn(struct question *question);
/* Every login of the account; ACCOUNTS_DENIED when that was done meanwhile. */
void accounts_logout_all(struct accounts *accounts, const struct jwt_claims *claims,
                         accounts_on_done *on_done, void *user);

/* Seconds since 1970 as 202611, UTC. */
uint32_t accounts_month(uint64_t time);
int accounts_load_usage(struct accounts *accounts, char *error, size_t error_size)
    __attribute__((warn_unused_result));
void accounts_free_usage(struct accounts *accounts);
/* The last words: nobody waits for the store. */
void accounts_flush_last(struct accounts *accounts);

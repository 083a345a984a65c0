#include "net/login_delay.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "net/pki.h"
#include "net/secret.h"

/* Without memory a guess isn't remembered; that is no reason to end the process. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define FREE_ATTEMPTS 5
#define SECOND        UINT64_C(1000000)
#define DELAY_MAX     (900 * SECOND)
#define MEMORY        (3600 * SECOND)

/* Some 10 MB a table. Who would push somebody's count out has to make so many wrong guesses at
 * others within the hour, and pays for each with its own address's delay. */
#define ENTRIES_MAX 65536

#define KEY_SIZE 32

/* In the table's order: who was wrong longest ago comes first. */
struct entry {
    UT_hash_handle hh;
    unsigned char key[KEY_SIZE];
    uint32_t count;
    uint64_t last;
};

struct login_delay {
    unsigned char secret[KEY_SIZE]; /* keys are digests under it: nobody can aim at one bucket */
    struct entry *addresses, *accounts;
};

int login_delay_new(struct login_delay **ret_delay)
{
    struct login_delay *delay = calloc(1, sizeof *delay);
    if (!delay)
        return -ENOMEM;
    if (pki_random(delay->secret, sizeof delay->secret) < 0) {
        free(delay);
        return -EIO;
    }
    *ret_delay = delay;
    return 0;
}

static void drop(struct entry **table, struct entry *entry)
{
    HASH_DEL(*table, entry);
    free(entry);
}

void login_delay_free(struct login_delay *delay)
{
    if (!delay)
        return;
    while (delay->addresses)
        drop(&delay->addresses, delay->addresses);
    while (delay->accounts)
        drop(&delay->accounts, delay->accounts);
    free(delay);
}

/* --- Keys --- */

/* False: this one isn't counted. */
static bool address_key(const struct login_delay *delay, const union address *address,
                        unsigned char ret_key[KEY_SIZE])
{
    unsigned char bytes[1 + 8] = {0};
    size_t size;
    if (!address)
        return false;
    union address plain = address_unmap(address);
    bytes[0] = (unsigned char)plain.any.sa_family;
    if (plain.any.sa_family == AF_INET) {
        memcpy(bytes + 1, &plain.v4.sin_addr, size = 4);
    } else if (plain.any.sa_family == AF_INET6) {
        memcpy(bytes + 1, &plain.v6.sin6_addr, size = 8);
    } else {
        return false;
    }
    return secret_hmac(delay->secret, KEY_SIZE, bytes, 1 + size, ret_key) == 0;
}

static bool account_key(const struct login_delay *delay, const char *account,
                        unsigned char ret_key[KEY_SIZE])
{
    char lower[256]; /* an e-mail has 254 bytes at most: beyond, it is of nobody, and cut */
    size_t length = 0;
    if (!account)
        return false;
    for (; account[length] && length < sizeof lower; length++) {
        char c = account[length];
        lower[length] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    return secret_hmac(delay->secret, KEY_SIZE, lower, length, ret_key) == 0;
}

static struct entry *find(struct entry *table, const unsigned char key[KEY_SIZE])
{
    struct entry *entry;
    HASH_FIND(hh, table, key, KEY_SIZE, entry);
    return entry;
}

/* --- Counts --- */

static bool is_forgotten(const struct entry *entry, uint64_t now)
{
    return now > entry->last && now - entry->last >= MEMORY;
}

static uint64_t delay_of(const struct entry *entry)
{
    if (entry->count <= FREE_ATTEMPTS)
        return 0;
    unsigned doubled = entry->count - FREE_ATTEMPTS - 1;
    return doubled < 10 ? SECOND << doubled : DELAY_MAX;
}

static uint64_t left_of(const struct entry *entry, uint64_t now)
{
    if (!entry || is_forgotten(entry, now))
        return 0;
    uint64_t delay = delay_of(entry), passed = now > entry->last ? now - entry->last : 0;
    return delay > passed ? delay - passed : 0;
}

uint64_t login_delay_ask(const struct login_delay *delay, const union address *address,
                         const char *account, uint64_t now)
{
    unsigned char key[KEY_SIZE];
    uint64_t of_address = 0, of_account = 0;
    if (address_key(delay, address, key))
        of_address = left_of(find(delay->addresses, key), now);
    if (account_key(delay, account, key))
        of_account = left_of(find(delay->accounts, key), now);
    return of_address > of_account ? of_address : of_account;
}

/* The entry goes to the end of the table's order. */
static void count(struct entry **table, const unsigned char key[KEY_SIZE], uint64_t now)
{
    struct entry *entry = find(*table, key);
    if (entry) {
        HASH_DEL(*table, entry);
        if (is_forgotten(entry, now))
            entry->count = 0;
    } else {
        while (*table && (is_forgotten(*table, now) || HASH_COUNT(*table) >= ENTRIES_MAX))
            drop(table, *table);
        entry = calloc(1, sizeof *entry);
        if (!entry)
            return;
        memcpy(entry->key, key, KEY_SIZE);
    }
    if (entry->count < UINT32_MAX)
        entry->count++;
    entry->last = now;
    HASH_ADD(hh, *table, key, KEY_SIZE, entry);
    if (!find(*table, key))
        free(entry);
}

void login_delay_wrong(struct login_delay *delay, const union address *address, const char *account,
                       uint64_t now)
{
    unsigned char key[KEY_SIZE];
    if (address_key(delay, address, key))
        count(&delay->addresses, key, now);
    if (account_key(delay, account, key))
        count(&delay->accounts, key, now);
}

void login_delay_right(struct login_delay *delay, const char *account)
{
    unsigned char key[KEY_SIZE];
    if (!account_key(delay, account, key))
        return;
    struct entry *entry = find(delay->accounts, key);
    if (entry)
        drop(&delay->accounts, entry);
}

#include "edge/proved.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/pki.h"
#include "net/secret.h"

/* 256 of them, for five minutes. */
#define SETS     64
#define WAYS     4
#define LIFETIME UINT64_C(300000000)

struct entry {
    unsigned char digest[PROVED_SIZE];
    uint64_t until; /* 0: empty */
};

struct proved {
    unsigned char key[32];
    struct entry entries[SETS][WAYS];
};

int proved_new(struct proved **ret_proved)
{
    struct proved *proved = calloc(1, sizeof *proved);
    if (!proved)
        return -ENOMEM;
    if (pki_random(proved->key, sizeof proved->key) < 0) {
        free(proved);
        return -EIO;
    }
    *ret_proved = proved;
    return 0;
}

void proved_free(struct proved *proved)
{
    free(proved);
}

static size_t put(char *bytes, size_t at, const void *what, size_t size)
{
    memcpy(bytes + at, what, size);
    return at + size;
}

/* Each text with its NUL, so that no two of them can be read as one. */
int proved_digest(const struct proved *proved, const struct socket_facts *facts,
                  const struct credentials *credentials, unsigned char ret_digest[PROVED_SIZE])
{
    const char *name = facts->access->username, *hash = facts->access->password_hash;
    size_t name_size = strlen(name) + 1, hash_size = strlen(hash) + 1, size = 0;
    size_t said_size = strlen(credentials->name) + strlen(credentials->password) + 2;
    char *bytes = malloc(sizeof facts->id + name_size + hash_size + said_size);
    if (!bytes)
        return -1;
    size = put(bytes, size, &facts->id, sizeof facts->id);
    size = put(bytes, size, name, name_size);
    size = put(bytes, size, hash, hash_size);
    size = put(bytes, size, credentials->text, said_size);
    int result = secret_hmac(proved->key, sizeof proved->key, bytes, size, ret_digest);
    explicit_bzero(bytes, size);
    free(bytes);
    return result;
}

bool proved_has(const struct proved *proved, const unsigned char digest[PROVED_SIZE], uint64_t now)
{
    const struct entry *set = proved->entries[digest[0] % SETS];
    for (size_t i = 0; i < WAYS; i++)
        if (set[i].until > now && pki_equal(set[i].digest, digest, PROVED_SIZE))
            return true;
    return false;
}

void proved_add(struct proved *proved, const unsigned char digest[PROVED_SIZE], uint64_t now)
{
    struct entry *set = proved->entries[digest[0] % SETS], *oldest = set;
    for (size_t i = 0; i < WAYS; i++) {
        if (pki_equal(set[i].digest, digest, PROVED_SIZE)) {
            oldest = &set[i];
            break;
        }
        if (set[i].until < oldest->until)
            oldest = &set[i];
    }
    memcpy(oldest->digest, digest, PROVED_SIZE);
    oldest->until = now + LIFETIME;
}

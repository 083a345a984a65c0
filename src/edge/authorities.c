#include "edge/authorities.h"

#include <string.h>

#include "base/log.h"
#include "net/pki.h"

static struct authority_entry *find_oldest(struct authorities *authorities)
{
    struct authority_entry *oldest = authorities->entries;
    for (size_t i = 1; i < authorities->count; i++)
        if (authorities->entries[i].used < oldest->used)
            oldest = &authorities->entries[i];
    return oldest;
}

static struct tls_authority *add(struct authorities *authorities, const char *pem,
                                 const unsigned char digest[32])
{
    struct tls_authority *authority;
    char error[256];
    if (tls_authority_new(pem, &authority, error, sizeof error) < 0) {
        log_write(LOG_WARNING, LOG_NO_FIELDS, "%s", error);
        return NULL;
    }
    struct authority_entry *entry = authorities->count < AUTHORITIES_MAX
                                        ? &authorities->entries[authorities->count++]
                                        : find_oldest(authorities);
    tls_authority_unref(entry->authority);
    memcpy(entry->digest, digest, sizeof entry->digest);
    entry->authority = authority;
    entry->used = ++authorities->uses;
    return authority;
}

struct tls_authority *authorities_find(struct authorities *authorities, const char *pem)
{
    unsigned char digest[32];
    pki_sha256(pem, strlen(pem), digest);
    for (size_t i = 0; i < authorities->count; i++) {
        struct authority_entry *entry = &authorities->entries[i];
        if (memcmp(entry->digest, digest, sizeof digest) == 0) {
            entry->used = ++authorities->uses;
            return entry->authority;
        }
    }
    return add(authorities, pem, digest);
}

void authorities_deinit(struct authorities *authorities)
{
    for (size_t i = 0; i < authorities->count; i++)
        tls_authority_unref(authorities->entries[i].authority);
    *authorities = (struct authorities){0};
}

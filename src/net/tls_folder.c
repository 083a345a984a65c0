#include "net/tls_folder.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "net/tls_internal.h"

/* Hidden files are editors' and package managers' leftovers. */
static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* FOLDER/NAMEsuffix, of which `name` gives the first `length` bytes; false: too long. */
static bool join(char path[PATH_MAX], const char *folder, const char *name, size_t length,
                 const char *suffix)
{
    return snprintf(path, PATH_MAX, "%s/%.*s%s", folder, (int)length, name, suffix) < PATH_MAX;
}

static int add(struct tls_folder *folder, const char *certificate, const char *key)
{
    struct tls_folder_pair *pairs =
        realloc(folder->pairs, (folder->count + 1) * sizeof *folder->pairs);
    if (!pairs)
        return -1;
    folder->pairs = pairs;
    struct tls_folder_pair pair = {strdup(certificate), strdup(key)};
    if (!pair.certificate || !pair.key) {
        free(pair.certificate);
        free(pair.key);
        return -1;
    }
    folder->pairs[folder->count++] = pair;
    return 0;
}

static int look_at_file(struct tls_folder *folder, const char *path, const char *name,
                        const char *dot)
{
    char certificate[PATH_MAX], key[PATH_MAX], other[PATH_MAX];
    size_t stem = (size_t)(dot - name);
    if (!join(certificate, path, name, strlen(name), "") || !join(key, path, name, stem, ".key") ||
        !join(other, path, name, stem, ".pem"))
        return 0; /* longer than the system's paths: it isn't there */
    if (strcmp(dot, ".crt") == 0 && exists(other))
        return 0;
    if (exists(key))
        return add(folder, certificate, key);
    log_write(LOG_WARNING, LOG_NO_FIELDS, "certificate %s: no key %s, left out", certificate, key);
    return 0;
}

static int look_at(struct tls_folder *folder, const char *path, const char *name)
{
    char certificate[PATH_MAX], key[PATH_MAX];
    const char *dot = strrchr(name, '.');
    if (dot && (strcmp(dot, ".pem") == 0 || strcmp(dot, ".crt") == 0))
        return look_at_file(folder, path, name, dot);
    if (join(certificate, path, name, strlen(name), "/fullchain.pem") &&
        join(key, path, name, strlen(name), "/privkey.pem") && exists(certificate) && exists(key))
        return add(folder, certificate, key);
    return 0;
}

int tls_folder_scan(const char *path, struct tls_folder *folder, char *error, size_t error_size)
{
    struct dirent **entries;
    int result = 0, count = scandir(path, &entries, is_visible, alphasort);
    if (count < 0)
        return tls_error_say(error, error_size, "certificates", path, strerror(errno));
    for (int i = 0; i < count; i++) {
        if (result == 0)
            result = look_at(folder, path, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    if (result < 0) {
        tls_folder_deinit(folder);
        return tls_error_say(error, error_size, "TLS", NULL, "out of memory");
    }
    return 0;
}

void tls_folder_deinit(struct tls_folder *folder)
{
    for (size_t i = 0; i < folder->count; i++) {
        free(folder->pairs[i].certificate);
        free(folder->pairs[i].key);
    }
    free(folder->pairs);
    *folder = (struct tls_folder){0};
}

#include "net/hosts.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Without memory an element isn't added; uthash would end the process. */
#define HASH_NONFATAL_OOM            1
#define uthash_nonfatal_oom(element) ((element)->lost = true)
#include <uthash.h>

#include "net/file_stamp.h"
#include "net/resolve.h"

struct host {
    UT_hash_handle hh;
    bool lost;
    size_t count;
    union address *addresses;
    char name[];
};

struct hosts {
    struct host *table;
    struct file_stamp stamp;
    uint64_t recheck;
    char path[];
};

struct hosts *hosts_new(const char *path, uint64_t recheck)
{
    struct hosts *hosts = calloc(1, sizeof(*hosts) + strlen(path) + 1);
    if (!hosts) {
        return NULL;
    }
    strcpy(hosts->path, path);
    hosts->recheck = recheck;
    return hosts;
}

static void host_free(struct host *host)
{
    free(host->addresses);
    free(host);
}

static void table_clear(struct hosts *hosts)
{
    struct host *host, *next;
    HASH_ITER(hh, hosts->table, host, next)
    {
        HASH_DEL(hosts->table, host);
        host_free(host);
    }
}

void hosts_free(struct hosts *hosts)
{
    if (hosts) {
        table_clear(hosts);
        free(hosts);
    }
}

static struct host *table_get(struct hosts *hosts, const char *name)
{
    struct host *host;
    size_t length = strlen(name);
    HASH_FIND(hh, hosts->table, name, length, host);
    if (host) {
        return host;
    }
    host = calloc(1, sizeof(*host) + length + 1);
    if (!host) {
        return NULL;
    }
    memcpy(host->name, name, length);
    HASH_ADD_KEYPTR(hh, hosts->table, host->name, length, host);
    if (host->lost) {
        host_free(host);
        return NULL;
    }
    return host;
}

static void table_add(struct hosts *hosts, const char *name, const union address *address)
{
    struct host *host = table_get(hosts, name);
    if (!host || host->count == RESOLVE_ADDRESSES_MAX) {
        return;
    }
    for (size_t i = 0; i < host->count; i++) {
        if (address_equal(&host->addresses[i], address)) {
            return;
        }
    }
    union address *grown = realloc(host->addresses, (host->count + 1) * sizeof(host->addresses[0]));
    if (!grown) {
        return;
    }
    host->addresses = grown;
    host->addresses[host->count++] = *address;
}

/* "192.0.2.1 name alias # comment"; a line that begins with no address is skipped, as the C library
 * does. */
static void line_read(struct hosts *hosts, char *line)
{
    line[strcspn(line, "#")] = 0;
    char *rest = line;
    const char *text = strtok_r(line, " \t\r\n", &rest);
    union address address;
    if (!text || address_from_host(text, 0, &address) != 0) {
        return;
    }
    char *name;
    while ((name = strtok_r(NULL, " \t\r\n", &rest))) {
        for (char *c = name; *c; c++) {
            *c = (char)tolower((unsigned char)*c);
        }
        table_add(hosts, name, &address);
    }
}

static void table_read(struct hosts *hosts)
{
    table_clear(hosts);
    FILE *file = fopen(hosts->path, "re");
    if (!file) {
        return;
    }
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, file) >= 0) {
        line_read(hosts, line);
    }
    free(line);
    fclose(file);
}

size_t hosts_find(struct hosts *hosts, const char *name, uint64_t now,
                  const union address **ret_addresses)
{
    if (file_stamp_changed(&hosts->stamp, hosts->path, now, hosts->recheck)) {
        table_read(hosts);
    }
    struct host *host;
    HASH_FIND(hh, hosts->table, name, strlen(name), host);
    if (!host) {
        return 0;
    }
    *ret_addresses = host->addresses;
    return host->count;
}

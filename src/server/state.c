#include "server/state.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/address.h"
#include "net/pki.h"
#include "net/secret.h"

#define TOKEN_BYTES 32
#define TOKEN_TEXT  43 /* base64url of TOKEN_BYTES, without padding */

/* A machine of many container bridges has more addresses than devices will ever use. */
#define NAMES_MAX 64

struct names {
    char *items[NAMES_MAX];
    size_t count;
};

int state_default_folder(char *buffer, size_t size, char *error, size_t error_size)
{
    const char *state = getenv("STATE_DIRECTORY");
    const char *xdg = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int length;
    if (state && *state) /* of several, joined by ':', the first */
        length = snprintf(buffer, size, "%.*s", (int)strcspn(state, ":"), state);
    else if (geteuid() == 0)
        length = snprintf(buffer, size, "/var/lib/streamplex");
    else if (xdg && *xdg == '/') /* a relative one is to be ignored (XDG Base Directory) */
        length = snprintf(buffer, size, "%s/streamplex", xdg);
    else if (home && *home == '/')
        length = snprintf(buffer, size, "%s/.local/state/streamplex", home);
    else {
        snprintf(error, error_size,
                 "no place for the state folder: name one with --state, or set HOME");
        return -1;
    }
    if (length < 0 || (size_t)length >= size) {
        snprintf(error, error_size, "the state folder's name is too long");
        return -1;
    }
    return 0;
}

static int make_folders(const char *folder, char *error, size_t error_size)
{
    char path[PATH_MAX];
    size_t length = strlen(folder);
    if (!length || length >= sizeof path) {
        snprintf(error, error_size, "the state folder's name is empty or too long");
        return -1;
    }
    memcpy(path, folder, length + 1);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i])
            continue;
        char end = path[i];
        path[i] = 0;
        if (mkdir(path, 0700) < 0 && errno != EEXIST) {
            snprintf(error, error_size, "can't make the folder %s: %s", path, strerror(errno));
            return -1;
        }
        path[i] = end;
    }
    return 0;
}

int state_ensure_folder(const char *folder, char *error, size_t error_size)
{
    struct stat facts;
    /* Looked at first: of a folder that is there, a parent may be out of our reach for making. */
    if (stat(folder, &facts) < 0) {
        if (make_folders(folder, error, error_size) < 0)
            return -1;
        if (stat(folder, &facts) < 0) {
            snprintf(error, error_size, "can't look at %s: %s", folder, strerror(errno));
            return -1;
        }
    }
    if (!S_ISDIR(facts.st_mode)) {
        snprintf(error, error_size, "%s is not a folder", folder);
        return -1;
    }
    if (facts.st_uid != geteuid() && facts.st_uid != 0) {
        snprintf(error, error_size, "the state folder %s belongs to another user", folder);
        return -1;
    }
    if (facts.st_mode & (S_IWGRP | S_IWOTH)) {
        snprintf(error, error_size,
                 "others can write to the state folder %s: chmod go-w, or choose another", folder);
        return -1;
    }
    return 0;
}

/* 1 when read, 0 when there is none, -1 with a sentence. */
static int read_token(const char *path, char *token, size_t token_size, char *error,
                      size_t error_size)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return 0;
    struct stat facts;
    if (fd < 0 || fstat(fd, &facts) < 0) {
        snprintf(error, error_size, "can't read %s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    if (!S_ISREG(facts.st_mode) || facts.st_mode & (S_IRWXG | S_IRWXO)) {
        snprintf(error, error_size, "%s must be a file that only its owner can read: chmod 600",
                 path);
        close(fd);
        return -1;
    }
    ssize_t length = read(fd, token, token_size);
    int fault = errno;
    close(fd);
    if (length < 0) {
        snprintf(error, error_size, "can't read %s: %s", path, strerror(fault));
        return -1;
    }
    size_t end = (size_t)length;
    while (end && memchr(" \t\r\n", token[end - 1], 4))
        end--;
    if (!end || end == token_size || memchr(token, '\n', end) || memchr(token, 0, end)) {
        explicit_bzero(token, token_size);
        snprintf(error, error_size, "%s must hold one token of 1 to %zu characters", path,
                 token_size - 1);
        return -1;
    }
    token[end] = 0;
    return 1;
}

/* Written aside and linked: the file is whole once its name is there, and of two processes that
 * start at once, the second takes the first one's (EEXIST). 0 or -1 with errno. */
int state_write_new(const char *folder, const char *path, const char *line, size_t length)
{
    char aside[PATH_MAX];
    if ((size_t)snprintf(aside, sizeof aside, "%s/.new-XXXXXX", folder) >= sizeof aside) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int fd = mkostemp(aside, O_CLOEXEC); /* 0600 */
    if (fd < 0)
        return -1;
    ssize_t written = write(fd, line, length);
    if (written >= 0 && written != (ssize_t)length)
        errno = ENOSPC;
    int result = written == (ssize_t)length && fsync(fd) == 0 ? 0 : -1;
    int fault = errno;
    close(fd);
    if (result == 0 && link(aside, path) < 0 && errno != EEXIST) {
        fault = errno;
        result = -1;
    }
    unlink(aside);
    errno = fault;
    return result;
}

static int make_token(const char *folder, const char *path, char *error, size_t error_size)
{
    uint8_t bytes[TOKEN_BYTES];
    char line[TOKEN_TEXT + 2];
    if (pki_random(bytes, sizeof bytes) < 0) {
        snprintf(error, error_size, "the system gives no random bytes for a token");
        return -1;
    }
    (void)secret_base64url(bytes, sizeof bytes, line);
    line[TOKEN_TEXT] = '\n';
    int result = state_write_new(folder, path, line, TOKEN_TEXT + 1);
    if (result < 0)
        snprintf(error, error_size, "can't write %s: %s", path, strerror(errno));
    explicit_bzero(bytes, sizeof bytes);
    explicit_bzero(line, sizeof line);
    return result;
}

int state_ensure_token(const char *folder, char *token, size_t token_size, bool *ret_made,
                       char *error, size_t error_size)
{
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/token", folder) >= sizeof path) {
        snprintf(error, error_size, "the state folder's name is too long");
        return -1;
    }
    int found = read_token(path, token, token_size, error, error_size);
    if (found < 0)
        return -1;
    if (!found) {
        if (make_token(folder, path, error, error_size) < 0)
            return -1;
        int again = read_token(path, token, token_size, error, error_size);
        if (again == 0)
            snprintf(error, error_size, "%s has just been removed by someone", path);
        if (again <= 0)
            return -1;
    }
    *ret_made = !found;
    return 0;
}

/* Only what can stand in a certificate: letters, digits, '-', '.', and ':' for IPv6. */
static void add_name(struct names *names, const char *name)
{
    size_t length = strlen(name);
    if (!length || length > 253 || names->count == NAMES_MAX)
        return;
    for (const char *at = name; *at; at++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.:", *at))
            return;
    for (size_t i = 0; i < names->count; i++)
        if (strcasecmp(names->items[i], name) == 0)
            return;
    char *copy = strdup(name);
    if (copy)
        names->items[names->count++] = copy;
}

/* "box" is also "box.example.org" when /etc/hosts says so (as Debian's installer writes it):
 * looking further, in the DNS, could hold up the start. */
static void add_full_names(struct names *names, const char *host)
{
    size_t length = strlen(host);
    sethostent(1);
    for (struct hostent *entry; (entry = gethostent());) {
        char *none = NULL;
        if (strncasecmp(entry->h_name, host, length) == 0 && entry->h_name[length] == '.')
            add_name(names, entry->h_name);
        for (char **alias = entry->h_aliases ? entry->h_aliases : &none; *alias; alias++)
            if (strncasecmp(*alias, host, length) == 0 && (*alias)[length] == '.')
                add_name(names, *alias);
    }
    endhostent();
}

static void add_host_names(struct names *names)
{
    char host[HOST_NAME_MAX + 1] = "";
    if (gethostname(host, sizeof host - 1) < 0 || !*host)
        return;
    add_name(names, host);
    char *dot = strchr(host, '.');
    if (dot) {
        *dot = 0;
        add_name(names, host);
        return;
    }
    add_full_names(names, host);
    /* What machines of one household call each other (multicast DNS). */
    char local[HOST_NAME_MAX + 8];
    snprintf(local, sizeof local, "%s.local", host);
    add_name(names, local);
}

static bool is_worth_naming(const struct ifaddrs *interface)
{
    if (!interface->ifa_addr || !(interface->ifa_flags & IFF_UP) ||
        interface->ifa_flags & IFF_LOOPBACK)
        return false;
    const union address *address = (const union address *)interface->ifa_addr;
    if (address->any.sa_family == AF_INET)
        return (ntohl(address->v4.sin_addr.s_addr) >> 16) != 0xa9fe; /* 169.254/16 */
    return address->any.sa_family == AF_INET6 && !IN6_IS_ADDR_LINKLOCAL(&address->v6.sin6_addr);
}

static void add_addresses(struct names *names)
{
    struct ifaddrs *interfaces;
    if (getifaddrs(&interfaces) < 0)
        return;
    for (struct ifaddrs *interface = interfaces; interface; interface = interface->ifa_next) {
        if (!is_worth_naming(interface))
            continue;
        union address address = {0};
        memcpy(&address, interface->ifa_addr,
               interface->ifa_addr->sa_family == AF_INET ? sizeof address.v4 : sizeof address.v6);
        char text[ADDRESS_TEXT_MAX];
        add_name(names, address_format_host(&address, text));
    }
    freeifaddrs(interfaces);
}

typedef int ensure_server(const char *folder, const char *const *names, size_t name_count,
                          char *error, size_t error_size);

static int ensure_certificate(ensure_server *ensure, const char *folder, const char *domain,
                              char *error, size_t error_size)
{
    struct names names = {0};
    if (domain)
        add_name(&names, domain);
    add_name(&names, "localhost");
    add_name(&names, "127.0.0.1");
    add_name(&names, "::1");
    add_host_names(&names);
    add_addresses(&names);
    int result = ensure(folder, (const char *const *)names.items, names.count, error, error_size);
    for (size_t i = 0; i < names.count; i++)
        free(names.items[i]);
    return result;
}

int state_ensure_certificate(const char *folder, const char *domain, char *error, size_t error_size)
{
    return ensure_certificate(pki_ensure_server, folder, domain, error, error_size);
}

int state_ensure_old_certificate(const char *folder, char *error, size_t error_size)
{
    char old[PATH_MAX];
    if ((size_t)snprintf(old, sizeof old, "%s/old", folder) >= sizeof old) {
        snprintf(error, error_size, "the state folder's name is too long");
        return -1;
    }
    return ensure_certificate(pki_ensure_rsa_server, old, NULL, error, error_size);
}

int state_ensure_edge_certificate(const char *folder, const char *domain, char *error,
                                  size_t error_size)
{
    char edge[PATH_MAX], wildcard[256];
    if ((size_t)snprintf(edge, sizeof edge, "%s/edge", folder) >= sizeof edge) {
        snprintf(error, error_size, "the state folder's name is too long");
        return -1;
    }
    if ((size_t)snprintf(wildcard, sizeof wildcard, "*.%s", domain) >= sizeof wildcard) {
        snprintf(error, error_size, "the edge's domain is too long");
        return -1;
    }
    const char *const names[] = {wildcard, domain};
    return pki_ensure_server_of(folder, edge, names, 2, error, error_size);
}

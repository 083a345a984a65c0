#include "agent/login_store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/reach_settings.h"
#include "base/settings.h"

#define FILE_MAX 16384

int login_store_folder(char *buffer, size_t size, char *error, size_t error_size)
{
    const char *xdg = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    int length;
    if (xdg && *xdg == '/') /* a relative one is to be ignored (XDG Base Directory) */
        length = snprintf(buffer, size, "%s/streamplex", xdg);
    else if (home && *home == '/')
        length = snprintf(buffer, size, "%s/.config/streamplex", home);
    else {
        snprintf(error, error_size, "no place for a login: set HOME or XDG_CONFIG_HOME");
        return -1;
    }
    if (length > 0 && (size_t)length < size)
        return 0;
    snprintf(error, error_size, "the path of the login is too long");
    return -1;
}

static int join(const char *folder, const char *name, char path[PATH_MAX], char *error,
                size_t error_size)
{
    int length = snprintf(path, PATH_MAX, "%s/%s", folder, name);
    if (length > 0 && length < PATH_MAX)
        return 0;
    snprintf(error, error_size, "the path of the login is too long");
    return -1;
}

/* --- Reading --- */

/* 1: read. 0: there is no such file. -1 with a sentence. */
static int read_file(const char *folder, const char *name, char **ret_text, size_t *ret_length,
                     char path[PATH_MAX], char *error, size_t error_size)
{
    if (join(folder, name, path, error, error_size) < 0)
        return -1;
    int result = settings_read_text(path, FILE_MAX, ret_text, ret_length);
    if (result == -ENOENT || result == -ENOTDIR)
        return 0;
    if (result == 0)
        return 1;
    snprintf(error, error_size, "%s: %s", path, strerror(-result));
    return -1;
}

static int on_pair(void *user, const char *name, const char *value, int line, char *error,
                   size_t error_size)
{
    struct login *login = user;
    char **field = !strcmp(name, "api") ? &login->api : !strcmp(name, "ca") ? &login->ca : NULL;
    if (!field)
        return 0; /* of a later version */
    free(*field);
    *field = *value ? strdup(value) : NULL;
    if (!*value || *field)
        return 0;
    snprintf(error, error_size, "out of memory");
    return -1;
}

static int read_api(const char *folder, struct login *login, char *error, size_t error_size)
{
    char path[PATH_MAX], *text;
    size_t length;
    int result = read_file(folder, "api", &text, &length, path, error, error_size);
    if (result <= 0)
        return result;
    result = settings_parse_ini(text, length, path, NULL, on_pair, login, error, error_size);
    free(text);
    return result;
}

static int read_token(const char *folder, struct login *login, char *error, size_t error_size)
{
    char path[PATH_MAX], *text;
    size_t length;
    int result = read_file(folder, "token", &text, &length, path, error, error_size);
    if (result <= 0)
        return result;
    size_t size = 0;
    while (size < length && text[size] > ' ' && text[size] <= '~')
        size++;
    bool is_line = size && size <= REACH_TOKEN_MAX && (size == length || text[size] == '\n');
    login->token = is_line ? strndup(text, size) : NULL;
    explicit_bzero(text, length);
    free(text);
    if (login->token)
        return 1;
    snprintf(error, error_size, "%s: there is no token in it; log in again", path);
    return -1;
}

int login_store_read(const char *folder, struct login *ret_login, char *error, size_t error_size)
{
    *ret_login = (struct login){0};
    int result = read_api(folder, ret_login, error, error_size);
    if (result >= 0)
        result = read_token(folder, ret_login, error, error_size);
    if (result < 0)
        login_deinit(ret_login);
    return result;
}

/* --- Writing --- */

static int make_folder(const char *folder, char *error, size_t error_size)
{
    char path[PATH_MAX];
    struct stat status;
    if (join(folder, "", path, error, error_size) < 0)
        return -1;
    for (char *at = path + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (mkdir(path, 0700) < 0 && errno != EEXIST) {
            snprintf(error, error_size, "%s: %s", path, strerror(errno));
            return -1;
        }
        *at = '/';
    }
    /* One that was there already may have been open to all. */
    if (stat(folder, &status) < 0 ||
        ((status.st_mode & 077) && chmod(folder, status.st_mode & 0700) < 0)) {
        snprintf(error, error_size, "%s: %s", folder, strerror(errno));
        return -1;
    }
    return 0;
}

static bool write_all(int fd, const char *text)
{
    size_t length = strlen(text);
    while (length) {
        ssize_t written = write(fd, text, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        text += written;
        length -= (size_t)written;
    }
    return true;
}

/* Aside, then renamed: nobody reads half a token, and a full disk leaves the old one. */
static int replace(const char *folder, const char *name, const char *text, char *error,
                   size_t error_size)
{
    char path[PATH_MAX], aside[PATH_MAX], other[NAME_MAX];
    snprintf(other, sizeof other, ".%s.XXXXXX", name);
    if (join(folder, name, path, error, error_size) < 0 ||
        join(folder, other, aside, error, error_size) < 0)
        return -1;
    int fd = mkostemp(aside, O_CLOEXEC); /* mode 0600 */
    if (fd < 0) {
        snprintf(error, error_size, "%s: %s", path, strerror(errno));
        return -1;
    }
    bool is_done = write_all(fd, text) && fsync(fd) == 0;
    int reason = errno;
    if (close(fd) < 0 && is_done) {
        is_done = false;
        reason = errno;
    }
    if (is_done && rename(aside, path) < 0) {
        is_done = false;
        reason = errno;
    }
    if (is_done)
        return 0;
    unlink(aside);
    snprintf(error, error_size, "%s: %s", path, strerror(reason));
    return -1;
}

/* What can't stand in a line would be read back as something else. */
static bool is_line(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}

static char *make_api(const struct login *login)
{
    char *text;
    if (asprintf(&text, "# Where the login of `streamplex login` is good for\napi = \"%s\"\n%s%s%s",
                 login->api, login->ca ? "ca = \"" : "", login->ca ? login->ca : "",
                 login->ca ? "\"\n" : "") < 0)
        return NULL;
    return text;
}

int login_store_write(const char *folder, const struct login *login, char *error, size_t error_size)
{
    if (!is_line(login->api) || (login->ca && !is_line(login->ca)) || !is_line(login->token)) {
        snprintf(error, error_size, "control characters can't be kept in a login");
        return -1;
    }
    if (make_folder(folder, error, error_size) < 0)
        return -1;
    char *api = make_api(login);
    char *token;
    if (asprintf(&token, "%s\n", login->token) < 0)
        token = NULL;
    int result = -1;
    /* The token goes last: with the old one a new URL does no harm, it is refused there... unless
     * the old one were sent to another server: so that is taken away first. */
    if (!api || !token)
        snprintf(error, error_size, "out of memory");
    else if (login_store_remove(folder, error, error_size) == 0 &&
             replace(folder, "api", api, error, error_size) == 0)
        result = replace(folder, "token", token, error, error_size);
    if (token)
        explicit_bzero(token, strlen(token));
    free(token);
    free(api);
    return result;
}

int login_store_remove(const char *folder, char *error, size_t error_size)
{
    char path[PATH_MAX];
    if (join(folder, "token", path, error, error_size) < 0)
        return -1;
    if (unlink(path) == 0 || errno == ENOENT || errno == ENOTDIR)
        return 0;
    snprintf(error, error_size, "%s: %s", path, strerror(errno));
    return -1;
}

void login_deinit(struct login *login)
{
    if (login->token)
        explicit_bzero(login->token, strlen(login->token));
    free(login->token);
    free(login->api);
    free(login->ca);
    *login = (struct login){0};
}

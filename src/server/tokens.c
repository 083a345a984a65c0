/* Shared tokens: a list of digests, and the file that it may come from. */
#include "server/tokens.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/pki.h"
#include "streamplex.h"

/* Owner, colon, token, and blanks that nobody minds. */
#define LINE_MAX_LENGTH (TOKEN_OWNER_MAX + 1 + PLEX_TOKEN_MAX + 64)

static bool is_owner_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '@' || c == '-';
}

static bool is_owner(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!is_owner_char(text[i]))
            return false;
    return length > 0 && length <= TOKEN_OWNER_MAX;
}

/* "token-1": what tokens without an owner are called here. */
static bool is_reserved(const char *owner)
{
    size_t digits;
    if (strncmp(owner, "token-", 6) != 0)
        return false;
    digits = strspn(owner + 6, "0123456789");
    return digits > 0 && owner[6 + digits] == '\0';
}

static int check_owner(const char *owner, char *error, size_t error_size)
{
    if (!is_owner(owner, strlen(owner))) {
        snprintf(error, error_size, "an owner has 1 to %d characters of A-Z, a-z, 0-9 and . _ @ -",
                 TOKEN_OWNER_MAX);
        return -1;
    }
    if (is_reserved(owner)) {
        snprintf(error, error_size, "owner %s: names like this are for tokens without an owner",
                 owner);
        return -1;
    }
    return 0;
}

static int grow(struct tokens *tokens, char *error, size_t error_size)
{
    struct token *items;
    /* Room doubles whenever the count is a power of two. */
    if (tokens->count & (tokens->count - 1))
        return 0;
    items = realloc(tokens->items, (tokens->count ? tokens->count * 2 : 1) * sizeof *items);
    if (!items) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    tokens->items = items;
    return 0;
}

int tokens_add(struct tokens *tokens, const char *owner, const char *token, char *error,
               size_t error_size)
{
    size_t length = strlen(token);
    struct token *item;
    if (length == 0 || length > PLEX_TOKEN_MAX) {
        snprintf(error, error_size, "a token has 1 to %d bytes", PLEX_TOKEN_MAX);
        return -1;
    }
    if (owner && check_owner(owner, error, error_size) < 0)
        return -1;
    if (grow(tokens, error, error_size) < 0)
        return -1;
    item = &tokens->items[tokens->count++];
    memset(item, 0, sizeof *item);
    pki_sha256(token, length, item->digest);
    if (owner)
        snprintf(item->owner, sizeof item->owner, "%s", owner);
    else
        snprintf(item->owner, sizeof item->owner, "token-%zu", tokens->count);
    return 0;
}

static int add_line(struct tokens *tokens, char *line, size_t length, char *error,
                    size_t error_size)
{
    char *token = line;
    char *owner = NULL;
    size_t before_colon;
    if (memchr(line, '\0', length)) {
        snprintf(error, error_size, "a token can't have a NUL byte");
        return -1;
    }
    while (length && strchr(" \t\r", line[length - 1]))
        line[--length] = '\0';
    token += strspn(token, " \t");
    if (!*token || *token == '#')
        return 0;
    before_colon = strcspn(token, ":");
    if (token[before_colon] && is_owner(token, before_colon)) {
        owner = token;
        owner[before_colon] = '\0';
        token += before_colon + 1;
        token += strspn(token, " \t");
    }
    return tokens_add(tokens, owner, token, error, error_size);
}

/* Reads a line without its newline. Its length, -1 at the end, -2 when it is too long. */
static int read_line(FILE *file, char line[LINE_MAX_LENGTH + 1])
{
    int length = 0;
    int c;
    while ((c = getc_unlocked(file)) != EOF && c != '\n') {
        if (length == LINE_MAX_LENGTH)
            return -2;
        line[length++] = (char)c;
    }
    line[length] = '\0';
    return c == EOF && length == 0 ? -1 : length;
}

static int read_lines(struct tokens *tokens, FILE *file, const char *path, char *error,
                      size_t error_size)
{
    char line[LINE_MAX_LENGTH + 1];
    char sentence[256] = "";
    int number = 0;
    int length;
    int result = 0;
    while (result == 0 && (length = read_line(file, line)) != -1) {
        number++;
        if (length == -2) {
            snprintf(sentence, sizeof sentence, "the line is longer than %d bytes",
                     LINE_MAX_LENGTH);
            result = -1;
        } else {
            result = add_line(tokens, line, (size_t)length, sentence, sizeof sentence);
        }
    }
    if (result < 0)
        snprintf(error, error_size, "%s:%d: %s", path, number, sentence);
    explicit_bzero(line, sizeof line);
    return result;
}

int tokens_read_file(struct tokens *tokens, const char *path, char *error, size_t error_size)
{
    /* Unbuffered memory of stdio's would keep the last tokens after fclose(). */
    char buffer[4096];
    FILE *file = fopen(path, "re");
    int result;
    if (!file) {
        snprintf(error, error_size, "%s: %s", path, strerror(errno));
        return -1;
    }
    setvbuf(file, buffer, _IOFBF, sizeof buffer);
    errno = 0;
    result = read_lines(tokens, file, path, error, error_size);
    if (result == 0 && ferror(file)) {
        snprintf(error, error_size, "%s: %s", path, strerror(errno ? errno : EIO));
        result = -1;
    }
    fclose(file);
    explicit_bzero(buffer, sizeof buffer);
    return result;
}

const char *tokens_find(const struct tokens *tokens, const char *token, size_t length)
{
    unsigned char digest[32];
    size_t found = SIZE_MAX;
    pki_sha256(token, length, digest);
    /* No break and no branch: where the match is must not show in the time. */
    for (size_t i = tokens->count; i-- > 0;) {
        size_t mask = (size_t)0 - (size_t)pki_equal(digest, tokens->items[i].digest, sizeof digest);
        found = (i & mask) | (found & ~mask);
    }
    return found == SIZE_MAX ? NULL : tokens->items[found].owner;
}

void tokens_deinit(struct tokens *tokens)
{
    if (tokens->items)
        explicit_bzero(tokens->items, tokens->count * sizeof *tokens->items);
    free(tokens->items);
    *tokens = (struct tokens){0};
}

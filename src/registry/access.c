#include "registry/access.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* --- Copies --- */

/* False: no memory. */
static bool copy_text(const char *text, char **ret_copy)
{
    *ret_copy = text ? strdup(text) : NULL;
    return *ret_copy || !text;
}

static bool copy_prefixes(const struct prefix *prefixes, size_t count, struct prefix **ret_copy)
{
    if (!count)
        return true;
    *ret_copy = malloc(count * sizeof *prefixes);
    if (*ret_copy)
        memcpy(*ret_copy, prefixes, count * sizeof *prefixes);
    return *ret_copy;
}

struct socket_access *socket_access_copy(const struct socket_access *access)
{
    static const struct socket_access everybody;
    struct socket_access *copy = calloc(1, sizeof *copy);
    if (!copy)
        return NULL;
    if (!access)
        access = &everybody;
    copy->is_protected = access->is_protected;
    copy->allow_count = access->allow_count;
    copy->deny_count = access->deny_count;
    copy->rate = access->rate;
    copy->visitor_rate = access->visitor_rate;
    copy->max_connections = access->max_connections;
    if (copy_text(access->username, &copy->username) &&
        copy_text(access->password_hash, &copy->password_hash) &&
        copy_text(access->client_ca, &copy->client_ca) &&
        copy_prefixes(access->allow, access->allow_count, &copy->allow) &&
        copy_prefixes(access->deny, access->deny_count, &copy->deny))
        return copy;
    socket_access_free(copy);
    return NULL;
}

static bool is_same_list(const struct prefix *a, size_t a_count, const struct prefix *b,
                         size_t b_count)
{
    return a_count == b_count && (!a_count || memcmp(a, b, a_count * sizeof *a) == 0);
}

bool socket_access_equal(const struct socket_access *a, const struct socket_access *b)
{
    static const struct socket_access everybody;
    a = a ? a : &everybody;
    b = b ? b : &everybody;
    return a->is_protected == b->is_protected && text_equal(a->username, b->username) &&
           text_equal(a->password_hash, b->password_hash) &&
           text_equal(a->client_ca, b->client_ca) &&
           is_same_list(a->allow, a->allow_count, b->allow, b->allow_count) &&
           is_same_list(a->deny, a->deny_count, b->deny, b->deny_count) && a->rate == b->rate &&
           a->visitor_rate == b->visitor_rate && a->max_connections == b->max_connections;
}

void socket_access_free(struct socket_access *access)
{
    if (!access)
        return;
    free(access->username);
    free(access->password_hash);
    free(access->allow);
    free(access->deny);
    free(access->client_ca);
    free(access);
}

/* --- Lists --- */

/* The next item of the list, without the blanks around it; *text is moved behind it. False at the
 * end. */
static bool next_item(const char **text, const char **ret_item, size_t *ret_length)
{
    const char *item = *text;
    if (!item)
        return false;
    size_t length = strcspn(item, ",");
    *text = item[length] ? item + length + 1 : NULL;
    while (length && isspace((unsigned char)*item)) {
        item++;
        length--;
    }
    while (length && isspace((unsigned char)item[length - 1]))
        length--;
    *ret_item = item;
    *ret_length = length;
    return true;
}

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n\v\f")] == 0;
}

int socket_access_parse_prefixes(const char *text, struct prefix **ret_prefixes, size_t *ret_count,
                                 char *error, size_t error_size)
{
    struct prefix prefixes[ACCESS_PREFIXES_MAX];
    struct prefix *copy = NULL;
    size_t count = 0, length;
    const char *item, *rest = is_blank(text) ? NULL : text;
    while (next_item(&rest, &item, &length)) {
        if (count == ACCESS_PREFIXES_MAX) {
            snprintf(error, error_size, "more than %d prefixes", ACCESS_PREFIXES_MAX);
            return -1;
        }
        if (prefix_parse(item, length, &prefixes[count]) < 0) {
            snprintf(error, error_size, "\"%.*s\" is not a prefix like 192.0.2.0/24",
                     (int)(length < 80 ? length : 80), item);
            return -1;
        }
        count++;
    }
    if (!copy_prefixes(prefixes, count, &copy)) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    *ret_prefixes = copy;
    *ret_count = count;
    return 0;
}

char *socket_access_format_prefixes(const struct prefix *prefixes, size_t count)
{
    size_t size = count * (ADDRESS_TEXT_MAX + 6) + 1, length = 0;
    char *text = malloc(size);
    if (!text)
        return NULL;
    *text = 0;
    for (size_t i = 0; i < count; i++) {
        char host[ADDRESS_TEXT_MAX];
        union address address = {.any = {.sa_family = prefixes[i].family}};
        if (prefixes[i].family == AF_INET)
            memcpy(&address.v4.sin_addr, prefixes[i].bytes, 4);
        else
            memcpy(&address.v6.sin6_addr, prefixes[i].bytes, 16);
        length += (size_t)snprintf(text + length, size - length, "%s%s/%d", i ? ", " : "",
                                   address_format_host(&address, host), prefixes[i].bits);
    }
    return text;
}

static bool is_among(const struct prefix *prefixes, size_t count, const union address *address)
{
    for (size_t i = 0; i < count; i++)
        if (prefix_contains(&prefixes[i], address))
            return true;
    return false;
}

bool socket_access_admits(const struct socket_access *access, const union address *visitor)
{
    if (!access)
        return true;
    union address address = address_unmap(visitor);
    if (is_among(access->deny, access->deny_count, &address))
        return false;
    return !access->allow_count || is_among(access->allow, access->allow_count, &address);
}

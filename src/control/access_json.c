#include "control/access_json.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

char *access_json_format(const struct socket_access *access)
{
    char *allow = socket_access_format_prefixes(access->allow, access->allow_count);
    char *deny = socket_access_format_prefixes(access->deny, access->deny_count);
    json_t *object =
        allow && deny
            ? json_pack("{s:b,s:s*,s:s*,s:s,s:s,s:s*,s:I,s:I,s:I}", "protected",
                        access->is_protected, "username", access->username, "password_hash",
                        access->password_hash, "allow", allow, "deny", deny, "client_ca",
                        access->client_ca, "rate", (json_int_t)access->rate, "visitor_rate",
                        (json_int_t)access->visitor_rate, "max_connections",
                        (json_int_t)access->max_connections)
            : NULL;
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    free(allow);
    free(deny);
    return text;
}

/* --- Reading --- */

static int parse_list(const char *text, struct prefix **ret_prefixes, size_t *ret_count)
{
    char error[8]; /* whoever wrote it knew the rule */
    return socket_access_parse_prefixes(text, ret_prefixes, ret_count, error, sizeof error);
}

static int parse_number(json_int_t number, uint32_t *ret_number)
{
    if (number < 0 || number > UINT32_MAX)
        return -1;
    *ret_number = (uint32_t)number;
    return 0;
}

static int copy_text(const char *text, char **ret_copy)
{
    *ret_copy = text ? strdup(text) : NULL;
    return *ret_copy || !text ? 0 : -1;
}

static int read_object(json_t *object, struct socket_access *access)
{
    int is_protected;
    const char *username = NULL, *password_hash = NULL, *client_ca = NULL, *allow, *deny;
    json_int_t rate, visitor_rate, max_connections;
    if (json_unpack_ex(object, NULL, JSON_STRICT, "{s:b,s?s,s?s,s:s,s:s,s?s,s:I,s:I,s:I}",
                       "protected", &is_protected, "username", &username, "password_hash",
                       &password_hash, "allow", &allow, "deny", &deny, "client_ca", &client_ca,
                       "rate", &rate, "visitor_rate", &visitor_rate, "max_connections",
                       &max_connections) < 0)
        return -1;
    access->is_protected = is_protected;
    if (access->is_protected && (!username || !password_hash))
        return -1;
    if (copy_text(username, &access->username) < 0 ||
        copy_text(password_hash, &access->password_hash) < 0 ||
        copy_text(client_ca, &access->client_ca) < 0 ||
        parse_list(allow, &access->allow, &access->allow_count) < 0 ||
        parse_list(deny, &access->deny, &access->deny_count) < 0 ||
        parse_number(rate, &access->rate) < 0 ||
        parse_number(visitor_rate, &access->visitor_rate) < 0 ||
        parse_number(max_connections, &access->max_connections) < 0)
        return -1;
    return 0;
}

int access_json_parse(const char *text, struct socket_access **ret_access)
{
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    struct socket_access *access = object ? socket_access_copy(NULL) : NULL;
    int result = access ? read_object(object, access) : -1;
    json_decref(object);
    if (result < 0)
        socket_access_free(access);
    else
        *ret_access = access;
    return result;
}

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "control/api_internal.h"

static const struct api_route routes[] = {
    {"GET", "/healthz", API_ANYBODY, false, api_page_health},
    {"GET", "/openapi.json", API_ANYBODY, false, api_openapi_show},
    {"GET", "/confirm", API_ANYBODY, false, api_page_confirm},
    {"POST", "/login", API_ANYBODY, true, api_login_login},
    {"POST", "/login/refresh", API_ACCOUNT, true, api_login_refresh},
    {"POST", "/logout", API_ACCOUNT, true, api_login_logout},
    {"POST", "/user", API_ANYBODY, true, api_user_create},
    {"GET", "/user/{user_id}", API_ACCOUNT, false, api_user_show},
    {"PUT", "/user/{user_id}", API_ACCOUNT, true, api_user_change},
    {"GET", "/socket", API_ACCOUNT, false, api_socket_list},
    {"POST", "/socket", API_ACCOUNT, true, api_socket_create},
    {"GET", "/socket/{socket_id}", API_ACCOUNT, false, api_socket_show},
    {"PUT", "/socket/{socket_id}", API_ACCOUNT, true, api_socket_change},
    {"DELETE", "/socket/{socket_id}", API_ACCOUNT, false, api_socket_delete},
    {"GET", "/socket/{socket_id}/tunnel", API_ACCOUNT, false, api_tunnel_list},
    {"POST", "/socket/{socket_id}/tunnel", API_ACCOUNT, true, api_tunnel_create},
    {"GET", "/socket/{socket_id}/tunnel/{tunnel_id}", API_ACCOUNT, false, api_tunnel_show},
    {"DELETE", "/socket/{socket_id}/tunnel/{tunnel_id}", API_ACCOUNT, false, api_tunnel_delete},
    {"GET", "/connect", API_ACCOUNT, false, api_socket_list},
    {"POST", "/connect", API_ACCOUNT, true, api_socket_connect},
    {"GET", "/token", API_ACCOUNT, false, api_token_list},
    {"POST", "/token", API_ACCOUNT, true, api_token_create},
    {"DELETE", "/token/{token_id}", API_ACCOUNT, false, api_token_delete},
    {"GET", "/admin/user", API_OPERATOR, false, api_admin_list_users},
    {"POST", "/admin/user", API_OPERATOR, true, api_admin_create_user},
    {"GET", "/admin/user/{user_id}", API_OPERATOR, false, api_admin_show_user},
    {"PUT", "/admin/user/{user_id}", API_OPERATOR, true, api_admin_change_user},
    {"DELETE", "/admin/user/{user_id}", API_OPERATOR, false, api_admin_delete_user},
    {"GET", "/admin/quota", API_OPERATOR, false, api_admin_list_quotas},
    {"PUT", "/admin/quota/{user_id}", API_OPERATOR, true, api_admin_set_quota},
    {"GET", "/admin/token", API_OPERATOR, false, api_admin_list_tokens},
    {"POST", "/admin/token", API_OPERATOR, true, api_admin_create_token},
    {"DELETE", "/admin/token/{token_id}", API_OPERATOR, false, api_admin_delete_token},
    {"GET", "/admin/socket", API_OPERATOR, false, api_admin_list_sockets},
    {"GET", "/admin/socket/{socket_id}", API_OPERATOR, false, api_admin_show_socket},
    {"DELETE", "/admin/socket/{socket_id}", API_OPERATOR, false, api_admin_delete_socket},
    {"GET", "/admin/tunnel", API_OPERATOR, false, api_admin_list_tunnels},
    {"DELETE", "/admin/tunnel/{tunnel_id}", API_OPERATOR, false, api_admin_close_tunnel},
    {"POST", "/admin/backup", API_OPERATOR, true, api_admin_backup},
};

#define ROUTE_COUNT (sizeof routes / sizeof routes[0])

const struct api_route *api_routes(size_t *ret_count)
{
    *ret_count = ROUTE_COUNT;
    return routes;
}

/* --- Percent-encoding --- */

/* Malloced. NULL: a "%" without two digits, a NUL, or no memory. */
static char *decode(const char *text, size_t length)
{
    char *decoded = malloc(length + 1), *out = decoded;
    for (size_t i = 0; decoded && i < length; i++, out++) {
        *out = text[i];
        if (text[i] != '%')
            continue;
        int high = i + 2 < length ? text_hex_digit(text[i + 1]) : -1;
        int low = i + 2 < length ? text_hex_digit(text[i + 2]) : -1;
        if (high < 0 || low < 0 || (high | low) == 0) {
            free(decoded);
            return NULL;
        }
        *out = (char)(high << 4 | low);
        i += 2;
    }
    if (decoded)
        *out = 0;
    return decoded;
}

char *api_routes_query(const char *query, const char *key)
{
    size_t key_length = strlen(key);
    while (*query) {
        size_t length = strcspn(query, "&");
        if (length > key_length && !strncmp(query, key, key_length) && query[key_length] == '=')
            return decode(query + key_length + 1, length - key_length - 1);
        query += length + (query[length] == '&');
    }
    return NULL;
}

/* --- Paths --- */

/* Does the path have the pattern's shape? Marks where its ids are. */
static bool match(const char *pattern, const char *path, const char *ret_at[API_IDS_MAX],
                  size_t ret_length[API_IDS_MAX])
{
    int ids = 0;
    while (*pattern && *path) {
        if (*pattern != '{') {
            if (*pattern++ != *path++)
                return false;
            continue;
        }
        size_t length = strcspn(path, "/");
        if (!length)
            return false;
        ret_at[ids] = path;
        ret_length[ids++] = length;
        pattern += strcspn(pattern, "}") + 1;
        path += length;
    }
    return !*pattern && !*path;
}

static bool is_method(const struct api_route *route, const char *method)
{
    return !strcmp(route->method, strcmp(method, "HEAD") ? method : "GET");
}

static void allow(char text[64], const char *method)
{
    size_t used = strlen(text);
    snprintf(text + used, 64 - used, "%s%s%s", used ? ", " : "", method,
             strcmp(method, "GET") ? "" : ", HEAD");
}

/* Either all of them or none. */
static bool take_ids(const char *const at[API_IDS_MAX], const size_t length[API_IDS_MAX],
                     char *ret_ids[API_IDS_MAX])
{
    for (int i = 0; i < API_IDS_MAX && at[i]; i++) {
        ret_ids[i] = decode(at[i], length[i]);
        if (ret_ids[i])
            continue;
        while (i--) {
            free(ret_ids[i]);
            ret_ids[i] = NULL;
        }
        return false;
    }
    return true;
}

enum api_found api_routes_find(const char *method, const char *path, bool is_operator,
                               const struct api_route **ret_route, char *ret_ids[API_IDS_MAX],
                               char ret_allow[64])
{
    *ret_allow = 0;
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        const char *at[API_IDS_MAX] = {0};
        size_t length[API_IDS_MAX];
        if ((routes[i].who == API_OPERATOR && !is_operator) ||
            !match(routes[i].path, path, at, length))
            continue;
        if (!is_method(&routes[i], method)) {
            allow(ret_allow, routes[i].method);
            continue;
        }
        if (!take_ids(at, length, ret_ids))
            return API_BAD_PATH;
        *ret_route = &routes[i];
        return API_FOUND;
    }
    return *ret_allow ? API_OTHER_METHOD : API_NOT_FOUND;
}

#include <stdlib.h>
#include <string.h>

#include "control/api_internal.h"
#include "net/secret.h"
#include "net/tls.h"

#define USERNAME_MAX  128
#define PREFIXES_TEXT (ACCESS_PREFIXES_MAX * 64)
#define CLIENT_CA_MAX (32 * 1024)

void api_socket_values_free(struct api_socket_values *values)
{
    if (!values)
        return;
    socket_access_free(values->access);
    free(values);
}

/* --- Parts; each keeps its faults in `in` --- */

static bool is_http(enum socket_type type)
{
    return type == SOCKET_HTTP || type == SOCKET_HTTPS;
}

static void replace(struct api_values *in, char **kept, const char *text)
{
    free(*kept);
    *kept = text ? strdup(text) : NULL;
    if (text && !*kept)
        api_values_fault(in, "out of memory");
}

static void read_protection(struct api_values *in, enum socket_type type,
                            struct api_socket_values *out)
{
    struct socket_access *access = out->access;
    bool was_protected = access->is_protected;
    const char *username = api_values_line(in, "protected_username", 0, USERNAME_MAX);
    const char *password = api_values_text(in, "protected_password", 0, SECRET_PASSWORD_MAX);
    api_values_flag(in, "protected_socket", &access->is_protected);
    out->has_access |= access->is_protected != was_protected;
    if (!access->is_protected) {
        if ((username && *username) || (password && *password))
            api_values_fault(in, "protected_username and protected_password need protected_socket");
        replace(in, &access->username, NULL);
        replace(in, &access->password_hash, NULL);
        return;
    }
    if (!is_http(type))
        api_values_fault(in, "only http and https sockets can be protected by a password: visitors "
                             "of this one have no way to give it");
    if (username) {
        replace(in, &access->username, username);
        out->has_access = true;
    }
    if (!access->username || !*access->username || strchr(access->username, ':'))
        api_values_fault(in, "protected_username must be a text without a colon");
    if ((password && !*password) || (!password && !access->password_hash))
        api_values_fault(in, "protected_password is missing");
    out->password = password;
    out->has_access |= password != NULL;
}

static void read_prefixes(struct api_values *in, const char *key, struct prefix **list,
                          size_t *count, bool *ret_given)
{
    char reason[128];
    struct prefix *prefixes;
    size_t number;
    char *text = api_values_joined(in, key, PREFIXES_TEXT);
    if (!text)
        return;
    if (socket_access_parse_prefixes(text, &prefixes, &number, reason, sizeof reason) < 0) {
        api_values_fault(in, "%s: %s", key, reason);
    } else {
        free(*list);
        *list = prefixes;
        *count = number;
        *ret_given = true;
    }
    free(text);
}

/* As it will be read where visitors come in: what can't be used there would let nobody in. */
static void judge_client_ca(struct api_values *in, const char *text)
{
    char reason[160];
    struct tls_authority *authority;
    if (strstr(text, "PRIVATE KEY"))
        api_values_fault(in, "client_ca must be certificates alone: there is a private key in it");
    else if (tls_authority_new(text, &authority, reason, sizeof reason) < 0)
        api_values_fault(in, "client_ca must be certificates in PEM: %s", reason);
    else
        tls_authority_unref(authority);
}

static void read_client_ca(struct api_values *in, enum socket_type type,
                           struct api_socket_values *out)
{
    const json_t *given = json_object_get(in->object, "client_ca");
    /* Who sends back what was answered means it to stay. */
    if (json_is_true(given) && out->access->client_ca)
        return;
    const char *text =
        json_is_false(given) ? "" : api_values_text(in, "client_ca", 0, CLIENT_CA_MAX);
    if (!text)
        return;
    if (*text)
        judge_client_ca(in, text);
    if (*text && !is_http(type) && type != SOCKET_TLS)
        api_values_fault(in, "client_ca is for http, https and tls sockets: only there does the "
                             "server speak TLS with visitors");
    replace(in, &out->access->client_ca, *text ? text : NULL);
    out->has_access = true;
}

static void read_limits(struct api_values *in, struct api_socket_values *out)
{
    struct socket_access *access = out->access;
    api_values_number32(in, "rate", &access->rate);
    api_values_number32(in, "visitor_rate", &access->visitor_rate);
    api_values_number32(in, "max_connections", &access->max_connections);
    out->has_access |= api_values_has(in, "rate") || api_values_has(in, "visitor_rate") ||
                       api_values_has(in, "max_connections");
}

/* It is in the existing client's JSON; what it asks for isn't there, and isn't passed over. */
static void refuse_cloud(struct api_values *in)
{
    bool wanted = false;
    api_values_flag(in, "cloud_authentication_enabled", &wanted);
    if (wanted)
        api_values_fault(in, "cloud_authentication_enabled can't be true: this server has "
                             "protected_socket, allow and client_ca");
}

/* It becomes a line of a request's head. */
static void read_host_header(struct api_values *in, enum socket_type type,
                             struct api_socket_values *out)
{
    const char *text = api_values_line(in, "host_header", 0, REGISTRY_HOST_MAX);
    if (!text)
        return;
    if (*text && !is_http(type))
        api_values_fault(in, "host_header is for http and https sockets");
    if (strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:[]") !=
        strlen(text))
        api_values_fault(in, "host_header must be a host name, with a port or without");
    out->host_header = text;
}

static void read_type(struct api_values *in, const struct socket_facts *before, bool is_change,
                      struct api_socket_values *out)
{
    const char *text = api_values_line(in, "socket_type", 1, 16);
    out->type = before ? before->type : SOCKET_HTTP;
    int type = text ? socket_type_parse(text) : (int)out->type;
    if (type < 0)
        api_values_fault(in, "socket_type must be http, https, tls, tcp or passthrough");
    else if (is_change && type != (int)out->type)
        api_values_fault(in, "socket_type can't be changed");
    else
        out->type = (enum socket_type)type;
}

static void read_host(struct api_values *in, const struct socket_facts *before, bool is_change,
                      struct api_socket_values *out)
{
    const char *key = api_values_has(in, "hostname") ? "hostname" : "dnsname";
    const char *text = api_values_line(in, key, 0, REGISTRY_HOST_MAX);
    if (!text || !*text)
        return;
    if (is_change && strcmp(text, before->hostname))
        api_values_fault(in, "%s can't be changed", key);
    else if (!is_change && !socket_type_has_host(out->type))
        api_values_fault(in, "%s is for sockets that are found by a name: a %s socket has a port",
                         key, socket_type_name(out->type));
    out->hostname = is_change ? NULL : text;
}

/* --- The whole --- */

static void read_all(struct api_values *in, const struct socket_facts *before, bool is_change,
                     struct api_socket_values *out)
{
    out->name = is_change ? api_values_line(in, "name", 1, REGISTRY_NAME_MAX)
                          : api_values_needed_line(in, "name", 1, REGISTRY_NAME_MAX);
    out->description = api_values_line(in, "description", 0, REGISTRY_DESCRIPTION_MAX);
    read_type(in, before, is_change, out);
    read_host(in, before, is_change, out);
    out->host_header = before ? before->host_header : NULL;
    read_host_header(in, out->type, out);
    out->https_only = before && before->https_only;
    api_values_flag(in, "https_only", &out->https_only);
    if (out->https_only && !is_http(out->type))
        api_values_fault(in, "https_only is for http and https sockets");
    read_protection(in, out->type, out);
    read_prefixes(in, "allow", &out->access->allow, &out->access->allow_count, &out->has_access);
    read_prefixes(in, "deny", &out->access->deny, &out->access->deny_count, &out->has_access);
    read_client_ca(in, out->type, out);
    read_limits(in, out);
    refuse_cloud(in);
}

struct api_socket_values *api_socket_values_read(struct api_call *call,
                                                 const struct socket_facts *before, bool is_change)
{
    struct api_values in = {.object = call->body};
    struct api_socket_values *out = calloc(1, sizeof *out);
    if (out)
        out->access = socket_access_copy(before ? before->access : NULL);
    if (!out || !out->access) {
        api_socket_values_free(out);
        api_answer_memory(call);
        return NULL;
    }
    read_all(&in, before, is_change, out);
    if (!api_values_refuse(&in, call))
        return out;
    api_socket_values_free(out);
    return NULL;
}

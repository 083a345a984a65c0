/* Accounts and their API in the running server: made, configured anew, ended. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "server/config_api.h"
#include "server/server_internal.h"
#include "server/setup.h"
#include "server/state.h"
#include "server/tunnel_census.h"

#define SECOND 1000000u

static uint64_t wall_clock(void)
{
    return (uint64_t)time(NULL);
}

/* --- Grants --- */

static void add_usage(void *user, const char *owner, uint64_t bytes)
{
    accounts_add_usage(((struct server *)user)->accounts, owner, bytes);
}

static uint64_t usage(void *user, const char *owner)
{
    return accounts_usage(((struct server *)user)->accounts, owner);
}

static uint64_t quota(void *user, const char *owner)
{
    const struct account *account = accounts_find_uuid(((struct server *)user)->accounts, owner);
    return account ? account->quota_bytes : 0;
}

static void end_tunnels(struct server *server, const struct tunnel_census_grant *whom)
{
    tunnel_census_end(server->workers, server->worker_count, whom);
}

static void on_overdue(void *user, const struct grant *grant)
{
    end_tunnels(user, &(struct tunnel_census_grant){.owner = grant->owner,
                                                    .token = grant->token,
                                                    .busy_only = true,
                                                    .reason = "this month's bytes are used up"});
}

static void on_revoked(void *user, const struct accounts_revoked *revoked)
{
    struct server *server = user;
    const struct device_token *token = revoked->token;
    grants_revoke(server->grants, revoked->owner, token, revoked->login);
    end_tunnels(server, &(struct tunnel_census_grant){
                            .owner = revoked->owner,
                            .token = token ? token->id : 0,
                            .login = revoked->login,
                            .reason = token            ? "its token was revoked"
                                      : revoked->login ? "its login was ended"
                                                       : "its account was changed",
                        });
}

static bool is_egress(void *user, const char *rules)
{
    return grant_are_rules(rules);
}

/* --- What the API tells --- */

static bool is_login(const char *path)
{
    return !strcmp(path, "/login");
}

static void on_asked(void *user, const char *path)
{
    struct server *server = user;
    if (is_login(path))
        counter_add(&server->own_counters.logins_pending, 1);
}

static void count_login(struct counters *counters, int status)
{
    counter_add(&counters->logins_pending, -1);
    if (status < 300)
        counter_add(&counters->logins_accepted, 1);
    else if (status == 429)
        counter_add(&counters->logins_delayed, 1);
    else if (status < 500)
        counter_add(&counters->logins_refused, 1);
    else
        counter_add(&counters->logins_failed, 1);
}

static void on_answered(void *user, const char *path, int status)
{
    struct counters *counters = &((struct server *)user)->own_counters;
    _Atomic int64_t *const classes[] = {&counters->api_answers_2xx, &counters->api_answers_3xx,
                                        &counters->api_answers_4xx, &counters->api_answers_5xx};
    if (status >= 200 && status < 600)
        counter_add(classes[status / 100 - 2], 1);
    if (is_login(path))
        count_login(counters, status);
}

/* --- Start --- */

static int open_accounts(struct server *server, char *error, size_t error_size)
{
    const struct serve_settings *settings = &server->config->settings;
    unsigned char key[STATE_KEY_SIZE];
    const struct accounts_options options = {
        .jwt_key = key,
        .login_lifetime = settings->login_lifetime / SECOND,
        .wall_clock = wall_clock,
        .on_revoked = on_revoked,
        .is_egress = is_egress,
        .user = server,
    };
    if (state_ensure_key(settings->state_folder, "jwt.key", key, error, error_size) < 0)
        return -1;
    int result = accounts_new(server->loop, sockets_store(server->sockets), &options,
                              &server->accounts, error, error_size);
    explicit_bzero(key, sizeof key);
    return result;
}

static int open_grants(struct server *server, char *error, size_t error_size)
{
    const struct grants_host host = {add_usage, usage, quota, on_overdue, server};
    if (grants_new(server->loop, &host, &server->grants) < 0) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    server->auth_account = (struct auth_account){server->accounts, server->grants};
    auth_set_judge(server->auth, auth_account_judge, &server->auth_account);
    return 0;
}

/* Where agents go: below the edge's domain, at the port that they may share with visitors. */
static void name_tunnel_server(struct server *server)
{
    uint16_t port = server->edge ? edge_listen_port(server->edge, EDGE_SHARED) : 0;
    if (!port && server->listener_count)
        port = address_port(&server->addresses[0]);
    snprintf(server->glue.tunnel_server, sizeof server->glue.tunnel_server, "%s:%u",
             server->config->settings.edge_domain, port);
}

static size_t find_addresses(const struct server *server, const union address **ret_addresses)
{
    return server->api_listener ? api_listener_addresses(server->api_listener, ret_addresses) : 0;
}

void server_api_url(const struct server *server, char *buffer, size_t size)
{
    const union address *addresses = NULL;
    *buffer = 0;
    if (find_addresses(server, &addresses))
        config_api_url(server->config, &addresses[0], buffer, size);
}

static struct api_options options_of(const struct server *server, char *url, size_t size)
{
    const union address *addresses = NULL;
    size_t count = find_addresses(server, &addresses);
    config_api_url(server->config, count ? &addresses[0] : NULL, url, size);
    return (struct api_options){
        .registration = (enum api_registration)server->config->settings.registration,
        .public_url = url,
    };
}

static int open_api(struct server *server, char *error, size_t error_size)
{
    char url[512];
    struct api_host host;
    const struct api_options options = options_of(server, url, sizeof url);
    server->glue.loop = server->loop;
    server->glue.sockets = server->sockets;
    server->glue.workers = server->workers;
    server->glue.worker_count = server->worker_count;
    name_tunnel_server(server);
    if (api_glue_open(&server->glue, server->config, &host, error, error_size) < 0)
        return -1;
    return api_new(server->loop, server->accounts, sockets_store(server->sockets), &host, &options,
                   &server->api, error, error_size);
}

static int open_listener(struct server *server, char *error, size_t error_size)
{
    const struct config *config = server->config;
    const struct api_listener_options options = {
        .addresses = config->api,
        .address_count = config->api_count,
        .admin_path = config->admin_socket,
        .most_connections = config->settings.max_api_connections,
        .on_asked = on_asked,
        .on_answered = on_answered,
        .user = server,
    };
    struct tls_context *tls = NULL;
    if (config->api_on && setup_make_api(config, &tls, error, error_size) < 0)
        return -1;
    int result = api_listener_open(server->loop, server->api, &options, tls, &server->api_listener,
                                   error, error_size);
    tls_context_unref(tls);
    return result;
}

int server_api_start(struct server *server, char *error, size_t error_size)
{
    if (!server->config->accounts_on)
        return 0;
    if (open_accounts(server, error, error_size) < 0 ||
        open_grants(server, error, error_size) < 0 || open_api(server, error, error_size) < 0 ||
        open_listener(server, error, error_size) < 0)
        return -1;
    server_api_configure(server); /* the listener's real port is known now */
    return 0;
}

/* --- Life --- */

void server_api_configure(struct server *server)
{
    char url[512];
    if (!server->api)
        return;
    const struct api_options options = options_of(server, url, sizeof url);
    server->glue.config = server->config;
    name_tunnel_server(server);
    if (api_configure(server->api, &options) < 0)
        log_write(LOG_ERROR, LOG_NO_FIELDS, "the api's settings stay as they were: out of memory");
}

void server_api_renew(struct server *server)
{
    struct tls_context *tls = NULL;
    char error[512];
    if (!server->api_listener || !server->config->api_on)
        return;
    if (setup_make_api(server->config, &tls, error, sizeof error) < 0) {
        log_write(LOG_ERROR, LOG_NO_FIELDS, "the api's certificate stays as it was: %s", error);
        return;
    }
    api_listener_set_tls(server->api_listener, tls);
    tls_context_unref(tls);
}

/* struct worker_host's on_api: takes it. */
void server_on_api(void *user, struct edge_passed *passed)
{
    struct server *server = user;
    if (server->api_listener && server->config->api_on && !server->stopped) {
        int fd = passed->fd;
        passed->fd = -1;
        api_listener_take(server->api_listener, fd, passed->left, passed->left_size,
                          &passed->visitor);
    }
    edge_passed_free(passed);
}

void server_api_drain(struct server *server)
{
    if (server->api_listener)
        api_listener_drain(server->api_listener);
}

void server_api_stop(struct server *server)
{
    if (server->auth)
        auth_set_judge(server->auth, NULL, NULL);
    api_free(server->api);
    api_listener_close(server->api_listener);
    api_glue_deinit(&server->glue);
    grants_free(server->grants); /* their last sums are for the accounts */
    accounts_free(server->accounts);
}

/* From settings to the snapshot that workers share: addresses, rules and tokens parsed, limits
 * checked. */
#include "server/config.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/tls.h"
#include "server/auth.h"
#include "server/config_api.h"
#include "server/config_edge.h"
#include "server/state.h"

/* Boards are quiet for two minutes between two requests; an idle limit under that would drop them.
 */
#define IDLE_TIMEOUT_MIN 120000000u

struct loading {
    struct config *config;
    char *error;
    size_t error_size;
};

__attribute__((format(printf, 2, 3))) static int fail(const struct loading *loading,
                                                      const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(loading->error, loading->error_size, format, arguments);
    va_end(arguments);
    return -1;
}

static bool is_loopback(const union address *address)
{
    union address plain = address_unmap(address);
    return address_is_loopback(&plain);
}

static int check_settings(const struct loading *loading)
{
    const struct serve_settings *settings = &loading->config->settings;
    if (settings->certificate && !settings->key)
        return fail(loading, "cert is given without key");
    if (settings->key && !settings->certificate)
        return fail(loading, "key is given without cert");
    if (settings->idle_timeout && settings->idle_timeout < IDLE_TIMEOUT_MIN)
        return fail(loading, "idle-timeout must be 0 or at least 120s");
    if (settings->window_max < settings->window)
        return fail(loading, "window-max must be at least as large as window");
    if (settings->credit_limit < settings->window)
        return fail(loading, "credit-limit must be at least as large as window");
    return auth_validate(settings, loading->error, loading->error_size);
}

static int load_addresses(const struct loading *loading, const char *name,
                          const struct setting_list *list, union address **ret_addresses,
                          size_t *ret_count)
{
    *ret_addresses = calloc(list->count + 1, sizeof **ret_addresses);
    if (!*ret_addresses)
        return fail(loading, "out of memory");
    for (size_t i = 0; i < list->count; i++)
        if (address_parse(list->items[i], &(*ret_addresses)[i]) < 0)
            return fail(loading, "%s: \"%.80s\" is not ADDR:PORT, [ADDR]:PORT or PORT", name,
                        list->items[i]);
    *ret_count = list->count;
    return 0;
}

static int check_admin(const struct loading *loading)
{
    const char *text = loading->config->settings.admin;
    union address address;
    if (!text)
        return 0;
    if (address_parse(text, &address) < 0)
        return fail(loading, "admin: \"%.80s\" is not ADDR:PORT", text);
    if (!is_loopback(&address))
        return fail(loading, "admin: %.80s is not a loopback address", text);
    return 0;
}

typedef int add_rule(struct egress_rules *rules, const char *text, char *error, size_t error_size);

static int load_rules(const struct loading *loading, const char *name,
                      const struct setting_list *list, add_rule *add)
{
    char sentence[256];
    for (size_t i = 0; i < list->count; i++)
        if (add(&loading->config->egress, list->items[i], sentence, sizeof sentence) < 0)
            return fail(loading, "%s: %s", name, sentence);
    return 0;
}

static int load_egress(const struct loading *loading)
{
    const struct serve_settings *settings = &loading->config->settings;
    if (load_rules(loading, "egress-deny", &settings->egress_deny, egress_add_deny) < 0 ||
        load_rules(loading, "egress-allow", &settings->egress_allow, egress_add_allow) < 0)
        return -1;
    return 0;
}

static int load_tokens(const struct loading *loading)
{
    struct config *config = loading->config;
    const struct setting_list *list = &config->settings.tokens;
    char sentence[256];
    for (size_t i = 0; i < list->count; i++)
        if (tokens_add(&config->tokens, NULL, list->items[i], sentence, sizeof sentence) < 0)
            return fail(loading, "token: %s", sentence);
    if (!config->settings.token_file)
        return 0;
    if (tokens_read_file(&config->tokens, config->settings.token_file, sentence, sizeof sentence) <
        0)
        return fail(loading, "token-file: %s", sentence);
    return 0;
}

/* Only looking: a check or an explanation makes nothing. */
static bool only_looks(const struct serve_settings *settings)
{
    return settings->check_config || settings->egress_explain;
}

static int find_state_folder(const struct loading *loading)
{
    char folder[4096];
    char **field = &loading->config->settings.state_folder;
    if (*field)
        return 0;
    if (state_default_folder(folder, sizeof folder, loading->error, loading->error_size) < 0)
        return -1;
    *field = strdup(folder);
    return *field ? 0 : fail(loading, "out of memory");
}

static int load_state_token(const struct loading *loading)
{
    struct config *config = loading->config;
    char token[128];
    char sentence[256];
    int result = state_ensure_token(config->settings.state_folder, token, sizeof token,
                                    &config->made_token, loading->error, loading->error_size);
    if (result == 0 && tokens_add(&config->tokens, NULL, token, sentence, sizeof sentence) < 0)
        result = fail(loading, "%s/token: %s", config->settings.state_folder, sentence);
    explicit_bzero(token, sizeof token);
    return result;
}

/* The state folder is touched only for what isn't named in the settings. */
static int load_state(const struct loading *loading)
{
    struct config *config = loading->config;
    const struct serve_settings *settings = &config->settings;
    config->state_token = settings->tokens.count == 0 && !settings->token_file &&
                          !settings->oauth && !settings->auth_exec;
    /* accounts_on: the store, and perhaps a certificate of the edge's */
    if (settings->certificate && !config->state_token && !config->accounts_on)
        return 0;
    if (find_state_folder(loading) < 0)
        return -1;
    if (only_looks(settings))
        return 0;
    if (state_ensure_folder(settings->state_folder, loading->error, loading->error_size) < 0)
        return -1;
    return config->state_token ? load_state_token(loading) : 0;
}

/* As many as there are cores that this process may use. */
static void load_workers(struct config *config)
{
    cpu_set_t cores;
    uint64_t count = 1;
    if (config->settings.workers)
        return;
    if (sched_getaffinity(0, sizeof cores, &cores) == 0)
        count = (uint64_t)CPU_COUNT(&cores);
    config->settings.workers = count < CONFIG_WORKERS_MAX ? count : CONFIG_WORKERS_MAX;
}

static void load_plex(struct config *config)
{
    const struct serve_settings *settings = &config->settings;
    struct plex_config *plex = &config->plex;
    plex_config_init(plex, PLEX_SERVER);
    /* PLEX_INBOUND_OPENS among them: this is the one place that grants it. */
    plex->features = PLEX_FEATURES_ALL;
    if (!config->edge_on) /* nobody would come in */
        plex->features &= ~(uint32_t)PLEX_INBOUND_OPENS;
    /* The table bounds each of these to 32 bits. */
    plex->window = (uint32_t)settings->window;
    plex->window_max = (uint32_t)settings->window_max;
    plex->credit_limit = (uint32_t)settings->credit_limit;
    plex->max_json = (uint32_t)settings->max_json;
    plex->max_substreams = (uint32_t)settings->max_substreams;
    plex->buffer_limit = (uint32_t)settings->buffer_limit;
    plex->stall_time = settings->stall_timeout;
    plex->auth_timeout = settings->auth_timeout;
    plex->frame_timeout = settings->frame_timeout;
    plex->idle_timeout = settings->idle_timeout;
    plex->ping_interval = settings->ping_interval;
    plex->ping_timeout = settings->ping_timeout;
}

static int load(const struct loading *loading, int argc, char **argv)
{
    struct config *config = loading->config;
    const struct serve_settings *settings = &config->settings;
    if (settings_read(&serve_table, argc, argv, &config->settings, NULL, NULL, loading->error,
                      loading->error_size) < 0 ||
        check_settings(loading) < 0 ||
        load_addresses(loading, "listen", &settings->listen, &config->listen,
                       &config->listen_count) < 0 ||
        load_addresses(loading, "listen-old", &settings->listen_old, &config->listen_old,
                       &config->listen_old_count) < 0 ||
        check_admin(loading) < 0 || load_egress(loading) < 0 || load_tokens(loading) < 0 ||
        config_edge_load(config, only_looks(settings), loading->error, loading->error_size) < 0 ||
        config_api_load(config, loading->error, loading->error_size) < 0 ||
        load_state(loading) < 0 ||
        config_api_finish(config, loading->error, loading->error_size) < 0)
        return -1;
    load_workers(config);
    load_plex(config);
    return 0;
}

int config_load(int argc, char **argv, struct config **ret_config, char *error, size_t error_size)
{
    struct config *config = calloc(1, sizeof *config);
    struct loading loading = {config, error, error_size};
    if (!config)
        return fail(&loading, "out of memory");
    config->references = 1;
    if (load(&loading, argc, argv) < 0) {
        config_unref(config);
        return -1;
    }
    *ret_config = config;
    return 0;
}

static int check_certificate(const struct serve_settings *settings, bool old, char *error,
                             size_t error_size)
{
    const struct tls_server_options options = {.certificate_file = settings->certificate,
                                               .key_file = settings->key,
                                               .key_passphrase = settings->key_passphrase,
                                               .old = old};
    struct tls_context *context;
    if (tls_server_new(&options, &context, error, error_size) < 0)
        return -1;
    tls_context_unref(context);
    return 0;
}

int config_check(const struct config *config, char *error, size_t error_size)
{
    const struct serve_settings *settings = &config->settings;
    /* without a certificate the start makes one */
    if (settings->certificate && check_certificate(settings, false, error, error_size) < 0)
        return -1;
    if (settings->certificate && config->listen_old_count &&
        check_certificate(settings, true, error, error_size) < 0)
        return -1;
    return config_edge_check(config, error, error_size);
}

struct config *config_ref(struct config *config)
{
    __atomic_add_fetch(&config->references, 1, __ATOMIC_RELAXED);
    return config;
}

void config_unref(struct config *config)
{
    if (!config || __atomic_sub_fetch(&config->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    config_edge_deinit(config);
    config_api_deinit(config);
    settings_free(&serve_table, &config->settings);
    free(config->listen);
    free(config->listen_old);
    egress_deinit(&config->egress);
    tokens_deinit(&config->tokens);
    free(config);
}

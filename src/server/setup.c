#include "server/setup.h"

#include <limits.h>
#include <stdio.h>

#include "net/pki.h"
#include "server/state.h"

void setup_certificate(const struct config *config, bool old, char *certificate, char *key,
                       size_t size)
{
    const struct serve_settings *settings = &config->settings;
    const char *below = old ? "/old" : "";
    if (settings->certificate) {
        snprintf(certificate, size, "%s", settings->certificate);
        snprintf(key, size, "%s", settings->key);
    } else {
        snprintf(certificate, size, "%s%s/server.pem", settings->state_folder, below);
        snprintf(key, size, "%s%s/server.key", settings->state_folder, below);
    }
}

bool setup_shuts_out_old(const struct config *config)
{
    return config->settings.certificate && !pki_is_rsa(config->settings.certificate);
}

void setup_drop(struct worker_setup *setup)
{
    tls_context_unref(setup->tls);
    tls_context_unref(setup->tls_old);
    tls_context_unref(setup->tls_client);
    config_unref(setup->config);
    *setup = (struct worker_setup){0};
}

static int make_server(const struct config *config, bool old, struct tls_context **ret_context,
                       char *error, size_t error_size)
{
    const struct serve_settings *settings = &config->settings;
    char certificate[PATH_MAX], key[PATH_MAX];
    struct tls_server_options options = {
        .certificate_file = certificate,
        .key_file = key,
        .key_passphrase = settings->certificate ? settings->key_passphrase : NULL,
        .old = old,
    };
    setup_certificate(config, old, certificate, key, sizeof certificate);
    if (!settings->certificate) {
        int result = old ? state_ensure_old_certificate(settings->state_folder, error, error_size)
                         : state_ensure_certificate(settings->state_folder, error, error_size);
        if (result < 0)
            return -1;
    }
    return tls_server_new(&options, ret_context, error, error_size);
}

int setup_make(struct config *config, bool old, struct worker_setup *ret_setup, char *error,
               size_t error_size)
{
    struct worker_setup setup = {.config = config_ref(config)};
    struct tls_client_options client = {.cache_sessions = true};
    if (make_server(config, false, &setup.tls, error, error_size) < 0 ||
        (old && make_server(config, true, &setup.tls_old, error, error_size) < 0) ||
        tls_client_new(&client, &setup.tls_client, error, error_size) < 0) {
        setup_drop(&setup);
        return -1;
    }
    *ret_setup = setup;
    return 0;
}

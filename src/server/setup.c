#include "server/setup.h"

#include <limits.h>
#include <stdio.h>

#include "server/state.h"

void setup_certificate(const struct config *config, char *certificate, char *key, size_t size)
{
    const struct serve_settings *settings = &config->settings;
    if (settings->certificate) {
        snprintf(certificate, size, "%s", settings->certificate);
        snprintf(key, size, "%s", settings->key);
    } else {
        snprintf(certificate, size, "%s/server.pem", settings->state_folder);
        snprintf(key, size, "%s/server.key", settings->state_folder);
    }
}

void setup_drop(struct worker_setup *setup)
{
    tls_context_unref(setup->tls);
    tls_context_unref(setup->tls_old);
    tls_context_unref(setup->tls_client);
    config_unref(setup->config);
    *setup = (struct worker_setup){0};
}

int setup_make(struct config *config, struct worker_setup *ret_setup, char *error,
               size_t error_size)
{
    char certificate[PATH_MAX], key[PATH_MAX];
    struct worker_setup setup = {.config = config_ref(config)};
    setup_certificate(config, certificate, key, sizeof certificate);
    struct tls_server_options server = {
        .certificate_file = certificate,
        .key_file = key,
        .key_passphrase = config->settings.certificate ? config->settings.key_passphrase : NULL,
    };
    struct tls_client_options client = {.cache_sessions = true};
    if (!config->settings.certificate &&
        state_ensure_certificate(config->settings.state_folder, error, error_size) < 0)
        goto failed;
    if (tls_server_new(&server, &setup.tls, error, error_size) < 0)
        goto failed;
    server.old = true;
    if (tls_server_new(&server, &setup.tls_old, error, error_size) < 0)
        goto failed;
    if (tls_client_new(&client, &setup.tls_client, error, error_size) < 0)
        goto failed;
    *ret_setup = setup;
    return 0;

failed:
    setup_drop(&setup);
    return -1;
}

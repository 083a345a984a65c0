#include "server/setup.h"

#include <limits.h>
#include <stdio.h>

#include "net/pki.h"
#include "server/config_edge.h"
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
    tls_context_unref(setup->tls_edge);
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
        .alpn = old ? NULL : "streamplex/1",
        .old = old,
    };
    setup_certificate(config, old, certificate, key, sizeof certificate);
    if (!settings->certificate) {
        int result = old ? state_ensure_old_certificate(settings->state_folder, error, error_size)
                         : state_ensure_certificate(settings->state_folder,
                                                    config->edge_on ? settings->edge_domain : NULL,
                                                    error, error_size);
        if (result < 0)
            return -1;
    }
    return tls_server_new(&options, ret_context, error, error_size);
}

/* The edge's, chosen by the name that a visitor asks for. *ret_certificates stays NULL without an
 * edge. */
static int load_edge(const struct config *config, struct tls_certificates **ret_certificates,
                     char *error, size_t error_size)
{
    const struct serve_settings *settings = &config->settings;
    char certificate[PATH_MAX], key[PATH_MAX];
    struct tls_certificate_file file;
    if (!config->edge_on)
        return 0;
    if (config_edge_makes_certificate(config) &&
        state_ensure_edge_certificate(settings->state_folder, settings->edge_domain, error,
                                      error_size) < 0)
        return -1;
    config_edge_certificate(config, certificate, key, sizeof certificate, &file);
    return tls_certificates_load(&file, 1, settings->edge_certificates, ret_certificates, error,
                                 error_size);
}

static int make_edge(struct tls_certificates *certificates, struct tls_context **ret_context,
                     char *error, size_t error_size)
{
    const struct tls_server_options options = {
        .certificates = certificates,
        .alpn = "http/1.1",
        /* A visitor's session is none of a device's, though both come to one port. */
        .session_id_context = "streamplex edge",
    };
    return certificates ? tls_server_new(&options, ret_context, error, error_size) : 0;
}

static int make_one(struct config *config, bool old, struct tls_certificates *certificates,
                    struct worker_setup *setup, char *error, size_t error_size)
{
    const struct tls_client_options client = {.cache_sessions = true};
    *setup = (struct worker_setup){.config = config_ref(config)};
    if (make_server(config, false, &setup->tls, error, error_size) < 0 ||
        (old && make_server(config, true, &setup->tls_old, error, error_size) < 0) ||
        make_edge(certificates, &setup->tls_edge, error, error_size) < 0 ||
        tls_client_new(&client, &setup->tls_client, error, error_size) < 0) {
        setup_drop(setup);
        return -1;
    }
    return 0;
}

int setup_make(struct config *config, bool old, struct worker_setup *setups, size_t count,
               char *error, size_t error_size)
{
    struct tls_certificates *certificates = NULL;
    size_t made = 0;
    if (load_edge(config, &certificates, error, error_size) < 0)
        return -1;
    while (made < count &&
           make_one(config, old, certificates, &setups[made], error, error_size) == 0)
        made++;
    tls_certificates_unref(certificates);
    if (made == count)
        return 0;
    while (made-- > 0)
        setup_drop(&setups[made]);
    return -1;
}

int setup_make_api(const struct config *config, struct tls_context **ret_context, char *error,
                   size_t error_size)
{
    const struct serve_settings *settings = &config->settings;
    char certificate[PATH_MAX], key[PATH_MAX], edge_certificate[PATH_MAX], edge_key[PATH_MAX];
    struct tls_certificate_file files[2] = {{certificate, key, NULL}};
    struct tls_certificates *certificates;
    size_t count = config->edge_on ? 2 : 1;
    setup_certificate(config, false, certificate, key, sizeof certificate);
    if (settings->certificate)
        files[0].key_passphrase = settings->key_passphrase;
    if (config->edge_on)
        config_edge_certificate(config, edge_certificate, edge_key, sizeof edge_certificate,
                                &files[1]);
    if (tls_certificates_load(files, count, config->edge_on ? settings->edge_certificates : NULL,
                              &certificates, error, error_size) < 0)
        return -1;
    const struct tls_server_options options = {
        .certificates = certificates,
        .alpn = "http/1.1",
        /* A client's session here is none of a visitor's. */
        .session_id_context = "streamplex api",
    };
    int result = tls_server_new(&options, ret_context, error, error_size);
    tls_certificates_unref(certificates);
    return result;
}

#include "server/config_edge.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edge/access_log.h"
#include "net/secret.h"
#include "net/tls.h"
#include "net/tls_folder.h"
#include "server/serve_check.h"
#include "server/state.h"

#define CDN_ID_BYTES 8 /* so that no two servers have the same */

/* --- Loading --- */

static int load_addresses(const struct setting_list *list, union address **ret_addresses,
                          size_t *ret_count)
{
    union address *addresses = calloc(list->count + 1, sizeof *addresses);
    *ret_addresses = addresses;
    if (!addresses)
        return -1;
    for (size_t i = 0; i < list->count; i++)
        if (address_parse(list->items[i], &addresses[i]) < 0)
            return -1;
    *ret_count = list->count;
    return 0;
}

static int load_trusted(struct config *config)
{
    const struct setting_list *list = &config->settings.trusted_proxies;
    config->trusted = calloc(list->count + 1, sizeof *config->trusted);
    if (!config->trusted)
        return -1;
    for (size_t i = 0; i < list->count; i++)
        if (prefix_parse(list->items[i], strlen(list->items[i]), &config->trusted[i]) < 0)
            return -1;
    config->edge.trusted = config->trusted;
    config->edge.trusted_count = list->count;
    return 0;
}

static void lower(char *text)
{
    for (; *text; text++)
        *text = (char)tolower((unsigned char)*text);
}

static int check_pair(const struct serve_settings *settings, char *error, size_t error_size)
{
    const char *problem = NULL;
    if (settings->edge_certificate && !settings->edge_key)
        problem = "edge-cert is given without edge-key";
    else if (settings->edge_key && !settings->edge_certificate)
        problem = "edge-key is given without edge-cert";
    if (!problem)
        return 0;
    snprintf(error, error_size, "%s", problem);
    return -1;
}

static void load_facts(struct config *config)
{
    const struct serve_settings *settings = &config->settings;
    lower(settings->edge_domain);
    for (size_t i = 0; i < settings->edge_custom_domains.count; i++)
        lower(settings->edge_custom_domains.items[i]);
    config->edge.domain = settings->edge_domain;
    config->edge.acme_webroot = settings->acme_webroot;
    config->edge.head_timeout = settings->head_timeout;
    config->edge.keepalive = settings->keepalive_timeout;
    config->edge.handshake_timeout = settings->handshake_timeout;
    config->edge.answer_timeout = settings->answer_timeout;
    config->edge.head_max = settings->max_head;
}

int config_edge_load(struct config *config, bool only_looks, char *error, size_t error_size)
{
    const struct serve_settings *settings = &config->settings;
    if (load_addresses(&settings->edge_http, &config->edge_http, &config->edge_http_count) < 0 ||
        load_addresses(&settings->edge_https, &config->edge_https, &config->edge_https_count) < 0 ||
        load_addresses(&settings->shared_443, &config->shared_443, &config->shared_443_count) < 0 ||
        load_trusted(config) < 0 ||
        address_from_host(settings->edge_bind, 0, &config->edge_bind) < 0 ||
        serve_parse_ports(settings->edge_ports, &config->edge_first_port, &config->edge_last_port) <
            0) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    load_facts(config);
    config->edge_on =
        config->edge_http_count + config->edge_https_count + config->shared_443_count > 0;
    if (check_pair(settings, error, error_size) < 0)
        return -1;
    if (!config->edge_on || only_looks || !settings->access_log)
        return 0;
    return access_log_open(settings->access_log, settings->access_log_format == 1,
                           &config->edge.access_log, error, error_size);
}

void config_edge_deinit(struct config *config)
{
    access_log_unref(config->edge.access_log);
    free(config->edge_http);
    free(config->edge_https);
    free(config->shared_443);
    free(config->trusted);
}

/* --- Once it runs --- */

void config_set_edge_ports(struct config *config, uint16_t http_port, uint16_t https_port)
{
    uint16_t public_port = (uint16_t)config->settings.edge_public_port;
    config->edge_http_port = http_port;
    config->edge_https_listener = https_port;
    config->edge.https_port = public_port ? public_port : https_port;
}

int config_name_edge(struct config *config, char *error, size_t error_size)
{
    static const char purpose[] = "CDN-Loop"; /* no login's text, which the key signs, is like it */
    unsigned char key[STATE_KEY_SIZE], digest[32];
    if (!config->edge_on)
        return 0;
    if (state_ensure_key(config->settings.state_folder, "jwt.key", key, error, error_size) < 0)
        return -1;
    int result = secret_hmac(key, sizeof key, purpose, strlen(purpose), digest);
    explicit_bzero(key, sizeof key);
    if (result < 0) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    int length = snprintf(config->cdn_id, sizeof config->cdn_id, "streamplex-");
    for (int i = 0; i < CDN_ID_BYTES; i++)
        snprintf(config->cdn_id + length + 2 * i, 3, "%02x", digest[i]);
    config->edge.cdn_id = config->cdn_id;
    return 0;
}

void config_keep_edge(struct config *config, const struct config *before)
{
    config_set_edge_ports(config, before->edge_http_port, before->edge_https_listener);
    memcpy(config->cdn_id, before->cdn_id, sizeof config->cdn_id);
    config->edge.cdn_id = before->edge.cdn_id ? config->cdn_id : NULL;
}

/* --- Certificates and other files --- */

bool config_edge_makes_certificate(const struct config *config)
{
    return !config->settings.edge_certificate;
}

void config_edge_certificate(const struct config *config, char *made_certificate, char *made_key,
                             size_t size, struct tls_certificate_file *file)
{
    const struct serve_settings *settings = &config->settings;
    if (settings->edge_certificate) {
        *file = (struct tls_certificate_file){.certificate_file = settings->edge_certificate,
                                              .key_file = settings->edge_key,
                                              .key_passphrase = settings->edge_key_passphrase};
        return;
    }
    snprintf(made_certificate, size, "%s/edge/server.pem", settings->state_folder);
    snprintf(made_key, size, "%s/edge/server.key", settings->state_folder);
    *file = (struct tls_certificate_file){
        .certificate_file = made_certificate, .key_file = made_key, .is_spare = true};
}

/* In a folder, and nowhere else, there may be none yet: the start makes one. */
static int check_folder_alone(const char *path, char *error, size_t error_size)
{
    struct tls_certificates *certificates;
    struct tls_folder found = {0};
    if (tls_folder_scan(path, &found, error, error_size) < 0)
        return -1;
    bool is_empty = !found.count;
    tls_folder_deinit(&found);
    if (is_empty)
        return 0;
    if (tls_certificates_load(NULL, 0, path, &certificates, error, error_size) < 0)
        return -1;
    tls_certificates_unref(certificates);
    return 0;
}

static int check_certificates(const struct config *config, char *error, size_t error_size)
{
    const struct serve_settings *settings = &config->settings;
    struct tls_certificates *certificates;
    struct tls_certificate_file file;
    if (config_edge_makes_certificate(config))
        return settings->edge_certificates
                   ? check_folder_alone(settings->edge_certificates, error, error_size)
                   : 0;
    config_edge_certificate(config, NULL, NULL, 0, &file);
    if (tls_certificates_load(&file, 1, settings->edge_certificates, &certificates, error,
                              error_size) < 0)
        return -1;
    tls_certificates_unref(certificates);
    return 0;
}

static int check_folder(const char *name, const char *folder, char *error, size_t error_size)
{
    struct stat status;
    int fault = 0;
    if (stat(folder, &status) < 0)
        fault = errno;
    else if (!S_ISDIR(status.st_mode))
        fault = ENOTDIR;
    else if (access(folder, R_OK | X_OK) < 0)
        fault = errno;
    if (!fault)
        return 0;
    snprintf(error, error_size, "%s: %s: %s", name, folder, strerror(fault));
    return -1;
}

/* Without making it: can the file be appended to, or made? */
static int check_access_log(const char *file, char *error, size_t error_size)
{
    const char *slash = strrchr(file, '/');
    char folder[4096];
    int fd = open(file, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd >= 0) {
        close(fd);
        return 0;
    }
    int fault = errno;
    if (fault == ENOENT) {
        snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - file) + 1 : 1,
                 slash ? file : ".");
        fault = access(folder, W_OK | X_OK) < 0 ? errno : 0;
    }
    if (!fault)
        return 0;
    snprintf(error, error_size, "access-log: %s: %s", file, strerror(fault));
    return -1;
}

int config_edge_check(const struct config *config, char *error, size_t error_size)
{
    const struct serve_settings *settings = &config->settings;
    if (!config->edge_on)
        return 0;
    if (check_certificates(config, error, error_size) < 0)
        return -1;
    if (settings->acme_webroot &&
        check_folder("acme-webroot", settings->acme_webroot, error, error_size) < 0)
        return -1;
    return settings->access_log ? check_access_log(settings->access_log, error, error_size) : 0;
}

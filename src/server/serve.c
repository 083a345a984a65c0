#include "server/serve.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "server/config.h"
#include "server/explain.h"
#include "server/server.h"
#include "server/setup.h"

#define ERROR_MAX 512

/* A tunnel and a target take a descriptor each: the hard limit is there to be used. */
static void raise_descriptor_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

static void print_command(const struct serve_settings *settings, const union address *address,
                          const char *label, const char *command, const char *arguments)
{
    printf("  %s streamplex %s --server localhost:%u --ca %s/ca.pem --token-file %s/token %s\n",
           label, command, address_port(address), settings->state_folder, settings->state_folder,
           arguments);
}

static void print_edge(const struct config *config, const struct server *server)
{
    static const char *const kinds[] = {
        [EDGE_HTTP] = "http", [EDGE_HTTPS] = "https", [EDGE_SHARED] = "https and tunnels"};
    char text[ADDRESS_TEXT_MAX];
    for (size_t i = 0; i < server_edge_count(server); i++) {
        enum edge_entry entry;
        const union address *address = server_edge_address(server, i, &entry);
        printf("  visitors       %s   (%s; names below %s)\n", address_format(address, text),
               kinds[entry], config->edge.domain);
    }
}

static void print_api(const struct config *config, const struct server *server)
{
    char url[512];
    server_api_url(server, url, sizeof url);
    if (!*url)
        return;
    printf("  accounts       %s\n", url);
    if (config->admin_socket)
        printf("  a first one    streamplex admin user add --admin-socket %s --name NAME --email "
               "EMAIL\n",
               config->admin_socket);
}

/* For a newcomer: where it listens, what to trust, and the command for a device. Scripts read the
 * log instead. */
static void print_welcome(const struct config *config, const struct server *server)
{
    const struct serve_settings *settings = &config->settings;
    const union address *addresses;
    size_t count = server_addresses(server, &addresses);
    char text[ADDRESS_TEXT_MAX];
    const union address *modern = NULL;
    printf("streamplex serves tunnels\n");
    for (size_t i = 0; i < count; i++) {
        bool old = server_is_old(server, i);
        printf("  listening on   %s%s\n", address_format(&addresses[i], text),
               old ? "   (for old boards)" : "");
        if (!old && !modern)
            modern = &addresses[i];
    }
    print_edge(config, server);
    print_api(config, server);
    if (!settings->certificate)
        printf("  CA file        %s/ca.pem   (devices trust this)\n", settings->state_folder);
    if (!settings->certificate && server_has_old(server))
        printf("  CA, old boards %s/old/ca.pem   (its text goes into a board's PROXY_CERT)\n",
               settings->state_folder);
    if (config->state_token)
        printf("  token file     %s/token   (for your own device; keep it to yourself)\n",
               settings->state_folder);
    if (modern && !settings->certificate && config->state_token) {
        print_command(settings, modern, "a device here ", "dial", "HOST:PORT");
        if (config->edge_on)
            print_command(settings, modern, "a service here", "connect", "--port PORT");
    }
    fflush(stdout);
}

static int fail(const char *error)
{
    fprintf(stderr, "streamplex serve: %s\n", error);
    return 1;
}

static int check(const struct config *config)
{
    char error[ERROR_MAX];
    if (config_check(config, error, sizeof error) < 0)
        return fail(error);
    printf("the configuration is valid\n");
    return 0;
}

int serve_main(int argc, char **argv)
{
    struct config *config = NULL;
    struct server *server = NULL;
    char error[ERROR_MAX];
    if (settings_answer_help(&serve_table, argc, argv, stdout))
        return 0;
    if (config_load(argc, argv, &config, error, sizeof error) < 0)
        return fail(error);
    if (config->settings.check_config || config->settings.egress_explain) {
        int status = config->settings.check_config
                         ? check(config)
                         : explain_run(config, config->settings.egress_explain);
        config_unref(config);
        return status;
    }
    raise_descriptor_limit();
    log_configure((enum log_level)config->settings.log_level,
                  (enum log_format)config->settings.log_format);
    if (server_new(config, argc, argv, &server, error, sizeof error) < 0)
        return fail(error);
    print_welcome(config, server);
    int status = server_run(server);
    server_free(server);
    return status;
}

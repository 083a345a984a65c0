#include "bench/rig_server.h"

#include <errno.h>
#include <jansson.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/pki.h"

#define SERVER_WAIT_MS 15000
#define SERVER_STOP_MS 5000

/* The address of `wanted` from a line of the server's log; false for any other line. */
static bool find_listener(const char *line, const char *wanted, union address *ret_address)
{
    json_t *json = json_loads(line, 0, NULL);
    const char *message = NULL, *listener = NULL, *address = NULL;
    bool found = json &&
                 json_unpack(json, "{s:s, s:s, s:s}", "message", &message, "listener", &listener,
                             "address", &address) == 0 &&
                 strcmp(message, "listening") == 0 && strcmp(listener, wanted) == 0 &&
                 address_parse(address, ret_address) == 0;
    json_decref(json);
    return found;
}

/* True when the log names all addresses that we need. */
static bool scan_log(struct rig *rig, const char *path, char *last, size_t last_size)
{
    FILE *file = fopen(path, "re");
    char line[4096];
    bool tunnels = false, http = !rig->options->edge, https = http;
    while (file && fgets(line, sizeof(line), file)) {
        tunnels = tunnels || find_listener(line, "tunnels", &rig->tunnels);
        http = http || find_listener(line, "edge-http", &rig->edge_http);
        https = https || find_listener(line, "edge-https", &rig->edge_https);
        line[strcspn(line, "\n")] = 0;
        snprintf(last, last_size, "%s", line);
        if (tunnels && http && https) {
            break;
        }
    }
    if (file) {
        fclose(file);
    }
    return tunnels && http && https;
}

int rig_make_token(struct rig *rig, char *error, size_t error_size)
{
    unsigned char random[24];
    char path[RIG_PATH_SIZE];
    if (pki_random(random, sizeof(random)) < 0) {
        snprintf(error, error_size, "no random numbers");
        return -1;
    }
    for (size_t i = 0; i < sizeof(random); i++) {
        snprintf(rig->client.token + 2 * i, 3, "%02x", random[i]);
    }
    rig_path(rig, "bench-token", path);
    FILE *file = fopen(path, "we");
    if (!file || chmod(path, 0600) < 0 || fprintf(file, "%s\n", rig->client.token) < 0 ||
        fclose(file) != 0) {
        snprintf(error, error_size, "%s: %s", path, strerror(errno));
        return -1;
    }
    return 0;
}

static int wait_for_listener(struct rig *rig, const char *log, char *error, size_t error_size)
{
    char last[4096] = "";
    for (int waited = 0; waited < SERVER_WAIT_MS; waited += 20) {
        if (scan_log(rig, log, last, sizeof(last))) {
            rig->server_pid = rig->server.pid;
            rig->client.server = rig->tunnels;
            rig->server_found = true;
            return 0;
        }
        if (!process_is_alive(&rig->server)) {
            break;
        }
        poll(NULL, 0, 20);
    }
    snprintf(error, error_size, "the server doesn't start: %s", last);
    return -1;
}

/* Where it listened before, or anywhere. */
static void choose_address(const struct rig *rig, const union address *before,
                           char text[ADDRESS_TEXT_MAX])
{
    snprintf(text, ADDRESS_TEXT_MAX, "127.0.0.1:0");
    if (rig->server_found && rig->options->edge) {
        address_format(before, text);
    }
}

static int start_with(struct rig *rig, char **fixed, size_t count, char **edge, size_t edge_count,
                      const char *log)
{
    const struct setting_list *more = &rig->options->server_options;
    char **argv = calloc(count + edge_count + more->count + 1, sizeof(*argv));
    if (!argv) {
        return -1;
    }
    memcpy(argv, fixed, count * sizeof(*argv));
    if (rig->options->edge) {
        memcpy(argv + count, edge, edge_count * sizeof(*argv));
        count += edge_count;
    }
    for (size_t i = 0; i < more->count; i++) {
        argv[count + i] = more->items[i];
    }
    int failed =
        process_start_program(rig->options->program, argv, rig->server_core, log, -1, &rig->server);
    free(argv);
    return failed;
}

int rig_start_server(struct rig *rig, char *error, size_t error_size)
{
    char token[RIG_PATH_SIZE], log[RIG_PATH_SIZE], certificate[RIG_PATH_SIZE], key[RIG_PATH_SIZE];
    char edge_certificate[RIG_PATH_SIZE], edge_key[RIG_PATH_SIZE];
    char tunnels[ADDRESS_TEXT_MAX], http[ADDRESS_TEXT_MAX], https[ADDRESS_TEXT_MAX];
    rig_path(rig, "bench-token", token);
    rig_path(rig, "server.log", log);
    rig_path(rig, "server.pem", certificate);
    rig_path(rig, "server.key", key);
    rig_path(rig, "edge/server.pem", edge_certificate);
    rig_path(rig, "edge/server.key", edge_key);
    choose_address(rig, &rig->tunnels, tunnels);
    choose_address(rig, &rig->edge_http, http);
    choose_address(rig, &rig->edge_https, https);
    unlink(log);
    char *fixed[] = {
        "streamplex",
        "serve",
        "--listen",
        tunnels,
        "--state",
        rig->folder,
        "--cert",
        certificate,
        "--key",
        key,
        "--token-file",
        token,
        "--egress-allow",
        "127.0.0.0/8",
        "--workers",
        "1",
        "--log-format",
        "json",
        "--idle-timeout",
        "0",
        "--drain",
        "1s",
        /* Caps that are there against abuse, and that the bench itself would meet. */
        "--max-substreams",
        "32767",
        "--max-unauthed-per-address",
        "4096",
    };
    char *edge[] = {
        "--edge-http",
        http,
        "--edge-https",
        https,
        "--edge-bind",
        "127.0.0.1",
        "--edge-ports",
        RIG_EDGE_PORTS,
        "--edge-domain",
        RIG_EDGE_DOMAIN,
        "--edge-cert",
        edge_certificate,
        "--edge-key",
        edge_key,
        /* Likewise; and all but a few of the descriptors are visitors', or tunnels'. */
        "--max-tunnels",
        "19000",
        "--max-tunnels-per-address",
        "19000",
        "--max-visitors",
        "19000",
        "--max-visitors-per-address",
        "19000",
        "--max-sockets-per-owner",
        "0",
    };
    if (start_with(rig, fixed, sizeof(fixed) / sizeof(fixed[0]), edge,
                   sizeof(edge) / sizeof(edge[0]), log) < 0) {
        snprintf(error, error_size, "the server can't be started");
        return -1;
    }
    return wait_for_listener(rig, log, error, error_size);
}

/* The name before the port is what its certificate is for. */
int rig_find_server(struct rig *rig, char *error, size_t error_size)
{
    const struct bench_options *options = rig->options;
    struct client *client = &rig->client;
    struct endpoint server;
    char port[8];
    if (reach_find_server(&options->reach, error, error_size, &server) < 0) {
        return -1;
    }
    snprintf(port, sizeof(port), "%u", server.port);
    snprintf(client->server_name, sizeof(client->server_name), "%s",
             options->server_name ? options->server_name : server.host);
    struct addrinfo *found = NULL, hints = {.ai_socktype = SOCK_STREAM};
    int failed = getaddrinfo(server.host, port, &hints, &found);
    if (failed) {
        snprintf(error, error_size, "--server %s: %s", options->reach.server, gai_strerror(failed));
        return -1;
    }
    memcpy(&client->server, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    rig->server_pid = (pid_t)options->server_pid;
    return 0;
}

int rig_find_token(struct rig *rig, char *error, size_t error_size)
{
    char *token;
    if (reach_find_token(&rig->options->reach, error, error_size, &token) < 0) {
        return -1;
    }
    snprintf(rig->client.token, sizeof(rig->client.token), "%s", token);
    explicit_bzero(token, strlen(token));
    free(token);
    return 0;
}

static void show_log(const struct rig *rig)
{
    char path[RIG_PATH_SIZE], tail[4096];
    rig_path(rig, "server.log", path);
    FILE *file = fopen(path, "re");
    if (!file) {
        return;
    }
    if (fseek(file, -(long)sizeof(tail) + 1, SEEK_END) < 0) {
        rewind(file);
    }
    size_t size = fread(tail, 1, sizeof(tail) - 1, file);
    fclose(file);
    fprintf(stderr, "streamplex bench: the end of the server's log:\n%.*s\n", (int)size, tail);
}

void rig_stop_server(struct rig *rig)
{
    int fault = process_stop(&rig->server, SERVER_STOP_MS);
    if (fault) {
        rig->server_fault = fault;
        show_log(rig);
    }
}

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

/* The tunnels' address from a line of the server's log; false for any other line. */
static bool find_listener(const char *line, union address *ret_address)
{
    json_t *json = json_loads(line, 0, NULL);
    const char *message = NULL, *listener = NULL, *address = NULL;
    bool found = json &&
                 json_unpack(json, "{s:s, s:s, s:s}", "message", &message, "listener", &listener,
                             "address", &address) == 0 &&
                 strcmp(message, "listening") == 0 && strcmp(listener, "tunnels") == 0 &&
                 address_parse(address, ret_address) == 0;
    json_decref(json);
    return found;
}

static bool scan_log(const char *path, union address *ret_address, char *last, size_t last_size)
{
    FILE *file = fopen(path, "re");
    char line[4096];
    bool found = false;
    while (file && !found && fgets(line, sizeof(line), file)) {
        found = find_listener(line, ret_address);
        line[strcspn(line, "\n")] = 0;
        snprintf(last, last_size, "%s", line);
    }
    if (file) {
        fclose(file);
    }
    return found;
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
        if (scan_log(log, &rig->client.server, last, sizeof(last))) {
            rig->server_pid = rig->server.pid;
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

int rig_start_server(struct rig *rig, char *error, size_t error_size)
{
    char token[RIG_PATH_SIZE], log[RIG_PATH_SIZE], certificate[RIG_PATH_SIZE], key[RIG_PATH_SIZE];
    rig_path(rig, "bench-token", token);
    rig_path(rig, "server.log", log);
    rig_path(rig, "server.pem", certificate);
    rig_path(rig, "server.key", key);
    unlink(log);
    char *fixed[] = {
        "streamplex",
        "serve",
        "--listen",
        "127.0.0.1:0",
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
    size_t count = sizeof(fixed) / sizeof(fixed[0]);
    const struct setting_list *more = &rig->options->server_options;
    char **argv = calloc(count + more->count + 1, sizeof(*argv));
    if (!argv) {
        return -1;
    }
    memcpy(argv, fixed, sizeof(fixed));
    for (size_t i = 0; i < more->count; i++) {
        argv[count + i] = more->items[i];
    }
    int failed =
        process_start_program(rig->options->program, argv, rig->server_core, log, -1, &rig->server);
    free(argv);
    return failed ? -1 : wait_for_listener(rig, log, error, error_size);
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

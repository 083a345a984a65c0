#include "bench/rig.h"

#include <errno.h>
#include <ftw.h>
#include <jansson.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/pki.h"
#include "net/signals.h"
#include "net/tls.h"

#define SERVER_WAIT_MS 15000
#define SERVER_STOP_MS 5000
#define PATH_SIZE      128

static void *plex_alloc(void *user, size_t size)
{
    (void)user;
    return malloc(size);
}

static void plex_release(void *user, void *memory, size_t size)
{
    (void)user;
    (void)size;
    free(memory);
}

static const struct plex_allocator allocator = {.alloc = plex_alloc, .free = plex_release};

static void path_in(const struct rig *rig, const char *name, char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%s/%s", rig->folder, name);
}

static int loopback(uint16_t port, union address *ret_address)
{
    return address_from_host("127.0.0.1", port, ret_address);
}

/* --- Targets and hop --- */

/* Ports that a child printed on one line. */
static int read_ports(struct process *process, uint16_t *ports, int count)
{
    char line[256];
    if (process_read_line(process, line, sizeof(line)) < 0) {
        return -1;
    }
    char *at = line;
    for (int i = 0; i < count; i++) {
        long port = strtol(at, &at, 10);
        if (port < 1 || port > UINT16_MAX) {
            return -1;
        }
        ports[i] = (uint16_t)port;
    }
    return 0;
}

static int start_targets(struct rig *rig, char *error, size_t error_size)
{
    rig->counters_fd = memfd_create("bench-counters", MFD_CLOEXEC);
    if (rig->counters_fd < 0 || ftruncate(rig->counters_fd, sizeof(*rig->counters)) < 0) {
        snprintf(error, error_size, "no shared memory: %s", strerror(errno));
        return -1;
    }
    void *memory = mmap(NULL, sizeof(*rig->counters), PROT_READ, MAP_SHARED, rig->counters_fd, 0);
    if (memory == MAP_FAILED) {
        snprintf(error, error_size, "no shared memory: %s", strerror(errno));
        return -1;
    }
    rig->counters = memory;
    char fd[16];
    snprintf(fd, sizeof(fd), "%d", rig->counters_fd);
    char *argv[] = {"streamplex", "bench", "@targets", rig->options->target_host, fd, NULL};
    uint16_t ports[TARGET_COUNT];
    if (process_start(argv, rig->client_core, NULL, rig->counters_fd, &rig->targets) < 0 ||
        read_ports(&rig->targets, ports, TARGET_COUNT) < 0) {
        snprintf(error, error_size, "the targets don't start");
        return -1;
    }
    struct client *client = &rig->client;
    for (int kind = 0; kind < TARGET_COUNT; kind++) {
        if (address_from_host(rig->options->target_host, ports[kind], &client->targets[kind]) < 0) {
            snprintf(error, error_size, "--target-host: not an address");
            return -1;
        }
        client->plain[kind] = client->targets[kind];
    }
    client->target_hosts = strncmp(rig->options->target_host, "127.", 4) == 0 ? 8 : 1;
    return 0;
}

static int start_hop(struct rig *rig, char *error, size_t error_size)
{
    char certificate[PATH_SIZE], key[PATH_SIZE], log[PATH_SIZE];
    char targets[TARGET_COUNT][ADDRESS_TEXT_MAX];
    path_in(rig, "server.pem", certificate);
    path_in(rig, "server.key", key);
    path_in(rig, "hop.log", log);
    char *argv[6 + TARGET_COUNT + 1] = {"streamplex", "bench", "@hop", certificate, key};
    for (int kind = 0; kind < TARGET_COUNT; kind++) {
        address_format(&rig->client.targets[kind], targets[kind]);
        argv[5 + kind] = targets[kind];
    }
    argv[5 + TARGET_COUNT] = "-";
    uint16_t ports[TARGET_COUNT + 1];
    if (process_start(argv, rig->server_core, log, -1, &rig->hop) < 0 ||
        read_ports(&rig->hop, ports, TARGET_COUNT + 1) < 0) {
        snprintf(error, error_size, "the hop doesn't start");
        return -1;
    }
    for (int kind = 0; kind <= TARGET_COUNT; kind++) {
        union address *address =
            kind < TARGET_COUNT ? &rig->client.hops[kind] : &rig->client.hop_answers;
        if (loopback(ports[kind], address) < 0) {
            return -1;
        }
    }
    return 0;
}

/* --- The server --- */

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

static int write_token(struct rig *rig, char *error, size_t error_size)
{
    unsigned char random[24];
    char path[PATH_SIZE];
    if (pki_random(random, sizeof(random)) < 0) {
        snprintf(error, error_size, "no random numbers");
        return -1;
    }
    for (size_t i = 0; i < sizeof(random); i++) {
        snprintf(rig->client.token + 2 * i, 3, "%02x", random[i]);
    }
    path_in(rig, "bench-token", path);
    FILE *file = fopen(path, "we");
    if (!file || chmod(path, 0600) < 0 || fprintf(file, "%s\n", rig->client.token) < 0 ||
        fclose(file) != 0) {
        snprintf(error, error_size, "%s: %s", path, strerror(errno));
        return -1;
    }
    return 0;
}

static int start_server(struct rig *rig, char *error, size_t error_size)
{
    char token[PATH_SIZE], log[PATH_SIZE], certificate[PATH_SIZE], key[PATH_SIZE];
    path_in(rig, "bench-token", token);
    path_in(rig, "server.log", log);
    path_in(rig, "server.pem", certificate);
    path_in(rig, "server.key", key);
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
    char last[4096] = "";
    for (int waited = 0; !failed && waited < SERVER_WAIT_MS; waited += 20) {
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

/* "HOST:PORT" of --server; the name before the colon is what its certificate is for. */
static int find_server(struct rig *rig, char *error, size_t error_size)
{
    const struct bench_options *options = rig->options;
    struct client *client = &rig->client;
    const char *colon = strrchr(options->server, ':');
    if (!colon || colon == options->server) {
        snprintf(error, error_size, "--server: HOST:PORT is wanted");
        return -1;
    }
    const char *begin = options->server;
    size_t length = (size_t)(colon - begin);
    if (*begin == '[' && colon[-1] == ']') {
        begin++;
        length -= 2;
    }
    char host[256];
    snprintf(host, sizeof(host), "%.*s", (int)length, begin);
    snprintf(client->server_name, sizeof(client->server_name), "%s",
             options->server_name ? options->server_name : host);
    struct addrinfo *found = NULL, hints = {.ai_socktype = SOCK_STREAM};
    int failed = getaddrinfo(host, colon + 1, &hints, &found);
    if (failed) {
        snprintf(error, error_size, "--server %s: %s", options->server, gai_strerror(failed));
        return -1;
    }
    memcpy(&client->server, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    rig->server_pid = (pid_t)options->server_pid;
    return 0;
}

static int find_token(struct rig *rig, char *error, size_t error_size)
{
    const struct bench_options *options = rig->options;
    char *token = rig->client.token;
    if (options->token_file) {
        FILE *file = fopen(options->token_file, "re");
        char *line = file ? fgets(token, sizeof(rig->client.token), file) : NULL;
        if (file) {
            fclose(file);
        }
        if (!line) {
            snprintf(error, error_size, "--token-file %s: %s", options->token_file,
                     file ? "empty" : strerror(errno));
            return -1;
        }
        token[strcspn(token, "\r\n")] = 0;
        return 0;
    }
    if (!options->token || !*options->token || strlen(options->token) > PLEX_TOKEN_MAX) {
        snprintf(error, error_size, "--server needs --token-file or --token");
        return -1;
    }
    snprintf(token, sizeof(rig->client.token), "%s", options->token);
    return 0;
}

static int trust(struct rig *rig, char *error, size_t error_size)
{
    const struct bench_options *options = rig->options;
    char ca[PATH_SIZE];
    path_in(rig, "ca.pem", ca);
    struct tls_client_options local = {.ca_file = ca, .cache_sessions = true};
    if (tls_client_new(&local, &rig->client.hop_tls, error, error_size) < 0) {
        return -1;
    }
    if (!options->server) {
        rig->client.tls = tls_context_ref(rig->client.hop_tls);
        snprintf(rig->client.server_name, sizeof(rig->client.server_name), "127.0.0.1");
        return 0;
    }
    struct tls_client_options remote = {.ca_file = options->ca, .cache_sessions = true};
    if (options->pin) {
        remote.pin_sha256 =
            strncmp(options->pin, "sha256:", 7) == 0 ? options->pin + 7 : options->pin;
    }
    return tls_client_new(&remote, &rig->client.tls, error, error_size);
}

/* --- The whole --- */

static void on_signal(int number, void *user)
{
    rig_progress(NULL);
    rig_stop_processes(user);
    _exit(128 + number);
}

static int make_folder(struct rig *rig, char *error, size_t error_size)
{
    static const char *const names[] = {"127.0.0.1", "localhost"};
    snprintf(rig->folder, sizeof(rig->folder), "/tmp/streamplex-bench-XXXXXX");
    if (!mkdtemp(rig->folder)) {
        snprintf(error, error_size, "%s: %s", rig->folder, strerror(errno));
        rig->folder[0] = 0;
        return -1;
    }
    return pki_ensure_server(rig->folder, names, 2, error, error_size);
}

static void configure_device(struct rig *rig)
{
    struct plex_config *plex = &rig->client.plex;
    plex_config_init(plex, PLEX_DEVICE);
    plex->allocator = &allocator;
    if (rig->options->legacy) {
        plex->features = 0;
    }
    /* The bench passes on at once, so nothing but the other side's limits holds it. */
    plex->window_max = PLEX_WINDOW_MAX;
    plex->credit_limit = 256u << 20;
    plex->auth_timeout = 0;
    rig->client.early_data = rig->options->early_data;
}

int rig_start(struct rig *rig, const struct bench_options *options, char *error, size_t error_size)
{
    memset(rig, 0, sizeof(*rig));
    rig->options = options;
    rig->counters_fd = -1;
    bool two = process_core_count() >= 2;
    rig->server_core = two ? 1 : -1;
    rig->client_core = two ? 0 : -1;
    process_raise_files();
    if (make_folder(rig, error, error_size) < 0 || start_targets(rig, error, error_size) < 0 ||
        start_hop(rig, error, error_size) < 0 || trust(rig, error, error_size) < 0) {
        return -1;
    }
    if (options->server
            ? find_server(rig, error, error_size) < 0 || find_token(rig, error, error_size) < 0
            : options_has_route(options, "server") && (write_token(rig, error, error_size) < 0 ||
                                                       start_server(rig, error, error_size) < 0)) {
        return -1;
    }
    process_pin(rig->client_core);
    configure_device(rig);
    if (client_init(&rig->client, error, error_size) < 0) {
        return -1;
    }
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    if (signals_open(rig->client.loop, numbers, 3, on_signal, rig, &rig->signals) < 0) {
        snprintf(error, error_size, "signals can't be watched");
        return -1;
    }
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)status;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void show_log(const struct rig *rig)
{
    char path[PATH_SIZE], tail[4096];
    path_in(rig, "server.log", path);
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

void rig_stop_processes(struct rig *rig)
{
    rig_stop_server(rig);
    process_stop(&rig->hop, 200);
    process_stop(&rig->targets, 200);
    for (int i = 0; i < rig->delay_count; i++) {
        process_stop(&rig->delays[i], 200);
    }
    if (rig->folder[0]) {
        nftw(rig->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
        rig->folder[0] = 0;
    }
}

void rig_stop(struct rig *rig)
{
    signals_close(rig->signals);
    client_deinit(&rig->client);
    tls_context_unref(rig->client.tls);
    tls_context_unref(rig->client.hop_tls);
    rig_stop_processes(rig);
    if (rig->counters) {
        munmap(rig->counters, sizeof(*rig->counters));
    }
    if (rig->counters_fd >= 0) {
        close(rig->counters_fd);
    }
}

int rig_restart(struct rig *rig, enum route route, char *error, size_t error_size)
{
    if (route == ROUTE_HOP) {
        process_stop(&rig->hop, 200);
        return start_hop(rig, error, error_size);
    }
    if (route == ROUTE_SERVER && rig->server.pid) {
        rig_stop_server(rig);
        return start_server(rig, error, error_size);
    }
    return 0;
}

/* Puts a line before one address. */
static int delay_one(struct rig *rig, union address *address, const char *rtt_ms, const char *rate)
{
    char to[ADDRESS_TEXT_MAX];
    uint16_t port;
    address_format(address, to);
    char *argv[] = {"streamplex", "bench", "@delay", to, (char *)rtt_ms, (char *)rate, NULL};
    struct process *process = &rig->delays[rig->delay_count];
    if (process_start(argv, rig->client_core, NULL, -1, process) < 0) {
        return -1;
    }
    rig->delay_count++;
    return read_ports(process, &port, 1) < 0 ? -1 : loopback(port, address);
}

int rig_delay(struct rig *rig, uint64_t rtt_ms, const char *rate, char *error, size_t error_size)
{
    struct client *client = &rig->client;
    char rtt[32];
    uint64_t bytes_per_second;
    if (options_parse_rate(rate, &bytes_per_second) < 0) {
        snprintf(error, error_size, "--rate: such as 1gbit or 100mbit is wanted");
        return -1;
    }
    snprintf(rtt, sizeof(rtt), "%llu", (unsigned long long)rtt_ms);
    client->target_hosts = 1;
    union address *all[] = {&client->hops[TARGET_SINK], &client->hops[TARGET_SOURCE],
                            &client->plain[TARGET_SINK], &client->plain[TARGET_SOURCE],
                            &client->server};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i] == &client->server && !rig_has_route(rig, ROUTE_SERVER)) {
            continue;
        }
        if (delay_one(rig, all[i], rtt, rate) < 0) {
            snprintf(error, error_size, "the delay line doesn't start");
            return -1;
        }
    }
    return 0;
}

bool rig_has_route(const struct rig *rig, enum route route)
{
    return options_has_route(rig->options, route_names[route]);
}

pid_t rig_relay(const struct rig *rig, enum route route)
{
    return route == ROUTE_SERVER ? rig->server_pid : route == ROUTE_HOP ? rig->hop.pid : 0;
}

void rig_settle(struct rig *rig)
{
    client_wait(&rig->client, 0.02);
    for (int i = 0; i < 150; i++) {
        volatile struct target_counters *counters = rig->counters;
        if (counters->accepted - counters->closed <= rig->held) {
            return;
        }
        client_wait(&rig->client, 0.02);
    }
}

void rig_progress(const char *format, ...)
{
    if (!isatty(STDERR_FILENO)) {
        return;
    }
    fputs("\r\033[K", stderr);
    if (format) {
        va_list arguments;
        va_start(arguments, format);
        vfprintf(stderr, format, arguments);
        va_end(arguments);
    }
    fflush(stderr);
}

struct usage rig_usage_begin(const struct rig *rig, enum route route)
{
    return (struct usage){
        .began = client_now(),
        .relay = process_cpu(rig_relay(rig, route)),
        .client = process_own_cpu(),
        .targets = process_cpu(rig->targets.pid),
        .machine = process_machine_cpu(),
    };
}

struct used rig_usage_end(const struct rig *rig, enum route route, const struct usage *usage)
{
    double seconds = (double)(client_now() - usage->began) / 1e9;
    double relay = (double)(process_cpu(rig_relay(rig, route)) - usage->relay) / 1e9;
    double client = (double)(process_own_cpu() - usage->client) / 1e9;
    double targets = (double)(process_cpu(rig->targets.pid) - usage->targets) / 1e9;
    double machine = (double)(process_machine_cpu() - usage->machine) / 1e9;
    /* What the delay lines do is ours too, but those runs judge no CPU. */
    double others = (machine - relay - client - targets) / seconds * 100;
    bool known = usage->machine && !rig->delay_count && (route != ROUTE_SERVER || rig->server_pid);
    return (struct used){
        .others = !known       ? -1
                  : others > 0 ? others
                               : 0,
        .seconds = seconds,
        .relay = relay,
        .relay_busy = relay / seconds * 100,
        .client_busy = client / seconds * 100,
        .core_busy = (client + targets) / seconds * 100,
    };
}

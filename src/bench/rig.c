#include "bench/rig.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/rig_server.h"
#include "net/pki.h"
#include "net/signals.h"
#include "net/tls.h"

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

void rig_path(const struct rig *rig, const char *name, char path[RIG_PATH_SIZE])
{
    snprintf(path, RIG_PATH_SIZE, "%s/%s", rig->folder, name);
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
    char certificate[RIG_PATH_SIZE], key[RIG_PATH_SIZE], log[RIG_PATH_SIZE];
    char targets[TARGET_COUNT][ADDRESS_TEXT_MAX];
    rig_path(rig, "server.pem", certificate);
    rig_path(rig, "server.key", key);
    rig_path(rig, "hop.log", log);
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

static int trust(struct rig *rig, char *error, size_t error_size)
{
    const struct bench_options *options = rig->options;
    char ca[RIG_PATH_SIZE];
    rig_path(rig, "ca.pem", ca);
    struct tls_client_options local = {.ca_file = ca, .cache_sessions = true};
    if (tls_client_new(&local, &rig->client.hop_tls, error, error_size) < 0) {
        return -1;
    }
    if (!options->reach.server) {
        rig->client.tls = tls_context_ref(rig->client.hop_tls);
        snprintf(rig->client.server_name, sizeof(rig->client.server_name), "127.0.0.1");
        return 0;
    }
    const struct reach_settings *reach = &options->reach;
    struct tls_client_options remote = {
        .ca_file = reach->ca, .ca_pem = reach->ca ? NULL : reach->ca_pem, .cache_sessions = true};
    if (reach_find_pin(reach, error, error_size, &remote.pin_sha256) < 0) {
        return -1;
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
    if (pki_ensure_server(rig->folder, names, 2, error, error_size) < 0) {
        return -1;
    }
    static const char *const edge[] = {"*." RIG_EDGE_DOMAIN};
    char path[RIG_PATH_SIZE];
    rig_path(rig, "edge", path);
    if (!rig->options->edge) {
        return 0;
    }
    if (mkdir(path, 0700) < 0) {
        snprintf(error, error_size, "%s: %s", path, strerror(errno));
        return -1;
    }
    return pki_ensure_server_of(rig->folder, path, edge, 1, error, error_size);
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

/* Server and what it is found by. */
static int start_server(struct rig *rig, char *error, size_t error_size)
{
    const struct bench_options *options = rig->options;
    if (options->reach.server) {
        return rig_find_server(rig, error, error_size) < 0 ? -1
                                                           : rig_find_token(rig, error, error_size);
    }
    if (!options->edge && !options_has_route(options, "server")) {
        return 0;
    }
    if (rig_make_token(rig, error, error_size) < 0) {
        return -1;
    }
    return rig_start_server(rig, error, error_size);
}

int rig_start(struct rig *rig, const struct bench_options *options, char *error, size_t error_size)
{
    memset(rig, 0, sizeof(*rig));
    rig->options = options;
    rig->counters_fd = -1;
    /* A visit has four processes on its way, of three machines: nobody can say which of them share
     * a core, so that is the kernel's choice. */
    bool two = process_core_count() >= 2 && !options->edge;
    rig->server_core = two ? 1 : -1;
    rig->client_core = two ? 0 : -1;
    process_raise_files();
    if (make_folder(rig, error, error_size) < 0 || start_targets(rig, error, error_size) < 0 ||
        (!options->edge && start_hop(rig, error, error_size) < 0) ||
        trust(rig, error, error_size) < 0 || start_server(rig, error, error_size) < 0) {
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

void rig_stop_processes(struct rig *rig)
{
    rig_stop_server(rig);
    /* ssh before sshd, whose session ends with it. */
    struct process *others[] = {&rig->agent, &rig->ssh, &rig->sshd,   &rig->nginx,
                                &rig->web,   &rig->hop, &rig->targets};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        process_stop(others[i], 200);
    }
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
    if ((route == ROUTE_SERVER || route == ROUTE_EDGE) && rig->server.pid) {
        rig_stop_server(rig);
        return rig_start_server(rig, error, error_size);
    }
    return 0;
}

int rig_delay_one(struct rig *rig, union address *address, uint64_t rtt_ms, const char *rate)
{
    char to[ADDRESS_TEXT_MAX], rtt[32];
    uint16_t port;
    if (rig->delay_count == sizeof(rig->delays) / sizeof(rig->delays[0])) {
        return -1;
    }
    address_format(address, to);
    snprintf(rtt, sizeof(rtt), "%llu", (unsigned long long)rtt_ms);
    char *argv[] = {"streamplex", "bench", "@delay", to, rtt, (char *)rate, NULL};
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
    uint64_t bytes_per_second;
    if (options_parse_rate(rate, &bytes_per_second) < 0) {
        snprintf(error, error_size, "--rate: such as 1gbit or 100mbit is wanted");
        return -1;
    }
    client->target_hosts = 1;
    union address *all[] = {&client->hops[TARGET_SINK], &client->hops[TARGET_SOURCE],
                            &client->plain[TARGET_SINK], &client->plain[TARGET_SOURCE],
                            &client->server};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i] == &client->server && !rig_has_route(rig, ROUTE_SERVER)) {
            continue;
        }
        if (rig_delay_one(rig, all[i], rtt_ms, rate) < 0) {
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
    switch (route) {
    case ROUTE_SERVER:
    case ROUTE_EDGE:
        return rig->server_pid;
    case ROUTE_HOP:
        return rig->hop.pid;
    case ROUTE_SSH:
        return rig->sshd.pid;
    case ROUTE_NGINX:
    case ROUTE_NGINX_SSH:
        return rig->nginx.pid;
    default:
        return 0;
    }
}

uint64_t rig_relay_cpu(const struct rig *rig, enum route route)
{
    switch (route) {
    case ROUTE_SSH:
        return process_cpu_tree(rig->sshd.pid);
    case ROUTE_NGINX_SSH:
        return process_cpu(rig->nginx.pid) + process_cpu_tree(rig->sshd.pid);
    default:
        return process_cpu(rig_relay(rig, route));
    }
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

#include "bench/edge_peers.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/edge_rig.h"
#include "bench/modes.h"
#include "bench/rig_server.h"

#define START_MS   10000
#define PATH_SIZE  256
#define WEB_TARGET TARGET_COUNT /* of the ports that ssh forwards: the HTTP service's */

/* A port that is free now, for programs that can't be told to take any. 0: none. */
static uint16_t find_port(void)
{
    union address address;
    socklen_t size = sizeof(address);
    uint16_t port = 0;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && address_from_host("127.0.0.1", 0, &address) == 0 &&
        bind(fd, &address.any, address_size(&address)) == 0 &&
        getsockname(fd, &address.any, &size) == 0) {
        port = address_port(&address);
    }
    if (fd >= 0) {
        close(fd);
    }
    return port;
}

static bool answers(const union address *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool connected = fd >= 0 && connect(fd, &address->any, address_size(address)) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return connected;
}

/* Until something listens there; false when the process ended before, or in too long a time. */
static bool wait_for(const struct process *process, const union address *address)
{
    for (int waited = 0; waited < START_MS && process_is_alive(process); waited += 20) {
        if (answers(address)) {
            return true;
        }
        poll(NULL, 0, 20);
    }
    return false;
}

/* The last line of a program's log, for what it says of its failure. */
static void last_line(const char *path, char *line, size_t size)
{
    FILE *file = fopen(path, "re");
    *line = 0;
    while (file && fgets(line, (int)size, file)) {
        line[strcspn(line, "\r\n")] = 0;
    }
    if (file) {
        fclose(file);
    }
}

static int say_failure(const char *name, const char *log, char *error, size_t error_size)
{
    char line[256];
    last_line(log, line, sizeof(line));
    snprintf(error, error_size, "%s doesn't start: %s", name, line);
    return -1;
}

/* --- ssh --- */

static int make_key(struct rig *rig, const char *program, const char *name)
{
    char path[RIG_PATH_SIZE], line[16];
    rig_path(rig, name, path);
    char *argv[] = {"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path, NULL};
    struct process process;
    if (process_start_program(program, argv, -1, NULL, -1, &process) < 0) {
        return -1;
    }
    int read = process_read_line(&process, line, sizeof(line)); /* its output's end */
    (void)read;
    int status = 0;
    waitpid(process.pid, &status, 0);
    close(process.out);
    return status ? -1 : 0;
}

static int start_sshd(struct edge_rig *edge, const char *program, union address *address)
{
    struct rig *rig = edge->rig;
    char host[RIG_PATH_SIZE], keys[PATH_SIZE], port[32], log[RIG_PATH_SIZE], user[RIG_PATH_SIZE];
    uint16_t number = find_port();
    rig_path(rig, "host", host);
    rig_path(rig, "user.pub", user);
    rig_path(rig, "sshd.log", log);
    snprintf(keys, sizeof(keys), "AuthorizedKeysFile=%s", user);
    snprintf(port, sizeof(port), "Port=%u", number);
    /* Where it gives up its privileges; another user than root needs none. */
    mkdir("/run/sshd", 0755);
    char *argv[] = {(char *)program,
                    "-D",
                    "-e",
                    "-f",
                    "/dev/null",
                    "-h",
                    host,
                    "-o",
                    port,
                    "-o",
                    "ListenAddress=127.0.0.1",
                    "-o",
                    keys,
                    "-o",
                    "StrictModes=no",
                    "-o",
                    "UsePAM=no",
                    "-o",
                    "PidFile=none",
                    "-o",
                    "MaxSessions=20000",
                    NULL};
    if (!number || address_from_host("127.0.0.1", number, address) < 0 ||
        process_start_program(program, argv, -1, log, -1, &rig->sshd) < 0 ||
        !wait_for(&rig->sshd, address)) {
        return -1;
    }
    return 0;
}

/* One connection that forwards a port to each target and to the HTTP service. With a terminal and a
 * command, unless it is not to be: only then do ssh and sshd turn Nagle's algorithm off. With -N a
 * visit waits 44 ms for a delayed acknowledgement, and there are 20 of them a second. */
static int start_ssh(struct edge_rig *edge, const char *program, const union address *sshd)
{
    struct rig *rig = edge->rig;
    char key[RIG_PATH_SIZE], log[RIG_PATH_SIZE], port[8];
    char forwards[TARGET_COUNT + 1][2 * ADDRESS_TEXT_MAX + 2], to[ADDRESS_TEXT_MAX];
    rig_path(rig, "user", key);
    rig_path(rig, "ssh.log", log);
    snprintf(port, sizeof(port), "%u", address_port(sshd));
    char *argv[64] = {(char *)program,
                      "-F",
                      "/dev/null",
                      "-i",
                      key,
                      "-p",
                      port,
                      "-o",
                      "BatchMode=yes",
                      "-o",
                      "StrictHostKeyChecking=no",
                      "-o",
                      "UserKnownHostsFile=/dev/null",
                      "-o",
                      "ExitOnForwardFailure=yes",
                      "-c",
                      "aes128-gcm@openssh.com",
                      rig->options->ssh_no_tty ? "-N" : "-tt"};
    size_t count = 0;
    while (argv[count]) {
        count++;
    }
    for (int target = 0; target <= TARGET_COUNT; target++) {
        bool web = target == WEB_TARGET;
        union address *way = web ? &edge->http[ROUTE_SSH] : &rig->client.visits[ROUTE_SSH][target];
        uint16_t number = find_port();
        if (!number || address_from_host("127.0.0.1", number, way) < 0) {
            return -1;
        }
        address_format(web ? &edge->web : &rig->client.targets[target], to);
        snprintf(forwards[target], sizeof(forwards[target]), "127.0.0.1:%u:%s", number, to);
        argv[count++] = "-R";
        argv[count++] = forwards[target];
    }
    argv[count++] = "127.0.0.1";
    argv[count] = "exec sleep 1000000";
    return process_start_program(program, argv, -1, log, -1, &rig->ssh) == 0 &&
                   wait_for(&rig->ssh, &edge->http[ROUTE_SSH])
               ? 0
               : -1;
}

int edge_peers_start_ssh(struct edge_rig *edge, char *error, size_t error_size)
{
    struct rig *rig = edge->rig;
    char sshd[PATH_SIZE], ssh[PATH_SIZE], keygen[PATH_SIZE], log[RIG_PATH_SIZE];
    union address address;
    if (process_find_program("sshd", sshd, sizeof(sshd)) < 0 ||
        process_find_program("ssh", ssh, sizeof(ssh)) < 0 ||
        process_find_program("ssh-keygen", keygen, sizeof(keygen)) < 0) {
        report_note(edge->report, "ssh: sshd, ssh and ssh-keygen aren't all installed here, so "
                                  "there is nothing of this route");
        return 0;
    }
    if (make_key(rig, keygen, "host") < 0 || make_key(rig, keygen, "user") < 0) {
        snprintf(error, error_size, "ssh-keygen makes no keys");
        return -1;
    }
    rig_path(rig, "sshd.log", log);
    if (start_sshd(edge, sshd, &address) < 0) {
        return say_failure("sshd", log, error, error_size);
    }
    if (rig->options->rtt_ms &&
        rig_delay_one(rig, &address, rig->options->rtt_ms, mode_rate(rig)) < 0) {
        snprintf(error, error_size, "the delay line doesn't start");
        return -1;
    }
    rig_path(rig, "ssh.log", log);
    if (start_ssh(edge, ssh, &address) < 0) {
        return say_failure("ssh", log, error, error_size);
    }
    return 1;
}

/* --- nginx --- */

static void write_server(FILE *file, uint16_t port, const char *upstream, const struct rig *rig,
                         bool tls)
{
    fprintf(file, "    server {\n        listen 127.0.0.1:%u%s backlog=4096;\n", port,
            tls ? " ssl" : "");
    if (tls) {
        fprintf(file,
                "        ssl_certificate %s/edge/server.pem;\n"
                "        ssl_certificate_key %s/edge/server.key;\n"
                "        ssl_protocols TLSv1.3;\n",
                rig->folder, rig->folder);
    }
    fprintf(file,
            "        location / {\n            proxy_pass http://%s;\n"
            "            proxy_http_version 1.1;\n"
            "            proxy_set_header Connection \"\";\n        }\n    }\n",
            upstream);
}

static void write_upstream(FILE *file, const char *name, const union address *to)
{
    char text[ADDRESS_TEXT_MAX];
    fprintf(file, "    upstream %s { server %s; keepalive 128; }\n", name,
            address_format(to, text));
}

static int write_settings(struct edge_rig *edge, const char *path, const uint16_t ports[3])
{
    static const char *const temporary[] = {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"};
    const struct rig *rig = edge->rig;
    FILE *file = fopen(path, "we");
    if (!file) {
        return -1;
    }
    fprintf(file,
            "daemon off;\nmaster_process off;\nworker_rlimit_nofile 20000;\n"
            "error_log %s/nginx.log;\npid %s/nginx.pid;\n"
            "events { worker_connections 10000; }\nhttp {\n    access_log off;\n"
            "    keepalive_requests 100000000;\n",
            rig->folder, rig->folder);
    for (size_t i = 0; i < sizeof(temporary) / sizeof(temporary[0]); i++) {
        fprintf(file, "    %s_temp_path %s/nginx-%s;\n", temporary[i], rig->folder, temporary[i]);
    }
    write_upstream(file, "service", &edge->web);
    write_server(file, ports[0], "service", rig, false);
    write_server(file, ports[1], "service", rig, true);
    if (edge->has[ROUTE_SSH]) {
        write_upstream(file, "forwarded", &edge->http[ROUTE_SSH]);
        write_server(file, ports[2], "forwarded", rig, false);
    }
    fputs("}\n", file);
    return fclose(file) == 0 ? 0 : -1;
}

int edge_peers_start_nginx(struct edge_rig *edge, char *error, size_t error_size)
{
    struct rig *rig = edge->rig;
    char program[PATH_SIZE], settings[RIG_PATH_SIZE], log[RIG_PATH_SIZE];
    union address *ways[3] = {&edge->http[ROUTE_NGINX], &edge->https[ROUTE_NGINX],
                              &edge->http[ROUTE_NGINX_SSH]};
    uint16_t ports[3];
    if (process_find_program("nginx", program, sizeof(program)) < 0) {
        report_note(edge->report,
                    "nginx isn't installed here, so there is nothing of its two routes");
        return 0;
    }
    rig_path(rig, "nginx.conf", settings);
    rig_path(rig, "nginx.log", log);
    for (int i = 0; i < 3; i++) {
        ports[i] = find_port();
        if (!ports[i] || address_from_host("127.0.0.1", ports[i], ways[i]) < 0) {
            snprintf(error, error_size, "no port for nginx");
            return -1;
        }
    }
    /* One process: what a worker does, and it ends with us. */
    char *argv[] = {"nginx", "-c", settings, "-p", rig->folder, "-e", log, NULL};
    if (write_settings(edge, settings, ports) < 0 ||
        process_start_program(program, argv, -1, log, -1, &rig->nginx) < 0 ||
        !wait_for(&rig->nginx, ways[0])) {
        return say_failure("nginx", log, error, error_size);
    }
    return 1;
}

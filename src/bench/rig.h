/* The rig: what a run measures with. The server (ours to start with --self), the hop, the targets,
 * each a process on its core, and the client that reaches them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/client.h"
#include "bench/lane.h"
#include "bench/options.h"
#include "bench/process.h"

struct signals;

struct rig {
    const struct bench_options *options;
    struct client client;
    struct process server, hop, targets;
    /* Of the edge: the device's side, its service, and what it is compared with. */
    struct process agent, web, sshd, ssh, nginx;
    union address tunnels, edge_http, edge_https; /* where our server listens */
    bool server_found; /* the server has listened, and does again at the same addresses */
    struct process delays[8];
    int delay_count;
    pid_t server_pid; /* 0: not known, then neither CPU nor memory of the server is */
    struct target_counters *counters;
    int counters_fd;
    uint64_t held;                /* connections to targets that stay open meanwhile */
    char folder[64];              /* temporary: state of the server, its log */
    int server_core, client_core; /* -1: not pinned */
    int server_fault;             /* what process_stop() said of a server of ours; 0: in order */
    struct signals *signals;
};

/* Starts everything. 0, or -1 with a sentence in `error`; rig_stop() in any case. */
int rig_start(struct rig *rig, const struct bench_options *options, char *error, size_t error_size)
    __attribute__((warn_unused_result));
void rig_stop(struct rig *rig);
/* The server alone, where it is ours; sets server_fault and shows the end of its log when that
 * isn't 0. */
void rig_stop_server(struct rig *rig);
/* The processes and the folder alone: all that outlives an _exit(). */
void rig_stop_processes(struct rig *rig);
/* The server (with --self) or the hop anew, with the memory of a new process. 0 or -1 with `error`.
 */
int rig_restart(struct rig *rig, enum route route, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* Puts a delay line before server, hop and targets of sink and source. 0 or -1 with `error`. */
int rig_delay(struct rig *rig, uint64_t rtt_ms, const char *rate, char *error, size_t error_size)
    __attribute__((warn_unused_result));
bool rig_has_route(const struct rig *rig, enum route route);
/* CPU time of all that relays on this route but the agent or ssh, which is the device's; ns. */
uint64_t rig_relay_cpu(const struct rig *rig, enum route route);
/* Puts a delay line before an address; rate as --rate. 0 or -1. */
int rig_delay_one(struct rig *rig, union address *address, uint64_t rtt_ms, const char *rate)
    __attribute__((warn_unused_result));
/* The process that relays on this route; 0: none, or not known. */
pid_t rig_relay(const struct rig *rig, enum route route);
/* Waits until the targets have closed what they accepted but for `held` connections, at most 3 s.
 */
void rig_settle(struct rig *rig);
/* What the run does now, on a terminal's one line; NULL clears it. */
void rig_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One measurement's costs. */
struct usage {
    uint64_t began;                                    /* ns */
    uint64_t relay, client, targets, helpers, machine; /* CPU, ns */
};
struct used {
    double seconds;
    double relay;       /* CPU seconds of server or hop; 0 when not known */
    double relay_busy;  /* percent of one core */
    double client_busy; /* percent of the time */
    double core_busy;   /* client and targets, which share a core; -1: they don't */
    double others;      /* what else ran on this machine, percent of one core; -1: not known */
};
struct usage rig_usage_begin(const struct rig *rig, enum route route);
struct used rig_usage_end(const struct rig *rig, enum route route, const struct usage *usage);

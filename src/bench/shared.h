/* What the bench's processes tell each other beside the connections: counters in shared memory, and
 * the line of ports that each prints when it listens. */
#pragma once

#include <stdint.h>

/* Ways to a target: of a device through a server, and of a visitor through the edge; each beside
 * what it is compared with (lane.h). */
enum route {
    ROUTE_SERVER,
    ROUTE_HOP,
    ROUTE_EDGE,
    ROUTE_SSH,
    ROUTE_NGINX,
    ROUTE_NGINX_SSH,
    ROUTE_PLAIN,
    ROUTE_COUNT,
};
extern const char *const route_names[ROUTE_COUNT];

/* What a target does with what it gets. */
enum target_kind {
    TARGET_ECHO,   /* sends back what comes, until the other side ends */
    TARGET_SINK,   /* u64 seed, then bytes; at their end answers struct sink_answer and closes */
    TARGET_SOURCE, /* struct source_request; then sends, and closes */
    TARGET_STALL,  /* never reads a byte; closes when the other side is gone */
    TARGET_COUNT,
};

#define SINK_UNCHECKED UINT64_MAX

/* All numbers in the byte order of this machine: both ends of them are this program on this
 * machine. */
struct sink_answer {
    uint64_t received; /* without the seed */
    uint64_t wrong;    /* bytes that aren't the pattern's; 0 when SINK_UNCHECKED */
};

struct source_request {
    uint64_t count; /* bytes to send; 0: until the other side ends */
    uint64_t seed;
};

/* Written by the target process, read by the bench; each is one aligned word. */
struct target_counters {
    uint64_t accepted, closed;
    uint64_t received, sent; /* bytes, all kinds */
};

/* Hidden commands of `streamplex bench`, each a process of its own. They end with their parent. */
/* [HOST] [FD of a file that holds struct target_counters]: prints a port for each kind on one line.
 */
int targets_main(int argc, char **argv);
/* CERTIFICATE KEY TARGET...: prints a port for each TARGET, which is HOST:PORT, or "-": answers by
 * itself. */
int hop_main(int argc, char **argv);
/* HOST:PORT RTT_MS RATE ("1gbit"; 0: no bound): prints its port. */
int delay_relay_main(int argc, char **argv);
/* Prints the port of a small HTTP service on 127.0.0.1. */
int web_service_main(int argc, char **argv);

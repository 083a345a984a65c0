#include "bench/rig.h"

/* What is at work beside relay, bench and targets, and ours all the same. */
static uint64_t helpers_cpu(const struct rig *rig)
{
    return process_cpu(rig->agent.pid) + process_cpu(rig->ssh.pid) + process_cpu(rig->web.pid);
}

struct usage rig_usage_begin(const struct rig *rig, enum route route)
{
    return (struct usage){
        .began = client_now(),
        .relay = rig_relay_cpu(rig, route),
        .client = process_own_cpu(),
        .targets = process_cpu(rig->targets.pid),
        .helpers = helpers_cpu(rig),
        .machine = process_machine_cpu(),
    };
}

struct used rig_usage_end(const struct rig *rig, enum route route, const struct usage *usage)
{
    double seconds = (double)(client_now() - usage->began) / 1e9;
    double relay = (double)(rig_relay_cpu(rig, route) - usage->relay) / 1e9;
    double client = (double)(process_own_cpu() - usage->client) / 1e9;
    double targets = (double)(process_cpu(rig->targets.pid) - usage->targets) / 1e9;
    double helpers = (double)(helpers_cpu(rig) - usage->helpers) / 1e9;
    double machine = (double)(process_machine_cpu() - usage->machine) / 1e9;
    /* What the delay lines do is ours too, but those runs judge no CPU. */
    double others = (machine - relay - client - targets - helpers) / seconds * 100;
    bool known = usage->machine && !rig->delay_count && (route != ROUTE_SERVER || rig->server_pid);
    return (struct used){
        .others = !known       ? -1
                  : others > 0 ? others
                               : 0,
        .seconds = seconds,
        .relay = relay,
        .relay_busy = relay / seconds * 100,
        .client_busy = client / seconds * 100,
        .core_busy = rig->options->edge ? -1 : (client + targets) / seconds * 100,
    };
}

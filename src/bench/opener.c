#include "bench/opener.h"

#include <stdlib.h>
#include <string.h>

/* A counted run that takes longer hangs; and one that fails so often needn't go on. */
#define COUNTED_SECONDS 60.0
#define FAILURES_MAX    1000

struct open_run;

struct opener {
    struct lane lane; /* first, see opener_of() */
    struct open_run *run;
    struct client_again again;
    uint64_t began;
    uint8_t byte;
    bool sent, echoed, wrong;
};

struct open_run {
    const struct open_plan *plan;
    struct open_result *result;
    struct opener *openers;
    uint64_t begun, done;
    bool stopping, counting;
};

static struct opener *opener_of(struct lane *lane)
{
    return (struct opener *)lane;
}

static void fail(struct open_run *run, const char *error)
{
    if (!run->result->failed++) {
        snprintf(run->result->error, sizeof(run->result->error), "%s", error);
    }
}

static size_t on_pull(struct lane *lane, uint8_t *buffer, size_t capacity)
{
    struct opener *opener = opener_of(lane);
    if (opener->sent || capacity == 0) {
        return 0;
    }
    opener->sent = true;
    *buffer = opener->byte;
    return 1;
}

static void on_data(struct lane *lane, const uint8_t *bytes, size_t length)
{
    struct opener *opener = opener_of(lane);
    if (opener->echoed || length != 1 || *bytes != opener->byte) {
        opener->wrong = true;
    }
    opener->echoed = true;
    lane_end(lane);
}

static const struct lane_callbacks callbacks;

static void begin(struct opener *opener)
{
    struct open_run *run = opener->run;
    const struct open_plan *plan = run->plan;
    if (run->stopping || (plan->limit && run->begun >= plan->limit)) {
        return;
    }
    opener->byte = (uint8_t)(run->begun++ * 31 + 7);
    opener->sent = opener->echoed = opener->wrong = false;
    opener->began = client_now();
    struct client *client = &plan->rig->client;
    if (lane_open(&opener->lane, client, plan->route, plan->tunnel, TARGET_ECHO, client->early_data,
                  &callbacks) < 0) {
        fail(run, "an open is refused here");
        run->done++;
        client_wake(client);
    }
}

static void on_closed(struct lane *lane, const char *error)
{
    struct opener *opener = opener_of(lane);
    struct open_run *run = opener->run;
    run->done++;
    if (error || !opener->echoed || opener->wrong) {
        fail(run, error ? error : opener->wrong ? "wrong byte" : "closed before the echo");
    } else if (run->counting) {
        run->result->opens++;
        histogram_add(&run->result->duration, client_now() - opener->began);
    }
    if ((run->plan->limit && run->done >= run->plan->limit) || run->result->failed > FAILURES_MAX) {
        run->stopping = true;
        client_wake(lane->client);
        return;
    }
    begin(opener);
}

static const struct lane_callbacks callbacks = {
    .on_data = on_data, .on_pull = on_pull, .on_closed = on_closed};

int open_measure(const struct open_plan *plan, struct open_result *ret_result)
{
    struct client *client = &plan->rig->client;
    size_t count = (size_t)plan->concurrency;
    struct open_run run = {.plan = plan, .result = ret_result, .counting = plan->limit > 0};
    memset(ret_result, 0, sizeof(*ret_result));
    histogram_init(&ret_result->duration);
    run.openers = calloc(count, sizeof(*run.openers));
    if (!run.openers) {
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        run.openers[i].run = &run;
        begin(&run.openers[i]);
    }
    if (!plan->limit && !run.stopping) {
        client_wait(client, plan->warm_up);
    }
    run.counting = true;
    struct usage usage = rig_usage_begin(plan->rig, plan->route);
    if (!run.stopping) {
        client_wait(client, plan->limit ? COUNTED_SECONDS : plan->seconds);
    }
    run.counting = false;
    ret_result->used = rig_usage_end(plan->rig, plan->route, &usage);
    run.stopping = true;
    for (size_t i = 0; i < count; i++) {
        lane_abort(&run.openers[i].lane);
    }
    free(run.openers);
    rig_settle(plan->rig);
    return 0;
}

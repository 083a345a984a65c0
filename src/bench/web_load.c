#include "bench/web_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/client.h"
#include "net/timer.h"

/* A counted run that takes longer hangs; and one that fails so often needn't go on. */
#define COUNTED_SECONDS 60.0
#define FAILURES_MAX    1000

struct load;

struct load_visitor {
    struct web_visitor visitor; /* first */
    struct load *load;
    struct client_again again;
    struct timer pause;
};

struct load {
    const struct web_load_plan *plan;
    struct web_load_result *result;
    struct load_visitor *visitors;
    uint64_t begun, done;
    bool stopping, counting;
};

static void begin(struct load_visitor *visitor);

static struct client *client_of(const struct load *load)
{
    return &load->plan->rig->client;
}

/* One more request is done; what comes next is for the next turn: we are inside the visitor. */
static void go_on(struct load_visitor *visitor)
{
    struct load *load = visitor->load;
    load->done++;
    if ((load->plan->limit && load->done >= load->plan->limit) ||
        load->result->failed > FAILURES_MAX) {
        load->stopping = true;
        client_wake(client_of(load));
    }
}

static void fail(struct load *load, const char *error)
{
    if (!load->result->failed++) {
        snprintf(load->result->error, sizeof(load->result->error), "%s", error);
    }
}

static void on_answer(struct web_visitor *web)
{
    struct load_visitor *visitor = (struct load_visitor *)web;
    struct load *load = visitor->load;
    uint64_t began = load->plan->keep_alive ? web->asked : web->began;
    if (web->answer.status != 200) {
        char text[32];
        snprintf(text, sizeof(text), "answer %d", web->answer.status);
        fail(load, text);
    } else if (load->counting) {
        load->result->answers++;
        histogram_add(&load->result->duration, client_now() - began);
        histogram_add(&load->result->first, web->first - began);
    }
    go_on(visitor);
    if (!load->plan->keep_alive) {
        web_visitor_close(web);
        client_go_on(client_of(load), &visitor->again);
        return;
    }
    if (!load->stopping && !(load->plan->limit && load->begun >= load->plan->limit)) {
        load->begun++;
        web_visitor_ask(web);
    }
}

static void on_lost(struct web_visitor *web, const char *error)
{
    struct load_visitor *visitor = (struct load_visitor *)web;
    fail(visitor->load, error);
    go_on(visitor);
    client_go_on(client_of(visitor->load), &visitor->again);
}

static const struct web_visitor_callbacks callbacks = {.on_answer = on_answer, .on_lost = on_lost};

static void begin(struct load_visitor *visitor)
{
    struct load *load = visitor->load;
    const struct web_load_plan *plan = load->plan;
    while (!load->stopping && !(plan->limit && load->begun >= plan->limit)) {
        load->begun++;
        const struct web_way *way = plan->choose ? plan->choose(plan->user) : plan->way;
        if (web_visitor_open(&visitor->visitor, way, &callbacks) == 0) {
            return;
        }
        fail(load, "a connection is refused here");
        go_on(visitor);
    }
}

static void run_pause(struct timer *timer)
{
    begin((struct load_visitor *)((char *)timer - offsetof(struct load_visitor, pause)));
}

static void run_again(struct client_again *again)
{
    struct load_visitor *visitor =
        (struct load_visitor *)((char *)again - offsetof(struct load_visitor, again));
    if (visitor->load->plan->pause) {
        timer_start(&visitor->pause, loop_now(visitor->pause.loop) + visitor->load->plan->pause);
    } else {
        begin(visitor);
    }
}

int web_load_measure(const struct web_load_plan *plan, struct web_load_result *ret_result)
{
    struct client *client = &plan->rig->client;
    size_t count = (size_t)plan->concurrency;
    struct load load = {.plan = plan, .result = ret_result, .counting = plan->limit > 0};
    memset(ret_result, 0, sizeof(*ret_result));
    histogram_init(&ret_result->duration);
    histogram_init(&ret_result->first);
    load.visitors = calloc(count, sizeof(*load.visitors));
    if (!load.visitors) {
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        load.visitors[i].load = &load;
        load.visitors[i].again.run = run_again;
        timer_init(&load.visitors[i].pause, client->loop, run_pause);
        begin(&load.visitors[i]);
    }
    if (!plan->limit && !load.stopping) {
        client_wait(client, plan->warm_up);
    }
    load.counting = true;
    struct usage usage = rig_usage_begin(plan->rig, plan->route);
    if (!load.stopping) {
        client_wait(client, plan->limit ? COUNTED_SECONDS : plan->seconds);
    }
    load.counting = false;
    ret_result->used = rig_usage_end(plan->rig, plan->route, &usage);
    load.stopping = true;
    for (size_t i = 0; i < count; i++) {
        client_dont_go_on(&load.visitors[i].again);
        timer_stop(&load.visitors[i].pause);
        web_visitor_close(&load.visitors[i].visitor);
    }
    free(load.visitors);
    client_wait(client, 0.02);
    return 0;
}

struct
try {
    struct web_visitor visitor; /* first */
    bool right;
};

static void try_answered(struct web_visitor *visitor)
{
    ((struct try *)visitor)->right = visitor->answer.status == 200;
    client_wake(visitor->way->client);
}

static void try_lost(struct web_visitor *visitor, const char *error)
{
    (void)error;
    client_wake(visitor->way->client);
}

bool web_load_try(const struct web_way *way, double seconds)
{
    static const struct web_visitor_callbacks try_callbacks = {.on_answer = try_answered,
                                                               .on_lost = try_lost};
    struct try try = {0};
    if (web_visitor_open(&try.visitor, way, &try_callbacks) < 0) {
        return false;
    }
    client_wait(way->client, seconds);
    web_visitor_close(&try.visitor);
    return try.right;
}

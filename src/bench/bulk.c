#include "bench/bulk.h"

#include <stdlib.h>
#include <string.h>

#include "bench/pattern.h"

/* Between two points of a rate's plot. */
#define SAMPLE_SECONDS 0.05
/* A transfer of known size that takes longer hangs. */
#define TRANSFER_SECONDS 60.0

static struct bulk *bulk_of(struct lane *lane)
{
    return (struct bulk *)lane; /* its first member */
}

static size_t pull_request(struct bulk *bulk, uint8_t *buffer, size_t capacity)
{
    uint8_t request[sizeof(struct source_request)];
    size_t size;
    if (bulk->up) {
        uint64_t seed = bulk->checked ? bulk->seed : SINK_UNCHECKED;
        size = sizeof(seed);
        memcpy(request, &seed, size);
    } else {
        struct source_request source = {.count = bulk->limit, .seed = bulk->seed};
        size = sizeof(source);
        memcpy(request, &source, size);
    }
    if (bulk->header >= size) {
        return 0;
    }
    size_t piece = size - bulk->header < capacity ? size - (size_t)bulk->header : capacity;
    memcpy(buffer, request + bulk->header, piece);
    bulk->header += piece;
    return piece;
}

static size_t on_pull(struct lane *lane, uint8_t *buffer, size_t capacity)
{
    struct bulk *bulk = bulk_of(lane);
    size_t size = pull_request(bulk, buffer, capacity);
    if (size || !bulk->up) {
        return size;
    }
    size = capacity < PATTERN_CHUNK ? capacity : PATTERN_CHUNK;
    if (bulk->limit && bulk->limit - bulk->moved < size) {
        size = (size_t)(bulk->limit - bulk->moved);
    }
    if (bulk->checked) {
        memcpy(buffer, pattern_at(bulk->seed, bulk->moved), size);
    }
    /* Else whatever stands in the buffer goes: nobody looks, and the time belongs to what is
     * measured. */
    bulk->moved += size;
    if (bulk->limit && bulk->moved == bulk->limit) {
        lane_end(lane);
    }
    return size;
}

static void on_data(struct lane *lane, const uint8_t *bytes, size_t length)
{
    struct bulk *bulk = bulk_of(lane);
    if (bulk->up) {
        size_t room = sizeof(bulk->answer) - bulk->answered;
        if (length > room) {
            bulk->wrong += length - room;
            length = room;
        }
        memcpy((uint8_t *)&bulk->answer + bulk->answered, bytes, length);
        bulk->answered += length;
        return;
    }
    if (bulk->checked) {
        bulk->wrong += pattern_mismatches(bulk->seed, bulk->moved, bytes, length);
    }
    bulk->moved += length;
}

static void on_end(struct lane *lane)
{
    if (!bulk_of(lane)->up && !lane->ended) {
        lane_end(lane);
    }
}

static void on_closed(struct lane *lane, const char *error)
{
    struct bulk *bulk = bulk_of(lane);
    bulk->over = true;
    bulk->error = error;
    if (bulk->on_over) {
        bulk->on_over(bulk);
    }
}

static const struct lane_callbacks callbacks = {
    .on_data = on_data, .on_pull = on_pull, .on_end = on_end, .on_closed = on_closed};

int bulk_open(struct bulk *bulk, struct client *client, enum route route,
              struct client_tunnel *tunnel, bool up, uint64_t limit, bool checked)
{
    bulk->up = up;
    bulk->limit = limit;
    bulk->checked = checked;
    return lane_open(&bulk->lane, client, route, tunnel, up ? TARGET_SINK : TARGET_SOURCE,
                     client->early_data, &callbacks);
}

int bulk_open_at(struct bulk *bulk, struct client *client, enum route route,
                 struct client_tunnel *tunnel, enum target_kind target)
{
    bulk->up = true;
    return lane_open(&bulk->lane, client, route, tunnel, target, client->early_data, &callbacks);
}

bool bulk_is_right(const struct bulk *bulk)
{
    if (!bulk->over || bulk->error || bulk->wrong || bulk->moved != bulk->limit) {
        return false;
    }
    return !bulk->up || (bulk->answered == sizeof(bulk->answer) &&
                         bulk->answer.received == bulk->limit && bulk->answer.wrong == 0);
}

static struct bulk *open_all(const struct bulk_plan *plan, uint64_t each, bool checked,
                             void (*on_over)(struct bulk *), void *user)
{
    int count = plan->up + plan->down;
    struct bulk *bulks = calloc((size_t)count, sizeof(*bulks));
    for (int i = 0; bulks && i < count; i++) {
        bulks[i].seed = (uint64_t)i + 1;
        bulks[i].on_over = on_over;
        bulks[i].user = user;
        if (bulk_open(&bulks[i], &plan->rig->client, plan->route, plan->tunnel, i < plan->up, each,
                      checked) < 0) {
            bulks[i].over = true;
            bulks[i].error = "not opened";
            if (on_over) {
                on_over(&bulks[i]);
            }
        }
    }
    return bulks;
}

static void abort_all(struct bulk *bulks, int count)
{
    for (int i = 0; i < count; i++) {
        lane_abort(&bulks[i].lane);
    }
    free(bulks);
}

/* Bytes up as the targets have got them, not as we have sent them: what lies in buffers on the way
 * doesn't count. */
static uint64_t moved_up(const struct bulk_plan *plan)
{
    volatile struct target_counters *counters = plan->rig->counters;
    return plan->up ? counters->received : 0;
}

static uint64_t moved_down(const struct bulk_plan *plan, const struct bulk *bulks)
{
    uint64_t sum = 0;
    for (int i = plan->up; i < plan->up + plan->down; i++) {
        sum += bulks[i].moved;
    }
    return sum;
}

static int count_lost(const struct bulk *bulks, int count)
{
    int lost = 0;
    for (int i = 0; i < count; i++) {
        lost += bulks[i].over || !bulks[i].lane.connected;
    }
    return lost;
}

int bulk_measure(const struct bulk_plan *plan, struct bulk_result *ret_result)
{
    struct client *client = &plan->rig->client;
    int count = plan->up + plan->down;
    uint64_t opened = client_now();
    struct bulk *bulks = open_all(plan, 0, false, NULL, NULL);
    if (!bulks) {
        return -1;
    }
    client_wait(client, plan->warm_up);
    struct usage usage = rig_usage_begin(plan->rig, plan->route);
    uint64_t up = moved_up(plan), down = moved_down(plan, bulks);
    uint64_t last = usage.began, last_moved = up + down;
    if (plan->timeline) {
        timeline_clear(plan->timeline);
    }
    while ((double)(last - usage.began) / 1e9 < plan->seconds) {
        client_wait(client, SAMPLE_SECONDS);
        uint64_t now = client_now(), moved = moved_up(plan) + moved_down(plan, bulks);
        if (plan->timeline) {
            timeline_add(plan->timeline, (double)(now - opened) / 1e9,
                         (double)(moved - last_moved) * 1e3 / (double)(now - last));
        }
        last = now;
        last_moved = moved;
    }
    struct used used = rig_usage_end(plan->rig, plan->route, &usage);
    *ret_result = (struct bulk_result){
        .up = (double)(moved_up(plan) - up) / used.seconds / 1e6,
        .down = (double)(moved_down(plan, bulks) - down) / used.seconds / 1e6,
        .used = used,
        .lost = count_lost(bulks, count),
    };
    abort_all(bulks, count);
    rig_settle(plan->rig);
    return 0;
}

struct transfer {
    struct client *client;
    int left;
};

static void wake_at_last(struct bulk *bulk)
{
    struct transfer *transfer = bulk->user;
    if (--transfer->left == 0) {
        client_wake(transfer->client);
    }
}

double bulk_transfer(const struct bulk_plan *plan, uint64_t bytes, struct report *report,
                     const char *title)
{
    int count = plan->up + plan->down;
    struct transfer transfer = {.client = &plan->rig->client, .left = count};
    uint64_t each = bytes / (uint64_t)count ? bytes / (uint64_t)count : 1;
    uint64_t began = client_now();
    struct bulk *bulks = open_all(plan, each, true, wake_at_last, &transfer);
    if (!report_check(report, bulks != NULL, "%s: out of memory", title)) {
        return 0;
    }
    if (transfer.left > 0) {
        client_wait(&plan->rig->client, TRANSFER_SECONDS);
    }
    double seconds = (double)(client_now() - began) / 1e9;
    bool right = true;
    for (int i = 0; i < count; i++) {
        const struct bulk *bulk = &bulks[i];
        right &= report_check(
            report, bulk_is_right(bulk),
            "%s, %s, lane %d: %llu of %llu bytes moved, target says %llu with %llu wrong, %llu "
            "wrong here, %s",
            title, route_names[plan->route], i, (unsigned long long)bulk->moved,
            (unsigned long long)each, (unsigned long long)bulk->answer.received,
            (unsigned long long)bulk->answer.wrong, (unsigned long long)bulk->wrong,
            bulk->error  ? bulk->error
            : bulk->over ? "closed in order"
                         : "still open");
    }
    abort_all(bulks, count);
    rig_settle(plan->rig);
    return right ? (double)each * count / seconds / 1e6 : 0;
}

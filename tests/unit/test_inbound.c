/* Inbounds on their own worker: an edge at one end, an agent's engine at the other. */
#include "tunnel_rig.h"

#include "fake_registry.h"
#include "server/inbound.h"
#include "server/registration.h"
#include "server/sockets.h"

/* --- what isn't asked for here --- */

WEAK struct socket_question *socket_question_new(void)
{
    return NULL;
}

WEAK void socket_question_free(struct socket_question *question)
{
}

WEAK void sockets_ask(struct sockets *sockets, struct loop *main_loop,
                      struct socket_question *question)
{
}

WEAK void sockets_tunnel_gone(struct sockets *sockets, struct loop *main_loop,
                              struct tunnel_ref ref)
{
}

static unsigned remotes;

WEAK int inbound_open_remote(struct worker *worker, struct presence *presence, const char *visitor,
                             const struct inbound_callbacks *callbacks, void *user,
                             struct inbound **ret_inbound)
{
    remotes++;
    return -1;
}

/* --- an edge --- */

enum moment { NEVER, ON_CONNECTED, ON_DATA, ON_END, ON_PULL, ON_GONE };

struct visit {
    struct inbound *inbound; /* NULL: closed */
    char log[1024];
    const char *data;         /* to be pulled */
    bool end_after, hoard;    /* hoard: what came isn't consumed */
    enum moment close, abort; /* when to do so, from within */
};

static void note(struct visit *visit, const char *format, const char *one, const char *two)
{
    size_t at = strlen(visit->log);
    snprintf(visit->log + at, sizeof visit->log - at, format, one, two);
}

static void close_visit(struct visit *visit)
{
    visit->inbound->ops->close(visit->inbound);
    visit->inbound = NULL;
}

static void abort_visit(struct visit *visit)
{
    visit->inbound->ops->abort(visit->inbound);
    visit->inbound = NULL;
}

static void act(struct visit *visit, enum moment moment)
{
    if (visit->close == moment)
        close_visit(visit);
    else if (visit->abort == moment)
        abort_visit(visit);
}

static void on_connected(void *user)
{
    note(user, "connected\n", "", "");
    act(user, ON_CONNECTED);
}

static void on_data(void *user, const void *bytes, size_t length)
{
    struct visit *visit = user;
    char text[64];
    snprintf(text, sizeof text, "%.*s", (int)length, (const char *)bytes);
    note(visit, "data %s\n", text, "");
    if (!visit->hoard)
        visit->inbound->ops->consume(visit->inbound, length);
    act(visit, ON_DATA);
}

static void on_end(void *user)
{
    note(user, "end\n", "", "");
    act(user, ON_END);
}

static size_t on_pull(void *user, void *buffer, size_t capacity)
{
    struct visit *visit = user;
    size_t length = visit->data ? strlen(visit->data) : 0;
    assert_true(length <= capacity);
    if (length)
        memcpy(buffer, visit->data, length);
    visit->data = NULL;
    if (length && visit->end_after)
        visit->inbound->ops->end(visit->inbound);
    act(visit, ON_PULL);
    return length;
}

static void on_gone(void *user, const char *code, const char *message)
{
    note(user, "gone <%s> <%s>\n", code, message);
    act(user, ON_GONE);
}

static const struct inbound_callbacks edge_callbacks = {on_connected, on_data, on_end, on_pull,
                                                        on_gone};

static void expect_log(struct visit *visit, const char *log)
{
    assert_string_equal(visit->log, log);
    visit->log[0] = 0;
}

static struct presence *make_presence(const struct rig *rig)
{
    struct presence *presence = calloc(1, sizeof *presence);
    assert_non_null(presence);
    presence->references = 1;
    presence->ref = (struct tunnel_ref){.worker = (uint16_t)rig->worker->index,
                                        .slot = rig->tunnel->slot,
                                        .generation = rig->tunnel->generation};
    strcpy(presence->service, "web");
    return presence;
}

static int open_visit(struct rig *rig, struct presence *presence, struct visit *visit)
{
    return inbound_open(rig->worker, presence, "192.0.2.1:4711", &edge_callbacks, visit,
                        &visit->inbound);
}

static void send_visit(struct visit *visit, const char *data)
{
    visit->data = data;
    visit->inbound->ops->ready(visit->inbound);
}

/* One visit, opened; the agent has heard of it. */
struct scene {
    struct rig *rig;
    struct presence *presence;
    struct visit visit;
    struct plex_substream *agent;
};

static struct scene *scene_with(uint32_t features)
{
    struct scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    scene->rig = rig_new(features);
    scene->presence = make_presence(scene->rig);
    assert_int_equal(open_visit(scene->rig, scene->presence, &scene->visit), 0);
    assert_int_equal(scene->presence->busy, 1);
    assert_int_equal(scene->rig->tunnel->substreams, 1);
    rig_run(scene->rig);
    side_expect(&scene->rig->device, "open 1 inbound web 192.0.2.1:4711\n");
    scene->agent = side_get(&scene->rig->device, 1);
    return scene;
}

static struct scene *scene_new(void)
{
    return scene_with(PLEX_FEATURES_ALL);
}

/* Everything is closed by now, or is when the tunnel is. */
static void scene_free(struct scene *scene)
{
    rig_close_tunnel(scene->rig, registration_free);
    if (scene->visit.inbound)
        close_visit(&scene->visit);
    assert_int_equal(scene->presence->busy, 0);
    rig_free(scene->rig, registration_free);
    assert_int_equal(scene->presence->references, 1);
    presence_unref(scene->presence);
    free(scene);
}

static int64_t gauge(const struct scene *scene)
{
    return scene->rig->worker->counters.substreams;
}

/* --- tests --- */

static void test_a_visit_from_beginning_to_end(void **state)
{
    struct scene *scene = scene_new();
    struct visit *visit = &scene->visit;
    assert_int_equal(visit->inbound->ops->substream(visit->inbound), 1);
    visit->end_after = true;
    send_visit(visit, "GET /");
    rig_run(scene->rig);
    side_expect(&scene->rig->device, "data 1 GET /\nend 1\n");
    plex_substream_notify(scene->agent, PLEX_EVENT_CONNECT, "127.0.0.1:8080");
    side_send(scene->agent, "200", 3);
    rig_run(scene->rig);
    expect_log(visit, "connected\ndata 200\n");
    plex_substream_close(scene->agent);
    rig_run(scene->rig);
    expect_log(visit, "end\ngone <> <>\n");
    assert_int_equal(scene->presence->busy, 0);
    assert_int_equal(scene->rig->tunnel->substreams, 0);
    assert_int_equal(gauge(scene), 0);
    assert_int_equal(scene->rig->worker->counters.bytes_to_devices, 5);
    assert_int_equal(scene->rig->worker->counters.bytes_from_devices, 3);
    /* Over, but still the edge's. */
    visit->inbound->ops->ready(visit->inbound);
    visit->inbound->ops->consume(visit->inbound, 3);
    visit->inbound->ops->end(visit->inbound);
    assert_int_equal(visit->inbound->ops->substream(visit->inbound), 1);
    close_visit(visit);
    scene_free(scene);
}

/* The edge needn't wait for the agent's `close`: its own `end` still goes out, and no reset. */
static void test_closed_when_both_have_ended(void **state)
{
    struct scene *scene = scene_new();
    struct visit *visit = &scene->visit;
    plex_substream_end(scene->agent);
    rig_run(scene->rig);
    expect_log(visit, "end\n");
    visit->inbound->ops->end(visit->inbound);
    close_visit(visit);
    assert_int_equal(scene->presence->busy, 0);
    rig_run(scene->rig);
    side_expect(&scene->rig->device, "end 1\n");
    assert_int_equal(scene->rig->tunnel->substreams, 1); /* its id is in use */
    plex_substream_notify(scene->agent, PLEX_EVENT_CONNECT, NULL);
    plex_substream_close(scene->agent);
    rig_run(scene->rig);
    expect_log(visit, "");
    assert_int_equal(scene->rig->tunnel->substreams, 0);
    assert_int_equal(gauge(scene), 0);
    scene_free(scene);
}

static void test_closed_halfway_is_a_reset(void **state)
{
    struct scene *scene = scene_new();
    scene->visit.inbound->ops->end(scene->visit.inbound);
    close_visit(&scene->visit);
    assert_int_equal(scene->rig->tunnel->substreams, 0);
    rig_run(scene->rig);
    side_expect(&scene->rig->device, "gone 1 SUBSTREAM_RESET\n");
    expect_log(&scene->visit, "");
    scene_free(scene);
}

static void test_aborted_by_the_edge(void **state)
{
    struct scene *scene = scene_new();
    abort_visit(&scene->visit);
    assert_int_equal(scene->presence->busy, 0);
    side_send(scene->agent, "late", 4);
    rig_run(scene->rig);
    side_expect(&scene->rig->device, "gone 1 SUBSTREAM_RESET\n");
    expect_log(&scene->visit, "");
    scene_free(scene);
}

static void test_the_service_refuses(void **state)
{
    struct scene *scene = scene_new();
    host_forget(scene->agent);
    plex_substream_abort(scene->agent, "connect ECONNREFUSED 127.0.0.1:1", "ECONNREFUSED");
    rig_run(scene->rig);
    expect_log(&scene->visit, "gone <ECONNREFUSED> <connect ECONNREFUSED 127.0.0.1:1>\n");
    assert_int_equal(scene->rig->tunnel->substreams, 0);
    scene_free(scene);
}

/* Without the feature reset the words are followed by `end` and `close`. */
static void test_the_service_refuses_without_reset(void **state)
{
    struct scene *scene = scene_with(PLEX_FEATURES_ALL & ~(uint32_t)PLEX_RESET);
    host_forget(scene->agent);
    plex_substream_abort(scene->agent, "connect ECONNREFUSED 127.0.0.1:1", "ECONNREFUSED");
    rig_run(scene->rig);
    expect_log(&scene->visit, "gone <ECONNREFUSED> <connect ECONNREFUSED 127.0.0.1:1>\n");
    scene_free(scene);
}

static void test_the_agent_gives_no_code(void **state)
{
    struct scene *scene = scene_new();
    host_forget(scene->agent);
    plex_substream_abort(scene->agent, "no", NULL);
    rig_run(scene->rig);
    expect_log(&scene->visit, "gone <> <no>\n");
    scene_free(scene);
}

static void test_the_agent_resets(void **state)
{
    struct scene *scene = scene_new();
    host_forget(scene->agent);
    plex_substream_abort(scene->agent, NULL, NULL);
    rig_run(scene->rig);
    expect_log(&scene->visit, "gone <> <reset by the other side>\n");
    scene_free(scene);
}

/* Not orderly: what the visitor still sends goes nowhere. */
static void test_the_agent_closes_before_the_visitor_ended(void **state)
{
    struct scene *scene = scene_new();
    host_forget(scene->agent);
    plex_substream_close(scene->agent);
    rig_run(scene->rig);
    expect_log(&scene->visit, "end\ngone <> <closed>\n");
    scene_free(scene);
}

static void test_the_agent_breaks_a_rule(void **state)
{
    struct scene *scene = scene_new();
    size_t taken;
    uint8_t bytes[128];
    size_t size = frame(bytes, 1, 1, "{\"event\":\"end\"}", 15);
    size += frame(bytes + size, 1, 0, "x", 1);
    assert_int_equal(
        plex_session_feed(scene->rig->tunnel->session, bytes, size, scene->rig->now, &taken), 0);
    expect_log(&scene->visit, "end\ngone <SUBSTREAM_AFTER_END> <data after end>\n");
    assert_int_equal(scene->rig->tunnel->substreams, 0);
    scene_free(scene);
}

static void test_the_tunnel_goes(void **state)
{
    struct scene *scene = scene_new();
    rig_close_tunnel(scene->rig, registration_free);
    expect_log(&scene->visit, "gone <TUNNEL_GONE> <the tunnel ended>\n");
    assert_int_equal(scene->presence->busy, 0);
    assert_int_equal(gauge(scene), 0);
    struct visit another = {0};
    assert_int_equal(open_visit(scene->rig, scene->presence, &another), -1);
    scene_free(scene);
}

/* Whatever callback is the moment, and in whichever way: nothing is used afterwards (the address
 * sanitizer watches), nothing is told, and the agent gets to know. */
static void test_closed_from_within_callbacks(void **state)
{
    for (enum moment moment = ON_CONNECTED; moment <= ON_GONE; moment++)
        for (int abort = 0; abort < 2; abort++) {
            struct scene *scene = scene_new();
            struct visit *visit = &scene->visit;
            *(abort ? &visit->abort : &visit->close) = moment;
            send_visit(visit, "GET /");
            rig_run(scene->rig);
            if (moment != ON_PULL) {
                plex_substream_notify(scene->agent, PLEX_EVENT_CONNECT, NULL);
                rig_run(scene->rig);
            }
            if (moment > ON_CONNECTED && moment != ON_PULL) {
                side_send(scene->agent, "200", 3);
                rig_run(scene->rig);
            }
            if (moment > ON_DATA && moment != ON_PULL) {
                plex_substream_end(scene->agent);
                rig_run(scene->rig);
            }
            if (moment == ON_GONE) {
                host_forget(scene->agent);
                plex_substream_close(scene->agent);
                rig_run(scene->rig);
            }
            assert_null(visit->inbound);
            assert_int_equal(scene->rig->tunnel->substreams, 0);
            if (moment != ON_GONE)
                assert_non_null(strstr(scene->rig->device.log, "gone 1 SUBSTREAM_RESET"));
            scene_free(scene);
        }
}

/* The memory goes at the end of the turn, not before. */
static void test_reclaimed_at_the_end_of_the_turn(void **state)
{
    struct scene *scene = scene_new();
    assert_int_equal(scene->presence->references, 2);
    abort_visit(&scene->visit);
    assert_int_equal(scene->presence->references, 2);
    test_run_for(scene->rig->worker->loop, 1000);
    assert_int_equal(scene->presence->references, 1);
    scene_free(scene);
}

/* What the edge doesn't pass on holds the agent up, and nobody else. */
static void test_a_slow_visitor(void **state)
{
    struct scene *scene = scene_new();
    struct visit *visit = &scene->visit;
    static char much[200000];
    memset(much, 'x', sizeof much);
    visit->hoard = true;
    side_send(scene->agent, much, sizeof much);
    rig_run(scene->rig);
    assert_int_equal(scene->rig->worker->counters.bytes_from_devices, 65536);
    visit->inbound->ops->consume(visit->inbound, 65536);
    rig_run(scene->rig);
    assert_true(scene->rig->worker->counters.bytes_from_devices > 65536);
    scene_free(scene);
}

static void test_tunnels_that_take_no_visitors(void **state)
{
    struct scene *scene = scene_new();
    struct rig *rig = scene->rig;
    struct visit another = {0};
    scene->presence->ref.generation++;
    assert_int_equal(open_visit(rig, scene->presence, &another), -1);
    scene->presence->ref.generation--;
    scene->presence->ref.slot = 1000000;
    assert_int_equal(open_visit(rig, scene->presence, &another), -1);
    scene->presence->ref.slot = rig->tunnel->slot;
    rig->tunnel->gone_reason = "device hung up";
    assert_int_equal(open_visit(rig, scene->presence, &another), -1);
    rig->tunnel->gone_reason = NULL;
    rig->worker->draining = true;
    assert_int_equal(open_visit(rig, scene->presence, &another), -1);
    rig->worker->draining = false;
    plex_session_goaway(rig->device.session, 0);
    rig_run(rig);
    assert_int_equal(open_visit(rig, scene->presence, &another), -1);
    assert_int_equal(scene->presence->busy, 1);
    assert_int_equal(scene->presence->references, 2);
    assert_int_equal(rig->tunnel->substreams, 1);
    scene_free(scene);
}

static void test_a_draining_tunnel_waits_for_its_visitors(void **state)
{
    struct scene *scene = scene_new();
    struct rig *rig = scene->rig;
    rig->worker->draining = true;
    tunnel_drain(rig->tunnel);
    assert_null(rig->tunnel->finish_reason);
    close_visit(&scene->visit);
    assert_string_equal(rig->tunnel->finish_reason, "server drains");
    scene_free(scene);
}

static void test_many_visits_share_a_tunnel(void **state)
{
    enum { COUNT = 40, ROUNDS = 3 };
    static struct visit visits[COUNT];
    struct rig *rig = rig_new(PLEX_FEATURES_ALL);
    struct presence *presence = make_presence(rig);
    rig->device.mute = true;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < COUNT; i++) {
            visits[i] = (struct visit){0};
            assert_int_equal(open_visit(rig, presence, &visits[i]), 0);
            send_visit(&visits[i], "GET /");
        }
        assert_int_equal(presence->busy, COUNT);
        rig_run(rig);
        for (int i = 0; i < COUNT; i++) {
            assert_int_equal(rig->device.hosts[1 + 2 * (round * COUNT + i)].received, 5);
            abort_visit(&visits[i]);
        }
        rig_run(rig);
    }
    assert_int_equal(presence->busy, 0);
    assert_int_equal(rig->worker->counters.substreams_opened, COUNT * ROUNDS);
    rig_free(rig, registration_free);
    presence_unref(presence);
}

static void test_another_workers_tunnel_is_remote(void **state)
{
    struct rig *rig = rig_new(PLEX_FEATURES_ALL);
    struct presence *presence = make_presence(rig);
    struct visit visit = {0};
    presence->ref.worker = 1;
    remotes = 0;
    assert_int_equal(open_visit(rig, presence, &visit), -1);
    assert_int_equal(remotes, 1);
    assert_int_equal(presence->busy, 0);
    rig_free(rig, registration_free);
    presence_unref(presence);
}

static void test_a_visit_is_told(void **state)
{
    struct rig *rig = rig_new(PLEX_FEATURES_ALL);
    struct presence *presence = make_presence(rig);
    inbound_tell_visit(rig->worker, presence, "{\"visit\":{}}", 12);
    registration_send_visits(rig->tunnel);
    rig_run(rig);
    side_expect(&rig->device, "message {\"visit\":{}}\n");
    presence->ref.generation++;
    inbound_tell_visit(rig->worker, presence, "{\"visit\":{}}", 12);
    registration_send_visits(rig->tunnel);
    rig_run(rig);
    side_expect(&rig->device, "");
    rig_free(rig, registration_free);
    presence_unref(presence);
}

static bool has_registration(void *user)
{
    return ((struct tunnel *)user)->registration != NULL;
}

static void test_a_visit_is_told_by_another_worker(void **state)
{
    struct rig *rig = rig_new(PLEX_FEATURES_ALL);
    struct presence *presence = make_presence(rig);
    struct worker *other = rig_worker(1, &rig->host), *workers[] = {rig->worker, other};
    rig->host.workers = workers;
    rig->host.worker_count = 2;
    inbound_tell_visit(other, presence, "{\"visit\":{}}", 12);
    test_run_until(rig->worker->loop, has_registration, rig->tunnel);
    registration_send_visits(rig->tunnel);
    rig_run(rig);
    side_expect(&rig->device, "message {\"visit\":{}}\n");
    /* Under way, while the tunnel goes. */
    inbound_tell_visit(other, presence, "{\"visit\":{}}", 12);
    rig_close_tunnel(rig, registration_free);
    test_run_for(rig->worker->loop, 1000);
    presence->ref.worker = 7; /* there is no such worker */
    inbound_tell_visit(other, presence, "{\"visit\":{}}", 12);
    rig_worker_free(other);
    rig_free(rig, registration_free);
    presence_unref(presence);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_visit_from_beginning_to_end),
        cmocka_unit_test(test_closed_when_both_have_ended),
        cmocka_unit_test(test_closed_halfway_is_a_reset),
        cmocka_unit_test(test_aborted_by_the_edge),
        cmocka_unit_test(test_the_service_refuses),
        cmocka_unit_test(test_the_service_refuses_without_reset),
        cmocka_unit_test(test_the_agent_gives_no_code),
        cmocka_unit_test(test_the_agent_resets),
        cmocka_unit_test(test_the_agent_closes_before_the_visitor_ended),
        cmocka_unit_test(test_the_agent_breaks_a_rule),
        cmocka_unit_test(test_the_tunnel_goes),
        cmocka_unit_test(test_closed_from_within_callbacks),
        cmocka_unit_test(test_reclaimed_at_the_end_of_the_turn),
        cmocka_unit_test(test_a_slow_visitor),
        cmocka_unit_test(test_tunnels_that_take_no_visitors),
        cmocka_unit_test(test_a_draining_tunnel_waits_for_its_visitors),
        cmocka_unit_test(test_many_visits_share_a_tunnel),
        cmocka_unit_test(test_another_workers_tunnel_is_remote),
        cmocka_unit_test(test_a_visit_is_told),
        cmocka_unit_test(test_a_visit_is_told_by_another_worker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

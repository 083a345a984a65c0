/* An inbound whose tunnel is another worker's: the visitor's side, the link, the tunnel's side. The
 * local inbound and the presence are fakes. */
#include "net_test.h"

#include <pthread.h>

#include "net/link.h"
#include "registry/registry.h"
#include "server/inbound.h"
#include "server/worker.h"

/* --- The fakes -------------------------------------------------------------------- */

struct presence *presence_ref(struct presence *presence)
{
    atomic_fetch_add(&presence->references, 1);
    return presence;
}

void presence_unref(struct presence *presence)
{
    if (presence)
        atomic_fetch_sub(&presence->references, 1);
}

/* A local inbound, and what was asked of it. */
struct local {
    struct inbound inbound; /* first */
    struct worker *worker;
    char visitor[100];
    int ready, ended, closed, aborted;
    size_t consumed;
    /* For an agent that sends everything back: */
    struct loop_deferred echo;
    size_t unconsumed;
    bool is_over;
};

static struct local local;
static bool must_refuse, must_echo;

static void note_ready(struct inbound *inbound)
{
    local.ready++;
    if (must_echo)
        loop_defer(local.worker->loop, &local.echo);
}

static void note_consumed(struct inbound *inbound, size_t length)
{
    local.consumed += length;
    local.unconsumed -= length;
    if (must_echo)
        loop_defer(local.worker->loop, &local.echo);
}

static void note_ended(struct inbound *inbound)
{
    local.ended++;
    if (must_echo)
        loop_defer(local.worker->loop, &local.echo);
}

static void note_closed(struct inbound *inbound)
{
    local.closed++;
    loop_undefer(local.worker->loop, &local.echo);
}

static void note_aborted(struct inbound *inbound)
{
    local.aborted++;
    loop_undefer(local.worker->loop, &local.echo);
}

static uint16_t give_id(const struct inbound *inbound)
{
    return 77;
}

static const struct inbound_ops local_ops = {note_ready,  note_consumed, note_ended,
                                             note_closed, note_aborted,  give_id};

/* As an engine with a window would: at most this much is unconsumed. */
#define ECHO_WINDOW 50000

static void echo(struct loop_deferred *deferred)
{
    const struct inbound_callbacks *tell = local.inbound.callbacks;
    void *user = local.inbound.user;
    char buffer[16000];
    size_t count;
    while (local.unconsumed + sizeof buffer <= ECHO_WINDOW &&
           (count = tell->on_pull(user, buffer, sizeof buffer))) {
        local.unconsumed += count;
        tell->on_data(user, buffer, count);
    }
    if (local.ended && !local.is_over) {
        local.is_over = true;
        tell->on_end(user);
        tell->on_gone(user, "", "");
    }
}

int inbound_open_local(struct worker *worker, struct presence *presence, const char *visitor,
                       const struct inbound_callbacks *callbacks, void *user,
                       struct inbound **ret_inbound)
{
    if (must_refuse)
        return -1;
    assert_int_equal(presence->ref.worker, worker->index);
    local = (struct local){
        .inbound = {&local_ops, callbacks, user}, .worker = worker, .echo = {.run = echo}};
    snprintf(local.visitor, sizeof local.visitor, "%s", visitor);
    *ret_inbound = &local.inbound;
    return 0;
}

/* --- The edge's side -------------------------------------------------------------- */

struct visitor {
    struct inbound *inbound;
    int connected, ended, gone;
    char code[40], message[100];
    char text[200]; /* of what came; counted only beyond it */
    size_t received;
    bool consumes; /* at once */
    const char *upload;
    size_t upload_left;
    bool end_when_pulled, abort_when_told;
    size_t pulled;
};

static void on_connected(void *user)
{
    struct visitor *visitor = user;
    visitor->connected++;
    if (visitor->abort_when_told)
        visitor->inbound->ops->abort(visitor->inbound);
}

static void on_data(void *user, const void *bytes, size_t length)
{
    struct visitor *visitor = user;
    if (visitor->received + length < sizeof visitor->text)
        memcpy(visitor->text + visitor->received, bytes, length);
    visitor->received += length;
    if (visitor->abort_when_told)
        visitor->inbound->ops->abort(visitor->inbound);
    else if (visitor->consumes)
        visitor->inbound->ops->consume(visitor->inbound, length);
}

static void on_end(void *user)
{
    ((struct visitor *)user)->ended++;
}

static size_t on_pull(void *user, void *buffer, size_t capacity)
{
    struct visitor *visitor = user;
    size_t count = visitor->upload_left < capacity ? visitor->upload_left : capacity;
    if (visitor->upload) {
        memcpy(buffer, visitor->upload, count);
        visitor->upload += count;
    } else {
        memset(buffer, 'u', count);
    }
    visitor->upload_left -= count;
    visitor->pulled += count;
    if (visitor->end_when_pulled && !visitor->upload_left)
        visitor->inbound->ops->end(visitor->inbound);
    return count;
}

static void on_gone(void *user, const char *code, const char *message)
{
    struct visitor *visitor = user;
    visitor->gone++;
    snprintf(visitor->code, sizeof visitor->code, "%s", code);
    snprintf(visitor->message, sizeof visitor->message, "%s", message);
}

static const struct inbound_callbacks callbacks = {on_connected, on_data, on_end, on_pull, on_gone};

/* --- Two workers, taking turns on this thread ------------------------------------- */

static struct worker *workers[2];
static struct worker_host host = {.workers = workers, .worker_count = 2};
static struct presence presence;
static struct visitor visitor;

static int set_up(void **state)
{
    for (unsigned i = 0; i < 2; i++) {
        workers[i] = calloc(1, sizeof *workers[i]);
        workers[i]->index = i;
        workers[i]->host = &host;
        assert_int_equal(loop_new(&workers[i]->loop), 0);
    }
    presence = (struct presence){.references = 1, .ref = {.worker = 1}};
    visitor = (struct visitor){.consumes = true};
    local = (struct local){0};
    must_refuse = must_echo = false;
    return 0;
}

static int tear_down(void **state)
{
    for (unsigned i = 0; i < 2; i++) {
        loop_free(workers[i]->loop);
        free(workers[i]);
    }
    return presence.references == 1 ? 0 : -1;
}

struct stop {
    struct loop_message message;
    struct loop *loop;
};

static void stop_now(struct loop_message *message)
{
    loop_stop(((struct stop *)message)->loop);
}

static void turn(struct worker *worker)
{
    struct stop stop = {{.run = stop_now}, worker->loop};
    loop_post(worker->loop, &stop.message);
    loop_run(worker->loop);
}

static void turns(void)
{
    for (int i = 0; i < 40; i++)
        turn(workers[i & 1]);
}

static void open_visit(void)
{
    assert_int_equal(inbound_open_remote(workers[0], &presence, "192.0.2.1:5000", &callbacks,
                                         &visitor, &visitor.inbound),
                     0);
}

static void assert_all_given_back(void)
{
    turns();
    assert_int_equal(presence.references, 1);
}

/* What the agent does. */
static void agent_sends(const char *text)
{
    local.unconsumed += strlen(text);
    local.inbound.callbacks->on_data(local.inbound.user, text, strlen(text));
}

static void agent_ends(void)
{
    local.inbound.callbacks->on_end(local.inbound.user);
}

static void agent_goes(const char *code, const char *message)
{
    local.inbound.callbacks->on_gone(local.inbound.user, code, message);
}

static size_t agent_pulls(char *buffer, size_t capacity)
{
    return local.inbound.callbacks->on_pull(local.inbound.user, buffer, capacity);
}

static void visitor_sends(const char *text)
{
    visitor.upload = text;
    visitor.upload_left = strlen(text);
    visitor.inbound->ops->ready(visitor.inbound);
}

/* --- Tests ------------------------------------------------------------------------ */

static void test_a_visit_over_the_link(void **state)
{
    char buffer[100] = "";
    open_visit();
    assert_int_equal(visitor.inbound->ops->substream(visitor.inbound), 0);
    visitor_sends("a question");
    assert_int_equal(visitor.pulled, 0); /* nothing calls back at once */
    turns();
    assert_string_equal(local.visitor, "192.0.2.1:5000");
    assert_int_equal(visitor.inbound->ops->substream(visitor.inbound), 77);
    local.inbound.callbacks->on_connected(local.inbound.user);
    assert_int_equal(agent_pulls(buffer, sizeof buffer), 10);
    assert_string_equal(buffer, "a question");
    agent_sends("an answer");
    turns();
    assert_int_equal(visitor.connected, 1);
    assert_string_equal(visitor.text, "an answer");
    assert_int_equal(local.consumed, 9);
    visitor.inbound->ops->end(visitor.inbound);
    turns();
    assert_int_equal(agent_pulls(buffer, sizeof buffer), 0);
    assert_int_equal(local.ended, 1);
    agent_ends();
    turns();
    assert_int_equal(visitor.ended, 1);
    assert_int_equal(visitor.gone, 0);
    visitor.inbound->ops->close(visitor.inbound);
    turns();
    assert_int_equal(local.closed, 1);
    assert_int_equal(local.aborted, 0);
    assert_all_given_back();
}

/* The agent's `close` after both ends: the visitor's side hears of everything in its order. */
static void test_an_agents_close_comes_after_its_bytes(void **state)
{
    char buffer[10];
    visitor.consumes = false;
    open_visit();
    visitor.inbound->ops->end(visitor.inbound);
    turns();
    assert_int_equal(agent_pulls(buffer, sizeof buffer), 0);
    agent_sends("all of it");
    agent_ends();
    agent_goes("", "");
    assert_int_equal(local.closed, 1);
    turns();
    assert_string_equal(visitor.text, "all of it");
    assert_int_equal(visitor.ended, 1);
    assert_int_equal(visitor.gone, 1);
    assert_string_equal(visitor.code, "");
    assert_string_equal(visitor.message, "");
    visitor.inbound->ops->consume(visitor.inbound, 9);
    visitor.inbound->ops->close(visitor.inbound);
    assert_int_equal(local.closed, 1);
    assert_all_given_back();
}

static void test_a_failure_has_code_and_message(void **state)
{
    open_visit();
    turns();
    agent_goes("ECONNREFUSED", "connect ECONNREFUSED 127.0.0.1:1");
    turns();
    assert_int_equal(visitor.gone, 1);
    assert_int_equal(visitor.ended, 0);
    assert_string_equal(visitor.code, "ECONNREFUSED");
    assert_string_equal(visitor.message, "connect ECONNREFUSED 127.0.0.1:1");
    visitor.inbound->ops->ready(visitor.inbound); /* too late, and harmless */
    turns();
    visitor.inbound->ops->close(visitor.inbound);
    assert_int_equal(local.closed, 1);
    assert_all_given_back();
}

/* A tunnel that dies amid an answer: what came before is passed on, but no end of it. */
static void test_no_end_is_told_for_a_broken_answer(void **state)
{
    open_visit();
    turns();
    agent_sends("half of");
    agent_goes("TUNNEL_GONE", "the tunnel is gone");
    turns();
    assert_string_equal(visitor.text, "half of");
    assert_int_equal(visitor.ended, 0);
    assert_string_equal(visitor.code, "TUNNEL_GONE");
    visitor.inbound->ops->abort(visitor.inbound);
    assert_all_given_back();
}

static void test_a_tunnel_gone_while_opening_is_told(void **state)
{
    must_refuse = true;
    open_visit();
    visitor_sends("nobody hears it");
    turns();
    assert_int_equal(visitor.gone, 1);
    assert_int_equal(visitor.ended, 0);
    assert_string_equal(visitor.code, "TUNNEL_GONE");
    visitor.inbound->ops->close(visitor.inbound);
    assert_all_given_back();
}

static void test_a_worker_that_isnt_there_is_refused_at_once(void **state)
{
    presence.ref.worker = 2;
    assert_int_equal(
        inbound_open_remote(workers[0], &presence, "", &callbacks, &visitor, &visitor.inbound), -1);
    assert_int_equal(presence.references, 1);
}

/* The window of the agent's substream opens only as the visitor takes bytes. */
static void test_a_slow_visitor_holds_the_agent_back(void **state)
{
    static char piece[16384];
    const size_t much = 4 * LINK_WINDOW;
    size_t sent = 0, before;
    visitor.consumes = false;
    open_visit();
    turns();
    memset(piece, 'd', sizeof piece - 1);
    for (; sent < much; sent += sizeof piece - 1) {
        agent_sends(piece);
        turn(workers[1]);
        turn(workers[0]);
    }
    turns();
    /* consumed is what has left for the link, which has a window and what the edge holds */
    assert_in_range(local.consumed, LINK_WINDOW, LINK_WINDOW + 65536 + 65536);
    assert_in_range(visitor.received, 1, 65536);
    before = local.consumed;
    turns();
    assert_int_equal(local.consumed, before);
    while (visitor.received < sent) {
        size_t was = visitor.received;
        static size_t consumed;
        visitor.inbound->ops->consume(visitor.inbound, was - consumed);
        consumed = was;
        turns();
        assert_true(visitor.received > was);
        assert_true(visitor.received - was <= 65536);
    }
    assert_int_equal(local.consumed, sent);
    visitor.inbound->ops->abort(visitor.inbound);
    turns();
    assert_int_equal(local.aborted, 1);
    assert_all_given_back();
}

/* The agent has gone in order while most of its answer still waits on the tunnel's side. */
static void test_all_that_an_agent_sent_outlives_it(void **state)
{
    static char piece[16384];
    char buffer[10];
    size_t sent = 0, consumed = 0;
    visitor.consumes = false;
    open_visit();
    visitor.inbound->ops->end(visitor.inbound);
    turns();
    assert_int_equal(agent_pulls(buffer, sizeof buffer), 0);
    memset(piece, 'd', sizeof piece - 1);
    for (; sent < 2 * LINK_WINDOW; sent += sizeof piece - 1)
        agent_sends(piece);
    agent_ends();
    agent_goes("", "");
    turns();
    while (consumed < sent) {
        size_t length = visitor.received - consumed;
        assert_true(length > 0);
        assert_int_equal(visitor.gone, visitor.received == sent);
        consumed += length;
        visitor.inbound->ops->consume(visitor.inbound, length);
        turns();
    }
    assert_int_equal(visitor.ended, 1);
    assert_int_equal(visitor.gone, 1);
    visitor.inbound->ops->close(visitor.inbound);
    assert_all_given_back();
}

/* A visitor's upload waits in its socket, not here, while the agent takes nothing. */
static void test_a_slow_agent_holds_the_visitor_back(void **state)
{
    char buffer[16384];
    size_t taken = 0, count;
    open_visit();
    visitor.upload_left = 3 * LINK_WINDOW;
    visitor.end_when_pulled = true;
    visitor.inbound->ops->ready(visitor.inbound);
    turns();
    assert_int_equal(visitor.pulled, LINK_WINDOW);
    do {
        count = agent_pulls(buffer, sizeof buffer);
        taken += count;
        turn(workers[1]);
        turn(workers[0]);
        assert_in_range(visitor.pulled - taken, 0, LINK_WINDOW);
    } while (!local.ended && taken <= 3 * LINK_WINDOW);
    assert_int_equal(taken, 3 * LINK_WINDOW);
    visitor.inbound->ops->abort(visitor.inbound);
    assert_all_given_back();
}

static void test_an_end_within_a_pull_follows_the_bytes(void **state)
{
    char buffer[100] = "";
    open_visit();
    visitor.end_when_pulled = true;
    visitor_sends("last");
    turns();
    assert_int_equal(agent_pulls(buffer, sizeof buffer), 4);
    assert_int_equal(local.ended, 0);
    assert_int_equal(agent_pulls(buffer, sizeof buffer), 0);
    assert_int_equal(local.ended, 1);
    visitor.inbound->ops->abort(visitor.inbound);
    assert_all_given_back();
}

/* In order only when both directions have ended, else as an abort. */
static void test_a_close_amid_a_visit_aborts(void **state)
{
    open_visit();
    turns();
    visitor.inbound->ops->end(visitor.inbound);
    visitor.inbound->ops->close(visitor.inbound);
    turns();
    assert_int_equal(local.aborted, 1);
    assert_int_equal(local.closed, 0);
    assert_all_given_back();
}

/* The visitor's last bytes and end are on their way when it closes. */
static void test_a_close_in_order_waits_for_a_slow_agent(void **state)
{
    char buffer[100] = "";
    open_visit();
    turns();
    agent_ends();
    turns();
    visitor.end_when_pulled = true;
    visitor_sends("slowly");
    turn(workers[0]);
    visitor.inbound->ops->close(visitor.inbound);
    turns();
    assert_int_equal(local.closed + local.aborted, 0);
    assert_int_equal(agent_pulls(buffer, 3), 3);
    assert_int_equal(agent_pulls(buffer + 3, 90), 3);
    assert_string_equal(buffer, "slowly");
    assert_int_equal(agent_pulls(buffer, 90), 0);
    turns();
    assert_int_equal(local.ended, 1);
    assert_int_equal(local.closed, 1);
    assert_int_equal(local.aborted, 0);
    assert_all_given_back();
}

/* Both go at the same moment, with their messages under way; at each turn of the way. */
static void test_either_may_go_at_any_moment(void **state)
{
    for (int moment = 0; moment < 12; moment++) {
        visitor = (struct visitor){.consumes = moment & 1};
        local = (struct local){0};
        open_visit();
        visitor_sends("hello");
        for (int i = 0; i < moment; i++)
            turn(workers[i & 1 ? 0 : 1]);
        if (local.inbound.callbacks && !local.aborted) {
            agent_sends("bye");
            if (moment & 2)
                agent_ends();
            agent_goes("ECONNRESET", "reset");
        }
        (moment & 4 ? visitor.inbound->ops->abort : visitor.inbound->ops->close)(visitor.inbound);
        assert_all_given_back();
        assert_int_equal(visitor.gone, 0);
    }
}

static void test_the_edge_may_abort_in_a_callback(void **state)
{
    for (int i = 0; i < 2; i++) {
        visitor = (struct visitor){.abort_when_told = true};
        open_visit();
        turns();
        if (i)
            agent_sends("data");
        else
            local.inbound.callbacks->on_connected(local.inbound.user);
        turns();
        assert_int_equal(local.aborted, 1);
        assert_all_given_back();
    }
}

/* --- A thread for each worker ----------------------------------------------------- */

#define ECHOED (10 * LINK_WINDOW + 777)

static void finish_when_gone(void *user, const char *code, const char *message)
{
    on_gone(user, code, message);
    visitor.inbound->ops->close(visitor.inbound);
    loop_stop(workers[0]->loop);
}

static const struct inbound_callbacks threaded = {on_connected, on_data, on_end, on_pull,
                                                  finish_when_gone};

static void *run_worker(void *worker)
{
    loop_run(((struct worker *)worker)->loop);
    return NULL;
}

static void test_much_is_echoed_between_threads(void **state)
{
    pthread_t thread;
    struct stop stop = {{.run = stop_now}, workers[1]->loop};
    must_echo = true;
    visitor.upload_left = ECHOED;
    visitor.end_when_pulled = true;
    assert_int_equal(pthread_create(&thread, NULL, run_worker, workers[1]), 0);
    assert_int_equal(inbound_open_remote(workers[0], &presence, "192.0.2.1", &threaded, &visitor,
                                         &visitor.inbound),
                     0);
    visitor.inbound->ops->ready(visitor.inbound);
    loop_run(workers[0]->loop);
    loop_post(workers[1]->loop, &stop.message);
    pthread_join(thread, NULL);
    assert_int_equal(visitor.received, ECHOED);
    assert_int_equal(visitor.ended, 1);
    assert_string_equal(visitor.message, "");
    assert_int_equal(local.consumed, ECHOED);
    assert_int_equal(local.closed, 1);
}

#define WITH_WORKERS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORKERS(test_a_visit_over_the_link),
        WITH_WORKERS(test_an_agents_close_comes_after_its_bytes),
        WITH_WORKERS(test_a_failure_has_code_and_message),
        WITH_WORKERS(test_no_end_is_told_for_a_broken_answer),
        WITH_WORKERS(test_a_tunnel_gone_while_opening_is_told),
        WITH_WORKERS(test_a_worker_that_isnt_there_is_refused_at_once),
        WITH_WORKERS(test_a_slow_visitor_holds_the_agent_back),
        WITH_WORKERS(test_all_that_an_agent_sent_outlives_it),
        WITH_WORKERS(test_a_slow_agent_holds_the_visitor_back),
        WITH_WORKERS(test_an_end_within_a_pull_follows_the_bytes),
        WITH_WORKERS(test_a_close_amid_a_visit_aborts),
        WITH_WORKERS(test_a_close_in_order_waits_for_a_slow_agent),
        WITH_WORKERS(test_either_may_go_at_any_moment),
        WITH_WORKERS(test_the_edge_may_abort_in_a_callback),
        WITH_WORKERS(test_much_is_echoed_between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

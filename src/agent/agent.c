#include "agent/agent.h"

#include <errno.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "agent/announce.h"
#include "agent/arrival.h"
#include "agent/complain.h"
#include "agent/uplink.h"
#include "edge/visit_record.h"
#include "net/timer.h"

#define COMPLAIN(...) complain_write("connect", __VA_ARGS__)

/* A dead server is noticed after the two at most. */
#define PING_INTERVAL 7000000 /* microseconds */
#define PING_TIMEOUT  7000000
#define OPEN_TIMEOUT  20000000
/* The server's fault, not ours: it is asked again. */
#define ASK_AGAIN      5000000
#define SUBSTREAMS_MAX 32767 /* visitors at once; who may be many is the server's matter */

_Static_assert(REACH_TOKEN_MAX == PLEX_TOKEN_MAX, "a token is a token");
_Static_assert(ENDPOINT_HOST_MAX == PLEX_HOST_MAX, "a host is a host");
_Static_assert(SERVICE_NAME_MAX == PLEX_SERVICE_MAX, "a service is named by its name");

/* Where one service stands on the tunnel that is up. */
struct enrolment {
    bool is_due; /* to be (re)registered */
    bool is_refused;
    bool is_faulty; /* refused for a fault of the server's: to be asked again */
    char url[320];  /* last printed; "": never */
};

struct agent {
    struct loop *loop;
    struct resolver *resolver;
    struct tls_context *tls;
    const struct connect_request *request;
    char *instance;
    struct live_log *log;
    struct arrivals *arrivals;
    struct uplink *uplink;
    struct enrolment *enrolments; /* one for each service */
    struct timer ask_again;
    struct loop_deferred over;
    void (*on_over)(void *user, enum connect_status status);
    void *user;
    enum connect_status status;
    bool was_up;
    char complaint[512]; /* the last, "" once all is well: the same isn't told again */
};

static void run_over(struct loop_deferred *deferred)
{
    struct agent *agent = (struct agent *)((char *)deferred - offsetof(struct agent, over));
    agent->on_over(agent->user, agent->status);
}

static void on_uplink_closed(void *user)
{
    struct agent *agent = user;

    agent->uplink = NULL;
    arrivals_free(agent->arrivals);
    agent->arrivals = NULL;
    /* What arrivals had open is closed by another turn. */
    loop_defer_next(agent->loop, &agent->over);
}

static void end(struct agent *agent, enum connect_status status)
{
    if (!agent->uplink)
        return;
    if (agent->status == CONNECT_DONE)
        agent->status = status;
    timer_stop(&agent->ask_again);
    uplink_close(agent->uplink, on_uplink_closed);
}

/* --- Services --- */

static void print_online_json(struct agent *agent, const struct announce_answer *answer)
{
    json_t *line = json_pack("{s:{s:s, s:s, s:s, s:i, s:s}}", "online", "name", answer->service,
                             "type", answer->type, "hostname", answer->hostname, "port",
                             (int)answer->port, "url", answer->url);
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;

    if (text)
        live_log_line(agent->log, text, strlen(text));
    free(text);
    json_decref(line);
}

static void print_online(struct agent *agent, const struct announce_answer *answer)
{
    char line[SERVICE_NAME_MAX + sizeof answer->url + 8];

    if (agent->request->settings.json) {
        print_online_json(agent, answer);
        return;
    }
    int length = snprintf(line, sizeof line, "%s - %s", answer->service, answer->url);
    live_log_line(agent->log, line, (size_t)length);
}

static struct enrolment *find_enrolment(struct agent *agent, const char *name)
{
    const struct service_list *services = &agent->request->services;
    const struct service *service = service_list_find(services, name);

    return service ? &agent->enrolments[service - services->items] : NULL;
}

static void on_registered(struct agent *agent, const struct announce_answer *answer)
{
    struct enrolment *enrolment = find_enrolment(agent, answer->service);

    if (!enrolment)
        return;
    enrolment->is_refused = enrolment->is_faulty = false;
    if (strcmp(enrolment->url, answer->url) == 0)
        return;
    snprintf(enrolment->url, sizeof enrolment->url, "%s", answer->url);
    print_online(agent, answer);
}

/* Something else may hold the port of a service that had it already, for a while. */
static bool is_servers_fault(const struct enrolment *enrolment, const char *code)
{
    return !strcmp(code, "OUT_OF_MEMORY") || !strcmp(code, "STORE_FAILED") ||
           !strcmp(code, "DRAINING") || (*enrolment->url && !strcmp(code, "PORTS_EXHAUSTED"));
}

static void on_refused(struct agent *agent, const struct announce_answer *answer)
{
    struct enrolment *enrolment = find_enrolment(agent, answer->service);
    size_t refused = 0, count = agent->request->services.count;

    if (!enrolment && !*answer->service && count == 1)
        enrolment = &agent->enrolments[0]; /* it didn't get as far as the name */
    if (!enrolment)
        return;
    COMPLAIN("%s: the server refused it: %s (%s)",
             agent->request->services.items[enrolment - agent->enrolments].name, answer->message,
             answer->code);
    if (is_servers_fault(enrolment, answer->code)) {
        enrolment->is_faulty = true;
        timer_start(&agent->ask_again, loop_now(agent->loop) + ASK_AGAIN);
        return;
    }
    enrolment->is_refused = true;
    for (size_t i = 0; i < count; i++)
        refused += agent->enrolments[i].is_refused;
    if (refused == count)
        end(agent, strcmp(answer->code, "EDGE_OFF") ? CONNECT_NOT_OURS : CONNECT_NO_EDGE);
}

static void run_ask_again(struct timer *timer)
{
    struct agent *agent = (struct agent *)((char *)timer - offsetof(struct agent, ask_again));
    struct plex_session *session = agent->uplink ? uplink_session(agent->uplink) : NULL;

    for (size_t i = 0; i < agent->request->services.count; i++)
        agent->enrolments[i].is_due |= agent->enrolments[i].is_faulty;
    if (session)
        plex_session_message_ready(session);
}

static size_t on_message_pull(void *user, char *buffer, size_t capacity)
{
    struct agent *agent = user;

    for (size_t i = 0; i < agent->request->services.count; i++) {
        if (!agent->enrolments[i].is_due)
            continue;
        agent->enrolments[i].is_due = false;
        size_t length = announce_register(&agent->request->services.items[i], agent->instance,
                                          buffer, capacity);
        if (length)
            return length;
        COMPLAIN("%s: out of memory", agent->request->services.items[i].name);
    }
    return 0;
}

/* --- Visits --- */

static void on_visit(struct agent *agent, uint64_t tunnel, struct visit_record *record)
{
    char line[VISIT_LINE_MAX];
    record->service_time = service_times_find(arrivals_times(agent->arrivals), tunnel,
                                              record->substream, loop_now(agent->loop));
    size_t size = agent->request->settings.json ? visit_record_json(record, line)
                                                : visit_record_line(record, line);
    live_log_line(agent->log, line, size);
}

static void on_message(void *user, uint64_t tunnel, const char *json, size_t length)
{
    struct agent *agent = user;
    struct visit_message visit;
    struct announce_answer answer;

    /* First what comes thousands of times a second. */
    if (visit_message_read(json, &visit)) {
        on_visit(agent, tunnel, &visit.record);
        return;
    }
    announce_read(json, &answer);
    if (answer.kind == ANNOUNCE_REGISTERED)
        on_registered(agent, &answer);
    else if (answer.kind == ANNOUNCE_REFUSED)
        on_refused(agent, &answer);
}

static bool on_open(void *user, struct plex_substream *substream, const char *service,
                    const char *visitor, uint64_t tunnel)
{
    struct agent *agent = user;
    return arrivals_open(agent->arrivals, substream, service, visitor, tunnel);
}

static void on_arrival_over(void *user, uint64_t tunnel)
{
    struct agent *agent = user;
    uplink_substream_over(agent->uplink, tunnel);
}

/* --- The tunnel --- */

/* Each news once, until all is well again. */
static void tell(struct agent *agent, const char *text, const char *then)
{
    if (strcmp(agent->complaint, text) == 0)
        return;
    snprintf(agent->complaint, sizeof agent->complaint, "%s", text);
    COMPLAIN("%s%s", text, then);
}

static const char no_edge[] = "the server has no edge: it takes no visitors";

static bool on_up(void *user, struct plex_session *session, const char **ret_text)
{
    struct agent *agent = user;

    if (!(plex_session_features(session) & PLEX_INBOUND_OPENS)) {
        *ret_text = no_edge;
        return false;
    }
    if (*agent->complaint)
        COMPLAIN(agent->was_up ? "connected again" : "connected");
    *agent->complaint = '\0';
    agent->was_up = true;
    for (size_t i = 0; i < agent->request->services.count; i++) {
        agent->enrolments[i].is_due = true;
        agent->enrolments[i].is_refused = agent->enrolments[i].is_faulty = false;
    }
    plex_session_message_ready(session);
    return true;
}

/* CONNECT_DONE: none, another try is worth it. */
static enum connect_status find_status(const struct agent *agent, enum tunnel_client_end why,
                                       const char *text)
{
    if (why == TUNNEL_CLIENT_REFUSED)
        return CONNECT_BAD_TOKEN; /* also one that was good: it has been revoked */
    if (!agent->was_up && why == TUNNEL_CLIENT_UNTRUSTED)
        return CONNECT_UNTRUSTED;
    if (!agent->was_up && text == no_edge)
        return CONNECT_NO_EDGE;
    return agent->request->settings.once ? CONNECT_UNREACHABLE : CONNECT_DONE;
}

static bool on_down(void *user, enum tunnel_client_end why, const char *text)
{
    struct agent *agent = user;
    enum connect_status status = find_status(agent, why, text);

    timer_stop(&agent->ask_again);
    tell(agent, text, status == CONNECT_DONE ? "; trying again" : "");
    if (status == CONNECT_DONE)
        return true;
    end(agent, status);
    return false;
}

/* --- All of it --- */

static const struct plex_callbacks substream_callbacks = {
    .on_data = arrival_on_data,
    .on_end = arrival_on_end,
    .on_gone = arrival_on_gone,
    .on_pull = arrival_on_pull,
};

static const struct uplink_callbacks uplink_callbacks = {
    .on_up = on_up,
    .on_down = on_down,
    .on_open = on_open,
    .on_message = on_message,
    .on_message_pull = on_message_pull,
    .substreams = &substream_callbacks,
};

/* What can't be registered is said before anything is tried. */
static int check_services(const struct agent *agent, char *error, size_t error_size)
{
    const struct service_list *services = &agent->request->services;
    char buffer[ANNOUNCE_MAX];

    for (size_t i = 0; i < services->count; i++) {
        if (announce_register(&services->items[i], agent->instance, buffer, sizeof buffer))
            continue;
        snprintf(error, error_size, "%s: its name, host name and host header are too long",
                 services->items[i].name);
        return -1;
    }
    return 0;
}

static int open_uplink(struct agent *agent, char *error, size_t error_size)
{
    const struct reach *reach = &agent->request->reach;
    const struct tunnel_client_options options = {
        .host = reach->server.host,
        .port = reach->server.port,
        .token = reach->token,
        .tls = agent->tls,
        .features = PLEX_FEATURES_ALL,
        .timeout = OPEN_TIMEOUT,
        .ping_interval = PING_INTERVAL,
        .ping_timeout = PING_TIMEOUT,
        .max_substreams = SUBSTREAMS_MAX,
    };
    uint64_t seed;

    /* Without an entropy pool, as at boot, the addresses of this process do. */
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed)
        seed = (uint64_t)(uintptr_t)agent ^ loop_update_now(agent->loop);
    int result = uplink_open(agent->loop, agent->resolver, &options, &uplink_callbacks, agent, seed,
                             &agent->uplink);
    if (result < 0)
        snprintf(error, error_size, "can't start: %s", strerror(-result));
    return result;
}

static int open_all(struct agent *agent, char *error, size_t error_size)
{
    const struct connect_request *request = agent->request;
    const struct tls_client_options tls = {
        .ca_file = request->reach.ca_file,
        .ca_pem = request->reach.ca_pem,
        .pin_sha256 = request->reach.pin_sha256,
        .alpn = "streamplex/1",
    };

    if (!agent->instance || !agent->enrolments ||
        resolver_new(agent->loop, NULL, &agent->resolver)) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    if (check_services(agent, error, error_size) < 0 ||
        tls_client_new(&tls, &agent->tls, error, error_size) < 0 ||
        arrivals_new(agent->loop, agent->resolver, &request->services, on_arrival_over, agent,
                     &agent->arrivals, error, error_size) < 0)
        return -1;
    return open_uplink(agent, error, error_size);
}

int agent_new(struct loop *loop, const struct connect_request *request, const char *instance,
              struct live_log *log, void (*on_over)(void *user, enum connect_status status),
              void *user, struct agent **ret_agent, char *error, size_t error_size)
{
    struct agent *agent = calloc(1, sizeof *agent);

    if (!agent) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    agent->loop = loop;
    agent->request = request;
    agent->instance = strdup(instance);
    agent->enrolments = calloc(request->services.count, sizeof *agent->enrolments);
    agent->log = log;
    agent->on_over = on_over;
    agent->user = user;
    agent->over.run = run_over;
    timer_init(&agent->ask_again, loop, run_ask_again);
    if (open_all(agent, error, error_size) < 0) {
        agent_free(agent);
        return -1;
    }
    *ret_agent = agent;
    return 0;
}

void agent_stop(struct agent *agent)
{
    end(agent, CONNECT_DONE);
}

void agent_set_token(struct agent *agent, const char *token)
{
    if (agent->uplink)
        uplink_set_token(agent->uplink, token);
}

void agent_network_changed(struct agent *agent)
{
    if (agent->uplink)
        uplink_network_changed(agent->uplink);
}

void agent_free(struct agent *agent)
{
    if (!agent)
        return;
    arrivals_free(agent->arrivals);
    resolver_free(agent->resolver);
    tls_context_unref(agent->tls);
    free(agent->enrolments);
    free(agent->instance);
    free(agent);
}

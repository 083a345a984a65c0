/* What becomes of a request: an answer of our own, or a service's. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "edge/acme.h"
#include "edge/visitor.h"

/* An Accept longer than this is no browser's; the page is then a text. */
#define ACCEPT_MAX 512

/* --- Our own answers --- */

void visitor_count_page(const struct visitor *visitor, enum page page)
{
    enum edge_count what;
    switch (page) {
    case PAGE_UNKNOWN_NAME:
        what = EDGE_COUNT_UNKNOWN_NAME;
        break;
    case PAGE_NO_AGENT:
    case PAGE_TOO_MANY:
        what = EDGE_COUNT_NO_AGENT;
        break;
    case PAGE_SERVICE_REFUSED:
        what = EDGE_COUNT_SERVICE_REFUSED;
        break;
    case PAGE_SERVICE_BROKEN:
    case PAGE_TUNNEL_GONE:
    case PAGE_LOOP:
        what = EDGE_COUNT_SERVICE_BROKEN;
        break;
    case PAGE_SERVICE_SILENT:
        what = EDGE_COUNT_SERVICE_SILENT;
        break;
    case PAGE_SLOW_REQUEST:
    case PAGE_MISDIRECTED:
        what = EDGE_COUNT_BAD_REQUESTS;
        break;
    case PAGE_UNAUTHORIZED:
    case PAGE_FORBIDDEN:
    case PAGE_NO_CERTIFICATE:
    case PAGE_GUESSED:
        what = EDGE_COUNT_FORBIDDEN;
        break;
    case PAGE_RATE_LIMITED:
    case PAGE_FULL:
    case PAGE_QUOTA_EXCEEDED:
        what = EDGE_COUNT_LIMITED;
        break;
    default:
        return;
    }
    edge_count(visitor->edge, what, 1);
}

static void answer(struct visitor *visitor, struct http_answer *answer)
{
    bool was_busy = visitor->busy;
    visitor->active_at = loop_now(visitor->edge->loop);
    visitor->busy = true;
    http_visit_answer(visitor->http, answer);
    visitor->busy = was_busy;
    visitor->again = true;
}

void visitor_answer_with(struct visitor *visitor, enum page page, const char *detail,
                         const char *name, const char *value)
{
    struct http_answer own;
    page_make(page, visitor->accept ? visitor->accept : "", detail, &visitor->edge->page, &own);
    if (page != PAGE_REDIRECT)
        visitor->error = page_code(page);
    if (name)
        page_add_header(&visitor->edge->page, name, value);
    visitor_count_page(visitor, page);
    answer(visitor, &own);
}

void visitor_answer(struct visitor *visitor, enum page page, const char *detail)
{
    visitor_answer_with(visitor, page, detail, NULL, NULL);
}

/* True when it was for an ACME client's files. */
static bool answer_acme(struct visitor *visitor, const char *path)
{
    const char *webroot = visitor->edge->setup.config->acme_webroot;
    char file[ACME_MAX];
    if (!webroot || strncmp(path, ACME_PATH, strlen(ACME_PATH)) != 0)
        return false;
    int length = acme_read(webroot, path, file);
    if (length < 0) {
        visitor_answer(visitor, PAGE_NOT_FOUND, path);
        return true;
    }
    struct http_answer own = {
        .status = 200,
        .head = "",
        .content_type = "text/plain",
        .body = file,
        .body_length = (size_t)length,
    };
    answer(visitor, &own);
    return true;
}

/* To https; false: there is none. */
static bool redirect(struct visitor *visitor, const struct http_request *request)
{
    uint16_t port = visitor->edge->setup.config->https_port;
    char url[PAGE_URL_MAX + 2]; /* one that is cut is too long for the page, too */
    if (!port)
        return false;
    const char *target = request->target[0] == '/' ? request->target : request->path;
    if (port == 443)
        snprintf(url, sizeof url, "https://%s%s", request->host, target);
    else
        snprintf(url, sizeof url, "https://%s:%u%s", request->host, port, target);
    visitor_answer(visitor, PAGE_REDIRECT, url);
    return true;
}

/* A trusted proxy in front of us may have ended TLS itself: what it passes on is its decision. */
static bool answer_redirect(struct visitor *visitor, const struct http_request *request)
{
    return !visitor->is_tls && !visitor->is_trusted && visitor->facts->https_only &&
           redirect(visitor, request);
}

/* --- Routing --- */

/* The host that the request is for, or NULL: it was answered. */
static const char *find_host(struct visitor *visitor, const struct http_request *request)
{
    const char *name = visitor->is_tls ? conn_tls_server_name(visitor->conn) : "";
    if (!name[0])
        return request->host;
    if (!request->host[0] || edge_is_host(name, request->host))
        return name;
    visitor_answer(visitor, PAGE_MISDIRECTED, request->host);
    return NULL;
}

static void route(struct visitor *visitor, const struct http_request *request)
{
    if (answer_acme(visitor, request->path))
        return;
    const char *host = find_host(visitor, request);
    if (!host)
        return;
    if (!visitor->is_tls && edge_is_api(visitor->edge, host) && redirect(visitor, request))
        return;
    const struct directory_entry *entry =
        directory_find_host(visitor->edge->directory, host, strlen(host));
    if (!entry) {
        visitor_answer(visitor, PAGE_UNKNOWN_NAME, host);
        return;
    }
    visitor_set_facts(visitor, directory_facts(entry));
    visitor_keep_credentials(visitor, request);
    if (visitor->facts->type == SOCKET_PASSTHROUGH) /* its key isn't ours, nor is its HTTP */
        visitor_answer(visitor, visitor->is_tls ? PAGE_MISDIRECTED : PAGE_UNKNOWN_NAME, host);
    else if (request->is_loop)
        visitor_answer(visitor, PAGE_LOOP, host);
    else if (!answer_redirect(visitor, request))
        visitor->needs_route = true;
}

static void forward(struct visitor *visitor)
{
    struct edge *edge = visitor->edge;
    char address[ADDRESS_TEXT_MAX];
    struct http_forward forward = {
        .visitor = address_format_host(&visitor->visitor, address),
        .proto = visitor->is_tls ? "https" : "http",
        .host_header = visitor->facts->host_header,
        .client_subject = visitor_subject(visitor),
        .is_authorized = visitor->facts->access && visitor->facts->access->is_protected,
        .is_trusted = visitor->is_trusted,
        .hold_body = visitor->has_others,
    };
    visitor->forwarded_at = visitor->active_at = loop_update_now(edge->loop);
    visitor->answer_at = 0;
    visitor->holds_body = visitor->has_others;
    visitor->busy = true;
    http_visit_forward(visitor->http, &forward);
    visitor->busy = false;
    visitor->again = true;
}

/* Nobody could be opened. An agent that is online and busy takes no more; else none is there. */
static void answer_no_agent(struct visitor *visitor)
{
    const struct presence *presence = visitor->presence;
    const struct directory_entry *entry =
        directory_find_id(visitor->edge->directory, visitor->facts->id);
    bool is_full = entry && directory_presences(entry) && presence &&
                   atomic_load_explicit(&presence->busy, memory_order_relaxed) > 0;
    visitor_answer(visitor, is_full ? PAGE_TOO_MANY : PAGE_NO_AGENT, visitor->facts->hostname);
}

void visitor_route_request(struct visitor *visitor)
{
    visitor->needs_route = false;
    visitor_forget_tries(visitor);
    if (visitor->inbound && visitor->inbound_socket != visitor->facts->id)
        visitor_drop_inbound(visitor, true);
    if (!visitor->inbound && visitor_pass(visitor))
        return;
    if (!visitor_admit_request(visitor))
        return;
    if (visitor->inbound) {
        visitor->is_reused = true;
        forward(visitor);
        return;
    }
    visitor_drop_inbound(visitor, true);
    visitor_forget_seen(visitor);
    if (!visitor_open(visitor)) {
        answer_no_agent(visitor);
        return;
    }
    forward(visitor);
    visitor_http_join(visitor);
}

/* --- The service's end --- */

static enum page page_of(const struct visitor *visitor)
{
    if (visitor->gone == GONE_TUNNEL)
        return PAGE_TUNNEL_GONE;
    return visitor->gone == GONE_REFUSED ? PAGE_SERVICE_REFUSED : PAGE_SERVICE_BROKEN;
}

/* The request once more: with the same agent when a kept connection had just been closed, else with
 * the next one. */
static bool try_again(struct visitor *visitor)
{
    bool is_excused =
        visitor->is_reused || visitor->gone == GONE_REFUSED || visitor->gone == GONE_TUNNEL;
    if (!is_excused || visitor->answer_at || !http_visit_can_retry(visitor->http) ||
        !visitor_choose(visitor))
        return false;
    enum page page = page_of(visitor);
    visitor_drop_inbound(visitor, false);
    edge_count(visitor->edge, EDGE_COUNT_RETRIES, 1);
    if (!visitor_open(visitor)) {
        visitor_answer(visitor, page, visitor->facts->hostname);
        return true;
    }
    visitor->active_at = loop_now(visitor->edge->loop);
    visitor->busy = true;
    http_visit_retry(visitor->http);
    visitor->busy = false;
    visitor_http_join(visitor);
    visitor->again = true;
    return true;
}

void visitor_service_over(struct visitor *visitor)
{
    bool is_failure = visitor->gone != GONE_NOT && visitor->gone != GONE_ORDERLY;
    visitor->is_over = false;
    if (!visitor->has_exchange || visitor->needs_route) {
        visitor->is_stale = true;
        return;
    }
    if (try_again(visitor))
        return;
    visitor->is_stale = visitor->again = true;
    if (is_failure && !http_visit_has_answer(visitor->http)) {
        visitor_answer(visitor, page_of(visitor), visitor->facts->hostname);
        return;
    }
    visitor->busy = true;
    if (is_failure) { /* the end of an answer without a length would look like an orderly one */
        visitor->error = page_code(page_of(visitor));
        edge_count(visitor->edge, EDGE_COUNT_SERVICE_BROKEN, 1);
        http_visit_abort(visitor->http);
    } else {
        http_visit_service_ended(visitor->http);
    }
    visitor->busy = false;
}

/* --- What the http_visit tells --- */

static void on_request(void *user, const struct http_request *request)
{
    struct visitor *visitor = user;
    visitor->has_exchange = visitor->again = true;
    visitor->error = NULL;
    visitor->answer_at = visitor->forwarded_at = 0;
    visitor->active_at = loop_now(visitor->edge->loop);
    free(visitor->accept);
    visitor->accept = strndup(request->accept, ACCEPT_MAX); /* NULL: as if there was none */
    route(visitor, request);
}

static void on_answer(void *user)
{
    struct visitor *visitor = user;
    visitor->answer_at = loop_update_now(visitor->edge->loop);
}

static void on_done(void *user, const struct http_record *record, bool keeps_service)
{
    struct visitor *visitor = user;
    visitor_record_request(visitor, record);
    free(visitor->accept);
    visitor->accept = NULL;
    visitor_forget_credentials(visitor);
    visitor->has_exchange = visitor->needs_route = visitor->holds_body = false;
    visitor->has_answered = visitor->again = true;
    visitor->error = NULL;
    /* what comes next may be nobody's */
    visitor_set_facts(visitor, NULL);
    visitor->forwarded_at = visitor->answer_at = 0;
    visitor->request_at = visitor->active_at = loop_now(visitor->edge->loop);
    if (!keeps_service)
        visitor->is_stale = true;
}

static void on_output(void *user)
{
    ((struct visitor *)user)->again = true;
}

static void on_service_end(void *user)
{
    struct visitor *visitor = user;
    visitor->service_ended = visitor->again = true;
}

static const char *date(void *user)
{
    return http_date_at(&((struct visitor *)user)->edge->date, time(NULL));
}

const struct http_visit_callbacks visitor_http_callbacks = {
    .on_request = on_request,
    .on_answer = on_answer,
    .on_done = on_done,
    .on_service_output = on_output,
    .on_visitor_output = on_output,
    .on_service_end = on_service_end,
    .date = date,
};

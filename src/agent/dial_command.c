/* A tunnel with one substream, joined to standard input and output. */
#include "agent/dial.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/complain.h"
#include "agent/dial_settings.h"
#include "agent/stdio.h"
#include "agent/tunnel_client.h"
#include "net/time_slice.h"
#include "net/timer.h"

enum { EXIT_TARGET = 1, EXIT_TUNNEL = 2 };

struct dial_run {
    struct dial_request request;
    struct loop *loop;
    struct resolver *resolver;
    struct tls_context *tls;
    struct stdio *stdio;
    struct tunnel_client *tunnel;
    struct plex_substream *substream; /* NULL before it is open and once it is over */
    struct timer patience;            /* until the target is connected */
    bool over;                        /* no byte comes from the tunnel any more */
    bool output_done;                 /* and none goes to standard output */
    bool finished;
    int status;
};

#define COMPLAIN(...) complain_write("dial", __VA_ARGS__)

#define TELL(run, ...)                                                                             \
    do {                                                                                           \
        if ((run)->request.settings.verbose)                                                       \
            COMPLAIN(__VA_ARGS__);                                                                 \
    } while (0)

static void on_tunnel_closed(void *user)
{
    struct dial_run *run = user;
    loop_stop(run->loop);
}

static void finish(struct dial_run *run)
{
    if (run->finished)
        return;
    run->finished = true;
    timer_stop(&run->patience);
    tunnel_client_close(run->tunnel, on_tunnel_closed);
}

/* Nothing more comes by the tunnel: the program ends when all that came has been written. The first
 * reason decides the exit status. */
static void get_over(struct dial_run *run, int status)
{
    if (run->over)
        return;
    run->over = true;
    if (run->status == 0)
        run->status = status;
    timer_stop(&run->patience);
    if (run->output_done)
        finish(run);
    else
        stdio_end_output(run->stdio);
}

/* The substream ----------------------------------------------------------------------------------
 */

static struct dial_run *run_of(const struct plex_substream *substream)
{
    return plex_substream_user(substream);
}

static void on_event(struct plex_substream *substream, enum plex_event event, const char *text)
{
    struct dial_run *run = run_of(substream);
    bool tls = run->request.settings.tls;

    if (event == PLEX_EVENT_LOOKUP)
        TELL(run, "the server found %s", run->request.target.host);
    else if (event == PLEX_EVENT_CONNECT)
        TELL(run, "the server is connected to %s", text ? text : "the target");
    else if (event == PLEX_EVENT_SECURE_CONNECT)
        TELL(run, "the server has TLS with the target");
    if (event != (tls ? PLEX_EVENT_SECURE_CONNECT : PLEX_EVENT_CONNECT))
        return;
    timer_stop(&run->patience);
    /* Not sooner: an input that nobody took can still be read by whoever tries again. */
    int error = stdio_start_input(run->stdio);
    if (error) {
        COMPLAIN("can't read standard input: %s", strerror(-error));
        plex_substream_end(substream);
    }
}

static void on_data(struct plex_substream *substream, const void *data, size_t length)
{
    struct dial_run *run = run_of(substream);

    if (stdio_write(run->stdio, data, length) == 0)
        return;
    COMPLAIN("out of memory");
    run->substream = NULL;
    plex_substream_abort(substream, NULL, NULL);
    get_over(run, EXIT_TARGET);
}

static void on_end(struct plex_substream *substream)
{
    struct dial_run *run = run_of(substream);

    TELL(run, "the target has sent all");
    stdio_end_output(run->stdio);
}

static void on_error(struct plex_substream *substream, const char *message, const char *code)
{
    struct dial_run *run = run_of(substream);

    COMPLAIN("%s", message);
    run->status = EXIT_TARGET;
}

static void on_gone(struct plex_substream *substream, int reason)
{
    struct dial_run *run = run_of(substream);
    uint64_t in, out;

    run->substream = NULL;
    if (reason == PLEX_SUBSTREAM_TUNNEL_GONE)
        return; /* on_down says more */
    plex_substream_bytes(substream, &in, &out);
    TELL(run, "closed; %llu bytes received, %llu sent", (unsigned long long)in,
         (unsigned long long)out);
    if (reason != PLEX_SUBSTREAM_CLOSED && run->status == 0) {
        COMPLAIN("%s", plex_error_text(reason));
        run->status = EXIT_TARGET;
    }
    get_over(run, run->status);
}

static size_t on_pull(struct plex_substream *substream, void *buffer, size_t capacity)
{
    struct dial_run *run = run_of(substream);
    size_t length = stdio_read(run->stdio, buffer, capacity);

    if (stdio_input_ended(run->stdio)) {
        TELL(run, "standard input has ended");
        plex_substream_end(substream);
    }
    return length;
}

static void on_open(struct plex_substream *substream, enum plex_kind kind, const char *service,
                    const char *visitor)
{
    plex_substream_abort(substream, "nothing is offered here", "ECONNREFUSED");
}

static void on_connect(struct plex_substream *substream, const char *host, uint16_t port)
{
}

static void on_timeout(struct plex_substream *substream, uint32_t milliseconds)
{
}

static const struct plex_callbacks substream_callbacks = {
    .on_open = on_open,
    .on_connect = on_connect,
    .on_timeout = on_timeout,
    .on_data = on_data,
    .on_end = on_end,
    .on_event = on_event,
    .on_error = on_error,
    .on_gone = on_gone,
    .on_pull = on_pull,
};

/* The local end ----------------------------------------------------------------------------------
 */

static void on_input(void *user)
{
    struct dial_run *run = user;
    if (run->substream)
        plex_substream_ready(run->substream);
}

static void on_written(void *user, size_t length)
{
    struct dial_run *run = user;
    if (run->substream)
        plex_substream_consume(run->substream, length);
}

static void on_output_done(void *user, int error)
{
    struct dial_run *run = user;

    run->output_done = true;
    if (error) {
        /* A reader that has seen enough, such as head, is no news. */
        if (error != -EPIPE)
            COMPLAIN("can't write to standard output: %s", strerror(-error));
        if (run->substream)
            plex_substream_abort(run->substream, NULL, NULL);
        run->substream = NULL;
        if (run->status == 0)
            run->status = EXIT_TARGET;
        run->over = true;
    }
    if (run->over)
        finish(run);
}

static const struct stdio_callbacks stdio_callbacks = {on_input, on_written, on_output_done};

/* The tunnel -------------------------------------------------------------------------------------
 */

static void on_connected(struct tunnel_client *tunnel, const char *address, const char *tls_version)
{
    struct dial_run *run = tunnel_client_user(tunnel);
    TELL(run, "tunnel to %s, %s", address, tls_version);
}

static void on_up(struct tunnel_client *tunnel)
{
    struct dial_run *run = tunnel_client_user(tunnel);
    const struct endpoint *target = &run->request.target;
    struct plex_session *session = tunnel_client_session(tunnel);
    enum plex_kind kind = run->request.settings.tls ? PLEX_TLS : PLEX_NET;

    TELL(run, "the token was accepted; %s",
         plex_session_features(session) ? "version 1" : "the legacy wire");
    int error = plex_substream_open(session, kind, NULL, NULL, run, &run->substream);
    if (!error)
        error = plex_substream_connect(run->substream, target->host, target->port);
    if (!error)
        return;
    COMPLAIN("%s", plex_error_text(error));
    if (run->substream)
        plex_substream_abort(run->substream, NULL, NULL);
    run->substream = NULL;
    get_over(run, EXIT_TUNNEL);
}

static void on_down(struct tunnel_client *tunnel, enum tunnel_client_end end, const char *text)
{
    struct dial_run *run = tunnel_client_user(tunnel);

    if (!run->over)
        COMPLAIN("%s", text);
    get_over(run, EXIT_TUNNEL);
}

static const struct tunnel_client_callbacks tunnel_callbacks = {
    .on_connected = on_connected,
    .on_up = on_up,
    .on_down = on_down,
    .substreams = &substream_callbacks,
};

static void run_patience(struct timer *timer)
{
    struct dial_run *run = (struct dial_run *)((char *)timer - offsetof(struct dial_run, patience));

    if (!run->substream)
        return; /* the tunnel has its own deadline, and says what it waited for */
    COMPLAIN("%s:%u took too long to connect", run->request.target.host, run->request.target.port);
    plex_substream_abort(run->substream, NULL, NULL);
    run->substream = NULL;
    get_over(run, EXIT_TARGET);
}

/* ------------------------------------------------------------------------------------------------
 */

static int start(struct dial_run *run)
{
    const struct dial_settings *given = &run->request.settings;
    const struct reach *reach = &run->request.reach;
    const struct tls_client_options tls = {
        .ca_file = reach->ca_file,
        .ca_pem = reach->ca_pem,
        .pin_sha256 = reach->pin_sha256,
        .alpn = "streamplex/1",
    };
    char error[512];

    if (tls_client_new(&tls, &run->tls, error, sizeof error) < 0) {
        COMPLAIN("%s", error);
        return -1;
    }
    const struct tunnel_client_options options = {
        .host = reach->server.host,
        .port = reach->server.port,
        .token = reach->token,
        .tls = run->tls,
        .features = given->legacy ? 0 : PLEX_FEATURES_ALL & ~(uint32_t)PLEX_INBOUND_OPENS,
        .timeout = given->timeout,
    };
    int result = loop_new(&run->loop);
    if (result == 0)
        result = resolver_new(run->loop, NULL, &run->resolver);
    if (result == 0)
        result =
            stdio_new(run->loop, STDIN_FILENO, STDOUT_FILENO, &stdio_callbacks, run, &run->stdio);
    if (result == 0)
        result = tunnel_client_open(run->loop, run->resolver, &options, &tunnel_callbacks, run,
                                    &run->tunnel);
    if (result < 0) {
        COMPLAIN("can't start: %s", strerror(-result));
        return -1;
    }
    timer_init(&run->patience, run->loop, run_patience);
    if (given->timeout)
        timer_start(&run->patience, loop_update_now(run->loop) + given->timeout);
    return 0;
}

static void stop(struct dial_run *run)
{
    if (run->stdio)
        stdio_stop(run->stdio);
    resolver_free(run->resolver);
    if (run->loop)
        loop_free(run->loop);
    stdio_free(run->stdio);
    tls_context_unref(run->tls);
}

int dial_main(int argc, char **argv)
{
    struct dial_run run = {0};
    char error[512];

    stdio_hold_descriptors();
    if (settings_answer_help(&dial_table, argc, argv, stdout))
        return 0;
    run.status = EXIT_TUNNEL;
    if (dial_request_read(&run.request, argc, argv, error, sizeof error) < 0) {
        COMPLAIN("%s", error);
    } else if (start(&run) == 0) {
        run.status = 0;
        time_slice_shorten();
        loop_run(run.loop);
    }
    stop(&run);
    dial_request_deinit(&run.request);
    return run.status;
}

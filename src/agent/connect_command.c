/* `streamplex connect`: an agent in the foreground. */
#include "agent/connect.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/complain.h"
#include "agent/connect_login.h"
#include "agent/login_keeper.h"
#include "agent/stdio.h"
#include "net/network_watch.h"
#include "net/signals.h"
#include "net/time_slice.h"

#define COMPLAIN(...) complain_write("connect", __VA_ARGS__)

struct connect_run {
    struct connect_request *request;
    struct login_keeper *keeper; /* or NULL */
    struct loop *loop;
    struct signals *signals;
    struct network_watch *network;
    struct live_log log;
    struct agent *agent;
    bool is_stopping;
    enum connect_status status;
};

/* Set by a signal that comes before the loop takes signals: what was begun is taken back. */
static volatile sig_atomic_t was_interrupted;

static void on_over(void *user, enum connect_status status)
{
    struct connect_run *run = user;

    run->status = status;
    loop_stop(run->loop);
}

static void on_signal(int number, void *user)
{
    struct connect_run *run = user;

    if (run->is_stopping)
        _exit(128 + number);
    run->is_stopping = true;
    agent_stop(run->agent);
}

static void on_token(void *user, const char *token)
{
    struct connect_run *run = user;
    agent_set_token(run->agent, token);
}

static void on_network_change(void *user)
{
    struct connect_run *run = user;
    agent_network_changed(run->agent);
}

/* Made up at each start: an agent that stays the same across reconnects, and isn't taken for
 * another that offers the same service. */
static void make_instance(char instance[33])
{
    unsigned char bytes[16];

    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        abort(); /* can't be, for so few bytes */
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(instance + 2 * i, 3, "%02x", bytes[i]);
}

/* A descriptor a visitor: the soft limit of 1024 is for programs that use select(2). */
static void raise_files(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* A closed terminal is an end in order, too, except for nohup's. */
static int list_signals(int numbers[3])
{
    struct sigaction action;
    int count = 0;

    numbers[count++] = SIGINT;
    numbers[count++] = SIGTERM;
    if (sigaction(SIGHUP, NULL, &action) == 0 && action.sa_handler != SIG_IGN)
        numbers[count++] = SIGHUP;
    return count;
}

static int start(struct connect_run *run, const char *instance, char *error, size_t error_size)
{
    int numbers[3], count = list_signals(numbers);
    char made_up[33];

    raise_files();
    make_instance(made_up);
    int result = loop_new(&run->loop);
    if (result < 0) {
        snprintf(error, error_size, "can't start: %s", strerror(-result));
        return -1;
    }
    live_log_init(&run->log, run->loop, STDOUT_FILENO);
    if (agent_new(run->loop, run->request, instance ? instance : made_up, &run->log, on_over, run,
                  &run->agent, error, error_size) < 0)
        return -1;
    result = signals_open(run->loop, numbers, count, on_signal, run, &run->signals);
    if (result < 0)
        COMPLAIN("signals will end the program without a word to the server: %s",
                 strerror(-result));
    /* Where it isn't allowed, the next try comes when its time has come. */
    if (network_watch_open(run->loop, on_network_change, run, &run->network) < 0)
        run->network = NULL;
    result = run->keeper ? login_keeper_start(run->keeper, run->loop, on_token, run) : 0;
    if (result < 0)
        COMPLAIN("the login won't be kept up: %s", strerror(-result));
    return 0;
}

static void stop(struct connect_run *run)
{
    login_keeper_stop(run->keeper);
    signals_close(run->signals);
    network_watch_close(run->network);
    agent_free(run->agent);
    if (!run->loop)
        return;
    live_log_deinit(&run->log);
    loop_free(run->loop);
}

enum connect_status connect_serve(struct connect_request *request, const char *instance,
                                  struct login_keeper *keeper)
{
    struct connect_run run = {.request = request, .keeper = keeper, .status = CONNECT_WRONG_USE};
    char error[512];

    if (start(&run, instance, error, sizeof error) < 0) {
        COMPLAIN("%s", error);
    } else {
        if (was_interrupted)
            on_signal(was_interrupted, &run);
        time_slice_shorten();
        loop_run(run.loop);
    }
    stop(&run);
    return run.status;
}

static enum connect_status status_of(enum client_status status)
{
    switch (status) {
    case CLIENT_DONE:
        return CONNECT_DONE;
    case CLIENT_WRONG:
        break;
    case CLIENT_UNREACHABLE:
        return CONNECT_UNREACHABLE;
    case CLIENT_LOGIN:
        return CONNECT_BAD_TOKEN;
    }
    return CONNECT_WRONG_USE;
}

static void note_signal(int number)
{
    was_interrupted = number;
}

/* Until the loop has its own: the API's answer is awaited, or nobody would know what it made. A
 * second signal ends the program at once. */
static void note_signals(void)
{
    struct sigaction action = {.sa_handler = note_signal, .sa_flags = SA_RESTART | SA_RESETHAND};
    int numbers[3], count = list_signals(numbers);

    sigemptyset(&action.sa_mask);
    for (int i = 0; i < count; i++)
        sigaction(numbers[i], &action, NULL);
}

static enum connect_status serve_with_login(struct connect_request *request)
{
    struct connect_login login;
    struct login_keeper *keeper = NULL;

    note_signals();
    enum connect_status status = status_of(connect_login_begin(&login, request));
    if (status == CONNECT_DONE && !was_interrupted) {
        keeper = login_keeper_new(&login.client.login);
        status = connect_serve(request, request->settings.instance, keeper);
    }
    connect_login_end(&login, keeper ? login_keeper_token(keeper) : NULL);
    login_keeper_free(keeper);
    return status;
}

int connect_main(int argc, char **argv)
{
    struct connect_request request;
    enum connect_status status = CONNECT_WRONG_USE;
    char error[512], machine[256] = "";

    stdio_hold_descriptors();
    if (settings_answer_help(&connect_table, argc, argv, stdout))
        return CONNECT_DONE;
    if (gethostname(machine, sizeof machine - 1) < 0 || !*machine)
        snprintf(machine, sizeof machine, "localhost");
    if (connect_request_read(&request, argc, argv, machine, error, sizeof error) < 0)
        COMPLAIN("%s", error);
    else if (request.with_login)
        status = serve_with_login(&request);
    else
        status = connect_serve(&request, request.settings.instance, NULL);
    connect_request_deinit(&request);
    return status;
}

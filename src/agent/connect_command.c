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
#include "agent/stdio.h"
#include "net/network_watch.h"
#include "net/signals.h"

#define COMPLAIN(...) complain_write("connect", __VA_ARGS__)

struct connect_run {
    struct connect_request request;
    struct loop *loop;
    struct signals *signals;
    struct network_watch *network;
    struct live_log log;
    struct agent *agent;
    bool is_stopping;
    enum connect_status status;
};

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

static int start(struct connect_run *run, char *error, size_t error_size)
{
    static const int numbers[] = {SIGINT, SIGTERM};
    char made_up[33];
    const char *instance = run->request.settings.instance;

    raise_files();
    make_instance(made_up);
    int result = loop_new(&run->loop);
    if (result < 0) {
        snprintf(error, error_size, "can't start: %s", strerror(-result));
        return -1;
    }
    live_log_init(&run->log, run->loop, STDOUT_FILENO);
    if (agent_new(run->loop, &run->request, instance ? instance : made_up, &run->log, on_over, run,
                  &run->agent, error, error_size) < 0)
        return -1;
    result = signals_open(run->loop, numbers, 2, on_signal, run, &run->signals);
    if (result < 0)
        COMPLAIN("signals will end the program without a word to the server: %s",
                 strerror(-result));
    /* Where it isn't allowed, the next try comes when its time has come. */
    if (network_watch_open(run->loop, on_network_change, run, &run->network) < 0)
        run->network = NULL;
    return 0;
}

static void stop(struct connect_run *run)
{
    signals_close(run->signals);
    network_watch_close(run->network);
    agent_free(run->agent);
    if (!run->loop)
        return;
    live_log_deinit(&run->log);
    loop_free(run->loop);
}

int connect_main(int argc, char **argv)
{
    struct connect_run run = {.status = CONNECT_WRONG_USE};
    char error[512], machine[256] = "";

    stdio_hold_descriptors();
    if (settings_answer_help(&connect_table, argc, argv, stdout))
        return CONNECT_DONE;
    if (gethostname(machine, sizeof machine - 1) < 0 || !*machine)
        snprintf(machine, sizeof machine, "localhost");
    if (connect_request_read(&run.request, argc, argv, machine, error, sizeof error) < 0 ||
        start(&run, error, sizeof error) < 0)
        COMPLAIN("%s", error);
    else
        loop_run(run.loop);
    stop(&run);
    connect_request_deinit(&run.request);
    return run.status;
}

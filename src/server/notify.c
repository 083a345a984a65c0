#include "server/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "net/timer.h"

struct notify_watchdog {
    struct timer timer;
    struct loop *loop;
    uint64_t interval;
    bool (*is_healthy)(void *user);
    void *user;
};

/* Nobody can be told when the manager doesn't listen: what sd_notify returns changes nothing for
 * us. */
static void tell(const char *state)
{
#ifdef HAVE_SYSTEMD
    (void)sd_notify(0, state);
#else
    (void)state;
#endif
}

int notify_listen_fds(int *ret_first, char ***ret_names)
{
    *ret_first = -1;
    *ret_names = NULL;
#ifdef HAVE_SYSTEMD
    char **names = NULL;
    int count = sd_listen_fds_with_names(1, &names);
    if (count <= 0) {
        notify_names_free(names);
        return count;
    }
    *ret_first = SD_LISTEN_FDS_START;
    *ret_names = names;
    return count;
#else
    return 0;
#endif
}

void notify_names_free(char **names)
{
    for (char **name = names; name && *name; name++)
        free(*name);
    free(names);
}

void notify_ready(void)
{
    tell("READY=1");
}

void notify_reloading(void)
{
    /* The time lets managers that know Type=notify-reload tell this reload from an earlier one. */
    struct timespec now = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    char state[64];
    snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%llu",
             (unsigned long long)now.tv_sec * 1000000u + (unsigned long long)now.tv_nsec / 1000u);
    tell(state);
}

void notify_stopping(void)
{
    tell("STOPPING=1");
}

void notify_status(const char *format, ...)
{
    char state[256] = "STATUS=";
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(state + 7, sizeof state - 7, format, arguments);
    va_end(arguments);
    /* A line break would begin another assignment. */
    for (char *at = state; *at; at++)
        if (*at == '\n')
            *at = ' ';
    tell(state);
}

uint64_t notify_watchdog_interval(void)
{
#ifdef HAVE_SYSTEMD
    uint64_t interval = 0;
    if (sd_watchdog_enabled(0, &interval) > 0)
        return interval;
#endif
    return 0;
}

static void on_time(struct timer *timer)
{
    struct notify_watchdog *watchdog = (struct notify_watchdog *)timer;
    if (!watchdog->is_healthy || watchdog->is_healthy(watchdog->user))
        tell("WATCHDOG=1");
    timer_start(timer, loop_now(watchdog->loop) + watchdog->interval / 3);
}

int notify_watchdog_start(struct loop *loop, bool (*is_healthy)(void *user), void *user,
                          struct notify_watchdog **ret_watchdog)
{
    uint64_t interval = notify_watchdog_interval();
    if (!interval) {
        *ret_watchdog = NULL;
        return 0;
    }
    struct notify_watchdog *watchdog = calloc(1, sizeof *watchdog);
    if (!watchdog)
        return -ENOMEM;
    watchdog->loop = loop;
    watchdog->interval = interval;
    watchdog->is_healthy = is_healthy;
    watchdog->user = user;
    timer_init(&watchdog->timer, loop, on_time);
    timer_start(&watchdog->timer, loop_now(loop));
    *ret_watchdog = watchdog;
    return 0;
}

void notify_watchdog_stop(struct notify_watchdog *watchdog)
{
    if (!watchdog)
        return;
    timer_stop(&watchdog->timer);
    free(watchdog);
}

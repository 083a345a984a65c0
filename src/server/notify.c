#include "server/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

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
        notify_free_names(names, 0);
        return count;
    }
    *ret_first = SD_LISTEN_FDS_START;
    *ret_names = names;
    return count;
#else
    return 0;
#endif
}

void notify_free_names(char **names, int count)
{
    for (int i = 0; names && i < count; i++)
        free(names[i]);
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
        return interval / 3;
#endif
    return 0;
}

void notify_watchdog(void)
{
    tell("WATCHDOG=1");
}

#include "net/signals.h"

#include <errno.h>
#include <stdlib.h>
#include <uv.h>

#define SIGNALS_MAX 8

struct signals {
    uv_signal_t handles[SIGNALS_MAX];
    int open; /* handles whose close callback is still to come */
    void (*on_signal)(int number, void *user);
    void *user;
};

static void forward(uv_signal_t *handle, int number)
{
    struct signals *signals = handle->data;
    if (signals->on_signal)
        signals->on_signal(number, signals->user);
}

static void on_closed(uv_handle_t *handle)
{
    struct signals *signals = handle->data;
    if (--signals->open == 0)
        free(signals);
}

int signals_open(struct loop *loop, const int *numbers, int count,
                 void (*on_signal)(int number, void *user), void *user,
                 struct signals **ret_signals)
{
    if (count < 1 || count > SIGNALS_MAX)
        return -EINVAL;
    struct signals *signals = calloc(1, sizeof *signals);
    if (!signals)
        return -ENOMEM;
    signals->on_signal = on_signal;
    signals->user = user;
    for (int i = 0; i < count; i++) {
        uv_signal_t *handle = &signals->handles[i];
        int error = uv_signal_init(loop_uv(loop), handle);
        if (error == 0) {
            handle->data = signals;
            signals->open++;
            error = uv_signal_start(handle, forward, numbers[i]);
        }
        if (error < 0) {
            if (signals->open)
                signals_close(signals);
            else
                free(signals);
            return error;
        }
    }
    *ret_signals = signals;
    return 0;
}

void signals_close(struct signals *signals)
{
    if (!signals)
        return;
    signals->on_signal = NULL;
    for (int i = 0, count = signals->open; i < count; i++)
        uv_close((uv_handle_t *)&signals->handles[i], on_closed);
}

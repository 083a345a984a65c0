#include "net/timer.h"

#include <stddef.h>

#include "net/loop_internal.h"
#include "net/wheel.h"

void timer_init(struct timer *timer, struct loop *loop, void (*run)(struct timer *timer))
{
    *timer = (struct timer){.run = run, .loop = loop};
}

void timer_start(struct timer *timer, uint64_t when)
{
    timer_stop(timer);
    if (when == UINT64_MAX)
        return;
    timer->when = when;
    wheel_insert(loop_wheel(timer->loop), timer);
}

void timer_stop(struct timer *timer)
{
    if (timer->next)
        wheel_remove(timer);
}

bool timer_is_running(const struct timer *timer)
{
    return timer->next != NULL;
}

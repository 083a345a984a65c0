/* What a loop has for the other files of src/net. */
#pragma once

#include "net/loop.h"

struct watches;
struct wheel;

/* Something that lives on after its owner let it go (a lingering connection); run ends it at once
 * when the loop is freed. Embed it, zero it, set run. */
struct loop_exit {
    void (*run)(struct loop_exit *exit);
    struct loop_exit *next, *previous;
};

struct watches *loop_watches(struct loop *loop);
struct wheel *loop_wheel(struct loop *loop);
void loop_at_exit(struct loop *loop, struct loop_exit *exit);
void loop_not_at_exit(struct loop *loop, struct loop_exit *exit);

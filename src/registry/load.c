#include "registry/load.h"

#include <stdlib.h>

struct socket_load *socket_load_new(void)
{
    struct socket_load *load = calloc(1, sizeof *load);
    if (load)
        atomic_init(&load->references, 1);
    return load;
}

struct socket_load *socket_load_ref(struct socket_load *load)
{
    atomic_fetch_add_explicit(&load->references, 1, memory_order_relaxed);
    return load;
}

void socket_load_unref(struct socket_load *load)
{
    if (load && atomic_fetch_sub_explicit(&load->references, 1, memory_order_acq_rel) == 1)
        free(load);
}

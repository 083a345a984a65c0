/* Questions of the main thread's about all tunnels: each worker is asked by message, and what they
 * answer is gathered. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/loop.h"

struct worker;
struct api_tunnel;

/* The authenticated tunnels of an owner (NULL: of all), in no order; on_done when every worker has
 * told. Both on main_loop, never before this returns. 0, or -1 without memory, and then neither
 * comes. Texts are borrowed. */
int tunnel_census_list(struct worker *const *workers, size_t count, struct loop *main_loop,
                       const char *owner, void (*each)(void *user, const struct api_tunnel *tunnel),
                       void (*on_done)(void *user), void *user) __attribute__((warn_unused_result));
/* Closes the tunnel of that id, wherever it is. As above. */
int tunnel_census_close(struct worker *const *workers, size_t count, struct loop *main_loop,
                        uint64_t id, void (*on_done)(void *user, bool found), void *user)
    __attribute__((warn_unused_result));

/* Whom tunnel_census_end() ends. */
struct tunnel_census_grant {
    const char *owner;
    uint64_t token;     /* 0: whatever their token */
    const char *login;  /* the login of this jti, "": any; NULL: tokens, too */
    bool busy_only;     /* those that have substreams */
    const char *reason; /* for the log; static text */
};
/* Ends the tunnels that such a grant lets in. Nobody is told. */
void tunnel_census_end(struct worker *const *workers, size_t count,
                       const struct tunnel_census_grant *whom);

/* An agent: services, registered on a tunnel that is opened again for ever, and the visitors that
 * come by it.
 *
 *   uplink (one tunnel, or two for a while) -> registers each service -> "NAME - URL"
 *   inbound substream -> arrival -> local service;  visit -> a line of the log
 */
#pragma once

#include <stdbool.h>

#include "agent/connect.h"
#include "agent/connect_settings.h"
#include "agent/live_log.h"
#include "net/loop.h"

struct agent;

/* request, log: borrowed for the agent's life. instance: copied. on_over comes once, later, when
 * the agent has ended (by agent_stop(), or by itself): free it then. 0, or -1 with a sentence. */
int agent_new(struct loop *loop, const struct connect_request *request, const char *instance,
              struct live_log *log, void (*on_over)(void *user, enum connect_status status),
              void *user, struct agent **ret_agent, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* Ends in order: what visitors are in the midst of is cut. Idempotent. */
void agent_stop(struct agent *agent);
/* The token of tunnels from now on; borrowed for the agent's life, or until the next. */
void agent_set_token(struct agent *agent, const char *token);
void agent_network_changed(struct agent *agent);
void agent_free(struct agent *agent); /* after on_over; NULL is fine */

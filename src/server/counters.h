/* Counters of one worker: written by its thread alone, read by the admin thread when summed
 * (relaxed atomics: a metric may be a moment old, never torn). */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

/* field, family, label, Prometheus type, help. The metric is streamplex_FAMILY{LABEL} (counters:
 * streamplex_FAMILY_total); label "" means none. The members of a family stand together and share
 * type and help. */
#define COUNTERS(X)                                                                                \
    X(tunnels, tunnels, "", gauge, "Tunnels open, authenticated or not")                           \
    X(tunnels_authed, tunnels_authed, "", gauge, "Tunnels authenticated")                          \
    X(tunnels_opened, tunnels_opened, "", counter, "Tunnels accepted")                             \
    X(tunnels_refused, tunnels_refused, "", counter, "Connections refused by a cap")               \
    X(tunnel_faults, tunnel_faults, "", counter, "Tunnels closed for a fault of the device")       \
    X(substreams, substreams, "", gauge, "Substreams open")                                        \
    X(substreams_opened, substreams_opened, "", counter, "Substreams opened")                      \
    X(stalls, stalls, "", counter, "Substreams aborted for stalling")                              \
    X(bytes_from_devices, bytes_from_devices, "", counter, "Payload bytes from devices")           \
    X(bytes_to_devices, bytes_to_devices, "", counter, "Payload bytes to devices")                 \
    X(lingering, lingering, "", gauge, "Targets still given data of tunnels that closed")          \
    X(dials_connected, dials, "result=\"connected\"", counter,                                     \
      "Dials to targets, by result (refused: by the egress policy)")                               \
    X(dials_refused, dials, "result=\"refused\"", counter, "")                                     \
    X(dials_failed, dials, "result=\"failed\"", counter, "")                                       \
    X(dials_lookup_failed, dials, "result=\"not_found\"", counter, "")                             \
    X(dials_pending, dials_pending, "", gauge, "Dials under way")                                  \
    X(handshakes, handshakes, "result=\"completed\"", counter,                                     \
      "TLS handshakes of tunnels, by result (failed: timeouts, too)")                              \
    X(handshakes_failed, handshakes, "result=\"failed\"", counter, "")                             \
    X(handshakes_resumed, handshakes_resumed, "", counter,                                         \
      "TLS handshakes completed that resumed a session")                                           \
    X(auth_accepted, auth, "result=\"accepted\"", counter, "Tokens judged, by result")             \
    X(auth_refused, auth, "result=\"refused\"", counter, "")                                       \
    X(auth_system_errors, auth, "result=\"system_error\"", counter, "")                            \
    X(buffered_bytes, buffered_bytes, "", gauge,                                                   \
      "Bytes from devices held in memory for slow targets")                                        \
    X(credit_bytes, credit_bytes, "", gauge, "Credit outstanding to version-1 devices")            \
    X(edge_visitors, edge_visitors, "", gauge, "Visitors' connections open")                       \
    X(edge_refused, edge_refused, "", counter, "Visitors refused by a cap")                        \
    X(edge_visits, edge_visits, "", counter, "Visits: requests of http, connections of the rest")  \
    X(edge_bytes_in, edge_bytes_in, "", counter, "Bytes from visitors, without TLS and heads")     \
    X(edge_bytes_out, edge_bytes_out, "", counter, "Bytes to visitors, without TLS and heads")     \
    X(edge_handshakes, edge_handshakes, "result=\"completed\"", counter,                           \
      "TLS handshakes of visitors, by result")                                                     \
    X(edge_handshakes_failed, edge_handshakes, "result=\"failed\"", counter, "")                   \
    X(edge_unknown_name, edge_errors, "error=\"unknown_name\"", counter,                           \
      "Visits that no service answered, by what was wrong")                                        \
    X(edge_no_agent, edge_errors, "error=\"no_agent\"", counter, "")                               \
    X(edge_service_refused, edge_errors, "error=\"service_refused\"", counter, "")                 \
    X(edge_service_broken, edge_errors, "error=\"service_broken\"", counter, "")                   \
    X(edge_service_silent, edge_errors, "error=\"service_silent\"", counter, "")                   \
    X(edge_bad_requests, edge_errors, "error=\"bad_request\"", counter, "")                        \
    X(edge_forbidden, edge_errors, "error=\"forbidden\"", counter, "")                             \
    X(edge_limited, edge_errors, "error=\"limited\"", counter, "")                                 \
    X(edge_retries, edge_retries, "", counter, "Visits that went to another agent")                \
    X(edge_links, edge_links, "", counter, "Visits joined to another worker's tunnel by a link")   \
    X(api_answers_2xx, api_answers, "class=\"2xx\"", counter,                                      \
      "Requests to the API, by the class of their answers' status")                                \
    X(api_answers_3xx, api_answers, "class=\"3xx\"", counter, "")                                  \
    X(api_answers_4xx, api_answers, "class=\"4xx\"", counter, "")                                  \
    X(api_answers_5xx, api_answers, "class=\"5xx\"", counter, "")                                  \
    X(logins_accepted, logins, "result=\"accepted\"", counter,                                     \
      "Logins with e-mail and password, by result (delayed: too many, or too much to do)")         \
    X(logins_refused, logins, "result=\"refused\"", counter, "")                                   \
    X(logins_delayed, logins, "result=\"delayed\"", counter, "")                                   \
    X(logins_failed, logins, "result=\"failed\"", counter, "")                                     \
    X(logins_pending, logins_pending, "", gauge, "Logins whose password is being checked")

struct counters {
#define COUNTER_FIELD(field, family, label, type, help) _Atomic int64_t field;
    COUNTERS(COUNTER_FIELD)
#undef COUNTER_FIELD
};

static inline void counter_add(_Atomic int64_t *counter, int64_t amount)
{
    /* One writer: a load and a store are enough, and cost no locked instruction. */
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + amount,
                          memory_order_relaxed);
}

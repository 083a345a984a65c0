/* Counters of one worker: written by its thread alone, read by the admin thread when summed (relaxed atomics: a
 * metric may be a moment old, never torn). */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

/* name, Prometheus type, help; the metric is streamplex_NAME (counters with _total). */
#define COUNTERS(X)                                                                                \
    X(tunnels, gauge, "Tunnels open, authenticated or not")                                        \
    X(tunnels_authed, gauge, "Tunnels authenticated")                                              \
    X(tunnels_opened, counter, "Tunnels accepted")                                                 \
    X(tunnels_refused, counter, "Connections refused by a cap")                                    \
    X(substreams, gauge, "Substreams open")                                                        \
    X(substreams_opened, counter, "Substreams opened")                                             \
    X(bytes_from_devices, counter, "Payload bytes from devices")                                   \
    X(bytes_to_devices, counter, "Payload bytes to devices")                                       \
    X(dials_connected, counter, "Dials that connected")                                            \
    X(dials_refused, counter, "Dials refused by the egress policy")                                \
    X(dials_failed, counter, "Dials that failed")                                                  \
    X(dials_lookup_failed, counter, "Dials whose name was not found")                              \
    X(dials_pending, gauge, "Dials under way")                                                     \
    X(handshakes, counter, "TLS handshakes completed")                                             \
    X(handshakes_resumed, counter, "TLS handshakes that resumed a session")                        \
    X(handshakes_failed, counter, "TLS handshakes that failed or timed out")                       \
    X(auth_accepted, counter, "Tokens accepted")                                                   \
    X(auth_refused, counter, "Tokens refused")                                                     \
    X(auth_system_errors, counter, "Token checks that failed on our side")                         \
    X(tunnel_faults, counter, "Tunnels closed for a fault of the device")                          \
    X(stalls, counter, "Substreams aborted for stalling")                                          \
    X(buffered_bytes, gauge, "Bytes from devices held in memory for slow targets")                 \
    X(credit_bytes, gauge, "Credit outstanding to version-1 devices")

struct counters {
#define COUNTER_FIELD(name, type, help) _Atomic int64_t name;
    COUNTERS(COUNTER_FIELD)
#undef COUNTER_FIELD
};

static inline void counter_add(_Atomic int64_t *counter, int64_t amount)
{
    /* One writer: a load and a store are enough, and cost no locked instruction. */
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + amount,
                          memory_order_relaxed);
}

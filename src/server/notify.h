/* The service manager (systemd): readiness, status, watchdog, and the sockets it opened for us.
 *
 * Without libsystemd at build time, or when no manager started us, everything here is harmless and
 * does nothing. One thread uses it: the main one.
 */
#pragma once

#include <stdint.h>

/* Sockets that the manager passed: *ret_first is the first descriptor, the others follow it;
 * *ret_names are what the units call them (FileDescriptorName=), one each, NULL at the end;
 * notify_names_free() takes them. Descriptors get close-on-exec, and the variables that told of
 * them are unset, so that no child takes them for its own. Returns their count; 0 (then *ret_names
 * is NULL) when there are none; or a negative errno. */
int notify_listen_fds(int *ret_first, char ***ret_names) __attribute__((warn_unused_result));
void notify_free_names(char **names, int count); /* NULL is fine */

void notify_ready(void);     /* listening; also ends what notify_reloading() began */
void notify_reloading(void); /* a reload began */
void notify_stopping(void);  /* draining */
/* One line for `systemctl status`: "12 tunnels, 40 substreams". */
void notify_status(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Microseconds between two notify_watchdog() calls, a third of what the manager waits before it
 * restarts us; 0: it keeps no watch. */
uint64_t notify_watchdog_interval(void);
void notify_watchdog(void); /* all is well */

/* Have certificate files changed on disk? Looked at with stat(2) every 10 s, so that a renewal is
 * taken up by itself: the files named, and each file of a folder, whatever was put there or taken
 * away. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CERTIFICATE_WATCH_INTERVAL 10000000u /* microseconds */
/* Of a folder's entries and of what is in its folders; beyond, a change in the rest shows only in
 * the folder's own time. */
#define CERTIFICATE_WATCH_MAX 8192

struct certificate_watch;

/* 0 or -ENOMEM. */
int certificate_watch_new(struct certificate_watch **ret_watch) __attribute__((warn_unused_result));
void certificate_watch_free(struct certificate_watch *watch); /* NULL is fine */
/* Begins anew with these (each may be NULL: not one), as they are now. */
void certificate_watch_set(struct certificate_watch *watch, const char *const *files, size_t count,
                           const char *folder);
/* True when something changed since certificate_watch_set() or the last look. */
bool certificate_watch_changed(struct certificate_watch *watch);

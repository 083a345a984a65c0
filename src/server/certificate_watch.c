#include "server/certificate_watch.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/file_stamp.h"

struct watched {
    struct file_stamp stamp;
    char *path;
};

struct certificate_watch {
    struct watched *watched;
    size_t count, capacity;
};

int certificate_watch_new(struct certificate_watch **ret_watch)
{
    *ret_watch = calloc(1, sizeof **ret_watch);
    return *ret_watch ? 0 : -ENOMEM;
}

static void forget(struct certificate_watch *watch)
{
    while (watch->count > 0)
        free(watch->watched[--watch->count].path);
}

void certificate_watch_free(struct certificate_watch *watch)
{
    if (!watch)
        return;
    forget(watch);
    free(watch->watched);
    free(watch);
}

/* Without memory it isn't watched: a SIGHUP takes it up. */
static void add(struct certificate_watch *watch, const char *path)
{
    if (watch->count == watch->capacity) {
        size_t capacity = watch->capacity ? watch->capacity * 2 : 16;
        struct watched *grown = realloc(watch->watched, capacity * sizeof *grown);
        if (!grown)
            return;
        watch->watched = grown;
        watch->capacity = capacity;
    }
    struct watched *one = &watch->watched[watch->count];
    *one = (struct watched){.path = strdup(path)};
    if (!one->path)
        return;
    watch->count++;
    (void)file_stamp_changed(&one->stamp, path, 0, 0);
}

static void add_folder(struct certificate_watch *watch, const char *path, bool goes_deeper)
{
    struct dirent *entry;
    DIR *folder = opendir(path);
    add(watch, path); /* its own time tells of names that come and go */
    while (folder && watch->count < CERTIFICATE_WATCH_MAX && (entry = readdir(folder))) {
        char below[PATH_MAX];
        if (entry->d_name[0] == '.' ||
            (size_t)snprintf(below, sizeof below, "%s/%s", path, entry->d_name) >= sizeof below)
            continue;
        if (goes_deeper && entry->d_type != DT_REG)
            add_folder(watch, below, false); /* adds what is no folder, too */
        else
            add(watch, below);
    }
    if (folder)
        closedir(folder);
}

void certificate_watch_set(struct certificate_watch *watch, const char *const *files, size_t count,
                           const char *folder)
{
    forget(watch);
    for (size_t i = 0; i < count; i++)
        if (files[i])
            add(watch, files[i]);
    if (folder)
        add_folder(watch, folder, true);
}

bool certificate_watch_changed(struct certificate_watch *watch)
{
    bool changed = false;
    for (size_t i = 0; i < watch->count; i++)
        changed |= file_stamp_changed(&watch->watched[i].stamp, watch->watched[i].path, 0, 0);
    return changed;
}

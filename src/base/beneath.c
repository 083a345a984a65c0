#include "base/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* While folders are being renamed the kernel says EAGAIN: ask again, but not for ever. */
#define TRIES 8

/* openat2(2) refuses what has no meaning with O_PATH. */
static int complete(int flags)
{
    return flags | O_CLOEXEC | (flags & O_PATH ? 0 : O_NOCTTY | O_NONBLOCK);
}

static bool is_sound(const char *path)
{
    size_t length = strlen(path);
    if (length >= PATH_MAX || length == 0)
        return length == 0;
    for (const char *part = path;;) {
        size_t size = strcspn(part, "/");
        if (size == 0 || (size == 1 && part[0] == '.') ||
            (size == 2 && part[0] == '.' && part[1] == '.'))
            return false;
        if (!part[size])
            return true;
        part += size + 1;
    }
}

static int as_result(int fd)
{
    return fd < 0 ? -errno : fd;
}

int beneath_open_stepwise(int folder, const char *path, int flags)
{
    char part[NAME_MAX + 1];
    if (!is_sound(path))
        return -EINVAL;
    if (!*path)
        return as_result(openat(folder, ".", complete(flags)));
    int at = folder;
    for (;;) {
        size_t size = strcspn(path, "/");
        bool is_last = !path[size];
        int next = -ENAMETOOLONG;
        if (size < sizeof part) {
            memcpy(part, path, size);
            part[size] = 0;
            next = as_result(
                openat(at, part, complete(is_last ? flags : O_PATH | O_DIRECTORY) | O_NOFOLLOW));
        }
        if (at != folder)
            close(at);
        if (is_last || next < 0)
            return next;
        at = next;
        path += size + 1;
    }
}

int beneath_open(int folder, const char *path, int flags)
{
    struct open_how how = {
        .flags = (unsigned)complete(flags),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    if (!is_sound(path))
        return -EINVAL;
    for (int tries = 0; tries < TRIES; tries++) {
        int fd = (int)syscall(SYS_openat2, folder, *path ? path : ".", &how, sizeof how);
        if (fd >= 0)
            return fd;
        /* EPERM: a sandbox that doesn't know the call. */
        if (errno == ENOSYS || errno == EPERM)
            return beneath_open_stepwise(folder, path, flags);
        if (errno != EAGAIN)
            break;
    }
    return -errno;
}

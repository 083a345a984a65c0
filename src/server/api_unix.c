/* The admin's unix socket: its file, and who may speak. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "server/api_listener_internal.h"

#define BACKLOG 16 /* operators, not visitors */

static int fail(const char *path, int fault, char *error, size_t error_size)
{
    snprintf(error, error_size, "admin-socket %s: %s", path, strerror(fault));
    return -1;
}

static int new_socket(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* before bind(2), which gives the file the socket's mode: at no moment is it another's */
    if (fd >= 0 && fchmod(fd, S_IRUSR | S_IWUSR) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Does anybody listen there? A server that was killed has left its file. */
static bool is_stale(const struct sockaddr_un *address)
{
    struct stat status;
    if (lstat(address->sun_path, &status) < 0 || !S_ISSOCK(status.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool refused =
        connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

static int bind_to(int fd, const struct sockaddr_un *address)
{
    const struct sockaddr *any = (const struct sockaddr *)address;
    if (bind(fd, any, sizeof *address) == 0)
        return 0;
    if (errno != EADDRINUSE || !is_stale(address))
        return -errno;
    if (unlink(address->sun_path) < 0 || bind(fd, any, sizeof *address) < 0)
        return -errno;
    return 0;
}

int api_unix_listen(const char *path, int *ret_fd, dev_t *ret_device, ino_t *ret_inode, char *error,
                    size_t error_size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat status;
    if (strlen(path) >= sizeof address.sun_path)
        return fail(path, ENAMETOOLONG, error, error_size);
    strcpy(address.sun_path, path);
    int fd = new_socket();
    if (fd < 0)
        return fail(path, errno, error, error_size);
    int result = bind_to(fd, &address);
    if (result == 0 && (listen(fd, BACKLOG) < 0 || lstat(path, &status) < 0))
        result = -errno;
    if (result < 0) {
        close(fd);
        return fail(path, -result, error, error_size);
    }
    *ret_fd = fd;
    *ret_device = status.st_dev;
    *ret_inode = status.st_ino;
    return 0;
}

bool api_unix_may_enter(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return false;
    if (peer.uid == 0 || peer.uid == geteuid())
        return true;
    log_write(LOG_WARNING, LOG_FIELDS(LOG_NUMBER("uid", peer.uid), LOG_NUMBER("pid", peer.pid)),
              "admin socket: another user's connection was refused");
    return false;
}

void api_unix_remove(const char *path, dev_t device, ino_t inode)
{
    struct stat status;
    if (lstat(path, &status) == 0 && status.st_dev == device && status.st_ino == inode)
        unlink(path);
}

/* Keys of the server's own, in the state folder. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/pki.h"
#include "server/state.h"

/* 1 when read, 0 when there is none, -1 with a sentence. */
static int read_key(const char *path, unsigned char key[STATE_KEY_SIZE], char *error,
                    size_t error_size)
{
    unsigned char bytes[STATE_KEY_SIZE + 1]; /* one too many would be seen */
    struct stat facts;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return 0;
    int fault = fd < 0 || fstat(fd, &facts) < 0 ? errno : 0;
    bool is_private = !fault && S_ISREG(facts.st_mode) && !(facts.st_mode & (S_IRWXG | S_IRWXO));
    ssize_t length = is_private ? read(fd, bytes, sizeof bytes) : -1;
    if (fd >= 0)
        close(fd);
    if (fault)
        snprintf(error, error_size, "can't read %s: %s", path, strerror(fault));
    else if (!is_private)
        snprintf(error, error_size, "%s must be a file that only its owner can read: chmod 600",
                 path);
    else if (length != STATE_KEY_SIZE)
        snprintf(error, error_size,
                 "%s must hold %d bytes; without it, a new one is made, and "
                 "everybody has to log in again",
                 path, STATE_KEY_SIZE);
    else
        memcpy(key, bytes, STATE_KEY_SIZE);
    explicit_bzero(bytes, sizeof bytes);
    return !fault && is_private && length == STATE_KEY_SIZE ? 1 : -1;
}

static int make_key(const char *folder, const char *path, char *error, size_t error_size)
{
    unsigned char bytes[STATE_KEY_SIZE];
    if (pki_random(bytes, sizeof bytes) < 0) {
        snprintf(error, error_size, "the system gives no random bytes for a key");
        return -1;
    }
    int result = state_write_new(folder, path, (const char *)bytes, sizeof bytes);
    if (result < 0)
        snprintf(error, error_size, "can't write %s: %s", path, strerror(errno));
    explicit_bzero(bytes, sizeof bytes);
    return result;
}

int state_ensure_key(const char *folder, const char *name, unsigned char key[STATE_KEY_SIZE],
                     char *error, size_t error_size)
{
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path) {
        snprintf(error, error_size, "the state folder's name is too long");
        return -1;
    }
    int found = read_key(path, key, error, error_size);
    if (found)
        return found < 0 ? -1 : 0;
    if (make_key(folder, path, error, error_size) < 0)
        return -1;
    found = read_key(path, key, error, error_size);
    if (found == 0)
        snprintf(error, error_size, "%s has just been removed by someone", path);
    return found > 0 ? 0 : -1;
}

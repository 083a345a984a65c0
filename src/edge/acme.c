#include "edge/acme.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/beneath.h"

/* Longer than any file's name may be. */
#define TOKEN_MAX 255

static bool is_token(const char *text)
{
    size_t length =
        strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
    return length > 0 && length <= TOKEN_MAX && !text[length];
}

static int read_whole(int fd, char buffer[ACME_MAX])
{
    struct stat facts;
    size_t length = 0;
    if (fstat(fd, &facts) < 0 || !S_ISREG(facts.st_mode) || facts.st_size > ACME_MAX)
        return -1;
    while (length < ACME_MAX) {
        ssize_t got = read(fd, buffer + length, ACME_MAX - length);
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        length += (size_t)got;
    }
    return (int)length;
}

int acme_read(const char *webroot, const char *path, char buffer[ACME_MAX])
{
    if (strncmp(path, ACME_PATH, strlen(ACME_PATH)) != 0 || !is_token(path + strlen(ACME_PATH)))
        return -1;
    int folder = open(webroot, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return -1;
    int fd = beneath_open(folder, path + 1, O_RDONLY);
    close(folder);
    if (fd < 0)
        return -1;
    int length = read_whole(fd, buffer);
    close(fd);
    return length;
}

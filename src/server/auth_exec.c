#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/child.h"
#include "net/pki.h"
#include "server/auth_check.h"

struct program {
    struct auth_checker checker; /* first */
    struct loop *loop;
    uint64_t timeout;
    char path[];
};

struct check {
    struct child *child;
    auth_on_verdict *on_verdict;
    void *user;
    char fallback[20]; /* the owner's name when the program says none */
};

/* "token-" and the digest's first 12 digits: the same at each check and each start, and no way back
 * to the token. */
static void name_token(const char *token, size_t length, char *ret_name, size_t size)
{
    unsigned char digest[32];
    pki_sha256(token, length, digest);
    snprintf(ret_name, size, "token-%02x%02x%02x%02x%02x%02x", digest[0], digest[1], digest[2],
             digest[3], digest[4], digest[5]);
}

/* The first line, trimmed: where it begins, and its length. */
static const char *first_line(const char *output, size_t length, size_t *ret_length)
{
    const char *end = memchr(output, '\n', length);
    if (end)
        length = (size_t)(end - output);
    for (; length && memchr(" \t\r", output[length - 1], 3); length--)
        ;
    for (; length && memchr(" \t", *output, 2); length--)
        output++;
    *ret_length = length;
    return output;
}

static struct auth_verdict judge(struct check *check, int status, const char *output, size_t length,
                                 char name[AUTH_OWNER_MAX + 1])
{
    if (status == 1)
        return (struct auth_verdict){.result = AUTH_REFUSED};
    if (status < 0)
        return (struct auth_verdict){.result = AUTH_SYSTEM_ERROR,
                                     .fault = "the program couldn't be run, was killed, took too "
                                              "long or wrote too much"};
    if (status != 0)
        return (struct auth_verdict){.result = AUTH_SYSTEM_ERROR,
                                     .fault = "the program ended with neither 0 nor 1"};
    size_t size;
    const char *line = first_line(output, length, &size);
    if (!size)
        return (struct auth_verdict){.result = AUTH_ACCEPTED, .owner = check->fallback};
    if (!auth_is_owner(line, size))
        return (struct auth_verdict){.result = AUTH_SYSTEM_ERROR,
                                     .fault = "the program's user name is longer than 128 bytes or "
                                              "not printable"};
    memcpy(name, line, size);
    name[size] = 0;
    return (struct auth_verdict){.result = AUTH_ACCEPTED, .owner = name};
}

static void on_exit_of(void *user, int status, const char *output, size_t length)
{
    struct check *check = user;
    char name[AUTH_OWNER_MAX + 1];
    struct auth_verdict verdict = judge(check, status, output, length, name);
    check->on_verdict(check->user, &verdict);
    free(check);
}

static int start(struct auth_checker *checker, const char *token, size_t length,
                 auth_on_verdict *on_verdict, void *user, void **ret_check)
{
    struct program *program = (struct program *)checker;
    struct check *check = calloc(1, sizeof *check);
    if (!check)
        return -ENOMEM;
    check->on_verdict = on_verdict;
    check->user = user;
    name_token(token, length, check->fallback, sizeof check->fallback);
    char input[AUTH_TOKEN_MAX + 1];
    memcpy(input, token, length);
    input[length] = '\n'; /* so that a shell's `read` succeeds */
    char *argv[] = {program->path, NULL};
    int result = child_start(program->loop, argv, input, length + 1, program->timeout, on_exit_of,
                             check, &check->child);
    explicit_bzero(input, sizeof input);
    if (result < 0)
        free(check);
    else
        *ret_check = check;
    return result;
}

static void cancel(void *user)
{
    struct check *check = user;
    child_kill(check->child);
    free(check);
}

static void free_checker(struct auth_checker *checker)
{
    free(checker);
}

int auth_exec_new(struct loop *loop, const char *program, uint64_t timeout,
                  struct auth_checker **ret_checker)
{
    size_t size = strlen(program) + 1;
    struct program *made = calloc(1, sizeof *made + size);
    if (!made)
        return -ENOMEM;
    made->checker = (struct auth_checker){start, cancel, free_checker};
    made->loop = loop;
    made->timeout = timeout;
    memcpy(made->path, program, size);
    *ret_checker = &made->checker;
    return 0;
}

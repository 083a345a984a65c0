#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/http_client.h"
#include "server/auth_check.h"
#include "server/oauth_text.h"

/* Two calls a check: the token for an access token, and that for the user's name. */
#define GRANT_TYPE "https%3A%2F%2Ftessel-grant"

/* JSON Web Tokens with many claims are a few KiB; it goes into a URL, which servers bound at 8 KiB.
 */
#define ACCESS_TOKEN_MAX 6144

struct oauth {
    struct auth_checker checker; /* first */
    struct loop *loop;
    struct http_client *client;
    struct oauth_address address;
    uint64_t timeout;
};

struct check {
    struct oauth *oauth;
    struct http_request *request;
    uint64_t deadline;
    auth_on_verdict *on_verdict;
    void *user;
};

static void finish(struct check *check, const struct auth_verdict *verdict)
{
    auth_on_verdict *on_verdict = check->on_verdict;
    void *user = check->user;
    free(check);
    on_verdict(user, verdict);
}

static void fail(struct check *check, const char *fault)
{
    finish(check, &(struct auth_verdict){.result = AUTH_SYSTEM_ERROR, .fault = fault});
}

/* status other than 200 */
static void fail_for(struct check *check, const char *what, int status, const char *error)
{
    char fault[256];
    if (status < 0)
        snprintf(fault, sizeof fault, "the OAuth server didn't answer %s: %s", what,
                 error ? error : "unknown");
    else
        snprintf(fault, sizeof fault, "the OAuth server answered %s with HTTP %d", what, status);
    fail(check, fault);
}

static void on_profile(void *user, int status, const char *body, size_t length, const char *error)
{
    struct check *check = user;
    if (status != 200) {
        fail_for(check, "/users/profile", status, error);
        return;
    }
    char *name = oauth_answer_text(body, length, "username", AUTH_OWNER_MAX);
    if (name)
        finish(check, &(struct auth_verdict){.result = AUTH_ACCEPTED, .owner = name});
    else
        fail(check, "the OAuth server's profile has no usable username");
    free(name);
}

static char *make_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Malloced, or NULL. */
static char *make_text(const char *format, ...)
{
    char *text;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    return length < 0 ? NULL : text;
}

static void wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

/* A false return means that nothing was started. */
static bool ask_profile(struct check *check, const char *access_token, uint64_t timeout)
{
    struct oauth *oauth = check->oauth;
    char *escaped = http_client_escape(access_token);
    char *url = escaped
                    ? make_text("%s/users/profile?access_token=%s", oauth->address.base, escaped)
                    : NULL;
    struct http_client_options options = {.url = url, .timeout = timeout};
    bool started =
        url && http_client_start(oauth->client, &options, on_profile, check, &check->request) == 0;
    wipe(url);
    wipe(escaped);
    return started;
}

static void on_token(void *user, int status, const char *body, size_t length, const char *error)
{
    struct check *check = user;
    if (status == 400) {
        finish(check, &(struct auth_verdict){.result = AUTH_REFUSED});
        return;
    }
    if (status != 200) {
        fail_for(check, "/oauth/token", status, error);
        return;
    }
    uint64_t now = loop_now(check->oauth->loop);
    char *access_token = oauth_answer_text(body, length, "access_token", ACCESS_TOKEN_MAX);
    if (!access_token)
        fail(check, "the OAuth server's answer has no usable access_token");
    else if (now >= check->deadline)
        fail(check, "the OAuth server took too long for its first answer");
    else if (!ask_profile(check, access_token, check->deadline - now))
        fail(check, "no memory to ask the OAuth server");
    wipe(access_token);
}

static int start(struct auth_checker *checker, const char *token, size_t length,
                 auth_on_verdict *on_verdict, void *user, void **ret_check)
{
    (void)length;
    struct oauth *oauth = (struct oauth *)checker;
    struct check *check = calloc(1, sizeof *check);
    char *escaped = http_client_escape(token);
    char *form = escaped ? make_text("grant_type=%s&api_key=%s", GRANT_TYPE, escaped) : NULL;
    char *url = make_text("%s/oauth/token", oauth->address.base);
    int result = -ENOMEM;
    if (check && form && url) {
        *check = (struct check){.oauth = oauth,
                                .deadline = loop_now(oauth->loop) + oauth->timeout,
                                .on_verdict = on_verdict,
                                .user = user};
        struct http_client_options options = {
            .url = url,
            .form = form,
            .user = oauth->address.client_id,
            .password = oauth->address.client_secret,
            .timeout = oauth->timeout,
        };
        result = http_client_start(oauth->client, &options, on_token, check, &check->request);
    }
    wipe(escaped);
    wipe(form);
    free(url);
    if (result < 0)
        free(check);
    else
        *ret_check = check;
    return result;
}

static void cancel(void *user)
{
    struct check *check = user;
    http_client_cancel(check->request);
    free(check);
}

static void free_checker(struct auth_checker *checker)
{
    struct oauth *oauth = (struct oauth *)checker;
    http_client_free(oauth->client);
    oauth_address_deinit(&oauth->address);
    free(oauth);
}

int auth_oauth_new(struct loop *loop, const char *setting, uint64_t timeout,
                   struct auth_checker **ret_checker, char *error, size_t error_size)
{
    struct oauth *oauth = calloc(1, sizeof *oauth);
    if (!oauth) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    oauth->checker = (struct auth_checker){start, cancel, free_checker};
    oauth->loop = loop;
    oauth->timeout = timeout;
    if (oauth_address_parse(setting, &oauth->address, error, error_size) < 0) {
        free(oauth);
        return -1;
    }
    int result = http_client_new(loop, &oauth->client);
    if (result < 0) {
        snprintf(error, error_size, "the HTTP client can't start: %s", strerror(-result));
        oauth_address_deinit(&oauth->address);
        free(oauth);
        return -1;
    }
    *ret_checker = &oauth->checker;
    return 0;
}

/* An API that follows a script, instead of agent/api_client.c: each question has to be the next one
 * of fake_api.lines. Include it once in a test program. */
#pragma once

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/api_client.h"

struct fake_line {
    const char *method, *path;
    const char *body;   /* JSON, keys sorted, compact; NULL: none */
    int result;         /* enum api_client_result */
    const char *answer; /* JSON, or the sentence */
};

static struct {
    const struct fake_line *lines;
    size_t count, at;
    char url[256], ca[256], login[2200], unix_path[256]; /* of the last api_client_new() */
    int open;                                            /* clients */
} fake_api;

struct api_client {
    int unused;
};

#define FAKE_API(...)                                                                              \
    do {                                                                                           \
        static const struct fake_line lines_[] = {__VA_ARGS__};                                    \
        fake_api.lines = lines_;                                                                   \
        fake_api.count = sizeof lines_ / sizeof lines_[0];                                         \
        fake_api.at = 0;                                                                           \
    } while (0)

/* Was everything asked? */
#define FAKE_API_DONE()                                                                            \
    do {                                                                                           \
        assert_int_equal(fake_api.at, fake_api.count);                                             \
        assert_int_equal(fake_api.open, 0);                                                        \
    } while (0)

static void fake_keep(char *buffer, size_t size, const char *text)
{
    snprintf(buffer, size, "%s", text ? text : "");
}

int api_client_new(const struct api_client_options *options, struct api_client **ret_client,
                   char *error, size_t error_size)
{
    fake_keep(fake_api.url, sizeof fake_api.url, options->url);
    fake_keep(fake_api.ca, sizeof fake_api.ca, options->ca);
    fake_keep(fake_api.login, sizeof fake_api.login, options->login);
    fake_keep(fake_api.unix_path, sizeof fake_api.unix_path, options->unix_path);
    *ret_client = malloc(sizeof **ret_client);
    fake_api.open++;
    return 0;
}

void api_client_free(struct api_client *client)
{
    fake_api.open -= client != NULL;
    free(client);
}

int api_client_ask(struct api_client *client, const char *method, const char *path, json_t *body,
                   json_t **ret_answer, char *error, size_t error_size)
{
    char *text = body ? json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    if (fake_api.at == fake_api.count)
        fail_msg("%s %s %s wasn't expected", method, path, text ? text : "");
    const struct fake_line *line = &fake_api.lines[fake_api.at++];
    assert_string_equal(method, line->method);
    assert_string_equal(path, line->path);
    assert_string_equal(text ? text : "", line->body ? line->body : "");
    free(text);
    if (line->result != API_CLIENT_OK) {
        snprintf(error, error_size, "%s", line->answer);
        return line->result;
    }
    *ret_answer = line->answer ? json_loads(line->answer, JSON_DECODE_ANY, NULL) : NULL;
    assert_true(!line->answer || *ret_answer);
    return API_CLIENT_OK;
}

/* Requests to the API, one a line-block of the input, against accounts and a server in memory:
 *
 *   METHOD SP TARGET LF  LOGIN LF  CONTENT-TYPE LF  BODY, up to a byte 0x1e
 *
 * An '!' before the method makes it the operator's. Each gets one answer, with a status that is one
 * and a body that is JSON where it says so; whatever was asked, no password has a place in it.
 */
#include <stdint.h>

#include "../tests/unit/fake_accounts.h"
#include "../tests/unit/fake_api_host.h"

#include <jansson.h>

#define REQUESTS_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void on_answer(void *user, const struct api_answer *answer)
{
    int *answers = user;
    ++*answers;
    must(answer->status >= 200 && answer->status < 600 && answer->status != 500);
    for (const char *at = answer->head; *at; at++)
        must((*at >= ' ' && *at <= '~') || *at == '\r' || *at == '\n');
    /* A quote within a value is escaped, so this is a key. */
    if (!memmem(answer->body, answer->body_length, "{\"openapi\"", 10))
        must(!memmem(answer->body, answer->body_length, "password\":", 10));
    if (strcmp(answer->content_type, "application/json") || !answer->body_length)
        return;
    json_t *json = json_loadb(answer->body, answer->body_length, JSON_REJECT_DUPLICATES, NULL);
    must(json != NULL);
    if (answer->status >= 400)
        must(json_is_string(json_object_get(json_object_get(json, "error"), "code")));
    json_decref(json);
}

/* The next line of a NUL-terminated text, cut off it. */
static char *take_line(char **rest)
{
    char *line = *rest;
    size_t length = strcspn(line, "\n");
    *rest = line + length + (line[length] == '\n');
    line[length] = 0;
    return line;
}

static void ask(struct api *api, struct loop *loop, char *text, size_t length)
{
    int answers = 0;
    char *end = text + length, *rest = text, *path = take_line(&rest);
    struct api_request request = {.is_operator = *path == '!'};
    request.method = path + request.is_operator;
    path += strcspn(path, " ");
    if (*path)
        *path++ = 0;
    request.path = path;
    path += strcspn(path, "?");
    if (*path)
        *path++ = 0;
    request.query = path;
    request.token = take_line(&rest);
    request.content_type = take_line(&rest);
    request.body = rest < end ? rest : end;
    request.body_length = (size_t)(end - request.body);
    request.address.any.sa_family = AF_UNIX;
    api_handle(api, &request, on_answer, &answers);
    must(answers == 0);
    /* A message's callback may leave work for the end of the turn. */
    for (int idle = 0; idle < 2;)
        idle = loop_settle(loop) ? 0 : idle + 1;
    must(answers == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct api *api;
    char error[64];
    struct accounts accounts = {0};
    struct store store = {0};
    static struct fake_host host;
    const struct api_options options = {size ? (enum api_registration)(data[0] % 3) : API_OPEN,
                                        "https://api.test"};
    memset(&host, 0, sizeof host);
    must(loop_new(&accounts.loop) == 0);
    store.loop = host.loop = accounts.loop;
    fake_account_add(&accounts, "a@a.test", ACCOUNT_ACTIVE);
    fake_account_add(&accounts, "b@b.test", ACCOUNT_PENDING);
    const struct api_host calls = fake_host_calls(&host);
    must(api_new(accounts.loop, &accounts, &store, &calls, &options, &api, error, sizeof error) ==
         0);
    for (int i = 0; size && i < REQUESTS_MAX; i++) {
        const uint8_t *end = memchr(data, 0x1e, size);
        size_t length = end ? (size_t)(end - data) : size;
        char *text = malloc(length + 1);
        memcpy(text, data, length);
        text[length] = 0;
        ask(api, accounts.loop, text, length);
        free(text);
        data += length + (end != NULL);
        size -= length + (end != NULL);
    }
    api_free(api);
    loop_free(accounts.loop);
    fake_accounts_deinit(&accounts);
    fake_host_deinit(&host);
    return 0;
}

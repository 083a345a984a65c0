#include "agent/client.h"

#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/complain.h"
#include "agent/stdio.h"

#define PATH_SIZE 2048

enum client_status client_fail(const struct client *client, enum client_status status,
                               const char *format, ...)
{
    char text[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    complain_write(client->command, "%s", text);
    return status;
}

enum client_status client_need(const struct client *client, const char *text, const char *name)
{
    if (text)
        return CLIENT_DONE;
    return client_fail(client, CLIENT_WRONG, "give --%s; see streamplex %s --help", name,
                       client->command);
}

/* --- Who we are, and to whom --- */

/* "https://api.example/" is "https://api.example". */
static bool is_same_api(const char *a, const char *b)
{
    size_t a_length = strlen(a), b_length = strlen(b);
    while (a_length && a[a_length - 1] == '/')
        a_length--;
    while (b_length && b[b_length - 1] == '/')
        b_length--;
    return a_length == b_length && strncmp(a, b, a_length) == 0;
}

static int replace_text(char **text, const char *by)
{
    char *copy = strdup(by);
    if (!copy)
        return -1;
    free(*text);
    *text = copy;
    return 0;
}

static void forget_token(struct login *login)
{
    if (login->token)
        explicit_bzero(login->token, strlen(login->token));
    free(login->token);
    login->token = NULL;
}

/* A login is sent to the API alone that it came from. */
static int apply_settings(struct login *login, const struct client_settings *settings)
{
    if (settings->api && (!login->api || !is_same_api(settings->api, login->api))) {
        forget_token(login);
        free(login->ca);
        login->ca = NULL;
        if (replace_text(&login->api, settings->api) < 0)
            return -1;
    }
    return settings->ca ? replace_text(&login->ca, settings->ca) : 0;
}

static enum client_status find_login(struct client *client, enum client_access access)
{
    char folder[PATH_MAX], error[512];
    bool had_token;
    /* Without a home the API may still be named. */
    if (login_store_folder(folder, sizeof folder, error, sizeof error) == 0) {
        int result = login_store_read(folder, &client->login, error, sizeof error);
        if (result < 0 && access == CLIENT_OWNER)
            return client_fail(client, CLIENT_LOGIN, "%s", error);
    }
    had_token = client->login.token != NULL;
    if (apply_settings(&client->login, client->settings) < 0)
        return client_fail(client, CLIENT_WRONG, "out of memory");
    if (access != CLIENT_OWNER)
        forget_token(&client->login);
    else if (!client->login.token)
        return client_fail(client, CLIENT_LOGIN, "%s: streamplex login%s%s",
                           had_token ? "not logged in there" : "not logged in",
                           client->settings->api ? " --api " : "",
                           client->settings->api ? client->settings->api : "");
    if (!client->login.api)
        return client_fail(client, CLIENT_WRONG,
                           "which server? Give --api https://... or set STREAMPLEX_API");
    return CLIENT_DONE;
}

/* As the server itself finds its state folder. */
static int find_admin_socket(const struct client_settings *settings, char *path, size_t size)
{
    const char *state = getenv("STREAMPLEX_STATE");
    const char *systemd = getenv("STATE_DIRECTORY");
    const char *xdg = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int length = -1;
    if (settings->admin_socket)
        length = snprintf(path, size, "%s", settings->admin_socket);
    else if (state && *state)
        length = snprintf(path, size, "%s/admin.sock", state);
    else if (systemd && *systemd)
        length = snprintf(path, size, "%.*s/admin.sock", (int)strcspn(systemd, ":"), systemd);
    else if (geteuid() == 0)
        length = snprintf(path, size, "/var/lib/streamplex/admin.sock");
    else if (xdg && *xdg == '/')
        length = snprintf(path, size, "%s/streamplex/admin.sock", xdg);
    else if (home && *home == '/')
        length = snprintf(path, size, "%s/.local/state/streamplex/admin.sock", home);
    return length > 0 && (size_t)length < size ? 0 : -1;
}

enum client_status client_open_api(struct client *client, enum client_access access)
{
    struct api_client_options options = {0};
    char path[PATH_MAX], error[512];
    if (access == CLIENT_ADMIN) {
        if (find_admin_socket(client->settings, path, sizeof path) < 0)
            return client_fail(client, CLIENT_WRONG, "where is the server? Give --admin-socket");
        options.unix_path = path;
    } else {
        enum client_status status = find_login(client, access);
        if (status != CLIENT_DONE)
            return status;
        options.url = client->login.api;
        options.ca = client->login.ca;
        options.login = client->login.token;
    }
    if (api_client_new(&options, &client->api, error, sizeof error) < 0)
        return client_fail(client, CLIENT_WRONG, "%s", error);
    return CLIENT_DONE;
}

void client_close(struct client *client)
{
    api_client_free(client->api);
    client->api = NULL;
    login_deinit(&client->login);
}

/* --- A command --- */

static enum client_status run(const struct client_command *command, struct client *client,
                              void *settings, char **arguments, int count)
{
    if (count != command->arguments)
        return client_fail(
            client, CLIENT_WRONG,
            count < command->arguments ? "%s is missing; see streamplex %s --help"
                                       : "there is more than %s; see streamplex %s --help",
            *command->table->arguments ? command->table->arguments : "options", client->command);
    if (command->access != CLIENT_BARE) {
        enum client_status status = client_open_api(client, command->access);
        if (status != CLIENT_DONE)
            return status;
    }
    return command->run(client, settings, arguments);
}

int client_main(const struct client_command *command, int argc, char **argv)
{
    const struct settings_table *table = command->table;
    struct client client = {.command = table->command};
    char error[512], **arguments = NULL;
    int count = 0;
    enum client_status status = CLIENT_WRONG;

    stdio_hold_descriptors();
    if (settings_answer_help(table, argc, argv, stdout))
        return CLIENT_DONE;
    void *settings = calloc(1, table->size);
    if (!settings)
        return client_fail(&client, CLIENT_WRONG, "out of memory");
    client.settings = settings;
    if (settings_read(table, argc, argv, settings, &arguments, &count, error, sizeof error) < 0)
        client_fail(&client, CLIENT_WRONG, "%s", error);
    else
        status = run(command, &client, settings, arguments, count);
    client_close(&client);
    free(arguments);
    settings_free(table, settings);
    free(settings);
    /* What a pipe or a full disk didn't take isn't done. */
    if (fflush(stdout) != 0 && status == CLIENT_DONE)
        status = client_fail(&client, CLIENT_WRONG, "the output couldn't be written");
    return status;
}

/* --- Asking --- */

char *client_segment(const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    char *segment = malloc(3 * strlen(text) + 1), *at = segment;
    /* "." and ".." are another path. */
    if (!segment || !*text || strcmp(text, ".") == 0 || strcmp(text, "..") == 0) {
        free(segment);
        return NULL;
    }
    for (; *text; text++) {
        unsigned char letter = (unsigned char)*text;
        if ((letter >= '0' && letter <= '9') || (letter >= 'A' && letter <= 'Z') ||
            (letter >= 'a' && letter <= 'z') || strchr("-._~", letter)) {
            *at++ = (char)letter;
            continue;
        }
        *at++ = '%';
        *at++ = hex[letter >> 4];
        *at++ = hex[letter & 15];
    }
    *at = '\0';
    return segment;
}

static enum client_status judge(const struct client *client, enum api_client_result result,
                                const char *error)
{
    switch (result) {
    case API_CLIENT_OK:
        return CLIENT_DONE;
    case API_CLIENT_UNREACHABLE:
        return client_fail(client, CLIENT_UNREACHABLE, "%s", error);
    case API_CLIENT_LOGIN:
        return client_fail(client, CLIENT_LOGIN, "%s%s", error,
                           client->login.token ? "; log in again: streamplex login" : "");
    case API_CLIENT_REFUSED:
        break;
    }
    return client_fail(client, CLIENT_WRONG, "%s", error);
}

enum client_status client_ask(struct client *client, const char *method, json_t *body,
                              json_t **ret_answer, const char *path, ...)
{
    char whole[PATH_SIZE], error[512] = "";
    json_t *answer = NULL;
    va_list list;
    va_start(list, path);
    int length = vsnprintf(whole, sizeof whole, path, list);
    va_end(list);
    if (length < 0 || (size_t)length >= sizeof whole) {
        json_decref(body);
        return client_fail(client, CLIENT_WRONG, "that id is too long");
    }
    enum api_client_result result =
        api_client_ask(client->api, method, whole, body, &answer, error, sizeof error);
    json_decref(body);
    enum client_status status = judge(client, result, error);
    if (status == CLIENT_DONE && ret_answer) {
        *ret_answer = answer ? answer : json_object();
        return *ret_answer ? CLIENT_DONE : client_fail(client, CLIENT_WRONG, "out of memory");
    }
    json_decref(answer);
    return status;
}

/* --- Bodies --- */

int client_add_text(json_t *object, const char *key, const char *text)
{
    if (!object)
        return -1;
    return text ? json_object_set_new(object, key, json_string(text)) : 0;
}

int client_add_number(json_t *object, const char *key, uint64_t number)
{
    if (!object)
        return -1;
    return number ? json_object_set_new(object, key, json_integer((json_int_t)number)) : 0;
}

int client_add_list(json_t *object, const char *key, const struct setting_list *list)
{
    if (!object)
        return -1;
    if (!list->count)
        return 0;
    json_t *items = json_array();
    for (size_t i = 0; i < list->count; i++)
        if (json_array_append_new(items, json_string(list->items[i])) < 0) {
            json_decref(items);
            return -1;
        }
    return json_object_set_new(object, key, items);
}

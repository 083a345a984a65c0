#include "agent/password_settings.h"

#include <string.h>
#include <unistd.h>

static enum client_status ask(const struct client *client, bool is_new, char *password)
{
    char again[PROMPT_MAX + 1], error[256];
    if (prompt_password("Password: ", password, error, sizeof error) < 0)
        return client_fail(client, CLIENT_WRONG, "%s", error);
    if (!is_new)
        return CLIENT_DONE;
    bool is_same = false;
    int result = prompt_password("The same again: ", again, error, sizeof error);
    if (result == 0)
        is_same = strcmp(password, again) == 0;
    explicit_bzero(again, sizeof again);
    if (is_same)
        return CLIENT_DONE;
    explicit_bzero(password, strlen(password));
    return client_fail(client, CLIENT_WRONG, "%s", result < 0 ? error : "these were two passwords");
}

enum client_status password_get(const struct client *client,
                                const struct password_settings *settings, bool is_new,
                                char *password)
{
    char error[256];
    if (settings->from_stdin && prompt_read_line(STDIN_FILENO, password, error, sizeof error) < 0)
        return client_fail(client, CLIENT_WRONG, "%s", error);
    if (settings->from_stdin)
        return CLIENT_DONE;
    if (!settings->password)
        return ask(client, is_new, password);
    size_t length = strlen(settings->password);
    if (length > PROMPT_MAX)
        return client_fail(client, CLIENT_WRONG, "a password has at most %d bytes", PROMPT_MAX);
    memcpy(password, settings->password, length + 1);
    return CLIENT_DONE;
}

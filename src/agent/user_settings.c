#include "agent/user_settings.h"

#include <stdlib.h>
#include <string.h>

#define SSHKEY_MAX 16384

const struct client_column user_columns[] = {
    {"user_id", "user_id", CLIENT_TEXT},    {"email", "email", CLIENT_TEXT},
    {"name", "name", CLIENT_TEXT},          {"state", "state", CLIENT_TEXT},
    {"created", "created", CLIENT_TIME},    {"used this month", "used_bytes", CLIENT_BYTES},
    {"quota", "quota_bytes", CLIENT_LIMIT}, {0},
};

/* A key is a line with blanks ("ssh-ed25519 AAAA... me"), a file's name mostly isn't. */
static int add_key(json_t *body, const char *sshkey, char *error, size_t error_size)
{
    char *text, *line;
    size_t length;
    if (!sshkey || strchr(sshkey, ' '))
        return client_add_text(body, "sshkey", sshkey);
    int result = settings_read_text(sshkey, SSHKEY_MAX, &text, &length);
    if (result < 0) {
        snprintf(error, error_size, "%s: %s", sshkey, strerror(-result));
        return -1;
    }
    line = strndup(text, length);
    explicit_bzero(text, length);
    free(text);
    if (!line)
        return -1;
    if (strstr(line, "PRIVATE KEY")) {
        snprintf(error, error_size, "%s: that is a private key; give the public one (.pub)",
                 sshkey);
        explicit_bzero(line, strlen(line));
        result = -1;
    } else {
        line[strcspn(line, "\r\n")] = '\0';
        result = client_add_text(body, "sshkey", line);
    }
    free(line);
    return result;
}

enum client_status user_body(const struct client *client, const struct user_settings *settings,
                             json_t **ret_body)
{
    char error[512] = "out of memory";
    json_t *body = json_object();
    if (client_add_text(body, "name", settings->name) < 0 ||
        client_add_text(body, "email", settings->email) < 0 ||
        add_key(body, settings->sshkey, error, sizeof error) < 0) {
        json_decref(body);
        return client_fail(client, CLIENT_WRONG, "%s", error);
    }
    *ret_body = body;
    return CLIENT_DONE;
}

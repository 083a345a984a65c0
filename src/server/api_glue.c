#include "server/api_glue.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "server/socket_url.h"
#include "server/tunnel_census.h"

/* --- Claiming and changing sockets --- */

/* A question as agents ask it, whose answer comes back to the API. */
struct api_question {
    struct socket_question question; /* first: it is freed as one */
    void (*on_done)(void *user, int error, struct socket_facts *facts);
    void *user;
};

static void take_answer(struct loop_message *message)
{
    struct api_question *asked = (struct api_question *)(void *)message;
    asked->on_done(asked->user, asked->question.error, asked->question.facts);
    socket_question_free(&asked->question);
}

static struct api_question *
new_question(struct api_glue *glue,
             void (*on_done)(void *user, int error, struct socket_facts *facts), void *user)
{
    struct api_question *asked = calloc(1, sizeof *asked);
    if (!asked)
        return NULL;
    asked->question.reply_to = glue->loop;
    asked->question.answered = take_answer;
    asked->question.is_offline = true;
    asked->on_done = on_done;
    asked->user = user;
    return asked;
}

/* What has no place in the question could be nobody's name anyway. */
static int copy(char *buffer, size_t size, const char *text)
{
    if (text && strlen(text) >= size)
        return REGISTRY_BAD_NAME;
    if (text)
        strcpy(buffer, text);
    return REGISTRY_OK;
}

static int fill(struct socket_question *question, const struct socket_claim *claim)
{
    question->type = claim->type;
    question->https_only = claim->https_only;
    if (copy(question->owner, sizeof question->owner, claim->owner) ||
        copy(question->name, sizeof question->name, claim->name) ||
        copy(question->hostname, sizeof question->hostname, claim->hostname) ||
        copy(question->host_header, sizeof question->host_header, claim->host_header))
        return REGISTRY_BAD_NAME;
    if (claim->description && !(question->description = strdup(claim->description)))
        return REGISTRY_MEMORY;
    if (claim->access && !(question->access = socket_access_copy(claim->access)))
        return REGISTRY_MEMORY;
    return REGISTRY_OK;
}

static void claim_socket(void *user, const struct socket_claim *claim,
                         void (*on_done)(void *done_user, int error, struct socket_facts *facts),
                         void *done_user)
{
    struct api_glue *glue = user;
    struct api_question *asked = new_question(glue, on_done, done_user);
    int error = asked ? fill(&asked->question, claim) : REGISTRY_MEMORY;
    if (!error && !glue->config->edge_on) /* nobody could visit it */
        error = REGISTRY_NOT_ALLOWED;
    if (!error) {
        sockets_ask(glue->sockets, glue->loop, &asked->question);
        return;
    }
    if (asked)
        socket_question_free(&asked->question);
    on_done(done_user, error, NULL);
}

static void change_socket(void *user, struct socket_facts *facts,
                          void (*on_done)(void *done_user, int error, struct socket_facts *facts),
                          void *done_user)
{
    struct api_glue *glue = user;
    struct api_question *asked = new_question(glue, on_done, done_user);
    if (!asked) {
        on_done(done_user, REGISTRY_MEMORY, NULL);
        return;
    }
    asked->question.wanted = socket_facts_ref(facts);
    sockets_ask(glue->sockets, glue->loop, &asked->question);
}

static void remove_socket(void *user, uint64_t id, void (*on_done)(void *done_user, int error),
                          void *done_user)
{
    struct api_glue *glue = user;
    int error = sockets_remove(glue->sockets, id, on_done, done_user);
    if (error)
        on_done(done_user, error);
}

/* --- Looking --- */

static struct socket_facts *find_socket(void *user, const char *uuid)
{
    struct api_glue *glue = user;
    return registry_find_uuid(sockets_registry(glue->sockets), uuid);
}

static void each_socket(void *user, const char *owner,
                        void (*each)(void *each_user, struct socket_facts *facts, size_t agents),
                        void *each_user)
{
    struct api_glue *glue = user;
    registry_each_of(sockets_registry(glue->sockets), owner, each, each_user);
}

static uint64_t sockets_version(void *user, const char *owner)
{
    struct api_glue *glue = user;
    return registry_version(sockets_registry(glue->sockets), owner);
}

static void socket_url(void *user, const struct socket_facts *facts, char *buffer, size_t size)
{
    struct api_glue *glue = user;
    char url[REGISTRY_HOST_MAX + 32];
    (void)socket_url_format(facts, glue->config, url, sizeof url);
    snprintf(buffer, size, "%s", url);
}

static const char *tunnel_server(void *user)
{
    return ((struct api_glue *)user)->tunnel_server;
}

/* --- Tunnels --- */

static void list_tunnels(void *user, const char *owner,
                         void (*each)(void *done_user, const struct api_tunnel *tunnel),
                         void (*on_done)(void *done_user), void *done_user)
{
    struct api_glue *glue = user;
    if (tunnel_census_list(glue->workers, glue->worker_count, glue->loop, owner, each, on_done,
                           done_user) == 0)
        return;
    log_write(LOG_ERROR, LOG_NO_FIELDS, "tunnels can't be listed: out of memory");
    on_done(done_user);
}

static void close_tunnel(void *user, uint64_t id, void (*on_done)(void *done_user, bool found),
                         void *done_user)
{
    struct api_glue *glue = user;
    if (tunnel_census_close(glue->workers, glue->worker_count, glue->loop, id, on_done, done_user) <
        0)
        on_done(done_user, false);
}

/* --- Mails, backup --- */

static void on_mailed(void *user, const char *error)
{
    if (error)
        log_write(LOG_ERROR, LOG_FIELDS(LOG_TEXT("reason", error)), "a mail couldn't be sent");
}

static void send_mail(void *user, const char *to, const char *subject, const char *text)
{
    struct api_glue *glue = user;
    int result = mail_send(glue->mails, to, subject, text, on_mailed, NULL);
    if (result < 0)
        on_mailed(NULL, strerror(-result));
}

static int backup(void *user, const char *file, void (*on_done)(void *done_user, const char *error),
                  void *done_user)
{
    struct api_glue *glue = user;
    return store_backup(sockets_store(glue->sockets), file, on_done, done_user);
}

/* --- The whole --- */

int api_glue_open(struct api_glue *glue, const struct config *config, struct api_host *ret_host,
                  char *error, size_t error_size)
{
    const struct serve_settings *settings = &config->settings;
    const struct mail_options mail = {.url = settings->smtp_url, .from = settings->smtp_from};
    if (settings->smtp_url && mail_new(glue->loop, &mail, &glue->mails, error, error_size) < 0)
        return -1;
    glue->config = config;
    *ret_host = (struct api_host){
        .claim_socket = claim_socket,
        .change_socket = change_socket,
        .remove_socket = remove_socket,
        .find_socket = find_socket,
        .each_socket = each_socket,
        .sockets_version = sockets_version,
        .list_tunnels = list_tunnels,
        .close_tunnel = close_tunnel,
        .socket_url = socket_url,
        .tunnel_server = tunnel_server,
        .send_mail = glue->mails ? send_mail : NULL,
        .backup = backup,
        .user = glue,
    };
    return 0;
}

void api_glue_deinit(struct api_glue *glue)
{
    mail_free(glue->mails);
    glue->mails = NULL;
}

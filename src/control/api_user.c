#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "control/api_internal.h"
#include "net/secret.h"

/* --- As JSON --- */

static const char *state_name(enum account_state state)
{
    switch (state) {
    case ACCOUNT_PENDING:
        return "pending";
    case ACCOUNT_ACTIVE:
        return "active";
    case ACCOUNT_DISABLED:
        break;
    }
    return "disabled";
}

json_t *api_user_json(struct api *api, const struct account *account)
{
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:I}", "user_id", account->uuid, "user_name",
                     account->email, "name", account->name, "email", account->email, "sshkey",
                     account->sshkey ? account->sshkey : "", "state", state_name(account->state),
                     "created", (json_int_t)account->created, "quota_bytes",
                     (json_int_t)account->quota_bytes, "used_bytes",
                     (json_int_t)accounts_usage(api->accounts, account->uuid));
}

void api_user_answer(void *user, int error, const struct account *account, uint64_t wait)
{
    struct api_call *call = user;
    if (error)
        api_answer_account_error(call, error, wait);
    else
        api_answer_json(call, api_user_json(call->api, account));
}

void api_user_done(void *user, int error)
{
    struct api_call *call = user;
    if (error)
        api_answer_account_error(call, error, 0);
    else
        api_answer_nothing(call);
}

/* --- Values --- */

/* The line of a key's file ends as lines do. */
static const char *read_sshkey(struct api_values *values)
{
    json_t *value = json_object_get(values->object, "sshkey");
    size_t length = json_string_length(value);
    while (length && strchr("\r\n", json_string_value(value)[length - 1]))
        length--;
    if (json_is_string(value) && length < json_string_length(value)) {
        json_t *trimmed = json_stringn(json_string_value(value), length);
        if (!trimmed || json_object_set_new(values->object, "sshkey", trimmed) < 0)
            api_values_fault(values, "sshkey couldn't be read: out of memory");
    }
    return api_values_line(values, "sshkey", 0, ACCOUNT_SSHKEY_MAX);
}

void api_user_values(struct api_values *values, bool needed, struct account_values *ret_values)
{
    const char *(*line)(struct api_values *, const char *, size_t, size_t) =
        needed ? api_values_needed_line : api_values_line;
    ret_values->name = line(values, "name", 1, ACCOUNT_NAME_MAX);
    ret_values->email = line(values, "email", 1, ACCOUNT_EMAIL_MAX);
    ret_values->password = needed
                               ? api_values_needed_text(values, "password", 1, SECRET_PASSWORD_MAX)
                               : api_values_text(values, "password", 1, SECRET_PASSWORD_MAX);
    ret_values->sshkey = read_sshkey(values);
}

/* --- Registration --- */

/* The same for an e-mail that has an account and one that has none: who asks learns nothing. */
static void answer_pending(struct api_call *call)
{
    api_answer_json(call, json_pack("{s:s,s:s}", "state", "pending", "message",
                                    "a link to confirm this account is on its way by e-mail"));
}

static void send_text(struct api *api, const char *to, const char *subject, const char *text)
{
    if (api->host.send_mail)
        api->host.send_mail(api->host.user, to, subject, text);
}

static void send_link(struct api *api, const struct account *account)
{
    char text[1024], link[512];
    snprintf(link, sizeof link, "%s/confirm?code=%s", api->public_url, account->confirm);
    if (!api->host.send_mail) {
        log_write(LOG_INFO, LOG_FIELDS(LOG_TEXT("email", account->email), LOG_TEXT("link", link)),
                  "an account waits to be confirmed");
        return;
    }
    snprintf(text, sizeof text,
             "Somebody, most likely you, asked for an account with this e-mail address.\n\n"
             "To confirm it, open this page within %d hours:\n\n%s\n\n"
             "If it wasn't you, do nothing: without the confirmation there is no account.\n",
             ACCOUNT_CONFIRM_LIFETIME / 3600, link);
    send_text(api, account->email, "Confirm your account", text);
}

static void tell_taken(struct api_call *call)
{
    send_text(
        call->api, json_string_value(json_object_get(call->body, "email")),
        "You have an account already",
        "Somebody, most likely you, asked for an account with this e-mail address, but "
        "there is one already.\n\nNothing has changed: log in with its password. If it wasn't "
        "you who asked, do nothing.\n");
}

static void create(struct api_call *call);

static void removed(void *user, int error)
{
    struct api_call *call = user;
    if (error && error != ACCOUNTS_UNKNOWN)
        api_answer_account_error(call, error, 0);
    else
        create(call);
}

/* One that was never confirmed makes way, once: its mail may have been lost, and its password may
 * be that of somebody who has no such address. */
static bool replace_pending(struct api_call *call)
{
    struct accounts *accounts = call->api->accounts;
    const char *email = json_string_value(json_object_get(call->body, "email"));
    const struct account *account = accounts_find_email(accounts, email);
    if (call->is_new || !account || account->state != ACCOUNT_PENDING)
        return false;
    call->is_new = true;
    accounts_remove(accounts, account->id, removed, call);
    return true;
}

static void registered(void *user, int error, const struct account *account, uint64_t wait)
{
    struct api_call *call = user;
    bool is_confirmed = call->number;
    if (error == ACCOUNTS_TAKEN && replace_pending(call))
        return;
    if (is_confirmed || (error && error != ACCOUNTS_TAKEN)) {
        api_user_answer(user, error, account, wait);
        return;
    }
    if (error)
        tell_taken(call);
    else
        send_link(call->api, account);
    answer_pending(call);
}

/* Of a body that was judged. */
static void create(struct api_call *call)
{
    struct api_values in = {.object = call->body};
    struct account_values values;
    api_user_values(&in, true, &values);
    accounts_create(call->api->accounts, &values, call->number, registered, call);
}

/* Each costs a hash and a mail to whatever address: as with wrong passwords, a few are free. */
static bool is_too_often(struct api_call *call, const char *email)
{
    struct api *api = call->api;
    uint64_t now = loop_now(api->loop);
    uint64_t wait = login_delay_ask(api->registrations, &call->address, email, now);
    if (wait)
        api_answer_account_error(call, ACCOUNTS_WAIT, wait);
    else
        login_delay_wrong(api->registrations, &call->address, email, now);
    return wait;
}

void api_user_create(struct api_call *call)
{
    struct api *api = call->api;
    struct api_values in = {.object = call->body};
    struct account_values values;
    if (api->registration == API_CLOSED) {
        api_answer_error(call, 403, "REGISTRATION_CLOSED", 0,
                         "accounts are made by this server's operator: streamplex admin user add");
        return;
    }
    api_user_values(&in, true, &values);
    if (api_values_refuse(&in, call) || is_too_often(call, values.email))
        return;
    call->number = api->registration == API_OPEN;
    create(call);
}

/* --- One's own account --- */

/* By its uuid, or by the number that a login holds as user_id. */
static bool is_own(struct api_call *call)
{
    char number[24];
    snprintf(number, sizeof number, "%llu", (unsigned long long)call->account->id);
    if (!strcmp(call->ids[0], call->account->uuid) || !strcmp(call->ids[0], number))
        return true;
    api_answer_unknown(call, "user");
    return false;
}

void api_user_show(struct api_call *call)
{
    if (is_own(call))
        api_answer_json(call, api_user_json(call->api, call->account));
}

/* A login isn't what is wrong here: 401 would tell a client to throw it away. */
static void changed(void *user, int error, const struct account *account, uint64_t wait)
{
    struct api_call *call = user;
    if (error == ACCOUNTS_WRONG)
        api_answer_error(call, 403, "WRONG_PASSWORD", 0, "current_password is wrong");
    else
        api_user_answer(user, error, account, wait);
}

void api_user_change(struct api_call *call)
{
    struct api_values in = {.object = call->body};
    struct account_values values;
    if (!is_own(call))
        return;
    api_user_values(&in, false, &values);
    const char *current =
        values.password ? api_values_needed_text(&in, "current_password", 1, SECRET_PASSWORD_MAX)
                        : NULL;
    if (values.email && strcmp(values.email, call->account->email))
        api_values_fault(&in, "email can't be changed: ask the server's operator");
    values.email = NULL;
    if (!api_values_refuse(&in, call))
        accounts_change(call->api->accounts, call->account->id, &values, current, changed, call);
}

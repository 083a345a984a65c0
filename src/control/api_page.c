/* What people, and those who watch the server, look at. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/api_internal.h"

#define PAGE_MAX 1536

void api_page_health(struct api_call *call)
{
    api_answer_json(call, json_pack("{s:s}", "status", "ok"));
}

/* The words are ours: nothing of the request comes into the page. */
static void answer_page(struct api_call *call, int status, const char *title, const char *words)
{
    call->text = malloc(PAGE_MAX);
    if (!call->text) {
        api_answer_memory(call);
        return;
    }
    int length = snprintf(
        call->text, PAGE_MAX,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<meta name=\"robots\" content=\"noindex\">\n<title>%s</title>\n<style>\n"
        ":root { color-scheme: light dark }\n"
        "body { font: 1.1rem/1.6 system-ui, sans-serif; max-width: 34em; margin: 15vh auto; "
        "padding: 0 1.5rem }\n</style>\n</head>\n<body>\n<h1>%s</h1>\n<p>%s</p>\n</body>\n"
        "</html>\n",
        title, title, words);
    snprintf(call->head, sizeof call->head,
             "Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n");
    api_answer_fixed(call, status, "text/html; charset=utf-8", call->text, (size_t)length);
}

static void confirmed(void *user, int error, const struct account *account, uint64_t wait)
{
    struct api_call *call = user;
    if (!error)
        answer_page(call, 200, "Your account is confirmed",
                    "You can log in now: <code>streamplex login</code>");
    else if (error == ACCOUNTS_EXPIRED)
        answer_page(call, 410, "This link has expired",
                    "It was good for a day. Ask for the account once more, with the same e-mail "
                    "address, and a new link is mailed to you: <code>streamplex account "
                    "create</code>");
    else if (error == ACCOUNTS_STORE || error == ACCOUNTS_BUSY || error == ACCOUNTS_MEMORY)
        answer_page(call, 503, "This didn't work",
                    "The server can't write it down right now. Open the link again in a while.");
    else
        answer_page(call, 404, "This link can't be used",
                    "It was used before, or isn't whole. If you have confirmed your account "
                    "already, just log in; else ask for the account again.");
}

void api_page_confirm(struct api_call *call)
{
    char *code = api_routes_query(call->query ? call->query : "", "code");
    if (code && *code)
        accounts_confirm(call->api->accounts, code, confirmed, call);
    else
        confirmed(call, ACCOUNTS_UNKNOWN, NULL, 0);
    free(code);
}

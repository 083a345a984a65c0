#include "edge/page.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "base/utf8.h"

/* Of a detail in a body: a host name fits; a longer one is cut. */
#define DETAIL_MAX  260
#define ESCAPED_MAX (6 * (DETAIL_MAX + 4)) /* "&quot;" and the cut's mark */
#define RETRY_AFTER 5 /* seconds: an agent that lost its tunnel is back by then */

enum form { FORM_HTML, FORM_JSON, FORM_TEXT };

struct wording {
    int status;
    const char *code;
    const char *title;
    const char *what;    /* happened */
    const char *move;    /* whose it is */
    const char *headers; /* or NULL */
};

#define RETRY_HEADER "Retry-After: 5\r\n"

static const struct wording wordings[] = {
    [PAGE_BAD_REQUEST] = {400, "BAD_REQUEST", "This request can't be understood",
                          "What was sent here breaks the rules of HTTP, so it wasn't passed on.",
                          "If you use a browser, reload the page. If it stays so, the program "
                          "that sent the request has to be corrected.",
                          NULL},
    [PAGE_UNAUTHORIZED] = {401, "UNAUTHORIZED", "This service asks for a name and a password",
                           "Only who knows them is let in, and what was sent with the request, if "
                           "anything, isn't right.",
                           "Ask the owner of the service for a name and a password; a browser asks "
                           "you for them when you reload the page.",
                           NULL},
    [PAGE_FORBIDDEN] = {403, "FORBIDDEN", "This service isn't open to you",
                        "Its owner has said from which addresses it may be visited, and yours "
                        "isn't one of them.",
                        "If you should be let in, give the owner the address that you come from.",
                        NULL},
    [PAGE_NO_CERTIFICATE] = {403, "CERTIFICATE_REQUIRED", "This service asks for a certificate",
                             "Visitors show a certificate of their own, over https and to the name "
                             "of the service; this connection has shown none that counts here.",
                             "Come by https with the certificate that the owner of the service "
                             "gave you; a browser may have to be restarted to ask for it again.",
                             NULL},
    [PAGE_UNKNOWN_NAME] = {404, "UNKNOWN_NAME", "There is nothing at this address",
                           "No service has this name here.",
                           "Look for a slip in the address. If somebody gave it to you, ask them: "
                           "its name may have changed, or it has been taken away.",
                           NULL},
    [PAGE_NOT_FOUND] = {404, "NOT_FOUND", "There is nothing at this address",
                        "The server has no such page of its own.",
                        "Look for a slip in the address.", NULL},
    [PAGE_CONNECT_REFUSED] = {405, "METHOD_NOT_ALLOWED", "This is no proxy",
                              "The method CONNECT isn't served here.",
                              "Take this address out of your program's proxy settings.",
                              "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"},
    [PAGE_SLOW_REQUEST] = {408, "REQUEST_TIMEOUT", "The request took too long to arrive",
                           "The connection was there, but the whole of the request didn't come in "
                           "time.",
                           "Try again; your connection may be slow just now.", NULL},
    [PAGE_EXPECT_UNKNOWN] = {417, "EXPECTATION_FAILED", "This expectation can't be met",
                             "The request expects something other than 100-continue.",
                             "The program that sent it has to do without.", NULL},
    [PAGE_MISDIRECTED] = {421, "MISDIRECTED", "This connection is for another name",
                          "The request asks for a name that this connection wasn't made for.",
                          "Your program should ask again over a connection of its own. A browser "
                          "does so when you reload the page.",
                          NULL},
    [PAGE_RATE_LIMITED] = {429, "RATE_LIMITED", "Too many requests",
                           "More requests came than the owner of this service lets through in a "
                           "second.",
                           "Try again in a moment, and a little more slowly.", NULL},
    [PAGE_GUESSED] = {429, "TOO_MANY_ATTEMPTS", "Too many attempts to get in",
                      "So many passwords were tried, from your address or all at once, that the "
                      "next isn't looked at yet.",
                      "Wait for a while, and try again with the right password.", NULL},
    [PAGE_HEAD_TOO_LARGE] = {431, "HEAD_TOO_LARGE", "The request's head is too large",
                             "The address and headers together are longer than is taken here.",
                             "If you use a browser, clear this site's cookies and reload the "
                             "page.",
                             NULL},
    [PAGE_METHOD_UNKNOWN] = {501, "METHOD_UNKNOWN", "This method isn't known",
                             "The request asks for something that isn't a known HTTP method.",
                             "The program that sent it has to use another one.", NULL},
    [PAGE_SERVICE_REFUSED] = {502, "SERVICE_REFUSED", "The service can't be reached",
                              "The computer that offers this service is connected, but the "
                              "service on it can't be reached: most often it isn't running.",
                              "If it is yours, start it, and look whether the agent has its right "
                              "port. If not, tell its owner, or try again later.",
                              NULL},
    [PAGE_SERVICE_BROKEN] = {502, "SERVICE_BROKEN", "The service's answer can't be used",
                             "The service was reached, but what it answered isn't whole, or isn't "
                             "HTTP.",
                             "If it is yours, look into its log, and whether it speaks TLS "
                             "itself. If not, tell its owner, or try again later.",
                             NULL},
    [PAGE_TUNNEL_GONE] = {502, "TUNNEL_GONE", "The connection to the service was lost",
                          "The computer that offers this service went away before it had "
                          "answered.",
                          "Try again in a moment. What you asked for may have been done already: "
                          "look before you repeat an order or a payment.",
                          NULL},
    [PAGE_NO_AGENT] = {503, "NO_AGENT", "This service isn't connected right now",
                       "The address is right, but the computer that offers the service isn't "
                       "online.",
                       "Try again in a while. If it is yours, run `streamplex connect` on it.",
                       RETRY_HEADER},
    [PAGE_TOO_MANY] = {503, "TOO_MANY_CONNECTIONS", "There is too much going on here",
                       "The server has as many connections as it can take.",
                       "Try again in a moment.", RETRY_HEADER},
    [PAGE_FULL] = {503, "SOCKET_FULL", "This service has all the visitors that it can take",
                   "Its owner has set how many may be here at once, and so many are.",
                   "Try again in a moment.", RETRY_HEADER},
    [PAGE_QUOTA_EXCEEDED] = {503, "QUOTA_EXCEEDED", "This service has used up its traffic",
                             "The owner's account may move so many bytes in a month, and all of "
                             "them have been moved.",
                             "If it is yours, ask who runs this server for more, or wait for the "
                             "next month. If not, tell its owner.",
                             NULL},
    [PAGE_SERVICE_SILENT] = {504, "SERVICE_SILENT", "The service takes too long to answer",
                             "The service took the request, but no answer has come in time.",
                             "Try again later. If it is yours, see what it is waiting for.", NULL},
    [PAGE_VERSION_UNKNOWN] = {505, "VERSION_UNKNOWN", "This version of HTTP isn't spoken",
                              "HTTP/1.1 and HTTP/1.0 are served here.",
                              "The program that sent the request has to use one of them.", NULL},
    [PAGE_LOOP] = {508, "LOOP_DETECTED", "This service leads back to itself",
                   "The request has come here a second time: what it was passed on to sends it to "
                   "this server again.",
                   "If the service is yours, look where its agent and its proxies send what they "
                   "get. If not, tell its owner.",
                   NULL},
    [PAGE_REDIRECT] = {308, "HTTPS_ONLY", "This service is on https",
                       "It is served over an encrypted connection only.", "Go on at this address.",
                       NULL},
    [PAGE_URL_TOO_LONG] = {414, "URL_TOO_LONG", "This address is too long",
                           "It should be asked for by https, but is too long to be told so.",
                           "Ask for it with https:// in front.", NULL},
};

/* --- what the visitor accepts --- */

/* "0.25" in thousandths. */
static int parse_weight(const char *text)
{
    int weight = *text == '1' ? 1000 : 0;
    if ((*text != '0' && *text != '1') || text[1] != '.' || weight)
        return weight;
    for (int i = 2, unit = 100; unit && text[i] >= '0' && text[i] <= '9'; i++, unit /= 10)
        weight += unit * (text[i] - '0');
    return weight;
}

static int find_weight(const char *parameters, const char *end)
{
    for (const char *at = parameters; at < end; at++) {
        if (*at != ';')
            continue;
        at += 1 + strspn(at + 1, " \t");
        if (at + 1 < end && (*at == 'q' || *at == 'Q') && at[1] == '=')
            return parse_weight(at + 2);
        at--;
    }
    return 1000;
}

static bool is_type(const char *at, size_t length, const char *type)
{
    return strlen(type) == length && strncasecmp(at, type, length) == 0;
}

/* The form of one media range; FORM_TEXT for any that isn't named. */
static enum form form_of(const char *at, size_t length)
{
    if (is_type(at, length, "text/html") || is_type(at, length, "application/xhtml+xml"))
        return FORM_HTML;
    if (is_type(at, length, "application/json") || is_type(at, length, "application/problem+json"))
        return FORM_JSON;
    return FORM_TEXT;
}

/* The heaviest of those named; HTML before JSON before text when they weigh the same. */
static enum form choose_form(const char *accept)
{
    int weights[] = {[FORM_HTML] = 0, [FORM_JSON] = 0, [FORM_TEXT] = 0};
    while (*accept) {
        accept += strspn(accept, ", \t");
        size_t length = strcspn(accept, ",;\t ");
        const char *end = accept + strcspn(accept, ",");
        int weight = find_weight(accept + length, end);
        bool is_any = length > 2 && accept[length - 1] == '*';
        int *kept = &weights[form_of(accept, length)];
        if (length && !is_any && weight > *kept)
            *kept = weight;
        accept = end;
    }
    if (weights[FORM_HTML] && weights[FORM_HTML] >= weights[FORM_JSON] &&
        weights[FORM_HTML] >= weights[FORM_TEXT])
        return FORM_HTML;
    return weights[FORM_JSON] && weights[FORM_JSON] >= weights[FORM_TEXT] ? FORM_JSON : FORM_TEXT;
}

/* --- bodies --- */

/* Copies what is fit to be shown, "?" for the rest, cut at a character's end. */
static void clean(const char *detail, char out[DETAIL_MAX + 4])
{
    size_t used = 0;
    while (*detail) {
        size_t length = utf8_length(detail), step = length ? length : 1;
        bool is_fine = length && !utf8_is_control(detail, length);
        if (used + step > DETAIL_MAX) {
            strcpy(out + used, "...");
            return;
        }
        memcpy(out + used, is_fine ? detail : "?", is_fine ? length : 1);
        used += is_fine ? length : 1;
        detail += step;
    }
    out[used] = 0;
}

static const char *entity_of(char byte)
{
    switch (byte) {
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '&':
        return "&amp;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

static void escape_html(const char *text, char out[ESCAPED_MAX])
{
    for (; *text; text++) {
        const char *entity = entity_of(*text);
        size_t length = entity ? strlen(entity) : 1;
        memcpy(out, entity ? entity : text, length);
        out += length;
    }
    *out = 0;
}

static int make_html(const struct wording *wording, const char *detail, char *body, size_t size)
{
    char escaped[ESCAPED_MAX];
    escape_html(detail, escaped);
    return snprintf(
        body, size,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<meta name=\"robots\" content=\"noindex\">\n<title>%s</title>\n<style>\n"
        ":root { color-scheme: light dark }\n"
        "body { font: 1.1rem/1.6 system-ui, sans-serif; max-width: 34em; margin: 15vh auto; "
        "padding: 0 1.5rem }\n"
        "h1 { font-size: 1.6rem; line-height: 1.25 }\n"
        "code { overflow-wrap: anywhere }\n"
        "footer { margin-top: 3rem; font-size: .85rem; opacity: .65 }\n"
        "</style>\n</head>\n<body>\n<h1>%s</h1>\n%s%s%s<p>%s</p>\n<p>%s</p>\n"
        "<footer>%d %s</footer>\n</body>\n</html>\n",
        wording->title, wording->title, *detail ? "<p><code>" : "", escaped,
        *detail ? "</code></p>\n" : "", wording->what, wording->move, wording->status,
        wording->code);
}

static int make_text(const struct wording *wording, const char *detail, char *body, size_t size)
{
    return snprintf(body, size, "%d %s: %s%s%s\n%s\n%s\n", wording->status, wording->code,
                    wording->title, *detail ? ": " : "", detail, wording->what, wording->move);
}

/* 0 without memory: an answer without a body says what is needed by its head. */
static int make_json(const struct wording *wording, const char *detail, char *body, size_t size)
{
    json_t *object =
        json_pack("{s:s, s:i, s:s, s:s, s:s}", "error", wording->code, "status", wording->status,
                  "title", wording->title, "what", wording->what, "move", wording->move);
    if (*detail)
        json_object_set_new(object, "detail", json_string(detail));
    if (wording->headers && strcmp(wording->headers, RETRY_HEADER) == 0)
        json_object_set_new(object, "retry_after", json_integer(RETRY_AFTER));
    size_t length = object ? json_dumpb(object, body, size - 1, JSON_COMPACT) : 0;
    json_decref(object);
    if (length == 0 || length >= size)
        return 0;
    body[length] = '\n';
    return (int)length + 1;
}

static int make_body(enum form form, const struct wording *wording, const char *detail, char *body,
                     size_t size)
{
    char cleaned[DETAIL_MAX + 4];
    clean(detail, cleaned);
    switch (form) {
    case FORM_HTML:
        return make_html(wording, cleaned, body, size);
    case FORM_JSON:
        return make_json(wording, cleaned, body, size);
    case FORM_TEXT:
        break;
    }
    return make_text(wording, cleaned, body, size);
}

/* --- heads --- */

/* A URL as a header may have it: what isn't of a URL is percent-encoded. False when it is too long.
 */
static bool encode_url(const char *url, char out[PAGE_URL_MAX + 1])
{
    size_t used = 0;
    for (; *url; url++) {
        unsigned char byte = (unsigned char)*url;
        bool is_plain = byte > ' ' && byte < 0x7f && !strchr("\"<>\\^`{|}", byte);
        if (used + (is_plain ? 1 : 3) > PAGE_URL_MAX) {
            *out = 0;
            return false;
        }
        if (is_plain)
            out[used++] = *url;
        else
            used += (size_t)snprintf(out + used, 4, "%%%02X", byte);
    }
    out[used] = 0;
    return true;
}

const char *page_code(enum page page)
{
    return wordings[page].code;
}

enum page page_of_status(int status)
{
    static const enum page pages[] = {
        PAGE_CONNECT_REFUSED, PAGE_SLOW_REQUEST,    PAGE_EXPECT_UNKNOWN,
        PAGE_MISDIRECTED,     PAGE_HEAD_TOO_LARGE,  PAGE_METHOD_UNKNOWN,
        PAGE_SERVICE_BROKEN,  PAGE_VERSION_UNKNOWN, PAGE_URL_TOO_LONG};
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
        if (wordings[pages[i]].status == status)
            return pages[i];
    return PAGE_BAD_REQUEST;
}

void page_make(enum page page, const char *accept, const char *detail, struct page_text *text,
               struct http_answer *ret_answer)
{
    static const char *const types[] = {
        [FORM_HTML] = "text/html; charset=utf-8",
        [FORM_JSON] = "application/json",
        [FORM_TEXT] = "text/plain; charset=utf-8",
    };
    char url[PAGE_URL_MAX + 1] = "";
    if (page == PAGE_REDIRECT && !encode_url(detail, url)) {
        page = PAGE_URL_TOO_LONG;
        detail = "";
    }
    const struct wording *wording = &wordings[page];
    enum form form = choose_form(accept);
    int length = make_body(form, wording, detail, text->body, sizeof text->body);
    snprintf(text->head, sizeof text->head, "%s: %s\r\nCache-Control: no-store\r\n%s",
             *url ? "Location" : "X-Streamplex-Error", *url ? url : wording->code,
             wording->headers ? wording->headers : "");
    *ret_answer = (struct http_answer){
        .status = wording->status,
        .head = text->head,
        .content_type = types[form],
        .body = text->body,
        .body_length = (size_t)length,
    };
}

void page_add_header(struct page_text *text, const char *name, const char *value)
{
    size_t used = strlen(text->head), room = sizeof text->head - used;
    int length = snprintf(text->head + used, room, "%s: %s\r\n", name, value);
    if (length < 0 || (size_t)length >= room)
        text->head[used] = 0;
}

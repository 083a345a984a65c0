#include "net/http_client.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/transfer.h"

struct http_request {
    struct transfer transfer;
    http_client_on_done *on_done;
    void *user;
    struct curl_slist *headers;
    char *body; /* of the answer, NUL-terminated */
    size_t length, most;
    char too_long[64];
};

struct http_client {
    struct transfers *transfers;
};

#define CONTAINER(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

char *http_client_escape(const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    char *escaped = malloc(3 * strlen(text) + 1), *out = escaped;
    if (!escaped) {
        return NULL;
    }
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        /* RFC 3986, section 2.3: unreserved characters */
        if ((*c >= '0' && *c <= '9') || (*c >= 'A' && *c <= 'Z') || (*c >= 'a' && *c <= 'z') ||
            strchr("-._~", *c)) {
            *out++ = (char)*c;
        } else {
            *out++ = '%';
            *out++ = hex[*c >> 4];
            *out++ = hex[*c & 15];
        }
    }
    *out = 0;
    return escaped;
}

/* ---- results ---- */

static void request_free(struct http_request *request)
{
    transfer_end(&request->transfer);
    curl_slist_free_all(request->headers);
    free(request->body);
    free(request);
}

void http_client_cancel(struct http_request *request)
{
    if (request) {
        request_free(request);
    }
}

/* The callback may do anything to the client. */
static void request_done(struct transfer *transfer)
{
    struct http_request *request = CONTAINER(transfer, struct http_request, transfer);
    bool is_whole = transfer->code == CURLE_OK;
    request->on_done(request->user, is_whole ? (int)transfer->status : -1,
                     is_whole && request->body ? request->body : "", is_whole ? request->length : 0,
                     transfer->error);
    request_free(request);
}

static size_t body_received(char *bytes, size_t size, size_t count, void *user)
{
    struct http_request *request = user;
    size_t length = size * count;
    if (length > request->most - request->length) {
        snprintf(request->too_long, sizeof(request->too_long),
                 "the answer is longer than %zu bytes", request->most);
        request->transfer.fail = request->too_long;
        return CURL_WRITEFUNC_ERROR;
    }
    char *grown = realloc(request->body, request->length + length + 1);
    if (!grown) {
        return CURL_WRITEFUNC_ERROR;
    }
    request->body = grown;
    memcpy(request->body + request->length, bytes, length);
    request->length += length;
    request->body[request->length] = 0;
    return length;
}

/* ---- requests ---- */

static bool is_line(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < ' ' || *text == 127) {
            return false;
        }
    }
    return true;
}

/* "Name: value", and no more than that for libcurl ("Name;" and "Name:" mean something to it). */
static bool is_header(const char *header)
{
    const char *colon = strchr(header, ':');
    return colon && colon != header && colon[1] == ' ' && colon[2] && is_line(header) &&
           strcspn(header, " ;") > (size_t)(colon - header);
}

static bool are_possible(const struct http_client_options *options)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const char *method = options->method;
    if ((method && (!*method || method[strspn(method, letters)])) ||
        (options->content_type && !is_line(options->content_type))) {
        return false;
    }
    for (const char *const *header = options->headers; header && *header; header++) {
        if (!is_header(*header)) {
            return false;
        }
    }
    return true;
}

static int append_header(struct http_request *request, const char *name, const char *value)
{
    char *header = NULL;
    if (asprintf(&header, "%s%s", name, value) < 0) {
        return -ENOMEM;
    }
    struct curl_slist *grown = curl_slist_append(request->headers, header);
    free(header);
    if (!grown) {
        return -ENOMEM;
    }
    request->headers = grown;
    return 0;
}

static int request_configure_headers(struct http_request *request,
                                     const struct http_client_options *options, bool has_body)
{
    int error = 0;
    if (!options->form && has_body) {
        /* without a value, libcurl's own for forms stays away */
        error = append_header(request, options->content_type ? "Content-Type: " : "Content-Type:",
                              options->content_type ? options->content_type : "");
    }
    if (!error && has_body) {
        error = append_header(request, "Expect:", ""); /* nor is there a wait for a "100" */
    }
    for (const char *const *header = options->headers; !error && header && *header; header++) {
        error = append_header(request, *header, "");
    }
    if (!error && curl_easy_setopt(request->transfer.easy, CURLOPT_HTTPHEADER, request->headers)) {
        error = -ENOMEM;
    }
    return error;
}

#define SET(option, value) (code = code ? code : curl_easy_setopt(easy, option, value))

/* A body makes it a POST for libcurl; what it is called is another matter. Methods that are about a
 * body send an empty one rather than none. */
static CURLcode request_configure_method(struct http_request *request,
                                         const struct http_client_options *options, bool has_body)
{
    CURL *easy = request->transfer.easy;
    const char *method = options->method;
    CURLcode code = CURLE_OK;
    if (options->form) {
        SET(CURLOPT_COPYPOSTFIELDS, options->form);
    } else if (has_body) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(options->body ? options->body_length : 0));
        SET(CURLOPT_COPYPOSTFIELDS, options->body ? options->body : "");
    }
    if (method && strcmp(method, "HEAD") == 0) {
        SET(CURLOPT_NOBODY, 1L);
    } else if (method) {
        SET(CURLOPT_CUSTOMREQUEST, method);
    }
    return code;
}

static int request_configure(struct http_request *request,
                             const struct http_client_options *options)
{
    CURL *easy = request->transfer.easy;
    const char *method = options->method;
    bool has_body =
        options->form || options->body ||
        (method && (!strcmp(method, "POST") || !strcmp(method, "PUT") || !strcmp(method, "PATCH")));
    CURLcode code = request_configure_method(request, options, has_body);
    SET(CURLOPT_URL, options->url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_WRITEFUNCTION, body_received);
    SET(CURLOPT_WRITEDATA, request);
    if (options->user) {
        SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        SET(CURLOPT_USERNAME, options->user);
        SET(CURLOPT_PASSWORD, options->password ? options->password : "");
    }
    if (options->unix_path) {
        SET(CURLOPT_UNIX_SOCKET_PATH, options->unix_path);
        SET(CURLOPT_PROXY, "");
    }
    return code ? -ENOMEM : request_configure_headers(request, options, has_body);
}

int http_client_start(struct http_client *client, const struct http_client_options *options,
                      http_client_on_done *on_done, void *user, struct http_request **ret_request)
{
    if (!are_possible(options)) {
        return -EINVAL;
    }
    struct http_request *request = calloc(1, sizeof(*request));
    if (!request) {
        return -ENOMEM;
    }
    request->on_done = on_done;
    request->user = user;
    request->most = options->answer_max ? options->answer_max : HTTP_CLIENT_BODY_MAX;
    request->transfer.on_done = request_done;
    if (transfer_prepare(client->transfers, &request->transfer, options->timeout,
                         options->ca_file) != 0 ||
        request_configure(request, options) != 0 || transfer_start(&request->transfer) != 0) {
        request_free(request);
        return -ENOMEM;
    }
    *ret_request = request;
    return 0;
}

/* ---- clients ---- */

int http_client_new(struct loop *loop, struct http_client **ret_client)
{
    struct http_client *client = calloc(1, sizeof(*client));
    if (!client) {
        return -ENOMEM;
    }
    int error = transfers_new(loop, &client->transfers);
    if (error) {
        free(client);
        return error;
    }
    *ret_client = client;
    return 0;
}

void http_client_free(struct http_client *client)
{
    struct transfer *transfer;
    if (!client) {
        return;
    }
    while ((transfer = transfers_first(client->transfers))) {
        request_free(CONTAINER(transfer, struct http_request, transfer));
    }
    transfers_free(client->transfers);
    free(client);
}

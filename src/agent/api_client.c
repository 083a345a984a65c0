#include "agent/api_client.h"

#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/address.h"
#include "base/utf8.h"
#include "net/curl_library.h"

#define TIMEOUT_MS 30000L

/* A list of 100,000 sockets; beyond, something else than the API is talking. */
#define ANSWER_MAX ((size_t)128 << 20)

struct api_client {
    CURL *easy;
    char *base; /* "https://host:port/prefix", no slash at the end */
    struct curl_slist *headers;
    char *bytes; /* of the answer that comes in */
    size_t length;
    bool is_too_long;
    char curl_error[CURL_ERROR_SIZE];
};

static int fail(char *error, size_t error_size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int fail(char *error, size_t error_size, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vsnprintf(error, error_size, format, values);
    va_end(values);
    return -1;
}

/* --- Options --- */

static bool has_part(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    bool is_there = curl_url_get(url, part, &text, 0) == CURLUE_OK;
    curl_free(text);
    return is_there;
}

/* A login is sent with each request: in the clear to this machine alone. */
static const char *judge_url(CURLU *url, const char *scheme, const char *host)
{
    if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD))
        return "an API's URL has no user and no password";
    if (has_part(url, CURLUPART_QUERY) || has_part(url, CURLUPART_FRAGMENT))
        return "an API's URL has no query and no fragment";
    if (strcmp(scheme, "https") != 0 &&
        (strcmp(scheme, "http") != 0 || !address_is_loopback_host(host)))
        return "an API's URL begins with https://";
    return NULL;
}

static int take_url(struct api_client *client, const char *text, char *error, size_t error_size)
{
    char *scheme = NULL, *host = NULL;
    int result = 0;
    CURLU *url = curl_url();
    if (!url)
        return fail(error, error_size, "out of memory");
    if (curl_url_set(url, CURLUPART_URL, text, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK) {
        result = fail(error, error_size, "that isn't the URL of an API (https://...)");
    } else {
        const char *fault = judge_url(url, scheme, host);
        if (fault)
            result = fail(error, error_size, "%s", fault);
        else if (!(client->base = strdup(text)))
            result = fail(error, error_size, "out of memory");
    }
    if (result == 0 && strcmp(scheme, "http") == 0)
        curl_easy_setopt(client->easy, CURLOPT_PROXY, ""); /* to this machine: not by way of one */
    curl_free(scheme);
    curl_free(host);
    curl_url_cleanup(url);
    if (result < 0)
        return result;
    for (size_t length = strlen(client->base); length && client->base[length - 1] == '/';)
        client->base[--length] = 0;
    return 0;
}

static int add_header(struct api_client *client, const char *name, const char *value)
{
    char *header = NULL;
    if (asprintf(&header, "%s%s", name, value) < 0)
        return -1;
    struct curl_slist *grown = curl_slist_append(client->headers, header);
    free(header);
    client->headers = grown ? grown : client->headers;
    return grown ? 0 : -1;
}

static int take_login(struct api_client *client, const char *login, char *error, size_t error_size)
{
    for (const char *c = login; c && *c; c++)
        if (*c <= ' ' || *c > '~')
            return fail(error, error_size, "the login token isn't one: log in again");
    if (add_header(client, "Content-Type: ", "application/json") < 0 ||
        add_header(client, "Accept: ", "application/json") < 0 ||
        add_header(client, "Expect:", "") < 0 ||
        (login && *login &&
         (add_header(client, "Authorization: Bearer ", login) < 0 ||
          add_header(client, "x-access-token: ", login) < 0)))
        return fail(error, error_size, "out of memory");
    return 0;
}

static size_t take_bytes(char *bytes, size_t size, size_t count, void *user)
{
    struct api_client *client = user;
    size_t length = size * count;
    if (length > ANSWER_MAX - client->length) {
        client->is_too_long = true;
        return CURL_WRITEFUNC_ERROR;
    }
    char *grown = realloc(client->bytes, client->length + length + 1);
    if (!grown)
        return CURL_WRITEFUNC_ERROR;
    client->bytes = grown;
    memcpy(grown + client->length, bytes, length);
    client->length += length;
    return length;
}

/* What OpenSSL's users expect to work: libcurl's own default is built in. */
static CURLcode trust(CURL *easy, const char *ca)
{
    const char *file = ca ? ca : getenv("SSL_CERT_FILE");
    const char *folder = ca ? NULL : getenv("SSL_CERT_DIR");
    CURLcode code = CURLE_OK;
    if (file)
        code = curl_easy_setopt(easy, CURLOPT_CAINFO, file);
    if (!code && (ca || folder))
        code = curl_easy_setopt(easy, CURLOPT_CAPATH, folder);
    return code;
}

static int configure(struct api_client *client, const struct api_client_options *options)
{
    CURL *easy = client->easy;
    CURLcode code = trust(easy, options->ca);
#define SET(option, value) (code = code ? code : curl_easy_setopt(easy, option, value))
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
    SET(CURLOPT_ERRORBUFFER, client->curl_error);
    SET(CURLOPT_WRITEFUNCTION, take_bytes);
    SET(CURLOPT_WRITEDATA, client);
    SET(CURLOPT_HTTPHEADER, client->headers);
    SET(CURLOPT_USERAGENT, "streamplex/" STREAMPLEX_VERSION);
    if (options->unix_path) {
        SET(CURLOPT_UNIX_SOCKET_PATH, options->unix_path);
        SET(CURLOPT_PROXY, "");
    }
#undef SET
    return code == CURLE_OK ? 0 : -1;
}

int api_client_new(const struct api_client_options *options, struct api_client **ret_client,
                   char *error, size_t error_size)
{
    curl_library_start();
    struct api_client *client = calloc(1, sizeof *client);
    if (!client || !(client->easy = curl_easy_init())) {
        free(client);
        return fail(error, error_size, "out of memory");
    }
    const char *url = options->unix_path ? "http://localhost" : options->url;
    int result = url ? take_url(client, url, error, error_size)
                     : fail(error, error_size, "no API was named");
    if (result == 0)
        result = take_login(client, options->login, error, error_size);
    if (result == 0 && configure(client, options) < 0)
        result = fail(error, error_size, "libcurl can't be set up");
    if (result < 0) {
        api_client_free(client);
        return result;
    }
    *ret_client = client;
    return 0;
}

void api_client_free(struct api_client *client)
{
    if (!client)
        return;
    curl_easy_cleanup(client->easy);
    curl_slist_free_all(client->headers);
    free(client->base);
    free(client->bytes);
    free(client);
}

/* --- Answers --- */

/* A server's words go to a terminal: nothing that it would obey, and not without end. */
static void quote(const char *text, char *buffer, size_t size)
{
    size_t used = 0;
    while (*text && used + 1 < size) {
        size_t length = utf8_length(text);
        if (length == 0 || utf8_is_control(text, length)) {
            buffer[used++] = '?';
            text += length ? length : 1;
        } else if (used + length < size) {
            memcpy(buffer + used, text, length);
            used += length;
            text += length;
        } else {
            break;
        }
    }
    buffer[used] = 0;
}

static int judge_status(long status, const json_t *answer, char *error, size_t error_size)
{
    char sentence[512];
    const char *message =
        json_string_value(json_object_get(json_object_get(answer, "error"), "message"));
    if (status < 300)
        return API_CLIENT_OK;
    if (status < 400) {
        fail(error, error_size, "the server answered %ld: it sends us elsewhere; name that API",
             status);
        return API_CLIENT_UNREACHABLE;
    }
    if (message && *message) {
        quote(message, sentence, sizeof sentence);
        fail(error, error_size, "%s", sentence);
    } else {
        fail(error, error_size, "the server answered %ld and no more: is the API there?", status);
    }
    return status == 401 ? API_CLIENT_LOGIN : API_CLIENT_REFUSED;
}

static int read_answer(struct api_client *client, json_t **ret_answer, char *error,
                       size_t error_size)
{
    long status = 0;
    json_t *answer = NULL;
    json_error_t ignored;
    curl_easy_getinfo(client->easy, CURLINFO_RESPONSE_CODE, &status);
    if (client->length)
        answer = json_loadb(client->bytes, client->length, JSON_DECODE_ANY, &ignored);
    int result = judge_status(status, answer, error, error_size);
    if (result == API_CLIENT_OK && client->length && !answer) {
        fail(error, error_size, "the server answered something else than JSON: is it an API?");
        result = API_CLIENT_UNREACHABLE;
    }
    if (result == API_CLIENT_OK)
        *ret_answer = answer;
    else
        json_decref(answer);
    return result;
}

/* --- Requests --- */

static bool is_path(const char *path)
{
    for (const char *c = path; *c; c++)
        if (*c <= ' ' || *c > '~' || *c == '#')
            return false;
    return path[0] == '/';
}

/* What is sent is copied. */
static CURLcode set_request(struct api_client *client, const char *method, const char *path,
                            const char *body)
{
    CURL *easy = client->easy;
    char *url = NULL;
    if (asprintf(&url, "%s%s", client->base, path) < 0)
        return CURLE_OUT_OF_MEMORY;
    CURLcode code = curl_easy_setopt(easy, CURLOPT_URL, url);
    free(url);
    if (code)
        return code;
    bool is_get = strcmp(method, "GET") == 0;
    if (body || (!is_get && strcmp(method, "DELETE") != 0)) {
        code = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, -1L);
        code = code ? code : curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, body ? body : "");
    } else {
        code = curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    }
    /* HTTPGET leaves the last one's name */
    return code ? code
                : curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, is_get && !body ? NULL : method);
}

static int describe_failure(struct api_client *client, CURLcode code, char *error,
                            size_t error_size)
{
    if (client->is_too_long)
        fail(error, error_size, "the server's answer is too long");
    else if (client->curl_error[0])
        quote(client->curl_error, error, error_size); /* may cite a certificate */
    else
        fail(error, error_size, "%s", curl_easy_strerror(code));
    return API_CLIENT_UNREACHABLE;
}

int api_client_ask(struct api_client *client, const char *method, const char *path,
                   struct json_t *body, struct json_t **ret_answer, char *error, size_t error_size)
{
    if (!is_path(path)) {
        fail(error, error_size, "that can't be asked for: an id has no such characters");
        return API_CLIENT_REFUSED;
    }
    char *text = body ? json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    if (body && !text) {
        fail(error, error_size, "that can't be sent: text has to be UTF-8");
        return API_CLIENT_REFUSED;
    }
    client->length = 0;
    client->is_too_long = false;
    client->curl_error[0] = 0;
    CURLcode code = set_request(client, method, path, text);
    free(text);
    if (code == CURLE_OK)
        code = curl_easy_perform(client->easy);
    int result = code == CURLE_OK ? read_answer(client, ret_answer, error, error_size)
                                  : describe_failure(client, code, error, error_size);
    free(client->bytes); /* a list may have been long */
    client->bytes = NULL;
    client->length = 0;
    return result;
}

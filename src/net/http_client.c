#include "net/http_client.h"

#include <curl/curl.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <utlist.h>

#include "net/poll.h"
#include "net/timer.h"

/* Kept open for the next request: the calls are to one or two servers. */
#define CONNECTIONS_KEPT 4L

struct http_request {
    struct http_request *next, *prev;
    struct http_client *client;
    CURL *easy; /* NULL once its result is known */
    http_client_on_done *on_done;
    void *user;
    struct loop_deferred delivery;
    char *body; /* NUL-terminated */
    size_t length;
    bool is_too_long;
    int status;
    char error[CURL_ERROR_SIZE];
};

struct http_client {
    struct loop *loop;
    CURLM *multi;
    X509_STORE *authorities;
    struct timer timer;
    struct http_request *requests;
};

#define CONTAINER(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void library_init(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

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
    struct http_client *client = request->client;
    DL_DELETE(client->requests, request);
    loop_undefer(client->loop, &request->delivery);
    if (request->easy) {
        curl_multi_remove_handle(client->multi, request->easy);
        curl_easy_cleanup(request->easy);
    }
    free(request->body);
    free(request);
}

void http_client_cancel(struct http_request *request)
{
    if (request) {
        request_free(request);
    }
}

/* At the end of the turn, outside of libcurl: the callback may do anything to request and client.
 */
static void request_deliver(struct loop_deferred *delivery)
{
    struct http_request *request = CONTAINER(delivery, struct http_request, delivery);
    struct http_request done = *request;
    request->body = NULL;
    request_free(request);
    done.on_done(done.user, done.status, done.body ? done.body : "", done.length, done.error);
    free(done.body);
}

/* libcurl's own words only where they name no more than the host: elsewhere they might cite a URL.
 */
static void describe_error(struct http_request *request, CURLcode code)
{
    if (request->is_too_long) {
        snprintf(request->error, sizeof(request->error), "the answer is longer than %d bytes",
                 HTTP_CLIENT_BODY_MAX);
        return;
    }
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
        if (request->error[0]) {
            return;
        }
        break;
    default:
        break;
    }
    snprintf(request->error, sizeof(request->error), "%s", curl_easy_strerror(code));
}

static void request_finish(struct http_request *request, CURLcode code)
{
    long status = 0;
    curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_multi_remove_handle(request->client->multi, request->easy);
    curl_easy_cleanup(request->easy);
    request->easy = NULL;
    if (code == CURLE_OK) {
        request->status = (int)status;
        request->error[0] = 0;
    } else {
        request->status = -1;
        request->length = 0;
        if (request->body) {
            request->body[0] = 0;
        }
        describe_error(request, code);
    }
    loop_defer(request->client->loop, &request->delivery);
}

static void client_collect(struct http_client *client)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(client->multi, &left))) {
        if (message->msg == CURLMSG_DONE) {
            struct http_request *request = NULL;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&request);
            request_finish(request, message->data.result);
        }
    }
}

/* ---- libcurl on the loop ---- */

static void socket_ready(void *user, int fd, bool readable, bool writable)
{
    struct http_client *client = user;
    int running;
    curl_multi_socket_action(client->multi, fd,
                             (readable ? CURL_CSELECT_IN : 0) | (writable ? CURL_CSELECT_OUT : 0),
                             &running);
    client_collect(client);
}

static int socket_wanted(CURL *easy, curl_socket_t fd, int what, void *user, void *socket_user)
{
    struct http_client *client = user;
    struct poll *poll = socket_user;
    if (what == CURL_POLL_REMOVE) {
        poll_close(poll);
        curl_multi_assign(client->multi, fd, NULL);
        return 0;
    }
    if (!poll) {
        if (poll_open(client->loop, fd, socket_ready, client, &poll) != 0) {
            return -1; /* libcurl fails what is under way */
        }
        curl_multi_assign(client->multi, fd, poll);
    }
    poll_want(poll, what & CURL_POLL_IN, what & CURL_POLL_OUT);
    return 0;
}

static void timer_run(struct timer *timer)
{
    struct http_client *client = CONTAINER(timer, struct http_client, timer);
    int running;
    curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    client_collect(client);
}

static int timer_wanted(CURLM *multi, long milliseconds, void *user)
{
    struct http_client *client = user;
    if (milliseconds < 0) {
        timer_stop(&client->timer);
    } else {
        timer_start(&client->timer, loop_now(client->loop) + (uint64_t)milliseconds * 1000);
    }
    return 0;
}

/* ---- requests ---- */

static size_t body_received(char *bytes, size_t size, size_t count, void *user)
{
    struct http_request *request = user;
    size_t length = size * count;
    if (length > HTTP_CLIENT_BODY_MAX - request->length) {
        request->is_too_long = true;
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

/* As libcurl's own, and not to be inherited by children. */
static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* What OpenSSL trusts by default is read once a client, not once a handshake (libcurl has a default
 * of its own, which SSL_CERT_FILE doesn't change). */
static CURLcode trust_authorities(CURL *easy, void *context, void *user)
{
    struct http_client *client = user;
    SSL_CTX_set1_cert_store(context, client->authorities);
    return CURLE_OK;
}

static int request_configure(struct http_request *request,
                             const struct http_client_options *options)
{
    CURL *easy = request->easy;
    long milliseconds = (long)((options->timeout + 999) / 1000);
    CURLcode code = CURLE_OK;
#define SET(option, value) (code = code ? code : curl_easy_setopt(easy, option, value))
    SET(CURLOPT_URL, options->url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_NOSIGNAL, 1L);   /* libcurl would use SIGALRM, and a process has only one */
    SET(CURLOPT_QUICK_EXIT, 1L); /* or giving up would wait, here, for the thread that looks up */
    SET(CURLOPT_TIMEOUT_MS, milliseconds);
    SET(CURLOPT_PRIVATE, request);
    SET(CURLOPT_ERRORBUFFER, request->error);
    SET(CURLOPT_WRITEFUNCTION, body_received);
    SET(CURLOPT_WRITEDATA, request);
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(CURLOPT_CAINFO, NULL);
    SET(CURLOPT_CAPATH, NULL);
    SET(CURLOPT_SSL_CTX_FUNCTION, trust_authorities);
    SET(CURLOPT_SSL_CTX_DATA, request->client);
    /* libcurl's store isn't used, so there is nothing to keep (it would be ours, shared and grown)
     */
    SET(CURLOPT_CA_CACHE_TIMEOUT, 0L);
    if (options->form) {
        SET(CURLOPT_COPYPOSTFIELDS, options->form);
    }
    if (options->user) {
        SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        SET(CURLOPT_USERNAME, options->user);
        SET(CURLOPT_PASSWORD, options->password ? options->password : "");
    }
#undef SET
    return code == CURLE_OK ? 0 : -ENOMEM;
}

int http_client_start(struct http_client *client, const struct http_client_options *options,
                      http_client_on_done *on_done, void *user, struct http_request **ret_request)
{
    struct http_request *request = calloc(1, sizeof(*request));
    if (!request) {
        return -ENOMEM;
    }
    request->client = client;
    request->on_done = on_done;
    request->user = user;
    request->delivery.run = request_deliver;
    DL_APPEND(client->requests, request);
    request->easy = curl_easy_init();
    /* Adding only starts libcurl's timer: nothing is reported before this returns. */
    if (!request->easy || request_configure(request, options) != 0 ||
        curl_multi_add_handle(client->multi, request->easy) != CURLM_OK) {
        request_free(request);
        return -ENOMEM;
    }
    *ret_request = request;
    return 0;
}

/* ---- clients ---- */

static int client_configure(struct http_client *client)
{
    client->multi = curl_multi_init();
    client->authorities = X509_STORE_new();
    if (!client->multi || !client->authorities) {
        return -ENOMEM;
    }
    /* No CA at all is no error here: then every https request says so. */
    (void)X509_STORE_set_default_paths(client->authorities);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, socket_wanted);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, timer_wanted);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT);
    return 0;
}

int http_client_new(struct loop *loop, struct http_client **ret_client)
{
    (void)pthread_once(&library_once, library_init);
    struct http_client *client = calloc(1, sizeof(*client));
    if (!client) {
        return -ENOMEM;
    }
    client->loop = loop;
    timer_init(&client->timer, loop, timer_run);
    int error = client_configure(client);
    if (error) {
        http_client_free(client);
        return error;
    }
    *ret_client = client;
    return 0;
}

void http_client_free(struct http_client *client)
{
    if (!client) {
        return;
    }
    while (client->requests) {
        request_free(client->requests);
    }
    curl_multi_cleanup(client->multi); /* closes kept connections through socket_wanted() */
    timer_stop(&client->timer);
    X509_STORE_free(client->authorities);
    free(client);
}

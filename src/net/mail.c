#include "net/mail.h"

#include <curl/curl.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "base/address.h"
#include "net/curl_library.h"
#include "net/mail_text.h"
#include "net/pki.h"
#include "net/work.h"

#define TIMEOUT UINT64_C(60000000)

/* At a time for one mail: IPv6 and IPv4 are tried side by side. */
#define SOCKETS_MAX 4

struct mail {
    struct work work;
    struct mail *next, *prev;
    struct mail_sender *sender; /* NULL once it was freed */
    mail_on_done *on_done;
    void *user;
    struct curl_slist *to;
    char *text;
    size_t length, sent;
    int fds[SOCKETS_MAX]; /* open ones, -1 for none; under the sender's mutex */
    /* What came of it */
    CURLcode code;
    long status;
    char error[CURL_ERROR_SIZE];
};

/* The mails' threads read it, and nobody writes to it while there is one; but for the three last.
 */
struct mail_sender {
    struct work_queue *queue;
    struct mail_address from;
    char *url; /* without user and password */
    char *user, *password, *ca_file;
    uint64_t timeout;
    bool is_local;          /* smtp:// to this machine */
    atomic_bool is_closing; /* what is under way gives up */
    pthread_mutex_t mutex;
    struct mail *open; /* the loop's */
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

/* --- The server's URL --- */

/* A part of the URL, malloced; NULL when it isn't there. */
static char *get_part(CURLU *url, CURLUPart part, unsigned flags)
{
    char *text = NULL, *copy = NULL;
    if (curl_url_get(url, part, &text, flags) == CURLUE_OK)
        copy = strdup(text);
    curl_free(text);
    return copy;
}

static bool has_more(CURLU *url)
{
    char *path = get_part(url, CURLUPART_PATH, 0), *query = get_part(url, CURLUPART_QUERY, 0),
         *fragment = get_part(url, CURLUPART_FRAGMENT, 0),
         *options = get_part(url, CURLUPART_OPTIONS, 0);
    bool result = query || fragment || options || (path && path[0] && strcmp(path, "/") != 0);
    free(path);
    free(query);
    free(fragment);
    free(options);
    return result;
}

static int take_parts(struct mail_sender *sender, CURLU *url, char *error, size_t error_size)
{
    char *scheme = get_part(url, CURLUPART_SCHEME, 0), *host = get_part(url, CURLUPART_HOST, 0);
    bool is_plain = scheme && strcmp(scheme, "smtp") == 0;
    bool is_smtp = is_plain || (scheme && strcmp(scheme, "smtps") == 0);
    sender->is_local = is_plain && host && address_is_loopback_host(host);
    free(scheme);
    free(host);
    if (!is_smtp || has_more(url))
        return fail(error, error_size, "not of the form smtp[s]://[USER:PASSWORD@]HOST[:PORT]");
    sender->user = get_part(url, CURLUPART_USER, CURLU_URLDECODE);
    sender->password = get_part(url, CURLUPART_PASSWORD, CURLU_URLDECODE);
    char *user = get_part(url, CURLUPART_USER, 0);
    bool is_decoded = !user || sender->user;
    free(user);
    if (!is_decoded || (sender->user && !sender->password))
        return fail(error, error_size,
                    "a user of the mail server needs a password, and text in both");
    curl_url_set(url, CURLUPART_USER, NULL, 0);
    curl_url_set(url, CURLUPART_PASSWORD, NULL, 0);
    sender->url = get_part(url, CURLUPART_URL, 0);
    return sender->url ? 0 : fail(error, error_size, "out of memory");
}

static int take_url(struct mail_sender *sender, const char *text, char *error, size_t error_size)
{
    CURLU *url = curl_url();
    if (!url)
        return fail(error, error_size, "out of memory");
    int result = -1;
    if (curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK)
        result = take_parts(sender, url, error, error_size);
    else
        fail(error, error_size, "not of the form smtp[s]://[USER:PASSWORD@]HOST[:PORT]");
    curl_url_cleanup(url);
    return result;
}

/* --- One mail, on a thread --- */

static size_t give_bytes(char *buffer, size_t size, size_t count, void *user)
{
    struct mail *mail = user;
    size_t length = mail->length - mail->sent;
    if (length > size * count)
        length = size * count;
    memcpy(buffer, mail->text + mail->sent, length);
    mail->sent += length;
    return length;
}

/* SMTP has no body to receive; libcurl would write to stdout what comes. */
static size_t drop_bytes(char *bytes, size_t size, size_t count, void *user)
{
    return size * count;
}

/* In place of `was`. False when there is none. */
static bool replace_fd(struct mail *mail, int was, int fd)
{
    for (int i = 0; i < SOCKETS_MAX; i++) {
        if (mail->fds[i] == was) {
            mail->fds[i] = fd;
            return true;
        }
    }
    return false;
}

/* Not to be inherited by children, and known to whom ends it all: libcurl waits up to two minutes
 * for an answer to QUIT, and asks nobody meanwhile. */
static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct mail *mail = user;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0)
        return CURL_SOCKET_BAD;
    pthread_mutex_lock(&mail->sender->mutex);
    bool is_kept = !atomic_load(&mail->sender->is_closing) && replace_fd(mail, -1, fd);
    pthread_mutex_unlock(&mail->sender->mutex);
    if (!is_kept)
        close(fd);
    return is_kept ? fd : CURL_SOCKET_BAD;
}

static int close_socket(void *user, curl_socket_t fd)
{
    struct mail *mail = user;
    pthread_mutex_lock(&mail->sender->mutex);
    replace_fd(mail, fd, -1);
    close(fd);
    pthread_mutex_unlock(&mail->sender->mutex);
    return 0;
}

/* No more is awaited from the mail's servers: QUIT is said, but its answer isn't heard. */
static void shut_down(struct mail *mail, int how)
{
    pthread_mutex_lock(&mail->sender->mutex);
    for (int i = 0; i < SOCKETS_MAX; i++)
        if (mail->fds[i] >= 0)
            shutdown(mail->fds[i], how);
    pthread_mutex_unlock(&mail->sender->mutex);
}

/* libcurl has a default of its own, which SSL_CERT_FILE doesn't change. */
static CURLcode trust_system(CURL *easy, void *context, void *user)
{
    return SSL_CTX_set_default_verify_paths(context) == 1 ? CURLE_OK : CURLE_SSL_CACERT_BADFILE;
}

/* Called once a second at the least. */
static int go_on(void *user, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                 curl_off_t up)
{
    const struct mail *mail = user;
    return atomic_load(&mail->sender->is_closing);
}

static CURLcode configure(struct mail *mail, CURL *easy)
{
    const struct mail_sender *sender = mail->sender;
    CURLcode code = CURLE_OK;
#define SET(option, value) (code = code ? code : curl_easy_setopt(easy, option, value))
    SET(CURLOPT_URL, sender->url);
    SET(CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_TIMEOUT_MS, (long)((sender->timeout + 999) / 1000));
    SET(CURLOPT_ERRORBUFFER, mail->error);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, go_on);
    SET(CURLOPT_XFERINFODATA, mail);
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(CURLOPT_OPENSOCKETDATA, mail);
    SET(CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    SET(CURLOPT_CLOSESOCKETDATA, mail);
    /* of each answer, which the one above doesn't hold for after a mail that was refused */
    SET(CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)((sender->timeout + 999999) / 1000000));
    SET(CURLOPT_CAINFO, sender->ca_file);
    SET(CURLOPT_CAPATH, NULL);
    SET(CURLOPT_USE_SSL, (long)(sender->is_local ? CURLUSESSL_TRY : CURLUSESSL_ALL));
    if (sender->is_local) {
        SET(CURLOPT_SSL_VERIFYPEER, 0L);
        SET(CURLOPT_SSL_VERIFYHOST, 0L);
    } else if (!sender->ca_file) {
        SET(CURLOPT_SSL_CTX_FUNCTION, trust_system);
    }
    if (sender->user) {
        SET(CURLOPT_USERNAME, sender->user);
        SET(CURLOPT_PASSWORD, sender->password);
    }
    SET(CURLOPT_MAIL_FROM, sender->from.address);
    SET(CURLOPT_MAIL_RCPT, mail->to);
    SET(CURLOPT_UPLOAD, 1L);
    SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)mail->length);
    SET(CURLOPT_READFUNCTION, give_bytes);
    SET(CURLOPT_READDATA, mail);
    SET(CURLOPT_WRITEFUNCTION, drop_bytes);
#undef SET
    return code;
}

static void mail_run(struct work *work)
{
    struct mail *mail = (struct mail *)(void *)work;
    CURL *easy = curl_easy_init();
    mail->code = easy ? configure(mail, easy) : CURLE_OUT_OF_MEMORY;
    if (mail->code == CURLE_OK)
        mail->code = curl_easy_perform(easy);
    if (easy)
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &mail->status);
    shut_down(mail, SHUT_RD);
    curl_easy_cleanup(easy);
}

/* --- One mail, on the loop --- */

static void mail_end(struct mail *mail)
{
    if (mail->sender)
        DL_DELETE(mail->sender->open, mail);
    curl_slist_free_all(mail->to);
    free(mail->text);
    free(mail);
}

/* What libcurl says of SMTP may cite the server, which may cite an address: the number says as
 * much. */
static void describe(const struct mail *mail, char *error, size_t error_size)
{
    switch (mail->code) {
    case CURLE_LOGIN_DENIED:
        fail(error, error_size, "the mail server doesn't take the user and password");
        break;
    case CURLE_USE_SSL_FAILED:
        fail(error, error_size, "the mail server doesn't offer STARTTLS");
        break;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
        fail(error, error_size, "%s",
             mail->error[0] ? mail->error : curl_easy_strerror(mail->code));
        break;
    default:
        if (mail->status >= 400)
            fail(error, error_size, "the mail server refused the mail with %ld", mail->status);
        else
            fail(error, error_size, "%s", curl_easy_strerror(mail->code));
        break;
    }
}

/* Comes, too, when the sender was freed. */
static void mail_done(struct work *work)
{
    struct mail *mail = (struct mail *)(void *)work;
    char error[CURL_ERROR_SIZE];
    mail_on_done *on_done = mail->sender ? mail->on_done : NULL;
    void *user = mail->user;
    bool is_sent = mail->code == CURLE_OK;
    if (!is_sent)
        describe(mail, error, sizeof error);
    mail_end(mail);
    if (on_done)
        on_done(user, is_sent ? NULL : error);
}

static int mail_write(struct mail *mail, const char *to, const char *subject, const char *text)
{
    unsigned char bytes[16];
    char unique_id[2 * sizeof bytes + 1];
    if (pki_random(bytes, sizeof bytes) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(unique_id + 2 * i, 3, "%02x", bytes[i]);
    struct mail_text parts = {.from = &mail->sender->from,
                              .to = to,
                              .subject = subject,
                              .text = text,
                              .time = (uint64_t)time(NULL),
                              .unique_id = unique_id};
    int error = mail_text_write(&parts, &mail->text, &mail->length);
    if (error == 0 && !(mail->to = curl_slist_append(NULL, to)))
        error = -ENOMEM;
    return error;
}

int mail_send(struct mail_sender *sender, const char *to, const char *subject, const char *text,
              mail_on_done *on_done, void *user)
{
    struct mail *mail = calloc(1, sizeof *mail);
    if (!mail)
        return -ENOMEM;
    mail->work = (struct work){.run = mail_run, .done = mail_done};
    mail->sender = sender;
    mail->on_done = on_done;
    mail->user = user;
    for (int i = 0; i < SOCKETS_MAX; i++)
        mail->fds[i] = -1;
    DL_APPEND(sender->open, mail);
    int error = mail_write(mail, to, subject, text);
    if (error == 0)
        error = work_queue_add(sender->queue, &mail->work);
    if (error != 0)
        mail_end(mail);
    return error;
}

/* --- The sender --- */

int mail_new(struct loop *loop, const struct mail_options *options, struct mail_sender **ret_sender,
             char *error, size_t error_size)
{
    curl_library_start();
    struct mail_sender *sender = calloc(1, sizeof *sender);
    if (!sender)
        return fail(error, error_size, "out of memory");
    pthread_mutex_init(&sender->mutex, NULL);
    sender->timeout = options->timeout ? options->timeout : TIMEOUT;
    int result = take_url(sender, options->url, error, error_size);
    if (result == 0 && mail_address_parse(options->from, &sender->from) < 0)
        result = fail(error, error_size, "no address that mails could come from");
    if (result == 0 &&
        ((options->ca_file && !(sender->ca_file = strdup(options->ca_file))) ||
         work_queue_new(loop, MAIL_CONNECTIONS_MAX, MAIL_WAITING_MAX, &sender->queue) < 0))
        result = fail(error, error_size, "out of memory");
    if (result < 0) {
        mail_free(sender);
        return result;
    }
    *ret_sender = sender;
    return 0;
}

void mail_free(struct mail_sender *sender)
{
    struct mail *mail, *next;
    if (!sender)
        return;
    atomic_store(&sender->is_closing, true);
    DL_FOREACH(sender->open, mail)
    shut_down(mail, SHUT_RDWR);
    work_queue_free(sender->queue);
    DL_FOREACH_SAFE(sender->open, mail, next)
    mail->sender = NULL; /* its `done` is still to come */
    pthread_mutex_destroy(&sender->mutex);
    free(sender->url);
    free(sender->user);
    free(sender->password);
    free(sender->ca_file);
    free(sender);
}

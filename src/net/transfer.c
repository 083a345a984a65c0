#include "net/transfer.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <utlist.h>

#include "net/curl_library.h"
#include "net/poll.h"
#include "net/timer.h"

/* Kept open for the next one: the calls are to one or two servers. */
#define CONNECTIONS_KEPT 4L

struct transfers {
    struct loop *loop;
    CURLM *multi;
    X509_STORE *authorities;
    struct timer timer;
    struct transfer *open;
};

#define CONTAINER(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/* --- Results --- */

void transfer_end(struct transfer *transfer)
{
    struct transfers *transfers = transfer->transfers;
    if (!transfers)
        return;
    DL_DELETE(transfers->open, transfer);
    loop_undefer(transfers->loop, &transfer->delivery);
    if (transfer->easy) {
        curl_multi_remove_handle(transfers->multi, transfer->easy);
        curl_easy_cleanup(transfer->easy);
        transfer->easy = NULL;
    }
    transfer->transfers = NULL;
}

static void deliver(struct loop_deferred *delivery)
{
    struct transfer *transfer = CONTAINER(delivery, struct transfer, delivery);
    transfer_end(transfer);
    transfer->on_done(transfer);
}

/* libcurl's own words only where they name no more than the host: elsewhere they might cite a URL.
 */
static void describe_error(struct transfer *transfer)
{
    if (transfer->fail) {
        snprintf(transfer->error, sizeof transfer->error, "%s", transfer->fail);
        return;
    }
    switch (transfer->code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
        if (transfer->error[0])
            return;
        break;
    default:
        break;
    }
    snprintf(transfer->error, sizeof transfer->error, "%s", curl_easy_strerror(transfer->code));
}

static void finish(struct transfer *transfer, CURLcode code)
{
    transfer->code = code;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &transfer->status);
    curl_multi_remove_handle(transfer->transfers->multi, transfer->easy);
    curl_easy_cleanup(transfer->easy);
    transfer->easy = NULL;
    if (code == CURLE_OK)
        transfer->error[0] = 0;
    else
        describe_error(transfer);
    loop_defer(transfer->transfers->loop, &transfer->delivery);
}

static void collect(struct transfers *transfers)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(transfers->multi, &left))) {
        if (message->msg == CURLMSG_DONE) {
            struct transfer *transfer = NULL;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
            finish(transfer, message->data.result);
        }
    }
}

/* --- libcurl on the loop --- */

static void socket_ready(void *user, int fd, bool readable, bool writable)
{
    struct transfers *transfers = user;
    int running;
    curl_multi_socket_action(transfers->multi, fd,
                             (readable ? CURL_CSELECT_IN : 0) | (writable ? CURL_CSELECT_OUT : 0),
                             &running);
    collect(transfers);
}

static int socket_wanted(CURL *easy, curl_socket_t fd, int what, void *user, void *socket_user)
{
    struct transfers *transfers = user;
    struct poll *poll = socket_user;
    if (what == CURL_POLL_REMOVE) {
        poll_close(poll);
        curl_multi_assign(transfers->multi, fd, NULL);
        return 0;
    }
    if (!poll) {
        if (poll_open(transfers->loop, fd, socket_ready, transfers, &poll) != 0)
            return -1; /* libcurl fails what is under way */
        curl_multi_assign(transfers->multi, fd, poll);
    }
    poll_want(poll, what & CURL_POLL_IN, what & CURL_POLL_OUT);
    return 0;
}

static void timer_run(struct timer *timer)
{
    struct transfers *transfers = CONTAINER(timer, struct transfers, timer);
    int running;
    curl_multi_socket_action(transfers->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(transfers);
}

static int timer_wanted(CURLM *multi, long milliseconds, void *user)
{
    struct transfers *transfers = user;
    if (milliseconds < 0)
        timer_stop(&transfers->timer);
    else
        timer_start(&transfers->timer, loop_now(transfers->loop) + (uint64_t)milliseconds * 1000);
    return 0;
}

/* --- Transfers --- */

/* As libcurl's own, and not to be inherited by children. */
static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* What OpenSSL trusts by default is read once, not once a handshake (libcurl has a default of its
 * own, which SSL_CERT_FILE doesn't change). */
static CURLcode trust_authorities(CURL *easy, void *context, void *user)
{
    struct transfers *transfers = user;
    SSL_CTX_set1_cert_store(context, transfers->authorities);
    return CURLE_OK;
}

static CURLcode configure(struct transfer *transfer, uint64_t timeout, const char *ca_file)
{
    CURL *easy = transfer->easy;
    CURLcode code = CURLE_OK;
#define SET(option, value) (code = code ? code : curl_easy_setopt(easy, option, value))
    SET(CURLOPT_NOSIGNAL, 1L);   /* libcurl would use SIGALRM, and a process has only one */
    SET(CURLOPT_QUICK_EXIT, 1L); /* or giving up would wait, here, for the thread that looks up */
    SET(CURLOPT_TIMEOUT_MS, (long)((timeout + 999) / 1000));
    SET(CURLOPT_PRIVATE, transfer);
    SET(CURLOPT_ERRORBUFFER, transfer->error);
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    /* libcurl keeps a connection to those who named the same file alone, so none that was trusted
     * by one file serves who trusts another. */
    SET(CURLOPT_CAINFO, ca_file);
    SET(CURLOPT_CAPATH, NULL);
    if (!ca_file) {
        SET(CURLOPT_SSL_CTX_FUNCTION, trust_authorities);
        SET(CURLOPT_SSL_CTX_DATA, transfer->transfers);
    }
    /* Our store isn't libcurl's to keep: it would be shared, and grow. */
    SET(CURLOPT_CA_CACHE_TIMEOUT, 0L);
#undef SET
    return code;
}

int transfer_prepare(struct transfers *transfers, struct transfer *transfer, uint64_t timeout,
                     const char *ca_file)
{
    transfer->transfers = transfers;
    transfer->delivery.run = deliver;
    DL_APPEND(transfers->open, transfer);
    transfer->easy = curl_easy_init();
    return transfer->easy && configure(transfer, timeout, ca_file) == CURLE_OK ? 0 : -ENOMEM;
}

int transfer_start(struct transfer *transfer)
{
    /* Adding only starts libcurl's timer: nothing is reported before this returns. */
    CURLMcode code = curl_multi_add_handle(transfer->transfers->multi, transfer->easy);
    return code == CURLM_OK ? 0 : -ENOMEM;
}

/* --- All of them --- */

static int init_multi(struct transfers *transfers)
{
    transfers->multi = curl_multi_init();
    transfers->authorities = X509_STORE_new();
    if (!transfers->multi || !transfers->authorities)
        return -ENOMEM;
    /* No CA at all is no error here: then every server that shows a certificate says so. */
    (void)X509_STORE_set_default_paths(transfers->authorities);
    curl_multi_setopt(transfers->multi, CURLMOPT_SOCKETFUNCTION, socket_wanted);
    curl_multi_setopt(transfers->multi, CURLMOPT_SOCKETDATA, transfers);
    curl_multi_setopt(transfers->multi, CURLMOPT_TIMERFUNCTION, timer_wanted);
    curl_multi_setopt(transfers->multi, CURLMOPT_TIMERDATA, transfers);
    curl_multi_setopt(transfers->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT);
    return 0;
}

int transfers_new(struct loop *loop, struct transfers **ret_transfers)
{
    curl_library_start();
    struct transfers *transfers = calloc(1, sizeof *transfers);
    if (!transfers)
        return -ENOMEM;
    transfers->loop = loop;
    timer_init(&transfers->timer, loop, timer_run);
    int error = init_multi(transfers);
    if (error) {
        transfers_free(transfers);
        return error;
    }
    *ret_transfers = transfers;
    return 0;
}

void transfers_free(struct transfers *transfers)
{
    if (!transfers)
        return;
    curl_multi_cleanup(transfers->multi); /* closes kept connections through socket_wanted() */
    timer_stop(&transfers->timer);
    X509_STORE_free(transfers->authorities);
    free(transfers);
}

struct transfer *transfers_first(struct transfers *transfers)
{
    return transfers->open;
}

#include "agent/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/files_answer.h"
#include "edge/http_gather.h"
#include "net/conn.h"

#define HEAD_MAX  16384
#define READ_SIZE 16384
#define PIECE     65536
/* Of a file in one turn of the loop: the others want theirs, too. */
#define TURN_MAX (16 * PIECE)

/* One connection. It reads a request, then writes its answer, then reads on. */
struct client {
    struct loop_deferred more; /* first: the rest of a long answer, in the next turn */
    struct files *files;
    struct conn *conn;
    struct client *next, **link;
    char *left; /* read, but of the next request; NULL: nothing */
    size_t left_length;
    struct http_gather gather;
    struct files_answer answer;
    size_t sent; /* of the answer's text */
    bool answers;
    bool has_begun; /* bytes of a request have come */
};

struct files {
    struct loop *loop;
    int root;
    bool shows_hidden;
    struct client *clients;
    char piece[PIECE];
};

static void answer_drop(struct client *client)
{
    if (client->answer.fd >= 0)
        close(client->answer.fd);
    free(client->answer.text);
    client->answer = (struct files_answer){.fd = -1};
    client->answers = false;
}

static void client_free(struct client *client)
{
    loop_undefer(client->files->loop, &client->more);
    *client->link = client->next;
    if (client->next)
        client->next->link = client->link;
    answer_drop(client);
    http_gather_deinit(&client->gather);
    free(client->left);
    free(client);
}

static void client_close(struct client *client)
{
    conn_close(client->conn);
    client_free(client);
}

static void client_abort(struct client *client)
{
    conn_abort(client->conn);
    client_free(client);
}

/* --- answers --- */

enum progress {
    PROGRESS_DONE,
    PROGRESS_WAITS, /* for the socket, or the next turn */
    PROGRESS_BROKEN,
};

static enum progress send_text(struct client *client)
{
    const struct files_answer *answer = &client->answer;
    while (client->sent < answer->length) {
        ssize_t taken =
            conn_write(client->conn, answer->text + client->sent, answer->length - client->sent);
        if (taken == CONN_WAIT)
            return PROGRESS_WAITS;
        if (taken < 0)
            return PROGRESS_BROKEN;
        client->sent += (size_t)taken;
    }
    return PROGRESS_DONE;
}

/* What the socket doesn't take is read again: it is in the page cache, and no connection has to
 * hold a buffer. A file that has become shorter can't be sent as its length was told. */
static enum progress send_file(struct client *client)
{
    struct files_answer *answer = &client->answer;
    char *piece = client->files->piece;
    for (uint64_t turn = 0; answer->fd >= 0 && answer->offset < answer->end;) {
        if (turn >= TURN_MAX) {
            loop_defer_next(client->files->loop, &client->more);
            return PROGRESS_WAITS;
        }
        if (!conn_can_write(client->conn))
            return PROGRESS_WAITS;
        uint64_t left = answer->end - answer->offset;
        ssize_t got =
            pread(answer->fd, piece, left < PIECE ? (size_t)left : PIECE, (off_t)answer->offset);
        if (got <= 0)
            return PROGRESS_BROKEN;
        ssize_t taken = conn_write(client->conn, piece, (size_t)got);
        if (taken == CONN_WAIT)
            return PROGRESS_WAITS;
        if (taken < 0)
            return PROGRESS_BROKEN;
        answer->offset += (uint64_t)taken;
        turn += (uint64_t)taken;
    }
    return PROGRESS_DONE;
}

static enum progress send_answer(struct client *client)
{
    enum progress progress = send_text(client);
    return progress == PROGRESS_DONE ? send_file(client) : progress;
}

/* --- requests --- */

/* Keeps what came after a request's head. 0 or -ENOMEM. */
static int keep(struct client *client, const char *bytes, size_t length)
{
    char *left = NULL;
    if (length) {
        left = malloc(length);
        if (!left)
            return -ENOMEM;
        memcpy(left, bytes, length);
    }
    free(client->left); /* `bytes` may be of it */
    client->left = left;
    client->left_length = length;
    return 0;
}

/* Takes bytes of a request; at its end the answer is there. 0 or -ENOMEM. */
static int take(struct client *client, const char *bytes, size_t length)
{
    const struct files *files = client->files;
    const char *whole;
    size_t taken = 0, whole_length;
    int result = 0;
    client->has_begun = true;
    switch (
        http_gather_feed(&client->gather, bytes, length, HEAD_MAX, &taken, &whole, &whole_length)) {
    case HTTP_GATHERED_MORE:
        return keep(client, NULL, 0);
    case HTTP_GATHERED_WHOLE:
        result = files_answer_make(files->root, files->shows_hidden, whole, whole_length,
                                   &client->answer);
        break;
    case HTTP_GATHERED_BAD:
        result = files_answer_refuse(400, &client->answer);
        break;
    case HTTP_GATHERED_TOO_LONG:
        result = files_answer_refuse(431, &client->answer);
        break;
    case HTTP_GATHERED_NO_MEMORY:
        return -ENOMEM;
    }
    if (result < 0)
        return result;
    client->answers = true;
    client->sent = 0;
    client->has_begun = false;
    result = keep(client, bytes + taken, length - taken);
    http_gather_deinit(&client->gather);
    http_gather_init(&client->gather, HTTP_SCAN_REQUEST);
    return result;
}

/* Reads until a request is whole. False: wait, or the client is gone. */
static bool receive(struct client *client)
{
    char buffer[READ_SIZE];
    while (!client->answers) {
        const char *bytes = client->left;
        ssize_t length = (ssize_t)client->left_length;
        if (!bytes) {
            bytes = buffer;
            length = conn_read(client->conn, buffer, sizeof buffer);
        }
        if (length == CONN_WAIT)
            return false;
        if (length == CONN_END && !client->has_begun) {
            client_close(client);
            return false;
        }
        if (length < 0 || take(client, bytes, (size_t)length) < 0) {
            client_abort(client);
            return false;
        }
    }
    return true;
}

/* One after another, until it has to wait or is over. */
static void proceed(struct client *client)
{
    while (client->answers || receive(client)) {
        enum progress progress = send_answer(client);
        if (progress == PROGRESS_WAITS)
            return;
        if (progress == PROGRESS_BROKEN) {
            client_abort(client);
            return;
        }
        bool closes = client->answer.closes;
        answer_drop(client);
        if (closes) {
            client_close(client);
            return;
        }
    }
}

static void on_more(struct loop_deferred *deferred)
{
    proceed((struct client *)deferred);
}

static void on_ready(struct conn *conn)
{
    proceed(conn_user(conn));
}

/* Who has ended may still wait for the answer; who is gone for good shows when it is written to. */
static void on_hangup(struct conn *conn)
{
    if (conn_error(conn))
        client_abort(conn_user(conn));
}

static void on_failed(struct conn *conn)
{
    client_abort(conn_user(conn));
}

static const struct conn_callbacks callbacks = {
    .on_readable = on_ready,
    .on_writable = on_ready,
    .on_hangup = on_hangup,
    .on_failed = on_failed,
};

/* --- life --- */

int files_open(struct loop *loop, const char *folder, bool shows_hidden, struct files **ret_files,
               char *error, size_t error_size)
{
    struct files *files = malloc(sizeof *files);
    if (!files) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    files->root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (files->root < 0) {
        snprintf(error, error_size, "the folder %s can't be shared: %s", folder, strerror(errno));
        free(files);
        return -1;
    }
    files->loop = loop;
    files->shows_hidden = shows_hidden;
    files->clients = NULL;
    *ret_files = files;
    return 0;
}

int files_serve(struct files *files, int fd)
{
    struct client *client = calloc(1, sizeof *client);
    if (!client)
        return -ENOMEM;
    int result = conn_open(files->loop, fd, &callbacks, client, &client->conn);
    if (result < 0) {
        free(client);
        return result;
    }
    client->more.run = on_more;
    client->files = files;
    client->answer.fd = -1;
    http_gather_init(&client->gather, HTTP_SCAN_REQUEST);
    client->next = files->clients;
    client->link = &files->clients;
    if (client->next)
        client->next->link = &client->next;
    files->clients = client;
    return 0;
}

void files_close(struct files *files)
{
    if (!files)
        return;
    while (files->clients)
        client_abort(files->clients);
    close(files->root);
    free(files);
}

#include "agent/files_answer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/files_condition.h"
#include "agent/files_listing.h"
#include "agent/files_request.h"
#include "agent/files_type.h"
#include "base/beneath.h"
#include "edge/http_date.h"
#include "edge/http_rules.h"

/* One request, while its answer is made. */
struct asking {
    int root;
    bool shows_hidden, closes, says_keep_alive;
    struct files_request request;
    struct http_head head;
    struct files_answer *answer;
};

/* --- writing --- */

static const char *reason_of(int status)
{
    const char *reason = http_head_reason(status);
    return *reason ? reason : "Refused";
}

static void put_head(FILE *out, const struct asking *asking, int status)
{
    char date[HTTP_DATE_SIZE];
    fprintf(out, "HTTP/1.1 %d %s\r\nDate: %s\r\n", status, reason_of(status),
            http_date_format(time(NULL), date));
    if (asking->closes)
        fputs("Connection: close\r\n", out);
    else if (asking->says_keep_alive)
        fputs("Connection: keep-alive\r\n", out);
    fputs("Cache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\n", out);
}

static FILE *begin(struct asking *asking)
{
    *asking->answer = (struct files_answer){.fd = -1, .closes = asking->closes};
    return open_memstream(&asking->answer->text, &asking->answer->length);
}

static int finish(struct asking *asking, FILE *out)
{
    bool is_whole = !ferror(out);
    if (fclose(out) != 0 || !is_whole) {
        free(asking->answer->text);
        asking->answer->text = NULL;
        return -ENOMEM;
    }
    return 0;
}

static const char *sentence_of(int status)
{
    switch (status) {
    case 301:
        return "It is at this address with a slash at its end.";
    case 400:
        return "This request can't be understood.";
    case 403:
        return "This may not be read.";
    case 404:
        return "There is nothing of this name here.";
    case 405:
        return "Files can only be read here.";
    case 412:
        return "The file has changed meanwhile.";
    case 416:
        return "The file has no such part.";
    default:
        return "This can't be answered.";
    }
}

/* A small page; `fields` are more lines for its head. */
static int answer_page(struct asking *asking, int status, const char *fields)
{
    char body[512];
    int length = snprintf(body, sizeof body,
                          "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
                          "<meta name=\"color-scheme\" content=\"light dark\">\n"
                          "<title>%d %s</title>\n<h1>%s</h1>\n<p>%s</p>\n",
                          status, reason_of(status), reason_of(status), sentence_of(status));
    FILE *out = begin(asking);
    if (!out)
        return -ENOMEM;
    put_head(out, asking, status);
    fprintf(out, "%sContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n\r\n", fields,
            length);
    if (!asking->request.is_head)
        fputs(body, out);
    return finish(asking, out);
}

static int answer_error(struct asking *asking, int error)
{
    switch (-error) {
    case ENOENT:
    case ENOTDIR:
    case EINVAL:
    case ENAMETOOLONG:
    case ELOOP: /* links that lead nowhere, or out (EXDEV) */
    case EXDEV:
    case ENXIO: /* a local socket, a pipe */
        return answer_page(asking, 404, "");
    case EACCES:
    case EPERM:
        return answer_page(asking, 403, "");
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return answer_page(asking, 503, "Retry-After: 1\r\n");
    default:
        return answer_page(asking, 500, "");
    }
}

/* --- files --- */

static void find_version(const struct stat *facts, struct files_version *version)
{
    version->size = (uint64_t)facts->st_size;
    version->modified = facts->st_mtim.tv_sec;
    snprintf(version->tag, sizeof version->tag, "\"%" PRIx64 "-%" PRIx64 "-%" PRIx64 "\"",
             (uint64_t)facts->st_ino, version->size,
             (uint64_t)facts->st_mtim.tv_sec * 1000000000 + (uint64_t)facts->st_mtim.tv_nsec);
}

static void put_version(FILE *out, const struct files_version *version)
{
    char date[HTTP_DATE_SIZE];
    fprintf(out, "ETag: %s\r\n", version->tag);
    if (version->modified <= time(NULL)) /* a date to come mustn't be told, RFC 9110 8.8.2.1 */
        fprintf(out, "Last-Modified: %s\r\n", http_date_format(version->modified, date));
}

static int answer_not_modified(struct asking *asking, const struct files_version *version)
{
    FILE *out = begin(asking);
    if (!out)
        return -ENOMEM;
    put_head(out, asking, 304);
    put_version(out, version);
    fputs("\r\n", out);
    return finish(asking, out);
}

static int answer_content(struct asking *asking, const struct files_version *version,
                          const char *name, int status, uint64_t first, uint64_t last)
{
    uint64_t end = status == 206 ? last + 1 : version->size;
    FILE *out = begin(asking);
    if (!out)
        return -ENOMEM;
    put_head(out, asking, status);
    put_version(out, version);
    if (status == 206)
        fprintf(out, "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n", first, last,
                version->size);
    fprintf(out, "Accept-Ranges: bytes\r\nContent-Type: %s\r\nContent-Length: %" PRIu64 "\r\n\r\n",
            files_type(name), end - first);
    asking->answer->offset = first;
    asking->answer->end = end;
    return finish(asking, out);
}

/* Takes fd. */
static int answer_file(struct asking *asking, int fd, const struct stat *facts, const char *name)
{
    struct files_version version;
    uint64_t first = 0, last = 0;
    char range[64];
    int result;
    find_version(facts, &version);
    int status =
        files_condition_judge(&asking->head, asking->request.is_head, &version, &first, &last);
    switch (status) {
    case 304:
        result = answer_not_modified(asking, &version);
        break;
    case 412:
        result = answer_page(asking, status, "");
        break;
    case 416:
        snprintf(range, sizeof range, "Content-Range: bytes */%" PRIu64 "\r\n", version.size);
        result = answer_page(asking, status, range);
        break;
    default:
        result = answer_content(asking, &version, name, status, first, last);
        if (result == 0 && !asking->request.is_head) {
            asking->answer->fd = fd;
            return 0;
        }
    }
    close(fd);
    return result;
}

/* --- folders --- */

static int answer_slash(struct asking *asking)
{
    char *location = NULL;
    size_t length;
    FILE *field = open_memstream(&location, &length);
    if (!field)
        return -ENOMEM;
    fputs("Location: /", field);
    files_listing_encode(asking->request.path, field);
    fprintf(field, "/%.*s\r\n", (int)asking->request.query.length, asking->request.query.at);
    int result = fclose(field) == 0 ? answer_page(asking, 301, location) : -ENOMEM;
    free(location);
    return result;
}

static int answer_listing(struct asking *asking)
{
    char *body = NULL;
    size_t length;
    FILE *page = open_memstream(&body, &length);
    if (!page)
        return -ENOMEM;
    int result =
        files_listing_write(asking->root, asking->request.path, asking->shows_hidden, page);
    bool is_whole = !ferror(page);
    if (fclose(page) != 0 || !is_whole)
        result = -ENOMEM;
    FILE *out = result == 0 ? begin(asking) : NULL;
    if (out) {
        put_head(out, asking, 200);
        fprintf(out, "Content-Type: text/html; charset=utf-8\r\nContent-Length: %zu\r\n\r\n",
                length);
        if (!asking->request.is_head)
            fwrite(body, 1, length, out);
        result = finish(asking, out);
    } else if (result < 0) {
        result = answer_error(asking, result);
    } else {
        result = -ENOMEM;
    }
    free(body);
    return result;
}

static int answer_folder(struct asking *asking)
{
    static const char index[] = "index.html";
    char path[PATH_MAX + sizeof index + 1];
    struct stat facts;
    if (!asking->request.is_folder && *asking->request.path)
        return answer_slash(asking);
    snprintf(path, sizeof path, "%s%s%s", asking->request.path, *asking->request.path ? "/" : "",
             index);
    int fd = beneath_open(asking->root, path, O_RDONLY);
    if (fd >= 0 && fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode))
        return answer_file(asking, fd, &facts, index);
    if (fd >= 0)
        close(fd);
    return answer_listing(asking);
}

/* --- requests --- */

static int answer_request(struct asking *asking)
{
    struct stat facts;
    int status = files_request_read(&asking->head, asking->shows_hidden, &asking->request);
    if (status)
        return answer_page(asking, status, status == 405 ? "Allow: GET, HEAD\r\n" : "");
    int fd = beneath_open(asking->root, asking->request.path, O_RDONLY);
    if (fd < 0)
        return answer_error(asking, fd);
    if (fstat(fd, &facts) < 0)
        facts.st_mode = 0;
    if (S_ISREG(facts.st_mode) && !asking->request.is_folder)
        return answer_file(asking, fd, &facts, asking->request.path);
    close(fd);
    return S_ISDIR(facts.st_mode) ? answer_folder(asking) : answer_page(asking, 404, "");
}

int files_answer_make(int root, bool shows_hidden, const char *bytes, size_t length,
                      struct files_answer *ret_answer)
{
    struct asking *asking = malloc(sizeof *asking);
    if (!asking)
        return -ENOMEM;
    asking->root = root;
    asking->shows_hidden = shows_hidden;
    asking->request.is_head = false;
    asking->closes = true;
    asking->says_keep_alive = false;
    asking->answer = ret_answer;
    int status = http_head_parse_request(bytes, length, &asking->head);
    if (!status)
        status = http_rules_request(&asking->head);
    int result;
    if (status) {
        result = answer_page(asking, status, status == 405 ? "Allow: GET, HEAD\r\n" : "");
    } else {
        /* A body isn't read: what would follow it can't be found then. */
        asking->closes = asking->head.closes || asking->head.framing != HTTP_FRAMING_NONE;
        asking->says_keep_alive = !asking->closes && asking->head.minor == 0;
        result = answer_request(asking);
    }
    free(asking);
    return result;
}

int files_answer_refuse(int status, struct files_answer *ret_answer)
{
    struct asking *asking = calloc(1, sizeof *asking);
    if (!asking)
        return -ENOMEM;
    asking->closes = true;
    asking->answer = ret_answer;
    int result = answer_page(asking, status, "");
    free(asking);
    return result;
}

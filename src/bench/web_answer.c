#include "bench/web_answer.h"

#include <string.h>
#include <strings.h>

void web_answer_init(struct web_answer *answer, const uint8_t *expected, size_t expected_size)
{
    *answer = (struct web_answer){.expected = expected, .expected_size = expected_size};
}

static enum web_result fail(struct web_answer *answer, const char *fault)
{
    answer->fault = fault;
    return WEB_BAD;
}

/* The decimal number that the rest of a line is; false for anything else. */
static bool read_number(const char *text, uint64_t *ret_number)
{
    uint64_t number = 0;
    int digits = 0;
    while (*text == ' ' || *text == '\t') {
        text++;
    }
    for (; *text >= '0' && *text <= '9' && digits < 18; text++, digits++) {
        number = number * 10 + (uint64_t)(*text - '0');
    }
    if (*text || !digits) {
        return false;
    }
    *ret_number = number;
    return true;
}

static enum web_result read_status(struct web_answer *answer, const char *line)
{
    uint64_t status;
    char digits[4] = "";
    if (strncmp(line, "HTTP/1.1 ", 9) != 0 || strlen(line) < 12) {
        return fail(answer, "no status line of HTTP/1.1");
    }
    memcpy(digits, line + 9, 3);
    if (!read_number(digits, &status) || status < 100 || (line[12] && line[12] != ' ')) {
        return fail(answer, "no status in the status line");
    }
    answer->status = (int)status;
    return WEB_MORE;
}

static enum web_result end_head(struct web_answer *answer)
{
    if (answer->status == 101) {
        return WEB_DONE;
    }
    if (answer->status < 200) {
        answer->status = 0;
        answer->has_length = false;
        return WEB_MORE;
    }
    if (!answer->has_length) {
        return fail(answer, "an answer without Content-Length");
    }
    if (answer->status == 200 && answer->length != answer->expected_size) {
        return fail(answer, "a body of another length");
    }
    answer->in_body = true;
    return answer->length ? WEB_MORE : WEB_DONE;
}

static enum web_result end_line(struct web_answer *answer)
{
    static const char length_name[] = "content-length:";
    char *line = answer->line;
    size_t kept = answer->line_length < WEB_LINE_MAX ? answer->line_length : WEB_LINE_MAX - 1;
    if (kept && kept == answer->line_length && line[kept - 1] == '\r') {
        kept--;
    }
    line[kept] = 0;
    answer->line_length = 0;
    if (!answer->status) {
        return read_status(answer, line);
    }
    if (!kept) {
        return end_head(answer);
    }
    if (strncasecmp(line, length_name, sizeof(length_name) - 1) == 0) {
        if (answer->has_length || !read_number(line + sizeof(length_name) - 1, &answer->length)) {
            return fail(answer, "a Content-Length that isn't one");
        }
        answer->has_length = true;
    }
    return WEB_MORE;
}

static enum web_result read_body(struct web_answer *answer, const uint8_t *bytes, size_t length,
                                 size_t *ret_taken)
{
    uint64_t left = answer->length - answer->at;
    size_t piece = length < left ? length : (size_t)left;
    if (answer->status == 200 && memcmp(bytes, answer->expected + answer->at, piece) != 0) {
        return fail(answer, "a body with other bytes");
    }
    answer->at += piece;
    *ret_taken += piece;
    return answer->at == answer->length ? WEB_DONE : WEB_MORE;
}

enum web_result web_answer_feed(struct web_answer *answer, const uint8_t *bytes, size_t length,
                                size_t *ret_taken)
{
    enum web_result result = WEB_MORE;
    *ret_taken = 0;
    while (result == WEB_MORE && *ret_taken < length && !answer->in_body) {
        uint8_t byte = bytes[(*ret_taken)++];
        if (++answer->head_length > WEB_HEAD_MAX) {
            return fail(answer, "a head without end");
        }
        if (byte == '\n') {
            result = end_line(answer);
            continue;
        }
        if (answer->line_length < WEB_LINE_MAX) {
            answer->line[answer->line_length] = (char)byte;
        }
        answer->line_length++;
    }
    if (result == WEB_MORE && answer->in_body && *ret_taken < length) {
        result = read_body(answer, bytes + *ret_taken, length - *ret_taken, ret_taken);
    }
    return result;
}

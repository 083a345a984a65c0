#include "agent/files_condition.h"

#include <stdbool.h>
#include <string.h>

#include <curl/curl.h>

#include "edge/http_date.h"

/* All three forms that a date may have in HTTP; -1 for none of them. */
static time_t parse_date(struct http_text text)
{
    char copy[64];
    if (!text.length || text.length >= sizeof copy)
        return -1;
    memcpy(copy, text.at, text.length);
    copy[text.length] = 0;
    return curl_getdate(copy, NULL);
}

/* The only field of that name; NULL when there is none, or more than one. */
static const struct http_text *find_only(const struct http_head *head, const char *name)
{
    const struct http_text *found = NULL;
    for (size_t i = 0; i < head->count; i++) {
        if (!http_text_is(head->fields[i].name, name))
            continue;
        if (found)
            return NULL;
        found = &head->fields[i].value;
    }
    return found;
}

static bool has_field(const struct http_head *head, const char *name)
{
    for (size_t i = 0; i < head->count; i++)
        if (http_text_is(head->fields[i].name, name))
            return true;
    return false;
}

static bool is_tag(struct http_text text, const char *tag)
{
    return text.length == strlen(tag) && memcmp(text.at, tag, text.length) == 0;
}

/* Is the tag, or "*", in the lists of that name? is_weak: "W/" in front doesn't count. */
static bool lists_tag(const struct http_head *head, const char *name, const char *tag, bool is_weak)
{
    for (size_t i = 0; i < head->count; i++) {
        struct http_text list = head->fields[i].value, one;
        if (!http_text_is(head->fields[i].name, name))
            continue;
        while (http_text_next(&list, &one)) {
            if (is_weak && one.length > 2 && memcmp(one.at, "W/", 2) == 0)
                one = (struct http_text){one.at + 2, one.length - 2};
            if (is_tag(one, tag) || is_tag(one, "*"))
                return true;
        }
    }
    return false;
}

/* RFC 9110 13.2.2 but for If-Range. 200: go on. */
static int judge_preconditions(const struct http_head *head, const struct files_version *version)
{
    const struct http_text *since = find_only(head, "if-unmodified-since");
    if (has_field(head, "if-match")) {
        if (!lists_tag(head, "if-match", version->tag, false))
            return 412;
    } else if (since) {
        time_t date = parse_date(*since);
        if (date >= 0 && version->modified > date)
            return 412;
    }
    since = find_only(head, "if-modified-since");
    if (has_field(head, "if-none-match"))
        return lists_tag(head, "if-none-match", version->tag, true) ? 304 : 200;
    if (since) {
        time_t date = parse_date(*since);
        if (date >= 0 && version->modified <= date)
            return 304;
    }
    return 200;
}

/* If-Range: has the asker a part of this very version? */
static bool is_same_version(const struct http_head *head, const struct files_version *version)
{
    const struct http_text *range = find_only(head, "if-range");
    if (!range)
        return !has_field(head, "if-range");
    if (range->length && (*range->at == '"' || *range->at == 'W'))
        return is_tag(*range, version->tag);
    char date[HTTP_DATE_SIZE];
    return is_tag(*range, http_date_format(version->modified, date));
}

/* Digits at *text; how many there were. What is beyond any file's size stays UINT64_MAX. */
static size_t take_number(struct http_text *text, uint64_t *ret_number)
{
    uint64_t number = 0;
    size_t digits = 0;
    for (; text->length && *text->at >= '0' && *text->at <= '9'; digits++) {
        uint64_t digit = (uint64_t)(*text->at - '0');
        number = number > (UINT64_MAX - digit) / 10 ? UINT64_MAX : number * 10 + digit;
        text->at++;
        text->length--;
    }
    *ret_number = number;
    return digits;
}

/* "first-last", "first-" or "-count" of a file of this size. */
static int judge_range(struct http_text text, uint64_t size, uint64_t *ret_first,
                       uint64_t *ret_last)
{
    uint64_t first, last;
    bool has_first = take_number(&text, &first);
    if (!text.length || *text.at != '-')
        return 200; /* what isn't understood is as if it weren't there */
    text.at++;
    text.length--;
    bool has_last = take_number(&text, &last);
    if (text.length || (!has_first && !has_last) || (has_first && has_last && last < first))
        return 200;
    if (!has_first) {
        if (!last || !size)
            return 416;
        first = last < size ? size - last : 0;
        last = size - 1;
    } else if (!has_last || last >= size) {
        last = size - 1;
    }
    if (first >= size)
        return 416;
    *ret_first = first;
    *ret_last = last;
    return 206;
}

int files_condition_judge(const struct http_head *head, bool is_head,
                          const struct files_version *version, uint64_t *ret_first,
                          uint64_t *ret_last)
{
    static const char unit[] = "bytes=";
    int status = judge_preconditions(head, version);
    const struct http_text *range = find_only(head, "range");
    if (status != 200 || is_head || !range || !is_same_version(head, version))
        return status;
    size_t length = sizeof unit - 1;
    if (range->length < length || !http_text_is((struct http_text){range->at, length}, unit))
        return 200;
    struct http_text list = {range->at + length, range->length - length}, one, other;
    if (!http_text_next(&list, &one) || http_text_next(&list, &other))
        return 200;
    return judge_range(one, version->size, ret_first, ret_last);
}

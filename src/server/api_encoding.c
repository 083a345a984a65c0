#include "server/api_encoding.h"

#include <string.h>

enum wish { UNSAID, REFUSED, WANTED };

/* ";q=0.5" and such; anything but a number above 0 is a no. */
static enum wish read_weight(struct http_text rest)
{
    rest = http_text_trim(rest);
    if (!rest.length)
        return WANTED;
    rest = http_text_trim((struct http_text){rest.at + 1, rest.length - 1}); /* behind ';' */
    if (rest.length < 3 || (rest.at[0] != 'q' && rest.at[0] != 'Q') || rest.at[1] != '=')
        return REFUSED;
    bool is_positive = false;
    for (size_t i = 2; i < rest.length; i++) {
        if (!strchr("0123456789.", rest.at[i]) || !rest.at[i])
            return REFUSED;
        is_positive |= rest.at[i] >= '1' && rest.at[i] <= '9';
    }
    return is_positive ? WANTED : REFUSED;
}

static void read_element(struct http_text element, enum wish *named, enum wish *others)
{
    const char *mark = memchr(element.at, ';', element.length);
    size_t length = mark ? (size_t)(mark - element.at) : element.length;
    struct http_text name = http_text_trim((struct http_text){element.at, length});
    struct http_text rest = {element.at + length, element.length - length};
    if (http_text_is(name, "gzip") || http_text_is(name, "x-gzip"))
        *named = read_weight(rest);
    else if (http_text_is(name, "*"))
        *others = read_weight(rest);
}

bool api_encoding_takes_gzip(const struct http_head *head)
{
    enum wish named = UNSAID, others = UNSAID;
    for (size_t i = 0; i < head->count; i++) {
        struct http_text list = head->fields[i].value, element;
        if (!http_text_is(head->fields[i].name, "accept-encoding"))
            continue;
        while (http_text_next(&list, &element))
            read_element(element, &named, &others);
    }
    return named == WANTED || (named == UNSAID && others == WANTED);
}

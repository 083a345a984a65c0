/* A strict check of a JSON text, and readers for checked texts. */
#include "json.h"

#include "internal.h"

#include <string.h>

static const char *space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    return at;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int hex(char c)
{
    if (is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits after \u, or -1. */
static int32_t hex4(const char *at, const char *end)
{
    int32_t number = 0;
    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int value = hex(at[i]);
        if (value < 0)
            return -1;
        number = number << 4 | value;
    }
    return number;
}

unsigned plex_json_utf8(const char *at, const char *end)
{
    uint8_t first = (uint8_t)*at;
    if (first < 0x80)
        return first != 0;
    unsigned size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (first < 0xc2 || first > 0xf4 || end - at < (ptrdiff_t)size)
        return 0;
    for (unsigned i = 1; i < size; i++)
        if (((uint8_t)at[i] & 0xc0) != 0x80)
            return 0;
    /* Overlong forms, surrogates, and what is beyond U+10FFFF show in the second byte. */
    uint8_t second = (uint8_t)at[1];
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
        (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f))
        return 0;
    return size;
}

bool plex_json_is_text(const char *text, size_t length)
{
    const char *end = text + length;
    for (unsigned size; text < end; text += size)
        if (!(size = plex_json_utf8(text, end)))
            return false;
    return length > 0;
}

/* All of these check one thing that must start at `at`, and return what follows it, or NULL. */

static const char *check_escape(const char *at, const char *end)
{
    if (at == end)
        return NULL;
    if (*at != 'u')
        return *at && strchr("\"\\/bfnrt", *at) ? at + 1 : NULL;
    int32_t unit = hex4(at + 1, end);
    if (unit <= 0 || (unit >= 0xdc00 && unit <= 0xdfff))
        return NULL;
    at += 5;
    if (unit < 0xd800 || unit > 0xdbff)
        return at;
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u')
        return NULL;
    unit = hex4(at + 2, end);
    return unit >= 0xdc00 && unit <= 0xdfff ? at + 6 : NULL;
}

static const char *check_string(const char *at, const char *end)
{
    for (at++; at && at < end;) {
        if (*at == '"')
            return at + 1;
        if (*at == '\\') {
            at = check_escape(at + 1, end);
            continue;
        }
        unsigned size = (uint8_t)*at < ' ' ? 0 : plex_json_utf8(at, end);
        if (!size)
            return NULL;
        at += size;
    }
    return NULL;
}

static const char *check_digits(const char *at, const char *end)
{
    const char *first = at;
    while (at < end && is_digit(*at))
        at++;
    return at > first ? at : NULL;
}

static const char *check_number(const char *at, const char *end)
{
    if (*at == '-')
        at++;
    if (at < end && *at == '0')
        at++;
    else
        at = check_digits(at, end);
    if (at && at < end && *at == '.')
        at = check_digits(at + 1, end);
    if (at && at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        at = check_digits(at, end);
    }
    return at;
}

static const char *check_word(const char *at, const char *end, const char *word)
{
    size_t length = strlen(word);
    return (size_t)(end - at) >= length && !memcmp(at, word, length) ? at + length : NULL;
}

static const char *check_scalar(const char *at, const char *end)
{
    switch (*at) {
    case '"':
        return check_string(at, end);
    case 't':
        return check_word(at, end, "true");
    case 'f':
        return check_word(at, end, "false");
    case 'n':
        return check_word(at, end, "null");
    default:
        return check_number(at, end);
    }
}

/* Moves on to the next character that isn't white space, and returns it; 0 at the end (and for NUL,
 * which stands nowhere in JSON). */
static char peek(const char **at, const char *end)
{
    *at = space(*at, end);
    return *at < end ? **at : 0;
}

/* A key and its colon. */
static const char *check_key(const char *at, const char *end)
{
    if (peek(&at, end) != '"' || !(at = check_string(at, end)))
        return NULL;
    return peek(&at, end) == ':' ? at + 1 : NULL;
}

bool plex_json_check(const char *text, size_t length)
{
    const char *at = text, *end = text + length;
    unsigned depth = 0, objects = 0; /* a bit for each level: is it an object? */
    if (peek(&at, end) != '{')
        return false;
    for (;;) {
        /* A value is due. */
        char c = peek(&at, end);
        bool object = c == '{';
        if (object || c == '[') {
            if (depth++ == PLEX_JSON_DEPTH)
                return false;
            objects = objects << 1 | object;
            at++;
            if (peek(&at, end) != (object ? '}' : ']')) {
                if (object && !(at = check_key(at, end)))
                    return false;
                continue;
            }
        } else if (!c || !(at = check_scalar(at, end))) {
            return false;
        }
        /* After a value: what it was in goes on, or ends. */
        for (;;) {
            c = peek(&at, end);
            if (!depth)
                return at == end;
            object = objects & 1;
            if (c == ',') {
                at++;
                if (object && !(at = check_key(at, end)))
                    return false;
                break;
            }
            if (c != (object ? '}' : ']'))
                return false;
            at++;
            depth--;
            objects >>= 1;
        }
    }
}

/* From here on texts are known to be good: every loop ends, since every string and container does.
 */

/* Outside of strings nothing else is as low. */
static const char *blank(const char *at)
{
    while ((uint8_t)*at <= ' ')
        at++;
    return at;
}

static const char *skip_string(const char *at)
{
    for (at++;; at += 2) {
        while (*at != '"' && *at != '\\')
            at++;
        if (*at == '"')
            return at + 1;
    }
}

/* Of a number or a word, which go on until a delimiter: a container's text always has one. */
static const char *skip_word(const char *at)
{
    while ((uint8_t)*at > ' ' && *at != ',' && *at != '}' && *at != ']')
        at++;
    return at;
}

const char *plex_json_end(const char *value)
{
    unsigned depth = 0;
    do {
        char c = *value;
        if (c == '"') {
            value = skip_string(value);
            continue;
        }
        c |= 0x20; /* [ becomes {, and ] becomes } */
        if (c == '{')
            depth++;
        else if (c == '}')
            depth--;
        else if (!depth)
            return skip_word(value);
        value++;
    } while (depth);
    return value;
}

const char *plex_json_first(const char *value)
{
    if (!value || (*value != '[' && *value != '{'))
        return NULL;
    value = blank(value + 1);
    return *value == ']' || *value == '}' ? NULL : value;
}

const char *plex_json_next(const char *element)
{
    element = blank(plex_json_end(element));
    return *element == ',' ? blank(element + 1) : NULL;
}

/* Decodes the escape at *at of a string, moves on, and returns its bytes. */
static unsigned unescape(const char **at, char bytes[4])
{
    static const char letters[] = "bfnrt", meant[] = "\b\f\n\r\t";
    const char *from = *at;
    *at = from + 2;
    if (from[1] != 'u') {
        const char *letter = strchr(letters, from[1]);
        bytes[0] = letter ? meant[letter - letters] : from[1];
        return 1;
    }
    uint32_t code = (uint32_t)hex4(from + 2, from + 6);
    *at = from + 6;
    if (code >= 0xd800 && code <= 0xdfff) {
        code = 0x10000 + ((code & 0x3ff) << 10) + ((uint32_t)hex4(from + 8, from + 12) & 0x3ff);
        *at = from + 12;
    }
    unsigned size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (unsigned i = size; --i; code >>= 6)
        bytes[i] = (char)(0x80 | (code & 0x3f));
    bytes[0] = (char)(size > 1 ? 0xf00u >> size | code : code); /* 0xc0, 0xe0, 0xf0 */
    return size;
}

bool plex_json_is_string(const char *value)
{
    return value && *value == '"';
}

bool plex_json_equals(const char *value, const char *text)
{
    if (!plex_json_is_string(value))
        return false;
    for (value++; *value != '"';) {
        char bytes[4];
        if (*value != '\\') {
            if (*value++ != *text++)
                return false;
            continue;
        }
        unsigned size = unescape(&value, bytes);
        if (strncmp(text, bytes, size))
            return false;
        text += size;
    }
    return !*text;
}

int plex_json_copy(const char *value, char *buffer, size_t capacity)
{
    size_t length = 0, kept;
    if (!plex_json_is_string(value))
        return -1;
    for (value++; *value != '"';) {
        char bytes[4] = {*value};
        unsigned size = *value == '\\' ? unescape(&value, bytes) : (value++, 1);
        for (unsigned i = 0; i < size; i++, length++)
            if (length < capacity)
                buffer[length] = bytes[i];
    }
    /* Where the NUL is to stand there may be a byte: never one within a character. */
    kept = length < capacity ? length : capacity - 1;
    while (kept < length && (buffer[kept] & 0xc0) == 0x80)
        kept--;
    buffer[kept] = 0;
    return (int)length;
}

const char *plex_json_read(const char *object, const char *keys, const char **ret_values)
{
    const char **found = ret_values, *key;
    if (!object || *(object = blank(object)) != '{')
        return NULL;
    for (key = keys; *key; key += strlen(key) + 1)
        *found++ = NULL;
    /* Once through the members, however many keys: the walk over a long value is what costs. */
    const char *at = blank(object + 1);
    while (*at != '}') {
        const char *name = at;
        at = blank(blank(skip_string(at)) + 1);
        /* Members mostly come in the keys' order, which long messages make worth a try. */
        if (!PLEX_HAS_MESSAGES || !plex_json_equals(name, key))
            for (key = keys, found = ret_values; *key && !plex_json_equals(name, key); found++)
                key += strlen(key) + 1;
        if (*key) {
            if (*found)
                return NULL;
            *found++ = at;
            key += strlen(key) + 1;
        }
        at = blank(plex_json_end(at));
        if (*at == ',')
            at = blank(at + 1);
    }
    return at + 1;
}

/* Digits only, and all of them. */
static bool is_whole(const char *first, const char *end)
{
    return end > first && !is_digit(*end) && *end != '.' && (*end | 0x20) != 'e';
}

bool plex_json_integer(const char *value, uint32_t *ret_number)
{
    if (!value)
        return false;
    bool negative = *value == '-';
    const char *at = value + negative;
    uint32_t number = 0;
    for (; is_digit(*at) && number <= INT32_MAX / 10; at++)
        number = number * 10 + (uint32_t)(*at - '0');
    if (!is_whole(value + negative, at) || number > (negative ? 0 : INT32_MAX))
        return false;
    *ret_number = number;
    return true;
}

bool plex_json_whole(const char *value, uint64_t most, uint64_t *ret_number)
{
    if (!value)
        return false;
    bool negative = *value == '-';
    const char *at = value + negative;
    uint64_t number = 0;
    for (; is_digit(*at) && number <= INT64_MAX / 10; at++)
        number = number * 10 + (uint64_t)(*at - '0');
    if (!is_whole(value + negative, at) || number > (negative ? 0 : most))
        return false;
    *ret_number = number;
    return true;
}

/* Digits are taken until another might not fit, those left out make the exponent larger; a number
 * with such a one, and still digits to come, is too large anyway. */
bool plex_json_number(const char *value, uint32_t *ret_number)
{
    if (!value || (*value != '-' && !is_digit(*value)))
        return false;
    bool negative = *value == '-', fraction = false;
    uint32_t number = 0;
    int32_t exponent = 0, given = 0;
    for (value += negative; *value == '.' || is_digit(*value); value++) {
        if (*value == '.') {
            fraction = true;
            continue;
        }
        bool fits = number < UINT32_MAX / 10;
        if (fits)
            number = number * 10 + (uint32_t)(*value - '0');
        exponent += !fits - fraction;
    }
    if ((*value | 0x20) == 'e') {
        bool below = *++value == '-';
        for (value += below || *value == '+'; is_digit(*value) && given < 1 << 20; value++)
            given = given * 10 + (*value - '0');
        exponent += below ? -given : given;
    }
    if (negative && number)
        return false;
    for (; exponent < 0 && number; exponent++)
        number /= 10;
    for (; exponent > 0 && number && number <= INT32_MAX; exponent--)
        number = number <= INT32_MAX / 10 ? number * 10 : UINT32_MAX;
    *ret_number = number;
    return number <= INT32_MAX;
}

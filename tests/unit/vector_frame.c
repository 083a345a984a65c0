#include "vector_frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void vector_bytes_add(struct vector_bytes *bytes, const void *data, size_t length)
{
    if (!length)
        return;
    uint8_t *grown = realloc(bytes->bytes, bytes->length + length);
    if (!grown)
        abort();
    memcpy(grown + bytes->length, data, length);
    bytes->bytes = grown;
    bytes->length += length;
}

void vector_bytes_drop(struct vector_bytes *bytes, size_t length)
{
    bytes->length -= length;
    if (bytes->length)
        memmove(bytes->bytes, bytes->bytes + length, bytes->length);
}

void vector_bytes_free(struct vector_bytes *bytes)
{
    free(bytes->bytes);
    *bytes = (struct vector_bytes){0};
}

bool vector_bytes_parse(const char *text, struct vector_bytes *ret_bytes)
{
    size_t length = strlen(text);
    if (strcmp(text, "-") == 0)
        return true;
    if (length >= 2 && text[0] == '"' && text[length - 1] == '"') {
        vector_bytes_add(ret_bytes, text + 1, length - 2);
        return true;
    }
    if (length < 3 || text[1] != '*')
        return false;
    size_t count = strtoul(text + 2, NULL, 10);
    uint8_t *filled = malloc(count + 1);
    if (!filled)
        abort();
    memset(filled, text[0], count);
    vector_bytes_add(ret_bytes, filled, count);
    free(filled);
    return true;
}

/* Hex digits, with spaces between them or not; "-" is nothing. */
static bool parse_hex(const char *text, struct vector_bytes *bytes)
{
    if (strcmp(text, "-") == 0)
        return true;
    while (*text) {
        char digits[3] = {text[0], text[1], 0};
        if (text[0] == ' ') {
            text++;
            continue;
        }
        if (!strchr("0123456789abcdef", digits[0]) || !digits[1] ||
            !strchr("0123456789abcdef", digits[1]))
            return false;
        uint8_t byte = (uint8_t)strtoul(digits, NULL, 16);
        vector_bytes_add(bytes, &byte, 1);
        text += 2;
    }
    return true;
}

static void add_header(struct vector_bytes *bytes, unsigned long length, unsigned long channel,
                       unsigned type)
{
    uint8_t header[] = {(uint8_t)(length >> 8), (uint8_t)length, (uint8_t)(channel >> 8),
                        (uint8_t)channel, (uint8_t)type};
    vector_bytes_add(bytes, header, sizeof header);
}

static void add_frame(struct vector_bytes *bytes, unsigned long channel, unsigned type,
                      struct vector_bytes *payload)
{
    add_header(bytes, payload->length + 3, channel, type);
    vector_bytes_add(bytes, payload->bytes, payload->length);
}

/* The number at *text, which then points behind it and one space. */
static unsigned long take_number(const char **text)
{
    char *rest;
    unsigned long number = strtoul(*text, &rest, 10);
    *text = *rest == ' ' ? rest + 1 : rest;
    return number;
}

static bool take_word(const char **text, const char *word)
{
    size_t length = strlen(word);
    if (strncmp(*text, word, length) != 0 || (*text)[length] != ' ')
        return false;
    *text += length + 1;
    return true;
}

static void add_number(struct vector_bytes *bytes, unsigned long number, int size)
{
    while (size--) {
        uint8_t byte = (uint8_t)(number >> (8 * size));
        vector_bytes_add(bytes, &byte, 1);
    }
}

static bool parse_padded(const char *text, struct vector_bytes *payload)
{
    size_t length = take_number(&text);
    vector_bytes_add(payload, text, strlen(text));
    while (payload->length < length)
        vector_bytes_add(payload, " ", 1);
    return payload->length == length;
}

bool vector_frame_parse(const char *text, struct vector_bytes *ret_bytes)
{
    struct vector_bytes payload = {0};
    bool good = true;
    if (take_word(&text, "raw")) {
        good = parse_hex(text, ret_bytes);
    } else if (take_word(&text, "frame")) {
        unsigned long length = take_number(&text);
        unsigned long channel = take_number(&text);
        add_header(ret_bytes, length, channel, (unsigned)take_number(&text));
        good = parse_hex(text, ret_bytes);
    } else if (take_word(&text, "json")) {
        unsigned long channel = take_number(&text);
        vector_bytes_add(&payload, text, strlen(text));
        add_frame(ret_bytes, channel, 1, &payload);
    } else if (take_word(&text, "jsonhex")) {
        unsigned long channel = take_number(&text);
        good = parse_hex(text, &payload);
        add_frame(ret_bytes, channel, 1, &payload);
    } else if (take_word(&text, "pad")) {
        unsigned long channel = take_number(&text);
        good = parse_padded(text, &payload);
        add_frame(ret_bytes, channel, 1, &payload);
    } else if (take_word(&text, "data")) {
        unsigned long channel = take_number(&text);
        good = vector_bytes_parse(text, &payload);
        add_frame(ret_bytes, channel, 0, &payload);
    } else if (take_word(&text, "credit")) {
        unsigned long channel = take_number(&text);
        add_number(&payload, take_number(&text), 4);
        add_frame(ret_bytes, channel, 2, &payload);
    } else if (take_word(&text, "ping")) {
        good = parse_hex(text, &payload);
        add_frame(ret_bytes, 0, 3, &payload);
    } else if (take_word(&text, "pong")) {
        good = parse_hex(text, &payload);
        add_frame(ret_bytes, 0, 4, &payload);
    } else if (take_word(&text, "reset")) {
        unsigned long channel = take_number(&text);
        add_number(&payload, take_number(&text), 2);
        add_frame(ret_bytes, channel, 5, &payload);
    } else if (take_word(&text, "goaway")) {
        add_number(&payload, take_number(&text), 2);
        add_frame(ret_bytes, 0, 6, &payload);
    } else {
        good = false;
    }
    vector_bytes_free(&payload);
    return good;
}

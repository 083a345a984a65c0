#include "control/api_text.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "net/pki.h"

/* Less fits one packet anyway. */
#define PACKED_LEAST 1400

/* It is packed on the loop, once for each change of the text. Level 1 takes half the time of 6, for
 * a result that is some quarter larger. */
#define LEVEL 1

#define GZIP_WINDOW (MAX_WBITS + 16) /* of deflateInit2(): with gzip's head and sum */

static struct api_text *text_alloc(size_t capacity)
{
    struct api_text *text = malloc(sizeof *text + capacity + 1);
    if (text)
        *text = (struct api_text){.references = 1};
    return text;
}

struct api_text *api_text_new(const char *text, size_t length)
{
    unsigned char digest[32];
    struct api_text *copy = text_alloc(length);
    if (!copy)
        return NULL;
    copy->length = length;
    memcpy(copy->text, text, length);
    copy->text[length] = '\0';
    pki_sha256(text, length, digest);
    char *at = copy->etag;
    *at++ = '"';
    for (int i = 0; i < 8; i++, at += 2)
        snprintf(at, 3, "%02x", digest[i]);
    strcpy(at, "\"");
    return copy;
}

struct api_text *api_text_ref(struct api_text *text)
{
    text->references++;
    return text;
}

void api_text_unref(struct api_text *text)
{
    if (!text || --text->references)
        return;
    api_text_unref(text->packed);
    free(text);
}

/* --- Packing --- */

/* "abc" becomes "abc-gz", with its quotes. */
static void name_packed(struct api_text *packed, const char *etag)
{
    snprintf(packed->etag, sizeof packed->etag, "%.*s-gz\"", (int)strlen(etag) - 1, etag);
}

static int deflate_all(z_stream *stream, const struct api_text *text, struct api_text *packed,
                       size_t capacity)
{
    stream->next_in = (Bytef *)text->text;
    stream->avail_in = (uInt)text->length;
    stream->next_out = (Bytef *)packed->text;
    stream->avail_out = (uInt)capacity;
    if (deflate(stream, Z_FINISH) != Z_STREAM_END) /* no smaller, or no memory */
        return -1;
    packed->length = capacity - stream->avail_out;
    packed->text[packed->length] = '\0';
    return 0;
}

static struct api_text *pack(const struct api_text *text)
{
    z_stream stream = {0};
    if (deflateInit2(&stream, LEVEL, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return NULL;
    struct api_text *packed = text_alloc(text->length);
    int result = packed ? deflate_all(&stream, text, packed, text->length) : -1;
    deflateEnd(&stream);
    if (result < 0) {
        free(packed);
        return NULL;
    }
    /* most of it isn't needed */
    struct api_text *shrunk = realloc(packed, sizeof *packed + packed->length + 1);
    packed = shrunk ? shrunk : packed;
    name_packed(packed, text->etag);
    return packed;
}

struct api_text *api_text_packed(struct api_text *text)
{
    if (!text->packed && text->length >= PACKED_LEAST && text->length <= UINT_MAX)
        text->packed = pack(text);
    return text->packed;
}

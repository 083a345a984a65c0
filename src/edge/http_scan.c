#include "edge/http_scan.h"

#include <stdbool.h>

#include "edge/http_text.h"

enum state {
    BEGIN,    /* of a request, or an empty line before it */
    BEGIN_LF, /* of that empty line */
    FIRST,    /* of a request */
    METHOD,
    TARGET,
    VERSION,
    STATUS,
    REASON,
    LINE_LF,
    LINE, /* first byte of a field, or of the empty line */
    NAME,
    VALUE,
    END_LF,
    WHOLE,
    BAD,
};

void http_scan_init(struct http_scan *scan, enum http_scan_kind kind)
{
    static const uint8_t first[] = {
        [HTTP_SCAN_REQUEST] = BEGIN, [HTTP_SCAN_ANSWER] = VERSION, [HTTP_SCAN_TRAILERS] = LINE};
    *scan = (struct http_scan){.kind = kind, .state = first[kind]};
}

static bool is_digit(unsigned char byte)
{
    return byte >= '0' && byte <= '9';
}

/* "HTTP/1.1": which version it is the head's reader judges. */
static enum state scan_version(struct http_scan *scan, unsigned char byte)
{
    static const char shape[] = "HTTP/0.0";
    if (scan->index < sizeof shape - 1) {
        char want = shape[scan->index++];
        return (want == '0' ? is_digit(byte) : byte == want) ? VERSION : BAD;
    }
    scan->index = 0;
    if (scan->kind == HTTP_SCAN_ANSWER)
        return byte == ' ' ? STATUS : BAD;
    return byte == '\r' ? LINE_LF : BAD;
}

/* Three digits. The space after them is missing from some services' answers: harmless. */
static enum state scan_status(struct http_scan *scan, unsigned char byte)
{
    if (scan->index < 3)
        return is_digit(byte) && (scan->index++ || byte != '0') ? STATUS : BAD;
    return byte == ' ' ? REASON : byte == '\r' ? LINE_LF : BAD;
}

static enum state scan_target(struct http_scan *scan, unsigned char byte)
{
    if (byte == ' ') {
        bool is_empty = scan->index == 0;
        scan->index = 0;
        return is_empty ? BAD : VERSION;
    }
    scan->index = 1;
    /* A fragment isn't for servers; what it would name, two readers may see differently. */
    return byte > 0x20 && byte != 0x7f && byte != '#' ? TARGET : BAD;
}

static enum state scan_byte(struct http_scan *scan, unsigned char byte)
{
    switch ((enum state)scan->state) {
    case BEGIN:
        if (byte == '\r')
            return BEGIN_LF;
        /* fall through */
    case FIRST:
        return http_text_is_token(byte) ? METHOD : BAD;
    case BEGIN_LF:
        return byte == '\n' ? FIRST : BAD;
    case METHOD:
        return http_text_is_token(byte) ? METHOD : byte == ' ' ? TARGET : BAD;
    case TARGET:
        return scan_target(scan, byte);
    case VERSION:
        return scan_version(scan, byte);
    case STATUS:
        return scan_status(scan, byte);
    case REASON:
        return http_text_is_value(byte) ? REASON : byte == '\r' ? LINE_LF : BAD;
    case LINE_LF:
        return byte == '\n' ? LINE : BAD;
    case LINE:
        return byte == '\r' ? END_LF : http_text_is_token(byte) ? NAME : BAD;
    case NAME:
        return http_text_is_token(byte) ? NAME : byte == ':' ? VALUE : BAD;
    case VALUE:
        return http_text_is_value(byte) ? VALUE : byte == '\r' ? LINE_LF : BAD;
    case END_LF:
        return byte == '\n' ? WHOLE : BAD;
    case WHOLE:
    case BAD:
        break;
    }
    return BAD;
}

enum http_scanned http_scan_feed(struct http_scan *scan, const char *bytes, size_t length,
                                 size_t *ret_taken)
{
    for (size_t i = 0; i < length; i++) {
        /* Most of a head is values. */
        while (scan->state == VALUE && i + 1 < length &&
               http_text_is_value((unsigned char)bytes[i]))
            i++;
        scan->state = (uint8_t)scan_byte(scan, (unsigned char)bytes[i]);
        if (scan->state == BAD)
            return HTTP_SCANNED_BAD;
        if (scan->state == WHOLE) {
            *ret_taken = i + 1;
            return HTTP_SCANNED_WHOLE;
        }
    }
    *ret_taken = length;
    return HTTP_SCANNED_MORE;
}

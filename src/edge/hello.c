#include "edge/hello.h"

#include <stdint.h>
#include <string.h>

#define RECORD_HEAD       5
#define RECORD_MAX        16384 /* RFC 8446 5.1 */
#define RECORD_HANDSHAKE  22
#define MESSAGE_HEAD      4
#define MESSAGE_HELLO     1
#define EXTENSION_NAME    0
#define EXTENSION_ALPN    16
#define NAME_TYPE_HOST    0
#define SESSION_ID_MAX    32
#define VERSION_AND_NONCE 34

/* What is left of a vector. A read past its end marks it as bad, and all later reads give 0, so
 * that one look at `bad` after several reads is enough. */
struct reader {
    const uint8_t *at;
    size_t left;
    bool bad;
};

static const uint8_t *take(struct reader *reader, size_t length)
{
    if (reader->bad || length > reader->left) {
        reader->bad = true;
        return NULL;
    }
    const uint8_t *bytes = reader->at;
    reader->at += length;
    reader->left -= length;
    return bytes;
}

static size_t take_number(struct reader *reader, size_t width)
{
    const uint8_t *bytes = take(reader, width);
    size_t number = 0;
    for (size_t i = 0; bytes && i < width; i++)
        number = number << 8 | bytes[i];
    return number;
}

/* A vector: a length of `width` bytes, and as many bytes. */
static struct reader take_vector(struct reader *reader, size_t width)
{
    size_t length = take_number(reader, width);
    const uint8_t *bytes = take(reader, length);
    return (struct reader){bytes, bytes ? length : 0, reader->bad};
}

/* Gathers the first handshake message from the records it lies in. *ret_length: with its head. */
static enum hello_result gather(const uint8_t *bytes, size_t length, uint8_t message[HELLO_MAX],
                                size_t *ret_length)
{
    size_t have = 0, need = MESSAGE_HEAD;
    for (;;) {
        if ((length > 0 && bytes[0] != RECORD_HANDSHAKE) || (length > 1 && bytes[1] != 3))
            return HELLO_BAD;
        if (length < RECORD_HEAD)
            return HELLO_MORE;
        size_t record = (size_t)bytes[3] << 8 | bytes[4];
        if (record == 0 || record > RECORD_MAX)
            return HELLO_BAD;
        size_t there = length - RECORD_HEAD < record ? length - RECORD_HEAD : record;
        if (there > HELLO_MAX - have)
            there = HELLO_MAX - have;
        memcpy(message + have, bytes + RECORD_HEAD, there);
        have += there;
        if (have > 0 && message[0] != MESSAGE_HELLO)
            return HELLO_BAD;
        if (have >= MESSAGE_HEAD)
            need = MESSAGE_HEAD +
                   ((size_t)message[1] << 16 | (size_t)message[2] << 8 | (size_t)message[3]);
        if (need + RECORD_HEAD > HELLO_MAX)
            return HELLO_BAD;
        if (have >= need)
            break;
        if (there < record)
            return HELLO_MORE;
        bytes += RECORD_HEAD + record;
        length -= RECORD_HEAD + record;
    }
    *ret_length = need;
    return HELLO_FOUND;
}

static bool set_name(struct hello *hello, struct reader host)
{
    if (host.left && host.at[host.left - 1] == '.')
        host.left--;
    if (host.left == 0 || host.left >= sizeof hello->name)
        return false;
    for (size_t i = 0; i < host.left; i++) {
        uint8_t byte = host.at[i];
        if (byte <= ' ' || byte >= 0x7f)
            return false;
        hello->name[i] = (char)(byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte);
    }
    hello->name[host.left] = 0;
    return true;
}

/* RFC 6066 3: at least one name, and at most one of a type. */
static bool parse_name(struct reader *extension, struct hello *hello)
{
    struct reader list = take_vector(extension, 2);
    bool is_found = false;
    if (extension->bad || extension->left || !list.left)
        return false;
    while (list.left) {
        size_t type = take_number(&list, 1);
        struct reader name = take_vector(&list, 2);
        if (list.bad)
            return false;
        if (type != NAME_TYPE_HOST)
            continue;
        if (is_found || !set_name(hello, name))
            return false;
        is_found = true;
    }
    return true;
}

static bool is_text(const struct reader *bytes, const char *text)
{
    return bytes->left == strlen(text) && memcmp(bytes->at, text, bytes->left) == 0;
}

/* RFC 7301 3.1 */
static bool parse_alpn(struct reader *extension, struct hello *hello)
{
    struct reader list = take_vector(extension, 2);
    if (extension->bad || extension->left || !list.left)
        return false;
    while (list.left) {
        struct reader protocol = take_vector(&list, 1);
        if (list.bad || !protocol.left)
            return false;
        if (is_text(&protocol, "streamplex/1"))
            hello->has_tunnel_alpn = true;
        else if (is_text(&protocol, "acme-tls/1"))
            hello->has_acme_alpn = true;
    }
    return true;
}

static bool parse_extensions(struct reader *extensions, struct hello *hello)
{
    bool has_name = false, has_alpn = false;
    while (extensions->left) {
        size_t type = take_number(extensions, 2);
        struct reader extension = take_vector(extensions, 2);
        if (extensions->bad)
            return false;
        /* Two of them, and two readers could each believe another one (RFC 8446 4.2 forbids it). */
        if (type == EXTENSION_NAME) {
            if (has_name || !parse_name(&extension, hello))
                return false;
            has_name = true;
        } else if (type == EXTENSION_ALPN) {
            if (has_alpn || !parse_alpn(&extension, hello))
                return false;
            has_alpn = true;
        }
    }
    return true;
}

static bool parse_message(struct reader message, struct hello *hello)
{
    take(&message, VERSION_AND_NONCE);
    struct reader session = take_vector(&message, 1);
    struct reader ciphers = take_vector(&message, 2);
    struct reader compressions = take_vector(&message, 1);
    if (message.bad || session.left > SESSION_ID_MAX || ciphers.left < 2 || ciphers.left % 2 ||
        !compressions.left)
        return false;
    if (!message.left)
        return true; /* TLS 1.2 without extensions */
    struct reader extensions = take_vector(&message, 2);
    return !message.bad && !message.left && parse_extensions(&extensions, hello);
}

enum hello_result hello_parse(const void *bytes, size_t length, struct hello *ret_hello)
{
    uint8_t message[HELLO_MAX];
    size_t message_length;
    struct hello hello = {0};
    bool is_full = length >= HELLO_MAX;
    enum hello_result result =
        gather(bytes, is_full ? HELLO_MAX : length, message, &message_length);
    if (result == HELLO_MORE && is_full)
        return HELLO_BAD;
    if (result != HELLO_FOUND)
        return result;
    struct reader body = {message + MESSAGE_HEAD, message_length - MESSAGE_HEAD, false};
    if (!parse_message(body, &hello))
        return HELLO_BAD;
    *ret_hello = hello;
    return HELLO_FOUND;
}

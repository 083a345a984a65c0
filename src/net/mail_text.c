#include "net/mail_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/utf8.h"
#include "net/secret.h"

/* --- Addresses --- */

/* RFC 5322, section 3.2.3 */
static bool is_atom_text(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool is_label_text(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

/* One or more parts with a dot between, none empty. */
static bool are_parts(const char *text, size_t length, bool (*is_fit)(char c))
{
    size_t part = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '.' ? part == 0 : !is_fit(text[i]))
            return false;
        part = text[i] == '.' ? 0 : part + 1;
    }
    return part > 0;
}

bool mail_is_address(const char *text)
{
    const char *at = strchr(text, '@');
    size_t length = strnlen(text, MAIL_ADDRESS_MAX + 1);
    return at && length <= MAIL_ADDRESS_MAX && at - text <= 64 &&
           are_parts(text, (size_t)(at - text), is_atom_text) &&
           are_parts(at + 1, strlen(at + 1), is_label_text);
}

/* Copies without the spaces, and then the quotes, around it. 0 or -1. */
static int take_name(const char *text, size_t length, char ret_name[MAIL_NAME_MAX + 1])
{
    while (length && *text == ' ')
        text++, length--;
    while (length && text[length - 1] == ' ')
        length--;
    if (length >= 2 && *text == '"' && text[length - 1] == '"')
        text++, length -= 2;
    if (length > MAIL_NAME_MAX || memchr(text, '"', length) || memchr(text, '\\', length))
        return -1;
    memcpy(ret_name, text, length);
    ret_name[length] = 0;
    return 0;
}

int mail_address_parse(const char *text, struct mail_address *ret_address)
{
    struct mail_address parsed = {.name = ""};
    const char *bracket = strrchr(text, '<');
    size_t length = strlen(text);
    if (bracket) {
        if (text[length - 1] != '>' || take_name(text, (size_t)(bracket - text), parsed.name) < 0)
            return -1;
        text = bracket + 1;
        length = strlen(text) - 1;
    }
    if (length > MAIL_ADDRESS_MAX)
        return -1;
    memcpy(parsed.address, text, length);
    if (!mail_is_address(parsed.address) || !utf8_is_clean(parsed.name))
        return -1;
    *ret_address = parsed;
    return 0;
}

/* --- Header fields --- */

/* A line with an encoded-word has 76 characters at most (RFC 2047, section 2), "Subject: " and what
 * is around the word among them: 39 bytes are 52 in base64. Characters aren't torn. */
#define WORD_BYTES 39

/* The text as encoded-words, each on a line of its own: base64 has no character that means
 * anything to a header. */
static void write_words(FILE *out, const char *text)
{
    char bytes[WORD_BYTES], word[WORD_BYTES / 3 * 4 + 1];
    size_t used = 0;
    const char *separator = "";
    while (*text || used) {
        size_t length = *text ? utf8_length(text) : 0;
        bool is_fit = length && !utf8_is_control(text, length);
        size_t wanted = is_fit ? length : 1;
        if (!*text || used + wanted > sizeof bytes) {
            secret_base64(bytes, used, word);
            fprintf(out, "%s=?UTF-8?B?%s?=", separator, word);
            separator = "\r\n ";
            used = 0;
            continue;
        }
        if (is_fit)
            memcpy(bytes + used, text, length);
        else
            bytes[used] = ' ';
        used += wanted;
        text += length ? length : 1;
    }
}

/* May it stand in a header as it is? Short ASCII, and no character that says that a word is encoded
 * or, in a name, that it is something else. */
static bool is_plain(const char *text, const char *specials)
{
    size_t length = 0;
    for (; text[length]; length++)
        if (text[length] < ' ' || text[length] > '~' || strchr(specials, text[length]))
            return false;
    return length > 0 && length <= 60 && text[0] != ' ' && text[length - 1] != ' ';
}

static void write_text(FILE *out, const char *text, const char *specials)
{
    if (is_plain(text, specials))
        fputs(text, out);
    else
        write_words(out, text);
}

/* Names of days and months don't follow the locale (RFC 5322, section 3.3). 0 or -1. */
static int write_date(FILE *out, uint64_t seconds)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm parts;
    time_t time = (time_t)seconds;
    if (!gmtime_r(&time, &parts))
        return -1;
    fprintf(out, "Date: %s, %02d %s %d %02d:%02d:%02d +0000\r\n", days[parts.tm_wday],
            parts.tm_mday, months[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour, parts.tm_min,
            parts.tm_sec);
    return 0;
}

static int write_head(FILE *out, const struct mail_text *mail)
{
    if (write_date(out, mail->time) < 0)
        return -1;
    fputs("From: ", out);
    if (mail->from->name[0]) {
        write_text(out, mail->from->name, "()<>[]:;@\\,.\"=?");
        fprintf(out, "\r\n <%s>\r\n", mail->from->address);
    } else {
        fprintf(out, "%s\r\n", mail->from->address);
    }
    fprintf(out, "To: %s\r\nMessage-ID: <%s@%s>\r\nSubject: ", mail->to, mail->unique_id,
            strchr(mail->from->address, '@') + 1);
    write_text(out, mail->subject, "=?");
    fputs("\r\nMIME-Version: 1.0\r\n"
          "Content-Type: text/plain; charset=utf-8\r\n"
          "Content-Transfer-Encoding: base64\r\n"
          "Auto-Submitted: auto-generated\r\n\r\n", /* RFC 3834: no answer by a machine */
          out);
    return 0;
}

/* --- The body --- */

#define LINE_BYTES 57 /* 76 characters in base64 (RFC 2045, section 6.8) */

struct body {
    FILE *out;
    char bytes[LINE_BYTES];
    size_t used;
};

static void flush(struct body *body)
{
    char line[LINE_BYTES / 3 * 4 + 1];
    if (!body->used)
        return;
    secret_base64(body->bytes, body->used, line);
    fprintf(body->out, "%s\r\n", line);
    body->used = 0;
}

static void put(struct body *body, char c)
{
    body->bytes[body->used++] = c;
    if (body->used == sizeof body->bytes)
        flush(body);
}

/* Line breaks are CRLF before they are encoded. */
static void write_body(FILE *out, const char *text)
{
    struct body body = {.out = out};
    for (char last = 0; *text; last = *text++) {
        if (*text == '\n' && last != '\r')
            put(&body, '\r');
        put(&body, *text);
    }
    flush(&body);
}

int mail_text_write(const struct mail_text *mail, char **ret_text, size_t *ret_length)
{
    char *text = NULL;
    size_t length = 0;
    if (!mail_is_address(mail->to) || !mail_is_address(mail->from->address) ||
        !utf8_is_clean(mail->from->name) ||
        strnlen(mail->subject, MAIL_SUBJECT_MAX + 1) > MAIL_SUBJECT_MAX ||
        strnlen(mail->text, MAIL_TEXT_MAX + 1) > MAIL_TEXT_MAX)
        return -EINVAL;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        return -ENOMEM;
    int error = write_head(out, mail) < 0 ? -EINVAL : 0;
    write_body(out, mail->text);
    bool is_whole = !ferror(out);
    if (fclose(out) != 0 || !is_whole)
        error = -ENOMEM;
    if (error) {
        free(text);
        return error;
    }
    *ret_text = text;
    *ret_length = length;
    return 0;
}

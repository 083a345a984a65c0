#include "edge/credentials.h"

#include <string.h>
#include <strings.h>

#include "net/secret.h"

static const char scheme[] = "Basic";

/* The token behind the scheme; NULL: it is another. */
static const char *find_token(const char *value, size_t *ret_length)
{
    size_t blanks, length = sizeof scheme - 1;
    if (strncasecmp(value, scheme, length) != 0)
        return NULL;
    value += length;
    blanks = strspn(value, " ");
    value += blanks;
    length = strcspn(value, " \t");
    if (!blanks || value[length + strspn(value + length, " \t")])
        return NULL;
    *ret_length = length;
    return value;
}

static int split(struct credentials *credentials, size_t length)
{
    char *text = credentials->text, *colon = memchr(text, ':', length);
    if (!colon)
        return -1;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            return -1;
    *colon = 0;
    text[length] = 0;
    credentials->name = text;
    credentials->password = colon + 1;
    return 0;
}

int credentials_parse(const char *value, struct credentials *ret_credentials)
{
    size_t token_length;
    const char *token = find_token(value, &token_length);
    long length =
        token ? secret_from_base64(token, token_length, ret_credentials->text, CREDENTIALS_MAX)
              : -1;
    if (length >= 0 && split(ret_credentials, (size_t)length) == 0)
        return 0;
    credentials_wipe(ret_credentials);
    return -1;
}

void credentials_wipe(struct credentials *credentials)
{
    explicit_bzero(credentials->text, sizeof credentials->text);
    credentials->name = credentials->password = "";
}

#include "server/oauth_text.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "server/auth_check.h"

/* A part of the URL as a malloced string; NULL when it isn't there. */
static char *part(CURLU *url, CURLUPart what, unsigned flags)
{
    char *text = NULL;
    if (curl_url_get(url, what, &text, flags) != CURLUE_OK)
        return NULL;
    char *copy = strdup(text);
    explicit_bzero(text, strlen(text));
    curl_free(text);
    return copy;
}

/* What is wrong with scheme, host and the rest, or NULL. */
static const char *find_fault(CURLU *url)
{
    char *scheme = part(url, CURLUPART_SCHEME, 0), *host = part(url, CURLUPART_HOST, 0);
    char *query = part(url, CURLUPART_QUERY, 0), *fragment = part(url, CURLUPART_FRAGMENT, 0);
    const char *fault = NULL;
    if (!scheme || !host || !*host)
        fault = "it has no host";
    else if (query || fragment)
        fault = "nothing may follow its path";
    else if (strcmp(scheme, "http") == 0 && !address_is_loopback_host(host))
        fault = "http:// would send tokens in the clear; it is for loopback hosts only";
    else if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
        fault = "it must begin with https://";
    free(scheme);
    free(host);
    free(query);
    free(fragment);
    return fault;
}

/* Takes id and secret out of the URL; what is left is where the server is. */
static const char *split(CURLU *url, struct oauth_address *address)
{
    address->client_id = part(url, CURLUPART_USER, CURLU_URLDECODE);
    address->client_secret = part(url, CURLUPART_PASSWORD, CURLU_URLDECODE);
    if (!address->client_id || !*address->client_id || !address->client_secret ||
        !*address->client_secret)
        return "client id and secret must stand before the host";
    if (strchr(address->client_id, ':'))
        return "a client id can't hold a colon";
    if (curl_url_set(url, CURLUPART_USER, NULL, 0) != CURLUE_OK ||
        curl_url_set(url, CURLUPART_PASSWORD, NULL, 0) != CURLUE_OK)
        return "out of memory";
    address->base = part(url, CURLUPART_URL, 0);
    if (!address->base)
        return "out of memory";
    size_t length = strlen(address->base);
    while (length && address->base[length - 1] == '/')
        address->base[--length] = 0;
    return NULL;
}

int oauth_address_parse(const char *setting, struct oauth_address *ret_address, char *error,
                        size_t error_size)
{
    struct oauth_address address = {0};
    const char *fault = "out of memory";
    CURLU *url = curl_url();
    if (url) {
        fault = "it is no URL of the form https://client_id:client_secret@host";
        if (curl_url_set(url, CURLUPART_URL, setting, CURLU_PATH_AS_IS) == CURLUE_OK)
            fault = find_fault(url);
        if (!fault)
            fault = split(url, &address);
        curl_url_cleanup(url);
    }
    if (fault) {
        oauth_address_deinit(&address);
        snprintf(error, error_size, "oauth: the server's address isn't usable: %s", fault);
        return -1;
    }
    *ret_address = address;
    return 0;
}

void oauth_address_deinit(struct oauth_address *address)
{
    if (address->client_secret)
        explicit_bzero(address->client_secret, strlen(address->client_secret));
    free(address->base);
    free(address->client_id);
    free(address->client_secret);
    *address = (struct oauth_address){0};
}

static bool is_plain(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return false;
    return true;
}

char *oauth_answer_text(const char *body, size_t length, const char *name, size_t most)
{
    json_t *answer = json_loadb(body, length, 0, NULL);
    const json_t *text = json_object_get(answer, name);
    char *copy = NULL;
    if (json_is_string(text)) {
        size_t size = json_string_length(text);
        if (size && size <= most && is_plain(json_string_value(text), size))
            copy = strdup(json_string_value(text));
    }
    json_decref(answer);
    return copy;
}

bool auth_is_owner(const char *name, size_t length)
{
    if (!length || length > AUTH_OWNER_MAX || !is_plain(name, length))
        return false;
    json_t *text = json_stringn(name, length); /* NULL: no UTF-8 */
    json_decref(text);
    return text;
}

#include "edge/http_name.h"

#include <string.h>
#include <strings.h>

#define KNOWN(name, id)                                                                            \
    {                                                                                              \
        name, sizeof(name) - 1, id                                                                 \
    }

static const struct known {
    const char *name;
    size_t length;
    enum http_name id;
} known[] = {
    KNOWN("Accept", HTTP_NAME_ACCEPT),
    KNOWN("Authorization", HTTP_NAME_AUTHORIZATION),
    KNOWN("CDN-Loop", HTTP_NAME_CDN_LOOP),
    KNOWN("Connection", HTTP_NAME_CONNECTION),
    KNOWN("Content-Length", HTTP_NAME_CONTENT_LENGTH),
    KNOWN("Expect", HTTP_NAME_EXPECT),
    KNOWN("Forwarded", HTTP_NAME_FORWARDED),
    KNOWN("Host", HTTP_NAME_HOST),
    KNOWN("HTTP2-Settings", HTTP_NAME_HTTP2_SETTINGS),
    KNOWN("Keep-Alive", HTTP_NAME_KEEP_ALIVE),
    KNOWN("Proxy", HTTP_NAME_PROXY),
    KNOWN("Proxy-Authenticate", HTTP_NAME_PROXY),
    KNOWN("Proxy-Authentication-Info", HTTP_NAME_PROXY),
    KNOWN("Proxy-Authorization", HTTP_NAME_PROXY),
    KNOWN("Proxy-Connection", HTTP_NAME_PROXY),
    KNOWN("Referer", HTTP_NAME_REFERER),
    KNOWN("TE", HTTP_NAME_TE),
    KNOWN("Trailer", HTTP_NAME_TRAILER),
    KNOWN("Transfer-Encoding", HTTP_NAME_TRANSFER_ENCODING),
    KNOWN("Upgrade", HTTP_NAME_UPGRADE),
    KNOWN("User-Agent", HTTP_NAME_USER_AGENT),
    KNOWN("X-Client-Cert-Subject", HTTP_NAME_X_CLIENT_CERT_SUBJECT),
    KNOWN("X-Forwarded-For", HTTP_NAME_X_FORWARDED_FOR),
    KNOWN("X-Forwarded-Host", HTTP_NAME_X_FORWARDED_HOST),
    KNOWN("X-Forwarded-Proto", HTTP_NAME_X_FORWARDED_PROTO),
    KNOWN("X-Real-IP", HTTP_NAME_X_REAL_IP),
};

/* Equal but for case, and for "_" where the other has "-". */
static bool is_disguised(struct http_text name, const char *as)
{
    for (size_t i = 0; i < name.length; i++) {
        char byte = name.at[i] == '_' ? '-' : name.at[i];
        if (strncasecmp(&byte, as + i, 1) != 0)
            return false;
    }
    return true;
}

enum http_name http_name_find(struct http_text name)
{
    bool has_underscore = memchr(name.at, '_', name.length) != NULL;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].length != name.length)
            continue;
        if (!has_underscore && strncasecmp(known[i].name, name.at, name.length) == 0)
            return known[i].id;
        if (has_underscore && http_name_is_forwarding(known[i].id) &&
            is_disguised(name, known[i].name))
            return HTTP_NAME_DISGUISED;
    }
    return HTTP_NAME_OTHER;
}

bool http_name_is_forwarding(enum http_name name)
{
    switch (name) {
    case HTTP_NAME_FORWARDED:
    case HTTP_NAME_X_CLIENT_CERT_SUBJECT:
    case HTTP_NAME_X_FORWARDED_FOR:
    case HTTP_NAME_X_FORWARDED_HOST:
    case HTTP_NAME_X_FORWARDED_PROTO:
    case HTTP_NAME_X_REAL_IP:
    case HTTP_NAME_DISGUISED:
        return true;
    default:
        return false;
    }
}

bool http_name_is_hop(enum http_name name)
{
    switch (name) {
    case HTTP_NAME_CONNECTION:
    case HTTP_NAME_HTTP2_SETTINGS:
    case HTTP_NAME_KEEP_ALIVE:
    case HTTP_NAME_PROXY:
    case HTTP_NAME_TE:
    case HTTP_NAME_TRANSFER_ENCODING:
    case HTTP_NAME_UPGRADE:
        return true;
    default:
        return false;
    }
}

bool http_name_fits_trailers(struct http_text name)
{
    static const char *const unfit[] = {
        "Authorization",    "Cache-Control", "Content-Encoding", "Content-Range",
        "Content-Type",     "Cookie",        "Max-Forwards",     "Range",
        "WWW-Authenticate", "Set-Cookie",
    };
    enum http_name id = http_name_find(name);
    if (http_name_is_hop(id) || http_name_is_forwarding(id) || id == HTTP_NAME_CDN_LOOP ||
        id == HTTP_NAME_CONTENT_LENGTH || id == HTTP_NAME_EXPECT || id == HTTP_NAME_HOST ||
        id == HTTP_NAME_TRAILER)
        return false;
    for (size_t i = 0; i < sizeof unfit / sizeof *unfit; i++)
        if (http_text_is(name, unfit[i]))
            return false;
    return true;
}

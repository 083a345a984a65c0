/* The fields that the edge knows by name. */
#pragma once

#include <stdbool.h>

#include "edge/http_text.h"

enum http_name {
    HTTP_NAME_OTHER = 0,
    HTTP_NAME_ACCEPT,
    HTTP_NAME_AUTHORIZATION,
    HTTP_NAME_CDN_LOOP,
    HTTP_NAME_CONNECTION,
    HTTP_NAME_CONTENT_LENGTH,
    HTTP_NAME_EXPECT,
    HTTP_NAME_FORWARDED,
    HTTP_NAME_HOST,
    HTTP_NAME_HTTP2_SETTINGS,
    HTTP_NAME_KEEP_ALIVE,
    HTTP_NAME_PROXY, /* whatever begins so: of the hop, or a trap for CGI programs (httpoxy) */
    HTTP_NAME_REFERER,
    HTTP_NAME_TE,
    HTTP_NAME_TRAILER,
    HTTP_NAME_TRANSFER_ENCODING,
    HTTP_NAME_UPGRADE,
    HTTP_NAME_USER_AGENT,
    HTTP_NAME_X_CLIENT_CERT_SUBJECT,
    HTTP_NAME_X_FORWARDED_FOR,
    HTTP_NAME_X_FORWARDED_HOST,
    HTTP_NAME_X_FORWARDED_PROTO,
    HTTP_NAME_X_REAL_IP,
    HTTP_NAME_DISGUISED, /* a forwarding header with "_" for "-": CGI can't tell them apart */
};

enum http_name http_name_find(struct http_text name);
/* Says who the visitor is: a visitor may not say that of itself. */
bool http_name_is_forwarding(enum http_name name);
/* Is of one connection, and never goes on as it came. */
bool http_name_is_hop(enum http_name name);
/* May it stand in trailers (RFC 9110 6.5.1)? What frames, routes, authorizes or says how to read
 * the message may not: a reader that puts trailers among the headers would be led astray. */
bool http_name_fits_trailers(struct http_text name);

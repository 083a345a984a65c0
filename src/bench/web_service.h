/* The HTTP service that visitors of the edge reach: what it answers, which they check. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define WEB_BODY_SIZE 1024

/* Of each answer, WEB_BODY_SIZE bytes. */
const uint8_t *web_body(void);

/* A WebSocket's opening, with the key and its answer from RFC 6455, section 1.3. After it the
 * service sends back every byte. */
#define WEB_SOCKET_KEY    "dGhlIHNhbXBsZSBub25jZQ=="
#define WEB_SOCKET_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

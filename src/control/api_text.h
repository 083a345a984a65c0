/* Text that several answers may send at once, and that nobody copies: as it is, and packed by gzip
 * for those who take that. Of one thread.
 */
#pragma once

#include <stddef.h>

struct api_text {
    unsigned references;
    size_t length;
    struct api_text *packed; /* made when first asked for; a reference */
    char etag[24];           /* quoted; another one when packed (RFC 9110 section 8.8.3.3) */
    char text[];             /* NUL-terminated beyond its length */
};

/* A copy of the text, with one reference. NULL: no memory. */
struct api_text *api_text_new(const char *text, size_t length) __attribute__((warn_unused_result));
struct api_text *api_text_ref(struct api_text *text);
void api_text_unref(struct api_text *text); /* NULL is fine */
/* The text packed by gzip; borrowed, as long as the text is there. NULL: it isn't worth it (the
 * text is short), or no memory. */
struct api_text *api_text_packed(struct api_text *text);

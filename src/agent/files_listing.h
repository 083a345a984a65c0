/* A folder as a page: folders first, by name, with sizes and times. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

/* More aren't listed, but the page says so: reading them would hold the loop. */
#define FILES_LISTING_MAX 10000

/* root: of what is shared; path: below it, as struct files_request has it. Writes the page. 0, or a
 * negative errno before anything was written. */
int files_listing_write(int root, const char *path, bool shows_hidden, FILE *page)
    __attribute__((warn_unused_result));
/* Percent-encodes what isn't plain in a path; slashes stay. */
void files_listing_encode(const char *path, FILE *page);

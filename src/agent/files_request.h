/* What a request to a shared folder asks for. */
#pragma once

#include <limits.h>
#include <stdbool.h>

#include "edge/http_head.h"

struct files_request {
    char path[PATH_MAX];    /* decoded, no slash at either end; "" for the folder itself */
    struct http_text query; /* with its "?"; of the head */
    bool is_head;
    bool is_folder; /* the path ended in a slash */
};

/* head: after http_rules_request(). 0, or the status of a refusal: 400, 404 (a path that can't be
 * of a file of ours), 405. */
int files_request_read(const struct http_head *head, bool shows_hidden,
                       struct files_request *ret_request) __attribute__((warn_unused_result));

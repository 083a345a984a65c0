/* The answer to one request for a file: a head, and a short body or a part of a file. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct files_answer {
    char *text; /* head and short body; malloced, the caller's */
    size_t length;
    int fd;               /* of the file whose part follows, the caller's; -1: nothing follows */
    uint64_t offset, end; /* of that part */
    bool closes;          /* the connection ends after it */
};

/* bytes: a whole head that the scan found good. 0, or -ENOMEM. */
int files_answer_make(int root, bool shows_hidden, const char *bytes, size_t length,
                      struct files_answer *ret_answer) __attribute__((warn_unused_result));
/* Refuses what could not be read as a request; closes. */
int files_answer_refuse(int status, struct files_answer *ret_answer)
    __attribute__((warn_unused_result));

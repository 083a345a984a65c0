/* Certificates and keys that lie in a folder. */
#pragma once

#include <stddef.h>

struct tls_folder_pair {
    char *certificate, *key; /* paths */
};

struct tls_folder {
    struct tls_folder_pair *pairs; /* in the order of their names */
    size_t count;
};

/* Finds NAME.pem (or else NAME.crt) with NAME.key, and NAME/fullchain.pem with NAME/privkey.pem.
 * A certificate without a key beside it is left out with a warning. *folder is to be zero. 0, or -1
 * with a sentence. */
int tls_folder_scan(const char *path, struct tls_folder *folder, char *error, size_t error_size)
    __attribute__((warn_unused_result));
void tls_folder_deinit(struct tls_folder *folder);

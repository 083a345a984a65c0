/* The state folder (0700, files 0600): local CA, server certificate, the operator's token. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The folder to use when none is named: $STATE_DIRECTORY, for root /var/lib/streamplex, else
 * $XDG_STATE_HOME/streamplex or ~/.local/state/streamplex. 0 or -1 with error. */
int state_default_folder(char *buffer, size_t size, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* Makes the folder and its parents; refuses one that others can write to. 0 or -1 with a sentence.
 */
int state_ensure_folder(const char *folder, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* Reads FOLDER/token, making it first (32 random bytes, base64url) if there is none; *ret_made
 * tells. token: at least 64 bytes. 0 or -1 with a sentence. */
int state_ensure_token(const char *folder, char *token, size_t token_size, bool *ret_made,
                       char *error, size_t error_size) __attribute__((warn_unused_result));
/* A new file of 0600, whole once its name is there; one that is there already stays. path: in
 * folder. 0, or -1 with errno. */
int state_write_new(const char *folder, const char *path, const char *bytes, size_t length)
    __attribute__((warn_unused_result));
#define STATE_KEY_SIZE 32
/* Reads FOLDER/NAME, making it first (random bytes, 0600) if there is none. 0, or -1 with a
 * sentence. */
int state_ensure_key(const char *folder, const char *name, unsigned char key[STATE_KEY_SIZE],
                     char *error, size_t error_size) __attribute__((warn_unused_result));
/* FOLDER/server.pem and server.key from the local CA (net/pki) for localhost, this machine's name
 * and addresses, and the edge's domain (NULL: none), by which agents are told to come. */
int state_ensure_certificate(const char *folder, const char *domain, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* The same in FOLDER/old, of an RSA CA of its own, for the listener of old boards. */
int state_ensure_old_certificate(const char *folder, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* FOLDER/edge/server.pem and server.key, of the same CA as FOLDER's, for "*.DOMAIN" and DOMAIN;
 * made anew when the domain is another. (Browsers take a wildcard only above two labels:
 * "*.localhost" is of no use to them, "*.edge.localhost" is.) */
int state_ensure_edge_certificate(const char *folder, const char *domain, char *error,
                                  size_t error_size) __attribute__((warn_unused_result));

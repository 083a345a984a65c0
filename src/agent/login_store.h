/* The login that `streamplex login` keeps for later commands: $XDG_CONFIG_HOME/streamplex/token
 * (mode 0600 in a folder of 0700), and beside it `api`, an INI file of where it is good for. */
#pragma once

#include <stddef.h>

struct login {
    char *token;
    char *api; /* URL */
    char *ca;  /* a PEM file's absolute path; NULL: the system's */
};

/* The folder: $XDG_CONFIG_HOME/streamplex, or ~/.config/streamplex. 0, or -1 with a sentence. */
int login_store_folder(char *buffer, size_t size, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* 1: there is one, login_deinit() it. 0: nobody is logged in. -1 with a sentence. *ret_login is
 * zeroed first. */
int login_store_read(const char *folder, struct login *ret_login, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* Makes the folder where it isn't there, and replaces both files whole. 0, or -1 with a sentence;
 * then an old login is still there. */
int login_store_write(const char *folder, const struct login *login, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* The token is gone; where it was good for is still known. 0, or -1 with a sentence; none at all is
 * fine. */
int login_store_remove(const char *folder, char *error, size_t error_size)
    __attribute__((warn_unused_result));
void login_deinit(struct login *login);

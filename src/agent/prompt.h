/* A password, asked for on the terminal without being shown, or read from standard input. */
#pragma once

#include <stddef.h>

#define PROMPT_MAX 1024 /* bytes of a password: what the server takes. Buffers have one more */

/* Asks on this process's terminal, whatever standard input is. 0; -1 with a sentence (there is no
 * terminal, nothing was typed, too long). A signal that ends the program (ctrl-C) puts the terminal
 * back first. */
int prompt_password(const char *question, char *password, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* The same on the terminal `fd`. */
int prompt_password_on(int fd, const char *question, char *password, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* The first line that `fd` gives. */
int prompt_read_line(int fd, char *password, char *error, size_t error_size)
    __attribute__((warn_unused_result));

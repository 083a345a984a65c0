/* Standard output and error of what a test calls, as text. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

static struct {
    char *out, *error;
    size_t out_size, error_size;
    FILE *real_out, *real_error;
} captured;

static void captured_begin(void)
{
    captured.real_out = stdout;
    captured.real_error = stderr;
    stdout = open_memstream(&captured.out, &captured.out_size);
    stderr = open_memstream(&captured.error, &captured.error_size);
}

static void captured_end(void)
{
    fclose(stdout);
    fclose(stderr);
    stdout = captured.real_out;
    stderr = captured.real_error;
}

static void captured_free(void)
{
    free(captured.out);
    free(captured.error);
    captured.out = captured.error = NULL;
}

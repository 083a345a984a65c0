/* What `streamplex dial` was asked to do. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/endpoint.h"
#include "base/reach_settings.h"
#include "base/settings.h"

/* What the settings say, by name; times in microseconds. */
struct dial_settings {
    char *config_file;
    bool help;
    struct reach_settings reach;
    bool tls, legacy, verbose;
    uint64_t timeout;
};

/* Settings, checked and with what they name read. */
struct dial_request {
    struct dial_settings settings;
    struct reach reach;
    struct endpoint target;
};

/* argv[0] is the command's name. 0, or -1 with a sentence in `error`; dial_request_deinit() in any
 * case. */
int dial_request_read(struct dial_request *request, int argc, char **argv, char *error,
                      size_t error_size) __attribute__((warn_unused_result));
void dial_request_deinit(struct dial_request *request);

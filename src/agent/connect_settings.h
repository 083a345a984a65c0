/* What `streamplex connect` was asked to do. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "agent/access_settings.h"
#include "agent/service.h"
#include "base/reach_settings.h"
#include "base/settings.h"

/* What the settings say, by name. */
struct connect_settings {
    bool help, json, once;
    char *config_file;
    struct reach_settings reach;
    struct service_settings service;
    char *api;
    struct access_settings access;
    char *services_file;
    char *instance;
};

/* Settings, checked and with what they name read. */
struct connect_request {
    struct connect_settings settings;
    bool with_login; /* no token was given: connect_login.h reads `reach`, by a stored login */
    struct reach reach;
    struct service_list services; /* at least one */
};

/* argv[0] is the command's name; machine: for the names of services that have none. 0, or -1 with a
 * sentence in `error`; connect_request_deinit() in any case. */
int connect_request_read(struct connect_request *request, int argc, char **argv,
                         const char *machine, char *error, size_t error_size)
    __attribute__((warn_unused_result));
void connect_request_deinit(struct connect_request *request);

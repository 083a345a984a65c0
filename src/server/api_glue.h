/* What the server does for the API: struct api_host (control/api.h) over sockets, workers, mails
 * and the store. On the main loop. */
#pragma once

#include "control/api.h"
#include "net/mail.h"
#include "server/config.h"
#include "server/sockets.h"

struct worker;

struct api_glue {
    struct loop *loop; /* the main thread's */
    struct sockets *sockets;
    const struct config *config; /* the newest; borrowed */
    struct worker *const *workers;
    size_t worker_count;
    struct mail_sender *mails; /* NULL: the API logs its links */
    char tunnel_server[REGISTRY_HOST_MAX + 8];
};

/* The fields before `mails` are filled already. glue is borrowed as the host's user, and outlives
 * the API. 0, or -1 with a sentence: of --smtp-url. */
int api_glue_open(struct api_glue *glue, const struct config *config, struct api_host *ret_host,
                  char *error, size_t error_size) __attribute__((warn_unused_result));
/* After api_free(). */
void api_glue_deinit(struct api_glue *glue);

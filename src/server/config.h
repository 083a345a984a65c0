/* The server's configuration: an immutable snapshot, made from the settings, shared by all workers,
 * swapped whole on reload. Counted by reference from any thread; nothing in it changes after
 * config_load().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/log.h"
#include "base/settings.h"
#include "server/egress.h"
#include "server/tokens.h"
#include "streamplex.h"

extern const struct settings_table serve_table;

/* What the settings say, by name; durations in microseconds, sizes in bytes. */
struct serve_settings {
    char *config_file;
    bool help, check_config;
    char *egress_explain; /* HOST:PORT */

    struct setting_list listen;               /* [::]:5005; PORT */
    struct setting_list listen_old;           /* none */
    char *certificate, *key, *key_passphrase; /* CERT_FILE, KEY_FILE, KEY_PASS */
    char *state_folder;
    uint64_t workers; /* 0: one per core; NUM_WORKERS */

    struct setting_list tokens; /* AUTH_HARDCODED */
    char *token_file;           /* a token a line, `owner:token` or `token`; # comments */
    char *oauth;                /* AUTH_TESSEL_OA2: https://client_id:client_secret@host */
    char *auth_exec;
    uint64_t auth_cache;         /* lifetime of an accepted token's answer; 5 min */
    uint64_t auth_check_timeout; /* of one OAuth or program check; 10 s */

    struct setting_list egress_allow, egress_deny;

    uint64_t handshake_timeout; /* 10 s */
    uint64_t auth_timeout;      /* 20 s */
    uint64_t frame_timeout;     /* 30 s */
    uint64_t dial_timeout;      /* 30 s */
    uint64_t idle_timeout;      /* 120 s, without substreams; at least 120 s or 0 */
    uint64_t half_open_timeout; /* 30 s */
    uint64_t stall_timeout;     /* 10 s */
    uint64_t ping_interval;     /* 30 s, version-1 tunnels */
    uint64_t ping_timeout;      /* 15 s */

    uint64_t max_tunnels;              /* per process; 0: from RLIMIT_NOFILE */
    uint64_t max_tunnels_per_address;  /* 4096: a carrier's NAT is many homes */
    uint64_t max_unauthed;             /* tunnels not yet authenticated, per process; 4096 */
    uint64_t max_unauthed_per_address; /* 512 */
    uint64_t max_substreams;           /* per tunnel; 1024 */
    uint64_t max_dials;                /* dials under way per tunnel; 256 */
    uint64_t max_json;                 /* 16 KiB */
    uint64_t buffer_limit;             /* per tunnel without flow; 1 MiB */
    uint64_t window, window_max;       /* 64 KiB, 16 MiB */
    uint64_t credit_limit;             /* credit outstanding per tunnel; 64 MiB */
    uint64_t memory_limit; /* credit outstanding per process, shared among workers; 1 GiB */

    int log_format, log_level; /* enum log_format, enum log_level */
    char *admin;               /* ADDR:PORT, loopback; off unless given */
    uint64_t drain;            /* 30 s */
};

#define CONFIG_WORKERS_MAX 256 /* more cores than a process of this kind can make use of */

struct config {
    /* With what is worked out where nothing was given: the number of workers, and state_folder if
     * something is kept there. */
    struct serve_settings settings;
    union address *listen;
    size_t listen_count;
    union address *listen_old;
    size_t listen_old_count;
    /* `own` is empty: egress_set_own() is for who opens the listeners, before the configuration is
     * shared. */
    struct egress_rules egress;
    struct tokens tokens; /* shared tokens, hashed */
    bool state_token; /* no token, OAuth or program is named: the token is that of FOLDER/token, */
    bool made_token;  /* which was made just now */
    /* Engine settings for a server session; callbacks, allocator and budget are set by each worker
     * in its copy. */
    struct plex_config plex;
    int references;
};

/* Reads settings and what they name (token files; not certificates). argv[0] is "serve". Where
 * certificate or token aren't named, the state folder is made, and on a first run the token in it;
 * but --check-config and --egress-explain make nothing. 0, or -1 with a sentence in `error`.
 * *ret_config has one reference. */
int config_load(int argc, char **argv, struct config **ret_config, char *error, size_t error_size)
    __attribute__((warn_unused_result));
struct config *config_ref(struct config *config);
void config_unref(struct config *config); /* NULL is fine */

/* For --check-config, what config_load() hasn't looked at: a named certificate and its key. 0, or
 * -1 with a sentence in `error`. */
int config_check(const struct config *config, char *error, size_t error_size)
    __attribute__((warn_unused_result));

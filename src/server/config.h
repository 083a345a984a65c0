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
#include "edge/edge.h"
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

    /* The edge: on when one of these three has an address. */
    struct setting_list edge_http, edge_https, shared_443;
    char *edge_domain; /* edge.localhost */
    char *edge_ports;  /* 41000-41999, or "none" */
    char *edge_bind;   /* [::]; without a port */
    char *edge_certificate, *edge_key, *edge_key_passphrase;
    char *edge_certificates; /* a folder */
    struct setting_list edge_custom_domains;
    uint64_t edge_public_port; /* of https, in front of us; 0: that of the listener */
    struct setting_list trusted_proxies;
    char *acme_webroot;
    char *access_log;
    int access_log_format;             /* 0: text, 1: JSON */
    uint64_t head_timeout;             /* 15 s */
    uint64_t keepalive_timeout;        /* 75 s */
    uint64_t answer_timeout;           /* 60 s; 0: none */
    uint64_t max_head;                 /* 16 KiB */
    uint64_t max_visitors;             /* per process; 0: from RLIMIT_NOFILE */
    uint64_t max_visitors_per_address; /* 16384; trusted proxies have no such cap */
    uint64_t max_sockets_per_owner;    /* stored ones; 100; 0: no limit */

    /* Accounts, and the API. */
    struct setting_list api; /* ADDR:PORT; on when there is one */
    char *api_url;
    int registration; /* enum api_registration */
    char *smtp_url, *smtp_from;
    uint64_t login_lifetime; /* 5 h */
    char *admin_socket;      /* NULL: in the state folder; "none" */
    uint64_t max_api_connections;

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
    /* The edge; but for edge_on nothing of it counts while that is false. */
    bool edge_on;
    union address *edge_http, *edge_https, *shared_443;
    size_t edge_http_count, edge_https_count, shared_443_count;
    union address edge_bind;                  /* port 0 */
    uint16_t edge_first_port, edge_last_port; /* 0: no sockets with ports of their own */
    struct prefix *trusted;                   /* edge.trusted */
    struct edge_config edge;                  /* borrows from the settings */
    /* Of the plain HTTP listener as visitors use it, 0: there is none; that of https is
     * edge.https_port. See config_set_edge_ports(). */
    uint16_t edge_http_port;
    uint16_t edge_https_listener; /* https's port as it is here */
    /* Accounts are there with the edge or the API; see config_api.h. */
    bool api_on, accounts_on;
    union address *api;
    size_t api_count;
    char *admin_socket; /* its path; NULL: none */
    char *api_host;     /* "api.DOMAIN", where the edge leads to the API; NULL: it doesn't */
    char cdn_id[EDGE_CDN_ID_SIZE]; /* edge.cdn_id, once config_name_edge() has made it */
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

/* The real ports of the edge's listeners, 0: none; --edge-public-port comes before https's. For who
 * opens the listeners, before the configuration is shared. */
void config_set_edge_ports(struct config *config, uint16_t http_port, uint16_t https_port);
/* What the edge calls itself in CDN-Loop: made from a key in the state folder, and so this server's
 * own and the same after a restart; it tells nothing of the key. Does nothing without an edge;
 * likewise before the configuration is shared. 0, or -1 with a sentence. */
int config_name_edge(struct config *config, char *error, size_t error_size)
    __attribute__((warn_unused_result));
/* After a reload, before it is shared: listeners and name are those of the configuration before. */
void config_keep_edge(struct config *config, const struct config *before);

/* For --check-config, what config_load() hasn't looked at: named certificates and their keys,
 * files and folders. 0, or
 * -1 with a sentence in `error`. */
int config_check(const struct config *config, char *error, size_t error_size)
    __attribute__((warn_unused_result));

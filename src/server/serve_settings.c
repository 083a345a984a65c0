/* Every setting of `streamplex serve`, in the order of the help. */
#include "server/config.h"

#include <stdio.h>
#include <stdlib.h>

#define MILLISECOND 1000u
#define DAY         86400000000u
#define MEBI        (1u << 20)
#define GIBI        ((uint64_t)1 << 30)

static const char *const log_formats[] = {"text", "json", NULL};
static const char *const log_levels[] = {"debug", "info", "warning", "error", NULL};

static int check_address(const char *text, char *error, size_t error_size)
{
    union address address;
    if (address_parse(text, &address) == 0)
        return 0;
    snprintf(error, error_size, "\"%.80s\" is not ADDR:PORT, [ADDR]:PORT or PORT", text);
    return -1;
}

static int check_rule(const char *text, char *error, size_t error_size)
{
    struct egress_rule rule;
    if (egress_parse(text, &rule, error, error_size) < 0)
        return -1;
    free(rule.text);
    return 0;
}

/* PORT is a number alone, and means every address of the machine. */
static int listen_from_port(const char *value, char *buffer, size_t size)
{
    union address address;
    char text[ADDRESS_TEXT_MAX];
    int length = snprintf(text, sizeof text, "[::]:%s", value);
    if (length < 0 || (size_t)length >= sizeof text || (size_t)length >= size ||
        address_parse(text, &address) < 0)
        return -1;
    snprintf(buffer, size, "%s", text);
    return 0;
}

static const struct setting settings[] = {
    {
        .name = "help",
        .type = SETTING_FLAG,
        .offset = offsetof(struct serve_settings, help),
        .help = "Prints this; --help=markdown prints it as a table.",
    },
    {
        .name = "config",
        .type = SETTING_TEXT,
        .offset = offsetof(struct serve_settings, config_file),
        .environment = "STREAMPLEX_CONFIG",
        .placeholder = "FILE",
        .help = "An INI file of these settings, name = value a line, in the section [serve]; read "
                "again at SIGHUP.",
    },
    {
        .name = "check-config",
        .type = SETTING_FLAG,
        .offset = offsetof(struct serve_settings, check_config),
        .help = "Checks all settings and the files that they name, makes nothing, and exits with "
                "status 0 or 1.",
    },
    {
        .name = "egress-explain",
        .type = SETTING_TEXT,
        .offset = offsetof(struct serve_settings, egress_explain),
        .placeholder = "HOST:PORT",
        .help = "Prints what a dial of HOST:PORT would come to and by which rule, and exits with "
                "status 0 (allowed), 1 (refused) or 2 (not resolved).",
    },
    {
        .name = "listen",
        .check = check_address,
        .type = SETTING_LIST,
        .offset = offsetof(struct serve_settings, listen),
        .fallback = "[::]:5005",
        .environment = "STREAMPLEX_LISTEN",
        .reference = "PORT",
        .from_reference = listen_from_port,
        .placeholder = "ADDR:PORT",
        .help = "Where tunnels come in over TLS 1.2 and later; [::] takes IPv4 too.",
    },
    {
        .name = "listen-old",
        .check = check_address,
        .type = SETTING_LIST,
        .offset = offsetof(struct serve_settings, listen_old),
        .environment = "STREAMPLEX_LISTEN_OLD",
        .placeholder = "ADDR:PORT",
        .help = "A listener for boards of 2014, which speak at most TLS 1.1: TLS 1.0 and later "
                "with weak ciphers. Off unless given.",
    },
    {
        .name = "cert",
        .type = SETTING_TEXT,
        .offset = offsetof(struct serve_settings, certificate),
        .environment = "STREAMPLEX_CERT",
        .reference = "CERT_FILE",
        .placeholder = "FILE",
        .help = "The server's certificate chain (PEM, its own certificate first). Without it a "
                "local CA and a certificate are made in the state folder.",
        .reloadable = true,
    },
    {
        .name = "key",
        .type = SETTING_TEXT,
        .offset = offsetof(struct serve_settings, key),
        .environment = "STREAMPLEX_KEY",
        .reference = "KEY_FILE",
        .placeholder = "FILE",
        .help = "The key of --cert (PEM).",
        .reloadable = true,
    },
    {
        .name = "key-pass",
        .type = SETTING_TEXT,
        .offset = offsetof(struct serve_settings, key_passphrase),
        .environment = "STREAMPLEX_KEY_PASS",
        .reference = "KEY_PASS",
        .placeholder = "TEXT",
        .help = "The passphrase of an encrypted --key; better in the environment, a command line "
                "shows in ps.",
        .reloadable = true,
        .secret = true,
    },
    {
        .name = "state",
        .type = SETTING_TEXT,
        .offset = offsetof(struct serve_settings, state_folder),
        .environment = "STREAMPLEX_STATE",
        .placeholder = "FOLDER",
        .help = "The folder for what is made here: local CA, certificate, token. Without it "
                "$STATE_DIRECTORY, for root /var/lib/streamplex, else ~/.local/state/streamplex.",
        .reloadable = true,
    },
    {
        .name = "workers",
        .type = SETTING_NUMBER,
        .offset = offsetof(struct serve_settings, workers),
        .fallback = "0",
        .environment = "STREAMPLEX_WORKERS",
        .reference = "NUM_WORKERS",
        .placeholder = "NUMBER",
        .help = "Threads that serve tunnels; 0: one for each core.",
        .least = 0,
        .most = CONFIG_WORKERS_MAX,
    },
    {
        .name = "token",
        .type = SETTING_LIST,
        .offset = offsetof(struct serve_settings, tokens),
        .environment = "STREAMPLEX_TOKEN",
        .reference = "AUTH_HARDCODED",
        .placeholder = "TOKEN",
        .help = "A shared token, taken whole, whose owner is called token-1, token-2 and so on. A "
                "token on the command line shows in ps: better --token-file or the environment.",
        .reloadable = true,
        .secret = true,
    },
    {
        .name = "token-file",
        .type = SETTING_TEXT,
        .offset = offsetof(struct serve_settings, token_file),
        .environment = "STREAMPLEX_TOKEN_FILE",
        .placeholder = "FILE",
        .help = "Shared tokens, a line each: owner:token or token. Without --token, --token-file, "
                "--oauth and --auth-exec a token is made in the state folder.",
        .reloadable = true,
    },
    {
        .name = "oauth",
        .type = SETTING_TEXT,
        .offset = offsetof(struct serve_settings, oauth),
        .environment = "STREAMPLEX_OAUTH",
        .reference = "AUTH_TESSEL_OA2",
        .placeholder = "URL",
        .help = "An OAuth server that checks tokens, https://client_id:client_secret@host; wins "
                "over --auth-exec and shared tokens.",
        .reloadable = true,
        .secret = true,
    },
    {
        .name = "auth-exec",
        .type = SETTING_TEXT,
        .offset = offsetof(struct serve_settings, auth_exec),
        .environment = "STREAMPLEX_AUTH_EXEC",
        .placeholder = "PROGRAM",
        .help = "A program that checks tokens: token on its standard input, the user's name on its "
                "output, exit status 0 (accepted) or 1 (refused); wins over shared tokens.",
        .reloadable = true,
    },
    {
        .name = "auth-cache",
        .type = SETTING_DURATION,
        .offset = offsetof(struct serve_settings, auth_cache),
        .fallback = "5m",
        .environment = "STREAMPLEX_AUTH_CACHE",
        .placeholder = "DURATION",
        .help = "How long a token that --oauth or --auth-exec accepted isn't asked about again.",
        .least = 0,
        .most = 30 * DAY,
        .reloadable = true,
    },
    {
        .name = "auth-check-timeout",
        .type = SETTING_DURATION,
        .offset = offsetof(struct serve_settings, auth_check_timeout),
        .fallback = "10s",
        .environment = "STREAMPLEX_AUTH_CHECK_TIMEOUT",
        .placeholder = "DURATION",
        .help = "For one check by --oauth or --auth-exec.",
        .least = MILLISECOND,
        .most = DAY,
        .reloadable = true,
    },
    {
        .name = "egress-allow",
        .check = check_rule,
        .type = SETTING_LIST,
        .offset = offsetof(struct serve_settings, egress_allow),
        .environment = "STREAMPLEX_EGRESS_ALLOW",
        .placeholder = "CIDR[:PORT[-PORT]]",
        .help = "Addresses that devices may reach though the built-in rules refuse them: "
                "10.1.0.0/16, 192.0.2.7:80, [fd00::/8]:8000-8999.",
        .reloadable = true,
    },
    {
        .name = "egress-deny",
        .check = check_rule,
        .type = SETTING_LIST,
        .offset = offsetof(struct serve_settings, egress_deny),
        .environment = "STREAMPLEX_EGRESS_DENY",
        .placeholder = "CIDR[:PORT[-PORT]]",
        .help = "Addresses that devices may not reach; asked before --egress-allow.",
        .reloadable = true,
    },
    {
        .name = "handshake-timeout",
        .type = SETTING_DURATION,
        .offset = offsetof(struct serve_settings, handshake_timeout),
        .fallback = "10s",
        .environment = "STREAMPLEX_HANDSHAKE_TIMEOUT",
        .placeholder = "DURATION",
        .help = "For the TLS handshake.",
        .least = MILLISECOND,
        .most = DAY,
        .reloadable = true,
    },
    {
        .name = "auth-timeout",
        .type = SETTING_DURATION,
        .offset = offsetof(struct serve_settings, auth_timeout),
        .fallback = "20s",
        .environment = "STREAMPLEX_AUTH_TIMEOUT",
        .placeholder = "DURATION",
        .help = "From the handshake to an accepted token.",
        .least = MILLISECOND,
        .most = DAY,
        .reloadable = true,
    },
    {
        .name = "frame-timeout",
        .type = SETTING_DURATION,
        .offset = offsetof(struct serve_settings, frame_timeout),
        .fallback = "30s",
        .environment = "STREAMPLEX_FRAME_TIMEOUT",
        .placeholder = "DURATION",
        .help = "Between two bytes of one frame.",
        .least = MILLISECOND,
        .most = DAY,
        .reloadable = true,
    },
    {
        .name = "dial-timeout",
        .type = SETTING_DURATION,
        .offset = offsetof(struct serve_settings, dial_timeout),
        .fallback = "30s",
        .environment = "STREAMPLEX_DIAL_TIMEOUT",
        .placeholder = "DURATION",
        .help = "For resolving a target's name and connecting to it.",
        .least = MILLISECOND,
        .most = DAY,
        .reloadable = true,
    },
    {
        .name = "idle-timeout",
        .type = SETTING_DURATION,
        .offset = offsetof(struct serve_settings, idle_timeout),
        .fallback = "120s",
        .environment = "STREAMPLEX_IDLE_TIMEOUT",
        .placeholder = "DURATION",
        .help = "For a tunnel without substreams and without a byte: 120s or more; 0: no limit.",
        .least = 0,
        .most = 30 * DAY,
        .reloadable = true,
    },
    {
        .name = "half-open-timeout",
        .type = SETTING_DURATION,
        .offset = offsetof(struct serve_settings, half_open_timeout),
        .fallback = "30s",
        .environment = "STREAMPLEX_HALF_OPEN_TIMEOUT",
        .placeholder = "DURATION",
        .help = "For a substream whose target has ended and whose device sends nothing more.",
        .least = MILLISECOND,
        .most = DAY,
        .reloadable = true,
    },
    {
        .name = "stall-timeout",
        .type = SETTING_DURATION,
        .offset = offsetof(struct serve_settings, stall_timeout),
        .fallback = "10s",
        .environment = "STREAMPLEX_STALL_TIMEOUT",
        .placeholder = "DURATION",
        .help = "How long a target that takes no data may hold up its tunnel's other substreams.",
        .least = MILLISECOND,
        .most = DAY,
        .reloadable = true,
    },
    {
        .name = "ping-interval",
        .type = SETTING_DURATION,
        .offset = offsetof(struct serve_settings, ping_interval),
        .fallback = "30s",
        .environment = "STREAMPLEX_PING_INTERVAL",
        .placeholder = "DURATION",
        .help = "A ping after so long without a byte, to devices that know pings; 0: none.",
        .least = 0,
        .most = DAY,
        .reloadable = true,
    },
    {
        .name = "ping-timeout",
        .type = SETTING_DURATION,
        .offset = offsetof(struct serve_settings, ping_timeout),
        .fallback = "15s",
        .environment = "STREAMPLEX_PING_TIMEOUT",
        .placeholder = "DURATION",
        .help = "For the answer to a ping.",
        .least = MILLISECOND,
        .most = DAY,
        .reloadable = true,
    },
    {
        .name = "max-tunnels",
        .type = SETTING_NUMBER,
        .offset = offsetof(struct serve_settings, max_tunnels),
        .fallback = "0",
        .environment = "STREAMPLEX_MAX_TUNNELS",
        .placeholder = "NUMBER",
        .help = "Tunnels at once; 0: as many as the limit of open files leaves room for.",
        .least = 0,
        .most = 10000000,
        .reloadable = true,
    },
    {
        .name = "max-tunnels-per-address",
        .type = SETTING_NUMBER,
        .offset = offsetof(struct serve_settings, max_tunnels_per_address),
        .fallback = "4096",
        .environment = "STREAMPLEX_MAX_TUNNELS_PER_ADDRESS",
        .placeholder = "NUMBER",
        .help = "Tunnels at once from one address; a carrier's NAT is many homes.",
        .least = 1,
        .most = 10000000,
        .reloadable = true,
    },
    {
        .name = "max-unauthed",
        .type = SETTING_NUMBER,
        .offset = offsetof(struct serve_settings, max_unauthed),
        .fallback = "4096",
        .environment = "STREAMPLEX_MAX_UNAUTHED",
        .placeholder = "NUMBER",
        .help = "Tunnels at once that have no accepted token yet.",
        .least = 1,
        .most = 10000000,
        .reloadable = true,
    },
    {
        .name = "max-unauthed-per-address",
        .type = SETTING_NUMBER,
        .offset = offsetof(struct serve_settings, max_unauthed_per_address),
        .fallback = "512",
        .environment = "STREAMPLEX_MAX_UNAUTHED_PER_ADDRESS",
        .placeholder = "NUMBER",
        .help = "The same from one address.",
        .least = 1,
        .most = 10000000,
        .reloadable = true,
    },
    {
        .name = "max-substreams",
        .type = SETTING_NUMBER,
        .offset = offsetof(struct serve_settings, max_substreams),
        .fallback = "1024",
        .environment = "STREAMPLEX_MAX_SUBSTREAMS",
        .placeholder = "NUMBER",
        .help = "Substreams at once on one tunnel.",
        .least = 1,
        .most = 32767,
        .reloadable = true,
    },
    {
        .name = "max-dials",
        .type = SETTING_NUMBER,
        .offset = offsetof(struct serve_settings, max_dials),
        .fallback = "256",
        .environment = "STREAMPLEX_MAX_DIALS",
        .placeholder = "NUMBER",
        .help = "Dials under way at once for one tunnel.",
        .least = 1,
        .most = 32767,
        .reloadable = true,
    },
    {
        .name = "max-json",
        .type = SETTING_SIZE,
        .offset = offsetof(struct serve_settings, max_json),
        .fallback = "16k",
        .environment = "STREAMPLEX_MAX_JSON",
        .placeholder = "SIZE",
        .help = "The longest control message taken from a device once its token is accepted.",
        .least = 1024,
        .most = 65532,
        .reloadable = true,
    },
    {
        .name = "buffer-limit",
        .type = SETTING_SIZE,
        .offset = offsetof(struct serve_settings, buffer_limit),
        .fallback = "1m",
        .environment = "STREAMPLEX_BUFFER_LIMIT",
        .placeholder = "SIZE",
        .help = "Data of one device held for slow targets, on tunnels without flow control.",
        .least = 65536,
        .most = GIBI,
        .reloadable = true,
    },
    {
        .name = "window",
        .type = SETTING_SIZE,
        .offset = offsetof(struct serve_settings, window),
        .fallback = "64k",
        .environment = "STREAMPLEX_WINDOW",
        .placeholder = "SIZE",
        .help = "A substream's first receive window, on tunnels with flow control.",
        .least = 1024,
        .most = 16 * MEBI,
        .reloadable = true,
    },
    {
        .name = "window-max",
        .type = SETTING_SIZE,
        .offset = offsetof(struct serve_settings, window_max),
        .fallback = "16m",
        .environment = "STREAMPLEX_WINDOW_MAX",
        .placeholder = "SIZE",
        .help = "The size to which a substream's window may grow.",
        .least = 1024,
        .most = 16 * MEBI,
        .reloadable = true,
    },
    {
        .name = "credit-limit",
        .type = SETTING_SIZE,
        .offset = offsetof(struct serve_settings, credit_limit),
        .fallback = "64m",
        .environment = "STREAMPLEX_CREDIT_LIMIT",
        .placeholder = "SIZE",
        .help =
            "What one device may send beyond what targets have taken, all its substreams together.",
        .least = 65536,
        .most = UINT32_MAX,
        .reloadable = true,
    },
    {
        .name = "memory-limit",
        .type = SETTING_SIZE,
        .offset = offsetof(struct serve_settings, memory_limit),
        .fallback = "1g",
        .environment = "STREAMPLEX_MEMORY_LIMIT",
        .placeholder = "SIZE",
        .help = "The same for all devices together.",
        .least = MEBI,
        .most = 1024 * GIBI,
        .reloadable = true,
    },
    {
        .name = "log-format",
        .type = SETTING_CHOICE,
        .offset = offsetof(struct serve_settings, log_format),
        .fallback = "text",
        .environment = "STREAMPLEX_LOG_FORMAT",
        .placeholder = "text|json",
        .help = "How log lines are written to standard error.",
        .choices = log_formats,
        .reloadable = true,
    },
    {
        .name = "log-level",
        .type = SETTING_CHOICE,
        .offset = offsetof(struct serve_settings, log_level),
        .fallback = "info",
        .environment = "STREAMPLEX_LOG_LEVEL",
        .placeholder = "debug|info|warning|error",
        .help = "The least level that is logged.",
        .choices = log_levels,
        .reloadable = true,
    },
    {
        .name = "admin",
        .check = check_address,
        .type = SETTING_TEXT,
        .offset = offsetof(struct serve_settings, admin),
        .environment = "STREAMPLEX_ADMIN",
        .placeholder = "ADDR:PORT",
        .help = "A loopback address for /metrics, /healthz and /readyz. Off unless given.",
    },
    {
        .name = "drain",
        .type = SETTING_DURATION,
        .offset = offsetof(struct serve_settings, drain),
        .fallback = "30s",
        .environment = "STREAMPLEX_DRAIN",
        .placeholder = "DURATION",
        .help = "How long substreams may go on after SIGTERM.",
        .least = 0,
        .most = DAY,
        .reloadable = true,
    },
    {.name = NULL},
};

const struct settings_table serve_table = {
    .command = "serve",
    .arguments = "",
    .summary = "Serves tunnels: takes TLS connections of devices, checks their tokens, and dials "
               "targets on their "
               "behalf, as far as the egress rules allow. Flags win over environment variables, "
               "those over "
               "the file of --config. SIGHUP reads settings, certificates and tokens again without "
               "dropping a tunnel.",
    .settings = settings,
    .size = sizeof(struct serve_settings),
};

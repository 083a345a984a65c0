/* libstreamplex: the protocol engine of streamplex tunnels.
 *
 * Bytes in, bytes out: the engine opens no socket, reads no clock, starts no thread and logs
 * nothing. Its host (a server, a laptop program, the firmware of a board) owns the connection,
 * feeds what arrived, and pulls what is to be sent. The wire is specified in
 * protocol/STREAMPLEX.md; "§" below refers to its sections.
 *
 * Words
 *   session    one end of a tunnel: the state of the protocol, not of a connection. It may be
 * detached from one connection and attached to another. substream  one of the many byte streams
 * that a tunnel carries; named by an id (the frame's channel). opener     the side that opened the
 * substream; the other side is its acceptor. Only the acceptor sends `lookup`, `connect`,
 * `secureConnect`, `timeout` and `close`. version 1  what both sides speak once extensions were
 * asked for and granted; without it the session is legacy.
 *
 * A server's life with it
 *   session = plex_session_new(&config, user)
 *   bytes arrived      plex_session_feed() -> callbacks; feed the rest again when on_resume says so
 *   connection can take a record, and plex_session_has_output()   plex_session_pull()
 *   after any of these, plex_session_deadline(); when it has passed, plex_session_tick()
 *   a negative code from feed or tick: pull until nothing is left, close the connection,
 * plex_session_free()
 *
 * Rules for hosts
 *   - Time is an argument: microseconds of a monotonic clock of the host's choice.
 *   - Callbacks may call every function here but plex_session_feed, _pull, _tick and _free of the
 * same session.
 *   - Every pointer argument is borrowed until the function or callback returns.
 *   - After plex_substream_close(), plex_substream_abort() or on_gone, the substream is the
 * engine's alone.
 *   - Nothing here is thread-safe across one session; different sessions share nothing but what
 * their configurations share (allocator, budget).
 *
 * Firmware
 *   Compiled with -DPLEX_BOARD the engine is a small device and nothing else; this header and the
 * wire stay the same. contrib/firmware-size prints what it takes. What the board's build lacks:
 *   - The server's side: plex_session_new() takes PLEX_DEVICE only, plex_session_authorize() always
 * gives PLEX_OURS_STATE, a budget isn't looked at.
 *   - buffer_limit and the stall rule. With flow a board keeps `window` bytes of each substream at
 * most. Without, on_data passes on all that is fed: a host that can't take more calls
 * plex_session_pause(), feeds nothing until it can, and leaves the rest to TCP.
 *   - Windows that grow, and so measuring round trips: window_max counts for nothing, rtt_min is 0.
 *   - The limit to late data (§7.4): what a server sends on substreams that are over is dropped.
 *   - Messages of the host's own (§8.8): on_message and on_message_pull aren't called.
 *   - Texts that a device never sends: plex_error_name() and plex_error_text() give "" for them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define PLEX_MUST_USE __attribute__((warn_unused_result))
#else
#define PLEX_MUST_USE
#endif

struct plex_session;
struct plex_substream;

/* A frame on the wire, at most: header, and the payload that its u16 length allows (§2). */
#define PLEX_HEADER_SIZE 5
#define PLEX_PAYLOAD_MAX 65532
/* What pull makes at most: header and payload together fill one TLS record and never span two. */
#define PLEX_PULL_MAX 16384
/* The smallest buffer that plex_session_pull() takes: the longest JSON that we write fits. */
#define PLEX_PULL_MIN 1024
/* JSON gathered before authentication, the token message included (§3). */
#define PLEX_JSON_BEFORE_AUTH 4096
#define PLEX_TOKEN_MAX        2048
/* A host name as RFC 1035 writes it, 253 characters, and the texts that carry one. */
#define PLEX_HOST_MAX    253
#define PLEX_MESSAGE_MAX 400
/* Held while a token is being checked: opens, and bytes of frames (§4). */
#define PLEX_HELD_OPENS_MAX 64
#define PLEX_HELD_BYTES_MAX 65536
#define PLEX_SERVICE_MAX    64
#define PLEX_VISITOR_MAX    64
/* Bounds of what a side may announce as its window, in bytes. */
#define PLEX_WINDOW_MIN 1024
#define PLEX_WINDOW_MAX (16u << 20)

/* Errors are data: 0, or one of three ranges. plex_error_name() and plex_error_text() speak of
 * each. */
enum plex_error {
    PLEX_OK = 0,

    /* One substream's fault or end; the tunnel goes on. */
    PLEX_SUBSTREAM_CLOSED = -101,      /* it ended in order: `close` was seen */
    PLEX_SUBSTREAM_RESET = -102,       /* the other side aborted it */
    PLEX_SUBSTREAM_BAD_PORT = -103,    /* `_pls_connect` without a port of 1...65535 */
    PLEX_SUBSTREAM_BAD_HOST = -104,    /* `_pls_connect` with a host that can't be one */
    PLEX_SUBSTREAM_BAD_TIMEOUT = -105, /* `_pls_timeout` without a number of 0...2^31-1 */
    PLEX_SUBSTREAM_TWICE = -106,       /* a second `_pls_connect` */
    PLEX_SUBSTREAM_AFTER_END = -107,   /* data after `end` */
    PLEX_SUBSTREAM_LIMIT = -108,       /* more substreams than were announced or allowed */
    PLEX_SUBSTREAM_STALLED = -109,     /* it held up its siblings for the stall limit */
    PLEX_SUBSTREAM_GOAWAY = -110,      /* opened after goaway */
    PLEX_SUBSTREAM_BAD_KIND = -111,    /* `stream` with a name that isn't known */
    PLEX_SUBSTREAM_TUNNEL_GONE = -112, /* the session ended with the substream open */

    /* The tunnel's fault: the session is over, its connection is to be closed. */
    PLEX_TUNNEL_FRAME_LENGTH = -201,   /* a frame of length 0...2 */
    PLEX_TUNNEL_FRAME_TYPE = -202,     /* a type that isn't known (and not to be skipped) */
    PLEX_TUNNEL_JSON = -203,           /* not JSON, too deep, or not what the place asks for */
    PLEX_TUNNEL_JSON_SIZE = -204,      /* JSON over max_json (4 KiB before authentication) */
    PLEX_TUNNEL_SOCK = -205,           /* `sock` that isn't a free id of the opener's parity */
    PLEX_TUNNEL_CHANNEL = -206,        /* a frame on an id never opened, data on channel 0 */
    PLEX_TUNNEL_CREDIT = -207,         /* more data than credit, or credit beyond 2^31-1 */
    PLEX_TUNNEL_LATE_DATA = -208,      /* too much data on substreams that are over */
    PLEX_TUNNEL_NOT_AUTHORIZED = -209, /* a substream before any token, or after a refused one */
    PLEX_TUNNEL_EXTENSION = -210,      /* an extension's frame or number that breaks its rule */
    PLEX_TUNNEL_AUTH_TIMEOUT = -211,   /* no accepted token within auth_timeout */
    PLEX_TUNNEL_FRAME_TIMEOUT = -212,  /* a frame begun and not gone on with for frame_timeout */
    PLEX_TUNNEL_IDLE = -213,           /* no substream and no byte for idle_timeout */
    PLEX_TUNNEL_PING_TIMEOUT = -214,   /* no pong within ping_timeout */

    /* Ours: the host's argument, memory, or a state in which the call means nothing. */
    PLEX_OURS_MEMORY = -301,
    PLEX_OURS_ARGUMENT = -302,
    PLEX_OURS_STATE = -303,
    PLEX_OURS_NO_ID = -304, /* every id of our parity is in use */
};

/* The enumerator's name without PLEX_, such as "TUNNEL_JSON"; "UNKNOWN" for anything else. Static
 * text. */
const char *plex_error_name(int error);
/* A short sentence, lower case, without a full stop; what the peer is told too. Static text. */
const char *plex_error_text(int error);

/* Server is the A side (odd ids), device the B side (even ids) (§1). */
enum plex_side { PLEX_SERVER, PLEX_DEVICE };

/* What a substream is for, `name` in its `stream` message (§5). */
enum plex_kind {
    PLEX_NET,     /* device -> target over TCP */
    PLEX_TLS,     /* device -> target, the server does TLS */
    PLEX_INBOUND, /* visitor -> device, opened by the server; feature inbound only */
};

/* Extensions, a mask (§8). All but INBOUND concern both directions. */
enum plex_feature {
    PLEX_FLOW = 1 << 0,
    PLEX_PING = 1 << 1,
    PLEX_RESET = 1 << 2,
    PLEX_GOAWAY = 1 << 3,
    PLEX_INBOUND_OPENS = 1 << 4,
    PLEX_FEATURES_ALL = (1 << 5) - 1,
};

/* Events that an acceptor tells its opener without any argument of theirs (§6). */
enum plex_event {
    PLEX_EVENT_LOOKUP,
    PLEX_EVENT_CONNECT,
    PLEX_EVENT_SECURE_CONNECT,
    PLEX_EVENT_TIMEOUT,
};

/* free gets the size that alloc was asked for. alloc may return NULL; the engine then fails with
 * PLEX_OURS_MEMORY and what it was called for is undone. Both are borrowed for the life of every
 * session. */
struct plex_allocator {
    void *(*alloc)(void *user, size_t size);
    void (*free)(void *user, void *memory, size_t size);
    void *user;
};

/* What many sessions of one thread may have to keep, in bytes: credit outstanding, and what their
 * hosts hold and haven't consumed. At the limit no window is refilled beyond one frame a substream.
 * The host owns it; sessions add and subtract. Substreams without flow don't count. */
struct plex_budget {
    uint64_t limit;
    uint64_t used;
};

/* What the session tells its host. Every pointer but `on_data`-like optional ones noted "may be
 * NULL" is required for the side that can get it. `user` is the session's (plex_session_user)
 * unless a substream's is asked for. */
struct plex_callbacks {
    /* Server: a token came; decide by plex_session_authorize(), now or later. A new token replaces
     * a pending one: answer only the newest. token isn't NUL-terminated, is 1...PLEX_TOKEN_MAX
     * bytes of UTF-8 without NUL. */
    void (*on_token)(struct plex_session *session, const char *token, size_t length);
    /* Device: the answer to plex_session_send_token(). */
    void (*on_authed)(struct plex_session *session, bool accepted);

    /* There is something to pull where there was nothing. Not called again until a pull found
     * nothing. */
    void (*on_output)(struct plex_session *session);
    /* feed stopped short and the session can take bytes again. */
    void (*on_resume)(struct plex_session *session);

    /* Acceptor: the peer opened a substream. For PLEX_INBOUND service and visitor are texts of at
     * most PLEX_SERVICE_MAX and PLEX_VISITOR_MAX bytes, else NULL. Set its user pointer here. */
    void (*on_open)(struct plex_substream *substream, enum plex_kind kind, const char *service,
                    const char *visitor);
    /* Acceptor: `_pls_connect`. host has 1...PLEX_HOST_MAX characters, printable ASCII without
     * space. */
    void (*on_connect)(struct plex_substream *substream, const char *host, uint16_t port);
    /* Acceptor: `_pls_timeout`, milliseconds without traffic after which `timeout` is due; 0 turns
     * it off. */
    void (*on_timeout)(struct plex_substream *substream, uint32_t milliseconds);

    /* Both: payload as it arrived, in pieces. The host keeps what it can't pass on, and says
     * plex_substream_consume() for each byte that it has passed on or dropped, now or later. */
    void (*on_data)(struct plex_substream *substream, const void *data, size_t length);
    /* Both: the peer sends no more data on this substream. */
    void (*on_end)(struct plex_substream *substream);

    /* Opener: what the acceptor tells; text is the address chosen with PLEX_EVENT_CONNECT, or NULL.
     */
    void (*on_event)(struct plex_substream *substream, enum plex_event event, const char *text);
    /* Opener: `error`; code is the text of a version-1 peer's code ("ECONNREFUSED") or NULL.
     * on_gone follows. */
    void (*on_error)(struct plex_substream *substream, const char *message, const char *code);

    /* Both: the substream is over and not by the host's own close or abort; `reason` is
     * PLEX_SUBSTREAM_*. The last callback of a substream. Data received before was all passed on.
     */
    void (*on_gone)(struct plex_substream *substream, int reason);

    /* Both: write up to `capacity` bytes of this substream's data to `buffer` and return how many;
     * 0 says that there is none now (plex_substream_ready() says when there is again). May end or
     * abort the substream. */
    size_t (*on_pull)(struct plex_substream *substream, void *buffer, size_t capacity);

    /* Both, feature inbound: a message of the peer's on channel 0 that isn't the engine's own
     * (§8.8); json is the text of its `object`, at most max_json bytes, checked as all JSON is, not
     * NUL-terminated: plex_json_read() reads it. May be NULL: such messages are ignored. */
    void (*on_message)(struct plex_session *session, const char *json, size_t length);
    /* Both, feature inbound: writes the JSON text of one message's `object`, at most `capacity`
     * bytes (never less than 960, never more than the peer takes), and returns its length; 0: none
     * now. Asked after plex_session_message_ready() until it returns 0. The text isn't checked:
     * what isn't an object ends the tunnel at the other side. May be NULL. */
    size_t (*on_message_pull)(struct plex_session *session, char *buffer, size_t capacity);

    /* Both: the peer will accept no new substream from us; open ones go on. May be NULL. */
    void (*on_goaway)(struct plex_session *session, uint16_t code);
};

/* How a session behaves. Borrowed until the session is freed or configured anew, so that thousands
 * of sessions share one. A time of 0 turns that deadline off. */
struct plex_config {
    enum plex_side side;
    uint32_t features; /* enum plex_feature: what we ask for (device) or grant (server); 0: legacy,
                          no extensions */
    const struct plex_callbacks *callbacks;
    const struct plex_allocator *allocator;
    struct plex_budget *budget; /* NULL: none */

    uint32_t window; /* first receive window of a substream, bytes, PLEX_WINDOW_MIN...MAX; 65536 */
    uint32_t window_max;   /* to which a window may grow, bytes, window...PLEX_WINDOW_MAX */
    uint32_t credit_limit; /* as struct plex_budget's limit, for this session; 16 MiB */
    uint32_t max_json;     /* JSON that we accept once authenticated, bytes, 1024...65532; 16384 */
    uint32_t max_substreams; /* substreams that the peer may have open at once, 1...32767 */

    uint32_t buffer_limit; /* without flow: bytes passed to the host and not consumed at which feed
                            * stops, until a quarter of them is consumed; at least 1; 1 MiB */
    uint32_t
        stall_bytes; /* ...and what the blocking substream must consume within stall_time; 65536 */
    uint64_t stall_time; /* microseconds; 10 s */

    uint64_t auth_timeout;  /* from the session's start to an accepted token, microseconds */
    uint64_t frame_timeout; /* between two bytes of one frame */
    uint64_t idle_timeout;  /* without substreams and without a byte */
    uint64_t ping_interval; /* a ping after so long without a byte received; needs feature ping */
    uint64_t ping_timeout;  /* from a ping to its pong */
};

/* Fills every number with the defaults named above (deadlines: 20 s auth, 30 s frame, 0 idle, 0
 * pings; 1024 substreams; all features); side, callbacks and allocator are the caller's. */
void plex_config_init(struct plex_config *config, enum plex_side side);

/* --- Sessions --- */

/* NULL when memory ran out or the configuration is out of range. `now` starts auth_timeout. */
struct plex_session *plex_session_new(const struct plex_config *config, void *user,
                                      uint64_t now) PLEX_MUST_USE;
/* Ends every substream (on_gone, PLEX_SUBSTREAM_TUNNEL_GONE) and frees all; NULL is fine. */
void plex_session_free(struct plex_session *session);
void *plex_session_user(const struct plex_session *session);
/* A new configuration: same side, same allocator, callbacks of the same meaning. What was announced
 * to the peer stays as announced. One that is out of range is ignored. */
void plex_session_configure(struct plex_session *session, const struct plex_config *config);

/* Takes bytes from the tunnel, in any pieces. *ret_taken says how many were used; fewer than
 * `length` when a callback paused the session or it is full: keep the rest, and feed it after
 * on_resume or plex_session_resume(). 0, or PLEX_TUNNEL_* / PLEX_OURS_MEMORY: the session is over
 * (every later call returns the same). */
int plex_session_feed(struct plex_session *session, const void *bytes, size_t length, uint64_t now,
                      size_t *ret_taken) PLEX_MUST_USE;
/* Makes feed stop after the frame or piece in progress, until resumed. Idempotent. Resuming may
 * begin substreams that were held, with their callbacks; on_resume isn't called for it. */
void plex_session_pause(struct plex_session *session);
void plex_session_resume(struct plex_session *session);
/* True when feed would take bytes: neither paused nor full nor over. */
bool plex_session_can_take(const struct plex_session *session);

/* Writes whole frames, ready to be sent, and returns their bytes; 0 when there is nothing. What was
 * pulled counts as sent. capacity: PLEX_PULL_MIN...; beyond PLEX_PULL_MAX nothing is gained. Only a
 * token message that is longer than capacity comes in pieces. */
size_t plex_session_pull(struct plex_session *session, void *buffer, size_t capacity, uint64_t now);
bool plex_session_has_output(const struct plex_session *session);

/* When plex_session_tick() is due, microseconds; UINT64_MAX: never. May come earlier than needed,
 * not later; 0 when the session failed outside feed and tick (a held frame), which the next tick
 * tells. */
uint64_t plex_session_deadline(const struct plex_session *session);
/* 0, or a PLEX_TUNNEL_* whose deadline has passed. */
int plex_session_tick(struct plex_session *session, uint64_t now) PLEX_MUST_USE;

/* Server: answers the newest token. Held substreams then begin, or are refused: their callbacks
 * come before this returns, or inside another callback when that has returned. PLEX_OURS_STATE
 * without a token. */
int plex_session_authorize(struct plex_session *session, bool accepted) PLEX_MUST_USE;
/* Server: the features that the newest token asked for, known ones or not; 0: none, as old devices.
 */
uint32_t plex_session_asked(const struct plex_session *session);
/* Device: sends a token, 1...PLEX_TOKEN_MAX bytes of UTF-8 without NUL, with the extensions of the
 * configuration. PLEX_OURS_ARGUMENT for another, or one whose escapes take more than
 * PLEX_JSON_BEFORE_AUTH; PLEX_OURS_STATE on a server, or while half of an earlier one was pulled;
 * PLEX_OURS_MEMORY. */
int plex_session_send_token(struct plex_session *session, const char *token,
                            size_t length) PLEX_MUST_USE;
bool plex_session_is_authed(const struct plex_session *session);
/* The features in force: 0 on a legacy tunnel and before the answer. */
uint32_t plex_session_features(const struct plex_session *session);

/* Tells the peer (feature goaway) to open no more substreams, and refuses those that it does open.
 */
void plex_session_goaway(struct plex_session *session, uint16_t code);
/* There is a message to pull (on_message_pull). Idempotent; a no-op without feature inbound. */
void plex_session_message_ready(struct plex_session *session);
/* Sends a ping now (feature ping), whose pong updates the round trip time. */
void plex_session_ping(struct plex_session *session);
/* Ends the session with a reason that the peer is told (`error` on channel 0): then pull, close,
 * free. */
void plex_session_fail(struct plex_session *session, int error);

/* While detached nothing is pulled, no deadline runs, and feed fails with PLEX_OURS_STATE. A
 * partial frame, both counters and all substreams stay. Attaching starts the deadlines afresh. */
void plex_session_detach(struct plex_session *session);
void plex_session_attach(struct plex_session *session, uint64_t now);

struct plex_stats {
    uint64_t bytes_in,
        bytes_out; /* all frames, counted from the first one after the auth answer (§9) */
    uint64_t credit_outstanding; /* what the peer may still send, all substreams */
    uint32_t buffered;           /* passed to the host and not consumed */
    uint32_t substreams;         /* open, ours and the peer's */
    uint32_t rtt_min;            /* least round trip of the last 10 s, microseconds; 0: not known */
    uint32_t stalls;             /* substreams aborted for stalling */
};
void plex_session_stats(const struct plex_session *session, struct plex_stats *ret_stats);

/* --- Substreams --- */

/* Opens a substream: a device PLEX_NET or PLEX_TLS (service and visitor NULL), a server
 * PLEX_INBOUND (feature inbound; both texts given, UTF-8). 0; PLEX_OURS_STATE before authentication
 * or where the kind isn't ours to open; PLEX_OURS_ARGUMENT for texts that are missing, too long, or
 * not to be given; PLEX_SUBSTREAM_LIMIT, PLEX_SUBSTREAM_GOAWAY, PLEX_OURS_NO_ID, PLEX_OURS_MEMORY.
 */
int plex_substream_open(struct plex_session *session, enum plex_kind kind, const char *service,
                        const char *visitor, void *user,
                        struct plex_substream **ret_substream) PLEX_MUST_USE;
/* Opener: asks the server to connect. Once; host of 1...PLEX_HOST_MAX characters, port not 0. */
int plex_substream_connect(struct plex_substream *substream, const char *host,
                           uint16_t port) PLEX_MUST_USE;
/* Opener: asks for `timeout` after so many idle milliseconds; 0: off. */
void plex_substream_timeout(struct plex_substream *substream, uint32_t milliseconds);

/* Acceptor: tells the opener an event, before any data pulled later. text: with PLEX_EVENT_CONNECT
 * the address chosen ("192.0.2.1:80"), sent to version-1 peers; else NULL. Each event but TIMEOUT
 * is told once. */
void plex_substream_notify(struct plex_substream *substream, enum plex_event event,
                           const char *text);

/* There is data to pull (on_pull). Idempotent and cheap; a no-op after end. */
void plex_substream_ready(struct plex_substream *substream);
/* No more data comes from us: `end`. The other direction goes on. Idempotent. Inside on_pull it
 * takes effect after the bytes that on_pull returns. */
void plex_substream_end(struct plex_substream *substream);
/* Over, in order: sends what is due (`end`, and `close` if we are the acceptor). No callback
 * follows. An opener that closes before `close` came aborts the rest: reset, or on a legacy tunnel
 * `end`. */
void plex_substream_close(struct plex_substream *substream);
/* Over, with an error. Acceptor: `error` with the message (at most PLEX_MESSAGE_MAX bytes, longer
 * ones are cut) and, to version-1 peers, the code ("ECONNREFUSED"; NULL: none); then `end` and
 * `close`, or reset where that feature is in force. Opener: reset, or `end` on a legacy tunnel.
 * Data not yet pulled is dropped. No callback follows. */
void plex_substream_abort(struct plex_substream *substream, const char *message, const char *code);
/* Bytes of on_data that the host has passed on: opens the window, or makes room in the session's
 * buffer. */
void plex_substream_consume(struct plex_substream *substream, size_t length);

void plex_substream_set_user(struct plex_substream *substream, void *user);
void *plex_substream_user(const struct plex_substream *substream);
struct plex_session *plex_substream_session(const struct plex_substream *substream);
uint16_t plex_substream_id(const struct plex_substream *substream);
enum plex_kind plex_substream_kind(const struct plex_substream *substream);
/* Data payload both ways, in bytes. */
void plex_substream_bytes(const struct plex_substream *substream, uint64_t *ret_in,
                          uint64_t *ret_out);

/* --- Reading messages --- */

/* What on_message brings is read in place, without memory of its own. A value is a pointer into the
 * text, and lives as long as the text does. Only texts that the engine has handed out, or that
 * plex_json_check() accepted, may be read: no function but that one looks for their end. A missing
 * value is NULL, which every reader takes as "not of my type". */

/* True for exactly one object as RFC 8259 writes it, in UTF-8, without NUL (not as an escape
 * either), lone surrogates or deeper nesting than §3.1 allows, and with nothing but white space
 * around it. */
bool plex_json_check(const char *text, size_t length);
/* The values of an object's keys, NULL for those that aren't there. keys are texts with their NUL
 * one after the other, the last followed by an empty one ("service\0status\0"); ret_values has room
 * for as many. Returns the object's end; NULL, and ret_values undefined, when one of the keys is
 * there twice, as its two readers might choose differently, or when it isn't an object. */
const char *plex_json_read(const char *object, const char *keys,
                           const char **ret_values) PLEX_MUST_USE;
/* Copies a string with its NUL and returns its whole length, which may be more than fitted (then it
 * is cut at a character's border); -1 when value isn't a string. capacity: at least 1. */
int plex_json_copy(const char *value, char *buffer, size_t capacity);
/* A number without fraction and exponent, from 0 to `most`, which is at most 2^63-1. */
bool plex_json_whole(const char *value, uint64_t most, uint64_t *ret_number) PLEX_MUST_USE;

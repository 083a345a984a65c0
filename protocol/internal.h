/* What the engine's files share. The map:
 *
 *   frame, json, write   codecs: they know no session
 *   table                a session's substreams by id
 *   feed                 bytes in: frames, torn as they come; held ones
 *   compose              our JSON from templates
 *   message              what a JSON text means, and says it to auth or substream
 *   auth                 token, answer, extensions
 *   substream            a substream's life, and its half of the public interface
 *   flow                 credit, windows, budgets; without them buffers and stalls; late frames
 *   ping                 pings and round trips
 *   pull                 bytes out
 *   session              a session's life, deadlines, and its half of the public interface
 *
 * What is due to the host beside the callbacks of feed, pull and tick (on_resume, on_output) is
 * told by plex_session_settle(), with which every public function ends that may have made it due.
 * Substreams that are over are freed there too, by the outermost function only (depth counts those
 * that call back): so pointers held further up the stack stay good, whatever a callback does. */
#pragma once

#include "frame.h"
#include "json.h"
#include "streamplex.h"
#include "write.h"

/* What a board's build (PLEX_BOARD in streamplex.h) leaves out. Asked for in plain conditions, so
 * that the compiler sees all of it in both builds and drops what can't happen. */
#ifdef PLEX_BOARD
#define PLEX_HAS_SERVER   0
#define PLEX_HAS_BUFFER   0
#define PLEX_HAS_GROWTH   0
#define PLEX_HAS_MESSAGES 0
#else
#define PLEX_HAS_SERVER   1 /* the server's side; budgets that sessions share */
#define PLEX_HAS_BUFFER   1 /* without flow: a buffer's limit, stalls, and a limit to late data */
#define PLEX_HAS_GROWTH   1 /* windows that grow, and the round trips that they grow by */
#define PLEX_HAS_MESSAGES 1 /* the host's own messages on channel 0 */
#endif

/* Refusals of opens that wait to be pulled, at which feed stops: each is a substream's memory. */
#define PLEX_REFUSALS_MAX 64
/* Late data on a legacy tunnel, and late frames other than data on any, per second (§7.4). */
#define PLEX_LATE_PER_SECOND (1u << 20)
/* Under pressure a substream's window isn't refilled beyond this: a frame. */
#define PLEX_WINDOW_FLOOR 16384
/* Credit is a sum that fits this (§8.2). */
#define PLEX_CREDIT_MAX 0x7fffffffu
/* Held beside PLEX_HELD_BYTES_MAX: the open that reaches a limit, and a frame begun when the answer
 * comes. */
#define PLEX_HELD_SLACK (2 * (PLEX_JSON_BEFORE_AUTH + PLEX_HEADER_SIZE))
#define PLEX_CODE_MAX   32
/* The room that a host gets for a message of its own: less than every max_json leaves it. */
#define PLEX_MESSAGE_ROOM 960
/* A token message's frame: no server takes a longer one. */
#define PLEX_TOKEN_FRAME (PLEX_HEADER_SIZE + PLEX_JSON_BEFORE_AUTH)
#define PLEX_SECOND      UINT64_C(1000000)

/* Frames that a substream is due to send, in the order in which they are written. DUE_LOOKUP <<
 * enum plex_event. */
enum plex_due {
    DUE_OPEN = 1 << 0,
    DUE_CONNECT = 1 << 1, /* `_pls_connect` */
    DUE_IDLE = 1 << 2,    /* `_pls_timeout` */
    DUE_LOOKUP = 1 << 3,
    DUE_CONNECTED = 1 << 4,
    DUE_SECURE = 1 << 5,
    DUE_TIMEOUT = 1 << 6,
    DUE_BEFORE_DATA = (1 << 7) - 1,
    DUE_ERROR = 1 << 7,
    DUE_END = 1 << 8,
    DUE_CLOSE = 1 << 9,
    DUE_AFTER_DATA = DUE_ERROR | DUE_END | DUE_CLOSE,
    /* These go ahead of data, and with a reset its error. */
    DUE_CREDIT = 1 << 10,
    DUE_RESET = 1 << 11,
    DUE_URGENT = DUE_CREDIT | DUE_RESET,
};

enum plex_mark {
    SUB_OPENER = 1 << 0,
    SUB_HOST = 1 << 1, /* the host still knows it */
    SUB_IN_END = 1 << 2,
    SUB_OUT_END = 1 << 3, /* no more data from the host */
    SUB_END_SENT = 1 << 4,
    SUB_DATA = 1 << 5,      /* the host said ready */
    SUB_CONNECTED = 1 << 6, /* `_pls_connect` went or came */
    SUB_REFUSED = 1 << 7,
    SUB_DROP = 1 << 8, /* aborted: what on_pull returns is dropped */
    SUB_GONE = 1 << 9, /* over, to be freed */
    SUB_READY_LIST = 1 << 10,
    SUB_URGENT_LIST = 1 << 11,
};

/* Texts that wait to be written: host; service and visitor; address; message and code. */
struct plex_text {
    uint16_t size;   /* of the allocation */
    uint16_t second; /* where the second one begins, 0: there is none */
    char bytes[];    /* each with its NUL */
};

enum plex_list_kind { LIST_READY, LIST_URGENT, LIST_COUNT };

struct plex_list {
    struct plex_substream *first, *last;
};

/* In both large structures what is small and often asked for comes first: short offsets make short
 * code. */
struct plex_substream {
    uint16_t marks; /* enum plex_mark */
    uint16_t due;   /* enum plex_due */
    uint16_t id;
    uint16_t port;
    int16_t reason; /* of the abort, 0: the host's */
    uint8_t kind;
    uint8_t told; /* events told, 1 << enum plex_event */
    struct plex_session *session;
    void *user;
    struct plex_text *text;
    struct plex_substream *chain; /* in the table */
    uint32_t credit_in;           /* what the peer may still send */
    uint32_t credit_out;          /* what we may still send */
    uint32_t buffered;            /* the host has it and hasn't consumed it */
    uint32_t window;              /* what the peer may send without us having consumed any */
    uint32_t epoch_bytes;         /* bytes_in at the epoch, its low half */
    uint32_t idle;                /* milliseconds of `_pls_timeout` */
    uint64_t epoch;               /* when measuring the rate began */
    struct {
        struct plex_substream *next, *previous;
    } link[LIST_COUNT]; /* when GONE, the ready link chains what is to be freed */
    uint64_t bytes_in, bytes_out;
};

/* 2^bits slots or none, each with a chain of one or two. */
struct plex_table {
    struct plex_substream **slots;
    uint32_t count;
    uint8_t bits;
};

enum plex_mode { MODE_SKIP, MODE_LATE, MODE_DATA, MODE_SMALL, MODE_JSON, MODE_HOLD };

/* A frame received in part. */
struct plex_parser {
    uint8_t header[PLEX_HEADER_SIZE];
    uint8_t have; /* bytes of the header */
    uint8_t mode;
    uint16_t size, left; /* the payload's */
    uint32_t counted;
    uint8_t *json; /* gathered, when it was torn */
    uint8_t small[8];
};

/* Frames that wait for a token's acceptance. */
struct plex_held {
    uint8_t *bytes;
    uint32_t size, capacity;
    uint32_t replayed;
    uint16_t opens;
};

/* What one side of the negotiation says, or said (§8.1). */
struct plex_terms {
    uint32_t window;
    uint16_t max_json;
    uint16_t max_substreams;
    uint8_t features;
    bool present;
};

enum plex_control {
    CONTROL_TOKEN = 1 << 0,
    CONTROL_REFUSED = 1 << 1,
    CONTROL_ACCEPTED = 1 << 2,
    CONTROL_PONG = 1 << 3,
    CONTROL_PING = 1 << 4,
    CONTROL_GOAWAY = 1 << 5,
    CONTROL_ERROR = 1 << 6,
    CONTROL_MESSAGE = 1 << 7, /* the host has messages */
};

struct plex_session {
    struct plex_parser parser;
    uint8_t control; /* enum plex_control */
    uint8_t depth;
    uint8_t features;
    bool authed;
    bool token_pending; /* server: to be answered; device: awaiting the answer */
    bool v1;
    bool going_away; /* we refuse new ones */
    bool peer_going_away;
    bool paused;
    bool full;
    bool held_full;
    bool late_full; /* a second's worth of late data came: what follows waits for the next */
    bool detached;
    bool fresh; /* feed may take bytes again, but when is not known before the host says the time */
    bool stopped; /* feed takes no more: on_resume is due when it does */
    bool told_output;
    bool told_error;
    bool answer_terms; /* a token message or answer to be written carries ours */
    bool own_wrapped;
    bool ping_out;
    bool freeing;
    int16_t error;
    uint16_t own_last, peer_high; /* ids */
    uint16_t own_count, peer_count;
    uint16_t peer_max; /* substreams the peer lets us open */
    uint16_t refusals;
    uint16_t goaway_code;
    uint16_t token_size, token_pulled;
    const struct plex_config *config;
    struct plex_table table;
    uint32_t buffered;
    struct plex_held held;
    struct plex_list lists[LIST_COUNT];
    uint64_t now;
    uint64_t last_in;        /* the last byte, or since when feed takes bytes again */
    struct plex_terms ours;  /* announced */
    struct plex_terms asked; /* server: what the newest token asked for; device: what we did */
    uint32_t peer_window;
    void *user;
    struct plex_substream *over; /* to be freed at the outermost leave */
    uint8_t *token;              /* a token message as frame, to be pulled */

    uint64_t begun;   /* auth_timeout counts from here */
    uint64_t emptied; /* the last substream went */
    uint64_t bytes_in, bytes_out;

    uint64_t committed;   /* credit outstanding and bytes the host holds, with flow */
    uint64_t late_credit; /* credit of substreams that are over */
    uint64_t late_start;
    uint32_t late[2]; /* bytes in this second: other frames, data */

    struct plex_substream *stalled; /* whom the stall clock is about */
    uint64_t stall_start;
    uint32_t stalls, stall_taken;

    uint64_t ping_sent;
    uint64_t rtt_start;
    uint64_t answered; /* when the ping was sent that was answered last */
    uint32_t rtt_last; /* how long that took */
    uint32_t rtt[2];   /* least of this and the last five seconds; 0: none */
    uint32_t ping_number;
    uint8_t pong[8];
    uint16_t peer_max_json; /* known when an extension is in force */
};

static inline bool plex_is_server(const struct plex_session *session)
{
    return PLEX_HAS_SERVER && session->config->side == PLEX_SERVER;
}

/* Held frames that may be parsed now. */
static inline bool plex_feed_waits(const struct plex_session *session)
{
    return PLEX_HAS_SERVER && session->held.bytes && session->authed &&
           plex_session_can_take(session);
}

/* The host has to consume, or a second to pass, before there is room for more. */
static inline bool plex_is_full(const struct plex_session *session)
{
    return PLEX_HAS_BUFFER && (session->full || session->late_full);
}

/* session.c */
void *plex_session_alloc(const struct plex_session *session, size_t size);
void plex_session_release(const struct plex_session *session, void *memory, size_t size);
void plex_session_time(struct plex_session *session, uint64_t now);
void plex_session_settle(struct plex_session *session);
/* The end of a function that began with depth++ because it calls back. */
void plex_session_leave(struct plex_session *session);
/* Ends it: the peer is told, every substream goes. Returns the error. The first one counts. */
int plex_session_die(struct plex_session *session, int error);

/* table.c */
struct plex_substream *plex_table_find(const struct plex_table *table, uint16_t id);
int plex_table_add(struct plex_session *session, struct plex_substream *substream);
void plex_table_remove(struct plex_session *session, struct plex_substream *substream);
/* Any substream from *cursor on, cyclically; NULL when there is none. The table may change between
 * calls. */
struct plex_substream *plex_table_any(const struct plex_table *table, uint32_t *cursor);
void plex_list_append(struct plex_substream *substream, enum plex_list_kind kind);
void plex_list_remove(struct plex_substream *substream, enum plex_list_kind kind);

/* feed.c */
int plex_feed_replay(struct plex_session *session);
/* The held frames begin, and what was received of a frame in part goes behind them. */
int plex_feed_unhold(struct plex_session *session);
/* The channel-0 JSON frame that was just received is held too. */
int plex_feed_hold(struct plex_session *session, const char *text, size_t length);
void plex_feed_drop(struct plex_session *session);
bool plex_feed_in_frame(const struct plex_session *session);

/* message.c: 0 or the tunnel's fault. */
int plex_message_tunnel(struct plex_session *session, const char *text, size_t length);
int plex_message_substream(struct plex_substream *substream, const char *text);
/* The host's messages, as many as there is room for. */
void plex_message_write(struct plex_session *session, struct plex_writer *writer);

/* compose.c: JSON from templates, whose letters are explained there. */
void plex_compose(struct plex_writer *writer, struct plex_session *session,
                  const struct plex_substream *substream, const char *template);
void plex_compose_frame(struct plex_writer *writer, struct plex_session *session,
                        const struct plex_substream *substream, uint16_t channel,
                        const char *template);
/* The frame of one enum plex_due, DUE_CLOSE and before. */
void plex_compose_event(struct plex_writer *writer, const struct plex_substream *substream,
                        uint16_t due);
/* A substream's fault as the wire's number, 0: none. */
uint16_t plex_compose_reason(const struct plex_substream *substream);

/* auth.c */
#define PLEX_FEATURE_COUNT 5
extern const char *const plex_auth_features[PLEX_FEATURE_COUNT];
int plex_auth_message(struct plex_session *session, const char *object);
void plex_auth_write(struct plex_session *session, struct plex_writer *writer);

/* substream.c */
int plex_substream_accept(struct plex_session *session, uint16_t id, int kind, int refusal,
                          const char *service, const char *visitor);
void plex_substream_data(struct plex_substream *substream, const void *data, size_t size);
void plex_substream_peer_reset(struct plex_substream *substream);
/* The engine aborts it for `reason`, and says so to the host. */
void plex_substream_fault(struct plex_substream *substream, int reason);
/* Over: out of every list, to be freed. The host knows. */
void plex_substream_over(struct plex_substream *substream);
/* Takes it from the host, who is told unless reason is 0. */
void plex_substream_lose(struct plex_substream *substream, int reason);
/* Puts it into the lists it belongs to. */
void plex_substream_mark(struct plex_substream *substream);

/* flow.c */
static inline bool plex_flow_on(const struct plex_session *session)
{
    return session->features & PLEX_FLOW;
}
void plex_flow_open(struct plex_substream *substream);
/* Gives back what it is charged for. */
void plex_flow_uncharge(struct plex_substream *substream);
void plex_flow_received(struct plex_substream *substream, size_t size);
void plex_flow_check(struct plex_substream *substream);
int plex_flow_credit(struct plex_substream *substream, uint32_t credit);
void plex_flow_write(struct plex_substream *substream, struct plex_writer *writer);
/* Without flow: is the session full, and who is to blame? */
void plex_flow_fill(struct plex_session *session);
void plex_flow_drain(struct plex_session *session);
/* The stall clock has run out. */
void plex_flow_stall(struct plex_session *session);
/* A frame, or a part of its payload, on a substream that is over. */
int plex_flow_late(struct plex_session *session, bool data, size_t size);
void plex_flow_late_over(struct plex_session *session); /* the second */
void plex_flow_move_budget(struct plex_session *session, struct plex_budget *to);

/* ping.c */
void plex_ping_request(struct plex_session *session);
void plex_ping_bulk(struct plex_session *session);
void plex_ping_write(struct plex_session *session, struct plex_writer *writer);
void plex_ping_pong(struct plex_session *session, const uint8_t bytes[8]);
uint32_t plex_ping_rtt(const struct plex_session *session);

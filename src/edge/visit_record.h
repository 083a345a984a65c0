/* One visit, as logs and the agent's live log have it. Texts are borrowed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct visit_record {
    const char *service; /* the agent's name of the service */
    const char *socket;  /* host name, or host:port */
    const char *owner;   /* for the access log alone */
    const char *type;    /* "http", "https", "tls", "tcp", "passthrough" */
    const char *visitor; /* address without port */
    const char *method, *target, *version, *referer, *user_agent; /* http types; "" else */
    const char *error; /* page_code() or a tunnel's reason; "" when all was well */
    uint64_t time;     /* when it began, milliseconds since 1970 */
    int status; /* http types: 0 when there was no answer; else 200, or 502 when no service took it
                 */
    uint64_t bytes_in;  /* from the visitor */
    uint64_t bytes_out; /* to the visitor */
    uint64_t total;     /* microseconds */
    uint64_t answer;    /* of which between the request's entering the tunnel and the answer's first
                           byte; 0: none */
    uint64_t service_time; /* of that, what the service took: the agent knows; 0 elsewhere */
    uint16_t substream;    /* 0: none */
};

#define VISIT_LINE_MAX 2048

/* The live log's line, without a line feed; control characters and quotes are escaped, long texts
 * are cut. Returns its length, under VISIT_LINE_MAX; it is NUL-terminated. http and https:
 *
 *   192.0.2.106 - - [25/Nov/2020:17:13:06 +0000] "GET / HTTP/1.1" 200 432 "-" "curl/7.64.0"
 *   response_time="0.032 sec" edge=1.2ms tunnel=3.4ms service=5.6ms
 *
 * with " error=CODE" after it when there is one; the last two shares are one, `answer`, where the
 * service's isn't known, and there are none without an answer. Other types:
 *
 *   192.0.2.106 [25/Nov/2020:19:19:50 +0000] TCP 200 bytes_sent:8 bytes_received:5 session_time:
 * 1.899 */
size_t visit_record_line(const struct visit_record *record, char buffer[VISIT_LINE_MAX]);
/* The same with ` socket=HOST owner="OWNER"` behind it. */
size_t visit_record_access_line(const struct visit_record *record, char buffer[VISIT_LINE_MAX]);
/* As a JSON object without a line feed, for --json and for an access log in JSON; empty texts and
 * times of 0 are left out, and keys end in the unit (total_us) where there is one. Under
 * VISIT_LINE_MAX bytes: long texts are cut. Not terminated. */
size_t visit_record_json(const struct visit_record *record, char buffer[VISIT_LINE_MAX]);
/* The `visit` message for the agent, {"visit":{...}} as STREAMPLEX.md 8.8 has it, likewise, at most
 * 1000 bytes: without socket, owner and the service's time. */
size_t visit_record_message(const struct visit_record *record, char buffer[VISIT_LINE_MAX]);

/* The agent's copy of one. Large: for the stack of whoever reads it. */
struct visit_message {
    struct visit_record record; /* service_time is 0, for the agent to set */
    char texts[1024];           /* the record's: what 8.8 lets a message have, and more */
};

/* Reads a message from a text that the engine handed out (on_message) or plex_json_check()
 * accepted. False: not a visit (service, visitor and a known type are needed, all else may be
 * missing), a value of another type or out of its range, or texts longer than a visit's;
 * ret_message is undefined then. */
bool visit_message_read(const char *json, struct visit_message *ret_message);

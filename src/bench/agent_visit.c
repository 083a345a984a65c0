#include "bench/agent_visit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/agents.h"
#include "streamplex.h"

struct agent_visit {
    unsigned matched; /* bytes of the blank line that ends a head */
    unsigned asked;   /* requests that aren't answered yet */
    char answer[128]; /* NUL-terminated */
    size_t at;
};

static void on_open(struct plex_substream *substream, enum plex_kind kind, const char *service,
                    const char *visitor)
{
    (void)kind;
    (void)service;
    (void)visitor;
    struct agent_visit *visit = calloc(1, sizeof(*visit));
    if (!visit) {
        plex_substream_abort(substream, "out of memory", "ENOMEM");
        return;
    }
    char body[AGENT_BODY_SIZE + 1];
    agents_body(agent_number(plex_substream_session(substream)), body);
    snprintf(visit->answer, sizeof(visit->answer),
             "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", AGENT_BODY_SIZE, body);
    plex_substream_set_user(substream, visit);
    plex_substream_notify(substream, PLEX_EVENT_CONNECT, NULL);
}

static void on_data(struct plex_substream *substream, const void *data, size_t length)
{
    static const char end[] = "\r\n\r\n";
    struct agent_visit *visit = plex_substream_user(substream);
    const char *bytes = data;
    for (size_t i = 0; i < length; i++) {
        visit->matched = bytes[i] == end[visit->matched] ? visit->matched + 1 : bytes[i] == '\r';
        if (visit->matched == 4) {
            visit->matched = 0;
            visit->asked++;
        }
    }
    plex_substream_consume(substream, length);
    if (visit->asked) {
        plex_substream_ready(substream);
    }
}

static size_t on_pull(struct plex_substream *substream, void *buffer, size_t capacity)
{
    struct agent_visit *visit = plex_substream_user(substream);
    size_t size = strlen(visit->answer) - visit->at;
    if (!visit->asked || !capacity) {
        return 0;
    }
    size = size < capacity ? size : capacity;
    memcpy(buffer, visit->answer + visit->at, size);
    visit->at += size;
    if (!visit->answer[visit->at]) {
        visit->at = 0;
        visit->asked--;
    }
    return size;
}

static void on_end(struct plex_substream *substream)
{
    free(plex_substream_user(substream));
    plex_substream_set_user(substream, NULL);
    plex_substream_close(substream);
}

static void on_gone(struct plex_substream *substream, int reason)
{
    (void)reason;
    free(plex_substream_user(substream));
}

void agent_visit_fill_callbacks(struct plex_callbacks *callbacks)
{
    callbacks->on_open = on_open;
    callbacks->on_data = on_data;
    callbacks->on_pull = on_pull;
    callbacks->on_end = on_end;
    callbacks->on_gone = on_gone;
}

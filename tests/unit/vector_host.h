/* A program around one session, as the vectors see it: it writes down what it is told, keeps what
 * it is to send, and does what a `do` line says. No assertion is made here. */
#pragma once

#include "streamplex.h"
#include "vector_frame.h"

#define VECTOR_SUBSTREAMS 128 /* at once; more than any case opens */

struct vector_told {
    char *text;               /* such as "open 2 net"; NULL for data */
    uint16_t id;              /* data only */
    struct vector_bytes data; /* neighbouring pieces are one entry */
};

struct vector_substream {
    struct plex_substream *substream; /* NULL: free, for it is gone, or given back to the engine */
    uint16_t id;
    struct vector_bytes to_send;
    bool end_after; /* end once to_send is empty */
};

struct vector_host {
    struct plex_session *session;
    struct vector_told *told;
    size_t told_count;
    struct vector_substream substreams[VECTOR_SUBSTREAMS];
    struct vector_bytes messages; /* to be sent, each with its NUL */
    bool consume_auto;
    bool stopped;  /* feed took less than it could get; until on_resume nothing is fed */
    size_t memory; /* bytes that the engine holds */
    uint64_t now;
    int result; /* the last one of feed, tick and authorize that wasn't 0 */
};

extern const struct plex_callbacks vector_host_callbacks;
void *vector_host_alloc(void *host, size_t size);
void vector_host_free(void *host, void *memory, size_t size);

/* What a `do` line says, without the "do". False: it failed, or can't be read. */
bool vector_host_do(struct vector_host *host, const char *line);
/* Forgets the first thing told. */
void vector_host_told_drop(struct vector_host *host);
const char *vector_host_event_name(enum plex_event event);

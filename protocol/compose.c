/* The JSON that we write, from templates: exactly the texts that deployed devices know (§3 to §8).
 * A `$` and a letter stand for what changes:
 *
 *   $o  the beginning of a message   $c  the beginning of an event of acceptor or opener
 *   $i  id      $p  port     $m  milliseconds        $k  kind, and what an inbound open says
 *   $t  $v  the substream's texts                    $a  the address, for those who read it
 *   $e  a substream's error          $x  the session's error
 *   $g  extensions, when due         $f  features    $w  $j  $s  numbers of the extensions */
#include "internal.h"

#include <string.h>

/* What a string takes at most, escapes included: every text but a token fits PLEX_PULL_MIN with
 * what is around. */
#define STRING_MAX 700

static const char *const kinds[] = {"net\"", "tls\"", "inbound\",\"service\":$t,\"visitor\":$v"};

static void write_text(struct plex_writer *writer, const char *text)
{
    plex_write_string(writer, text, strlen(text), STRING_MAX);
}

static void write_features(struct plex_writer *writer, unsigned mask)
{
    bool first = true;
    for (unsigned i = 0; i < PLEX_FEATURE_COUNT; i++)
        if (mask & 1u << i) {
            if (!first)
                plex_write_raw(writer, ",", 1);
            first = false;
            write_text(writer, plex_auth_features[i]);
        }
}

static void write_error(struct plex_writer *writer, const struct plex_substream *substream)
{
    const char *message, *code = NULL;
    if (substream->reason) {
        message = plex_error_text(substream->reason);
        if (plex_compose_reason(substream))
            code = plex_error_name(substream->reason);
    } else {
        message = substream->text->bytes;
        if (substream->text->second)
            code = message + substream->text->second;
    }
    write_text(writer, message);
    if (code && substream->session->v1) {
        plex_write_raw(writer, ",\"code\":", 8);
        write_text(writer, code);
    }
}

void plex_compose(struct plex_writer *writer, struct plex_session *session,
                  const struct plex_substream *substream, const char *template)
{
    const struct plex_text *text = substream ? substream->text : NULL;
    const struct plex_terms *terms = &session->ours;
    while (*template) {
        const char *run = template, *insert = "";
        while (*template && *template != '$')
            template ++;
        plex_write_raw(writer, run, (size_t)(template - run));
        if (!*template)
            return;
        template += 2;
        switch (template[-1]) {
        case 'o':
            insert = "{\"type\":\"message\",\"object\":{\"";
            break;
        case 'c':
            insert = "{\"event\":\"custom\",\"emitArgs\":[\"";
            break;
        case 'k':
            insert = kinds[substream->kind];
            break;
        case 'a':
            /* With an error due, the text is the error's. */
            if (text && !(substream->due & DUE_ERROR))
                insert = ",{\"address\":$t}";
            break;
        case 'g':
            if (session->answer_terms)
                insert = ",\"streamplex\":{\"version\":1,\"features\":[$f],\"window\":$w,"
                         "\"max_json\":$j,\"max_substreams\":$s}";
            break;
        case 't':
            write_text(writer, text->bytes);
            break;
        case 'v':
            write_text(writer, text->bytes + text->second);
            break;
        case 'e':
            write_error(writer, substream);
            break;
        case 'x':
            write_text(writer, plex_error_text(session->error));
            break;
        case 'f':
            write_features(writer, terms->features);
            break;
        case 'i':
            plex_write_number(writer, substream->id);
            break;
        case 'p':
            plex_write_number(writer, substream->port);
            break;
        case 'm':
            plex_write_number(writer, substream->idle);
            break;
        case 'w':
            plex_write_number(writer, terms->window);
            break;
        case 'j':
            plex_write_number(writer, terms->max_json);
            break;
        default:
            plex_write_number(writer, terms->max_substreams);
            break;
        }
        plex_compose(writer, session, substream, insert);
    }
}

void plex_compose_frame(struct plex_writer *writer, struct plex_session *session,
                        const struct plex_substream *substream, uint16_t channel,
                        const char *template)
{
    plex_write_begin(writer, channel, PLEX_FRAME_JSON);
    plex_compose(writer, session, substream, template);
    plex_write_end(writer);
}

void plex_compose_event(struct plex_writer *writer, const struct plex_substream *substream,
                        uint16_t due)
{
    static const char *const events[] = {
        "{\"type\":\"stream\",\"sock\":$i,\"name\":\"$k}",
        "$c_pls_connect\",$p,$t]}",
        "$c_pls_timeout\",$m]}",
        "$clookup\"]}",
        "$cconnect\"$a]}",
        "$csecureConnect\"]}",
        "$ctimeout\"]}",
        "{\"event\":\"error\",\"message\":$e}",
        "{\"event\":\"end\"}",
        "$cclose\"]}",
    };
    unsigned event = 0;
    while (!(due >> event & 1))
        event++;
    plex_compose_frame(writer, substream->session, substream, event ? substream->id : 0,
                       events[event]);
}

uint16_t plex_compose_reason(const struct plex_substream *substream)
{
    int reason = substream->reason;
    return reason > PLEX_TUNNEL_FRAME_LENGTH ? (uint16_t)-reason : 0;
}

/* What an agent and the server tell each other on channel 0 of a tunnel with `inbound`
 * (STREAMPLEX.md 8.8): sockets to register, the answers, and visits. One per tunnel that has sent
 * or got such a message; the worker's.
 */
#pragma once

#include <stddef.h>

struct tunnel;
struct registration;
struct socket_question;

#define REGISTRATION_VISIT_MAX 1000 /* bytes of a `visit` */

/* The engine's on_message for a tunnel: parses, and asks sockets_ask(). A bad one is answered
 * `refused`, or faults the tunnel's log alone when it names no service; never the tunnel's end. At
 * most 64 sockets a tunnel. While 16 questions are under way, or 64 answers wait to be pulled, the
 * session is paused. */
void registration_on_message(struct tunnel *tunnel, const char *json, size_t length);
/* The engine's on_goaway: the agent takes no more visitors, and its sockets learn that now. */
void registration_on_goaway(struct tunnel *tunnel);
/* The engine's on_message_pull. */
size_t registration_pull(struct tunnel *tunnel, char *buffer, size_t capacity);
/* The answer to a question, on the worker's loop. */
void registration_answered(struct tunnel *tunnel, const struct socket_question *question);
/* A visit for the agent, an object; dropped when it is longer than REGISTRATION_VISIT_MAX, or when
 * 256 wait already. It may wait 20 ms for something that it can go along with. */
void registration_tell_visit(struct tunnel *tunnel, const char *json, size_t length);
/* Something is about to be sent, or the tunnel is about to close: visits go along. */
void registration_send_visits(struct tunnel *tunnel);
/* The tunnel closes: the sockets learn that it is gone. NULL registration is fine. */
void registration_free(struct tunnel *tunnel);

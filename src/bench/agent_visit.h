/* A visit at an agent that the bench plays: an HTTP request read to the end of its head, and the
 * agent's number as the answer. */
#pragma once

struct plex_callbacks;

/* What sessions of such agents call back for their substreams; the session's user is an agent's
 * tunnel. */
void agent_visit_fill_callbacks(struct plex_callbacks *callbacks);
/* By an agent's session, what it answers. For agents.c to define. */
struct plex_session;
int agent_number(struct plex_session *session);

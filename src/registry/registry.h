/* The registry: which sockets there are, whose they are, and which tunnels serve them now.
 *
 * One registry, on the main thread, decides: it grants names and ports, and knows who is online.
 * Each worker has a directory (registry/directory.h), its own copy for lookups without a lock; the
 * registry publishes each change, and who posts the changes to the workers keeps their order. So a
 * visitor accepted after a change finds it.
 *
 * Facts and presences are shared between threads: they are counted by reference, and but for a
 * presence's `busy` and a socket's load nothing in them changes.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "registry/access.h"
#include "registry/load.h"
#include "registry/uuid.h"

#define REGISTRY_HOST_MAX        253 /* a host name, RFC 1035 */
#define REGISTRY_NAME_MAX        64  /* what people call a socket, bytes of UTF-8 */
#define REGISTRY_INSTANCE_MAX    64
#define REGISTRY_OWNER_MAX       128
#define REGISTRY_DESCRIPTION_MAX 1024 /* bytes of UTF-8 */

enum socket_type { SOCKET_HTTP, SOCKET_HTTPS, SOCKET_TLS, SOCKET_TCP, SOCKET_PASSTHROUGH };
/* "http", "https", "tls", "tcp", "passthrough"; -1 for any other text. */
int socket_type_parse(const char *text);
const char *socket_type_name(enum socket_type type);
/* Is it found by a host name (else by its own port)? */
bool socket_type_has_host(enum socket_type type);

/* A tunnel, as a value: valid as long as that slot has that generation. */
struct tunnel_ref {
    uint16_t node; /* 0: this one */
    uint16_t worker;
    uint32_t slot, generation;
};
bool tunnel_ref_is_same(const struct tunnel_ref *a, const struct tunnel_ref *b);

/* What is known and kept of a socket, whether online or not. Immutable. */
struct socket_facts {
    atomic_int references;
    uint64_t id;          /* in the store; never reused */
    char uuid[UUID_SIZE]; /* what people and the API call it; never changes; "": none */
    enum socket_type type;
    char *owner, *name;
    char *description; /* or NULL */
    char *hostname;    /* lower case, without a dot at the end; for tls and tcp the edge domain */
    uint16_t port;     /* tls and tcp: its own; else 0 */
    uint64_t created;  /* seconds since 1970 */
    bool https_only;   /* plain HTTP is redirected */
    char *host_header; /* what the service gets as Host; NULL: what the visitor sent */
    struct socket_access *access; /* NULL: everybody may visit */
    bool cloud_authentication;    /* always false */
    struct socket_load *load;     /* goes on as the facts change; in values, NULL: a new one */
};

/* One tunnel that serves one socket. */
struct presence {
    atomic_int references;
    atomic_int busy; /* substreams open for its visitors; relaxed */
    struct tunnel_ref ref;
    uint64_t socket;                          /* facts->id */
    char service[65];                         /* what the agent calls it, PLEX_SERVICE_MAX */
    char instance[REGISTRY_INSTANCE_MAX + 1]; /* which agent it is, across its reconnects */
};

/* What is in it, but for the count of references, which other threads change: to be altered, and
 * given to socket_facts_new(). The strings are borrowed. */
struct socket_facts socket_facts_values(const struct socket_facts *facts);
/* A copy of the values, their strings and their access, with one reference; description,
 * host_header and access may be NULL. NULL: no memory. */
struct socket_facts *socket_facts_new(const struct socket_facts *values)
    __attribute__((warn_unused_result));
struct socket_facts *socket_facts_ref(struct socket_facts *facts);
void socket_facts_unref(struct socket_facts *facts); /* NULL is fine */
/* service and instance are cut to what has place. NULL: no memory. */
struct presence *presence_new(struct tunnel_ref ref, uint64_t socket, const char *service,
                              const char *instance) __attribute__((warn_unused_result));
struct presence *presence_ref(struct presence *presence);
void presence_unref(struct presence *presence); /* NULL is fine */

enum registry_change_kind {
    REGISTRY_PUT,     /* a socket is there, or its facts have changed */
    REGISTRY_REMOVE,  /* it is no more */
    REGISTRY_ONLINE,  /* one more tunnel serves it */
    REGISTRY_OFFLINE, /* one fewer */
};

/* One change, for each directory. The receiver of on_change takes a reference of what it keeps. */
struct registry_change {
    enum registry_change_kind kind;
    struct socket_facts *facts; /* always: the socket that it is about */
    struct presence *presence;  /* ONLINE, OFFLINE; else NULL */
};

struct registry_callbacks {
    void (*on_change)(void *user, const struct registry_change *change);
    /* An agent's newer self has taken the place of this tunnel's presence: close the tunnel. */
    void (*on_replaced)(void *user, struct tunnel_ref ref);
    /* The listener of a socket with a port of its own is to be open or closed; it may be so
     * already. Opened when such a socket is new, so that nobody else has its port, and when it goes
     * online; closed when the last of its tunnels has gone, or when it is cancelled. Returns 0, or
     * a negative errno, and then another port is tried (for a new socket) or registry_online()
     * fails. */
    int (*on_port)(void *user, const struct socket_facts *facts, bool open);
};

struct registry_options {
    const char *domain;                /* "edge.localhost" */
    const char *const *custom_domains; /* allowed beside it: "example.com" or "*.example.com" */
    size_t custom_domain_count;
    uint16_t first_port, last_port; /* for tls and tcp sockets; 0: none */
    uint32_t max_sockets_per_owner; /* stored ones; 0: no limit */
    /* Where made-up names come from: fills, 0 or -1. NULL: the system's random bytes. */
    int (*random)(void *bytes, size_t size);
};

struct registry;

/* Options are copied. 0, REGISTRY_BAD_NAME (a domain isn't a host name) or REGISTRY_MEMORY. */
int registry_new(const struct registry_options *options, const struct registry_callbacks *callbacks,
                 void *user, struct registry **ret_registry) __attribute__((warn_unused_result));
void registry_free(struct registry *registry); /* NULL is fine; on_change isn't called */
/* After a reload. Sockets that exist stay as they are. Fails as registry_new() does, and then
 * nothing has changed. */
int registry_configure(struct registry *registry, const struct registry_options *options)
    __attribute__((warn_unused_result));

enum registry_error {
    REGISTRY_OK = 0,
    REGISTRY_TAKEN = -1,    /* "NAME_TAKEN": the host name belongs to another owner */
    REGISTRY_BAD_NAME = -2, /* "NAME_INVALID": not a host name, or not below the domain */
    REGISTRY_NOT_ALLOWED =
        -3,                /* "NAME_NOT_ALLOWED": neither the edge's domain nor an allowed one */
    REGISTRY_NO_PORT = -4, /* "PORTS_EXHAUSTED" */
    REGISTRY_OTHER_TYPE =
        -5, /* "OTHER_TYPE": the owner's socket of this name or host is of another type */
    REGISTRY_TOO_MANY = -6, /* "TOO_MANY_SOCKETS" */
    REGISTRY_MEMORY = -7,   /* "OUT_OF_MEMORY" */
    REGISTRY_STORE = -8,    /* "STORE_FAILED": not by the registry itself; for who stores */
    REGISTRY_DRAINING = -9, /* "DRAINING": the same; the server is about to stop */
    REGISTRY_BUSY = -10,    /* "BUSY": another change of this socket is on its way to disk */
    REGISTRY_UNKNOWN = -11, /* "UNKNOWN_SOCKET" */
    REGISTRY_SCOPE = -12,   /* "TOKEN_SCOPE": not by the registry itself; for who knows the token */
    REGISTRY_NO_HTTPS = -13, /* "NO_HTTPS": the same; what was asked for needs an HTTPS listener */
};
const char *registry_error_name(int error);
const char *registry_error_text(int error); /* a sentence for the agent's user */

/* What an agent asks for. Strings are borrowed. */
struct socket_claim {
    const char *owner;
    const char *name; /* never NULL; owner and name find the socket again */
    enum socket_type type;
    const char *hostname; /* asked for, or NULL: made up (two words and four digits) */
    bool https_only;
    const char *host_header;            /* or NULL */
    const char *description;            /* NULL: none, or as it was */
    const struct socket_access *access; /* NULL: everybody, or as it was */
};

/* The owner's socket: that of the host name asked for, else that of this name, else a new one. One
 * that is there gets the host name asked for, and what else is asked for.
 *
 * A host name may be a label ("foo": foo.DOMAIN), a name one label below the domain, or one of the
 * custom domains; "*.example.com" covers one label, as in certificates. Sockets with a port of
 * their own have no host name to ask for (REGISTRY_NOT_ALLOWED).
 *
 * *ret_is_changed: it is new, or its facts have changed: store it, then registry_commit() or
 * registry_cancel(). Until then it is reserved, and a second claim of it gives the same facts,
 * changed too, whatever it asks for: claim again after the commit. A new one has an id that was
 * never given before, and a made-up name that nobody has. *ret_facts has one reference for the
 * caller. 0 or an enum registry_error. */
int registry_claim(struct registry *registry, const struct socket_claim *claim,
                   struct socket_facts **ret_facts, bool *ret_is_changed)
    __attribute__((warn_unused_result));
/* It is on disk: REGISTRY_PUT goes out. Ignored, as the next, when nothing is reserved with these
 * facts. */
void registry_commit(struct registry *registry, struct socket_facts *facts);
/* It couldn't be stored: as if it had not been claimed. */
void registry_cancel(struct registry *registry, struct socket_facts *facts);
/* At the start, from the store: REGISTRY_PUT goes out. 0, REGISTRY_TAKEN (id, name or port is
 * another's already) or REGISTRY_MEMORY. Takes a reference. */
int registry_load(struct registry *registry, struct socket_facts *facts)
    __attribute__((warn_unused_result));
/* New sockets have ids above this one and above those loaded. */
void registry_set_last_id(struct registry *registry, uint64_t id);
/* Every committed socket, then each of its presences: for a new directory. */
void registry_each(struct registry *registry,
                   void (*each)(void *user, const struct registry_change *change), void *user);

/* A tunnel serves a committed socket from now on; a presence of the same instance is replaced
 * (on_replaced, unless it is the same tunnel); an empty instance is nobody's newer self. 0,
 * REGISTRY_NO_PORT (its port can't be listened on) or REGISTRY_MEMORY. */
int registry_online(struct registry *registry, const struct socket_facts *facts,
                    struct tunnel_ref ref, const char *service, const char *instance)
    __attribute__((warn_unused_result));
/* The tunnel is gone: it serves nothing any more. Unknown ones are fine. */
void registry_offline(struct registry *registry, struct tunnel_ref ref);
/* New facts for a committed socket of that id: its name, description, access, https_only,
 * host_header, and http or https may be others; REGISTRY_NOT_ALLOWED when anything else is.
 * They are reserved as registry_claim() does it: store them, then registry_commit() (REGISTRY_PUT
 * goes out) or registry_cancel(). Takes a reference. 0, REGISTRY_UNKNOWN, REGISTRY_BUSY (something
 * is reserved already: ask again when it is committed or cancelled), REGISTRY_TAKEN (the owner has
 * another socket of that name), REGISTRY_OTHER_TYPE, REGISTRY_BAD_NAME or REGISTRY_MEMORY. */
int registry_reserve(struct registry *registry, struct socket_facts *facts)
    __attribute__((warn_unused_result));
/* The same, and REGISTRY_PUT goes out at once: for who has stored them already, or needn't. An
 * agent's claim that is made between the store's put and this one would undo it: who stores had
 * better reserve first. */
int registry_change(struct registry *registry, struct socket_facts *facts)
    __attribute__((warn_unused_result));
/* It is no more: what is reserved of it is cancelled, its presences end (REGISTRY_OFFLINE), its
 * port closes (on_port), REGISTRY_REMOVE goes out; its tunnels stay. 0 or REGISTRY_UNKNOWN.
 *
 * Remove from the store first, so that a socket whose end can't be written down goes on; and once
 * more afterwards, for a claim in between may have stored it again. */
int registry_remove(struct registry *registry, uint64_t id) __attribute__((warn_unused_result));
/* Of committed sockets; borrowed. NULL: there is none. */
struct socket_facts *registry_find_id(const struct registry *registry, uint64_t id);
struct socket_facts *registry_find_uuid(const struct registry *registry, const char *uuid);
/* Every committed socket of an owner (NULL: of all), in the order of their ids (NULL: of their
 * making). presences: how many tunnels serve it. `each` changes nothing in the registry. */
void registry_each_of(const struct registry *registry, const char *owner,
                      void (*each)(void *user, struct socket_facts *facts, size_t presences),
                      void *user);
/* Another number whenever anything that registry_each_of() tells has changed; 0: the owner has no
 * socket. NULL: of all. */
uint64_t registry_version(const struct registry *registry, const char *owner);

/* The presence for a visitor of a port, fewest busy substreams first, then in turn; borrowed. NULL:
 * none is online. */
struct presence *registry_pick(struct registry *registry, const struct socket_facts *facts);
size_t registry_count(const struct registry *registry);

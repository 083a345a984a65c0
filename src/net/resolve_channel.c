#include "net/resolve_channel.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "net/poll.h"
#include "net/timer.h"

#define SECOND 1000000u
#define DEFAULT_TIMEOUT                                                                            \
    (2 * SECOND) /* with the second try, 6 s a server: under a dial's usual deadline */
#define TRIES 2
/* ares_timeout() walks every open question, so timeouts are looked for by the clock while there are
 * questions. */
#define TICK_MAX (SECOND / 10)

struct channel_socket {
    struct channel_socket *next;
    struct poll *poll;
    int fd;
};

struct resolve_channel {
    struct loop *loop;
    ares_channel ares;
    struct ares_options configured; /* as c-ares read it: domains and ndots are wanted */
    struct channel_socket *sockets; /* a handful: one or two a server */
    struct timer tick;
    uint64_t tick_time;
    size_t questions;
};

struct question {
    struct resolve_channel *channel;
    int family;
    resolve_channel_on_answer *on_answer;
    void *user;
};

static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void library_init(void)
{
    /* Fails only where sockets have to be started first, which isn't here. */
    (void)ares_library_init(ARES_LIB_INIT_ALL);
}

static void socket_ready(void *user, int fd, bool readable, bool writable)
{
    struct resolve_channel *channel = user;
    ares_process_fd(channel->ares, readable ? fd : ARES_SOCKET_BAD,
                    writable ? fd : ARES_SOCKET_BAD);
}

static struct channel_socket *socket_add(struct resolve_channel *channel, int fd)
{
    struct channel_socket *socket = calloc(1, sizeof(*socket));
    if (!socket || poll_open(channel->loop, fd, socket_ready, channel, &socket->poll) != 0) {
        free(socket);
        return NULL; /* never readable: the question runs into its timeout */
    }
    socket->fd = fd;
    socket->next = channel->sockets;
    channel->sockets = socket;
    return socket;
}

/* c-ares says what it waits for; neither, right before it closes the socket. */
static void socket_state_changed(void *user, ares_socket_t fd, int readable, int writable)
{
    struct resolve_channel *channel = user;
    struct channel_socket **link = &channel->sockets;
    while (*link && (*link)->fd != fd) {
        link = &(*link)->next;
    }
    struct channel_socket *socket = *link;
    if (!readable && !writable) {
        if (socket) {
            *link = socket->next;
            poll_close(socket->poll);
            free(socket);
        }
        return;
    }
    if (!socket) {
        socket = socket_add(channel, fd);
    }
    if (socket) {
        poll_want(socket->poll, readable, writable);
    }
}

static void tick_run(struct timer *timer)
{
    struct resolve_channel *channel =
        (struct resolve_channel *)((char *)timer - offsetof(struct resolve_channel, tick));
    ares_process_fd(channel->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    if (channel->questions) {
        timer_start(timer, loop_now(channel->loop) + channel->tick_time);
    }
}

static int channel_configure(struct resolve_channel *channel,
                             const struct resolver_options *options)
{
    uint64_t timeout = options->timeout ? options->timeout : DEFAULT_TIMEOUT;
    channel->tick_time = timeout / 4 < TICK_MAX ? timeout / 4 : TICK_MAX;

    /* NOALIASES: HOSTALIASES in the environment is for shells. hosts files are ours to read. */
    struct ares_options wanted = {
        .flags = ARES_FLAG_NOALIASES,
        .timeout = (int)((timeout + 999) / 1000),
        .tries = TRIES,
        .sock_state_cb = socket_state_changed,
        .sock_state_cb_data = channel,
        .resolvconf_path = (char *)options->resolv_conf, /* copied */
    };
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
    if (options->resolv_conf) {
        mask |= ARES_OPT_RESOLVCONF;
    }
    if (ares_init_options(&channel->ares, &wanted, mask) != ARES_SUCCESS) {
        return RESOLVE_NO_MEMORY;
    }
    if (options->servers &&
        ares_set_servers_ports_csv(channel->ares, options->servers) != ARES_SUCCESS) {
        return RESOLVE_NO_MEMORY;
    }
    int saved;
    if (ares_save_options(channel->ares, &channel->configured, &saved) != ARES_SUCCESS) {
        return RESOLVE_NO_MEMORY;
    }
    return RESOLVE_OK;
}

int resolve_channel_new(struct loop *loop, const struct resolver_options *options,
                        struct resolve_channel **ret_channel)
{
    (void)pthread_once(&library_once, library_init);
    struct resolve_channel *channel = calloc(1, sizeof(*channel));
    if (!channel) {
        return RESOLVE_NO_MEMORY;
    }
    channel->loop = loop;
    timer_init(&channel->tick, loop, tick_run);
    int error = channel_configure(channel, options);
    if (error) {
        resolve_channel_free(channel);
        return error;
    }
    *ret_channel = channel;
    return RESOLVE_OK;
}

void resolve_channel_free(struct resolve_channel *channel)
{
    if (!channel) {
        return;
    }
    timer_stop(&channel->tick);
    if (channel->ares) {
        ares_destroy(channel->ares); /* closes its sockets through socket_state_changed() */
    }
    ares_destroy_options(&channel->configured);
    free(channel);
}

static int error_from_status(int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return RESOLVE_OK;
    case ARES_ENODATA:
    case ARES_ENOTFOUND:
    case ARES_EBADNAME:
        return RESOLVE_NOT_FOUND;
    case ARES_ENOMEM:
        return RESOLVE_NO_MEMORY;
    default:
        return RESOLVE_AGAIN;
    }
}

static int parse_a(const unsigned char *bytes, int length, union address *addresses, int *count,
                   int *ttl)
{
    struct ares_addrttl found[RESOLVE_ADDRESSES_MAX];
    *count = RESOLVE_ADDRESSES_MAX;
    int status = ares_parse_a_reply(bytes, length, NULL, found, count);
    for (int i = 0; status == ARES_SUCCESS && i < *count; i++) {
        addresses[i] = (union address){.v4 = {.sin_family = AF_INET, .sin_addr = found[i].ipaddr}};
        *ttl = i == 0 || found[i].ttl < *ttl ? found[i].ttl : *ttl;
    }
    return status;
}

static int parse_aaaa(const unsigned char *bytes, int length, union address *addresses, int *count,
                      int *ttl)
{
    struct ares_addr6ttl found[RESOLVE_ADDRESSES_MAX];
    *count = RESOLVE_ADDRESSES_MAX;
    int status = ares_parse_aaaa_reply(bytes, length, NULL, found, count);
    for (int i = 0; status == ARES_SUCCESS && i < *count; i++) {
        addresses[i] = (union address){.v6 = {.sin6_family = AF_INET6}};
        memcpy(&addresses[i].v6.sin6_addr, &found[i].ip6addr, sizeof(struct in6_addr));
        *ttl = i == 0 || found[i].ttl < *ttl ? found[i].ttl : *ttl;
    }
    return status;
}

static void question_answered(void *user, int status, int timeouts, unsigned char *bytes,
                              int length)
{
    struct question *question = user;
    union address addresses[RESOLVE_ADDRESSES_MAX];
    int count = 0, ttl = 0;

    question->channel->questions--;
    if (status == ARES_EDESTRUCTION) {
        free(question);
        return;
    }
    if (status == ARES_SUCCESS) {
        status = question->family == AF_INET ? parse_a(bytes, length, addresses, &count, &ttl)
                                             : parse_aaaa(bytes, length, addresses, &count, &ttl);
    }
    if (status == ARES_SUCCESS && count == 0) {
        status = ARES_ENODATA;
    }
    if (status != ARES_SUCCESS) {
        count = 0;
    }
    question->on_answer(question->user, error_from_status(status), addresses, (size_t)count,
                        ttl > 0 ? (uint32_t)ttl : 0);
    free(question);
}

void resolve_channel_ask(struct resolve_channel *channel, const char *name, int family,
                         resolve_channel_on_answer *on_answer, void *user)
{
    struct question *question = malloc(sizeof(*question));
    if (!question) {
        on_answer(user, RESOLVE_NO_MEMORY, NULL, 0, 0);
        return;
    }
    *question = (struct question){
        .channel = channel, .family = family, .on_answer = on_answer, .user = user};
    if (channel->questions++ == 0) {
        timer_start(&channel->tick, loop_now(channel->loop) + channel->tick_time);
    }
    ares_query(channel->ares, name, ns_c_in, family == AF_INET ? ns_t_a : ns_t_aaaa,
               question_answered, question);
}

bool resolve_channel_is_idle(const struct resolve_channel *channel)
{
    return channel->questions == 0;
}

size_t resolve_channel_domains(const struct resolve_channel *channel, char *const **ret_domains)
{
    *ret_domains = channel->configured.domains;
    return channel->configured.ndomains > 0 ? (size_t)channel->configured.ndomains : 0;
}

unsigned resolve_channel_ndots(const struct resolve_channel *channel)
{
    return channel->configured.ndots > 0 ? (unsigned)channel->configured.ndots : 0;
}

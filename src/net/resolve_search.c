#include "net/resolve_search.h"

#include <string.h>

#define SECOND        1000000u
#define PARTIAL_DELAY (SECOND / 20) /* RFC 8305, section 8: Resolution Delay */
#define TTL_MIN       1u /* a burst of dials to one name asks once, whatever the TTL says */
#define TTL_MAX       3600u
#define NEGATIVE_TTL  5u

/* The name that searching makes of this one next; NULL after the last. Names with at least ndots
 * dots are first tried as they are, others last; with a dot at the end there is nothing to search.
 */
static const char *candidate_name(const struct resolve_search *search,
                                  char buffer[2 * RESOLVE_NAME_MAX + 2])
{
    size_t length = strlen(search->name);
    if (search->name[length - 1] == '.') {
        return search->candidate == 0 ? search->name : NULL;
    }
    char *const *domains;
    size_t domain_count = resolve_channel_domains(search->channel, &domains);
    unsigned dots = 0;
    for (const char *c = search->name; *c; c++) {
        dots += *c == '.';
    }
    bool as_is_first = dots >= resolve_channel_ndots(search->channel);
    if (search->candidate == (as_is_first ? 0 : domain_count)) {
        return search->name;
    }
    size_t domain = search->candidate - as_is_first;
    if (domain >= domain_count) {
        return NULL;
    }
    size_t domain_length = strnlen(domains[domain], RESOLVE_NAME_MAX);
    memcpy(buffer, search->name, length);
    buffer[length] = '.';
    memcpy(buffer + length + 1, domains[domain], domain_length);
    buffer[length + 1 + domain_length] = 0;
    return buffer; /* a name that got too long isn't one: c-ares says so, and the search goes on */
}

/* Both families together, IPv6 first, cut to RESOLVE_ADDRESSES_MAX so that each keeps at least
 * half. */
static struct resolve_answer *answer_new(const struct resolve_search *search, int error,
                                         uint64_t expires)
{
    union address addresses[RESOLVE_ADDRESSES_MAX];
    size_t half = RESOLVE_ADDRESSES_MAX / 2;
    size_t v4 = search->v4.count, v6 = search->v6.count;
    if (v4 + v6 > RESOLVE_ADDRESSES_MAX) {
        size_t v4_kept = v6 < half ? RESOLVE_ADDRESSES_MAX - v6 : half;
        v4 = v4 < v4_kept ? v4 : v4_kept;
        v6 = RESOLVE_ADDRESSES_MAX - v4;
    }
    memcpy(addresses, search->v6.addresses, v6 * sizeof(addresses[0]));
    memcpy(addresses + v6, search->v4.addresses, v4 * sizeof(addresses[0]));
    return resolve_answer_new(error, addresses, v4 + v6, expires);
}

static int search_error(const struct resolve_search *search)
{
    if (search->v4.count || search->v6.count) {
        return RESOLVE_OK;
    }
    if (search->v4.error == RESOLVE_NO_MEMORY || search->v6.error == RESOLVE_NO_MEMORY) {
        return RESOLVE_NO_MEMORY;
    }
    if (search->v4.error == RESOLVE_AGAIN || search->v6.error == RESOLVE_AGAIN) {
        return RESOLVE_AGAIN;
    }
    return RESOLVE_NOT_FOUND;
}

/* Seconds. A family that failed without saying that it has no addresses is asked for again soon. */
static uint32_t search_ttl(const struct resolve_search *search)
{
    const struct resolve_part *parts[] = {&search->v6, &search->v4};
    uint32_t ttl = TTL_MAX;
    if (search_error(search) != RESOLVE_OK) {
        return NEGATIVE_TTL;
    }
    for (int i = 0; i < 2; i++) {
        uint32_t limit = TTL_MAX;
        if (parts[i]->count) {
            limit = parts[i]->ttl > TTL_MIN ? parts[i]->ttl : TTL_MIN;
        } else if (parts[i]->error != RESOLVE_NOT_FOUND) {
            limit = NEGATIVE_TTL;
        }
        ttl = limit < ttl ? limit : ttl;
    }
    return ttl;
}

static void search_finish(struct resolve_search *search)
{
    timer_stop(&search->delay);
    uint64_t expires = loop_now(search->loop) + (uint64_t)search_ttl(search) * SECOND;
    struct resolve_answer *answer = answer_new(search, search_error(search), expires);
    search->on_answer(search, answer);
    resolve_answer_unref(answer);
}

/* One family is late: who waits can begin with the other. */
static void delay_over(struct timer *timer)
{
    struct resolve_search *search =
        (struct resolve_search *)((char *)timer - offsetof(struct resolve_search, delay));
    struct resolve_answer *answer = answer_new(search, RESOLVE_PARTIAL, 0);
    if (answer) { /* else they wait for the whole */
        search->on_answer(search, answer);
        resolve_answer_unref(answer);
    }
}

/* Looks what is left to do after an answer. The search may be gone after this. */
static void search_settle(struct resolve_search *search)
{
    if (search->asking) {
        return;
    }
    if (search->v4.waiting || search->v6.waiting) {
        if (search->v4.count || search->v6.count) {
            timer_start(&search->delay, loop_now(search->loop) + PARTIAL_DELAY);
        }
        return;
    }
    if (search_error(search) == RESOLVE_NOT_FOUND) {
        search->candidate++;
        resolve_search_start(search);
        return;
    }
    search_finish(search);
}

static void part_answered(void *user, int error, const union address *addresses, size_t count,
                          uint32_t ttl)
{
    struct resolve_part *part = user;
    part->waiting = false;
    part->error = error;
    part->ttl = ttl;
    part->count = count;
    if (count) {
        memcpy(part->addresses, addresses, count * sizeof(addresses[0]));
    }
    search_settle(part->search);
}

void resolve_search_init(struct resolve_search *search, struct loop *loop,
                         struct resolve_channel *channel, const char *name,
                         resolve_search_on_answer *on_answer)
{
    *search = (struct resolve_search){
        .loop = loop, .channel = channel, .name = name, .on_answer = on_answer};
    search->v6.search = search->v4.search = search;
    search->v6.error = search->v4.error = RESOLVE_NOT_FOUND;
    timer_init(&search->delay, loop, delay_over);
}

void resolve_search_start(struct resolve_search *search)
{
    char buffer[2 * RESOLVE_NAME_MAX + 2];
    const char *name = candidate_name(search, buffer);
    if (!name) {
        search_finish(search);
        return;
    }
    search->asking = true;
    search->v6.waiting = search->v4.waiting = true;
    resolve_channel_ask(search->channel, name, AF_INET6, part_answered, &search->v6);
    resolve_channel_ask(search->channel, name, AF_INET, part_answered, &search->v4);
    search->asking = false;
    search_settle(search);
}

void resolve_search_deinit(struct resolve_search *search)
{
    timer_stop(&search->delay);
}

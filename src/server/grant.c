#include "server/grant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "control/accounts.h"

#define SECOND 1000000u

/* --- Making --- */

typedef int add_rule(struct egress_rules *rules, const char *text, char *error, size_t error_size);

/* An item of a list with commas between, without the blanks around it; false: there is none more.
 */
static bool next_item(const char **list, const char **ret_item, size_t *ret_length)
{
    const char *at = *list;
    while (*at == ' ' || *at == ',')
        at++;
    size_t length = strcspn(at, ",");
    *list = at + length;
    while (length && at[length - 1] == ' ')
        length--;
    *ret_item = at;
    *ret_length = length;
    return length > 0;
}

static int add_rules(struct egress_rules *rules, const char *list, add_rule *add)
{
    const char *item;
    size_t length;
    char error[256];
    while (list && next_item(&list, &item, &length)) {
        char *text = strndup(item, length);
        int result = text ? add(rules, text, error, sizeof error) : -1;
        free(text);
        if (result < 0)
            return -1;
    }
    return 0;
}

bool grant_are_rules(const char *list)
{
    struct egress_rules rules = {0};
    bool is_good = add_rules(&rules, list, egress_add_deny) == 0;
    egress_deinit(&rules);
    return is_good;
}

static int take_token(struct grant *grant, const struct device_token *token)
{
    grant->token = token->id;
    snprintf(grant->token_uuid, sizeof grant->token_uuid, "%s", token->uuid);
    grant->max_tunnels = token->max_tunnels;
    grant->max_substreams = token->max_substreams;
    grant->bytes_per_second = token->bytes_per_second;
    grant->bytes_per_month = token->bytes_per_month;
    if (token->sockets && !(grant->sockets = strdup(token->sockets)))
        return -1;
    if (!token->egress_allow && !token->egress_deny)
        return 0;
    grant->egress = calloc(1, sizeof *grant->egress);
    if (!grant->egress)
        return -1;
    if (add_rules(grant->egress, token->egress_deny, egress_add_deny) < 0)
        return -1;
    return add_rules(grant->egress, token->egress_allow, egress_add_allow);
}

struct grant *grant_new(const char *owner, const struct device_token *token, const char *login)
{
    struct grant *grant = calloc(1, sizeof *grant);
    if (!grant)
        return NULL;
    atomic_init(&grant->references, 1);
    snprintf(grant->owner, sizeof grant->owner, "%s", owner);
    if (!token)
        snprintf(grant->login, sizeof grant->login, "%s", login);
    if (token && take_token(grant, token) < 0) {
        grant_unref(grant);
        return NULL;
    }
    if (grant->bytes_per_second > INT64_MAX)
        grant->bytes_per_second = INT64_MAX;
    atomic_init(&grant->bucket, (int64_t)grant->bytes_per_second);
    return grant;
}

struct grant *grant_ref(struct grant *grant)
{
    atomic_fetch_add_explicit(&grant->references, 1, memory_order_relaxed);
    return grant;
}

void grant_unref(struct grant *grant)
{
    if (!grant || atomic_fetch_sub_explicit(&grant->references, 1, memory_order_acq_rel) > 1)
        return;
    if (grant->egress)
        egress_deinit(grant->egress);
    free(grant->egress);
    free(grant->sockets);
    free(grant);
}

/* --- What it allows --- */

static bool is_item(const char *item, size_t length, const char *name)
{
    return name && strlen(name) == length && !memcmp(item, name, length);
}

static bool is_host(const char *item, size_t length, const char *hostname)
{
    return hostname && strlen(hostname) == length && !strncasecmp(item, hostname, length);
}

bool grant_may_serve(const struct grant *grant, const char *name, const char *hostname)
{
    const char *list = grant ? grant->sockets : NULL, *item;
    size_t length;
    if (!list)
        return true;
    if (!strcmp(list, "-")) /* none, whatever it is called */
        return false;
    while (next_item(&list, &item, &length))
        if (is_item(item, length, name) || is_host(item, length, hostname))
            return true;
    return false;
}

bool grant_may_dial(const struct grant *grant, const union address *address,
                    struct egress_verdict *ret_verdict)
{
    if (!grant || !grant->egress)
        return true;
    egress_judge_narrow(grant->egress, address, ret_verdict);
    return ret_verdict->allowed;
}

bool grant_enter(struct grant *grant)
{
    if (!grant)
        return true;
    unsigned open = atomic_fetch_add_explicit(&grant->tunnels, 1, memory_order_relaxed);
    if (!grant->max_tunnels || open < grant->max_tunnels)
        return true;
    grant_leave(grant);
    return false;
}

void grant_leave(struct grant *grant)
{
    if (grant)
        atomic_fetch_sub_explicit(&grant->tunnels, 1, memory_order_relaxed);
}

bool grant_is_exhausted(const struct grant *grant)
{
    return grant && atomic_load_explicit(&grant->is_exhausted, memory_order_relaxed);
}

/* --- Meters --- */

size_t grant_room(const struct grant *grant)
{
    if (!grant || !grant->bytes_per_second)
        return SIZE_MAX;
    int64_t bucket = atomic_load_explicit(&grant->bucket, memory_order_relaxed);
    return bucket > 0 ? (size_t)bucket : 0;
}

void grant_count(struct grant *grant, size_t bytes)
{
    if (!grant)
        return;
    atomic_fetch_add_explicit(&grant->bytes, bytes, memory_order_relaxed);
    if (grant->bytes_per_second)
        atomic_fetch_sub_explicit(&grant->bucket, (int64_t)bytes, memory_order_relaxed);
}

void grant_refill(struct grant *grant, uint64_t elapsed)
{
    uint64_t rate = grant->bytes_per_second;
    if (!rate)
        return;
    if (elapsed > SECOND)
        elapsed = SECOND;
    /* in two steps: rate times a second may be more than 64 bits hold */
    int64_t share = (int64_t)(rate / SECOND * elapsed + rate % SECOND * elapsed / SECOND);
    int64_t bucket = atomic_load_explicit(&grant->bucket, memory_order_relaxed), filled;
    if (!share)
        share = 1;
    do {
        filled = bucket > (int64_t)rate - share ? (int64_t)rate : bucket + share;
    } while (!atomic_compare_exchange_weak_explicit(&grant->bucket, &bucket, filled,
                                                    memory_order_relaxed, memory_order_relaxed));
}

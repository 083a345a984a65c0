#include "agent/backoff.h"

void backoff_init(struct backoff *backoff, uint64_t seed)
{
    *backoff = (struct backoff){.state = seed};
}

/* splitmix64 (Steele, Lea, Flood 2014): good from any seed, also 0. */
static uint64_t draw(struct backoff *backoff)
{
    uint64_t z = backoff->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t backoff_next(struct backoff *backoff)
{
    uint64_t whole = BACKOFF_FIRST;
    for (unsigned i = 0; i < backoff->tries && whole < BACKOFF_MOST; i++)
        whole *= 2;
    if (whole >= BACKOFF_MOST)
        whole = BACKOFF_MOST;
    else
        backoff->tries++;
    return whole / 2 + draw(backoff) % (whole / 2 + 1);
}

void backoff_reset(struct backoff *backoff)
{
    backoff->tries = 0;
}

/* How long the edge looks for a socket by its host name, with few and with many of them. Not a
 * test: `meson test -C build --benchmark -v directory`. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "registry/directory.h"

#define LOOKUPS 2000000
#define LARGEST 100000

static struct socket_facts *facts[LARGEST];

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static uint32_t draw(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static void add(struct directory *directory, size_t i)
{
    char name[64], hostname[64];
    snprintf(name, sizeof name, "socket-%zu", i);
    snprintf(hostname, sizeof hostname, "s%zx-%08x.edge.example", i, (unsigned)(i * 2654435761u));
    const struct socket_facts values = {
        .id = i + 1, .owner = "owner", .name = name, .hostname = hostname, .type = SOCKET_HTTP};
    facts[i] = socket_facts_new(&values);
    const struct registry_change change = {.kind = REGISTRY_PUT, .facts = facts[i]};
    if (!facts[i] || directory_apply(directory, &change) < 0)
        abort();
}

/* Nanoseconds a lookup; each for another name, drawn at random. `few`: among so many alone, so that
 * the table is large and what is looked at stays in the cache. */
static double measure(struct directory *directory, size_t few)
{
    uint32_t seed = 1;
    uint64_t began = now();
    for (size_t i = 0; i < LOOKUPS; i++) {
        const char *host = facts[draw(&seed) % few]->hostname;
        if (!directory_find_host(directory, host, strlen(host)))
            abort();
    }
    return (double)(now() - began) / LOOKUPS;
}

int main(void)
{
    static const size_t sizes[] = {10, 1000, 10000, LARGEST};
    struct directory *directory;
    size_t count = 0;
    if (directory_new(&directory) < 0)
        return 1;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        while (count < sizes[i])
            add(directory, count++);
        printf("%6zu sockets: %5.0f ns a lookup, %5.0f ns among the same 10\n", count,
               measure(directory, count), measure(directory, 10));
    }
    directory_free(directory);
    while (count)
        socket_facts_unref(facts[--count]);
    return 0;
}

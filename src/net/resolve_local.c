#include "net/resolve_local.h"

#include <ctype.h>
#include <string.h>

#include "net/resolve.h"

bool resolve_local_normalize(const char *host, char ret_lower[RESOLVE_NAME_MAX + 1])
{
    size_t length = strnlen(host, RESOLVE_NAME_MAX + 1);
    if (length == 0 || length > RESOLVE_NAME_MAX) {
        return false;
    }
    for (size_t i = 0; i <= length; i++) {
        unsigned char c = (unsigned char)host[i];
        if (c && !(c < 0x80 && isalnum(c)) && c != '-' && c != '_' && c != '.') {
            return false;
        }
        ret_lower[i] = (char)tolower(c);
    }
    return true;
}

static bool name_is_under(const char *name, const char *top)
{
    size_t length = strlen(name), top_length = strlen(top);
    return length >= top_length && strcmp(name + length - top_length, top) == 0 &&
           (length == top_length || name[length - top_length - 1] == '.');
}

bool resolve_local_find(struct hosts *hosts, const char *name, uint64_t now,
                        struct resolve_answer **ret_answer)
{
    char bare[RESOLVE_NAME_MAX + 1];
    strcpy(bare, name);
    size_t length = strlen(bare);
    if (bare[length - 1] == '.') {
        bare[length - 1] = 0;
    }
    const union address *addresses;
    size_t count = hosts_find(hosts, bare, now, &addresses);
    if (count) {
        *ret_answer = resolve_answer_new(RESOLVE_OK, addresses, count, 0);
        return true;
    }
    if (name_is_under(bare, "localhost")) {
        const union address loopback[2] = {
            {.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}},
            {.v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT}},
        };
        *ret_answer = resolve_answer_new(RESOLVE_OK, loopback, 2, 0);
        return true;
    }
    if (!*bare || name_is_under(bare, "invalid") || name_is_under(bare, "onion")) {
        *ret_answer = resolve_answer_new(RESOLVE_NOT_FOUND, NULL, 0, 0);
        return true;
    }
    return false;
}

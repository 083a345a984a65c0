#include "registry/registry.h"

struct error_words {
    const char *name, *text;
};

/* By -error. */
static const struct error_words words[] = {
    {"OK", "no error"},
    {"NAME_TAKEN", "this host name belongs to somebody else"},
    {"NAME_INVALID", "this is not a host name, or the service's name or Host header can't be used"},
    {"NAME_NOT_ALLOWED",
     "this host name is neither directly below the edge's domain nor one that its operator allows"},
    {"PORTS_EXHAUSTED", "no port can be had for this service now"},
    {"OTHER_TYPE", "this name is already that of a service of another type: choose another name"},
    {"TOO_MANY_SOCKETS", "the limit of services for one owner is reached"},
    {"OUT_OF_MEMORY", "the server is out of memory"},
    {"STORE_FAILED", "the server can't write the service down now"},
    {"DRAINING", "the server is about to stop and takes no more services"},
    {"BUSY", "another change of this service is being written down, try again"},
    {"UNKNOWN_SOCKET", "there is no such service"},
    {"TOKEN_SCOPE", "this token may not serve a service of that name"},
    {"NO_HTTPS", "the server has no HTTPS, which passthrough and https-only need"},
};

static const struct error_words *find(int error)
{
    static const struct error_words unknown = {"UNKNOWN", "unknown error"};
    int count = (int)(sizeof words / sizeof words[0]);
    return error <= 0 && error > -count ? &words[-error] : &unknown;
}

const char *registry_error_name(int error)
{
    return find(error)->name;
}

const char *registry_error_text(int error)
{
    return find(error)->text;
}

#include "registry/host_name.h"

#include <string.h>

#define LABEL_MAX 63

/* Not tolower(): the locale has no say in host names. */
static char fold(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

size_t host_name_fold(const char *text, size_t length, char ret_name[REGISTRY_HOST_MAX + 1])
{
    if (length && text[length - 1] == '.')
        length--;
    if (!length || length > REGISTRY_HOST_MAX)
        return 0;
    for (size_t i = 0; i < length; i++)
        ret_name[i] = fold(text[i]);
    ret_name[length] = 0;
    return length;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_label(const char *label, size_t length)
{
    if (!length || length > LABEL_MAX || label[0] == '-' || label[length - 1] == '-')
        return false;
    for (size_t i = 0; i < length; i++)
        if (!(label[i] >= 'a' && label[i] <= 'z') && !is_digit(label[i]) && label[i] != '-')
            return false;
    return true;
}

static bool is_number(const char *label)
{
    return label[strspn(label, "0123456789")] == 0;
}

int host_name_parse(const char *text, char ret_name[REGISTRY_HOST_MAX + 1])
{
    char name[REGISTRY_HOST_MAX + 1];
    if (!host_name_fold(text, strlen(text), name))
        return -1;
    const char *label = name;
    for (;; label += strcspn(label, ".") + 1) {
        size_t length = strcspn(label, ".");
        if (!is_label(label, length))
            return -1;
        if (!label[length])
            break;
    }
    if (is_number(label))
        return -1;
    memcpy(ret_name, name, strlen(name) + 1);
    return 0;
}

int host_name_parse_label(const char *text, char ret_label[64])
{
    char name[REGISTRY_HOST_MAX + 1];
    size_t length = host_name_fold(text, strlen(text), name);
    if (!is_label(name, length))
        return -1;
    memcpy(ret_label, name, length + 1);
    return 0;
}

bool host_name_is_below(const char *name, const char *domain)
{
    const char *dot = strchr(name, '.');
    return dot && dot > name && strcmp(dot + 1, domain) == 0;
}

bool host_name_matches(const char *name, const char *pattern)
{
    if (strncmp(pattern, "*.", 2) == 0)
        return host_name_is_below(name, pattern + 2);
    return strcmp(name, pattern) == 0;
}

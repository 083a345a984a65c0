#include <string.h>

#include "base/utf8.h"
#include "control/accounts_internal.h"

/* Well-formed UTF-8 without control characters, at most so many bytes. */
static bool is_plain(const char *text, size_t most)
{
    return strlen(text) <= most && utf8_is_clean(text);
}

/* A dot, not at its ends, or this machine: no more is asked of a domain, a mail will tell. */
static bool is_domain(const char *domain)
{
    size_t length = strlen(domain);
    if (strcmp(domain, "localhost") == 0)
        return true;
    return strchr(domain, '.') && domain[0] != '.' && domain[length - 1] != '.';
}

/* What would mean something else where mail is sent is left out, quoted or not. */
int accounts_check_email(const char *email)
{
    const char *at = email ? strchr(email, '@') : NULL;
    if (!at || at == email || strchr(at + 1, '@') || !is_plain(email, ACCOUNT_EMAIL_MAX) ||
        email[strcspn(email, " \"(),:;<>[\\]")] || strstr(email, "\xc2\xa0") || !is_domain(at + 1))
        return ACCOUNTS_BAD_EMAIL;
    return ACCOUNTS_OK;
}

int accounts_check_name(const char *name)
{
    return name && *name && is_plain(name, ACCOUNT_NAME_MAX) ? ACCOUNTS_OK : ACCOUNTS_BAD_NAME;
}

int accounts_check_password(const char *password)
{
    size_t length = password ? strlen(password) : 0;
    return length >= 8 && length <= SECRET_PASSWORD_MAX ? ACCOUNTS_OK : ACCOUNTS_BAD_PASSWORD;
}

int accounts_check_sshkey(const char *sshkey)
{
    return !sshkey || is_plain(sshkey, ACCOUNT_SSHKEY_MAX) ? ACCOUNTS_OK : ACCOUNTS_BAD_NAME;
}

/* Items with commas between, none of them empty. */
static bool is_list(const char *text)
{
    if (!is_plain(text, ACCOUNTS_SCOPE_MAX))
        return false;
    for (const char *item = text; item; item = strchr(item, ',')) {
        item += *item == ',';
        item += strspn(item, " ");
        if (!*item || *item == ',')
            return false;
    }
    return true;
}

int accounts_check_scope(const struct accounts *accounts, const struct device_token *values)
{
    const struct accounts_options *options = &accounts->options;
    const char *const lists[] = {values->egress_allow, values->egress_deny, values->sockets};
    int error = accounts_check_name(values->name);
    if (error)
        return error;
    for (size_t i = 0; i < 3; i++) {
        bool is_rules = i < 2 && options->is_egress;
        if (lists[i] &&
            (!is_list(lists[i]) || (is_rules && !options->is_egress(options->user, lists[i]))))
            return ACCOUNTS_BAD_SCOPE;
    }
    if (values->expires && values->expires <= accounts_now(accounts))
        return ACCOUNTS_BAD_SCOPE;
    /* the store's numbers have a sign */
    if (values->expires > INT64_MAX || values->bytes_per_second > INT64_MAX ||
        values->bytes_per_month > INT64_MAX)
        return ACCOUNTS_BAD_SCOPE;
    return ACCOUNTS_OK;
}

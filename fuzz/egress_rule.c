/* Egress rules: the first line is a rule, the rest are addresses that it judges. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "server/egress.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An explicit rule decides before the built-in ones, and a deny before an allow. */
static void judge(const char *rule, const char *host)
{
    struct egress_rules denied = {0}, both = {0};
    struct egress_verdict by_deny, by_both;
    union address address;
    char error[256];
    if (address_parse(host, &address) == 0 &&
        egress_add_deny(&denied, rule, error, sizeof error) == 0 &&
        egress_add_allow(&both, rule, error, sizeof error) == 0 &&
        egress_add_deny(&both, rule, error, sizeof error) == 0) {
        egress_judge(&denied, &address, &by_deny);
        egress_judge(&both, &address, &by_both);
        assert(strlen(by_deny.rule) > 0 && strlen(by_deny.rule) < sizeof by_deny.rule);
        assert(by_deny.allowed == by_both.allowed);
    }
    egress_deinit(&denied);
    egress_deinit(&both);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = strndup((const char *)data, size);
    char *rest = text;
    char *rule = strsep(&rest, "\n");
    char *host;
    struct egress_rule parsed;
    char error[256];
    if (!text)
        return 0;
    if (egress_parse(rule, &parsed, error, sizeof error) == 0) {
        assert(parsed.first_port >= 1 && parsed.first_port <= parsed.last_port);
        assert(parsed.prefix.bits <= (parsed.prefix.family == AF_INET ? 32 : 128));
        free(parsed.text);
    } else {
        assert(strlen(error) > 0);
    }
    while ((host = strsep(&rest, "\n")))
        judge(rule, host);
    free(text);
    return 0;
}

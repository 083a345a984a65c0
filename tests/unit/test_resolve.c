#include "fake_dns.h"

#include "net/resolve.h"
#include "net/timer.h"

#define SECOND  1000000u
#define PATIENT (5 * SECOND) /* so that a slow machine changes nothing */

/* One resolver with a server of its own, and files of its own. */
struct fixture {
    struct loop *loop;
    struct fake_dns dns;
    struct resolver *resolver;
    struct timer guard;
    char folder[32];
    char hosts[64], resolv_conf[64];
};

struct outcome {
    struct fixture *fixture;
    int calls;
    int error;
    char text[512];
    struct resolve_query *query;
};

static void write_file(const char *path, const char *text)
{
    char aside[80];
    snprintf(aside, sizeof(aside), "%s.new", path);
    FILE *file = fopen(aside, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(0, rename(aside, path));
}

static void guard_run(struct timer *timer)
{
    fail_msg("nothing happened for 5 s");
}

static void start_resolver(struct fixture *f, const char *servers, uint64_t timeout)
{
    struct resolver_options options = {.hosts_file = f->hosts,
                                       .resolv_conf = f->resolv_conf,
                                       .servers = servers,
                                       .timeout = timeout,
                                       .recheck = 1};
    assert_int_equal(0, resolver_new(f->loop, &options, &f->resolver));
}

static void setup(struct fixture *f, const struct fake_dns_rule *rules)
{
    memset(f, 0, sizeof(*f));
    strcpy(f->folder, "/tmp/test_resolve.XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->hosts, sizeof(f->hosts), "%s/hosts", f->folder);
    snprintf(f->resolv_conf, sizeof(f->resolv_conf), "%s/resolv.conf", f->folder);
    write_file(f->resolv_conf, "search one.test two.test\n");
    assert_int_equal(0, loop_new(&f->loop));
    fake_dns_open(&f->dns, f->loop, rules);
    timer_init(&f->guard, f->loop, guard_run);
    timer_start(&f->guard, loop_now(f->loop) + 5 * SECOND);
    start_resolver(f, f->dns.servers, PATIENT);
}

static void teardown(struct fixture *f)
{
    resolver_free(f->resolver);
    fake_dns_close(&f->dns);
    timer_stop(&f->guard);
    loop_free(f->loop);
    unlink(f->hosts);
    unlink(f->resolv_conf);
    assert_int_equal(0, rmdir(f->folder));
}

static void done(void *user, int error, const union address *addresses, size_t count)
{
    struct outcome *outcome = user;
    char one[ADDRESS_TEXT_MAX];
    outcome->calls++;
    outcome->error = error;
    outcome->text[0] = 0;
    for (size_t i = 0; i < count; i++) {
        strcat(outcome->text, i ? " " : "");
        strcat(outcome->text, address_format_host(&addresses[i], one));
        assert_int_equal(0, address_port(&addresses[i]));
    }
    loop_stop(outcome->fixture->loop);
}

static void start(struct fixture *f, const char *name, struct outcome *outcome)
{
    *outcome = (struct outcome){.fixture = f};
    assert_int_equal(0, resolve_start(f->resolver, name, done, outcome, &outcome->query));
    assert_int_equal(0, outcome->calls);
}

static void expect(struct fixture *f, const char *name, int error, const char *text)
{
    struct outcome outcome;
    start(f, name, &outcome);
    loop_run(f->loop);
    assert_int_equal(1, outcome.calls);
    assert_int_equal(error, outcome.error);
    assert_string_equal(text, outcome.text);
}

static void test_both_families_together_and_kept(void **state)
{
    static const struct fake_dns_rule rules[] = {
        {"box.test", FAKE_DNS_A, .addresses = {"192.0.2.1", "192.0.2.2"}, .ttl = 60},
        {"box.test", FAKE_DNS_AAAA, .addresses = {"2001:db8::1"}, .ttl = 60},
        {0}};
    struct fixture f;
    setup(&f, rules);
    expect(&f, "box.test", RESOLVE_OK, "2001:db8::1 192.0.2.1 192.0.2.2");
    assert_int_equal(2, f.dns.asked);
    expect(&f, "BOX.test", RESOLVE_OK, "2001:db8::1 192.0.2.1 192.0.2.2");
    assert_int_equal(2, f.dns.asked);
    teardown(&f);
}

static void test_one_family_is_enough(void **state)
{
    static const struct fake_dns_rule rules[] = {
        {"four.test", FAKE_DNS_A, .addresses = {"192.0.2.1"}, .ttl = 60},
        {"four.test", FAKE_DNS_AAAA},
        {"six.test", FAKE_DNS_A},
        {"six.test", FAKE_DNS_AAAA, .addresses = {"2001:db8::1"}, .ttl = 60},
        /* a wildcard of the search domain mustn't answer for the other family */
        {"four.test.one.test", FAKE_DNS_AAAA, .addresses = {"2001:db8::bad"}, .ttl = 60},
        {0}};
    struct fixture f;
    setup(&f, rules);
    expect(&f, "four.test", RESOLVE_OK, "192.0.2.1");
    expect(&f, "six.test", RESOLVE_OK, "2001:db8::1");
    teardown(&f);
}

static void test_a_failing_family_doesnt_spoil_the_other(void **state)
{
    static const struct fake_dns_rule rules[] = {
        {"box.test", FAKE_DNS_A, .addresses = {"192.0.2.1"}, .ttl = 60},
        {"box.test", FAKE_DNS_AAAA, .rcode = FAKE_DNS_SERVFAIL},
        {0}};
    struct fixture f;
    setup(&f, rules);
    expect(&f, "box.test", RESOLVE_OK, "192.0.2.1");
    teardown(&f);
}

static void test_names_that_dont_exist(void **state)
{
    static const struct fake_dns_rule rules[] = {
        {"empty.test", FAKE_DNS_A}, {"empty.test", FAKE_DNS_AAAA}, {0}};
    struct fixture f;
    setup(&f, rules);
    expect(&f, "none.test.", RESOLVE_NOT_FOUND, "");
    assert_int_equal(2, f.dns.asked);
    expect(&f, "none.test.", RESOLVE_NOT_FOUND, "");
    assert_int_equal(2, f.dns.asked);
    expect(&f, "empty.test.", RESOLVE_NOT_FOUND, "");
    teardown(&f);
}

static void test_failing_servers_mean_again(void **state)
{
    static const struct fake_dns_rule rules[] = {
        {"fail.test", FAKE_DNS_A, .rcode = FAKE_DNS_SERVFAIL},
        {"fail.test", FAKE_DNS_AAAA, .rcode = FAKE_DNS_SERVFAIL},
        {"refuse.test", FAKE_DNS_A, .rcode = FAKE_DNS_REFUSED},
        {"refuse.test", FAKE_DNS_AAAA, .rcode = FAKE_DNS_REFUSED},
        {"silent.test", FAKE_DNS_A, .silent = true},
        {"silent.test", FAKE_DNS_AAAA, .silent = true},
        {0}};
    struct fixture f;
    setup(&f, rules);
    expect(&f, "fail.test", RESOLVE_AGAIN, "");
    expect(&f, "refuse.test", RESOLVE_AGAIN, "");
    resolver_free(f.resolver);
    start_resolver(&f, f.dns.servers, 30000);
    expect(&f, "silent.test", RESOLVE_AGAIN, "");
    assert_string_equal("EAI_AGAIN", resolve_error_code(RESOLVE_AGAIN));
    assert_string_equal("ENOTFOUND", resolve_error_code(RESOLVE_NOT_FOUND));
    teardown(&f);
}

static void test_no_server_means_again(void **state)
{
    struct fixture f;
    setup(&f, NULL);
    char servers[sizeof(f.dns.servers)];
    strcpy(servers, f.dns.servers);
    poll_close(f.dns.udp_poll);
    poll_close(f.dns.tcp_poll);
    close(f.dns.udp);
    close(f.dns.tcp);
    expect(&f, "box.test", RESOLVE_AGAIN, "");
    /* what needs no server is still known */
    expect(&f, "no-such-host.invalid", RESOLVE_NOT_FOUND, "");
    resolver_free(f.resolver);
    fake_dns_open(&f.dns, f.loop, NULL);
    start_resolver(&f, f.dns.servers, PATIENT);
    teardown(&f);
}

static void test_truncated_answers_come_by_tcp(void **state)
{
    static const struct fake_dns_rule rules[] = {
        {"big.test", FAKE_DNS_A, .addresses = {"192.0.2.1"}, .ttl = 60, .truncated = true},
        {"big.test", FAKE_DNS_AAAA, .ttl = 60},
        {0}};
    struct fixture f;
    setup(&f, rules);
    expect(&f, "big.test", RESOLVE_OK, "192.0.2.1");
    assert_int_equal(1, f.dns.asked_by_tcp);
    teardown(&f);
}

static void late(int late_type, const char *first, const char *both)
{
    const struct fake_dns_rule rules[] = {{"box.test", FAKE_DNS_A, .addresses = {"192.0.2.1"},
                                           .ttl = 60, .held = late_type == FAKE_DNS_A},
                                          {"box.test", FAKE_DNS_AAAA, .addresses = {"2001:db8::1"},
                                           .ttl = 60, .held = late_type == FAKE_DNS_AAAA},
                                          {0}};
    struct fixture f;
    setup(&f, rules);

    struct outcome early, second;
    start(&f, "box.test", &early);
    loop_run(f.loop);
    assert_int_equal(RESOLVE_PARTIAL, early.error);
    assert_string_equal(first, early.text);
    /* who comes now doesn't wait 50 ms again, nor is another question asked */
    start(&f, "box.test", &second);
    loop_run(f.loop);
    assert_int_equal(RESOLVE_PARTIAL, second.error);
    assert_string_equal(first, second.text);
    assert_int_equal(2, f.dns.asked);
    resolve_cancel(second.query);

    fake_dns_release(&f.dns);
    loop_run(f.loop);
    assert_int_equal(2, early.calls);
    assert_int_equal(1, second.calls);
    assert_int_equal(RESOLVE_OK, early.error);
    assert_string_equal(both, early.text);
    expect(&f, "box.test", RESOLVE_OK, both);
    assert_int_equal(2, f.dns.asked);
    teardown(&f);
}

static void test_late_family_is_not_waited_for(void **state)
{
    late(FAKE_DNS_AAAA, "192.0.2.1", "2001:db8::1 192.0.2.1");
    late(FAKE_DNS_A, "2001:db8::1", "2001:db8::1 192.0.2.1");
}

static void test_search_domains(void **state)
{
    static const struct fake_dns_rule rules[] = {
        {"db.two.test", FAKE_DNS_A, .addresses = {"192.0.2.2"}, .ttl = 60},
        {"db.two.test", FAKE_DNS_AAAA},
        {"a.b.one.test", FAKE_DNS_A, .addresses = {"192.0.2.3"}, .ttl = 60},
        {"a.b", FAKE_DNS_A, .addresses = {"192.0.2.4"}, .ttl = 60},
        {"top", FAKE_DNS_A, .addresses = {"192.0.2.5"}, .ttl = 60},
        {"c.d.one.test", FAKE_DNS_A, .addresses = {"192.0.2.6"}, .ttl = 60},
        {0}};
    struct fixture f;
    setup(&f, rules);
    expect(&f, "db", RESOLVE_OK, "192.0.2.2");
    assert_int_equal(4, f.dns.asked);
    expect(&f, "db.", RESOLVE_NOT_FOUND, "");
    /* as it is first, if it has a dot; last, if it hasn't */
    expect(&f, "a.b", RESOLVE_OK, "192.0.2.4");
    expect(&f, "c.d", RESOLVE_OK, "192.0.2.6");
    expect(&f, "top", RESOLVE_OK, "192.0.2.5");
    assert_string_equal("top", f.dns.last_name);
    teardown(&f);
}

static void test_resolv_conf_is_read_again(void **state)
{
    static const struct fake_dns_rule rules[] = {
        {"db.one.test", FAKE_DNS_A, .addresses = {"192.0.2.1"}, .ttl = 60},
        {"db.three.test", FAKE_DNS_A, .addresses = {"192.0.2.3"}, .ttl = 60},
        {0}};
    struct fixture f;
    setup(&f, rules);
    expect(&f, "db", RESOLVE_OK, "192.0.2.1");
    write_file(f.resolv_conf, "search three.test\n");
    expect(&f, "db", RESOLVE_OK, "192.0.2.3");
    teardown(&f);
}

static void test_old_lookup_survives_new_resolv_conf(void **state)
{
    static const struct fake_dns_rule rules[] = {
        {"box.test", FAKE_DNS_A, .addresses = {"192.0.2.1"}, .ttl = 60, .held = true},
        {"other.test", FAKE_DNS_A, .addresses = {"192.0.2.2"}, .ttl = 60},
        {0}};
    struct fixture f;
    setup(&f, rules);
    struct outcome old;
    start(&f, "box.test", &old);
    write_file(f.resolv_conf, "search three.test\n");
    expect(&f, "other.test", RESOLVE_OK, "192.0.2.2");
    assert_int_equal(0, old.calls);
    fake_dns_release(&f.dns);
    loop_run(f.loop);
    assert_int_equal(RESOLVE_OK, old.error);
    assert_string_equal("192.0.2.1", old.text);
    teardown(&f);
}

static void test_hosts_file_goes_first(void **state)
{
    static const struct fake_dns_rule rules[] = {
        {"box.test", FAKE_DNS_A, .addresses = {"192.0.2.1"}, .ttl = 60}, {0}};
    struct fixture f;
    setup(&f, rules);
    write_file(f.hosts, "10.0.0.1 box.test\n::2 box.test\n");
    expect(&f, "box.test", RESOLVE_OK, "10.0.0.1 ::2");
    expect(&f, "Box.Test.", RESOLVE_OK, "10.0.0.1 ::2");
    assert_int_equal(0, f.dns.asked);
    write_file(f.hosts, "");
    expect(&f, "box.test", RESOLVE_OK, "192.0.2.1");
    teardown(&f);
}

static void test_special_names_ask_nobody(void **state)
{
    struct fixture f;
    setup(&f, NULL);
    expect(&f, "localhost", RESOLVE_OK, "127.0.0.1 ::1");
    expect(&f, "LocalHost.", RESOLVE_OK, "127.0.0.1 ::1");
    expect(&f, "a.b.localhost", RESOLVE_OK, "127.0.0.1 ::1");
    expect(&f, "no-such-host.invalid", RESOLVE_NOT_FOUND, "");
    expect(&f, "abc.onion", RESOLVE_NOT_FOUND, "");
    write_file(f.hosts, "127.0.0.5 localhost\n");
    expect(&f, "localhost", RESOLVE_OK, "127.0.0.5");
    assert_int_equal(0, f.dns.asked);
    expect(&f, "notlocalhost.", RESOLVE_NOT_FOUND, "");
    assert_int_equal(2, f.dns.asked);
    teardown(&f);
}

static void test_what_is_no_name_isnt_found(void **state)
{
    struct fixture f;
    setup(&f, NULL);
    char label[65], name[300];
    memset(label, 'a', 64);
    label[64] = 0;
    memset(name, 'a', 299);
    name[299] = 0;
    expect(&f, "", RESOLVE_NOT_FOUND, "");
    expect(&f, ".", RESOLVE_NOT_FOUND, "");
    expect(&f, "a b.test", RESOLVE_NOT_FOUND, "");
    expect(&f, "a\\.b.test", RESOLVE_NOT_FOUND, "");
    expect(&f, "a\nb.test", RESOLVE_NOT_FOUND, "");
    expect(&f, "a..test", RESOLVE_NOT_FOUND, "");
    expect(&f, label, RESOLVE_NOT_FOUND, "");
    expect(&f, name, RESOLVE_NOT_FOUND, "");
    assert_int_equal(0, f.dns.asked);
    teardown(&f);
}

static void test_one_lookup_for_many(void **state)
{
    static const struct fake_dns_rule rules[] = {
        {"box.test", FAKE_DNS_A, .addresses = {"192.0.2.1"}, .ttl = 60}, {0}};
    struct fixture f;
    setup(&f, rules);
    struct outcome outcomes[3];
    for (int i = 0; i < 3; i++) {
        start(&f, "box.test", &outcomes[i]);
    }
    resolve_cancel(outcomes[1].query);
    loop_run(f.loop);
    assert_int_equal(1, outcomes[0].calls);
    assert_int_equal(0, outcomes[1].calls);
    assert_int_equal(1, outcomes[2].calls);
    assert_int_equal(2, f.dns.asked);
    teardown(&f);
}

static void test_answered_but_cancelled(void **state)
{
    struct fixture f;
    setup(&f, NULL);
    struct outcome cancelled, other;
    start(&f, "localhost", &cancelled);
    start(&f, "localhost", &other);
    resolve_cancel(cancelled.query);
    loop_run(f.loop);
    assert_int_equal(0, cancelled.calls);
    assert_int_equal(1, other.calls);
    teardown(&f);
}

static void test_freed_with_open_questions(void **state)
{
    static const struct fake_dns_rule rules[] = {{"silent.test", FAKE_DNS_A, .silent = true}, {0}};
    struct fixture f;
    setup(&f, rules);
    struct outcome waiting, local;
    start(&f, "silent.test", &waiting);
    start(&f, "localhost", &local);
    teardown(&f);
    assert_int_equal(0, waiting.calls);
    assert_int_equal(0, local.calls);
}

static void free_resolver(void *user, int error, const union address *addresses, size_t count)
{
    struct fixture *f = user;
    resolver_free(f->resolver);
    f->resolver = NULL;
    assert_int_equal(2, count); /* still there */
    loop_stop(f->loop);
}

static void test_freed_by_a_callback(void **state)
{
    struct fixture f;
    setup(&f, NULL);
    struct resolve_query *query;
    struct outcome second;
    assert_int_equal(0, resolve_start(f.resolver, "localhost", free_resolver, &f, &query));
    start(&f, "localhost", &second);
    loop_run(f.loop);
    assert_int_equal(0, second.calls);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_families_together_and_kept),
        cmocka_unit_test(test_one_family_is_enough),
        cmocka_unit_test(test_a_failing_family_doesnt_spoil_the_other),
        cmocka_unit_test(test_names_that_dont_exist),
        cmocka_unit_test(test_failing_servers_mean_again),
        cmocka_unit_test(test_no_server_means_again),
        cmocka_unit_test(test_truncated_answers_come_by_tcp),
        cmocka_unit_test(test_late_family_is_not_waited_for),
        cmocka_unit_test(test_search_domains),
        cmocka_unit_test(test_resolv_conf_is_read_again),
        cmocka_unit_test(test_old_lookup_survives_new_resolv_conf),
        cmocka_unit_test(test_hosts_file_goes_first),
        cmocka_unit_test(test_special_names_ask_nobody),
        cmocka_unit_test(test_what_is_no_name_isnt_found),
        cmocka_unit_test(test_one_lookup_for_many),
        cmocka_unit_test(test_answered_but_cancelled),
        cmocka_unit_test(test_freed_with_open_questions),
        cmocka_unit_test(test_freed_by_a_callback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "fake_dns.h"

#include <errno.h>
#include <sys/resource.h>

#include "net/acceptor.h"
#include "net/dial.h"
#include "net/timer.h"

#define SECOND                 1000000u
#define BLACK_HOLE_CONNECTIONS 3

/* A loop with a resolver that has files and a server of its own, and who listens where. */
struct fixture {
    struct loop *loop;
    struct fake_dns dns;
    struct resolver *resolver;
    struct acceptor *acceptor;
    struct timer guard;
    char hosts[40];
    uint16_t port; /* of acceptor and black_hole */
    int black_hole[1 + BLACK_HOLE_CONNECTIONS];
};

struct attempt {
    struct fixture *fixture;
    struct dial *dial;
    const char *refused[4];                /* addresses that on_judge refuses; "all" */
    void (*judged_hook)(struct fixture *); /* once */
    bool cancel_in_lookup;
    int lookups;
    char judged[512];
    bool connected;
    char address[ADDRESS_TEXT_MAX];
    char code[32];
    char message[512];
};

static void guard_run(struct timer *timer)
{
    fail_msg("nothing happened for 5 s");
}

static void accepted(struct acceptor *acceptor, int fd, const union address *peer, void *user)
{
    close(fd);
}

static void write_hosts(struct fixture *f, const char *text)
{
    FILE *file = fopen(f->hosts, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void setup(struct fixture *f, const char *hosts, const struct fake_dns_rule *rules)
{
    memset(f, 0, sizeof(*f));
    memset(f->black_hole, -1, sizeof(f->black_hole));
    strcpy(f->hosts, "/tmp/test_dial.XXXXXX");
    int fd = mkstemp(f->hosts);
    assert_true(fd >= 0);
    close(fd);
    write_hosts(f, hosts);
    assert_int_equal(0, loop_new(&f->loop));
    timer_init(&f->guard, f->loop, guard_run);
    timer_start(&f->guard, loop_now(f->loop) + 5 * SECOND);
    fake_dns_open(&f->dns, f->loop, rules);
    struct resolver_options options = {.hosts_file = f->hosts,
                                       .resolv_conf = "/nonexistent",
                                       .servers = f->dns.servers,
                                       .timeout = 5 * SECOND};
    assert_int_equal(0, resolver_new(f->loop, &options, &f->resolver));
}

static void listen_at(struct fixture *f, const char *host)
{
    union address address;
    assert_int_equal(0, address_from_host(host, 0, &address));
    assert_int_equal(0, acceptor_open(f->loop, &address, accepted, f, &f->acceptor));
    acceptor_address(f->acceptor, &address);
    f->port = address_port(&address);
}

/* 127.0.0.2: a listener whose backlog is full drops every further SYN. */
static void open_black_hole(struct fixture *f)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1),
                                  .sin_port = htons(f->port)};
    socklen_t size = sizeof(address);
    f->black_hole[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(0, bind(f->black_hole[0], (struct sockaddr *)&address, size));
    assert_int_equal(0, listen(f->black_hole[0], 0));
    assert_int_equal(0, getsockname(f->black_hole[0], (struct sockaddr *)&address, &size));
    f->port = ntohs(address.sin_port);
    for (int i = 1; i <= BLACK_HOLE_CONNECTIONS; i++) {
        f->black_hole[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(f->black_hole[i], (struct sockaddr *)&address, size);
    }
}

/* Bound, not listening: every connect is refused, and nobody else gets the port. */
static void bind_deaf(struct fixture *f, const char *host)
{
    union address address;
    assert_int_equal(0, address_from_host(host, f->port, &address));
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(0, bind(fd, &address.any, address_size(&address)));
    socklen_t size = sizeof(address);
    assert_int_equal(0, getsockname(fd, &address.any, &size));
    f->port = address_port(&address);
    f->black_hole[0] = fd;
}

static void teardown(struct fixture *f)
{
    for (size_t i = 0; i < sizeof(f->black_hole) / sizeof(f->black_hole[0]); i++) {
        if (f->black_hole[i] >= 0) {
            close(f->black_hole[i]);
        }
    }
    acceptor_close(f->acceptor);
    resolver_free(f->resolver);
    fake_dns_close(&f->dns);
    timer_stop(&f->guard);
    loop_free(f->loop);
    unlink(f->hosts);
}

static void on_lookup(void *user)
{
    struct attempt *attempt = user;
    attempt->lookups++;
    assert_string_equal("", attempt->judged);
    if (attempt->cancel_in_lookup) {
        dial_cancel(attempt->dial);
        loop_stop(attempt->fixture->loop);
    }
}

static bool on_judge(void *user, const union address *address)
{
    struct attempt *attempt = user;
    char text[ADDRESS_TEXT_MAX];
    address_format_host(address, text);
    assert_int_equal(attempt->fixture->port, address_port(address));
    strcat(attempt->judged, *attempt->judged ? " " : "");
    strcat(attempt->judged, text);
    if (attempt->judged_hook) {
        attempt->judged_hook(attempt->fixture);
        attempt->judged_hook = NULL;
    }
    for (int i = 0; i < 4 && attempt->refused[i]; i++) {
        if (strcmp(attempt->refused[i], text) == 0 || strcmp(attempt->refused[i], "all") == 0) {
            return false;
        }
    }
    return true;
}

static void on_connected(void *user, struct conn *conn, const union address *address)
{
    struct attempt *attempt = user;
    union address peer;
    attempt->connected = true;
    address_format_host(address, attempt->address);
    assert_true(conn_peer_address(conn, &peer));
    assert_true(address_equal(&peer, address));
    conn_abort(conn);
    loop_stop(attempt->fixture->loop);
}

static void on_failed(void *user, const char *code, const char *message)
{
    struct attempt *attempt = user;
    snprintf(attempt->code, sizeof(attempt->code), "%s", code);
    snprintf(attempt->message, sizeof(attempt->message), "%s", message);
    loop_stop(attempt->fixture->loop);
}

static const struct dial_callbacks callbacks = {on_lookup, on_judge, on_connected, on_failed};

static void start(struct fixture *f, struct attempt *attempt, const char *host, uint64_t timeout)
{
    attempt->fixture = f;
    assert_int_equal(0, dial_start(f->loop, f->resolver, host, f->port, timeout, &callbacks,
                                   attempt, &attempt->dial));
    assert_false(attempt->connected);
    assert_string_equal("", attempt->code);
}

static void run(struct fixture *f, struct attempt *attempt, const char *host, uint64_t timeout)
{
    start(f, attempt, host, timeout);
    loop_run(f->loop);
}

/* %u in a message stands for the port. */
static void expect_failure(struct fixture *f, const struct attempt *attempt, const char *code,
                           const char *before_port)
{
    char message[512];
    snprintf(message, sizeof(message), "%s%u", before_port, f->port);
    assert_false(attempt->connected);
    assert_string_equal(code, attempt->code);
    assert_string_equal(message, attempt->message);
}

static void test_literal_is_dialled_as_it_is(void **state)
{
    struct fixture f;
    struct attempt attempt = {0}, bracketed = {0};
    setup(&f, "", NULL);
    listen_at(&f, "::");
    run(&f, &attempt, "127.0.0.1", SECOND);
    assert_true(attempt.connected);
    assert_string_equal("127.0.0.1", attempt.address);
    assert_string_equal("127.0.0.1", attempt.judged);
    assert_int_equal(0, attempt.lookups);
    run(&f, &bracketed, "[::1]", 0);
    assert_true(bracketed.connected);
    assert_string_equal("::1", bracketed.address);
    teardown(&f);
}

static void test_mapped_literal_is_judged_unmapped(void **state)
{
    struct fixture f;
    struct attempt attempt = {0};
    setup(&f, "", NULL);
    listen_at(&f, "127.0.0.1");
    run(&f, &attempt, "::ffff:127.0.0.1", SECOND);
    assert_string_equal("127.0.0.1", attempt.judged);
    assert_string_equal("127.0.0.1", attempt.address);
    teardown(&f);
}

static void test_refused_literal(void **state)
{
    struct fixture f;
    struct attempt v4 = {0}, v6 = {0};
    setup(&f, "", NULL);
    bind_deaf(&f, "127.0.0.1");
    run(&f, &v4, "127.0.0.1", SECOND);
    expect_failure(&f, &v4, "ECONNREFUSED", "connect ECONNREFUSED 127.0.0.1:");
    close(f.black_hole[0]);
    bind_deaf(&f, "::1");
    run(&f, &v6, "::1", SECOND);
    expect_failure(&f, &v6, "ECONNREFUSED", "connect ECONNREFUSED ::1:");
    teardown(&f);
}

static void test_judge_refuses_a_literal(void **state)
{
    struct fixture f;
    struct attempt attempt = {.refused = {"all"}};
    setup(&f, "", NULL);
    listen_at(&f, "127.0.0.1");
    run(&f, &attempt, "127.0.0.1", SECOND);
    expect_failure(&f, &attempt, "EACCES", "connect EACCES 127.0.0.1:");
    teardown(&f);
}

static void test_judge_refuses_a_name(void **state)
{
    struct fixture f;
    struct attempt two = {.refused = {"all"}}, one = {.refused = {"all"}};
    setup(&f, "127.0.0.1 box one\n127.0.0.2 box\n", NULL);
    f.port = 80;
    run(&f, &two, "box", SECOND);
    expect_failure(&f, &two, "EACCES", "connect EACCES box:");
    assert_int_equal(1, two.lookups);
    run(&f, &one, "one", SECOND);
    expect_failure(&f, &one, "EACCES", "connect EACCES one:");
    teardown(&f);
}

static void test_refused_candidates_are_skipped(void **state)
{
    struct fixture f;
    struct attempt attempt = {.refused = {"127.0.0.2", "127.0.0.3"}};
    setup(&f, "127.0.0.2 box\n127.0.0.3 box\n127.0.0.1 box\n", NULL);
    listen_at(&f, "127.0.0.1");
    run(&f, &attempt, "box", SECOND);
    assert_true(attempt.connected);
    assert_string_equal("127.0.0.2 127.0.0.3 127.0.0.1", attempt.judged);
    teardown(&f);
}

static void test_unknown_name(void **state)
{
    struct fixture f;
    struct attempt attempt = {0};
    setup(&f, "", NULL);
    run(&f, &attempt, "no-such-host.invalid", SECOND);
    assert_string_equal("ENOTFOUND", attempt.code);
    assert_string_equal("getaddrinfo ENOTFOUND no-such-host.invalid", attempt.message);
    assert_int_equal(1, attempt.lookups);
    teardown(&f);
}

static void test_families_take_turns(void **state)
{
    struct fixture f;
    struct attempt attempt = {.refused = {"all"}};
    setup(&f,
          "192.0.2.1 box\n192.0.2.2 box\n192.0.2.3 box\n2001:db8::1 box\n2001:db8::2 box\n"
          "::ffff:192.0.2.3 box\n",
          NULL);
    f.port = 80;
    run(&f, &attempt, "box", SECOND);
    assert_string_equal("2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2 192.0.2.3", attempt.judged);
    teardown(&f);
}

static void test_next_address_after_a_failure(void **state)
{
    struct fixture f;
    struct attempt attempt = {0};
    setup(&f, "127.0.0.2 box\n127.0.0.1 box\n127.0.0.3 box\n", NULL);
    listen_at(&f, "127.0.0.1");
    run(&f, &attempt, "box", SECOND);
    assert_true(attempt.connected);
    assert_string_equal("127.0.0.1", attempt.address);
    assert_string_equal("127.0.0.2 127.0.0.1", attempt.judged);
    teardown(&f);
}

static void test_black_hole_loses_the_race(void **state)
{
    struct fixture f;
    struct attempt attempt = {0};
    setup(&f, "127.0.0.2 box\n127.0.0.1 box\n", NULL);
    listen_at(&f, "127.0.0.1");
    open_black_hole(&f);
    uint64_t begin = loop_update_now(f.loop);
    run(&f, &attempt, "box", 4 * SECOND);
    assert_true(attempt.connected);
    assert_string_equal("127.0.0.1", attempt.address);
    assert_true(loop_update_now(f.loop) - begin >= 250000);
    teardown(&f);
}

static void test_first_failure_is_told(void **state)
{
    struct fixture f;
    struct attempt attempt = {0}, judged = {.refused = {"127.0.0.3"}};
    setup(&f, "127.0.0.3 box\n127.0.0.2 box\n127.0.0.1 box\n", NULL);
    bind_deaf(&f, "0.0.0.0");
    run(&f, &attempt, "box", SECOND);
    expect_failure(&f, &attempt, "ECONNREFUSED", "connect ECONNREFUSED 127.0.0.3:");
    run(&f, &judged, "box", SECOND);
    expect_failure(&f, &judged, "ECONNREFUSED", "connect ECONNREFUSED 127.0.0.2:");
    teardown(&f);
}

/* Nobody can connect to a multicast address: as with IPv6 addresses where there is no IPv6. */
static void test_no_route_is_told_only_alone(void **state)
{
    struct fixture f;
    struct attempt both = {0}, alone = {0};
    setup(&f, "224.0.0.1 box\n127.0.0.1 box\n", NULL);
    bind_deaf(&f, "127.0.0.1");
    run(&f, &both, "box", SECOND);
    expect_failure(&f, &both, "ECONNREFUSED", "connect ECONNREFUSED 127.0.0.1:");
    run(&f, &alone, "224.0.0.1", SECOND);
    expect_failure(&f, &alone, "ENETUNREACH", "connect ENETUNREACH 224.0.0.1:");
    teardown(&f);
}

static void test_deadline(void **state)
{
    static const struct fake_dns_rule rules[] = {
        {"box.test", FAKE_DNS_A, .silent = true}, {"box.test", FAKE_DNS_AAAA, .silent = true}, {0}};
    struct fixture f;
    struct attempt dialling = {0}, resolving = {0};
    setup(&f, "127.0.0.2 box\n127.0.0.1 box\n", rules);
    open_black_hole(&f);
    run(&f, &dialling, "127.0.0.2", 30000);
    expect_failure(&f, &dialling, "ETIMEDOUT", "connect ETIMEDOUT 127.0.0.2:");
    run(&f, &resolving, "box.test", 30000);
    expect_failure(&f, &resolving, "ETIMEDOUT", "connect ETIMEDOUT box.test:");
    assert_int_equal(0, resolving.lookups);
    teardown(&f);
}

static void release_held_answer(struct fixture *f)
{
    fake_dns_release(&f->dns);
}

static void test_late_family_joins_the_race(void **state)
{
    static const struct fake_dns_rule rules[] = {
        {"box.test", FAKE_DNS_A, .addresses = {"127.0.0.2"}, .ttl = 60},
        {"box.test", FAKE_DNS_AAAA, .addresses = {"::1"}, .ttl = 60, .held = true},
        {0}};
    struct fixture f;
    struct attempt attempt = {.judged_hook = release_held_answer};
    setup(&f, "", rules);
    listen_at(&f, "::1");
    open_black_hole(&f);
    run(&f, &attempt, "box.test", 4 * SECOND);
    assert_true(attempt.connected);
    assert_string_equal("127.0.0.2 ::1", attempt.judged);
    assert_int_equal(1, attempt.lookups);
    teardown(&f);
}

/* The early family failed: the late one is waited for. */
static void test_late_family_is_the_last_hope(void **state)
{
    static const struct fake_dns_rule rules[] = {
        {"box.test", FAKE_DNS_A, .addresses = {"127.0.0.2"}, .ttl = 60},
        {"box.test", FAKE_DNS_AAAA, .addresses = {"::1"}, .ttl = 60, .held = true},
        {0}};
    struct fixture f;
    struct attempt attempt = {.judged_hook = release_held_answer, .refused = {"127.0.0.2"}};
    setup(&f, "", rules);
    listen_at(&f, "::1");
    run(&f, &attempt, "box.test", 4 * SECOND);
    assert_true(attempt.connected);
    assert_string_equal("::1", attempt.address);
    teardown(&f);
}

static void test_cancelled_at_every_step(void **state)
{
    static const struct fake_dns_rule rules[] = {{"box.test", FAKE_DNS_A, .silent = true}, {0}};
    struct fixture f;
    struct attempt literal = {0}, resolving = {0}, local = {0}, refused = {.refused = {"all"}};
    struct attempt in_lookup = {.cancel_in_lookup = true}, last = {0};
    setup(&f, "127.0.0.1 box\n", rules);
    listen_at(&f, "127.0.0.1");
    start(&f, &literal, "127.0.0.1", SECOND);
    start(&f, &resolving, "box.test", SECOND);
    start(&f, &local, "box", SECOND);
    start(&f, &refused, "127.0.0.1", SECOND);
    dial_cancel(literal.dial);
    dial_cancel(resolving.dial);
    dial_cancel(local.dial);
    dial_cancel(refused.dial);
    run(&f, &in_lookup, "box", SECOND);
    assert_int_equal(1, in_lookup.lookups);
    assert_string_equal("", in_lookup.judged);
    run(&f, &last, "box", SECOND);
    assert_true(last.connected);
    const struct attempt *cancelled[] = {&literal, &resolving, &local, &refused, &in_lookup};
    for (int i = 0; i < 5; i++) {
        assert_false(cancelled[i]->connected);
        assert_string_equal("", cancelled[i]->code);
    }
    assert_int_equal(0, local.lookups);
    teardown(&f);
}

static void test_out_of_descriptors(void **state)
{
    struct fixture f;
    struct attempt attempt = {0};
    struct rlimit before, low;
    setup(&f, "", NULL);
    listen_at(&f, "127.0.0.1");
    int lowest = dup(0);
    close(lowest);
    assert_int_equal(0, getrlimit(RLIMIT_NOFILE, &before));
    low = before;
    low.rlim_cur = (rlim_t)lowest;
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &low));
    start(&f, &attempt, "127.0.0.1", SECOND);
    loop_run(f.loop);
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &before));
    expect_failure(&f, &attempt, "EMFILE", "connect EMFILE 127.0.0.1:");
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literal_is_dialled_as_it_is),
        cmocka_unit_test(test_mapped_literal_is_judged_unmapped),
        cmocka_unit_test(test_refused_literal),
        cmocka_unit_test(test_judge_refuses_a_literal),
        cmocka_unit_test(test_judge_refuses_a_name),
        cmocka_unit_test(test_refused_candidates_are_skipped),
        cmocka_unit_test(test_unknown_name),
        cmocka_unit_test(test_families_take_turns),
        cmocka_unit_test(test_next_address_after_a_failure),
        cmocka_unit_test(test_black_hole_loses_the_race),
        cmocka_unit_test(test_first_failure_is_told),
        cmocka_unit_test(test_no_route_is_told_only_alone),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_late_family_joins_the_race),
        cmocka_unit_test(test_late_family_is_the_last_hope),
        cmocka_unit_test(test_cancelled_at_every_step),
        cmocka_unit_test(test_out_of_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

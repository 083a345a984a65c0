/* When tunnels are opened, with tunnels that are none: this file has their functions, too. */
#include "net_test.h"

#include "agent/uplink.h"

#define TUNNELS_MAX 16

struct tunnel_client {
    const struct tunnel_client_callbacks *callbacks;
    void *user;
    void (*on_closed)(void *user);
    bool closing, closed;
    uint64_t opened_at;
};

static struct loop *loop;
static struct uplink *uplink;
static struct tunnel_client fakes[TUNNELS_MAX];
static unsigned opened, pings, downs;
static bool accepts, may_retry, is_closed;
static struct loop_deferred teardown;

int tunnel_client_open(struct loop *given, struct resolver *resolver,
                       const struct tunnel_client_options *options,
                       const struct tunnel_client_callbacks *callbacks, void *user,
                       struct tunnel_client **ret_tunnel)
{
    assert_true(opened < TUNNELS_MAX);
    struct tunnel_client *fake = &fakes[opened++];
    *fake = (struct tunnel_client){
        .callbacks = callbacks, .user = user, .opened_at = loop_update_now(loop)};
    *ret_tunnel = fake;
    return 0;
}

static void run_teardown(struct loop_deferred *deferred)
{
    for (unsigned i = 0; i < opened; i++)
        if (fakes[i].closing && !fakes[i].closed) {
            fakes[i].closed = true;
            fakes[i].on_closed(fakes[i].user);
        }
}

void tunnel_client_close(struct tunnel_client *tunnel, void (*on_closed)(void *user))
{
    if (tunnel->closing)
        return;
    tunnel->closing = true;
    tunnel->on_closed = on_closed;
    loop_defer(loop, &teardown);
}

void *tunnel_client_user(const struct tunnel_client *tunnel)
{
    return tunnel->user;
}

struct tunnel_client *tunnel_client_of(const struct plex_session *session)
{
    return NULL;
}

struct plex_session *tunnel_client_session(const struct tunnel_client *tunnel)
{
    return NULL;
}

void tunnel_client_ping(struct tunnel_client *tunnel)
{
    pings++;
}

static bool on_up(void *user, struct plex_session *session, const char **ret_text)
{
    *ret_text = "of no use";
    return accepts;
}

static bool on_down(void *user, enum tunnel_client_end end, const char *text)
{
    downs++;
    return may_retry;
}

static const struct plex_callbacks substreams;
static const struct uplink_callbacks callbacks = {
    .on_up = on_up, .on_down = on_down, .substreams = &substreams};

static int open_all(void **state)
{
    const struct tunnel_client_options options = {.host = "s", .port = 1, .token = "t"};
    opened = pings = downs = 0;
    accepts = may_retry = true;
    is_closed = false;
    teardown = (struct loop_deferred){.run = run_teardown};
    assert_int_equal(loop_new(&loop), 0);
    return uplink_open(loop, NULL, &options, &callbacks, NULL, 1, &uplink);
}

static void on_closed(void *user)
{
    is_closed = true;
}

static int close_all(void **state)
{
    uplink_close(uplink, on_closed);
    test_run_until(loop, test_flag_holds, &is_closed);
    for (unsigned i = 0; i < opened; i++)
        assert_true(fakes[i].closed);
    loop_free(loop);
    return 0;
}

static bool has_opened(void *count)
{
    return opened >= *(unsigned *)count;
}

static void run_until_opened(unsigned count)
{
    test_run_until(loop, has_opened, &count);
}

static void bring_up(unsigned index)
{
    fakes[index].callbacks->on_up(&fakes[index]);
}

static void bring_down(unsigned index)
{
    fakes[index].callbacks->on_down(&fakes[index], TUNNEL_CLIENT_LOST, "lost");
}

static void test_a_lost_tunnel_is_opened_again_after_a_while(void **state)
{
    assert_int_equal(opened, 1);
    bring_up(0);
    bring_down(0);
    uint64_t lost_at = loop_update_now(loop);
    assert_int_equal(opened, 1);
    run_until_opened(2);
    assert_true(fakes[1].opened_at - lost_at >= 200000);
    assert_int_equal(downs, 1);
}

static void test_waiting_grows(void **state)
{
    bring_down(0);
    run_until_opened(2);
    bring_down(1);
    uint64_t lost_at = loop_update_now(loop);
    run_until_opened(3);
    assert_true(fakes[2].opened_at - lost_at >= 450000);
}

static void test_the_owner_may_want_no_more(void **state)
{
    may_retry = false;
    bring_down(0);
    uplink_network_changed(uplink);
    test_run_for(loop, 600000);
    assert_int_equal(opened, 1);
}

static void test_a_tunnel_of_no_use_is_closed(void **state)
{
    accepts = false;
    bring_up(0);
    assert_true(fakes[0].closing);
    assert_int_equal(downs, 1);
    assert_null(uplink_session(uplink));
    run_until_opened(2);
}

/* The wait is far longer than the pause between two tries. */
static void test_the_networks_return_ends_the_waiting(void **state)
{
    for (unsigned i = 0; i < 3; i++) {
        bring_down(i);
        uplink_network_changed(uplink);
        run_until_opened(i + 2);
        if (i)
            assert_true(fakes[i + 1].opened_at - fakes[i].opened_at < 1300000);
    }
}

static void test_a_tunnel_that_is_up_is_asked_at_news(void **state)
{
    uplink_network_changed(uplink);
    assert_int_equal(pings, 0); /* it isn't up yet */
    bring_up(0);
    uplink_network_changed(uplink);
    assert_int_equal(pings, 1);
    assert_int_equal(opened, 1);
}

static void test_goaway_opens_another_and_ends_the_old_one_when_it_is_idle(void **state)
{
    bring_up(0);
    fakes[0].callbacks->on_goaway(&fakes[0]);
    run_until_opened(2);
    assert_true(fakes[0].closing); /* it had no substream */
    assert_int_equal(downs, 0);
}

static void test_a_server_that_always_goes_is_not_hammered(void **state)
{
    bring_up(0);
    fakes[0].callbacks->on_goaway(&fakes[0]);
    uint64_t before = loop_update_now(loop);
    run_until_opened(2);
    assert_true(fakes[1].opened_at - before >= 200000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_lost_tunnel_is_opened_again_after_a_while),
        TEST(test_waiting_grows),
        TEST(test_the_owner_may_want_no_more),
        TEST(test_a_tunnel_of_no_use_is_closed),
        TEST(test_the_networks_return_ends_the_waiting),
        TEST(test_a_tunnel_that_is_up_is_asked_at_news),
        TEST(test_goaway_opens_another_and_ends_the_old_one_when_it_is_idle),
        TEST(test_a_server_that_always_goes_is_not_hammered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

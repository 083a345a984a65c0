/* Substreams from open to close, with two engines joined. */
#include "pair.h"

static void test_legacy_life(void **state)
{
    struct pair *pair = pair_new(0);
    struct plex_substream *device = side_open(&pair->device, PLEX_NET);
    assert_int_equal(plex_substream_connect(device, "example.com", 80), 0);
    plex_substream_timeout(device, 1500);
    side_send(device, "hello", 5);
    pair_run(pair);
    side_expect(&pair->server,
                "open 2 net\nconnect 2 example.com 80\ntimeout 2 1500\ndata 2 hello\n");
    struct plex_substream *server = side_get(&pair->server, 2);
    plex_substream_notify(server, PLEX_EVENT_LOOKUP, NULL);
    plex_substream_notify(server, PLEX_EVENT_CONNECT, "192.0.2.1:80");
    side_send(server, "world", 5);
    pair->server.hosts[2].end_after = true;
    pair_run(pair);
    side_expect(&pair->device, "event 2 lookup\nevent 2 connect\ndata 2 world\nend 2\n");
    plex_substream_end(device);
    pair_run(pair);
    side_expect(&pair->server, "end 2\n");
    plex_substream_close(server);
    pair_run(pair);
    side_expect(&pair->device, "gone 2 SUBSTREAM_CLOSED\n");
    pair_free(pair);
}

static void test_v1_life(void **state)
{
    struct pair *pair = pair_new(PLEX_FEATURES_ALL);
    assert_int_equal(plex_session_features(pair->server.session), PLEX_FEATURES_ALL);
    assert_int_equal(plex_session_features(pair->device.session), PLEX_FEATURES_ALL);
    struct plex_substream *device = side_open(&pair->device, PLEX_TLS);
    assert_int_equal(plex_substream_connect(device, "example.com", 443), 0);
    pair_run(pair);
    side_expect(&pair->server, "open 2 tls\nconnect 2 example.com 443\n");
    struct plex_substream *server = side_get(&pair->server, 2);
    plex_substream_notify(server, PLEX_EVENT_CONNECT, "192.0.2.1:443");
    plex_substream_notify(server, PLEX_EVENT_SECURE_CONNECT, NULL);
    pair_run(pair);
    side_expect(&pair->device, "event 2 connect 192.0.2.1:443\nevent 2 secureConnect\n");
    plex_substream_abort(server, "read ECONNRESET", "ECONNRESET");
    pair_run(pair);
    side_expect(&pair->device, "error 2 read ECONNRESET ECONNRESET\ngone 2 SUBSTREAM_RESET\n");
    pair_free(pair);
}

/* Resets: who aborts, at which step of a life, and whether the other side's frames are on their
 * way. */

enum step {
    OPENED,
    CONNECTING,
    CONNECTED,
    DATA,
    HALF_CLOSED_BY_DEVICE,
    HALF_CLOSED_BY_SERVER,
    STEPS
};

static void live_until(struct pair *pair, struct plex_substream *device, enum step step)
{
    struct plex_substream *server = NULL;
    pair_run(pair);
    server = side_get(&pair->server, plex_substream_id(device));
    if (step >= CONNECTING)
        assert_int_equal(plex_substream_connect(device, "h", 80), 0);
    if (step >= CONNECTED)
        plex_substream_notify(server, PLEX_EVENT_CONNECT, "192.0.2.1:80");
    if (step >= DATA) {
        side_send(device, "up", 2);
        side_send(server, "down", 4);
    }
    if (step == HALF_CLOSED_BY_DEVICE)
        pair->device.hosts[plex_substream_id(device)].end_after = true;
    if (step == HALF_CLOSED_BY_SERVER)
        pair->server.hosts[plex_substream_id(device)].end_after = true;
}

static void give_up(struct side *side, struct plex_substream *substream)
{
    side->hosts[plex_substream_id(substream)].substream = NULL;
    plex_substream_abort(substream, "gave up", "ECODE");
}

static void expect_nothing_left(struct pair *pair)
{
    struct plex_stats stats;
    plex_session_stats(pair->server.session, &stats);
    assert_int_equal(stats.substreams, 0);
    assert_int_equal(stats.buffered, 0);
    plex_session_stats(pair->device.session, &stats);
    assert_int_equal(stats.substreams, 0);
}

/* who: 1 the device, 2 the server, 3 both, crossing. settled: whether what went before has arrived.
 */
static void abort_at(uint32_t features, enum step step, int who, bool settled)
{
    struct pair *pair = pair_new(features);
    struct plex_substream *device = side_open(&pair->device, PLEX_NET);
    live_until(pair, device, step);
    if (settled)
        pair_run(pair);
    struct plex_substream *server = side_get(&pair->server, 2);
    if (who & 1)
        give_up(&pair->device, device);
    if (who & 2)
        give_up(&pair->server, server);
    if (who == 1 && !(features & PLEX_RESET)) {
        /* For the server this looks like a half-close: it closes when it is done. */
        pair_run(pair);
        assert_non_null(strstr(pair->server.log, "end 2\n"));
        pair->server.hosts[2].substream = NULL;
        plex_substream_close(server);
    }
    pair_run(pair);
    assert_int_equal(pair->server.error, 0);
    assert_int_equal(pair->device.error, 0);
    expect_nothing_left(pair);
    if (who == 1 && features & PLEX_RESET)
        assert_non_null(strstr(pair->server.log, "gone 2 SUBSTREAM_RESET\n"));
    if (who == 2) {
        assert_non_null(strstr(pair->device.log, "error 2 gave up"));
        assert_non_null(strstr(pair->device.log, features & PLEX_RESET
                                                     ? "gone 2 SUBSTREAM_RESET\n"
                                                     : "gone 2 SUBSTREAM_CLOSED\n"));
    }
    if (who == 3)
        assert_null(strstr(pair->device.log, "gone"));
    /* The tunnel is as good as before. */
    struct plex_substream *next = side_open(&pair->device, PLEX_NET);
    assert_int_equal(plex_substream_id(next), 4);
    side_send(next, "next", 4);
    pair_run(pair);
    assert_non_null(strstr(pair->server.log, "data 4 next\n"));
    pair_free(pair);
}

static void test_abort_at_each_step(void **state)
{
    static const uint32_t features[] = {0, PLEX_FLOW, PLEX_RESET, PLEX_FEATURES_ALL};
    for (size_t i = 0; i < 4; i++)
        for (int step = OPENED; step < STEPS; step++)
            for (int who = 1; who <= 3; who++) {
                abort_at(features[i], (enum step)step, who, true);
                abort_at(features[i], (enum step)step, who, false);
            }
}

/* The opener has to know whether the target may have got what it sent. */
static void test_what_was_told_goes_before_an_abort(void **state)
{
    static const uint32_t features[] = {0, PLEX_FEATURES_ALL};
    for (size_t i = 0; i < 2; i++) {
        struct pair *pair = pair_new(features[i]);
        side_open(&pair->device, PLEX_NET);
        pair_run(pair);
        side_expect(&pair->server, "open 2 net\n");
        struct plex_substream *server = side_get(&pair->server, 2);
        plex_substream_notify(server, PLEX_EVENT_CONNECT, NULL);
        plex_substream_abort(server, "read ECONNRESET", "ECONNRESET");
        pair_run(pair);
        side_expect(&pair->device, i == 0 ? "event 2 connect\nerror 2 read ECONNRESET\nend 2\n"
                                            "gone 2 SUBSTREAM_CLOSED\n"
                                          : "event 2 connect\nerror 2 read ECONNRESET ECONNRESET\n"
                                            "gone 2 SUBSTREAM_RESET\n");
        pair_free(pair);
    }
}

static void test_abort_before_anything_was_sent(void **state)
{
    struct pair *pair = pair_new(PLEX_FEATURES_ALL);
    struct plex_substream *device = side_open(&pair->device, PLEX_NET);
    give_up(&pair->device, device);
    assert_false(plex_session_has_output(pair->device.session));
    expect_nothing_left(pair);
    side_open(&pair->device, PLEX_NET);
    pair_run(pair);
    side_expect(&pair->server, "open 4 net\n");
    pair_free(pair);
}

/* The acceptor's `close` is on its way when the opener resets: the reset comes late, and the id is
 * used again. */
static void test_reset_crosses_close(void **state)
{
    struct pair *pair = pair_new(PLEX_FEATURES_ALL);
    uint8_t up[PLEX_PULL_MAX], down[PLEX_PULL_MAX];
    struct plex_substream *device = side_open(&pair->device, PLEX_NET);
    pair_run(pair);
    plex_substream_close(side_get(&pair->server, 2));
    pair->server.hosts[2].substream = NULL;
    give_up(&pair->device, device);
    size_t up_size = plex_session_pull(pair->device.session, up, sizeof up, pair->now);
    size_t down_size = plex_session_pull(pair->server.session, down, sizeof down, pair->now);
    assert_int_equal(up_size, PLEX_HEADER_SIZE + 2);
    assert_int_equal(side_feed(&pair->device, down, down_size, pair->now), 0);
    assert_int_equal(side_feed(&pair->server, up, up_size, pair->now), 0);
    expect_nothing_left(pair);
    side_expect(&pair->server, "open 2 net\n");
    side_expect(&pair->device, "");
    pair_free(pair);
}

static void test_refused_open(void **state)
{
    for (int v1 = 0; v1 < 2; v1++) {
        struct pair *pair = pair_new(v1 ? PLEX_FEATURES_ALL : 0);
        pair->server.refuse = "connect EACCES \"here\"\n\xc3\xa4\xff";
        side_open(&pair->device, PLEX_NET);
        pair_run(pair);
        side_expect(
            &pair->device,
            v1 ? "error 2 connect EACCES \"here\"\n\xc3\xa4? ECODE\ngone 2 SUBSTREAM_RESET\n"
               : "error 2 connect EACCES \"here\"\n\xc3\xa4?\nend 2\ngone 2 SUBSTREAM_CLOSED\n");
        pair_free(pair);
    }
}

static void test_long_messages_are_cut(void **state)
{
    struct pair *pair = pair_new(PLEX_FEATURES_ALL);
    static char message[3 * PLEX_MESSAGE_MAX], expected[3 * PLEX_MESSAGE_MAX];
    memset(message, 'm', sizeof message - 1);
    memcpy(message + PLEX_MESSAGE_MAX - 1, "\xc3\xa4", 2);
    pair->server.refuse = message;
    side_open(&pair->device, PLEX_NET);
    pair_run(pair);
    snprintf(expected, sizeof expected, "error 2 %.*s ECODE\ngone 2 SUBSTREAM_RESET\n",
             PLEX_MESSAGE_MAX - 1, message);
    side_expect(&pair->device, expected);
    /* What takes more room escaped is cut further, so that it fits the smallest buffer. */
    memset(message, 1, PLEX_MESSAGE_MAX);
    pair->server.pull_size = PLEX_PULL_MIN;
    side_open(&pair->device, PLEX_NET);
    pair_run(pair);
    assert_int_equal(strncmp(pair->device.log, "error 4 \1\1\1\1", 12), 0);
    pair_free(pair);
}

static void test_ids_are_used_again_oldest_first(void **state)
{
    struct pair *pair = pair_new(PLEX_FEATURES_ALL);
    pair->server.answer = 1;
    struct plex_substream *kept = side_open(&pair->device, PLEX_NET);
    pair_run(pair);
    unsigned id = 2;
    for (int i = 0; i < 70000; i++) {
        struct plex_substream *substream = side_open(&pair->device, PLEX_NET);
        id = id == 65534 ? 4 : id + 2;
        assert_int_equal(plex_substream_id(substream), id);
        pair_run(pair);
        pair->server.log_size = 0;
        struct plex_substream *server = side_get(&pair->server, (uint16_t)id);
        pair->server.hosts[id].substream = NULL;
        if (i % 2) {
            plex_substream_close(server);
        } else {
            give_up(&pair->device, substream);
        }
        pair_run(pair);
        pair->server.log_size = pair->device.log_size = 0;
    }
    pair->device.log[0] = pair->server.log[0] = 0;
    side_send(kept, "still", 5);
    pair_run(pair);
    side_expect(&pair->server, "data 2 still\n");
    struct plex_stats stats;
    plex_session_stats(pair->server.session, &stats);
    assert_int_equal(stats.substreams, 1);
    pair_free(pair);
}

static void test_every_id_in_use(void **state)
{
    struct pair *pair = pair_prepare(0);
    pair->server.config.max_substreams = 32767;
    pair_start(pair);
    pair->server.mute = pair->device.mute = true;
    for (int i = 0; i < 32767; i++) {
        side_open(&pair->device, PLEX_NET);
        pair_run(pair);
    }
    struct plex_substream *substream;
    assert_int_equal(
        plex_substream_open(pair->device.session, PLEX_NET, NULL, NULL, NULL, &substream),
        PLEX_OURS_NO_ID);
    plex_substream_close(side_get(&pair->server, 1000));
    pair->server.hosts[1000].substream = NULL;
    pair_run(pair);
    assert_int_equal(plex_substream_id(side_open(&pair->device, PLEX_NET)), 1000);
    pair_run(pair);
    assert_int_equal(pair->server.error, 0);
    pair_free(pair);
}

static void test_announced_limit(void **state)
{
    struct pair *pair = pair_prepare(PLEX_FEATURES_ALL);
    pair->server.config.max_substreams = 2;
    pair_start(pair);
    side_open(&pair->device, PLEX_NET);
    struct plex_substream *second = side_open(&pair->device, PLEX_NET), *third;
    assert_int_equal(plex_substream_open(pair->device.session, PLEX_NET, NULL, NULL, NULL, &third),
                     PLEX_SUBSTREAM_LIMIT);
    pair_run(pair);
    give_up(&pair->device, second);
    /* It counts until the acceptor's last frame. */
    assert_int_equal(plex_substream_open(pair->device.session, PLEX_NET, NULL, NULL, NULL, &third),
                     PLEX_SUBSTREAM_LIMIT);
    pair_run(pair);
    side_open(&pair->device, PLEX_NET);
    pair_run(pair);
    assert_int_equal(pair->server.error, 0);
    assert_int_equal(pair->device.error, 0);
    pair_free(pair);
}

static void test_inbound(void **state)
{
    struct pair *pair = pair_new(PLEX_FEATURES_ALL);
    struct plex_substream *server = side_open(&pair->server, PLEX_INBOUND), *device;
    assert_int_equal(plex_substream_id(server), 1);
    side_send(server, "GET", 3);
    pair->server.hosts[1].end_after = true;
    pair_run(pair);
    side_expect(&pair->device, "open 1 inbound web 192.0.2.1:4711\ndata 1 GET\nend 1\n");
    device = side_get(&pair->device, 1);
    plex_substream_notify(device, PLEX_EVENT_CONNECT, NULL);
    side_send(device, "200", 3);
    pair->device.hosts[1].close_after = true;
    pair_run(pair);
    side_expect(&pair->server, "event 1 connect\ndata 1 200\nend 1\ngone 1 SUBSTREAM_CLOSED\n");
    struct plex_substream *substream;
    static char longer[PLEX_SERVICE_MAX + 2];
    memset(longer, 's', PLEX_SERVICE_MAX + 1);
    struct plex_session *session = pair->server.session;
    assert_int_equal(plex_substream_open(session, PLEX_NET, NULL, NULL, NULL, &substream),
                     PLEX_OURS_STATE);
    assert_int_equal(plex_substream_open(session, PLEX_INBOUND, longer, "v", NULL, &substream),
                     PLEX_OURS_ARGUMENT);
    assert_int_equal(plex_substream_open(session, PLEX_INBOUND, "", "v", NULL, &substream),
                     PLEX_OURS_ARGUMENT);
    assert_int_equal(plex_substream_open(session, PLEX_INBOUND, "s", NULL, NULL, &substream),
                     PLEX_OURS_ARGUMENT);
    assert_int_equal(
        plex_substream_open(pair->device.session, PLEX_INBOUND, "s", "v", NULL, &substream),
        PLEX_OURS_STATE);
    pair_free(pair);
}

/* Odd ids go round, and those in use are left out. */
static void test_inbound_ids_go_round(void **state)
{
    struct pair *pair = pair_new(PLEX_FEATURES_ALL);
    struct plex_substream *kept = side_open(&pair->server, PLEX_INBOUND);
    pair->server.mute = pair->device.mute = true;
    for (unsigned i = 1; i < 40000; i++) {
        struct plex_substream *substream = side_open(&pair->server, PLEX_INBOUND);
        unsigned expected = i < 32768 ? 2 * i + 1 : 2 * (i - 32768) + 3;
        assert_int_equal(plex_substream_id(substream), expected);
        pair_run(pair);
        struct plex_substream *device = side_get(&pair->device, (uint16_t)expected);
        host_forget(device);
        plex_substream_close(device);
        pair_run(pair);
    }
    assert_int_equal(plex_substream_id(kept), 1);
    assert_int_equal(pair->server.error, 0);
    assert_int_equal(pair->device.error, 0);
    pair_free(pair);
}

static void test_goaway(void **state)
{
    struct pair *pair = pair_new(PLEX_FEATURES_ALL);
    struct plex_substream *before = side_open(&pair->device, PLEX_NET), *after;
    pair_run(pair);
    side_open(&pair->device, PLEX_NET); /* crosses */
    plex_session_goaway(pair->server.session, 3);
    pair_run(pair);
    side_expect(&pair->server, "open 2 net\n");
    side_expect(
        &pair->device,
        "goaway 3\nerror 4 the server is going away SUBSTREAM_GOAWAY\ngone 4 SUBSTREAM_RESET\n");
    assert_int_equal(plex_substream_open(pair->device.session, PLEX_NET, NULL, NULL, NULL, &after),
                     PLEX_SUBSTREAM_GOAWAY);
    side_send(before, "goes on", 7);
    pair_run(pair);
    side_expect(&pair->server, "data 2 goes on\n");
    /* The other direction isn't concerned. */
    side_open(&pair->server, PLEX_INBOUND);
    pair_run(pair);
    side_expect(&pair->device, "open 1 inbound web 192.0.2.1:4711\n");
    pair_free(pair);
}

static void test_events_are_told_once_and_in_order(void **state)
{
    struct pair *pair = pair_new(0);
    side_open(&pair->device, PLEX_TLS);
    pair_run(pair);
    struct plex_substream *server = side_get(&pair->server, 2);
    side_send(server, "data", 4);
    for (int i = 0; i < 2; i++) {
        plex_substream_notify(server, PLEX_EVENT_SECURE_CONNECT, NULL);
        plex_substream_notify(server, PLEX_EVENT_CONNECT, NULL);
        plex_substream_notify(server, PLEX_EVENT_LOOKUP, NULL);
        plex_substream_notify(server, PLEX_EVENT_TIMEOUT, NULL);
        pair_run(pair);
    }
    side_expect(&pair->device,
                "event 2 lookup\nevent 2 connect\nevent 2 secureConnect\nevent 2 timeout\n"
                "data 2 data\nevent 2 timeout\n");
    pair_free(pair);
}

static void test_bad_arguments(void **state)
{
    struct pair *pair = pair_new(0);
    struct plex_substream *device = side_open(&pair->device, PLEX_NET), *second;
    static char host[PLEX_HOST_MAX + 2];
    memset(host, 'h', PLEX_HOST_MAX + 1);
    assert_int_equal(plex_substream_connect(device, "", 80), PLEX_OURS_ARGUMENT);
    assert_int_equal(plex_substream_connect(device, "a b", 80), PLEX_OURS_ARGUMENT);
    assert_int_equal(plex_substream_connect(device, host, 80), PLEX_OURS_ARGUMENT);
    assert_int_equal(plex_substream_connect(device, "h", 0), PLEX_OURS_ARGUMENT);
    host[PLEX_HOST_MAX] = 0;
    memset(host, '"', PLEX_HOST_MAX);
    assert_int_equal(plex_substream_connect(device, host, 80), 0);
    assert_int_equal(plex_substream_connect(device, "h", 80), PLEX_OURS_STATE);
    assert_int_equal(plex_substream_open(pair->device.session, PLEX_NET, "s", NULL, NULL, &second),
                     PLEX_OURS_ARGUMENT);
    pair->device.pull_size = PLEX_PULL_MIN;
    pair_run(pair);
    char log[PLEX_HOST_MAX + 64];
    snprintf(log, sizeof log, "open 2 net\nconnect 2 %s 80\n", host);
    side_expect(&pair->server, log);
    assert_int_equal(plex_substream_connect(side_get(&pair->server, 2), "h", 80), PLEX_OURS_STATE);
    pair_free(pair);
}

/* A request whose end comes after the host's close asks nobody. */
static void test_torn_request_crosses_close(void **state)
{
    static const char *const requests[] = {
        "{\"event\":\"custom\",\"emitArgs\":[\"_pls_connect\",80,\"example.com\"]}",
        "{\"event\":\"custom\",\"emitArgs\":[\"_pls_timeout\",1000]}",
        "{\"event\":\"end\"}",
    };
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        struct pair *pair = pair_new(0);
        uint8_t bytes[200];
        size_t size = frame(bytes, 2, 1, requests[i], strlen(requests[i]));
        side_open(&pair->device, PLEX_NET);
        pair_run(pair);
        assert_int_equal(side_feed(&pair->server, bytes, size - 10, pair->now), 0);
        struct plex_substream *server = side_get(&pair->server, 2);
        pair->server.hosts[2].substream = NULL;
        plex_substream_close(server);
        assert_int_equal(side_feed(&pair->server, bytes + size - 10, 10, pair->now), 0);
        side_expect(&pair->server, "open 2 net\n");
        pair_free(pair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_legacy_life),
        cmocka_unit_test(test_v1_life),
        cmocka_unit_test(test_abort_at_each_step),
        cmocka_unit_test(test_what_was_told_goes_before_an_abort),
        cmocka_unit_test(test_abort_before_anything_was_sent),
        cmocka_unit_test(test_reset_crosses_close),
        cmocka_unit_test(test_refused_open),
        cmocka_unit_test(test_long_messages_are_cut),
        cmocka_unit_test(test_ids_are_used_again_oldest_first),
        cmocka_unit_test(test_every_id_in_use),
        cmocka_unit_test(test_announced_limit),
        cmocka_unit_test(test_inbound),
        cmocka_unit_test(test_inbound_ids_go_round),
        cmocka_unit_test(test_goaway),
        cmocka_unit_test(test_events_are_told_once_and_in_order),
        cmocka_unit_test(test_bad_arguments),
        cmocka_unit_test(test_torn_request_crosses_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

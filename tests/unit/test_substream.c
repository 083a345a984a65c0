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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_legacy_life),
        cmocka_unit_test(test_v1_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

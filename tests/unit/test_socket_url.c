#include "registry_test.h"

#include "server/socket_url.h"

static struct config config;

static void assert_url(enum socket_type type, uint16_t own_port, uint16_t http, uint16_t https,
                       const char *wanted, uint16_t wanted_port)
{
    char url[REGISTRY_HOST_MAX + 32];
    struct socket_facts *facts = test_facts(1, type, "a.example", own_port);
    config.edge_http_port = http;
    config.edge.https_port = https;
    assert_int_equal(socket_url_format(facts, &config, url, sizeof url), wanted_port);
    assert_string_equal(url, wanted);
    socket_facts_unref(facts);
}

static void test_https_comes_before_http(void **state)
{
    assert_url(SOCKET_HTTP, 0, 80, 443, "https://a.example", 443);
    assert_url(SOCKET_HTTPS, 0, 8080, 8443, "https://a.example:8443", 8443);
    assert_url(SOCKET_PASSTHROUGH, 0, 0, 8443, "https://a.example:8443", 8443);
}

static void test_without_https_it_is_http(void **state)
{
    assert_url(SOCKET_HTTP, 0, 80, 0, "http://a.example", 80);
    assert_url(SOCKET_HTTPS, 0, 8080, 0, "http://a.example:8080", 8080);
}

static void test_a_port_of_its_own_stands_behind_the_host(void **state)
{
    assert_url(SOCKET_TCP, 41000, 80, 443, "a.example:41000", 41000);
    assert_url(SOCKET_TLS, 443, 80, 443, "a.example:443", 443);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_https_comes_before_http),
        cmocka_unit_test(test_without_https_it_is_http),
        cmocka_unit_test(test_a_port_of_its_own_stands_behind_the_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

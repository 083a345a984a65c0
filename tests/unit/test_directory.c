#include "registry_test.h"

#include "registry/directory.h"

static struct directory *directory;

static int set_up(void **state)
{
    return directory_new(&directory);
}

static int tear_down(void **state)
{
    directory_free(directory);
    return 0;
}

static void apply(enum registry_change_kind kind, struct socket_facts *facts,
                  struct presence *presence)
{
    const struct registry_change change = {kind, facts, presence};
    assert_int_equal(directory_apply(directory, &change), 0);
}

static void put(uint64_t id, enum socket_type type, const char *host, uint16_t port)
{
    struct socket_facts *facts = test_facts(id, type, host, port);
    apply(REGISTRY_PUT, facts, NULL);
    socket_facts_unref(facts);
}

static uint64_t find(const char *host)
{
    const struct directory_entry *entry = directory_find_host(directory, host, strlen(host));
    return entry ? directory_facts(entry)->id : 0;
}

static void test_a_host_is_found_however_it_is_written(void **state)
{
    put(1, SOCKET_HTTP, "a.example", 0);
    put(2, SOCKET_PASSTHROUGH, "b.example", 0);
    assert_int_equal(find("a.example"), 1);
    assert_int_equal(find("A.eXample."), 1);
    assert_int_equal(find("b.example"), 2);
    assert_int_equal(find("c.example"), 0);
    assert_int_equal(find("a.example.."), 0);
    assert_int_equal(find("a.example:80"), 0);
    assert_int_equal(find(""), 0);
    assert_int_equal(find("."), 0);
    assert_non_null(directory_find_host(directory, "a.example/path", 9)); /* not NUL-terminated */
    char text[600];
    memset(text, 'a', sizeof text);
    assert_null(directory_find_host(directory, text, sizeof text));
}

static void test_a_socket_with_a_port_has_no_host(void **state)
{
    put(1, SOCKET_TCP, "edge.example", 41000);
    put(2, SOCKET_TLS, "edge.example", 41001);
    assert_int_equal(find("edge.example"), 0);
    assert_int_equal(directory_facts(directory_find_id(directory, 2))->port, 41001);
    assert_null(directory_find_id(directory, 3));
}

static void test_changed_facts_keep_who_is_online(void **state)
{
    struct socket_facts *facts = test_facts(1, SOCKET_HTTP, "a.example", 0);
    struct presence *presence = test_presence(1, 5);
    apply(REGISTRY_PUT, facts, NULL);
    apply(REGISTRY_ONLINE, facts, presence);
    put(1, SOCKET_HTTPS, "b.example", 0);
    assert_int_equal(find("a.example"), 0);
    assert_int_equal(find("b.example"), 1);
    const struct directory_entry *entry = directory_find_id(directory, 1);
    assert_int_equal(directory_presences(entry), 1);
    assert_ptr_equal(directory_pick(directory, entry, NULL, 0), presence);
    assert_null(directory_pick(directory, entry, &presence, 1));
    apply(REGISTRY_OFFLINE, facts, presence);
    assert_int_equal(directory_presences(entry), 0);
    assert_null(directory_pick(directory, entry, NULL, 0));
    assert_int_equal(presence->references, 1);
    assert_int_equal(facts->references, 1);
    presence_unref(presence);
    socket_facts_unref(facts);
}

static void test_a_removed_socket_is_gone_with_its_presences(void **state)
{
    struct socket_facts *facts = test_facts(1, SOCKET_HTTP, "a.example", 0);
    struct presence *presence = test_presence(1, 5);
    apply(REGISTRY_PUT, facts, NULL);
    apply(REGISTRY_ONLINE, facts, presence);
    apply(REGISTRY_REMOVE, facts, NULL);
    assert_int_equal(find("a.example"), 0);
    assert_null(directory_find_id(directory, 1));
    apply(REGISTRY_OFFLINE, facts, presence); /* late ones are fine */
    apply(REGISTRY_REMOVE, facts, NULL);
    assert_int_equal(presence->references, 1);
    assert_int_equal(facts->references, 1);
    presence_unref(presence);
    socket_facts_unref(facts);
}

static void test_ten_thousand_are_found(void **state)
{
    char host[64];
    for (unsigned i = 1; i <= 10000; i++) {
        snprintf(host, sizeof host, "shy-bush-%04u.edge.localhost", i);
        put(i, SOCKET_HTTP, host, 0);
    }
    for (unsigned i = 1; i <= 10000; i++) {
        snprintf(host, sizeof host, "Shy-Bush-%04u.edge.localhost", i);
        assert_int_equal(find(host), i);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_a_host_is_found_however_it_is_written),
        TEST(test_a_socket_with_a_port_has_no_host),
        TEST(test_changed_facts_keep_who_is_online),
        TEST(test_a_removed_socket_is_gone_with_its_presences),
        TEST(test_ten_thousand_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

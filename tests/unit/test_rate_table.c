/* The rates of visitors: whose bucket is whose, and what happens when there are too many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "edge/rate_table.h"

#define SECOND UINT64_C(1000000)
#define START  (1000 * SECOND)

static struct rate_table *table;

static int begin(void **state)
{
    return rate_table_new(&table);
}

static int end(void **state)
{
    rate_table_free(table);
    return 0;
}

static union address address_of(const char *host)
{
    union address address;
    assert_int_equal(address_from_host(host, 4711, &address), 0);
    return address;
}

static unsigned drain(uint64_t socket, const char *host, uint64_t now)
{
    union address address = address_of(host);
    unsigned count = 0;
    while (count < 100 && rate_table_take(table, socket, &address, 10, now) == 0) {
        address_set_port(&address, (uint16_t)(5000 + count)); /* no part of who it is */
        count++;
    }
    return count;
}

static void test_each_visitor_has_its_own(void **state)
{
    assert_int_equal(drain(1, "192.0.2.1", START), 10);
    assert_int_equal(drain(1, "192.0.2.1", START), 0);
    assert_int_equal(drain(1, "192.0.2.2", START), 10);
    assert_int_equal(drain(2, "192.0.2.1", START), 10); /* of each socket */
    assert_int_equal(drain(1, "192.0.2.1", START + SECOND), 10);
}

static void test_one_network_is_one_visitor(void **state)
{
    assert_int_equal(drain(1, "2001:db8::1", START), 10);
    assert_int_equal(drain(1, "2001:db8::ffff:2", START), 0);
    assert_int_equal(drain(1, "2001:db8:0:1::1", START), 10);
    assert_int_equal(drain(1, "192.0.2.1", START), 10);
    assert_int_equal(drain(1, "::ffff:192.0.2.1", START), 0);
}

/* Many more than there is place for: each is let through, and the table stays as large as it is. */
static void test_a_crowd_is_let_through(void **state)
{
    for (unsigned i = 0; i < 200000; i++) {
        char host[32];
        snprintf(host, sizeof host, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        union address address = address_of(host);
        assert_int_equal(rate_table_take(table, 1, &address, 1, START), 0);
    }
}

/* Those who take one are dropped before those who took all. */
static void test_a_few_do_not_push_out_who_takes_much(void **state)
{
    assert_int_equal(drain(1, "192.0.2.1", START), 10);
    for (unsigned i = 0; i < 100000; i++) {
        char host[32];
        snprintf(host, sizeof host, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        union address address = address_of(host);
        assert_int_equal(rate_table_take(table, 1, &address, 10, START), 0);
    }
    assert_int_equal(drain(1, "192.0.2.1", START), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_visitor_has_its_own, begin, end),
        cmocka_unit_test_setup_teardown(test_one_network_is_one_visitor, begin, end),
        cmocka_unit_test_setup_teardown(test_a_crowd_is_let_through, begin, end),
        cmocka_unit_test_setup_teardown(test_a_few_do_not_push_out_who_takes_much, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

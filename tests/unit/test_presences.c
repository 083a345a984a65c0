#include "registry_test.h"

#include "registry/presences.h"

#define COUNT 4
static struct presences set;
static struct presence *items[COUNT];

static int set_up(void **state)
{
    set = (struct presences){0};
    for (uint32_t i = 0; i < COUNT; i++) {
        items[i] = test_presence(1, i);
        assert_int_equal(presences_add(&set, items[i]), 0);
    }
    return 0;
}

static int tear_down(void **state)
{
    presences_deinit(&set);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(items[i]->references, 1); /* nothing was kept */
        presence_unref(items[i]);
    }
    return 0;
}

static void assert_pick(int wanted)
{
    struct presence *picked = presences_pick(&set, NULL, 0);
    assert_ptr_equal(picked, wanted < 0 ? NULL : items[wanted]);
}

static void test_equals_take_turns(void **state)
{
    for (int i = 0; i < 3 * COUNT; i++)
        assert_pick(i % COUNT);
}

static void test_least_busy_comes_first(void **state)
{
    items[0]->busy = 2;
    items[1]->busy = 1;
    items[2]->busy = 3;
    items[3]->busy = 1;
    assert_pick(1);
    assert_pick(3);
    assert_pick(1);
    items[2]->busy = 0;
    assert_pick(2);
    assert_pick(2);
}

static void test_tried_ones_are_left_out(void **state)
{
    struct presence *tried[COUNT] = {items[0], items[2]};
    items[3]->busy = 1;
    assert_ptr_equal(presences_pick(&set, tried, 2), items[1]);
    tried[2] = items[1];
    assert_ptr_equal(presences_pick(&set, tried, 3), items[3]);
    tried[3] = items[3];
    assert_null(presences_pick(&set, tried, 4));
}

static void test_turns_go_on_when_one_leaves(void **state)
{
    assert_pick(0);
    assert_pick(1);
    presences_remove(&set, items[0]);
    assert_pick(2);
    presences_remove(&set, items[0]); /* not there any more: fine */
    assert_pick(3);
    assert_pick(1);
    presences_remove(&set, items[2]);
    presences_remove(&set, items[3]);
    assert_pick(1);
    assert_pick(1);
    presences_remove(&set, items[1]);
    assert_pick(-1);
    assert_int_equal(presences_add(&set, items[2]), 0);
    assert_pick(2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_equals_take_turns),
        TEST(test_least_busy_comes_first),
        TEST(test_tried_ones_are_left_out),
        TEST(test_turns_go_on_when_one_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Bytes by owner and month. */
#include "accounts_test.h"

#define DECEMBER 1796083200 /* 2026-12-01 */

struct sum {
    size_t count;
    uint64_t bytes;
};

static int add_one(void *user, const struct stored_usage *usage)
{
    struct sum *sum = user;
    sum->count++;
    sum->bytes += usage->bytes;
    return 0;
}

/* What the store has of a month; reading waits for what is being written. */
static struct sum stored(uint32_t month)
{
    struct sum sum = {0};
    assert_int_equal(store_load_usage(store, month, add_one, &sum, error, sizeof error), 0);
    return sum;
}

static void note(void *user, const char *sentence)
{
    *(bool *)user = true;
}

/* All that was asked of the store before is done and told. */
static void settle(void)
{
    bool has_come = false;
    assert_int_equal(store_use_tokens(store, NULL, 0, note, &has_come), STORE_OK);
    test_run_until(loop, test_flag_holds, &has_come);
}

static void test_usage_adds_up_and_is_kept(void **state)
{
    accounts_add_usage(accounts, "ann", 100);
    accounts_add_usage(accounts, "ann", 11);
    accounts_add_usage(accounts, "bob", 5);
    accounts_add_usage(accounts, "cyd", 0);
    assert_int_equal(accounts_usage(accounts, "ann"), 111);
    assert_int_equal(accounts_usage(accounts, "bob"), 5);
    assert_int_equal(accounts_usage(accounts, "cyd"), 0);
    accounts_flush(accounts);
    accounts_flush(accounts); /* nothing is written twice */
    accounts_add_usage(accounts, "ann", 1);
    settle();
    assert_int_equal(stored(202601).bytes, 116);
    assert_int_equal(stored(202601).count, 2);
    reopen_accounts(); /* writes the rest */
    assert_int_equal(accounts_usage(accounts, "ann"), 112);
    assert_int_equal(stored(202601).bytes, 117);
    accounts_add_usage(accounts, "ann", 1);
    assert_int_equal(accounts_usage(accounts, "ann"), 113);
}

static void test_a_month_begins_with_nothing(void **state)
{
    wall = DECEMBER - 1;
    accounts_add_usage(accounts, "ann", 7);
    wall = DECEMBER;
    assert_int_equal(accounts_usage(accounts, "ann"), 0);
    accounts_add_usage(accounts, "ann", 9);
    assert_int_equal(accounts_usage(accounts, "ann"), 9);
    accounts_flush(accounts);
    settle();
    assert_int_equal(stored(202611).bytes, 7); /* each where it belongs */
    assert_int_equal(stored(202612).bytes, 9);
    reopen_accounts();
    assert_int_equal(accounts_usage(accounts, "ann"), 9);
}

static void test_what_can_not_be_written_is_written_later(void **state)
{
    sqlite3 *other;
    break_store(&other);
    accounts_add_usage(accounts, "ann", 7);
    accounts_flush(accounts);
    accounts_add_usage(accounts, "ann", 2);
    settle();
    assert_int_equal(stored(202601).count, 0);
    assert_int_equal(accounts_usage(accounts, "ann"), 9);
    mend_store(other);
    accounts_flush(accounts);
    settle();
    assert_int_equal(stored(202601).bytes, 9);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_accounts, tear_down_accounts)
    const struct CMUnitTest tests[] = {
        TEST(test_usage_adds_up_and_is_kept),
        TEST(test_a_month_begins_with_nothing),
        TEST(test_what_can_not_be_written_is_written_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

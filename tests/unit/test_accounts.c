/* Accounts are made, confirmed, changed and removed; what is acknowledged is kept. */
#include "accounts_test.h"

/* --- Made --- */

static void test_an_account_is_made_and_kept(void **state)
{
    struct answer answer;
    assert_int_equal(create("Ann@Example.com", "Ann", "password 1", true, &answer), ACCOUNTS_OK);
    assert_string_equal(answer.code, "");
    reopen_accounts();
    const struct account *account = accounts_find_email(accounts, "aNN@example.COM");
    assert_non_null(account);
    assert_string_equal(account->email, "Ann@Example.com");
    assert_string_equal(account->name, "Ann");
    assert_null(strstr(account->password_hash, "password 1"));
    assert_int_equal(account->state, ACCOUNT_ACTIVE);
    assert_int_equal(account->created, wall);
    assert_ptr_equal(accounts_find(accounts, answer.id), account);
    assert_ptr_equal(accounts_find_uuid(accounts, answer.uuid), account);
    assert_null(accounts_find(accounts, answer.id + 1));
    assert_int_equal(create("other@example.com", "Bob", "password 1", true, &answer), ACCOUNTS_OK);
    assert_int_equal(answer.id, account->id + 1);
}

static void test_emails_that_are_none_are_refused(void **state)
{
    static const char *const bad[] = {
        "",        "ann",       "@b.c",          "a@",      "a@b",  "a@b@c.d",
        "a b@c.d", "a@b.c\r\n", "a\x7f@b.c",     "a@.c",    "a@c.", "<a@b.c>",
        "a,b@c.d", "\xff@b.c",  "a\xc2\x85@b.c", "a@b.c d", NULL};
    struct answer answer;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(create(bad[i], "Ann", "password 1", true, &answer), ACCOUNTS_BAD_EMAIL);
    char longest[ACCOUNT_EMAIL_MAX + 2];
    memset(longest, 'a', sizeof longest);
    memcpy(longest + ACCOUNT_EMAIL_MAX - 4, "@b.cc", 6);
    assert_int_equal(create(longest, "Ann", "password 1", true, &answer), ACCOUNTS_BAD_EMAIL);
    longest[ACCOUNT_EMAIL_MAX] = 0;
    assert_int_equal(create(longest, "Ann", "password 1", true, &answer), ACCOUNTS_OK);
    assert_int_equal(create("root@localhost", "Ann", "password 1", true, &answer), ACCOUNTS_OK);
}

static void test_names_and_passwords_have_bounds(void **state)
{
    char text[1026];
    struct answer answer;
    memset(text, 'x', sizeof text);
    text[1025] = 0;
    assert_int_equal(create("a@b.c", "", "password 1", true, &answer), ACCOUNTS_BAD_NAME);
    assert_int_equal(create("a@b.c", NULL, "password 1", true, &answer), ACCOUNTS_BAD_NAME);
    assert_int_equal(create("a@b.c", "\x1b[31m", "password 1", true, &answer), ACCOUNTS_BAD_NAME);
    assert_int_equal(create("a@b.c", text, "password 1", true, &answer), ACCOUNTS_BAD_NAME);
    assert_int_equal(create("a@b.c", "Ann", "seven 7", true, &answer), ACCOUNTS_BAD_PASSWORD);
    assert_int_equal(create("a@b.c", "Ann", text, true, &answer), ACCOUNTS_BAD_PASSWORD);
    assert_int_equal(create("a@b.c", "Ann", NULL, true, &answer), ACCOUNTS_BAD_PASSWORD);
    text[128] = 0;
    assert_int_equal(create("a@b.c", text, "eight  8", true, &answer), ACCOUNTS_OK);
}

static void test_an_email_is_given_once(void **state)
{
    struct answer first = {0}, second = {0};
    const struct account_values values = {
        .email = "a@b.c", .name = "Ann", .password = "password 1"};
    /* both at once: one of them has it first */
    accounts_create(accounts, &values, true, take_account, &first);
    accounts_create(accounts, &values, true, take_account, &second);
    answered(&first);
    answered(&second);
    assert_int_equal(first.error + second.error, ACCOUNTS_TAKEN);
    assert_int_equal(create("A@B.C", "Ann", "password 1", true, &first), ACCOUNTS_TAKEN);
}

static void test_the_hashing_queue_is_bounded(void **state)
{
    static struct answer answers[80];
    int busy = 0;
    memset(answers, 0, sizeof answers);
    for (int i = 0; i < 80; i++) {
        char email[32];
        snprintf(email, sizeof email, "a%d@b.c", i);
        const struct account_values values = {
            .email = email, .name = "Ann", .password = "password 1"};
        accounts_create(accounts, &values, true, take_account, &answers[i]);
    }
    /* the last is refused at once, long before the first are hashed */
    assert_int_equal(answered(&answers[79]), ACCOUNTS_BUSY);
    for (int i = 0; i < 80; i++)
        busy += answers[i].has_come && answers[i].error == ACCOUNTS_BUSY;
    assert_in_range(busy, 10, 16);
    close_accounts(); /* the others end without an answer */
    test_run_for(loop, 1000);
    assert_false(answers[70].has_come && answers[70].error != ACCOUNTS_BUSY);
}

/* --- Confirmed --- */

static void test_a_link_confirms_once(void **state)
{
    struct answer made, answer = {0}, again = {0};
    assert_int_equal(create("a@b.c", "Ann", "password 1", false, &made), ACCOUNTS_OK);
    assert_int_equal(strlen(made.code), 32);
    assert_int_equal(login("a@b.c", "password 1", &answer), ACCOUNTS_PENDING);
    reopen_accounts();
    answer = (struct answer){0};
    accounts_confirm(accounts, "0123456789abcdef0123456789abcdef", take_account, &answer);
    assert_int_equal(answered(&answer), ACCOUNTS_UNKNOWN);
    answer = (struct answer){0};
    accounts_confirm(accounts, "", take_account, &answer);
    assert_int_equal(answered(&answer), ACCOUNTS_UNKNOWN);
    /* twice at once */
    answer = (struct answer){0};
    accounts_confirm(accounts, made.code, take_account, &answer);
    accounts_confirm(accounts, made.code, take_account, &again);
    assert_int_equal(answered(&answer), ACCOUNTS_OK);
    assert_int_equal(answered(&again), ACCOUNTS_UNKNOWN);
    assert_int_equal(answer.id, made.id);
    assert_int_equal(accounts_find(accounts, made.id)->state, ACCOUNT_ACTIVE);
    assert_int_equal(login("a@b.c", "password 1", &answer), ACCOUNTS_OK);
}

static int confirm(const char *code)
{
    struct answer answer = {0};
    accounts_confirm(accounts, code, take_account, &answer);
    return answered(&answer);
}

static void test_a_link_is_good_for_a_day(void **state)
{
    struct answer first, second, late, new;
    assert_int_equal(create("a@b.c", "Ann", "password 1", false, &first), ACCOUNTS_OK);
    assert_int_equal(create("b@b.c", "Bob", "password 1", false, &second), ACCOUNTS_OK);
    wall += ACCOUNT_CONFIRM_LIFETIME - 1;
    assert_int_equal(confirm(first.code), ACCOUNTS_OK);
    wall += 1;
    assert_int_equal(confirm(second.code), ACCOUNTS_EXPIRED);
    reopen_accounts();
    assert_int_equal(confirm(second.code), ACCOUNTS_EXPIRED);
    assert_int_equal(accounts_find(accounts, second.id)->state, ACCOUNT_PENDING);
    assert_int_equal(login("b@b.c", "password 1", &late), ACCOUNTS_PENDING);
    /* Asked for again, as the API does. */
    assert_int_equal(remove_account(second.id), ACCOUNTS_OK);
    assert_int_equal(create("b@b.c", "Bob", "password 1", false, &new), ACCOUNTS_OK);
    assert_int_equal(confirm(second.code), ACCOUNTS_UNKNOWN);
    assert_int_equal(confirm(new.code), ACCOUNTS_OK);
}

static void test_a_link_enables_no_disabled_account(void **state)
{
    struct answer made, answer = {0};
    assert_int_equal(create("a@b.c", "Ann", "password 1", false, &made), ACCOUNTS_OK);
    assert_int_equal(set_state(made.id, ACCOUNT_DISABLED), ACCOUNTS_OK);
    accounts_confirm(accounts, made.code, take_account, &answer);
    assert_int_equal(answered(&answer), ACCOUNTS_UNKNOWN);
    assert_int_equal(accounts_find(accounts, made.id)->state, ACCOUNT_DISABLED);
}

/* --- Changed --- */

static void test_values_are_changed_one_by_one(void **state)
{
    uint64_t id = create_active("a@b.c");
    struct account_values values = {.name = "Bob", .sshkey = "ssh-ed25519 AAAA"};
    assert_int_equal(change(id, &values, NULL), ACCOUNTS_OK);
    values = (struct account_values){.email = "B@c.d"};
    assert_int_equal(change(id, &values, NULL), ACCOUNTS_OK);
    assert_null(accounts_find_email(accounts, "a@b.c"));
    reopen_accounts();
    const struct account *account = accounts_find_email(accounts, "b@c.d");
    assert_int_equal(account->id, id);
    assert_string_equal(account->name, "Bob");
    assert_string_equal(account->sshkey, "ssh-ed25519 AAAA");
    assert_int_equal(account->gen, 1);
    values = (struct account_values){.sshkey = "", .email = "b@C.D"}; /* its own in another case */
    assert_int_equal(change(id, &values, NULL), ACCOUNTS_OK);
    account = accounts_find(accounts, id);
    assert_null(account->sshkey);
    assert_string_equal(account->email, "b@C.D");
    create_active("a@b.c"); /* free again */
    values = (struct account_values){.email = "A@b.c"};
    assert_int_equal(change(id, &values, NULL), ACCOUNTS_TAKEN);
    values = (struct account_values){.sshkey = "two\nlines"};
    assert_int_equal(change(id, &values, NULL), ACCOUNTS_BAD_NAME);
    assert_int_equal(change(99, &values, NULL), ACCOUNTS_BAD_NAME);
    values = (struct account_values){.name = "x"};
    assert_int_equal(change(99, &values, NULL), ACCOUNTS_UNKNOWN);
}

static void test_changes_at_once_are_all_there(void **state)
{
    uint64_t id = create_active("a@b.c");
    struct answer answers[3] = {{0}};
    const struct account_values name = {.name = "Bob"}, email = {.email = "b@b.c"};
    accounts_change(accounts, id, &name, NULL, take_account, &answers[0]);
    accounts_set_quota(accounts, id, 77, take_done, &answers[1]);
    accounts_change(accounts, id, &email, NULL, take_account, &answers[2]);
    for (int i = 0; i < 3; i++)
        assert_int_equal(answered(&answers[i]), ACCOUNTS_OK);
    reopen_accounts();
    const struct account *account = accounts_find(accounts, id);
    assert_string_equal(account->name, "Bob");
    assert_string_equal(account->email, "b@b.c");
    assert_int_equal(account->quota_bytes, 77);
}

static void test_so_many_changes_wait(void **state)
{
    uint64_t id = create_active("a@b.c");
    static struct answer answers[20];
    int busy = 0;
    memset(answers, 0, sizeof answers);
    for (int i = 0; i < 20; i++)
        accounts_set_quota(accounts, id, (uint64_t)i, take_done, &answers[i]);
    for (int i = 0; i < 20; i++)
        busy += answered(&answers[i]) == ACCOUNTS_BUSY;
    assert_int_equal(busy, 3); /* one at the store, 16 wait */
    assert_int_equal(accounts_find(accounts, id)->quota_bytes, 16);
}

static void test_disabling_ends_tunnels(void **state)
{
    uint64_t id = create_active("a@b.c");
    assert_int_equal(set_state(id, ACCOUNT_DISABLED), ACCOUNTS_OK);
    assert_int_equal(revoked_count, 1);
    assert_string_equal(revoked_owner, accounts_find(accounts, id)->uuid);
    assert_string_equal(revoked_token, "");
    assert_string_equal(revoked_login, "none");
    assert_int_equal(set_state(id, ACCOUNT_ACTIVE), ACCOUNTS_OK);
    assert_int_equal(revoked_count, 1);
    assert_int_equal(set_state(99, ACCOUNT_ACTIVE), ACCOUNTS_UNKNOWN);
}

/* --- Removed --- */

static void test_a_removed_account_is_gone(void **state)
{
    struct answer waiting = {0}, answer;
    uint64_t id = create_active("a@b.c");
    accounts_remove(accounts, id, take_done, &(struct answer){0});
    accounts_set_quota(accounts, id, 5, take_done, &waiting);
    assert_int_equal(answered(&waiting), ACCOUNTS_UNKNOWN);
    assert_null(accounts_find(accounts, id));
    assert_null(accounts_find_email(accounts, "a@b.c"));
    assert_int_equal(revoked_count, 1);
    assert_int_equal(remove_account(id), ACCOUNTS_UNKNOWN);
    reopen_accounts();
    assert_null(accounts_find(accounts, id));
    assert_int_equal(create("a@b.c", "Ann", "password 1", true, &answer), ACCOUNTS_OK);
    assert_int_equal(answer.id, id + 1);
}

/* --- A store that fails --- */

static void test_what_can_not_be_stored_has_not_happened(void **state)
{
    struct answer answer;
    sqlite3 *other;
    uint64_t id = create_active("a@b.c");
    const struct account_values values = {.email = "c@b.c", .name = "Bob"};
    break_store(&other);
    assert_int_equal(create("b@b.c", "Ann", "password 1", true, &answer), ACCOUNTS_STORE);
    assert_null(accounts_find_email(accounts, "b@b.c"));
    assert_int_equal(change(id, &values, NULL), ACCOUNTS_STORE);
    assert_string_equal(accounts_find(accounts, id)->name, "Ann");
    assert_null(accounts_find_email(accounts, "c@b.c"));
    assert_int_equal(set_state(id, ACCOUNT_DISABLED), ACCOUNTS_STORE);
    assert_int_equal(accounts_find(accounts, id)->state, ACCOUNT_ACTIVE);
    assert_int_equal(remove_account(id), ACCOUNTS_STORE);
    assert_non_null(accounts_find_email(accounts, "a@b.c"));
    assert_int_equal(revoked_count, 0);
    mend_store(other);
    assert_int_equal(create("b@b.c", "Ann", "password 1", true, &answer), ACCOUNTS_OK);
    assert_int_equal(change(id, &values, NULL), ACCOUNTS_OK);
}

static void list_one(void *user, const struct account *account)
{
    uint64_t *sum = user;
    *sum = *sum * 10 + account->id;
}

static void test_all_are_listed(void **state)
{
    uint64_t sum = 0;
    create_active("a@b.c");
    create_active("b@b.c");
    accounts_each(accounts, list_one, &sum);
    assert_int_equal(sum, 12);
}

static void test_errors_have_words(void **state)
{
    for (int error_code = ACCOUNTS_LIMIT; error_code <= 0; error_code++)
        assert_true(strlen(account_error_text(error_code)) > 7);
    assert_string_equal(account_error_text(ACCOUNTS_LIMIT - 1), "unknown error");
    assert_string_equal(account_error_text(1), "unknown error");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_accounts, tear_down_accounts)
    const struct CMUnitTest tests[] = {
        TEST(test_an_account_is_made_and_kept),
        TEST(test_emails_that_are_none_are_refused),
        TEST(test_names_and_passwords_have_bounds),
        TEST(test_an_email_is_given_once),
        TEST(test_the_hashing_queue_is_bounded),
        TEST(test_a_link_confirms_once),
        TEST(test_a_link_is_good_for_a_day),
        TEST(test_a_link_enables_no_disabled_account),
        TEST(test_values_are_changed_one_by_one),
        TEST(test_changes_at_once_are_all_there),
        TEST(test_so_many_changes_wait),
        TEST(test_disabling_ends_tunnels),
        TEST(test_a_removed_account_is_gone),
        TEST(test_what_can_not_be_stored_has_not_happened),
        TEST(test_all_are_listed),
        TEST(test_errors_have_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

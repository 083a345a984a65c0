/* Device tokens. */
#include "accounts_test.h"

static int create_token(uint64_t account, const struct device_token *values, struct answer *answer)
{
    *answer = (struct answer){0};
    accounts_create_token(accounts, account, values, take_token, answer);
    assert_false(answer->has_come);
    return answered(answer);
}

static int revoke_token(uint64_t account, const char *uuid)
{
    struct answer answer = {0};
    accounts_revoke_token(accounts, account, uuid, take_done, &answer);
    assert_false(answer.has_come);
    return answered(&answer);
}

static int check_token(const char *secret, struct device_token **ret_token)
{
    return accounts_check_token(accounts, secret, strlen(secret), ret_token);
}

struct listing {
    size_t count;
    uint64_t last_used;
    char names[64];
};

static void list_one(void *user, const struct device_token *token, uint64_t last_used)
{
    struct listing *listing = user;
    listing->count++;
    listing->last_used = last_used;
    strcat(listing->names, token->name);
}

static struct listing list(uint64_t account)
{
    struct listing listing = {.count = 0};
    accounts_each_token(accounts, account, list_one, &listing);
    return listing;
}

static void test_a_token_is_made_shown_once_and_kept(void **state)
{
    struct answer answer;
    struct device_token *token;
    const struct device_token values = {.name = "board",
                                        .egress_allow = "192.0.2.0/24, 10.0.0.0/8",
                                        .sockets = "web",
                                        .max_tunnels = 3,
                                        .bytes_per_month = 1000,
                                        .expires = wall + 100};
    uint64_t id = create_active("a@b.c");
    assert_int_equal(create_token(id, &values, &answer), ACCOUNTS_OK);
    assert_int_equal(strlen(answer.secret), 43);
    assert_memory_equal(answer.secret, "sp_", 3);
    assert_int_equal(check_token(answer.secret, &token), ACCOUNTS_OK);
    reopen_accounts();
    assert_int_equal(check_token(answer.secret, &token), ACCOUNTS_OK);
    assert_string_equal(token->uuid, answer.uuid);
    assert_string_equal(token->owner, accounts_find(accounts, id)->uuid);
    assert_int_equal(token->account, id);
    assert_int_equal(token->created, wall);
    assert_int_equal(token->max_tunnels, 3);
    assert_string_equal(token->egress_allow, values.egress_allow);
    assert_string_equal(token->sockets, "web");
    wall += 99;
    assert_int_equal(check_token(answer.secret, &token), ACCOUNTS_OK);
    wall += 1;
    assert_int_equal(check_token(answer.secret, &token), ACCOUNTS_EXPIRED);
}

static void test_what_is_no_token_is_refused(void **state)
{
    struct answer answer;
    struct device_token *token;
    const struct device_token values = {.name = "board"};
    assert_int_equal(create_token(create_active("a@b.c"), &values, &answer), ACCOUNTS_OK);
    assert_int_equal(check_token("", &token), ACCOUNTS_UNKNOWN);
    assert_int_equal(check_token("sp_", &token), ACCOUNTS_UNKNOWN);
    assert_int_equal(accounts_check_token(accounts, answer.secret, 42, &token), ACCOUNTS_UNKNOWN);
    answer.secret[20] = answer.secret[20] == 'a' ? 'b' : 'a';
    assert_int_equal(check_token(answer.secret, &token), ACCOUNTS_UNKNOWN);
    memcpy(answer.secret, "xx_", 3);
    assert_int_equal(check_token(answer.secret, &token), ACCOUNTS_UNKNOWN);
}

static void test_scopes_that_can_not_be_are_refused(void **state)
{
    struct answer answer;
    uint64_t id = create_active("a@b.c");
    const struct device_token bad[] = {
        {.name = "a", .egress_allow = "10.0.0.0/8,nonsense"},
        {.name = "a", .egress_deny = "nonsense"},
        {.name = "a", .egress_deny = ""},
        {.name = "a", .egress_deny = "10.0.0.0/8,,::/0"},
        {.name = "a", .sockets = "web,"},
        {.name = "a", .sockets = "we\nb"},
        {.name = "a", .expires = wall},
        {.name = "a", .bytes_per_month = UINT64_MAX},
    };
    const struct device_token unnamed[] = {{.name = ""}, {.name = NULL}, {.name = "\x7f"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(create_token(id, &bad[i], &answer), ACCOUNTS_BAD_SCOPE);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(create_token(id, &unnamed[i], &answer), ACCOUNTS_BAD_NAME);
    const struct device_token values = {.name = "a"};
    assert_int_equal(create_token(99, &values, &answer), ACCOUNTS_UNKNOWN);
    assert_int_equal(list(0).count, 0);
}

static void test_a_revoked_token_ends_its_tunnels(void **state)
{
    struct answer answer;
    struct device_token *token;
    const struct device_token values = {.name = "board"};
    uint64_t ann = create_active("a@b.c"), bob = create_active("b@b.c");
    assert_int_equal(create_token(ann, &values, &answer), ACCOUNTS_OK);
    assert_int_equal(revoke_token(bob, answer.uuid), ACCOUNTS_UNKNOWN); /* somebody else's */
    assert_int_equal(revoke_token(ann, "nonsense"), ACCOUNTS_UNKNOWN);
    assert_int_equal(revoked_count, 0);
    assert_int_equal(revoke_token(ann, answer.uuid), ACCOUNTS_OK);
    assert_int_equal(revoked_count, 1);
    assert_string_equal(revoked_token, answer.uuid);
    assert_string_equal(revoked_owner, accounts_find(accounts, ann)->uuid);
    assert_int_equal(check_token(answer.secret, &token), ACCOUNTS_UNKNOWN);
    assert_int_equal(revoke_token(ann, answer.uuid), ACCOUNTS_UNKNOWN);
    reopen_accounts();
    assert_int_equal(check_token(answer.secret, &token), ACCOUNTS_UNKNOWN);
    assert_int_equal(create_token(bob, &values, &answer), ACCOUNTS_OK);
    assert_int_equal(revoke_token(0, answer.uuid), ACCOUNTS_OK); /* the operator */
}

static void test_a_token_goes_with_its_account(void **state)
{
    struct answer answer, late = {0};
    struct device_token *token;
    const struct device_token values = {.name = "board"};
    uint64_t id = create_active("a@b.c");
    assert_int_equal(create_token(id, &values, &answer), ACCOUNTS_OK);
    assert_int_equal(set_state(id, ACCOUNT_DISABLED), ACCOUNTS_OK);
    assert_int_equal(check_token(answer.secret, &token), ACCOUNTS_DISABLED);
    assert_int_equal(create_token(id, &values, &late), ACCOUNTS_DISABLED);
    assert_int_equal(set_state(id, ACCOUNT_ACTIVE), ACCOUNTS_OK);
    assert_int_equal(check_token(answer.secret, &token), ACCOUNTS_OK);
    late = (struct answer){0};
    accounts_remove(accounts, id, take_done, &(struct answer){0});
    accounts_create_token(accounts, id, &values, take_token, &late); /* too late */
    assert_int_equal(answered(&late), ACCOUNTS_UNKNOWN);
    assert_string_equal(late.secret, "");
    assert_int_equal(check_token(answer.secret, &token), ACCOUNTS_UNKNOWN);
    reopen_accounts();
    assert_int_equal(list(0).count, 0);
}

static void test_an_account_has_so_many_tokens(void **state)
{
    static struct answer answers[1001];
    const struct device_token values = {.name = "a"};
    uint64_t id = create_active("a@b.c");
    memset(answers, 0, sizeof answers);
    for (int i = 0; i < 1001; i++)
        accounts_create_token(accounts, id, &values, take_token, &answers[i]);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(answered(&answers[i]), ACCOUNTS_OK);
    assert_int_equal(answered(&answers[1000]), ACCOUNTS_LIMIT);
    assert_int_equal(revoke_token(id, answers[500].uuid), ACCOUNTS_OK);
    assert_int_equal(create_token(id, &values, &answers[0]), ACCOUNTS_OK);
}

static void test_tokens_are_listed_with_their_last_use(void **state)
{
    struct answer a, b;
    struct device_token *token;
    const struct device_token first = {.name = "a"}, second = {.name = "b"};
    uint64_t ann = create_active("a@b.c"), bob = create_active("b@b.c");
    assert_int_equal(create_token(ann, &first, &a), ACCOUNTS_OK);
    assert_int_equal(create_token(bob, &second, &b), ACCOUNTS_OK);
    assert_int_equal(create_token(ann, &second, &b), ACCOUNTS_OK);
    assert_string_equal(list(ann).names, "ab");
    assert_int_equal(list(ann).last_used, 0);
    assert_int_equal(list(0).count, 3);
    assert_int_equal(list(99).count, 0);
    wall += 5;
    assert_int_equal(check_token(b.secret, &token), ACCOUNTS_OK);
    assert_int_equal(list(ann).last_used, wall);
    reopen_accounts(); /* written at the end */
    assert_int_equal(list(ann).last_used, wall);
}

static void test_what_can_not_be_stored_has_not_happened(void **state)
{
    struct answer answer, none;
    struct device_token *token;
    sqlite3 *other;
    const struct device_token values = {.name = "a"};
    uint64_t id = create_active("a@b.c");
    assert_int_equal(create_token(id, &values, &answer), ACCOUNTS_OK);
    break_store(&other);
    assert_int_equal(create_token(id, &values, &none), ACCOUNTS_STORE);
    assert_string_equal(none.secret, "");
    assert_int_equal(revoke_token(id, answer.uuid), ACCOUNTS_STORE);
    assert_int_equal(list(id).count, 1);
    assert_int_equal(revoked_count, 0);
    assert_int_equal(check_token(answer.secret, &token), ACCOUNTS_OK);
    mend_store(other);
    assert_int_equal(revoke_token(id, answer.uuid), ACCOUNTS_OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_accounts, tear_down_accounts)
    const struct CMUnitTest tests[] = {
        TEST(test_a_token_is_made_shown_once_and_kept),
        TEST(test_what_is_no_token_is_refused),
        TEST(test_scopes_that_can_not_be_are_refused),
        TEST(test_a_revoked_token_ends_its_tunnels),
        TEST(test_a_token_goes_with_its_account),
        TEST(test_an_account_has_so_many_tokens),
        TEST(test_tokens_are_listed_with_their_last_use),
        TEST(test_what_can_not_be_stored_has_not_happened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

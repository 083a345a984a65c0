/* Passwords and logins. */
#include "accounts_test.h"

static int logout(const struct jwt_claims *claims, bool all)
{
    struct answer answer = {0};
    accounts_logout(accounts, claims, all, take_done, &answer);
    assert_false(answer.has_come);
    return answered(&answer);
}

/* A login of a new account: its claims, and its text in the answer. */
static struct jwt_claims log_in(const char *email, struct answer *answer)
{
    struct jwt_claims claims;
    assert_int_equal(login(email, "password 1", answer), ACCOUNTS_OK);
    assert_int_equal(check(answer->login, &claims), ACCOUNTS_OK);
    return claims;
}

/* --- Passwords --- */

static void test_a_login_is_good_for_its_time(void **state)
{
    struct answer answer;
    struct account *account;
    struct jwt_claims claims;
    uint64_t id = create_active("a@b.c");
    assert_int_equal(login("A@b.c", "password 1", &answer), ACCOUNTS_OK);
    assert_int_equal(answer.id, id);
    assert_int_equal(
        accounts_check_login(accounts, answer.login, strlen(answer.login), &account, &claims),
        ACCOUNTS_OK);
    assert_ptr_equal(account, accounts_find(accounts, id));
    assert_int_equal(claims.user_id, id);
    assert_int_equal(claims.issued, wall);
    assert_int_equal(claims.expires, wall + 18000);
    assert_int_equal(strlen(claims.jti), 32);
    reopen_accounts(); /* the key is the same */
    wall += 17999;
    assert_int_equal(check(answer.login, &claims), ACCOUNTS_OK);
    wall += 2;
    assert_int_equal(check(answer.login, &claims), ACCOUNTS_EXPIRED);
    wall -= 18001 + 3600; /* the clock is set back: it isn't of the future */
    assert_int_equal(check(answer.login, &claims), ACCOUNTS_UNKNOWN);
}

static void test_wrong_ones_are_not_told_apart(void **state)
{
    struct answer answer;
    char longest[1026];
    memset(longest, 'x', sizeof longest);
    longest[1025] = 0;
    create_active("a@b.c");
    assert_int_equal(login("a@b.c", "password 2", &answer), ACCOUNTS_WRONG);
    assert_string_equal(answer.login, "");
    assert_int_equal(login("nobody@b.c", "password 1", &answer), ACCOUNTS_WRONG);
    assert_int_equal(login("", "", &answer), ACCOUNTS_WRONG);
    assert_int_equal(login(longest, longest, &answer), ACCOUNTS_WRONG);
    assert_int_equal(answer.wait, 0);
}

static void test_a_state_is_told_only_to_who_has_the_password(void **state)
{
    struct answer answer;
    struct jwt_claims claims;
    uint64_t id = create_active("a@b.c");
    log_in("a@b.c", &answer);
    char text[JWT_MAX];
    strcpy(text, answer.login);
    assert_int_equal(set_state(id, ACCOUNT_DISABLED), ACCOUNTS_OK);
    assert_int_equal(login("a@b.c", "password 1", &answer), ACCOUNTS_DISABLED);
    assert_int_equal(login("a@b.c", "password 2", &answer), ACCOUNTS_WRONG);
    assert_int_equal(check(text, &claims), ACCOUNTS_DISABLED);
    assert_int_equal(remove_account(id), ACCOUNTS_OK);
    assert_int_equal(check(text, &claims), ACCOUNTS_UNKNOWN);
}

static void test_who_guesses_has_to_wait(void **state)
{
    struct answer answer;
    create_active("a@b.c");
    for (int i = 0; i < 6; i++)
        assert_int_equal(login("a@b.c", "password 2", &answer), ACCOUNTS_WRONG);
    assert_int_equal(login("A@b.c", "password 1", &answer), ACCOUNTS_WAIT);
    assert_int_equal(answer.wait, 1000000);
    /* the address has to, too, whomever it asks for */
    assert_int_equal(login("nobody@b.c", "password 1", &answer), ACCOUNTS_WAIT);
    ticks += 999999;
    assert_int_equal(login("a@b.c", "password 1", &answer), ACCOUNTS_WAIT);
    assert_int_equal(answer.wait, 1);
    ticks += 1;
    assert_int_equal(login("a@b.c", "password 2", &answer), ACCOUNTS_WRONG);
    assert_int_equal(login("a@b.c", "password 1", &answer), ACCOUNTS_WAIT);
    assert_int_equal(answer.wait, 2000000);
    ticks += 2000000;
    assert_int_equal(login("a@b.c", "password 1", &answer), ACCOUNTS_OK);
}

/* Ten are let in together, as none of them was wrong before. */
static void test_guesses_made_at_once_tell_nothing(void **state)
{
    static struct answer answers[10];
    int wrong = 0, waiting = 0;
    memset(answers, 0, sizeof answers);
    create_active("a@b.c");
    for (int i = 0; i < 10; i++) /* the last one is right */
        accounts_login(accounts, "a@b.c", i < 9 ? "password 2" : "password 1", NULL, take_login,
                       &answers[i]);
    for (int i = 0; i < 10; i++) {
        answered(&answers[i]);
        wrong += answers[i].error == ACCOUNTS_WRONG;
        waiting += answers[i].error == ACCOUNTS_WAIT;
    }
    assert_int_equal(wrong, 6);
    assert_int_equal(waiting, 4);
}

/* Nobody's password goes through the same queue, so it takes as long. */
static void test_nobodys_password_is_hashed_too(void **state)
{
    static struct answer answers[80];
    memset(answers, 0, sizeof answers);
    for (int i = 0; i < 80; i++)
        accounts_login(accounts, "nobody@b.c", "password 1", NULL, take_login, &answers[i]);
    assert_int_equal(answered(&answers[79]), ACCOUNTS_BUSY);
}

static void test_a_password_changed_while_it_is_compared_is_wrong(void **state)
{
    struct answer answer = {0}, changed = {0};
    uint64_t id = create_active("a@b.c");
    const struct account_values values = {.password = "password 2"};
    accounts_change(accounts, id, &values, NULL, take_account, &changed);
    assert_int_equal(answered(&changed), ACCOUNTS_OK);
    assert_int_equal(login("a@b.c", "password 1", &answer), ACCOUNTS_WRONG);
    assert_int_equal(login("a@b.c", "password 2", &answer), ACCOUNTS_OK);
    /* asked together: whichever is first, the old one opens nothing afterwards */
    struct answer old = {0};
    const struct account_values next = {.password = "password 3"};
    changed = (struct answer){0};
    accounts_change(accounts, id, &next, "password 2", take_account, &changed);
    accounts_login(accounts, "a@b.c", "password 2", NULL, take_login, &old);
    assert_int_equal(answered(&changed), ACCOUNTS_OK);
    if (answered(&old) == ACCOUNTS_OK) {
        struct jwt_claims claims;
        assert_int_equal(check(old.login, &claims), ACCOUNTS_DENIED);
    } else {
        assert_int_equal(old.error, ACCOUNTS_WRONG);
    }
}

static void test_a_new_password_ends_all_logins(void **state)
{
    struct answer answer;
    struct jwt_claims claims;
    uint64_t id = create_active("a@b.c");
    log_in("a@b.c", &answer);
    const struct account_values values = {.password = "password 2"}, bad = {.password = "short"};
    assert_int_equal(change(id, &values, "password 3"), ACCOUNTS_WRONG);
    assert_int_equal(change(id, &bad, "password 1"), ACCOUNTS_BAD_PASSWORD);
    assert_int_equal(check(answer.login, &claims), ACCOUNTS_OK);
    assert_int_equal(change(id, &values, "password 1"), ACCOUNTS_OK);
    assert_int_equal(check(answer.login, &claims), ACCOUNTS_DENIED);
    reopen_accounts();
    assert_int_equal(check(answer.login, &claims), ACCOUNTS_DENIED);
    assert_int_equal(login("a@b.c", "password 2", &answer), ACCOUNTS_OK);
    /* who has a login can't guess on */
    for (int i = 0; i < 6; i++)
        assert_int_equal(change(id, &values, "password 3"), ACCOUNTS_WRONG);
    assert_int_equal(change(id, &values, "password 2"), ACCOUNTS_WAIT);
}

/* --- Logins --- */

static void test_what_is_no_login_is_refused(void **state)
{
    struct answer answer;
    struct jwt_claims claims;
    create_active("a@b.c");
    log_in("a@b.c", &answer);
    size_t length = strlen(answer.login);
    struct account *account;
    for (size_t cut = 0; cut < length; cut++)
        assert_int_equal(accounts_check_login(accounts, answer.login, cut, &account, &claims),
                         ACCOUNTS_UNKNOWN);
    answer.login[length - 5] ^= 1;
    assert_int_equal(check(answer.login, &claims), ACCOUNTS_UNKNOWN);
    /* {"alg":"none"} */
    assert_int_equal(check("eyJhbGciOiJub25lIn0.eyJ1c2VyX2lkIjoxfQ.", &claims), ACCOUNTS_UNKNOWN);
}

static void test_a_login_is_refreshed(void **state)
{
    struct answer answer;
    struct jwt_claims first, second;
    char text[JWT_MAX];
    create_active("a@b.c");
    first = log_in("a@b.c", &answer);
    wall += 10000;
    assert_true(accounts_refresh(accounts, &first, text) > 0);
    assert_int_equal(check(text, &second), ACCOUNTS_OK);
    assert_int_equal(second.expires, wall + 18000);
    assert_string_equal(second.jti, first.jti); /* it is the same login */
    wall += 10000;
    assert_int_equal(accounts_refresh(accounts, &first, text), ACCOUNTS_EXPIRED);
    assert_int_equal(logout(&second, false), ACCOUNTS_OK);
    assert_int_equal(accounts_refresh(accounts, &second, text), ACCOUNTS_DENIED);
}

static void test_a_logout_is_of_what_a_login_was_refreshed_to(void **state)
{
    struct answer answer;
    struct account *account;
    char text[JWT_MAX];
    create_active("a@b.c");
    struct jwt_claims first = log_in("a@b.c", &answer), second;
    wall += 17999;
    assert_true(accounts_refresh(accounts, &first, text) > 0);
    assert_int_equal(logout(&first, false), ACCOUNTS_OK);
    assert_int_equal(check(text, &second), ACCOUNTS_DENIED);
    /* as long as it would be good, and a day for a clock that was wrong */
    wall += 18000 - 1 + 86400;
    accounts_flush(accounts);
    reopen_accounts();
    wall -= 86400;
    assert_int_equal(accounts_check_login(accounts, text, strlen(text), &account, &second),
                     ACCOUNTS_DENIED);
}

static void test_a_logout_ends_the_tunnels_of_its_login(void **state)
{
    struct answer one, other;
    uint64_t id = create_active("a@b.c");
    struct jwt_claims claims = log_in("a@b.c", &one), others = log_in("a@b.c", &other);
    assert_int_equal(revoked_count, 0);
    assert_int_equal(logout(&claims, false), ACCOUNTS_OK);
    assert_int_equal(revoked_count, 1);
    assert_string_equal(revoked_owner, accounts_find(accounts, id)->uuid);
    assert_string_equal(revoked_token, "");
    assert_string_equal(revoked_login, claims.jti);
    assert_string_not_equal(revoked_login, others.jti);
    assert_int_equal(logout(&others, true), ACCOUNTS_OK);
    assert_int_equal(revoked_count, 2);
    assert_string_equal(revoked_login, ""); /* all of them, and no token's */
    /* A new password ends all logins, too; another name none. */
    const struct account_values password = {.password = "password 2"}, name = {.name = "Bob"};
    assert_int_equal(change(id, &name, NULL), ACCOUNTS_OK);
    assert_int_equal(revoked_count, 2);
    revoked_login[0] = 'x';
    assert_int_equal(change(id, &password, NULL), ACCOUNTS_OK);
    assert_int_equal(revoked_count, 3);
    assert_string_equal(revoked_login, "");
}

static void test_a_logout_is_of_one_login(void **state)
{
    struct answer one, other;
    create_active("a@b.c");
    struct jwt_claims claims = log_in("a@b.c", &one), others = log_in("a@b.c", &other);
    assert_int_equal(logout(&claims, false), ACCOUNTS_OK);
    assert_int_equal(logout(&claims, false), ACCOUNTS_OK); /* it is so already */
    assert_int_equal(check(one.login, &claims), ACCOUNTS_DENIED);
    assert_int_equal(check(other.login, &others), ACCOUNTS_OK);
    reopen_accounts();
    assert_int_equal(check(one.login, &claims), ACCOUNTS_DENIED);
    assert_int_equal(check(other.login, &others), ACCOUNTS_OK);
    /* a clock that was wrong for half a day brings it not back */
    wall += 43200;
    accounts_flush(accounts);
    reopen_accounts();
    wall -= 43200;
    assert_int_equal(check(one.login, &claims), ACCOUNTS_DENIED);
}

static void test_a_logout_is_of_all(void **state)
{
    struct answer one, other;
    create_active("a@b.c");
    struct jwt_claims claims = log_in("a@b.c", &one), others = log_in("a@b.c", &other);
    assert_int_equal(logout(&claims, true), ACCOUNTS_OK);
    assert_int_equal(check(one.login, &claims), ACCOUNTS_DENIED);
    assert_int_equal(check(other.login, &others), ACCOUNTS_DENIED);
    /* one that is no more logs nobody out */
    struct jwt_claims fresh = log_in("a@b.c", &one);
    assert_int_equal(logout(&others, true), ACCOUNTS_DENIED);
    assert_int_equal(check(one.login, &fresh), ACCOUNTS_OK);
    reopen_accounts();
    assert_int_equal(check(other.login, &others), ACCOUNTS_DENIED);
}

static void test_a_logout_that_can_not_be_stored_is_none(void **state)
{
    struct answer answer, twice[2] = {{0}};
    sqlite3 *other;
    create_active("a@b.c");
    struct jwt_claims claims = log_in("a@b.c", &answer);
    break_store(&other);
    accounts_logout(accounts, &claims, false, take_done, &twice[0]);
    accounts_logout(accounts, &claims, false, take_done, &twice[1]);
    assert_int_equal(answered(&twice[0]), ACCOUNTS_STORE);
    assert_int_equal(answered(&twice[1]), ACCOUNTS_STORE);
    assert_int_equal(logout(&claims, true), ACCOUNTS_STORE);
    assert_int_equal(revoked_count, 0);
    assert_int_equal(check(answer.login, &claims), ACCOUNTS_OK);
    mend_store(other);
    assert_int_equal(logout(&claims, false), ACCOUNTS_OK);
    assert_int_equal(check(answer.login, &claims), ACCOUNTS_DENIED);
}

/* Of each place where a question may be; leaks and late answers would be seen. */
static void test_open_questions_end_without_an_answer(void **state)
{
    static struct answer answers[8];
    memset(answers, 0, sizeof answers);
    uint64_t id = create_active("a@b.c");
    const struct account_values values = {.email = "c@b.c", .name = "C", .password = "password 1"};
    for (int i = 0; i < 4; i++)
        accounts_login(accounts, "a@b.c", "password 1", NULL, take_login, &answers[i]);
    accounts_create(accounts, &values, true, take_account, &answers[4]);
    accounts_set_quota(accounts, id, 5, take_done, &answers[5]);
    accounts_set_quota(accounts, id, 6, take_done, &answers[6]);
    loop_settle(loop); /* to the hashing queue, to the store, behind another */
    accounts_set_quota(accounts, id, 7, take_done, &answers[7]);
    close_accounts();
    test_run_for(loop, 1000);
    for (int i = 0; i < 8; i++)
        assert_false(answers[i].has_come);
    open_accounts();
    assert_int_equal(accounts_find(accounts, id)->quota_bytes, 5); /* the store had it */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_accounts, tear_down_accounts)
    const struct CMUnitTest tests[] = {
        TEST(test_a_login_is_good_for_its_time),
        TEST(test_wrong_ones_are_not_told_apart),
        TEST(test_a_state_is_told_only_to_who_has_the_password),
        TEST(test_who_guesses_has_to_wait),
        TEST(test_guesses_made_at_once_tell_nothing),
        TEST(test_nobodys_password_is_hashed_too),
        TEST(test_a_password_changed_while_it_is_compared_is_wrong),
        TEST(test_a_new_password_ends_all_logins),
        TEST(test_what_is_no_login_is_refused),
        TEST(test_a_login_is_refreshed),
        TEST(test_a_logout_is_of_what_a_login_was_refreshed_to),
        TEST(test_a_logout_ends_the_tunnels_of_its_login),
        TEST(test_a_logout_is_of_one_login),
        TEST(test_a_logout_is_of_all),
        TEST(test_a_logout_that_can_not_be_stored_is_none),
        TEST(test_open_questions_end_without_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

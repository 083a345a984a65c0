#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "net/conn.h"
#include "net/relay.h"

/* A passive end that takes `room` bytes and then waits, and gives `source`. */
struct fake_end {
    char taken[64];
    size_t taken_size, room;
    const char *source;
    ssize_t after_source; /* what reading says when the source is used up */
    bool write_fails, was_shut_down;
};

struct fake_owner {
    struct relay relay; /* first */
    size_t consumed;
    int ready, ended, done, failed;
    const char *operation;
};

static ssize_t read_fake(void *end, void *buffer, size_t capacity)
{
    struct fake_end *fake = end;
    size_t length = strlen(fake->source);
    if (length == 0)
        return fake->after_source;
    if (length > capacity)
        length = capacity;
    memcpy(buffer, fake->source, length);
    fake->source += length;
    return (ssize_t)length;
}

static ssize_t write_fake(void *end, const void *bytes, size_t length)
{
    struct fake_end *fake = end;
    if (fake->write_fails)
        return CONN_FAILED;
    if (length > fake->room)
        length = fake->room;
    if (length == 0)
        return CONN_WAIT;
    memcpy(fake->taken + fake->taken_size, bytes, length);
    fake->taken_size += length;
    fake->room -= length;
    return (ssize_t)length;
}

static void shutdown_fake(void *end)
{
    ((struct fake_end *)end)->was_shut_down = true;
}

static const struct relay_passive_ops fake_ops = {read_fake, write_fake, shutdown_fake};

static void note_ready(struct relay *relay)
{
    ((struct fake_owner *)relay)->ready++;
}

static void note_consumed(struct relay *relay, size_t length)
{
    ((struct fake_owner *)relay)->consumed += length;
}

static void note_end(struct relay *relay)
{
    ((struct fake_owner *)relay)->ended++;
}

static void note_done(struct relay *relay)
{
    ((struct fake_owner *)relay)->done++;
}

static void note_failed(struct relay *relay, const char *operation)
{
    ((struct fake_owner *)relay)->failed++;
    ((struct fake_owner *)relay)->operation = operation;
}

static const struct relay_active_ops active = {note_ready, note_consumed, note_end};
static const struct relay_owner_ops owner_ops = {note_done, note_failed};

static void test_keeps_bytes_until_there_is_an_end(void **state)
{
    struct fake_owner owner = {0};
    struct fake_end end = {.room = 64, .source = "", .after_source = CONN_WAIT};
    relay_init(&owner.relay, &active, &owner_ops);
    relay_push(&owner.relay, "hello ", 6);
    relay_push(&owner.relay, "there", 5);
    relay_push_end(&owner.relay);
    assert_int_equal(owner.consumed, 0);
    assert_int_equal(owner.relay.spill.size, 11);
    relay_join(&owner.relay, &fake_ops, &end);
    assert_int_equal(end.taken_size, 11);
    assert_memory_equal(end.taken, "hello there", 11);
    assert_int_equal(owner.consumed, 11);
    assert_true(end.was_shut_down);
    assert_int_equal(owner.ready, 1);
    assert_int_equal(owner.done, 0);
    relay_deinit(&owner.relay);
}

static void test_keeps_order_when_the_end_is_slow(void **state)
{
    struct fake_owner owner = {0};
    struct fake_end end = {.room = 3, .source = "", .after_source = CONN_WAIT};
    relay_init(&owner.relay, &active, &owner_ops);
    relay_join(&owner.relay, &fake_ops, &end);
    relay_push(&owner.relay, "abcdef", 6);
    assert_int_equal(owner.consumed, 3);
    end.room = 2; /* there is room again, but what came first goes first */
    relay_push(&owner.relay, "gh", 2);
    relay_push_end(&owner.relay);
    assert_int_equal(owner.consumed, 3);
    assert_false(end.was_shut_down);
    relay_writable(&owner.relay);
    assert_false(end.was_shut_down);
    end.room = 64;
    relay_writable(&owner.relay);
    assert_int_equal(end.taken_size, 8);
    assert_memory_equal(end.taken, "abcdefgh", 8);
    assert_int_equal(owner.consumed, 8);
    assert_true(end.was_shut_down);
    relay_deinit(&owner.relay);
}

static void test_is_done_when_both_have_ended(void **state)
{
    struct fake_owner owner = {0};
    struct fake_end end = {.room = 64, .source = "bye", .after_source = CONN_END};
    char buffer[16];
    relay_init(&owner.relay, &active, &owner_ops);
    relay_join(&owner.relay, &fake_ops, &end);
    assert_int_equal(relay_pull(&owner.relay, buffer, sizeof buffer), 3);
    assert_int_equal(owner.ended, 0);
    assert_int_equal(relay_pull(&owner.relay, buffer, sizeof buffer), 0);
    assert_int_equal(owner.ended, 1);
    assert_int_equal(owner.done, 0);
    /* The other direction goes on. */
    relay_push(&owner.relay, "late", 4);
    assert_int_equal(end.taken_size, 4);
    relay_push_end(&owner.relay);
    assert_int_equal(owner.done, 1);
    relay_deinit(&owner.relay);
}

static void test_isnt_done_before_the_spill_is_written(void **state)
{
    struct fake_owner owner = {0};
    struct fake_end end = {.room = 0, .source = "", .after_source = CONN_END};
    char buffer[16];
    relay_init(&owner.relay, &active, &owner_ops);
    relay_join(&owner.relay, &fake_ops, &end);
    relay_push(&owner.relay, "slow", 4);
    relay_push_end(&owner.relay);
    assert_int_equal(relay_pull(&owner.relay, buffer, sizeof buffer), 0);
    assert_int_equal(owner.done, 0);
    end.room = 4;
    relay_writable(&owner.relay);
    assert_int_equal(owner.done, 1);
    relay_deinit(&owner.relay);
}

static void test_says_which_operation_failed(void **state)
{
    struct fake_owner reader = {0}, writer = {0};
    struct fake_end broken = {.source = "", .after_source = CONN_FAILED, .write_fails = true};
    char buffer[16];
    relay_init(&reader.relay, &active, &owner_ops);
    relay_join(&reader.relay, &fake_ops, &broken);
    assert_int_equal(relay_pull(&reader.relay, buffer, sizeof buffer), 0);
    assert_string_equal(reader.operation, "read");
    relay_init(&writer.relay, &active, &owner_ops);
    relay_join(&writer.relay, &fake_ops, &broken);
    relay_push(&writer.relay, "x", 1);
    assert_string_equal(writer.operation, "write");
    assert_int_equal(writer.failed, 1);
    /* Told once; what comes later is consumed, so that nobody waits for it. */
    relay_push(&writer.relay, "yz", 2);
    assert_int_equal(writer.failed, 1);
    assert_int_equal(writer.consumed, 2);
    relay_deinit(&reader.relay);
    relay_deinit(&writer.relay);
}

/* --- Gathering --- */

#define PIECE 16000

/* A passive end that notes how it is written to. */
struct big_end {
    size_t writes, taken, room;
    bool write_fails;
    unsigned char last;
};

static ssize_t read_nothing(void *end, void *buffer, size_t capacity)
{
    return CONN_WAIT;
}

static ssize_t write_big(void *end, const void *bytes, size_t length)
{
    struct big_end *big = end;
    if (big->write_fails)
        return CONN_FAILED;
    if (length > big->room - big->taken)
        length = big->room - big->taken;
    if (!length)
        return CONN_WAIT;
    big->writes++;
    big->taken += length;
    big->last = ((const unsigned char *)bytes)[length - 1];
    return (ssize_t)length;
}

static void ignore_shutdown(void *end)
{
}

static const struct relay_passive_ops big_ops = {read_nothing, write_big, ignore_shutdown};

static void open_big(struct fake_owner *owner, struct big_end *end)
{
    *owner = (struct fake_owner){0};
    *end = (struct big_end){.room = 1000000};
    relay_init(&owner->relay, &active, &owner_ops);
    owner->relay.gathers = true;
    relay_join(&owner->relay, &big_ops, end);
}

static void push_pieces(struct fake_owner *owner, int count)
{
    static unsigned char piece[PIECE];
    for (int i = 0; i < count; i++) {
        memset(piece, i + 1, sizeof piece);
        relay_push(&owner->relay, piece, sizeof piece);
    }
}

static void test_gathers_pieces_into_one_write(void **state)
{
    struct fake_owner owner;
    struct big_end end;
    open_big(&owner, &end);
    push_pieces(&owner, 2);
    assert_int_equal(end.writes, 2); /* it wasn't begun */
    relay_gather_begin();
    push_pieces(&owner, 9);
    assert_int_equal(end.writes, 4);
    assert_int_equal(owner.consumed, 10 * PIECE); /* not what is kept */
    relay_gather_end();
    assert_int_equal(end.writes, 5);
    assert_int_equal(end.taken, 11 * PIECE);
    assert_int_equal(end.last, 9);
    assert_int_equal(owner.consumed, 11 * PIECE);
    relay_deinit(&owner.relay);
}

static void test_gathers_for_one_and_in_order(void **state)
{
    struct fake_owner owner, other;
    struct big_end end, other_end;
    open_big(&owner, &end);
    open_big(&other, &other_end);
    relay_gather_begin();
    push_pieces(&owner, 1);
    assert_int_equal(end.taken, 0);
    push_pieces(&other, 1);
    assert_int_equal(end.taken, PIECE);
    relay_push(&other.relay, "small", 5); /* isn't kept waiting */
    assert_int_equal(other_end.taken, PIECE + 5);
    assert_int_equal(other_end.last, 'l');
    push_pieces(&other, 1);
    relay_push_end(&other.relay);
    assert_int_equal(other_end.taken, 2 * PIECE + 5);
    push_pieces(&owner, 1);
    relay_flush(&other.relay); /* nothing of its own is kept */
    assert_int_equal(end.taken, PIECE);
    relay_deinit(&owner.relay); /* who gives it up needs no bytes passed on */
    relay_gather_end();
    assert_int_equal(end.taken, PIECE);
    relay_deinit(&other.relay);
}

static void test_spills_what_was_gathered_and_not_taken(void **state)
{
    struct fake_owner owner;
    struct big_end end;
    open_big(&owner, &end);
    end.room = 2 * PIECE;
    relay_gather_begin();
    push_pieces(&owner, 3);
    relay_gather_end();
    assert_int_equal(end.taken, 2 * PIECE);
    assert_int_equal(owner.consumed, 2 * PIECE);
    assert_int_equal(owner.relay.spill.size, PIECE);
    relay_gather_begin();
    push_pieces(&owner, 1); /* behind what waits */
    assert_int_equal(owner.relay.spill.size, 2 * PIECE);
    relay_gather_end();
    relay_deinit(&owner.relay);
}

static void test_fails_at_the_end_of_gathering(void **state)
{
    struct fake_owner owner;
    struct big_end end;
    open_big(&owner, &end);
    end.write_fails = true;
    relay_gather_begin();
    push_pieces(&owner, 4);
    assert_int_equal(owner.failed, 0);
    push_pieces(&owner, 1); /* it would be too much: the failure shows, and this is consumed */
    assert_int_equal(owner.failed, 1);
    assert_int_equal(owner.consumed, PIECE);
    relay_gather_end();
    assert_int_equal(owner.failed, 1);
    relay_deinit(&owner.relay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gathers_pieces_into_one_write),
        cmocka_unit_test(test_gathers_for_one_and_in_order),
        cmocka_unit_test(test_spills_what_was_gathered_and_not_taken),
        cmocka_unit_test(test_fails_at_the_end_of_gathering),
        cmocka_unit_test(test_keeps_bytes_until_there_is_an_end),
        cmocka_unit_test(test_keeps_order_when_the_end_is_slow),
        cmocka_unit_test(test_is_done_when_both_have_ended),
        cmocka_unit_test(test_isnt_done_before_the_spill_is_written),
        cmocka_unit_test(test_says_which_operation_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

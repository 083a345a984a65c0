/* Two byte streams between two loops: the bytes, the bounds, and every order of ends. */
#include "net_test.h"

#include <pthread.h>
#include <stdatomic.h>

#include "net/link.h"

/* One end, its loop, and what its owner was told. */
struct side {
    struct loop *loop;
    struct link_end *end;
    int readable, writable, aborted;
    bool close_when_told;
    size_t received, sent;
    bool ended, failed;
};

static void on_readable(struct link_end *end)
{
    struct side *side = link_user(end);
    side->readable++;
    if (side->close_when_told)
        link_close(end);
}

static void on_writable(struct link_end *end)
{
    ((struct side *)link_user(end))->writable++;
}

static void on_aborted(struct link_end *end)
{
    struct side *side = link_user(end);
    side->aborted++;
    if (side->close_when_told)
        link_close(end);
}

static const struct link_callbacks callbacks = {on_readable, on_writable, on_aborted};

/* --- both loops on this thread, taking turns -------------------------------------- */

struct joined {
    struct side a, b;
};

static int set_up(void **state)
{
    struct joined *joined = calloc(1, sizeof *joined);
    assert_int_equal(loop_new(&joined->a.loop), 0);
    assert_int_equal(loop_new(&joined->b.loop), 0);
    assert_int_equal(link_new(joined->a.loop, joined->b.loop, &joined->a.end, &joined->b.end), 0);
    link_set_callbacks(joined->a.end, &callbacks, &joined->a);
    link_set_callbacks(joined->b.end, &callbacks, &joined->b);
    *state = joined;
    return 0;
}

static int tear_down(void **state)
{
    struct joined *joined = *state;
    loop_free(joined->a.loop);
    loop_free(joined->b.loop);
    free(joined);
    return 0;
}

static void stop_now(struct loop_message *message)
{
    loop_stop(*(struct loop **)(void *)(message + 1));
}

/* One turn: what was posted before is run, and what that deferred. */
static void turn(struct side *side)
{
    struct {
        struct loop_message message;
        struct loop *loop;
    } stop = {{.run = stop_now}, side->loop};
    loop_post(side->loop, &stop.message);
    loop_run(side->loop);
}

static void turns(struct joined *joined)
{
    for (int i = 0; i < 3; i++) {
        turn(&joined->a);
        turn(&joined->b);
    }
}

static void write_all(struct side *side, const char *text)
{
    assert_int_equal(link_write(side->end, text, strlen(text)), strlen(text));
}

static void assert_reads(struct side *side, const char *text)
{
    char buffer[256] = "";
    assert_int_equal(link_read(side->end, buffer, sizeof buffer), strlen(text));
    assert_string_equal(buffer, text);
}

static ssize_t read_one(struct side *side)
{
    char byte;
    return link_read(side->end, &byte, 1);
}

static void test_bytes_pass_both_ways_at_the_turns_end(void **state)
{
    struct joined *joined = *state;
    turns(joined);
    assert_int_equal(joined->a.readable + joined->b.readable, 0);
    write_all(&joined->a, "some");
    write_all(&joined->a, " words");
    turn(&joined->b);
    assert_int_equal(read_one(&joined->b), CONN_WAIT); /* a's turn isn't over */
    turns(joined);
    assert_int_equal(joined->b.readable, 1);
    assert_reads(&joined->b, "some words");
    assert_int_equal(read_one(&joined->b), CONN_WAIT);
    write_all(&joined->b, "answer");
    turns(joined);
    assert_reads(&joined->a, "answer");
    link_close(joined->a.end);
    link_close(joined->b.end);
}

/* As of a conn: nothing more is told until reading has found nothing. */
static void test_readable_is_told_once_until_all_was_read(void **state)
{
    struct joined *joined = *state;
    write_all(&joined->a, "one");
    turns(joined);
    write_all(&joined->a, "two");
    turns(joined);
    assert_int_equal(joined->b.readable, 1);
    assert_reads(&joined->b, "onetwo");
    assert_int_equal(read_one(&joined->b), CONN_WAIT);
    write_all(&joined->a, "three");
    turns(joined);
    assert_int_equal(joined->b.readable, 2);
    link_close(joined->a.end);
    link_close(joined->b.end);
}

static void test_what_was_written_before_the_callbacks_is_told(void **state)
{
    struct joined *joined = *state;
    struct side later = {.loop = joined->b.loop};
    write_all(&joined->a, "early");
    turns(joined);
    later.end = joined->b.end;
    link_set_callbacks(later.end, &callbacks, &later);
    assert_int_equal(later.readable, 0);
    turns(joined);
    assert_int_equal(later.readable, 1);
    assert_reads(&later, "early");
    link_close(joined->a.end);
    link_close(later.end);
}

static void test_a_full_window_waits_for_the_reader(void **state)
{
    struct joined *joined = *state;
    static char bytes[LINK_WINDOW + 1];
    assert_int_equal(link_room(joined->a.end), LINK_WINDOW);
    assert_int_equal(link_write(joined->a.end, bytes, sizeof bytes), LINK_WINDOW);
    assert_int_equal(link_write(joined->a.end, bytes, 1), CONN_WAIT);
    assert_int_equal(link_room(joined->a.end), 0);
    turns(joined);
    assert_int_equal(link_read(joined->b.end, bytes, LINK_WINDOW / 4 - 1), LINK_WINDOW / 4 - 1);
    turns(joined);
    assert_int_equal(link_room(joined->a.end), 0);
    assert_int_equal(joined->a.writable, 0);
    assert_int_equal(read_one(&joined->b), 1); /* a quarter of it: worth a message */
    turns(joined);
    assert_int_equal(joined->a.writable, 1);
    assert_int_equal(link_room(joined->a.end), LINK_WINDOW / 4);
    /* the other direction has its own */
    assert_int_equal(link_room(joined->b.end), LINK_WINDOW);
    link_close(joined->a.end);
    link_close(joined->b.end);
}

/* Many turns with a byte each are kept in order, and together. */
/* Who writes exactly what there is room for is told, too, when there is more. */
static void test_room_is_told_after_it_was_filled(void **state)
{
    struct joined *joined = *state;
    static char bytes[LINK_WINDOW];
    assert_int_equal(link_write(joined->a.end, bytes, sizeof bytes), LINK_WINDOW);
    turns(joined);
    assert_int_equal(link_read(joined->b.end, bytes, sizeof bytes), LINK_WINDOW);
    turns(joined);
    assert_int_equal(joined->a.writable, 1);
    assert_int_equal(link_room(joined->a.end), LINK_WINDOW);
    link_close(joined->a.end);
    link_close(joined->b.end);
}

static void test_a_slow_reader_gets_all_of_many_small_writes(void **state)
{
    struct joined *joined = *state;
    char bytes[3000];
    for (int i = 0; i < 3000; i++) {
        char byte = (char)(i % 251);
        assert_int_equal(link_write(joined->a.end, &byte, 1), 1);
        turn(&joined->a);
    }
    turns(joined);
    assert_int_equal(link_read(joined->b.end, bytes, sizeof bytes), 3000);
    for (int i = 0; i < 3000; i++)
        assert_int_equal(bytes[i], (char)(i % 251));
    link_close(joined->a.end);
    link_close(joined->b.end);
}

static void test_half_close_passes_after_the_bytes(void **state)
{
    struct joined *joined = *state;
    write_all(&joined->a, "last");
    link_shutdown(joined->a.end);
    link_shutdown(joined->a.end);
    turns(joined);
    assert_reads(&joined->b, "last");
    assert_int_equal(read_one(&joined->b), CONN_END);
    assert_int_equal(read_one(&joined->b), CONN_END);
    write_all(&joined->b, "still"); /* the other direction goes on */
    turns(joined);
    assert_reads(&joined->a, "still");
    assert_int_equal(read_one(&joined->a), CONN_WAIT);
    link_shutdown(joined->b.end);
    turns(joined);
    assert_int_equal(joined->a.readable, 2);
    assert_int_equal(read_one(&joined->a), CONN_END);
    link_close(joined->a.end);
    link_close(joined->b.end);
}

static void test_what_was_written_before_a_close_arrives(void **state)
{
    struct joined *joined = *state;
    static char much[LINK_WINDOW];
    assert_int_equal(link_write(joined->b.end, much, sizeof much), LINK_WINDOW);
    assert_int_equal(link_write(joined->b.end, much, 1), CONN_WAIT);
    turns(joined);
    write_all(&joined->a, "farewell");
    link_close(joined->a.end);
    turns(joined);
    assert_int_equal(joined->b.writable, 1); /* to find out */
    assert_int_equal(link_write(joined->b.end, "x", 1), CONN_FAILED);
    assert_int_equal(link_room(joined->b.end), 0);
    assert_reads(&joined->b, "farewell");
    assert_int_equal(read_one(&joined->b), CONN_END);
    assert_int_equal(joined->b.aborted, 0);
    link_close(joined->b.end);
}

static void test_an_abort_is_told_and_ends_all(void **state)
{
    struct joined *joined = *state;
    write_all(&joined->a, "lost");
    turns(joined);
    write_all(&joined->a, "lost, too");
    link_abort(joined->a.end);
    turns(joined);
    assert_int_equal(joined->b.aborted, 1);
    assert_int_equal(read_one(&joined->b), CONN_FAILED);
    assert_int_equal(link_write(joined->b.end, "x", 1), CONN_FAILED);
    link_abort(joined->b.end);
    turns(joined);
}

static void test_an_abort_waits_for_its_owner(void **state)
{
    struct joined *joined = *state;
    link_set_callbacks(joined->b.end, NULL, NULL);
    turns(joined);
    link_abort(joined->a.end);
    turns(joined);
    link_set_callbacks(joined->b.end, &callbacks, &joined->b);
    turns(joined);
    assert_int_equal(joined->b.aborted, 1);
    link_close(joined->b.end);
}

/* Messages are under way in both directions when the ends go, in any order. */
static void test_messages_to_a_closed_end_are_harmless(void **state)
{
    struct joined *joined = *state;
    for (int i = 0; i < 8; i++) {
        struct side *first = i & 1 ? &joined->a : &joined->b;
        struct side *second = i & 1 ? &joined->b : &joined->a;
        write_all(&joined->a, "there");
        write_all(&joined->b, "and back");
        if (i & 2)
            link_shutdown(first->end);
        turn(first);
        (i & 4 ? link_abort : link_close)(first->end);
        turn(second);
        link_close(second->end);
        turns(joined);
        assert_int_equal(link_new(joined->a.loop, joined->b.loop, &joined->a.end, &joined->b.end),
                         0);
        link_set_callbacks(joined->a.end, &callbacks, &joined->a);
        link_set_callbacks(joined->b.end, &callbacks, &joined->b);
    }
    link_close(joined->a.end);
    link_abort(joined->b.end);
}

static void test_an_owner_may_close_when_told(void **state)
{
    struct joined *joined = *state;
    joined->b.close_when_told = true;
    write_all(&joined->a, "read me");
    turns(joined);
    assert_int_equal(joined->b.readable, 1);
    assert_int_equal(read_one(&joined->a), CONN_END);
    link_close(joined->a.end);
    turns(joined);
    assert_int_equal(link_new(joined->a.loop, joined->b.loop, &joined->a.end, &joined->b.end), 0);
    link_set_callbacks(joined->b.end, &callbacks, &joined->b);
    link_abort(joined->a.end);
    turns(joined);
    assert_int_equal(joined->b.aborted, 1);
}

/* The loop of an end that was closed may be gone before the other end is. */
static void test_a_closed_ends_loop_may_be_gone(void **state)
{
    struct joined *joined = *state;
    struct side gone = {0};
    struct link_end *mine;
    assert_int_equal(loop_new(&gone.loop), 0);
    assert_int_equal(link_new(joined->a.loop, gone.loop, &mine, &gone.end), 0);
    link_close(gone.end);
    loop_free(gone.loop);
    assert_int_equal(link_write(mine, "nobody", 6), 6); /* the news of the close is under way */
    link_shutdown(mine);
    turns(joined);
    link_abort(mine);
    link_close(joined->a.end);
    link_close(joined->b.end);
}

static void test_null_is_fine(void **state)
{
    link_close(NULL);
    link_abort(NULL);
}

/* --- a thread for each loop ------------------------------------------------------- */

/* Each side sends this much and reads what the other sends, as fast as the link lets it. */
#define CROWD_BYTES (8 * LINK_WINDOW + 12345)

static unsigned char pattern(size_t at)
{
    return (unsigned char)(at * 7 + at / 251);
}

static void finish(struct side *side)
{
    if (side->ended && side->sent == CROWD_BYTES)
        loop_stop(side->loop);
}

static void read_on(struct link_end *end)
{
    struct side *side = link_user(end);
    unsigned char buffer[5000];
    ssize_t n;
    while ((n = link_read(end, buffer, sizeof buffer)) > 0)
        for (ssize_t i = 0; i < n; i++)
            side->failed |= buffer[i] != pattern(side->received++);
    side->failed |= n == CONN_FAILED;
    side->ended |= n == CONN_END;
    finish(side);
}

static void write_on(struct link_end *end)
{
    struct side *side = link_user(end);
    while (side->sent < CROWD_BYTES) {
        unsigned char buffer[7001];
        size_t size = 1 + side->sent % sizeof buffer;
        if (size > CROWD_BYTES - side->sent)
            size = CROWD_BYTES - side->sent;
        for (size_t i = 0; i < size; i++)
            buffer[i] = pattern(side->sent + i);
        ssize_t n = link_write(end, buffer, size);
        side->failed |= n == CONN_FAILED;
        if (n <= 0)
            return;
        side->sent += (size_t)n;
    }
    link_shutdown(end);
    finish(side);
}

static const struct link_callbacks busy = {read_on, write_on, on_aborted};

struct starter {
    struct loop_message message;
    struct side *side;
};

static void start_side(struct loop_message *message)
{
    struct side *side = ((struct starter *)message)->side;
    link_set_callbacks(side->end, &busy, side);
    write_on(side->end);
}

static void *run_side(void *argument)
{
    struct side *side = argument;
    struct starter starter = {{.run = start_side}, side};
    loop_post(side->loop, &starter.message);
    loop_run(side->loop);
    link_close(side->end);
    return NULL;
}

static void test_two_threads_exchange_much(void **state)
{
    struct side sides[2] = {0};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(loop_new(&sides[i].loop), 0);
    assert_int_equal(link_new(sides[0].loop, sides[1].loop, &sides[0].end, &sides[1].end), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_side, &sides[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(sides[i].received, CROWD_BYTES);
        assert_false(sides[i].failed);
        loop_free(sides[i].loop);
    }
}

/* One side aborts in the middle of it, at another moment each time. */
static void *run_and_abort(void *argument)
{
    struct side *side = argument;
    static atomic_uint moments;
    unsigned turns_left = atomic_fetch_add(&moments, 1) % 5;
    link_set_callbacks(side->end, &busy, side);
    write_on(side->end);
    while (turns_left--)
        turn(side);
    link_abort(side->end);
    return NULL;
}

static void stop_when_aborted(struct link_end *end)
{
    loop_stop(((struct side *)link_user(end))->loop);
}

static const struct link_callbacks until_aborted = {read_on, write_on, stop_when_aborted};

static void test_an_abort_amid_traffic(void **state)
{
    for (int round = 0; round < 20; round++) {
        struct side sides[2] = {0};
        pthread_t thread;
        for (int i = 0; i < 2; i++)
            assert_int_equal(loop_new(&sides[i].loop), 0);
        assert_int_equal(link_new(sides[0].loop, sides[1].loop, &sides[0].end, &sides[1].end), 0);
        assert_int_equal(pthread_create(&thread, NULL, run_and_abort, &sides[1]), 0);
        link_set_callbacks(sides[0].end, &until_aborted, &sides[0]);
        loop_run(sides[0].loop);
        link_close(sides[0].end);
        pthread_join(thread, NULL);
        loop_free(sides[0].loop);
        loop_free(sides[1].loop);
    }
}

#define WITH_LINK(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LINK(test_bytes_pass_both_ways_at_the_turns_end),
        WITH_LINK(test_readable_is_told_once_until_all_was_read),
        WITH_LINK(test_what_was_written_before_the_callbacks_is_told),
        WITH_LINK(test_a_full_window_waits_for_the_reader),
        WITH_LINK(test_room_is_told_after_it_was_filled),
        WITH_LINK(test_a_slow_reader_gets_all_of_many_small_writes),
        WITH_LINK(test_half_close_passes_after_the_bytes),
        WITH_LINK(test_what_was_written_before_a_close_arrives),
        WITH_LINK(test_an_abort_is_told_and_ends_all),
        WITH_LINK(test_an_abort_waits_for_its_owner),
        WITH_LINK(test_messages_to_a_closed_end_are_harmless),
        WITH_LINK(test_an_owner_may_close_when_told),
        WITH_LINK(test_a_closed_ends_loop_may_be_gone),
        cmocka_unit_test(test_null_is_fine),
        cmocka_unit_test(test_two_threads_exchange_much),
        cmocka_unit_test(test_an_abort_amid_traffic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

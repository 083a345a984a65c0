/* The loop: order within a turn, deferred work, messages of other threads, time, signals. */
#include "net_test.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include "net/signals.h"

static struct loop *loop;
static char order[64];

static void note(const char *what)
{
    assert_true(strlen(order) + strlen(what) < sizeof order);
    strcat(order, what);
}

/* --- deferred ------------------------------------------------------------- */

static struct loop_deferred deferred_1, deferred_2;

static void run_1(struct loop_deferred *deferred)
{
    note("1");
    loop_defer(loop, &deferred_2); /* for the same turn */
}

static void run_2(struct loop_deferred *deferred)
{
    note("2");
}

static void defer_twice(struct timer *timer)
{
    note("t");
    deferred_1.run = run_1;
    deferred_2.run = run_2;
    loop_defer(loop, &deferred_1);
    loop_defer(loop, &deferred_1);
}

static void on_second(struct timer *timer)
{
    note("s");
    loop_stop(loop);
}

static void test_deferred_run_once_and_before_the_loop_sleeps(void **state)
{
    struct timer first, second;
    timer_init(&first, loop, defer_twice);
    timer_init(&second, loop, on_second);
    timer_start(&first, loop_update_now(loop));
    timer_start(&second, loop_now(loop) + 10000);
    order[0] = 0;
    loop_run(loop);
    assert_string_equal(order, "t12s");
}

static void test_undeferred_does_not_run(void **state)
{
    order[0] = 0;
    deferred_1.run = deferred_2.run = run_2;
    loop_defer(loop, &deferred_1);
    loop_defer(loop, &deferred_2);
    loop_undefer(loop, &deferred_1);
    loop_undefer(loop, &deferred_1);
    test_run_for(loop, 0);
    assert_string_equal(order, "2");
    assert_null(deferred_1.next);
}

/* --- messages ------------------------------------------------------------- */

enum { SENDERS = 3, MESSAGES = 2000 };

struct message {
    struct loop_message base;
    int sender, number;
};

static int next_number[SENDERS], received;

static void on_message(struct loop_message *base)
{
    struct message *message = (struct message *)(void *)base;
    assert_int_equal(message->number, next_number[message->sender]++);
    free(message);
    if (++received == SENDERS * MESSAGES)
        loop_stop(loop);
}

static void *send_messages(void *sender)
{
    for (int i = 0; i < MESSAGES; i++) {
        struct message *message = calloc(1, sizeof *message);
        message->base.run = on_message;
        message->sender = (int)(intptr_t)sender;
        message->number = i;
        loop_post(loop, &message->base);
    }
    return NULL;
}

static void test_messages_of_each_thread_come_in_order(void **state)
{
    pthread_t threads[SENDERS];
    received = 0;
    for (intptr_t i = 0; i < SENDERS; i++) {
        next_number[i] = 0;
        pthread_create(&threads[i], NULL, send_messages, (void *)i);
    }
    loop_run(loop);
    for (int i = 0; i < SENDERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(next_number[i], MESSAGES);
    }
}

static bool message_ran;

static void on_last_message(struct loop_message *message)
{
    message_ran = true;
    free(message);
}

static void test_messages_left_over_run_when_the_loop_is_freed(void **state)
{
    struct loop *other;
    struct loop_message *message = calloc(1, sizeof *message);
    assert_int_equal(loop_new(&other), 0);
    message->run = on_last_message;
    loop_post(other, message);
    message_ran = false;
    loop_free(other);
    assert_true(message_ran);
}

/* --- time ----------------------------------------------------------------- */

static uint64_t started, due;

static void on_due(struct timer *timer)
{
    assert_true(loop_now(loop) >= due);
    loop_stop(loop);
}

static void test_time_is_read_once_a_turn_and_never_old(void **state)
{
    struct timer timer;
    started = loop_update_now(loop);
    assert_int_equal(loop_now(loop), started);
    timer_init(&timer, loop, on_due);
    for (int i = 0; i < 5; i++) {
        due = loop_update_now(loop) + 1 + 1000 * (uint64_t)i;
        timer_start(&timer, due);
        assert_true(timer_is_running(&timer));
        loop_run(loop);
        assert_false(timer_is_running(&timer));
    }
    assert_true(loop_now(loop) > started);
}

static int timer_runs;

static void count_run(struct timer *timer)
{
    timer_runs++;
}

static void test_timers_are_moved_and_stopped(void **state)
{
    struct timer timer, stopped;
    timer_runs = 0;
    timer_init(&timer, loop, count_run);
    timer_init(&stopped, loop, count_run);
    timer_start(&timer, loop_update_now(loop) + 3600 * TEST_SECOND);
    timer_start(&timer, loop_now(loop) + 1000);
    timer_start(&stopped, loop_now(loop) + 1000);
    timer_start(&stopped, UINT64_MAX);
    assert_false(timer_is_running(&stopped));
    timer_stop(&stopped);
    test_run_for(loop, 10000);
    assert_int_equal(timer_runs, 1);
    assert_true(sizeof(struct timer) <= 48);
}

/* Far timers cost no turns: an idle process sleeps. */
static void test_far_timers_let_the_loop_sleep(void **state)
{
    struct rusage before, after;
    struct timer timers[100], end;
    for (int i = 0; i < 100; i++) {
        timer_init(&timers[i], loop, count_run);
        timer_start(&timers[i], loop_update_now(loop) + (uint64_t)(50 + i) * TEST_SECOND);
    }
    timer_init(&end, loop, on_second);
    timer_start(&end, loop_now(loop) + 300000);
    order[0] = 0;
    getrusage(RUSAGE_THREAD, &before);
    loop_run(loop);
    getrusage(RUSAGE_THREAD, &after);
    assert_string_equal(order, "s");
    assert_true(after.ru_nvcsw - before.ru_nvcsw <= 10); /* sleeps, one a turn */
    for (int i = 0; i < 100; i++)
        timer_stop(&timers[i]);
}

/* --- signals -------------------------------------------------------------- */

static int last_signal;

static void on_signal(int number, void *user)
{
    last_signal = number;
    *(bool *)user = true;
}

static void test_signals_are_callbacks(void **state)
{
    static const int numbers[] = {SIGUSR1, SIGUSR2};
    static const int bad[] = {SIGUSR1, 1000};
    struct signals *signals = NULL;
    bool came = false;
    assert_int_equal(signals_open(loop, numbers, 2, on_signal, &came, &signals), 0);
    kill(getpid(), SIGUSR2);
    test_run_until(loop, test_flag_holds, &came);
    assert_int_equal(last_signal, SIGUSR2);
    signals_close(signals);
    signals_close(NULL);
    signals = NULL;
    assert_int_equal(signals_open(loop, bad, 2, on_signal, &came, &signals), -EINVAL);
    assert_null(signals);
    test_run_for(loop, 0);
}

static void test_writing_to_nobody_is_an_error_not_a_signal(void **state)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    close(fds[0]);
    assert_int_equal(write(fds[1], "x", 1), -1);
    assert_int_equal(errno, EPIPE);
    close(fds[1]);
}

static int set_up(void **state)
{
    return loop_new(&loop);
}

static int tear_down(void **state)
{
    loop_free(loop);
    loop_free(NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deferred_run_once_and_before_the_loop_sleeps),
        cmocka_unit_test(test_undeferred_does_not_run),
        cmocka_unit_test(test_messages_of_each_thread_come_in_order),
        cmocka_unit_test(test_messages_left_over_run_when_the_loop_is_freed),
        cmocka_unit_test(test_time_is_read_once_a_turn_and_never_old),
        cmocka_unit_test(test_timers_are_moved_and_stopped),
        cmocka_unit_test(test_far_timers_let_the_loop_sleep),
        cmocka_unit_test(test_signals_are_callbacks),
        cmocka_unit_test(test_writing_to_nobody_is_an_error_not_a_signal),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

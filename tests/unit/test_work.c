/* A queue of long work beside a loop. Threads wait for semaphores of the test, never for time. */
#include "net_test.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>

#include "net/work.h"

struct job {
    struct work work;
    sem_t *started, *may_end; /* NULL: ends at once */
    bool ran, blocks_signals;
    pthread_t thread;
    int place; /* in the order of `done`, from 1 */
};

static struct loop *loop;
static struct work_queue *queue;
static sem_t started, may_end;
static int done_count;

static int setup(void **state)
{
    done_count = 0;
    assert_int_equal(0, loop_new(&loop));
    assert_int_equal(0, sem_init(&started, 0, 0));
    assert_int_equal(0, sem_init(&may_end, 0, 0));
    return 0;
}

static int teardown(void **state)
{
    loop_free(loop);
    sem_destroy(&started);
    sem_destroy(&may_end);
    return 0;
}

static void run(struct work *work)
{
    struct job *job = (struct job *)(void *)work;
    sigset_t set;
    job->ran = true;
    job->thread = pthread_self();
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    job->blocks_signals = sigismember(&set, SIGTERM) == 1;
    if (job->started) {
        sem_post(job->started);
        sem_wait(job->may_end);
    }
}

static void done(struct work *work)
{
    struct job *job = (struct job *)(void *)work;
    job->place = ++done_count;
}

static struct job make_job(bool waits)
{
    return (struct job){.work = {.run = run, .done = done},
                        .started = waits ? &started : NULL,
                        .may_end = waits ? &may_end : NULL};
}

static bool all_are_done(void *count)
{
    return done_count == *(int *)count;
}

static void test_runs_on_a_thread_and_ends_on_the_loop(void **state)
{
    int count = 1;
    struct job job = make_job(false);
    assert_int_equal(0, work_queue_new(loop, 1, 1, &queue));
    assert_int_equal(0, work_queue_add(queue, &job.work));
    assert_int_equal(0, done_count); /* not before the loop's turn */
    test_run_until(loop, all_are_done, &count);
    assert_true(job.ran);
    assert_true(job.blocks_signals);
    assert_false(pthread_equal(pthread_self(), job.thread));
    work_queue_free(queue);
}

static void test_is_bounded(void **state)
{
    int count = 3;
    struct job first = make_job(true), second = make_job(false), third = make_job(false),
               refused = make_job(false);
    assert_int_equal(0, work_queue_new(loop, 1, 2, &queue));
    assert_int_equal(0, work_queue_add(queue, &first.work));
    sem_wait(&started); /* what runs doesn't wait any more */
    assert_int_equal(0, work_queue_add(queue, &second.work));
    assert_int_equal(0, work_queue_add(queue, &third.work));
    assert_int_equal(-EAGAIN, work_queue_add(queue, &refused.work));
    sem_post(&may_end);
    test_run_until(loop, all_are_done, &count);
    assert_int_equal(1, first.place);
    assert_int_equal(2, second.place);
    assert_int_equal(3, third.place);
    assert_false(refused.ran);
    count = 4;
    assert_int_equal(0, work_queue_add(queue, &refused.work)); /* there is room again */
    test_run_until(loop, all_are_done, &count);
    work_queue_free(queue);
}

static void test_as_many_at_a_time_as_threads(void **state)
{
    int count = 3;
    struct job jobs[3] = {make_job(true), make_job(true), make_job(true)};
    assert_int_equal(0, work_queue_new(loop, 2, 3, &queue));
    for (int i = 0; i < 3; i++)
        assert_int_equal(0, work_queue_add(queue, &jobs[i].work));
    sem_wait(&started);
    sem_wait(&started); /* two run side by side: both threads are taken */
    assert_int_equal(-1, sem_trywait(&started));
    for (int i = 0; i < 3; i++)
        sem_post(&may_end);
    test_run_until(loop, all_are_done, &count);
    assert_true(jobs[2].ran);
    work_queue_free(queue);
}

static void test_freed_in_the_middle(void **state)
{
    struct job running = make_job(true), waiting = make_job(false);
    assert_int_equal(0, work_queue_new(loop, 1, 2, &queue));
    assert_int_equal(0, work_queue_add(queue, &running.work));
    sem_wait(&started);
    assert_int_equal(0, work_queue_add(queue, &waiting.work));
    sem_post(&may_end);
    work_queue_free(queue); /* the thread may get to the second one before it sees this */
    while (loop_settle(loop))
        ;
    assert_int_equal(2, done_count);
    assert_true(running.ran);
    assert_int_equal(2, waiting.place);
}

static void test_done_in_loop_free(void **state)
{
    struct job job = make_job(false);
    struct loop *other;
    assert_int_equal(0, loop_new(&other));
    assert_int_equal(0, work_queue_new(other, 1, 1, &queue));
    assert_int_equal(0, work_queue_add(queue, &job.work));
    work_queue_free(queue);
    loop_free(other);
    assert_int_equal(1, done_count);
    work_queue_free(NULL);
}

static void test_loops_share_a_queue(void **state)
{
    int count = 1;
    struct job here = make_job(false), there = make_job(false);
    struct loop *other;
    assert_int_equal(0, loop_new(&other));
    assert_int_equal(0, work_queue_new(NULL, 1, 2, &queue));
    assert_int_equal(0, work_queue_add_for(queue, other, &there.work));
    assert_int_equal(0, work_queue_add_for(queue, loop, &here.work));
    test_run_until(loop, all_are_done, &count);
    assert_int_equal(1, here.place);
    assert_int_equal(0, there.place); /* its own loop hasn't had a turn */
    assert_true(there.ran);
    work_queue_free(queue);
    loop_free(other);
    assert_int_equal(2, there.place);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_runs_on_a_thread_and_ends_on_the_loop),
        TEST(test_is_bounded),
        TEST(test_as_many_at_a_time_as_threads),
        TEST(test_freed_in_the_middle),
        TEST(test_done_in_loop_free),
        TEST(test_loops_share_a_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

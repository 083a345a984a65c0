/* The wheel with a clock of the test's own: years pass in no time. */
#include "net_test.h"

#include "net/wheel.h"

static struct wheel *wheel;
static uint64_t now;
static int runs;

struct alarm {
    struct timer timer;
    uint64_t ran_at; /* 0: not yet */
    int count;
    uint64_t again_in; /* starts itself again, if not 0 */
    struct alarm *stops;
};

static void start(struct alarm *alarm, uint64_t when)
{
    alarm->timer.when = when;
    wheel_insert(wheel, &alarm->timer);
}

static void on_alarm(struct timer *timer)
{
    struct alarm *alarm = (struct alarm *)(void *)timer;
    assert_null(timer->next);
    alarm->ran_at = now;
    alarm->count++;
    runs++;
    if (alarm->again_in)
        start(alarm, now + alarm->again_in - 1);
    if (alarm->stops && alarm->stops->timer.next)
        wheel_remove(&alarm->stops->timer);
}

static void init(struct alarm *alarm)
{
    *alarm = (struct alarm){.timer.run = on_alarm};
}

/* As the loop does it: sleeps until the wheel says so, then advances. */
static void sleep_until(uint64_t time)
{
    uint64_t next;
    while ((next = wheel_next(wheel)) <= time) {
        if (next > now)
            now = next;
        wheel_advance(wheel, now);
    }
    now = time;
    wheel_advance(wheel, now);
}

static int set_up(void **state)
{
    now = 1234567891;
    runs = 0;
    wheel = malloc(sizeof *wheel);
    wheel_init(wheel, now);
    return 0;
}

static int tear_down(void **state)
{
    free(wheel);
    return 0;
}

static void test_timers_run_in_time(void **state)
{
    static const uint64_t delays[] = {0,
                                      1,
                                      1999,
                                      2000,
                                      2001,
                                      127999,
                                      128000,
                                      8200000,
                                      600 * TEST_SECOND,
                                      86400 * TEST_SECOND,
                                      86400 * TEST_SECOND * 400,
                                      86400 * TEST_SECOND * 30000};
    enum { COUNT = sizeof delays / sizeof delays[0] };
    struct alarm alarms[COUNT];
    uint64_t begin = now;
    for (int i = 0; i < COUNT; i++) {
        init(&alarms[i]);
        start(&alarms[i], begin + delays[i]);
    }
    sleep_until(begin + 86400 * TEST_SECOND * 40000);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(alarms[i].count, 1);
        assert_true(alarms[i].ran_at >= begin + delays[i]);
        assert_true(alarms[i].ran_at - begin - delays[i] < TIMER_GRAIN);
    }
    assert_int_equal(wheel_next(wheel), UINT64_MAX);
}

static void test_a_loop_that_was_late_runs_them_all(void **state)
{
    struct alarm near_one, far_one;
    init(&near_one);
    init(&far_one);
    start(&far_one, now + 90 * TEST_SECOND);
    start(&near_one, now + 10 * TEST_SECOND);
    now += 100 * TEST_SECOND;
    wheel_advance(wheel, now);
    assert_int_equal(near_one.count, 1);
    assert_int_equal(far_one.count, 1);
}

static void test_an_idle_wheel_wakes_seldom(void **state)
{
    enum { COUNT = 1000 };
    struct alarm *alarms = calloc(COUNT, sizeof *alarms);
    int wakes = 0;
    uint64_t next, end = now + 60 * TEST_SECOND;
    for (int i = 0; i < COUNT; i++) {
        init(&alarms[i]);
        start(&alarms[i], end);
    }
    while ((next = wheel_next(wheel)) < end) {
        now = next > now ? next : now;
        wheel_advance(wheel, now);
        wakes++;
    }
    assert_true(wakes <= 5);
    assert_int_equal(runs, 0);
    sleep_until(end + TIMER_GRAIN);
    assert_int_equal(runs, COUNT);
    free(alarms);
}

static void test_a_timer_that_restarts_itself_for_now_runs_once_a_tick(void **state)
{
    struct alarm alarm;
    init(&alarm);
    alarm.again_in = 1;
    start(&alarm, now);
    sleep_until(now + 100 * WHEEL_TICK);
    assert_in_range(runs, 98, 101);
    wheel_remove(&alarm.timer);
}

static void test_a_timer_stops_another_of_its_tick(void **state)
{
    struct alarm first, second;
    init(&first);
    init(&second);
    first.stops = &second;
    start(&first, now + 500000);
    start(&second, now + 500000);
    sleep_until(now + TEST_SECOND);
    assert_int_equal(first.count, 1);
    assert_int_equal(second.count, 0);
}

/* Against the plainest model: all timers in an array, looked at one by one. */
static void test_random_timers_behave_as_the_model(void **state)
{
    enum { COUNT = 200 };
    struct alarm alarms[COUNT];
    uint64_t when[COUNT];
    uint64_t seed = 88172645463325252u;
    for (int i = 0; i < COUNT; i++) {
        init(&alarms[i]);
        when[i] = UINT64_MAX;
    }
    for (int round = 0; round < 20000; round++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        int i = (int)(seed % COUNT);
        if (alarms[i].timer.next)
            wheel_remove(&alarms[i].timer);
        alarms[i].ran_at = 0;
        when[i] = UINT64_MAX;
        if (seed >> 60 > 3) { /* started, by anything from 1 us to 3 days */
            when[i] = now + (seed >> 20) % (UINT64_C(1) << (seed >> 8) % 38);
            start(&alarms[i], when[i]);
        }
        sleep_until(now + (seed >> 30) % (UINT64_C(1) << (seed >> 14) % 34));
        for (int k = 0; k < COUNT; k++) {
            if (when[k] == UINT64_MAX || alarms[k].ran_at) {
                assert_null(alarms[k].timer.next);
                continue;
            }
            assert_non_null(alarms[k].timer.next);
            assert_true(when[k] + TIMER_GRAIN > now);
        }
        for (int k = 0; k < COUNT; k++) {
            if (when[k] == UINT64_MAX || !alarms[k].ran_at)
                continue;
            assert_true(alarms[k].ran_at >= when[k]);
            assert_true(alarms[k].ran_at - when[k] < TIMER_GRAIN);
            when[k] = UINT64_MAX;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_timers_run_in_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_loop_that_was_late_runs_them_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_idle_wheel_wakes_seldom, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_timer_that_restarts_itself_for_now_runs_once_a_tick,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_timer_stops_another_of_its_tick, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_random_timers_behave_as_the_model, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Timers: a function called once and later, cheap while it waits. */
#define _GNU_SOURCE
#include <fxthread.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "../support/await.h"
#include "captured.h"
#include "gate.h"
#include "proc.h"
#include "suite.h"

static void *count_call(void *counter)
{
    atomic_fetch_add((atomic_int *)counter, 1);
    return NULL;
}

START_TEST(new_without_a_function_is_einval)
{
    errno = 0;
    ck_assert_ptr_null(fx_timer_new(0, NULL, NULL));
    ck_assert_int_eq(errno, EINVAL);
}
END_TEST

struct call {
    fx_deadline at;
    fx_thread *thread;
    atomic_int calls;
};

static void *record_call(void *arg)
{
    struct call *call = arg;
    call->at = fx_now();
    call->thread = fx_current_thread();
    atomic_fetch_add(&call->calls, 1);
    return NULL;
}

START_TEST(a_timer_calls_once_in_another_thread_and_not_before_its_time)
{
    struct call call = {0};
    fx_timer *timer = fx_timer_new(FX_MSEC(40), record_call, &call);
    ck_assert_ptr_nonnull(timer);
    fx_deadline begin = fx_now();
    ck_assert_int_eq(fx_timer_start(timer), 0);
    ck_assert_int_eq(fx_timer_join(timer), 0);
    ck_assert_int_eq(atomic_load(&call.calls), 1);
    ck_assert_int_ge(call.at - begin, FX_MSEC(40));
    ck_assert_ptr_nonnull(call.thread);
    ck_assert_ptr_ne(call.thread, fx_main_thread());
    ck_assert_int_eq(fx_timer_join(timer), 0);
    ck_assert_int_eq(fx_timer_join_for(timer, 0), 0);
    ck_assert_int_eq(fx_timer_join_until(timer, fx_now()), 0);
    fx_timer_unref(timer);
    fx_sleep(FX_MSEC(60)); /* time enough for a second call, which must not come */
    ck_assert_int_eq(atomic_load(&call.calls), 1);
}
END_TEST

START_TEST(the_interval_counts_from_the_start)
{
    struct call call = {0};
    fx_timer *timer = fx_timer_new(FX_MSEC(30), record_call, &call);
    fx_sleep(FX_MSEC(60));
    ck_assert_int_eq(atomic_load(&call.calls), 0);
    fx_deadline begin = fx_now();
    ck_assert_int_eq(fx_timer_start(timer), 0);
    ck_assert_int_eq(fx_timer_join(timer), 0);
    ck_assert_int_ge(call.at - begin, FX_MSEC(30));
    fx_timer_unref(timer);
}
END_TEST

START_TEST(no_interval_and_a_past_one_call_at_once)
{
    const fx_nsec past[] = {0, -2, INT64_MIN};
    for (size_t i = 0; i < sizeof past / sizeof past[0]; i++) {
        struct call call = {0};
        fx_timer *timer = fx_timer_new(past[i], record_call, &call);
        ck_assert_int_eq(fx_timer_start(timer), 0);
        ck_assert_int_eq(fx_timer_join(timer), 0);
        ck_assert_int_eq(atomic_load(&call.calls), 1);
        fx_timer_unref(timer);
    }
}
END_TEST

START_TEST(a_second_start_is_ealready)
{
    atomic_int calls = 0;
    fx_timer *timer = fx_timer_new(FX_MSEC(20), count_call, &calls);
    ck_assert_int_eq(fx_timer_start(timer), 0);
    ck_assert_int_eq(fx_timer_start(timer), -EALREADY);
    ck_assert_int_eq(fx_timer_join(timer), 0);
    ck_assert_int_eq(fx_timer_start(timer), -EALREADY);
    ck_assert_int_eq(atomic_load(&calls), 1);
    fx_timer_unref(timer);
}
END_TEST

START_TEST(a_cancelled_timer_does_not_call_and_is_over)
{
    atomic_int calls = 0;
    fx_timer *timer = fx_timer_new(FX_MSEC(60), count_call, &calls);
    ck_assert_int_eq(fx_timer_start(timer), 0);
    ck_assert_int_eq(fx_timer_cancel(timer), 0);
    ck_assert_int_eq(fx_timer_cancel(timer), 0);
    ck_assert_int_eq(fx_timer_join(timer), 0);
    ck_assert_int_eq(fx_timer_start(timer), -EALREADY);
    fx_sleep(FX_MSEC(100)); /* its time goes by */
    ck_assert_int_eq(atomic_load(&calls), 0);
    ck_assert_int_eq(fx_timer_cancel(timer), 0);
    fx_timer_unref(timer);
}
END_TEST

START_TEST(a_timer_cancelled_before_its_start_cannot_be_started)
{
    atomic_int calls = 0;
    fx_timer *timer = fx_timer_new(0, count_call, &calls);
    ck_assert_int_eq(fx_timer_cancel(timer), 0);
    ck_assert_int_eq(fx_timer_cancel(timer), 0);
    ck_assert_int_eq(fx_timer_start(timer), -EALREADY);
    fx_timer_unref(timer);
    ck_assert_int_eq(atomic_load(&calls), 0);
}
END_TEST

START_TEST(cancel_is_ealready_once_the_function_has_begun)
{
    struct gate gate = {0};
    fx_timer *timer = fx_timer_new(0, gate_target, &gate);
    ck_assert_int_eq(fx_timer_start(timer), 0);
    await(atomic_load(&gate.waiters) == 1);
    ck_assert_int_eq(fx_timer_cancel(timer), -EALREADY);
    ck_assert_int_eq(fx_timer_join_for(timer, 0), -ETIMEDOUT);
    gate_open(&gate);
    ck_assert_int_eq(fx_timer_join(timer), 0);
    ck_assert_int_eq(fx_timer_cancel(timer), -EALREADY);
    fx_timer_unref(timer);
}
END_TEST

START_TEST(join_before_the_start_is_einval)
{
    atomic_int calls = 0;
    fx_timer *timer = fx_timer_new(0, count_call, &calls);
    ck_assert_int_eq(fx_timer_join(timer), -EINVAL);
    ck_assert_int_eq(fx_timer_join_for(timer, 0), -EINVAL);
    ck_assert_int_eq(fx_timer_join_until(timer, fx_now()), -EINVAL);
    fx_timer_unref(timer);
}
END_TEST

START_TEST(a_timed_join_times_out_while_the_timer_waits)
{
    atomic_int calls = 0;
    fx_timer *timer = fx_timer_new(FX_FOREVER, count_call, &calls);
    ck_assert_int_eq(fx_timer_start(timer), 0);
    fx_deadline begin = fx_now();
    ck_assert_int_eq(fx_timer_join_for(timer, FX_MSEC(20)), -ETIMEDOUT);
    ck_assert_int_ge(fx_now() - begin, FX_MSEC(20));
    fx_deadline deadline = fx_deadline_after(FX_MSEC(10));
    ck_assert_int_eq(fx_timer_join_until(timer, deadline), -ETIMEDOUT);
    ck_assert_int_ge(fx_now(), deadline);
    ck_assert_int_eq(fx_timer_join_for(timer, 0), -ETIMEDOUT);
    ck_assert_int_eq(fx_timer_join_for(timer, -7), -ETIMEDOUT);
    ck_assert_int_eq(fx_timer_cancel(timer), 0);
    ck_assert_int_eq(atomic_load(&calls), 0);
    fx_timer_unref(timer);
}
END_TEST

static void *cancel_soon(void *timer)
{
    fx_sleep(FX_MSEC(30));
    return (void *)(intptr_t)fx_timer_cancel(timer);
}

START_TEST(a_join_is_woken_by_the_cancel_of_a_timer_that_waits_for_ever)
{
    atomic_int calls = 0;
    void *rc = NULL;
    fx_timer *timer = fx_timer_new(FX_FOREVER, count_call, &calls);
    ck_assert_int_eq(fx_timer_start(timer), 0);
    fx_thread *t = fx_thread_spawn(cancel_soon, timer);
    ck_assert_int_eq(fx_timer_join(timer), 0);
    ck_assert_int_eq(fx_thread_join(t, &rc), 0);
    ck_assert_int_eq((intptr_t)rc, 0);
    ck_assert_int_eq(atomic_load(&calls), 0);
    fx_thread_unref(t);
    fx_timer_unref(timer);
}
END_TEST

struct self_join {
    fx_timer *_Atomic timer;
    int rc, rc_for;
};

static void *join_own_timer(void *arg)
{
    struct self_join *it = arg;
    it->rc = fx_timer_join(atomic_load(&it->timer));
    it->rc_for = fx_timer_join_for(atomic_load(&it->timer), FX_SEC(1));
    return NULL;
}

START_TEST(join_in_the_timers_own_function_is_edeadlk)
{
    struct self_join it = {.rc = 0};
    atomic_store(&it.timer, fx_timer_new(FX_MSEC(1), join_own_timer, &it));
    ck_assert_int_eq(fx_timer_start(it.timer), 0);
    ck_assert_int_eq(fx_timer_join(it.timer), 0);
    ck_assert_int_eq(it.rc, -EDEADLK);
    ck_assert_int_eq(it.rc_for, -EDEADLK);
    fx_timer_unref(it.timer);
}
END_TEST

START_TEST(thousands_that_wait_cost_no_thread_each)
{
    enum { TIMERS = 5000 };
    static fx_timer *timers[TIMERS];
    atomic_int calls = 0;
    size_t tasks = task_count(), alive = fx_active_count();
    for (int i = 0; i < TIMERS; i++) {
        ck_assert_ptr_nonnull(timers[i] = fx_timer_new(FX_SEC(1000 + i % 7), count_call, &calls));
        ck_assert_int_eq(fx_timer_start(timers[i]), 0);
    }
    ck_assert_uint_le(task_count(), tasks + 2); /* their keeper, and a sanitizer's */
    ck_assert_uint_eq(fx_active_count(), alive);
    for (int i = 0; i < TIMERS; i++) {
        int which = (i * 7919) % TIMERS; /* 7919 is prime: each once, in no order */
        ck_assert_int_eq(fx_timer_cancel(timers[which]), 0);
        ck_assert_int_eq(fx_timer_join(timers[which]), 0);
        fx_timer_unref(timers[which]);
    }
    ck_assert_int_eq(atomic_load(&calls), 0);
}
END_TEST

START_TEST(many_timers_each_fire_once_and_none_early)
{
    enum { TIMERS = 300 };
    static struct call calls[TIMERS];
    static fx_deadline due[TIMERS];
    static fx_timer *timers[TIMERS];
    for (int i = 0; i < TIMERS; i++) {
        fx_nsec interval = FX_USEC((i * 7919) % TIMERS * 200);
        ck_assert_ptr_nonnull(timers[i] = fx_timer_new(interval, record_call, &calls[i]));
        due[i] = fx_now() + interval;
        ck_assert_int_eq(fx_timer_start(timers[i]), 0);
    }
    for (int i = 0; i < TIMERS; i++) {
        ck_assert_int_eq(fx_timer_join(timers[i]), 0);
        ck_assert_int_eq(atomic_load(&calls[i].calls), 1);
        ck_assert_int_ge(calls[i].at, due[i]);
        fx_timer_unref(timers[i]);
    }
}
END_TEST

static atomic_int fired;

struct ordered {
    int place;
};

static void *take_place(void *arg)
{
    ((struct ordered *)arg)->place = atomic_fetch_add(&fired, 1);
    return NULL;
}

START_TEST(they_fire_by_their_deadlines_not_by_their_starts)
{
    enum { TIMERS = 5 };
    struct ordered order[TIMERS] = {0};
    fx_timer *timers[TIMERS];
    for (int i = 0; i < TIMERS; i++) { /* the one started first is due last */
        timers[i] = fx_timer_new(FX_MSEC(200 * (TIMERS - i)), take_place, &order[i]);
        ck_assert_int_eq(fx_timer_start(timers[i]), 0);
    }
    for (int i = 0; i < TIMERS; i++) {
        ck_assert_int_eq(fx_timer_join(timers[i]), 0);
        fx_timer_unref(timers[i]);
    }
    for (int i = 0; i < TIMERS; i++)
        ck_assert_int_eq(order[i].place, TIMERS - 1 - i);
}
END_TEST

START_TEST(an_earlier_timer_overtakes_one_that_is_waited_for)
{
    atomic_int calls = 0;
    fx_timer *late = fx_timer_new(FX_SEC(1000), count_call, &calls);
    ck_assert_int_eq(fx_timer_start(late), 0);
    fx_sleep(FX_MSEC(20)); /* the keeper has gone to sleep for it by now */
    fx_timer *early = fx_timer_new(FX_MSEC(10), count_call, &calls);
    ck_assert_int_eq(fx_timer_start(early), 0);
    ck_assert_int_eq(fx_timer_join(early), 0);
    ck_assert_int_eq(atomic_load(&calls), 1);
    ck_assert_int_eq(fx_timer_cancel(late), 0);
    fx_timer_unref(early);
    fx_timer_unref(late);
}
END_TEST

START_TEST(a_function_that_blocks_does_not_delay_others)
{
    struct gate gate = {0};
    atomic_int calls = 0;
    fx_timer *blocked = fx_timer_new(0, gate_target, &gate);
    ck_assert_int_eq(fx_timer_start(blocked), 0);
    await(atomic_load(&gate.waiters) == 1);
    for (int i = 0; i < 10; i++) {
        fx_timer *timer = fx_timer_new(FX_MSEC(1), count_call, &calls);
        ck_assert_int_eq(fx_timer_start(timer), 0);
        ck_assert_int_eq(fx_timer_join(timer), 0);
        fx_timer_unref(timer);
    }
    ck_assert_int_eq(atomic_load(&calls), 10);
    gate_open(&gate);
    ck_assert_int_eq(fx_timer_join(blocked), 0);
    fx_timer_unref(blocked);
}
END_TEST

START_TEST(giving_up_the_handle_does_not_disturb_a_timer)
{
    static struct gate gate;
    atomic_int calls = 0;
    fx_timer *waiting = fx_timer_new(FX_MSEC(20), count_call, &calls);
    ck_assert_int_eq(fx_timer_start(waiting), 0);
    fx_timer_unref(waiting);
    fx_timer *running = fx_timer_new(0, gate_target, &gate);
    ck_assert_ptr_eq(fx_timer_ref(running), running);
    ck_assert_int_eq(fx_timer_start(running), 0);
    await(atomic_load(&gate.waiters) == 1);
    fx_timer_unref(running);
    fx_timer_unref(running);
    gate_open(&gate);
    await(atomic_load(&calls) == 1);
    await(fx_active_count() == 1);
    fx_timer_unref(NULL);
    ck_assert_ptr_null(fx_timer_ref(NULL));
}
END_TEST

static void *raise_eio(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    fx_raise(-EIO);
}

static void silent_hook(fx_thread *t, const fx_exc_info *info)
{
    (void)t;
    (void)info;
}

START_TEST(a_function_that_raises_ends_its_timer)
{
    atomic_int calls = 0;
    fx_set_excepthook(silent_hook);
    fx_timer *timer = fx_timer_new(0, raise_eio, &calls);
    ck_assert_int_eq(fx_timer_start(timer), 0);
    ck_assert_int_eq(fx_timer_join(timer), 0);
    ck_assert_int_eq(atomic_load(&calls), 1);
    ck_assert_int_eq(fx_timer_cancel(timer), -EALREADY);
    fx_timer_unref(timer);
}
END_TEST

START_TEST(a_race_of_cancel_and_call_has_one_winner)
{
    for (int i = 0; i < 300; i++) {
        atomic_int calls = 0;
        fx_timer *timer = fx_timer_new(FX_USEC(i % 30 * 10), count_call, &calls);
        ck_assert_int_eq(fx_timer_start(timer), 0);
        for (volatile int spin = 0; spin < i % 17 * 1000; spin++)
            ;
        int rc = fx_timer_cancel(timer);
        ck_assert(rc == 0 || rc == -EALREADY);
        ck_assert_int_eq(fx_timer_join(timer), 0);
        ck_assert_int_eq(atomic_load(&calls), rc == 0 ? 0 : 1);
        fx_timer_unref(timer);
    }
}
END_TEST

static void *say(void *text)
{
    printf("%s\n", (const char *)text);
    fflush(stdout);
    return NULL;
}

static void *start_daemon_timer(void *interval)
{
    fx_timer *timer = fx_timer_new(*(fx_nsec *)interval, say, "daemon timer");
    fx_timer_start(timer);
    fx_timer_unref(timer);
    return NULL;
}

static void exit_with_timers(void *arg)
{
    (void)arg;
    fx_nsec forever = FX_FOREVER, long_time = FX_SEC(3600);
    fx_timer *awaited = fx_timer_new(FX_MSEC(80), say, "timer");
    fx_timer *cancelled = fx_timer_new(FX_SEC(3600), say, "cancelled timer");
    fx_timer_start(awaited);
    fx_timer_start(cancelled);
    fx_nsec intervals[] = {forever, long_time};
    for (int i = 0; i < 2; i++) {
        fx_thread *t = fx_thread_new(start_daemon_timer, &intervals[i],
                                     &(fx_thread_attr){.daemon = true});
        fx_thread_start(t);
        fx_thread_join(t, NULL);
        fx_thread_unref(t);
    }
    fx_timer_cancel(cancelled);
    fx_timer_unref(awaited);
    fx_timer_unref(cancelled);
    fx_timer_unref(fx_timer_new(0, say, "never started"));
    exit(4);
}

START_TEST(the_programs_end_waits_for_those_that_are_not_daemons)
{
    struct child child;
    child_fork(&child, exit_with_timers, NULL);
    assert_child_exits(&child, 4);
    ck_assert_str_eq(child.out, "timer\n");
}
END_TEST

static void *cancel_at_exit(void *timer)
{
    fx_sleep(FX_MSEC(50));
    say(fx_timer_cancel(timer) == 0 ? "cancelled" : "not cancelled");
    fx_timer_unref(timer);
    return NULL;
}

static void exit_with_a_timer_cancelled_later(void *arg)
{
    (void)arg;
    fx_timer *timer = fx_timer_new(FX_FOREVER, say, "timer");
    fx_timer_start(timer);
    fx_thread_unref(fx_thread_spawn(cancel_at_exit, timer));
    exit(EXIT_SUCCESS);
}

START_TEST(a_timer_that_the_programs_end_waits_for_can_be_cancelled)
{
    struct child child;
    child_fork(&child, exit_with_a_timer_cancelled_later, NULL);
    assert_child_exits(&child, EXIT_SUCCESS);
    ck_assert_str_eq(child.out, "cancelled\n");
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, new_without_a_function_is_einval);
    tcase_add_test(tests, a_timer_calls_once_in_another_thread_and_not_before_its_time);
    tcase_add_test(tests, the_interval_counts_from_the_start);
    tcase_add_test(tests, no_interval_and_a_past_one_call_at_once);
    tcase_add_test(tests, a_second_start_is_ealready);
    tcase_add_test(tests, a_cancelled_timer_does_not_call_and_is_over);
    tcase_add_test(tests, a_timer_cancelled_before_its_start_cannot_be_started);
    tcase_add_test(tests, cancel_is_ealready_once_the_function_has_begun);
    tcase_add_test(tests, join_before_the_start_is_einval);
    tcase_add_test(tests, a_timed_join_times_out_while_the_timer_waits);
    tcase_add_test(tests, a_join_is_woken_by_the_cancel_of_a_timer_that_waits_for_ever);
    tcase_add_test(tests, join_in_the_timers_own_function_is_edeadlk);
    tcase_add_test(tests, thousands_that_wait_cost_no_thread_each);
    tcase_add_test(tests, many_timers_each_fire_once_and_none_early);
    tcase_add_test(tests, they_fire_by_their_deadlines_not_by_their_starts);
    tcase_add_test(tests, an_earlier_timer_overtakes_one_that_is_waited_for);
    tcase_add_test(tests, a_function_that_blocks_does_not_delay_others);
    tcase_add_test(tests, giving_up_the_handle_does_not_disturb_a_timer);
    tcase_add_test(tests, a_function_that_raises_ends_its_timer);
    tcase_add_test(tests, a_race_of_cancel_and_call_has_one_winner);
    tcase_add_test(tests, the_programs_end_waits_for_those_that_are_not_daemons);
    tcase_add_test(tests, a_timer_that_the_programs_end_waits_for_can_be_cancelled);
}

int main(void)
{
    return run_suite("timer", add_tests);
}

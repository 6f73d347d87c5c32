/* Events: who is woken by a set, and who is not. */
#define _GNU_SOURCE
#include <fxthread.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "../thread/suite.h"
#include "kernel/inject.h"
#include "worker.h"

static int wait_for_ever(void *event)
{
    return fx_event_wait(event);
}

static int wait_20_ms(void *event)
{
    return fx_event_wait_for(event, FX_MSEC(20));
}

START_TEST(an_event_is_four_bytes_and_zeroes_are_one_that_is_not_set)
{
    fx_event zero = {0}, init = FX_EVENT_INIT;
    ck_assert_uint_eq(sizeof(fx_event), 4);
    ck_assert_mem_eq(&zero, &init, sizeof zero);
    ck_assert(!fx_event_is_set(&zero));
}
END_TEST

START_TEST(set_and_clear_are_seen_and_may_be_repeated)
{
    fx_event event = FX_EVENT_INIT;
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(fx_event_clear(&event), 0);
        ck_assert(!fx_event_is_set(&event));
        ck_assert_int_eq(fx_event_set(&event), 0);
        ck_assert_int_eq(fx_event_set(&event), 0);
        ck_assert(fx_event_is_set(&event));
        ck_assert_int_eq(fx_event_wait(&event), 0);
        ck_assert_int_eq(fx_event_wait_for(&event, 0), 0);
        ck_assert_int_eq(fx_event_wait_until(&event, fx_now()), 0);
        ck_assert(fx_event_is_set(&event));
        ck_assert_int_eq(fx_event_clear(&event), 0);
        ck_assert_int_eq(fx_event_clear(&event), 0);
    }
}
END_TEST

START_TEST(the_functions_behind_the_inline_ones_do_the_same)
{
    bool (*volatile is_set)(const fx_event *) = fx_event_is_set;
    int (*volatile wait)(fx_event *) = fx_event_wait;
    fx_event event = FX_EVENT_INIT;
    ck_assert(!is_set(&event));
    fx_event_set(&event);
    ck_assert(is_set(&event));
    ck_assert_int_eq(wait(&event), 0);
}
END_TEST

START_TEST(a_wait_without_time_left_tries)
{
    fx_event event = FX_EVENT_INIT;
    ck_assert_int_eq(fx_event_wait_for(&event, 0), -ETIMEDOUT);
    ck_assert_int_eq(fx_event_wait_for(&event, -2), -ETIMEDOUT);
    ck_assert_int_eq(fx_event_wait_for(&event, INT64_MIN), -ETIMEDOUT);
    ck_assert_int_eq(fx_event_wait_until(&event, fx_now()), -ETIMEDOUT);
    ck_assert_int_eq(fx_event_wait_until(&event, 0), -ETIMEDOUT);
    ck_assert_uint_eq(event.word, 0);
}
END_TEST

START_TEST(a_wait_lasts_its_full_time)
{
    fx_event event = FX_EVENT_INIT;
    for (int i = 0; i < 3; i++) {
        fx_deadline end = fx_deadline_after(FX_MSEC(15));
        ck_assert_int_eq(fx_event_wait_until(&event, end), -ETIMEDOUT);
        ck_assert_int_ge(fx_now(), end);
    }
    ck_assert_uint_eq(event.word, 0); /* it left nothing behind */
}
END_TEST

START_TEST(set_wakes_all_that_wait)
{
    enum { N = 20 };
    fx_event event = FX_EVENT_INIT;
    struct worker w[N];
    workers_line_up(w, N, wait_for_ever, &event, &event);
    fx_event_set(&event);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(worker_end(&w[i]), 0);
    ck_assert_uint_eq(fxi_park_count(&event), 0);
}
END_TEST

START_TEST(who_was_woken_returns_0_though_the_event_was_cleared_at_once)
{
    enum { N = 8 };
    fx_event event = FX_EVENT_INIT;
    for (int round = 0; round < 50; round++) {
        struct worker w[N];
        workers_line_up(w, N, wait_for_ever, &event, &event);
        fx_event_set(&event);
        fx_event_clear(&event);
        for (int i = 0; i < N; i++)
            ck_assert_int_eq(worker_end(&w[i]), 0);
        ck_assert(!fx_event_is_set(&event));
    }
}
END_TEST

START_TEST(a_wait_that_begins_after_a_clear_needs_another_set)
{
    fx_event event = FX_EVENT_INIT;
    struct worker w;
    fx_event_set(&event);
    fx_event_clear(&event);
    worker_start(&w, wait_for_ever, &event);
    await_waiters(&event, 1);
    fx_event_clear(&event); /* of one that is not set, with a waiter */
    ck_assert(!worker_done(&w));
    fx_event_set(&event);
    ck_assert_int_eq(worker_end(&w), 0);
}
END_TEST

START_TEST(one_that_times_out_leaves_the_others_waiting)
{
    fx_event event = FX_EVENT_INIT;
    struct worker patient, hasty;
    worker_start(&patient, wait_for_ever, &event);
    await_waiters(&event, 1);
    worker_start(&hasty, wait_20_ms, &event);
    ck_assert_int_eq(worker_end(&hasty), -ETIMEDOUT);
    ck_assert(!worker_done(&patient));
    ck_assert_uint_eq(fxi_park_count(&event), 1);
    fx_event_set(&event);
    ck_assert_int_eq(worker_end(&patient), 0);
}
END_TEST

static int wait_and_free(void *event)
{
    int rc = fx_event_wait(event);
    free(event);
    return rc;
}

START_TEST(who_waited_may_free_the_event)
{
    for (int i = 0; i < 200; i++) {
        fx_event *event = calloc(1, sizeof *event);
        struct worker w;
        worker_start(&w, wait_and_free, event);
        if (i % 2)
            await_waiters(event, 1);
        fx_event_set(event);
        ck_assert_int_eq(worker_end(&w), 0);
    }
}
END_TEST

static int message;

static int read_message(void *event)
{
    return fx_event_wait(event) == 0 ? message : -1;
}

START_TEST(what_was_written_before_the_set_is_seen)
{
    for (int i = 1; i <= 200; i++) {
        fx_event event = FX_EVENT_INIT;
        struct worker w;
        worker_start(&w, read_message, &event);
        message = i;
        fx_event_set(&event);
        ck_assert_int_eq(worker_end(&w), i);
    }
}
END_TEST

static void on_signal(int number)
{
    (void)number;
}

static void *wait_in_pthread(void *event)
{
    return (void *)(intptr_t)fx_event_wait_for(event, FX_SEC(await_limit()));
}

START_TEST(signals_neither_end_a_wait_nor_lose_its_wake)
{
    fx_event event = FX_EVENT_INIT;
    pthread_t waiter;
    void *rc;
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal}, NULL);
    ck_assert_int_eq(pthread_create(&waiter, NULL, wait_in_pthread, &event), 0);
    await_waiters(&event, 1);
    for (int i = 0; i < 100; i++)
        pthread_kill(waiter, SIGUSR1);
    ck_assert_uint_eq(fxi_park_count(&event), 1);
    fx_event_set(&event);
    pthread_join(waiter, &rc);
    ck_assert_ptr_null(rc);
}
END_TEST

START_TEST(futex_calls_that_fail_for_nothing_change_nothing)
{
    const int errors[] = {EINTR, EAGAIN};
    for (unsigned i = 0; i < 20; i++) {
        fx_event event = FX_EVENT_INIT;
        struct worker w;
        fxi_inject_arm(FXI_INJECT_FUTEX_WAIT, 1 + i / 2 % 3, errors[i % 2]);
        fx_deadline end = fx_deadline_after(FX_MSEC(5));
        ck_assert_int_eq(fx_event_wait_until(&event, end), -ETIMEDOUT);
        ck_assert_int_ge(fx_now(), end);
        fxi_inject_arm(FXI_INJECT_FUTEX_WAIT, 1 + i / 2 % 3, errors[i % 2]);
        worker_start(&w, wait_for_ever, &event);
        await_waiters(&event, 1);
        fx_event_set(&event);
        ck_assert_int_eq(worker_end(&w), 0);
        fxi_inject_disarm();
    }
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, an_event_is_four_bytes_and_zeroes_are_one_that_is_not_set);
    tcase_add_test(tests, set_and_clear_are_seen_and_may_be_repeated);
    tcase_add_test(tests, the_functions_behind_the_inline_ones_do_the_same);
    tcase_add_test(tests, a_wait_without_time_left_tries);
    tcase_add_test(tests, a_wait_lasts_its_full_time);
    tcase_add_test(tests, set_wakes_all_that_wait);
    tcase_add_test(tests, who_was_woken_returns_0_though_the_event_was_cleared_at_once);
    tcase_add_test(tests, a_wait_that_begins_after_a_clear_needs_another_set);
    tcase_add_test(tests, one_that_times_out_leaves_the_others_waiting);
    tcase_add_test(tests, who_waited_may_free_the_event);
    tcase_add_test(tests, what_was_written_before_the_set_is_seen);
    tcase_add_test(tests, signals_neither_end_a_wait_nor_lose_its_wake);
    tcase_add_test(tests, futex_calls_that_fail_for_nothing_change_nothing);
}

int main(void)
{
    return run_suite("event", add_tests);
}

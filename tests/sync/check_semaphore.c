/* Semaphores: values and bounds, and the order in which units are handed out. */
#define _GNU_SOURCE
#include <fxthread.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "../thread/suite.h"
#include "kernel/inject.h"
#include "worker.h"

static int acquire(void *semaphore)
{
    return fx_semaphore_acquire(semaphore);
}

static int acquire_20_ms(void *semaphore)
{
    return fx_semaphore_acquire_for(semaphore, FX_MSEC(20));
}

START_TEST(a_semaphore_is_eight_bytes_and_zeroes_are_an_empty_one)
{
    fx_semaphore zero = {0}, init = FX_SEMAPHORE_INIT(0), made;
    ck_assert_uint_eq(sizeof(fx_semaphore), 8);
    ck_assert_int_eq(fx_semaphore_init(&made, 0), 0);
    ck_assert_mem_eq(&zero, &init, sizeof zero);
    ck_assert_mem_eq(&zero, &made, sizeof zero);
    ck_assert_uint_eq(fx_semaphore_value(&zero), 0);
    ck_assert(!fx_semaphore_try_acquire(&zero));
    ck_assert_int_eq(fx_semaphore_release(&zero, 1), 0);
    ck_assert_int_eq(fx_semaphore_acquire(&zero), 0);
}
END_TEST

START_TEST(the_initialisers_agree)
{
    fx_semaphore made, init = FX_SEMAPHORE_INIT(7), bounded = FX_BOUNDED_SEMAPHORE_INIT(7);
    ck_assert_int_eq(fx_semaphore_init(&made, 7), 0);
    ck_assert_mem_eq(&made, &init, sizeof made);
    ck_assert_int_eq(fx_bounded_semaphore_init(&made, 7), 0);
    ck_assert_mem_eq(&made, &bounded, sizeof made);
}
END_TEST

START_TEST(a_value_that_is_too_large_is_einval)
{
    fx_semaphore semaphore = FX_SEMAPHORE_INIT(5);
    ck_assert_int_eq(fx_semaphore_init(&semaphore, FX_SEMAPHORE_MAX + 1u), -EINVAL);
    ck_assert_int_eq(fx_semaphore_init(&semaphore, (uint32_t)-1), -EINVAL);
    ck_assert_int_eq(fx_bounded_semaphore_init(&semaphore, UINT32_MAX), -EINVAL);
    ck_assert_uint_eq(fx_semaphore_value(&semaphore), 5);
    ck_assert_int_eq(fx_semaphore_init(&semaphore, FX_SEMAPHORE_MAX), 0);
    ck_assert_uint_eq(fx_semaphore_value(&semaphore), FX_SEMAPHORE_MAX);
    ck_assert_int_eq(fx_semaphore_release(&semaphore, 1), -EOVERFLOW);
    ck_assert_int_eq(fx_semaphore_acquire(&semaphore), 0);
    ck_assert_int_eq(fx_semaphore_release(&semaphore, 1), 0);
}
END_TEST

START_TEST(units_are_counted)
{
    fx_semaphore semaphore = FX_SEMAPHORE_INIT(2);
    ck_assert(fx_semaphore_try_acquire(&semaphore));
    ck_assert_int_eq(fx_semaphore_acquire_for(&semaphore, 0), 0);
    ck_assert(!fx_semaphore_try_acquire(&semaphore));
    ck_assert_int_eq(fx_semaphore_release(&semaphore, 5), 0);
    ck_assert_uint_eq(fx_semaphore_value(&semaphore), 5);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(fx_semaphore_acquire_until(&semaphore, FX_FOREVER), 0);
    ck_assert_uint_eq(fx_semaphore_value(&semaphore), 0);
}
END_TEST

START_TEST(release_of_nothing_is_einval)
{
    fx_semaphore semaphore = FX_SEMAPHORE_INIT(2);
    ck_assert_int_eq(fx_semaphore_release(&semaphore, 0), -EINVAL);
    ck_assert_uint_eq(fx_semaphore_value(&semaphore), 2);
}
END_TEST

START_TEST(a_bounded_one_refuses_to_rise_above_its_first_value)
{
    fx_semaphore semaphore;
    ck_assert_int_eq(fx_bounded_semaphore_init(&semaphore, 3), 0);
    ck_assert_int_eq(fx_semaphore_release(&semaphore, 1), -EOVERFLOW);
    ck_assert_int_eq(fx_semaphore_acquire(&semaphore), 0);
    ck_assert_int_eq(fx_semaphore_acquire(&semaphore), 0);
    ck_assert_int_eq(fx_semaphore_release(&semaphore, 3), -EOVERFLOW);
    ck_assert_uint_eq(fx_semaphore_value(&semaphore), 1);
    ck_assert_int_eq(fx_semaphore_release(&semaphore, 2), 0);
    ck_assert_int_eq(fx_semaphore_release(&semaphore, 1), -EOVERFLOW);
    ck_assert_int_eq(fx_semaphore_release(&semaphore, UINT32_MAX), -EOVERFLOW);
    ck_assert_uint_eq(fx_semaphore_value(&semaphore), 3);
}
END_TEST

START_TEST(a_bounded_one_of_zero_can_never_be_released)
{
    fx_semaphore semaphore = FX_BOUNDED_SEMAPHORE_INIT(0);
    ck_assert_int_eq(fx_semaphore_release(&semaphore, 1), -EOVERFLOW);
    ck_assert(!fx_semaphore_try_acquire(&semaphore));
}
END_TEST

START_TEST(a_bounded_one_refuses_also_while_others_wait)
{
    fx_semaphore semaphore = FX_BOUNDED_SEMAPHORE_INIT(1);
    struct worker w;
    fx_semaphore_acquire(&semaphore);
    worker_start(&w, acquire, &semaphore);
    await_waiters(&semaphore, 1);
    ck_assert_int_eq(fx_semaphore_release(&semaphore, 2), -EOVERFLOW);
    ck_assert(!worker_done(&w));
    ck_assert_int_eq(fx_semaphore_release(&semaphore, 1), 0);
    ck_assert_int_eq(worker_end(&w), 0);
    ck_assert_int_eq(fx_semaphore_release(&semaphore, 1), 0);
    ck_assert_uint_eq(fx_semaphore_value(&semaphore), 1);
}
END_TEST

START_TEST(the_functions_behind_the_inline_ones_do_the_same)
{
    int (*volatile take)(fx_semaphore *) = fx_semaphore_acquire;
    bool (*volatile try_take)(fx_semaphore *) = fx_semaphore_try_acquire;
    int (*volatile give)(fx_semaphore *, uint32_t) = fx_semaphore_release;
    uint32_t (*volatile value)(const fx_semaphore *) = fx_semaphore_value;
    fx_semaphore semaphore = FX_BOUNDED_SEMAPHORE_INIT(2);
    ck_assert_int_eq(take(&semaphore), 0);
    ck_assert(try_take(&semaphore));
    ck_assert(!try_take(&semaphore));
    ck_assert_int_eq(give(&semaphore, 0), -EINVAL);
    ck_assert_int_eq(give(&semaphore, 3), -EOVERFLOW);
    ck_assert_int_eq(give(&semaphore, 2), 0);
    ck_assert_int_eq(give(&semaphore, 1), -EOVERFLOW);
    ck_assert_uint_eq(value(&semaphore), 2);
}
END_TEST

START_TEST(a_wait_lasts_its_full_time_and_leaves_nothing_behind)
{
    fx_semaphore semaphore = FX_SEMAPHORE_INIT(0);
    const fx_nsec past[] = {0, -2, INT64_MIN};
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(fx_semaphore_acquire_for(&semaphore, past[i]), -ETIMEDOUT);
    for (int i = 0; i < 3; i++) {
        fx_deadline end = fx_deadline_after(FX_MSEC(10));
        ck_assert_int_eq(fx_semaphore_acquire_until(&semaphore, end), -ETIMEDOUT);
        ck_assert_int_ge(fx_now(), end);
    }
    ck_assert_uint_eq(semaphore.word, 0);
}
END_TEST

static atomic_int turn;
static fx_semaphore ordered;

static int acquire_and_note_turn(void *arg)
{
    (void)arg;
    return fx_semaphore_acquire(&ordered) == 0 ? atomic_fetch_add(&turn, 1) : -1;
}

START_TEST(waiters_are_served_in_order)
{
    enum { N = 12 };
    struct worker w[N];
    workers_line_up(w, N, acquire_and_note_turn, NULL, &ordered);
    for (int i = 0; i < N; i++) {
        ck_assert_int_eq(fx_semaphore_release(&ordered, 1), 0);
        await(worker_done(&w[i]));
        ck_assert_int_eq(atomic_load(&turn), i + 1);
    }
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(worker_end(&w[i]), i);
}
END_TEST

START_TEST(release_wakes_exactly_as_many_as_it_has_units)
{
    enum { N = 6 };
    struct worker w[N];
    workers_line_up(w, N, acquire_and_note_turn, NULL, &ordered);
    ck_assert_int_eq(fx_semaphore_release(&ordered, 4), 0);
    for (int i = 0; i < 4; i++)
        await(worker_done(&w[i]));
    ck_assert_uint_eq(fxi_park_count(&ordered), 2);
    ck_assert_uint_eq(fx_semaphore_value(&ordered), 0);
    ck_assert_int_eq(fx_semaphore_release(&ordered, 5), 0); /* two wait, three are left over */
    for (int i = 0; i < N; i++)
        worker_end(&w[i]);
    ck_assert_uint_eq(fx_semaphore_value(&ordered), 3);
    ck_assert_uint_eq(ordered.word & 1, 0);
}
END_TEST

START_TEST(nobody_overtakes_those_that_wait)
{
    struct worker w;
    worker_start(&w, acquire_and_note_turn, NULL);
    await_waiters(&ordered, 1);
    ck_assert_int_eq(fx_semaphore_release(&ordered, 1), 0);
    ck_assert(!fx_semaphore_try_acquire(&ordered)); /* the unit is the waiter's, run or not */
    ck_assert_int_eq(worker_end(&w), 0);
}
END_TEST

START_TEST(one_that_times_out_takes_no_unit_and_no_turn)
{
    struct worker first, hasty, last;
    fx_semaphore semaphore = FX_SEMAPHORE_INIT(0);
    worker_start(&first, acquire, &semaphore);
    await_waiters(&semaphore, 1);
    worker_start(&hasty, acquire_20_ms, &semaphore);
    ck_assert_int_eq(worker_end(&hasty), -ETIMEDOUT);
    worker_start(&last, acquire, &semaphore);
    await_waiters(&semaphore, 2);
    ck_assert_int_eq(fx_semaphore_release(&semaphore, 2), 0);
    ck_assert_int_eq(worker_end(&first), 0);
    ck_assert_int_eq(worker_end(&last), 0);
    ck_assert_uint_eq(semaphore.word, 0);
}
END_TEST

static void on_signal(int number)
{
    (void)number;
}

static void *acquire_in_pthread(void *semaphore)
{
    return (void *)(intptr_t)fx_semaphore_acquire(semaphore);
}

START_TEST(a_foreign_thread_waits_whatever_signals_come)
{
    fx_semaphore semaphore = FX_SEMAPHORE_INIT(0);
    pthread_t waiter;
    void *rc;
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal}, NULL);
    ck_assert_int_eq(pthread_create(&waiter, NULL, acquire_in_pthread, &semaphore), 0);
    await_waiters(&semaphore, 1);
    for (int i = 0; i < 100; i++)
        pthread_kill(waiter, SIGUSR1);
    ck_assert_uint_eq(fxi_park_count(&semaphore), 1);
    ck_assert_int_eq(fx_semaphore_release(&semaphore, 1), 0);
    pthread_join(waiter, &rc);
    ck_assert_ptr_null(rc);
}
END_TEST

START_TEST(futex_calls_that_fail_for_nothing_change_nothing)
{
    const int errors[] = {EINTR, EAGAIN};
    for (unsigned i = 0; i < 20; i++) {
        fx_semaphore semaphore = FX_SEMAPHORE_INIT(0);
        struct worker w;
        fxi_inject_arm(FXI_INJECT_FUTEX_WAIT, 1 + i / 2 % 3, errors[i % 2]);
        worker_start(&w, acquire, &semaphore);
        await_waiters(&semaphore, 1);
        fx_semaphore_release(&semaphore, 1);
        ck_assert_int_eq(worker_end(&w), 0);
        fxi_inject_disarm();
        ck_assert_uint_eq(semaphore.word, 0);
    }
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, a_semaphore_is_eight_bytes_and_zeroes_are_an_empty_one);
    tcase_add_test(tests, the_initialisers_agree);
    tcase_add_test(tests, a_value_that_is_too_large_is_einval);
    tcase_add_test(tests, units_are_counted);
    tcase_add_test(tests, release_of_nothing_is_einval);
    tcase_add_test(tests, a_bounded_one_refuses_to_rise_above_its_first_value);
    tcase_add_test(tests, a_bounded_one_of_zero_can_never_be_released);
    tcase_add_test(tests, a_bounded_one_refuses_also_while_others_wait);
    tcase_add_test(tests, the_functions_behind_the_inline_ones_do_the_same);
    tcase_add_test(tests, a_wait_lasts_its_full_time_and_leaves_nothing_behind);
    tcase_add_test(tests, waiters_are_served_in_order);
    tcase_add_test(tests, release_wakes_exactly_as_many_as_it_has_units);
    tcase_add_test(tests, nobody_overtakes_those_that_wait);
    tcase_add_test(tests, one_that_times_out_takes_no_unit_and_no_turn);
    tcase_add_test(tests, a_foreign_thread_waits_whatever_signals_come);
    tcase_add_test(tests, futex_calls_that_fail_for_nothing_change_nothing);
}

int main(void)
{
    return run_suite("semaphore", add_tests);
}

/* Conditions: with both kinds of lock, whom a notification reaches, and what a wait leaves. */
#define _GNU_SOURCE
#include <fxthread.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "../thread/suite.h"
#include "kernel/inject.h"
#include "worker.h"

/* What the threads of a test wait at: it is waited for with the rlock where that is asked for. */
static fx_condition changed;
static fx_lock lock;
static fx_rlock rlock;
static atomic_int turn, tokens;

START_TEST(a_condition_is_at_most_eight_bytes_and_zeroes_are_one_without_waiters)
{
    fx_condition zero = {0}, init = FX_CONDITION_INIT;
    ck_assert_uint_le(sizeof(fx_condition), 8);
    ck_assert_mem_eq(&zero, &init, sizeof zero);
    ck_assert_int_eq(fx_condition_notify(&zero, 1), 0);
    ck_assert_int_eq(fx_condition_notify_all(&zero), 0);
    ck_assert_mem_eq(&zero, &init, sizeof zero);
}
END_TEST

static bool never(void *arg)
{
    (void)arg;
    return false;
}

static bool at_once(void *arg)
{
    (void)arg;
    return true;
}

static int acquire_lock(void *arg)
{
    (void)arg;
    return fx_lock_acquire(&lock) + fx_rlock_acquire(&rlock);
}

START_TEST(a_wait_without_the_lock_is_eperm)
{
    struct worker w;
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(fx_condition_wait(&changed, &lock), -EPERM);
        ck_assert_int_eq(fx_condition_wait_for(&changed, &lock, FX_MSEC(1)), -EPERM);
        ck_assert_int_eq(fx_condition_wait_until(&changed, &lock, fx_now()), -EPERM);
        ck_assert_int_eq(fx_condition_wait_pred(&changed, &lock, at_once, NULL, 0), -EPERM);
        ck_assert_int_eq(fx_condition_wait(&changed, &rlock), -EPERM);
        ck_assert_int_eq(fx_condition_wait_for(&changed, &rlock, 0), -EPERM);
        ck_assert_int_eq(fx_condition_wait_until(&changed, &rlock, FX_FOREVER), -EPERM);
        ck_assert_int_eq(fx_condition_wait_pred(&changed, &rlock, never, NULL, 0), -EPERM);
        if (i == 0) { /* and so it is while another one holds it */
            worker_start(&w, acquire_lock, NULL);
            ck_assert_int_eq(worker_end(&w), 0);
        }
    }
    ck_assert(fx_lock_locked(&lock));
}
END_TEST

START_TEST(a_wait_that_times_out_lasts_its_time_and_holds_the_lock_after)
{
    const fx_nsec past[] = {0, -2, INT64_MIN};
    fx_lock_acquire(&lock);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(fx_condition_wait_for(&changed, &lock, past[i]), -ETIMEDOUT);
        fx_deadline end = fx_deadline_after(FX_MSEC(10));
        ck_assert_int_eq(fx_condition_wait_until(&changed, &lock, end), -ETIMEDOUT);
        ck_assert_int_ge(fx_now(), end);
        ck_assert(fx_lock_locked(&lock));
    }
    ck_assert_int_eq(fx_lock_release(&lock), 0);
    ck_assert_uint_eq(changed.word, 0);
}
END_TEST

START_TEST(an_rlock_is_given_up_in_all_its_levels_and_taken_back_in_all)
{
    struct worker w;
    for (int i = 0; i < 3; i++)
        fx_rlock_acquire(&rlock);
    ck_assert_int_eq(fx_condition_wait_for(&changed, &rlock, FX_MSEC(5)), -ETIMEDOUT);
    for (int i = 0; i < 3; i++) {
        ck_assert(fx_rlock_owned(&rlock));
        ck_assert_int_eq(fx_rlock_release(&rlock), 0);
    }
    ck_assert(!fx_rlock_owned(&rlock));
    worker_start(&w, (int (*)(void *))fx_rlock_acquire, &rlock);
    ck_assert_int_eq(worker_end(&w), 0);
}
END_TEST

/* --- notified with the lock held, and without it ---------------------------------------------- */

static bool with_rlock, notify_unlocked;

static int wait_for_turn(void *arg)
{
    (void)arg;
    int mine;
    if (with_rlock) {
        fx_rlock_acquire(&rlock);
        fx_rlock_acquire(&rlock);
        int rc = fx_condition_wait(&changed, &rlock);
        mine = rc ? rc : atomic_fetch_add(&turn, 1);
        if (fx_rlock_release(&rlock) || fx_rlock_release(&rlock) != 0)
            return -1;
    } else {
        fx_lock_acquire(&lock);
        int rc = fx_condition_wait(&changed, &lock);
        mine = rc ? rc : atomic_fetch_add(&turn, 1);
        if (fx_lock_release(&lock) != 0)
            return -1;
    }
    return mine;
}

static void notify(size_t n)
{
    if (notify_unlocked) {
        ck_assert_int_eq(fx_condition_notify(&changed, n), 0);
    } else if (with_rlock) {
        fx_rlock_acquire(&rlock);
        ck_assert_int_eq(fx_condition_notify(&changed, n), 0);
        fx_rlock_release(&rlock);
    } else {
        fx_lock_acquire(&lock);
        ck_assert_int_eq(fx_condition_notify(&changed, n), 0);
        fx_lock_release(&lock);
    }
}

static void choose_way(int i)
{
    with_rlock = i & 1;
    notify_unlocked = i & 2;
}

START_TEST(notify_wakes_n_in_the_order_in_which_they_came)
{
    enum { N = 9 };
    struct worker w[N];
    choose_way(_i);
    workers_line_up(w, N, wait_for_turn, NULL, &changed);
    notify(0);
    for (int i = 0; i < 3; i++) {
        notify(1);
        await(worker_done(&w[i]));
        ck_assert_uint_eq(fxi_park_count(&changed), (size_t)(N - 1 - i));
    }
    notify(4);
    for (int i = 3; i < 7; i++)
        await(worker_done(&w[i]));
    ck_assert(!worker_done(&w[7]) && !worker_done(&w[8]));
    notify(100);
    int got[N];
    for (int i = 0; i < N; i++)
        got[i] = worker_end(&w[i]);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(got[i], i);
    for (int i = 3; i < 7; i++)
        ck_assert(got[i] >= 3 && got[i] < 7);
    for (int i = 7; i < N; i++)
        ck_assert_int_ge(got[i], 7);
    ck_assert_uint_eq(changed.word, 0);
}
END_TEST

START_TEST(notify_all_wakes_all)
{
    enum { N = 20 };
    struct worker w[N];
    choose_way(_i);
    for (int round = 0; round < 5; round++) {
        workers_line_up(w, N, wait_for_turn, NULL, &changed);
        if (round % 2) {
            notify(SIZE_MAX);
        } else {
            fx_lock_acquire(&lock);
            ck_assert_int_eq(fx_condition_notify_all(&changed), 0);
            fx_lock_release(&lock);
        }
        for (int i = 0; i < N; i++)
            ck_assert_int_ge(worker_end(&w[i]), 0);
    }
    ck_assert_int_eq(atomic_load(&turn), 5 * N);
}
END_TEST

START_TEST(who_was_notified_goes_on_only_with_the_lock)
{
    struct worker w;
    choose_way(_i);
    worker_start(&w, wait_for_turn, NULL);
    await_waiters(&changed, 1);
    fx_lock_acquire(&lock);
    fx_rlock_acquire(&rlock);
    fx_condition_notify(&changed, 1);
    await(fxi_park_count(&changed) == 0);
    ck_assert_int_eq(atomic_load(&turn), 0);
    ck_assert(!worker_done(&w));
    fx_lock_release(&lock);
    fx_rlock_release(&rlock);
    ck_assert_int_eq(worker_end(&w), 0);
}
END_TEST

static int wait_30_ms(void *arg)
{
    (void)arg;
    fx_lock_acquire(&lock);
    int rc = fx_condition_wait_for(&changed, &lock, FX_MSEC(30));
    fx_lock_release(&lock);
    return rc;
}

START_TEST(a_notification_before_the_deadline_counts_though_the_lock_comes_after_it)
{
    struct worker w;
    worker_start(&w, wait_30_ms, NULL);
    await_waiters(&changed, 1);
    fx_lock_acquire(&lock);
    bool in_time = fxi_park_count(&changed) == 1;
    fx_condition_notify(&changed, 1);
    fx_sleep(FX_MSEC(50));
    ck_assert(!worker_done(&w));
    fx_lock_release(&lock);
    int rc = worker_end(&w);
    ck_assert_int_eq(rc, in_time ? 0 : rc);
}
END_TEST

START_TEST(one_that_times_out_is_passed_over)
{
    struct worker patient, hasty;
    worker_start(&hasty, wait_30_ms, NULL);
    await_waiters(&changed, 1);
    worker_start(&patient, wait_for_turn, NULL);
    ck_assert_int_eq(worker_end(&hasty), -ETIMEDOUT);
    await_waiters(&changed, 1);
    notify(1);
    ck_assert_int_eq(worker_end(&patient), 0);
    ck_assert(!fx_lock_locked(&lock));
}
END_TEST

START_TEST(a_notification_that_nobody_waits_for_is_not_kept)
{
    fx_lock_acquire(&lock);
    fx_condition_notify(&changed, 3);
    ck_assert_int_eq(fx_condition_wait_for(&changed, &lock, FX_MSEC(5)), -ETIMEDOUT);
    fx_lock_release(&lock);
}
END_TEST

/* --- predicates ------------------------------------------------------------------------------- */

static atomic_int asked;

static bool has_token(void *arg)
{
    (void)arg;
    atomic_fetch_add(&asked, 1);
    return atomic_load(&tokens) > 0;
}

static int take_token(void *arg)
{
    (void)arg;
    fx_lock_acquire(&lock);
    int rc = fx_condition_wait_pred(&changed, &lock, has_token, NULL, FX_FOREVER);
    if (rc == 0)
        atomic_fetch_sub(&tokens, 1);
    fx_lock_release(&lock);
    return rc;
}

START_TEST(wait_pred_of_null_is_einval)
{
    fx_lock_acquire(&lock);
    fx_rlock_acquire(&rlock);
    ck_assert_int_eq(fx_condition_wait_pred(&changed, &lock, NULL, NULL, FX_FOREVER), -EINVAL);
    ck_assert_int_eq(fx_condition_wait_pred(&changed, &rlock, NULL, NULL, FX_FOREVER), -EINVAL);
}
END_TEST

START_TEST(wait_pred_returns_only_when_it_is_so)
{
    struct worker w;
    worker_start(&w, take_token, NULL);
    await_waiters(&changed, 1);
    for (int i = 1; i < 4; i++) {
        notify(1);
        await(atomic_load(&asked) > i && fxi_park_count(&changed) == 1);
    }
    ck_assert(!worker_done(&w));
    atomic_store(&tokens, 1);
    notify(1);
    ck_assert_int_eq(worker_end(&w), 0);
    ck_assert_int_eq(atomic_load(&tokens), 0);
}
END_TEST

START_TEST(wait_pred_asks_first_and_a_last_time_after_the_deadline)
{
    fx_rlock_acquire(&rlock);
    ck_assert_int_eq(fx_condition_wait_pred(&changed, &rlock, at_once, NULL, 0), 0);
    ck_assert_int_eq(fx_condition_wait_pred(&changed, &rlock, has_token, NULL, 0), -ETIMEDOUT);
    ck_assert_int_eq(atomic_load(&asked), 2);
    fx_deadline end = fx_deadline_after(FX_MSEC(10));
    ck_assert_int_eq(fx_condition_wait_pred(&changed, &rlock, never, NULL, end), -ETIMEDOUT);
    ck_assert_int_ge(fx_now(), end);
    ck_assert(fx_rlock_owned(&rlock));
}
END_TEST

static void silent_hook(fx_thread *t, const fx_exc_info *info)
{
    (void)t;
    (void)info;
}

static bool raise_eio(void *arg)
{
    (void)arg;
    fx_raise(-EIO);
}

static int wait_raising(void *arg)
{
    (void)arg;
    fx_lock_acquire(&lock);
    return fx_condition_wait_pred(&changed, &lock, raise_eio, NULL, FX_FOREVER);
}

START_TEST(what_the_predicate_raises_goes_on_with_the_lock_held)
{
    struct worker w;
    fx_set_excepthook(silent_hook);
    worker_start(&w, wait_raising, NULL);
    ck_assert_int_eq(fx_thread_join(w.thread, NULL), 0);
    ck_assert_int_eq(fx_thread_exception(w.thread), -EIO);
    ck_assert(fx_lock_locked(&lock));
    fx_thread_unref(w.thread);
}
END_TEST

/* --- together --------------------------------------------------------------------------------- */

START_TEST(tokens_and_takers_come_out_even)
{
    enum { N = 6, EACH = 60 };
    struct worker w[N];
    for (int round = 0; round < EACH; round++) {
        for (int i = 0; i < N; i++)
            worker_start(&w[i], take_token, NULL);
        for (int i = 0; i < N; i++) {
            fx_lock_acquire(&lock);
            atomic_fetch_add(&tokens, 1);
            fx_condition_notify(&changed, 1);
            fx_lock_release(&lock);
        }
        for (int i = 0; i < N; i++)
            ck_assert_int_eq(worker_end(&w[i]), 0);
        ck_assert_int_eq(atomic_load(&tokens), 0);
    }
}
END_TEST

static void on_signal(int number)
{
    (void)number;
}

static void *wait_in_pthread(void *arg)
{
    return (void *)(intptr_t)take_token(arg);
}

START_TEST(a_foreign_thread_waits_whatever_signals_come)
{
    pthread_t waiter;
    void *rc;
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal}, NULL);
    ck_assert_int_eq(pthread_create(&waiter, NULL, wait_in_pthread, NULL), 0);
    await_waiters(&changed, 1);
    int before = atomic_load(&asked);
    for (int i = 0; i < 100; i++)
        pthread_kill(waiter, SIGUSR1);
    ck_assert_uint_eq(fxi_park_count(&changed), 1);
    ck_assert_int_eq(atomic_load(&asked), before); /* no wait returns without cause */
    atomic_store(&tokens, 1);
    notify(1);
    pthread_join(waiter, &rc);
    ck_assert_ptr_null(rc);
}
END_TEST

START_TEST(futex_calls_that_fail_for_nothing_change_nothing)
{
    const int errors[] = {EINTR, EAGAIN};
    for (unsigned i = 0; i < 20; i++) {
        struct worker w;
        fxi_inject_arm(FXI_INJECT_FUTEX_WAIT, 1 + i / 2 % 3, errors[i % 2]);
        worker_start(&w, wait_for_turn, NULL);
        await_waiters(&changed, 1);
        notify(1);
        ck_assert_int_eq(worker_end(&w), (int)i);
        fxi_inject_disarm();
    }
}
END_TEST

START_TEST(the_functions_behind_the_inline_ones_do_the_same)
{
    int (*volatile one)(fx_condition *, size_t) = fx_condition_notify;
    int (*volatile all)(fx_condition *) = fx_condition_notify_all;
    struct worker w[3];
    ck_assert_int_eq(one(&changed, 1) + all(&changed), 0);
    workers_line_up(w, 3, wait_for_turn, NULL, &changed);
    ck_assert_int_eq(one(&changed, 1), 0);
    ck_assert_int_eq(worker_end(&w[0]), 0);
    ck_assert_int_eq(all(&changed), 0);
    for (int i = 1; i < 3; i++)
        ck_assert_int_ge(worker_end(&w[i]), 1);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, a_condition_is_at_most_eight_bytes_and_zeroes_are_one_without_waiters);
    tcase_add_test(tests, a_wait_without_the_lock_is_eperm);
    tcase_add_test(tests, a_wait_that_times_out_lasts_its_time_and_holds_the_lock_after);
    tcase_add_test(tests, an_rlock_is_given_up_in_all_its_levels_and_taken_back_in_all);
    tcase_add_loop_test(tests, notify_wakes_n_in_the_order_in_which_they_came, 0, 4);
    tcase_add_loop_test(tests, notify_all_wakes_all, 0, 4);
    tcase_add_loop_test(tests, who_was_notified_goes_on_only_with_the_lock, 0, 2);
    tcase_add_test(tests, a_notification_before_the_deadline_counts_though_the_lock_comes_after_it);
    tcase_add_test(tests, one_that_times_out_is_passed_over);
    tcase_add_test(tests, a_notification_that_nobody_waits_for_is_not_kept);
    tcase_add_test(tests, wait_pred_of_null_is_einval);
    tcase_add_test(tests, wait_pred_returns_only_when_it_is_so);
    tcase_add_test(tests, wait_pred_asks_first_and_a_last_time_after_the_deadline);
    tcase_add_test(tests, what_the_predicate_raises_goes_on_with_the_lock_held);
    tcase_add_test(tests, tokens_and_takers_come_out_even);
    tcase_add_test(tests, a_foreign_thread_waits_whatever_signals_come);
    tcase_add_test(tests, futex_calls_that_fail_for_nothing_change_nothing);
    tcase_add_test(tests, the_functions_behind_the_inline_ones_do_the_same);
}

int main(void)
{
    return run_suite("condition", add_tests);
}

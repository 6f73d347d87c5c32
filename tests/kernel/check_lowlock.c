/* lib/kernel/lowlock: mutual exclusion, and its wakes. The threads are pthreads. */
#define _GNU_SOURCE
#include <check.h>
#include <errno.h>
#include <pthread.h>

#include "await.h"
#include "base/atomic.h"
#include "kernel/clone.h"
#include "kernel/inject.h"
#include "kernel/lowlock.h"
#include "scale.h"

#include "../thread/suite.h"
#include "asleep.h"

enum { FREE, HELD, HELD_WITH_WAITERS };

static fxi_lowlock lock;

START_TEST(without_contention_nobody_sleeps_and_nobody_is_woken)
{
    fxi_inject_arm(FXI_INJECT_ANY, 1000000, EINTR);
    for (int i = 0; i < 100; i++) {
        fxi_lowlock_acquire(&lock);
        ck_assert_uint_eq(lock, HELD);
        ck_assert(!fxi_lowlock_try_acquire(&lock));
        fxi_lowlock_release(&lock);
        ck_assert_uint_eq(lock, FREE);
        ck_assert(fxi_lowlock_try_acquire(&lock));
        fxi_lowlock_release(&lock);
    }
    ck_assert_uint_eq(fxi_inject_count(FXI_INJECT_ANY), 0);
    fxi_inject_disarm();
}
END_TEST

struct waiter {
    pthread_t thread;
    pid_t tid;
    int has_acquired, may_release;
};

static void *waiter_main(void *arg)
{
    struct waiter *waiter = arg;
    fxi_store_release(&waiter->tid, fxi_gettid());
    fxi_lowlock_acquire(&lock);
    fxi_store_release(&waiter->has_acquired, 1);
    await(fxi_load_acquire(&waiter->may_release));
    fxi_lowlock_release(&lock);
    return NULL;
}

static void waiter_start(struct waiter *waiter)
{
    *waiter = (struct waiter){0};
    ck_assert_int_eq(pthread_create(&waiter->thread, NULL, waiter_main, waiter), 0);
    await(fxi_load_relaxed(&lock) == HELD_WITH_WAITERS);
    await(is_asleep(fxi_load_acquire(&waiter->tid)));
}

START_TEST(a_release_wakes_the_waiter)
{
    struct waiter waiter;
    fxi_lowlock_acquire(&lock);
    waiter_start(&waiter);
    ck_assert(!waiter.has_acquired);
    fxi_inject_arm(FXI_INJECT_FUTEX_WAKE, 1000000, EINTR);
    fxi_lowlock_release(&lock);
    ck_assert_uint_eq(fxi_inject_count(FXI_INJECT_FUTEX_WAKE), 1);
    fxi_inject_disarm();
    await(fxi_load_acquire(&waiter.has_acquired));
    ck_assert_uint_eq(fxi_load_relaxed(&lock), HELD_WITH_WAITERS);
    ck_assert(!fxi_lowlock_try_acquire(&lock));
    fxi_store_release(&waiter.may_release, 1);
    ck_assert_int_eq(pthread_join(waiter.thread, NULL), 0);
    ck_assert_uint_eq(lock, FREE);
}
END_TEST

START_TEST(of_several_waiters_one_is_woken_at_a_time)
{
    enum { WAITERS = 4 };
    struct waiter waiters[WAITERS];
    fxi_lowlock_acquire(&lock);
    for (int i = 0; i < WAITERS; i++)
        waiter_start(&waiters[i]);
    fxi_lowlock_release(&lock);
    bool is_done[WAITERS] = {false};
    for (int round = 0; round < WAITERS; round++) {
        int holder = -1, holders = 0;
        double limit = await_now() + await_limit();
        while (holders == 0 && await_now() < limit) {
            for (int i = 0; i < WAITERS; i++)
                if (!is_done[i] && fxi_load_acquire(&waiters[i].has_acquired)) {
                    holder = i;
                    holders++;
                }
            await_pause();
        }
        ck_assert_int_eq(holders, 1);
        is_done[holder] = true;
        fxi_store_release(&waiters[holder].may_release, 1);
        ck_assert_int_eq(pthread_join(waiters[holder].thread, NULL), 0);
    }
    ck_assert_uint_eq(lock, FREE);
}
END_TEST

START_TEST(a_wait_that_returns_for_nothing_does_not_acquire)
{
    const int errors[] = {EINTR, EAGAIN};
    for (int i = 0; i < 2; i++) {
        struct waiter waiter;
        fxi_lowlock_acquire(&lock);
        fxi_inject_arm(FXI_INJECT_FUTEX_WAIT, 1, errors[i]);
        waiter_start(&waiter);
        await(fxi_inject_count(FXI_INJECT_FUTEX_WAIT) == 2);
        await(is_asleep(waiter.tid));
        ck_assert(!fxi_load_acquire(&waiter.has_acquired));
        fxi_inject_disarm();
        fxi_store_release(&waiter.may_release, 1);
        fxi_lowlock_release(&lock);
        ck_assert_int_eq(pthread_join(waiter.thread, NULL), 0);
        ck_assert_uint_eq(lock, FREE);
    }
}
END_TEST

static int rounds;
static long plain_counter; /* not atomic: that is what the lock is for */
static int inside, most_inside;

static void *count_under_lock(void *arg)
{
    (void)arg;
    for (int i = 0; i < rounds; i++) {
        fxi_lowlock_acquire(&lock);
        if (fxi_add_relaxed(&inside, 1) != 0)
            fxi_store_relaxed(&most_inside, 2);
        plain_counter++;
        fxi_add_relaxed(&inside, -1);
        fxi_lowlock_release(&lock);
    }
    return NULL;
}

static void *count_when_it_is_free(void *arg)
{
    (void)arg;
    for (int i = 0; i < rounds;) {
        if (!fxi_lowlock_try_acquire(&lock))
            continue;
        if (fxi_add_relaxed(&inside, 1) != 0)
            fxi_store_relaxed(&most_inside, 2);
        plain_counter++;
        fxi_add_relaxed(&inside, -1);
        fxi_lowlock_release(&lock);
        i++;
    }
    return NULL;
}

START_TEST(at_most_one_thread_holds_it)
{
    enum { THREADS = 5 };
    pthread_t threads[THREADS];
    rounds = scaled(30000);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(
            pthread_create(&threads[i], NULL,
                           i == 0 ? count_when_it_is_free : count_under_lock, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_int_eq(most_inside, 0);
    ck_assert_int_eq(plain_counter, (long)THREADS * rounds);
    ck_assert_uint_eq(lock, FREE);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, without_contention_nobody_sleeps_and_nobody_is_woken);
    tcase_add_test(tests, a_release_wakes_the_waiter);
    tcase_add_test(tests, of_several_waiters_one_is_woken_at_a_time);
    tcase_add_test(tests, a_wait_that_returns_for_nothing_does_not_acquire);
    tcase_add_test(tests, at_most_one_thread_holds_it);
}

int main(void)
{
    return run_suite("lowlock", add_tests);
}

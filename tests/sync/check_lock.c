/* fx_lock: the calls' contracts, and every row of the state table of lib/sync/lock.c. */
#include <check.h>
#include <errno.h>
#include <fxthread.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "base/atomic.h"
#include "child.h"
#include "context/number.h"
#include "crew.h"
#include "kernel/inject.h"
#include "kernel/membarrier.h"
#include "kernel/rseq.h"
#include "park/park.h"
#include "sync/lock.h"

#include "../thread/suite.h"

#define PARKED (UINT32_C(1) << 29)
#define WAKING (UINT32_C(1) << 30)
#define CONTENDED (UINT32_C(1) << 31)

static fx_lock lock = FX_LOCK_INIT;
static int turns, order[64];

static uint32_t word(void)
{
    return fxi_load_acquire(&lock.word);
}

static uint32_t own(void)
{
    return fxi_self_number();
}

/* A worker that acquires, notes its turn and releases. */
static void *take_turn(void *arg)
{
    expect_int(fx_lock_acquire(&lock), ==, 0);
    order[turns++] = crew_number(arg);
    expect_int(fx_lock_release(&lock), ==, 0);
    return NULL;
}

static struct crew crew;

/* n workers that wait for the lock, which the caller has, in the order of their numbers. */
static void start_waiters(int n, fx_target fn)
{
    crew.n = n;
    for (int i = 0; i < n; i++) {
        crew.threads[i] = fx_thread_spawn(fn, (void *)(intptr_t)i);
        ck_assert_ptr_nonnull(crew.threads[i]);
        await(fxi_park_count(&lock) == (size_t)i + 1);
    }
}

static void end(void)
{
    crew_join(&crew);
    ck_assert_msg(!record_failure(), "%s", record_failure());
}

static void run_alone(fx_target fn)
{
    crew_run(1, fn);
    ck_assert_msg(!record_failure(), "%s", record_failure());
}

/* --- contracts -------------------------------------------------------------------------------- */

START_TEST(a_lock_is_four_bytes_and_free_when_zero)
{
    fx_lock zeroed;
    memset(&zeroed, 0, sizeof zeroed);
    ck_assert_uint_eq(sizeof(fx_lock), 4);
    ck_assert(!fx_lock_locked(&zeroed));
    ck_assert_int_eq(fx_lock_acquire(&zeroed), 0);
    ck_assert(fx_lock_locked(&zeroed));
    ck_assert_int_eq(fx_lock_release(&zeroed), 0);
    ck_assert(!fx_lock_locked(&zeroed));
}
END_TEST

START_TEST(release_of_a_free_lock_is_eperm)
{
    ck_assert_int_eq(fx_lock_release(&lock), -EPERM);
    ck_assert_int_eq(fx_lock_acquire(&lock), 0);
    ck_assert_int_eq(fx_lock_release(&lock), 0);
    ck_assert_int_eq(fx_lock_release(&lock), -EPERM);
    ck_assert_uint_eq(word(), 0);
}
END_TEST

static void *release_free(void *arg)
{
    expect_int(fx_lock_release(&lock), ==, -EPERM); /* a thread's first call, without a number */
    return arg;
}

START_TEST(release_of_a_free_lock_is_eperm_in_a_thread_that_never_held_one)
{
    run_alone(release_free);
}
END_TEST

START_TEST(every_way_to_acquire_takes_a_free_lock)
{
    ck_assert(fx_lock_try_acquire(&lock));
    ck_assert_int_eq(fx_lock_release(&lock), 0);
    ck_assert_int_eq(fx_lock_acquire_for(&lock, 0), 0);
    ck_assert_int_eq(fx_lock_release(&lock), 0);
    ck_assert_int_eq(fx_lock_acquire_for(&lock, -5), 0);
    ck_assert_int_eq(fx_lock_release(&lock), 0);
    ck_assert_int_eq(fx_lock_acquire_for(&lock, FX_FOREVER), 0);
    ck_assert_int_eq(fx_lock_release(&lock), 0);
    ck_assert_int_eq(fx_lock_acquire_until(&lock, 0), 0);
    ck_assert_int_eq(fx_lock_release(&lock), 0);
    ck_assert_int_eq(fx_lock_acquire_until(&lock, FX_FOREVER), 0);
    ck_assert_int_eq(fx_lock_release(&lock), 0);
}
END_TEST

START_TEST(relocking_ones_own_lock_waits_like_for_another_threads)
{
    ck_assert_int_eq(fx_lock_acquire(&lock), 0);
    ck_assert(!fx_lock_try_acquire(&lock));
    ck_assert_int_eq(fx_lock_acquire_for(&lock, 0), -ETIMEDOUT);
    ck_assert_int_eq(fx_lock_acquire_for(&lock, -2), -ETIMEDOUT);
    ck_assert_int_eq(fx_lock_acquire_for(&lock, INT64_MIN), -ETIMEDOUT);
    ck_assert_int_eq(fx_lock_acquire_until(&lock, fx_now() - 1), -ETIMEDOUT);
    fx_deadline end_at = fx_deadline_after(FX_MSEC(3));
    ck_assert_int_eq(fx_lock_acquire_for(&lock, FX_MSEC(3)), -ETIMEDOUT);
    ck_assert_int_ge(fx_now(), end_at);
    ck_assert_int_eq(fx_lock_release(&lock), 0);
}
END_TEST

START_TEST(errno_is_left_alone)
{
    errno = E2BIG;
    ck_assert_int_eq(fx_lock_acquire(&lock), 0);
    ck_assert_int_eq(fx_lock_acquire_for(&lock, FX_MSEC(2)), -ETIMEDOUT);
    ck_assert_int_eq(fx_lock_release(&lock), 0);
    ck_assert_int_eq(fx_lock_release(&lock), -EPERM);
    ck_assert_int_eq(errno, E2BIG);
}
END_TEST

static void *release_for_others(void *arg)
{
    expect(fx_lock_locked(&lock));
    expect(!fxi_lock_is_own(&lock));
    expect_int(fx_lock_release(&lock), ==, 0);
    expect_int(fx_lock_release(&lock), ==, -EPERM);
    return arg;
}

START_TEST(another_thread_may_release)
{
    ck_assert_int_eq(fx_lock_acquire(&lock), 0);
    run_alone(release_for_others);
    ck_assert(!fx_lock_locked(&lock));
    ck_assert_int_eq(fx_lock_release(&lock), -EPERM);
    ck_assert_int_eq(fx_lock_acquire(&lock), 0);
    ck_assert_int_eq(fx_lock_release(&lock), 0);
}
END_TEST

START_TEST(one_who_waits_for_his_own_lock_is_let_in_by_another_thread)
{
    ck_assert_int_eq(fx_lock_acquire(&lock), 0);
    crew_start(&crew, 1, release_for_others);
    ck_assert_int_eq(fx_lock_acquire_for(&lock, FX_SEC(await_limit())), 0);
    (void)fx_lock_release(&lock); /* unless the other one's second release came first */
    crew_join(&crew);
}
END_TEST

static void *from_pthread(void *arg)
{
    expect_int(fx_lock_acquire(&lock), ==, 0);
    expect(fxi_lock_is_own(&lock));
    expect_int(fx_lock_release(&lock), ==, 0);
    return arg;
}

START_TEST(a_pthread_can_use_it)
{
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, from_pthread, NULL), 0);
    pthread_join(thread, NULL);
    ck_assert_msg(!record_failure(), "%s", record_failure());
    ck_assert_uint_eq(word(), 0);
}
END_TEST

START_TEST(functions_exist_for_those_that_cannot_inline)
{
    int (*volatile acquire)(fx_lock *) = fx_lock_acquire;
    bool (*volatile try_acquire)(fx_lock *) = fx_lock_try_acquire;
    int (*volatile release)(fx_lock *) = fx_lock_release;
    bool (*volatile locked)(const fx_lock *) = fx_lock_locked;
    ck_assert_int_eq(acquire(&lock), 0);
    ck_assert(locked(&lock));
    ck_assert(!try_acquire(&lock));
    ck_assert_int_eq(release(&lock), 0);
    ck_assert(try_acquire(&lock));
    ck_assert_int_eq(release(&lock), 0);
    ck_assert_int_eq(release(&lock), -EPERM);
}
END_TEST

START_TEST(its_memory_may_go_with_its_last_holder)
{
    for (int i = 0; i < 50; i++) {
        fx_lock *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                               -1, 0);
        ck_assert_ptr_ne(mapped, MAP_FAILED);
        ck_assert_int_eq(fx_lock_acquire(mapped), 0);
        ck_assert_int_eq(fx_lock_acquire_for(mapped, FX_USEC(300)), -ETIMEDOUT);
        ck_assert_int_eq(fx_lock_release(mapped), 0);
        ck_assert_int_eq(munmap(mapped, 4096), 0);
    }
}
END_TEST

static int child_uses_lock(void)
{
    bool good = fx_lock_locked(&lock) && fxi_lock_is_own(&lock) && fx_lock_release(&lock) == 0 &&
                fx_lock_acquire(&lock) == 0 &&
                fx_lock_acquire_for(&lock, FX_MSEC(2)) == -ETIMEDOUT && fx_lock_release(&lock) == 0;
    return good ? 0 : 1;
}

START_TEST(a_forked_child_keeps_the_locks_of_the_thread_that_forked)
{
    ck_assert_int_eq(fx_lock_acquire(&lock), 0);
    ck_assert_int_eq(child_run(child_uses_lock), 0);
    ck_assert_int_eq(fx_lock_release(&lock), 0);
}
END_TEST

START_TEST(without_memory_for_a_number_acquire_is_enomem)
{
    fxi_inject_arm(FXI_INJECT_ALLOC, 1, ENOMEM);
    ck_assert_int_eq(fx_lock_acquire(&lock), -ENOMEM);
    fxi_inject_arm(FXI_INJECT_ALLOC, 1, ENOMEM);
    ck_assert(!fx_lock_try_acquire(&lock));
    ck_assert_int_eq(fx_lock_release(&lock), -EPERM);
    ck_assert_int_eq(fx_lock_acquire(&lock), 0);
    ck_assert_int_eq(fx_lock_release(&lock), 0);
}
END_TEST

/* --- the state table -------------------------------------------------------------------------- */

START_TEST(an_uncontended_lock_holds_its_owners_number_and_no_bits)
{
    ck_assert_int_eq(fx_lock_acquire(&lock), 0);
    ck_assert_uint_eq(word(), own());
    ck_assert_uint_eq(fxi_lock_owner(&lock), own());
    ck_assert(fxi_lock_is_own(&lock));
    ck_assert_int_eq(fx_lock_release(&lock), 0);
    ck_assert_uint_eq(word(), 0);
}
END_TEST

START_TEST(a_waiter_sets_its_bits_and_a_timeout_takes_parked_back)
{
    ck_assert_int_eq(fx_lock_acquire(&lock), 0);
    fxi_inject_arm(FXI_INJECT_MEMBARRIER, 0, 0);
    ck_assert_int_eq(fx_lock_acquire_for(&lock, FX_MSEC(2)), -ETIMEDOUT);
    ck_assert_uint_eq(word(), own() | CONTENDED);
    ck_assert_uint_eq(fxi_inject_count(FXI_INJECT_MEMBARRIER), fxi_membarrier_works() ? 1 : 0);
    ck_assert_int_eq(fx_lock_acquire_for(&lock, FX_MSEC(2)), -ETIMEDOUT);
    /* One an episode. */
    ck_assert_uint_eq(fxi_inject_count(FXI_INJECT_MEMBARRIER), fxi_membarrier_works() ? 1 : 0);
    ck_assert_int_eq(fx_lock_release(&lock), 0);
    ck_assert_uint_eq(word(), CONTENDED);
    ck_assert(!fx_lock_locked(&lock));
    ck_assert_int_eq(fx_lock_release(&lock), -EPERM);
}
END_TEST

START_TEST(a_barrier_that_fails_is_tried_again)
{
    ck_assert_int_eq(fx_lock_acquire(&lock), 0);
    fxi_inject_arm(FXI_INJECT_MEMBARRIER, 1, ENOMEM);
    ck_assert_int_eq(fx_lock_acquire_for(&lock, FX_MSEC(300)), -ETIMEDOUT);
    ck_assert_uint_eq(fxi_inject_count(FXI_INJECT_MEMBARRIER), fxi_membarrier_works() ? 2 : 0);
    ck_assert_int_eq(fx_lock_release(&lock), 0);
}
END_TEST

START_TEST(contended_goes_after_many_calm_releases)
{
    fxi_lock_tuning.calm_releases = 3;
    ck_assert_int_eq(fx_lock_acquire(&lock), 0);
    ck_assert_int_eq(fx_lock_acquire_for(&lock, FX_MSEC(2)), -ETIMEDOUT);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(fx_lock_release(&lock), 0);
        ck_assert_uint_eq(word(), CONTENDED);
        ck_assert_int_eq(fx_lock_acquire(&lock), 0);
        ck_assert_uint_eq(word(), own() | CONTENDED);
    }
    ck_assert_int_eq(fx_lock_release(&lock), 0);
    ck_assert_uint_eq(word(), 0);
}
END_TEST

START_TEST(a_release_with_a_waiter_wakes_one_and_marks_it_waking)
{
    ck_assert_int_eq(fx_lock_acquire(&lock), 0);
    start_waiters(2, take_turn);
    ck_assert_uint_eq(word(), own() | CONTENDED | PARKED);
    ck_assert_int_eq(fx_lock_release(&lock), 0);
    end();
    ck_assert_int_eq(turns, 2);
    ck_assert_int_eq(order[0], 0);
    ck_assert_uint_eq(word() & (PARKED | WAKING | FX_LOCK_NUMBER), 0);
}
END_TEST

START_TEST(waiters_are_served_in_order)
{
    ck_assert_int_eq(fx_lock_acquire(&lock), 0);
    start_waiters(8, take_turn);
    ck_assert_int_eq(fx_lock_release(&lock), 0);
    end();
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(order[i], i);
}
END_TEST

START_TEST(a_starved_waiter_is_handed_the_lock)
{
    ck_assert_int_eq(fx_lock_acquire(&lock), 0);
    start_waiters(1, take_turn);
    fx_sleep(FX_MSEC(2)); /* longer than a waiter may starve */
    ck_assert_int_eq(fx_lock_release(&lock), 0);
    /* From the release on it is the waiter's: whoever tries now comes after its turn. */
    bool was_faster = fx_lock_try_acquire(&lock) && fxi_load_relaxed(&turns) == 0;
    ck_assert(!was_faster);
    if (fxi_lock_is_own(&lock))
        ck_assert_int_eq(fx_lock_release(&lock), 0);
    end();
    ck_assert_int_eq(turns, 1);
}
END_TEST

static void *hold_until_told(void *arg)
{
    expect_int(fx_lock_acquire(&lock), ==, 0);
    fxi_store_release(&turns, 1);
    await(fxi_load_acquire(&turns) == 2);
    expect_int(fx_lock_release(&lock), ==, 0);
    return arg;
}

START_TEST(one_woken_in_vain_waits_on_and_clears_waking)
{
    ck_assert_int_eq(fx_lock_acquire(&lock), 0);
    start_waiters(1, take_turn);
    ck_assert_int_eq(fx_lock_release(&lock), 0);
    /* Unless the woken one, or one that the lock was handed to, is faster: */
    if (fx_lock_try_acquire(&lock) && fxi_load_acquire(&turns) == 0) {
        await((word() & WAKING) == 0);
        ck_assert_uint_eq(word(), own() | CONTENDED | PARKED);
    }
    if (fxi_lock_is_own(&lock))
        ck_assert_int_eq(fx_lock_release(&lock), 0);
    end();
    ck_assert_int_eq(turns, 1);
}
END_TEST

START_TEST(another_threads_release_pays_a_barrier)
{
    crew_start(&crew, 1, hold_until_told);
    await(fxi_load_acquire(&turns) == 1);
    fxi_inject_arm(FXI_INJECT_MEMBARRIER, 0, 0);
    ck_assert_int_eq(fx_lock_release(&lock), 0);
    ck_assert_uint_eq(fxi_inject_count(FXI_INJECT_MEMBARRIER), fxi_membarrier_works() ? 1 : 0);
    ck_assert_uint_eq(word(), CONTENDED);
    ck_assert_int_eq(fx_lock_acquire(&lock), 0); /* so that the other's release finds a hold */
    fxi_store_release(&turns, 2);
    end();
    ck_assert(!fx_lock_locked(&lock));
}
END_TEST

START_TEST(only_the_owner_may_expect_waiters)
{
    ck_assert(!fxi_lock_expect_waiters(&lock));
    ck_assert_int_eq(fx_lock_acquire(&lock), 0);
    ck_assert(fxi_lock_expect_waiters(&lock));
    ck_assert_uint_eq(word(), own() | CONTENDED | PARKED);
    ck_assert_int_eq(fx_lock_release(&lock), 0); /* finds nobody */
    ck_assert_uint_eq(word(), CONTENDED);
}
END_TEST

START_TEST(without_rseq_the_release_is_a_compare_and_swap)
{
    ck_assert_int_eq(fx_lock_acquire(&lock), 0);
    fx_lock_self.released_by = UINT32_MAX; /* as in a thread whose registration failed */
    ck_assert_int_eq(fx_lock_release(&lock), 0);
    ck_assert_uint_eq(word(), 0);
    ck_assert_int_eq(fx_lock_release(&lock), -EPERM);
}
END_TEST

START_TEST(a_release_leaves_no_critical_section_behind)
{
    ck_assert_int_eq(fx_lock_acquire(&lock), 0);
    ck_assert_int_eq(fx_lock_release(&lock), 0);
    ck_assert_uint_eq(*fx_lock_self.sequence, 0);
    ck_assert_int_eq(fx_lock_release(&lock), -EPERM); /* the sequence is left in its middle */
    ck_assert_uint_eq(*fx_lock_self.sequence, 0);
    if (fxi_membarrier_works() && fxi_rseq_sequence()) {
        ck_assert_ptr_eq(fx_lock_self.sequence, fxi_rseq_sequence());
        ck_assert_uint_eq(fx_lock_self.released_by, own());
    }
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, a_lock_is_four_bytes_and_free_when_zero);
    tcase_add_test(tests, release_of_a_free_lock_is_eperm);
    tcase_add_test(tests, release_of_a_free_lock_is_eperm_in_a_thread_that_never_held_one);
    tcase_add_test(tests, every_way_to_acquire_takes_a_free_lock);
    tcase_add_test(tests, relocking_ones_own_lock_waits_like_for_another_threads);
    tcase_add_test(tests, errno_is_left_alone);
    tcase_add_test(tests, another_thread_may_release);
    tcase_add_test(tests, one_who_waits_for_his_own_lock_is_let_in_by_another_thread);
    tcase_add_test(tests, a_pthread_can_use_it);
    tcase_add_test(tests, functions_exist_for_those_that_cannot_inline);
    tcase_add_test(tests, its_memory_may_go_with_its_last_holder);
    tcase_add_test(tests, a_forked_child_keeps_the_locks_of_the_thread_that_forked);
    tcase_add_test(tests, without_memory_for_a_number_acquire_is_enomem);
    tcase_add_test(tests, an_uncontended_lock_holds_its_owners_number_and_no_bits);
    tcase_add_test(tests, a_waiter_sets_its_bits_and_a_timeout_takes_parked_back);
    tcase_add_test(tests, a_barrier_that_fails_is_tried_again);
    tcase_add_test(tests, contended_goes_after_many_calm_releases);
    tcase_add_test(tests, a_release_with_a_waiter_wakes_one_and_marks_it_waking);
    tcase_add_test(tests, waiters_are_served_in_order);
    tcase_add_test(tests, a_starved_waiter_is_handed_the_lock);
    tcase_add_test(tests, one_woken_in_vain_waits_on_and_clears_waking);
    tcase_add_test(tests, another_threads_release_pays_a_barrier);
    tcase_add_test(tests, only_the_owner_may_expect_waiters);
    tcase_add_test(tests, without_rseq_the_release_is_a_compare_and_swap);
    tcase_add_test(tests, a_release_leaves_no_critical_section_behind);
}

int main(void)
{
    return run_suite("lock", add_tests);
}

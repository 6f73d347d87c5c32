/* fx_rlock: the calls' contracts. */
#include <check.h>
#include <errno.h>
#include <fxthread.h>
#include <string.h>

#include "base/atomic.h"
#include "child.h"
#include "crew.h"
#include "kernel/inject.h"
#include "park/park.h"
#include "sync/rlock.h"

#include "../thread/suite.h"

static fx_rlock lock = FX_RLOCK_INIT;
static struct crew crew;
static int turns;

static void run_alone(fx_target fn)
{
    crew_run(1, fn);
    ck_assert_msg(!record_failure(), "%s", record_failure());
}

START_TEST(an_rlock_is_small_and_free_when_zero)
{
    fx_rlock zeroed;
    memset(&zeroed, 0, sizeof zeroed);
    ck_assert_uint_le(sizeof(fx_rlock), 16);
    ck_assert(!fx_rlock_locked(&zeroed));
    ck_assert(!fx_rlock_owned(&zeroed));
    ck_assert_int_eq(fx_rlock_acquire(&zeroed), 0);
    ck_assert(fx_rlock_locked(&zeroed));
    ck_assert(fx_rlock_owned(&zeroed));
    ck_assert_int_eq(fx_rlock_release(&zeroed), 0);
    ck_assert(!fx_rlock_locked(&zeroed));
}
END_TEST

START_TEST(the_owner_releases_as_often_as_it_acquired)
{
    ck_assert_int_eq(fx_rlock_acquire(&lock), 0);
    ck_assert(fx_rlock_try_acquire(&lock));
    ck_assert_int_eq(fx_rlock_acquire_for(&lock, 0), 0);
    ck_assert_int_eq(fx_rlock_acquire_for(&lock, FX_FOREVER), 0);
    ck_assert_int_eq(fx_rlock_acquire_until(&lock, 0), 0);
    for (int i = 0; i < 5; i++) {
        ck_assert(fx_rlock_owned(&lock));
        ck_assert_int_eq(fx_rlock_release(&lock), 0);
    }
    ck_assert(!fx_rlock_locked(&lock));
    ck_assert_int_eq(fx_rlock_release(&lock), -EPERM);
}
END_TEST

static void *use_what_is_another_threads(void *arg)
{
    expect(!fx_rlock_owned(&lock));
    expect_int(fx_rlock_release(&lock), ==, -EPERM); /* before it has a number */
    expect(!fx_rlock_try_acquire(&lock));
    expect_int(fx_rlock_release(&lock), ==, -EPERM);
    expect_int(fx_rlock_acquire_for(&lock, 0), ==, -ETIMEDOUT);
    expect_int(fx_rlock_acquire_for(&lock, -7), ==, -ETIMEDOUT);
    expect_int(fx_rlock_acquire_for(&lock, FX_USEC(100)), ==, -ETIMEDOUT);
    expect_int(fx_rlock_acquire_until(&lock, fx_now()), ==, -ETIMEDOUT);
    expect(fx_rlock_locked(&lock));
    expect(!fx_rlock_owned(&lock));
    return arg;
}

START_TEST(others_can_neither_have_nor_release_it)
{
    ck_assert_int_eq(fx_rlock_acquire(&lock), 0);
    run_alone(use_what_is_another_threads);
    ck_assert_int_eq(fx_rlock_acquire(&lock), 0);
    run_alone(use_what_is_another_threads);
    ck_assert_int_eq(fx_rlock_release(&lock), 0);
    run_alone(use_what_is_another_threads);
    ck_assert_int_eq(fx_rlock_release(&lock), 0);
    ck_assert(!fx_rlock_locked(&lock));
}
END_TEST

START_TEST(release_of_a_free_one_is_eperm)
{
    ck_assert_int_eq(fx_rlock_release(&lock), -EPERM);
    ck_assert_int_eq(fx_rlock_acquire(&lock), 0);
    ck_assert_int_eq(fx_rlock_release(&lock), 0);
    ck_assert_int_eq(fx_rlock_release(&lock), -EPERM);
}
END_TEST

START_TEST(too_many_acquisitions_are_eagain)
{
    ck_assert_int_eq(fx_rlock_acquire(&lock), 0);
    lock.again = UINT32_MAX;
    ck_assert_int_eq(fx_rlock_acquire(&lock), -EAGAIN);
    ck_assert(!fx_rlock_try_acquire(&lock));
    ck_assert_int_eq(fx_rlock_acquire_for(&lock, FX_FOREVER), -EAGAIN);
    ck_assert_int_eq(fx_rlock_acquire_until(&lock, FX_FOREVER), -EAGAIN);
    ck_assert_uint_eq(lock.again, UINT32_MAX);
    ck_assert_int_eq(fx_rlock_release(&lock), 0);
    ck_assert_int_eq(fx_rlock_acquire(&lock), 0);
    lock.again = 0;
    ck_assert_int_eq(fx_rlock_release(&lock), 0);
}
END_TEST

static void *take_turn(void *arg)
{
    expect_int(fx_rlock_acquire(&lock), ==, 0);
    expect_int(fx_rlock_acquire(&lock), ==, 0);
    expect_int(lock.again, ==, 1);
    turns++;
    expect_int(fx_rlock_release(&lock), ==, 0);
    expect_int(fx_rlock_release(&lock), ==, 0);
    return arg;
}

START_TEST(only_the_last_release_lets_waiters_in)
{
    ck_assert_int_eq(fx_rlock_acquire(&lock), 0);
    ck_assert_int_eq(fx_rlock_acquire(&lock), 0);
    crew_start(&crew, 5, take_turn);
    await(fxi_park_count(&lock) == 5);
    ck_assert_int_eq(fx_rlock_release(&lock), 0);
    ck_assert_int_eq(turns, 0);
    ck_assert_uint_eq(fxi_park_count(&lock), 5);
    ck_assert_int_eq(fx_rlock_release(&lock), 0);
    crew_join(&crew);
    ck_assert_int_eq(turns, 5);
    ck_assert_uint_eq(lock.again, 0);
    ck_assert_msg(!record_failure(), "%s", record_failure());
}
END_TEST

static void *nest_often(void *arg)
{
    static int inside;
    for (int i = 0; i < 20000; i++) {
        int depth = 1 + i % 4;
        for (int d = 0; d < depth; d++)
            expect_int(fx_rlock_acquire(&lock), ==, 0);
        expect(inside++ == 0);
        inside--;
        for (int d = 0; d < depth; d++)
            expect_int(fx_rlock_release(&lock), ==, 0);
    }
    return arg;
}

START_TEST(sections_of_different_threads_do_not_overlap)
{
    crew_run(4, nest_often);
    ck_assert_msg(!record_failure(), "%s", record_failure());
    ck_assert(!fx_rlock_locked(&lock));
}
END_TEST

START_TEST(all_levels_can_be_released_and_restored)
{
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(fx_rlock_acquire(&lock), 0);
    uint32_t again = fxi_rlock_release_all(&lock);
    ck_assert_uint_eq(again, 2);
    ck_assert(!fx_rlock_locked(&lock));
    ck_assert_int_eq(fxi_rlock_reacquire(&lock, 0, 0, again), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(fx_rlock_release(&lock), 0);
    ck_assert(!fx_rlock_locked(&lock));
}
END_TEST

START_TEST(functions_exist_for_those_that_cannot_inline)
{
    int (*volatile acquire)(fx_rlock *) = fx_rlock_acquire;
    bool (*volatile try_acquire)(fx_rlock *) = fx_rlock_try_acquire;
    int (*volatile release)(fx_rlock *) = fx_rlock_release;
    bool (*volatile locked)(const fx_rlock *) = fx_rlock_locked;
    bool (*volatile owned)(const fx_rlock *) = fx_rlock_owned;
    ck_assert_int_eq(acquire(&lock), 0);
    ck_assert(try_acquire(&lock));
    ck_assert(locked(&lock) && owned(&lock));
    ck_assert_int_eq(release(&lock), 0);
    ck_assert_int_eq(release(&lock), 0);
    ck_assert_int_eq(release(&lock), -EPERM);
}
END_TEST

START_TEST(without_memory_for_a_number_acquire_is_enomem)
{
    fxi_inject_arm(FXI_INJECT_ALLOC, 1, ENOMEM);
    ck_assert_int_eq(fx_rlock_acquire(&lock), -ENOMEM);
    ck_assert_int_eq(fx_rlock_acquire(&lock), 0);
    ck_assert_int_eq(fx_rlock_release(&lock), 0);
}
END_TEST

static int child_uses_lock(void)
{
    return fx_rlock_owned(&lock) && fx_rlock_acquire(&lock) == 0 && fx_rlock_release(&lock) == 0 &&
                   fx_rlock_release(&lock) == 0 && !fx_rlock_locked(&lock)
               ? 0 : 1;
}

START_TEST(a_forked_child_owns_what_the_forking_thread_owned)
{
    ck_assert_int_eq(fx_rlock_acquire(&lock), 0);
    ck_assert_int_eq(child_run(child_uses_lock), 0);
    ck_assert_int_eq(fx_rlock_release(&lock), 0);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, an_rlock_is_small_and_free_when_zero);
    tcase_add_test(tests, the_owner_releases_as_often_as_it_acquired);
    tcase_add_test(tests, others_can_neither_have_nor_release_it);
    tcase_add_test(tests, release_of_a_free_one_is_eperm);
    tcase_add_test(tests, too_many_acquisitions_are_eagain);
    tcase_add_test(tests, only_the_last_release_lets_waiters_in);
    tcase_add_test(tests, sections_of_different_threads_do_not_overlap);
    tcase_add_test(tests, all_levels_can_be_released_and_restored);
    tcase_add_test(tests, functions_exist_for_those_that_cannot_inline);
    tcase_add_test(tests, without_memory_for_a_number_acquire_is_enomem);
    tcase_add_test(tests, a_forked_child_owns_what_the_forking_thread_owned);
}

int main(void)
{
    return run_suite("rlock", add_tests);
}

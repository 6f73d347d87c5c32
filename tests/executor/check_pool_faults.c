/* What a thread pool does when there is no memory, and no thread. */
#include <errno.h>
#include <stdlib.h>

#include "kernel/inject.h"
#include "pool.h"

#include "../thread/suite.h"

static void *return_it(void *arg)
{
    return arg;
}

START_TEST(a_pool_needs_memory)
{
    fx_executor *pool = NULL;
    unsigned nth = 0;
    while (!pool) {
        fxi_inject_arm(FXI_INJECT_ALLOC, ++nth, ENOMEM);
        pool = fx_thread_pool_new(&(fx_thread_pool_attr){ .max_workers = 1, .name_prefix = "x" });
        fxi_inject_disarm();
        ck_assert(pool || errno == ENOMEM);
        ck_assert_uint_lt(nth, 20);
    }
    ck_assert_uint_gt(nth, 2);
    ck_assert_ptr_eq(run_in(pool, return_it, &nth), &nth);
    end_pool(pool);
}
END_TEST

START_TEST(a_submit_needs_memory)
{
    fx_executor *pool = pool_of(1);
    run_in(pool, return_it, NULL);
    void *large = malloc(1000);
    ck_assert_ptr_nonnull(large);
    fxi_inject_arm(FXI_INJECT_ALLOC, 1, ENOMEM);
    errno = 0;
    ck_assert_ptr_null(fx_submit_copy(pool, (fx_copy_target)(void (*)(void))return_it, large, 1000, 0));
    ck_assert_int_eq(errno, ENOMEM);
    fxi_inject_disarm();
    free(large);
    end_pool(pool);
}
END_TEST

START_TEST(without_a_worker_a_submit_fails_and_the_next_one_works)
{
    fx_executor *pool = pool_of(2);
    fxi_inject_arm(FXI_INJECT_CLONE, 1, EAGAIN);
    errno = 0;
    ck_assert_ptr_null(fx_submit(pool, return_it, NULL));
    ck_assert_int_eq(errno, EAGAIN);
    fxi_inject_disarm();
    ck_assert_ptr_eq(run_in(pool, return_it, &pool), &pool);
    end_pool(pool);
}
END_TEST

static atomic_int begun, told;

static void *compute_until_told(void *arg)
{
    atomic_fetch_add(&begun, 1);
    while (!atomic_load(&told))
        ;
    return arg;
}

START_TEST(with_a_worker_that_another_cannot_be_had_is_no_failure)
{
    fx_executor *pool = pool_of(2);
    fx_future *first = submit(pool, compute_until_told, &told);
    await(atomic_load(&begun) == 1);
    fxi_inject_arm(FXI_INJECT_CLONE, 1, EAGAIN);
    fx_future *second = submit(pool, return_it, &told);
    fxi_inject_disarm();
    atomic_store(&told, 1);
    ck_assert_ptr_eq(result_of(first), &told);
    ck_assert_ptr_eq(result_of(second), &told);
    end_pool(pool);
}
END_TEST

static fx_event event;

static void *wait_for_event(void *arg)
{
    expect_int(fx_event_wait(&event), ==, 0);
    return arg;
}

/* So many wait at once that slabs of stacks have to be mapped, one of which cannot be. */
START_TEST(without_memory_for_a_stack_tasks_run_all_the_same)
{
    enum { TASKS = 40 };
    fx_future *futures[TASKS];
    fx_executor *pool = pool_of(1);
    run_in(pool, return_it, NULL);
    fxi_inject_arm(FXI_INJECT_MMAP, (unsigned)_i + 1, ENOMEM);
    for (int i = 0; i < TASKS; i++)
        futures[i] = submit(pool, wait_for_event, &event);
    fx_sleep(FX_MSEC(5));
    fx_event_set(&event);
    for (int i = 0; i < TASKS; i++)
        ck_assert_ptr_eq(result_of(futures[i]), &event);
    fxi_inject_disarm();
    end_pool(pool);
}
END_TEST

START_TEST(a_futex_wait_that_is_interrupted_goes_on)
{
    fx_executor *pool = pool_of(1);
    for (unsigned nth = 1; nth < 6; nth++) {
        fxi_inject_arm(FXI_INJECT_FUTEX_WAIT, nth, EINTR);
        ck_assert_ptr_eq(run_in(pool, return_it, &event), &event);
        fxi_inject_disarm();
    }
    end_pool(pool);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, a_pool_needs_memory);
    tcase_add_test(tests, a_submit_needs_memory);
    tcase_add_test(tests, without_a_worker_a_submit_fails_and_the_next_one_works);
    tcase_add_test(tests, with_a_worker_that_another_cannot_be_had_is_no_failure);
    tcase_add_loop_test(tests, without_memory_for_a_stack_tasks_run_all_the_same, 0, 12);
    tcase_add_test(tests, a_futex_wait_that_is_interrupted_goes_on);
}

int main(void)
{
    return run_suite("pool_faults", add_tests);
}

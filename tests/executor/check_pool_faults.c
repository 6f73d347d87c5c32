/* What a thread pool does when there is no memory, and no thread. */
#include <errno.h>
#include <stdlib.h>

#include "context/registry.h"
#include "executor/pool.h"
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

/* --- two submitters, of whom one starts the first worker and cannot --- */

static struct submitter {
    fx_executor *pool;
    fx_future *future;
    atomic_int may_go, is_back;
    int error;
} submitters[2];

static void *submit_when_told(void *arg)
{
    struct submitter *self = arg;
    while (!atomic_load(&self->may_go))
        await_pause();
    self->future = fx_submit(self->pool, return_it, self);
    self->error = self->future ? 0 : errno;
    atomic_store(&self->is_back, 1);
    return arg;
}

/* While the registry's lock is held no thread is made. The second one must not rely on the worker that the
 * first one starts. */
START_TEST(a_worker_that_cannot_be_started_is_relied_upon_by_nobody)
{
    fx_executor *pool = pool_of(1);
    struct fxi_pool *inside = fxi_pool_of(pool);
    fx_thread *threads[2];
    for (int i = 0; i < 2; i++) {
        submitters[i] = (struct submitter){ .pool = pool };
        threads[i] = fx_thread_spawn(submit_when_told, &submitters[i]);
        await(fx_thread_native_id(threads[i]) > 0);
    }
    fxi_inject_arm(FXI_INJECT_CLONE, 1, EAGAIN);
    fxi_sigmask mask = fxi_registry_lock();
    atomic_store(&submitters[0].may_go, 1);
    await(__atomic_load_n(&inside->present, __ATOMIC_RELAXED) == 1);
    const void *first = __atomic_load_n(&inside->queue.incoming, __ATOMIC_RELAXED);
    atomic_store(&submitters[1].may_go, 1);
    await(__atomic_load_n(&inside->queue.incoming, __ATOMIC_RELAXED) != first);
    await_for(atomic_load(&submitters[1].is_back), 0.01); /* it must not be */
    fxi_registry_unlock(mask);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(fx_thread_join_for(threads[i], FX_SEC(await_limit()), NULL), 0);
    if (submitters[0].future) /* the other one's worker was there before this one had given up */
        ck_assert_ptr_eq(result_of(submitters[0].future), &submitters[0]);
    else
        ck_assert_int_eq(submitters[0].error, EAGAIN);
    ck_assert_ptr_nonnull(submitters[1].future);
    ck_assert_ptr_eq(result_of(submitters[1].future), &submitters[1]);
    fxi_inject_disarm();
    for (int i = 0; i < 2; i++)
        fx_thread_unref(threads[i]);
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
    tcase_add_test(tests, a_worker_that_cannot_be_started_is_relied_upon_by_nobody);
    tcase_add_loop_test(tests, without_memory_for_a_stack_tasks_run_all_the_same, 0, 12);
    tcase_add_test(tests, a_futex_wait_that_is_interrupted_goes_on);
}

int main(void)
{
    return run_suite("pool_faults", add_tests);
}

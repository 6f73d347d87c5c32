/* Stops of tasks: where they wait, where they compute, and before they begin; and time limits. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "pool.h"
#include "sanitizer.h"

#include "../thread/suite.h"

static fx_executor *pool;
static fx_event event;
static atomic_int begun, cleaned, told;

static void one_worker(void)
{
    pool = pool_of(1);
}

static void end(void)
{
    end_pool(pool);
}

static void *return_it(void *arg)
{
    return arg;
}

static void *wait_for_event(void *arg)
{
    atomic_fetch_add(&begun, 1);
    expect_int(fx_event_wait(&event), ==, 0);
    return arg;
}

static void *wait_and_clean(void *arg)
{
    FX_TRY {
        wait_for_event(arg);
    } FX_FINALLY {
        atomic_fetch_add(&cleaned, 1);
    } FX_END
    return arg;
}

static void *compute_and_clean(void *arg)
{
    FX_TRY {
        atomic_fetch_add(&begun, 1);
        while (!atomic_load_explicit(&told, memory_order_relaxed))
            ;
    } FX_FINALLY {
        atomic_fetch_add(&cleaned, 1);
    } FX_END
    return arg;
}

static void *sleep_and_clean(void *arg)
{
    FX_TRY {
        atomic_fetch_add(&begun, 1);
        fx_sleep(FX_FOREVER);
    } FX_FINALLY {
        fx_sleep(FX_MSEC(1));
        atomic_fetch_add(&cleaned, 1);
    } FX_END
    return arg;
}

/* ThreadSanitizer keeps signals back while a thread computes: the last of each is left out. */
static const fx_target stopped_ones[] = { wait_and_clean, sleep_and_clean, compute_and_clean };

START_TEST(a_stopped_task_is_unwound_and_its_worker_lives_on)
{
    fx_future *stopped = submit(pool, stopped_ones[_i], NULL);
    await(atomic_load(&begun) == 1);
    ck_assert_int_eq(fx_future_stop(stopped), 0);
    ck_assert_int_eq(fx_future_result_for(stopped, FX_SEC(await_limit()), NULL), -ECANCELED);
    ck_assert(!fx_future_cancelled(stopped));
    ck_assert_int_eq(fx_future_stop(stopped), -EALREADY);
    ck_assert_int_eq(exception_of(stopped), FX_STOPPED);
    ck_assert_int_eq(atomic_load(&cleaned), 1);
    ck_assert_ptr_eq(run_in(pool, return_it, &told), &told);
    end();
}
END_TEST

START_TEST(a_stop_reaches_tasks_of_a_pool_whose_maker_has_blocked_all_signals)
{
    sigset_t all, former;
    end();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &former);
    pool = pool_of(1);
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    fx_future *stopped = submit(pool, stopped_ones[_i], NULL);
    await(atomic_load(&begun) == 1);
    ck_assert_int_eq(fx_future_stop(stopped), 0);
    ck_assert_int_eq(exception_of(stopped), FX_STOPPED);
    end();
}
END_TEST

START_TEST(a_stopped_task_that_has_not_begun_is_cancelled)
{
    fx_future *first = submit(pool, wait_for_event, NULL);
    await(atomic_load(&begun) == 1);
    fx_executor *busy = pool_of(1);
    fx_future *computing = submit(busy, compute_and_clean, NULL);
    await(atomic_load(&begun) == 2);
    fx_future *pending = submit(busy, return_it, NULL);
    ck_assert_int_eq(fx_future_stop(pending), 0);
    ck_assert(fx_future_cancelled(pending));
    fx_future_unref(pending);
    fx_event_set(&event);
    result_of(first);
    atomic_store(&told, 1);
    result_of(computing);
    end_pool(busy);
    end();
}
END_TEST

START_TEST(many_waiting_tasks_are_stopped)
{
    enum { N = 50 };
    fx_future *futures[N];
    for (int i = 0; i < N; i++)
        futures[i] = submit(pool, wait_and_clean, NULL);
    await(atomic_load(&begun) == N);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(fx_future_stop(futures[i]), 0);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(exception_of(futures[i]), FX_STOPPED);
    ck_assert_int_eq(atomic_load(&cleaned), N);
    end();
}
END_TEST

static const fx_target limited_ones[] = { sleep_and_clean, compute_and_clean };

START_TEST(a_time_limit_ends_a_task_that_waits_or_computes)
{
    fx_submit_attr attr = { .time_limit = FX_MSEC(20) };
    fx_future *limited = fx_submit_with(pool, limited_ones[_i], NULL, &attr);
    ck_assert_int_eq(fx_future_result_for(limited, FX_SEC(await_limit()), NULL), -ETIME);
    ck_assert_int_eq(exception_of(limited), FX_TIMED_OUT);
    ck_assert_int_eq(atomic_load(&cleaned), 1);
    end();
}
END_TEST

START_TEST(a_time_limit_that_is_kept_is_of_no_consequence)
{
    fx_submit_attr attr = { .time_limit = FX_SEC(100) };
    for (int i = 0; i < 10; i++)
        ck_assert_ptr_eq(result_of(fx_submit_with(pool, return_it, &told, &attr)), &told);
    end();
}
END_TEST

static void *stop_own(void *arg)
{
    fx_future *_Atomic *own = arg;
    FX_TRY {
        while (!atomic_load(own))
            fx_yield();
        fx_future_stop(atomic_load(own));
        expect(false);
    } FX_FINALLY {
        atomic_fetch_add(&cleaned, 1);
    } FX_END
    return NULL;
}

START_TEST(a_task_that_stops_itself_is_stopped_there)
{
    fx_future *_Atomic own = NULL;
    atomic_store(&own, submit(pool, stop_own, (void *)&own));
    ck_assert_int_eq(exception_of(own), FX_STOPPED);
    ck_assert_int_eq(atomic_load(&cleaned), 1);
    end();
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_checked_fixture(tests, one_worker, NULL);
    tcase_add_loop_test(tests, a_stopped_task_is_unwound_and_its_worker_lives_on, 0,
                        THREADS_ARE_PTHREADS ? 2 : 3);
    tcase_add_loop_test(tests, a_stop_reaches_tasks_of_a_pool_whose_maker_has_blocked_all_signals, 0,
                        THREADS_ARE_PTHREADS ? 2 : 3);
    tcase_add_test(tests, a_stopped_task_that_has_not_begun_is_cancelled);
    tcase_add_test(tests, many_waiting_tasks_are_stopped);
    tcase_add_loop_test(tests, a_time_limit_ends_a_task_that_waits_or_computes, 0,
                        THREADS_ARE_PTHREADS ? 1 : 2);
    tcase_add_test(tests, a_time_limit_that_is_kept_is_of_no_consequence);
    tcase_add_test(tests, a_task_that_stops_itself_is_stopped_there);
}

int main(void)
{
    return run_suite("task_stop", add_tests);
}

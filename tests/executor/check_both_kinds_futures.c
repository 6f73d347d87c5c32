/* Waiting for futures, following, cancelling, stopping and limiting them, the same on threads
 * and on processes; and with those of both at once. */
#include "kinds.h"

#include "../support/crew.h"
#include "../thread/suite.h"

/* --- waiting for several ---------------------------------------------------------------------- */

/* Futures of both kinds of pool in turn. */
static void submit_mixed(fx_executor *pools[KINDS], fx_future **futures, int n)
{
    for (int i = 0; i < n; i++)
        futures[i] = submit_number(pools[i % KINDS], square, i);
}

static void make_both(fx_executor *pools[KINDS])
{
    for (int kind = 0; kind < KINDS; kind++)
        pools[kind] = pool_of_kind(kind, 1);
}

static void end_both(fx_executor *pools[KINDS])
{
    for (int kind = 0; kind < KINDS; kind++)
        end_kind(pools[kind]);
}

START_TEST(a_wait_takes_futures_of_both_kinds)
{
    enum { N = 60 };
    fx_executor *pools[KINDS];
    fx_future *futures[N];
    size_t done = 0;
    make_both(pools);
    submit_mixed(pools, futures, N);
    ck_assert_int_eq(fx_wait(futures, N, FX_SEC(await_limit()), FX_ALL_COMPLETED, &done), 0);
    ck_assert_uint_eq(done, N);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(number_of(futures[i]), (long)i * i);
    end_both(pools);
}
END_TEST

START_TEST(a_wait_ends_with_the_first_of_either_kind)
{
    fx_executor *pools[KINDS];
    fx_future *futures[2];
    size_t done = 0;
    make_both(pools);
    futures[0] = submit_bare(pools[_i], wait_until_told);
    ck_assert_int_eq(fx_wait(futures, 1, FX_MSEC(5), FX_FIRST_COMPLETED, &done), -ETIMEDOUT);
    ck_assert_uint_eq(done, 0);
    futures[1] = submit_number(pools[!_i], return_code, -EIO);
    ck_assert_int_eq(fx_wait(futures, 2, FX_SEC(await_limit()), FX_FIRST_COMPLETED, &done), 0);
    ck_assert_uint_eq(done, 1);
    ck_assert_int_eq(fx_wait(futures, 2, FX_SEC(await_limit()), FX_FIRST_EXCEPTION, &done), 0);
    ck_assert_uint_eq(done, 1);
    ck_assert_int_eq(fx_wait(futures, 2, FX_MSEC(5), FX_ALL_COMPLETED, &done), -ETIMEDOUT);
    ck_assert_uint_eq(done, 1);
    atomic_store(&board->told, 1);
    ck_assert_int_eq(outcome_of(futures[0]), 0);
    ck_assert_int_eq(outcome_of(futures[1]), -EREMOTEIO);
    end_both(pools);
}
END_TEST

START_TEST(as_completed_yields_each_future_of_both_kinds_once)
{
    enum { N = 40 };
    fx_executor *pools[KINDS];
    fx_future *futures[N], *future;
    bool seen[N] = { false };
    fx_as_completed each;
    size_t index;
    int n = 0;
    make_both(pools);
    submit_mixed(pools, futures, N);
    ck_assert_int_eq(fx_as_completed_init(&each, futures, N, FX_SEC(await_limit())), 0);
    while (fx_as_completed_next(&each, &future, &index) == 1) {
        ck_assert_ptr_eq(future, futures[index]);
        ck_assert(fx_future_done(future) && !seen[index]);
        seen[index] = true;
        n++;
    }
    ck_assert_int_eq(n, N);
    fx_as_completed_end(&each);
    fx_future_unref_all(futures, N);
    end_both(pools);
}
END_TEST

static void *submit_and_wait(void *arg)
{
    int seven = 7;
    fx_future *future = fx_submit_copy(arg, square, &seven, sizeof seven, sizeof(long));
    void *result = NULL;
    if (!expect(future != NULL))
        return NULL;
    expect_int(fx_future_result(future, &result), ==, 0);
    expect_int(*(long *)result, ==, 49);
    fx_future_unref(future);
    return arg;
}

START_TEST(a_task_of_a_thread_pool_submits_and_is_suspended_while_it_waits)
{
    enum { N = 50 };
    fx_future *futures[N];
    fx_executor *pool = pool_of_kind(_i, 1), *threads = pool_of(1);
    for (int i = 0; i < N; i++)
        futures[i] = submit(threads, submit_and_wait, pool);
    for (int i = 0; i < N; i++)
        ck_assert_ptr_eq(result_of(futures[i]), pool);
    end_pool(threads);
    end_kind(pool);
}
END_TEST

static fx_executor *crews_pool;

static void *submit_many(void *arg)
{
    for (int i = 0; i < 100; i++) {
        int n = crew_number(arg) * 1000 + i;
        long number = 0;
        fx_future *future = fx_submit_copy(crews_pool, square, &n, sizeof n, sizeof number);
        if (expect(future != NULL))
            expect_int(fx_future_result_copy(future, &number, sizeof number), ==, 0);
        expect_int(number, ==, (long)n * n);
        fx_future_unref(future);
    }
    return NULL;
}

START_TEST(many_threads_submit)
{
    crews_pool = pool_of_kind(_i, 2);
    crew_run(4, submit_many);
    end_kind(crews_pool);
}
END_TEST

START_TEST(waits_that_end_too_early_lose_nothing)
{
    enum { N = 400 };
    unsigned seed = 1;
    fx_executor *pool = pool_of_kind(_i, 2);
    for (int i = 0; i < N; i++) {
        fx_future *future = submit_number(pool, square, i);
        int rc, waits = 0;
        do
            rc = fx_future_result_for(future, FX_USEC(rand_r(&seed) % 30), NULL);
        while (rc == -ETIMEDOUT && ++waits < 1000000);
        ck_assert_int_eq(rc, 0);
        ck_assert_int_eq(number_of(future), (long)i * i);
    }
    end_kind(pool);
}
END_TEST

static fx_future *awaited;

static void *await_result(void *arg)
{
    long number = 0;
    if (crew_number(arg) % 2)
        expect_int(fx_future_result_for(awaited, FX_SEC(await_limit()), NULL), ==, 0);
    expect_int(fx_future_result_copy(awaited, &number, sizeof number), ==, 0);
    expect_int(number, ==, 64);
    return NULL;
}

TASK(square_when_told)
{
    wait_until_told(NULL, 0, NULL, 0);
    return square(arg, arg_size, result, result_size);
}

START_TEST(many_threads_wait_for_one_future)
{
    struct crew crew;
    fx_executor *pool = pool_of_kind(_i, 1);
    awaited = submit_number(pool, square_when_told, 8);
    crew_start(&crew, 6, await_result);
    ck_assert_int_eq(fx_future_result_for(awaited, FX_MSEC(5), NULL), -ETIMEDOUT);
    atomic_store(&board->told, 1);
    crew_join(&crew);
    ck_assert_int_eq(number_of(awaited), 64);
    end_kind(pool);
}
END_TEST

START_TEST(a_thread_that_waits_is_stopped_and_the_task_is_not)
{
    fx_executor *pool = pool_of_kind(_i, 1);
    awaited = submit_number(pool, square_when_told, 8);
    await(atomic_load(&board->begun) == 1);
    fx_thread *thread = fx_thread_spawn(await_result, NULL);
    ck_assert_int_eq(fx_thread_join_for(thread, FX_MSEC(5), NULL), -ETIMEDOUT);
    ck_assert_int_eq(fx_thread_stop(thread), 0);
    ck_assert_int_eq(fx_thread_join_for(thread, FX_SEC(await_limit()), NULL), 0);
    ck_assert_int_eq(fx_thread_exception(thread), FX_STOPPED);
    fx_thread_unref(thread);
    atomic_store(&board->told, 1);
    ck_assert_int_eq(number_of(awaited), 64);
    end_kind(pool);
}
END_TEST

/* --- what follows ----------------------------------------------------------------------------- */

static atomic_int calls;
static long called_with;

static void note_call(fx_future *future, void *arg)
{
    expect(fx_future_done(future));
    if (arg)
        expect_int(fx_future_result_copy(future, arg, sizeof(long)), ==, 0);
    atomic_fetch_add(&calls, 1);
}

START_TEST(callbacks_are_called_when_it_is_done_and_at_once_afterwards)
{
    fx_executor *pool = pool_of_kind(_i, 1);
    fx_future *holding = submit_bare(pool, wait_until_told);
    fx_future *future = submit_number(pool, square, 9);
    ck_assert_int_eq(fx_future_add_done_callback(future, note_call, &called_with), 0);
    ck_assert_int_eq(fx_future_add_done_callback(future, note_call, NULL), 0);
    ck_assert_int_eq(atomic_load(&calls), 0);
    atomic_store(&board->told, 1);
    await(atomic_load(&calls) == 2);
    ck_assert_int_eq(called_with, 81);
    ck_assert_int_eq(fx_future_add_done_callback(future, note_call, NULL), 0);
    ck_assert_int_eq(atomic_load(&calls), 3);
    ck_assert_int_eq(number_of(future), 81);
    ck_assert_int_eq(outcome_of(holding), 0);
    end_kind(pool);
}
END_TEST

static void submit_another(fx_future *future, void *arg)
{
    int n = 11;
    (void)future;
    fx_future *another = fx_submit_copy(arg, square, &n, sizeof n, sizeof(long));
    expect(another != NULL);
    fx_future_unref(another);
    atomic_fetch_add(&calls, 1);
}

START_TEST(a_callback_may_submit)
{
    fx_executor *pool = pool_of_kind(_i, 1);
    fx_future *future = submit_bare(pool, sleep_and_count);
    ck_assert_int_eq(fx_future_add_done_callback(future, submit_another, pool), 0);
    ck_assert_int_eq(outcome_of(future), 0);
    await(atomic_load(&calls) == 1);
    end_kind(pool);
}
END_TEST

static void submit_and_wait_in_callback(fx_future *future, void *arg)
{
    (void)future;
    submit_and_wait(arg);
    atomic_fetch_add(&calls, 1);
}

START_TEST(a_callback_may_wait_for_another_task_of_the_pool)
{
    fx_executor *pool = pool_of_kind(_i, 1);
    for (int i = 1; i <= 5; i++) {
        fx_future *future = submit_bare(pool, sleep_and_count);
        ck_assert_int_eq(fx_future_add_done_callback(future, submit_and_wait_in_callback, pool), 0);
        ck_assert_int_eq(outcome_of(future), 0);
        await(atomic_load(&calls) == i);
    }
    end_kind(pool);
}
END_TEST

static void shut_down_in_callback(fx_future *future, void *arg)
{
    (void)future;
    /* It would wait for itself, or it does not: either is told, and nobody hangs. */
    int rc = fx_executor_shutdown_for(arg, FX_SEC(await_limit()), false);
    expect(rc == 0 || rc == -EDEADLK);
    atomic_fetch_add(&calls, 1);
}

START_TEST(a_callback_that_shuts_its_pool_down_hangs_nobody)
{
    fx_executor *pool = pool_of_kind(_i, 1);
    fx_future *future = submit_bare(pool, sleep_and_count);
    ck_assert_int_eq(fx_future_add_done_callback(future, shut_down_in_callback, pool), 0);
    ck_assert_int_eq(outcome_of(future), 0);
    await(atomic_load(&calls) == 1);
    end_kind(pool);
}
END_TEST

static atomic_bool callback_may_end;

static void dawdle_in_callback(fx_future *future, void *arg)
{
    (void)future;
    (void)arg;
    atomic_fetch_add(&calls, 1);
    while (!atomic_load(&callback_may_end))
        await_pause();
}

static void *wait_and_sleep(void *arg)
{
    fx_future_result(awaited, NULL);
    fx_sleep(FX_FOREVER);
    return arg;
}

START_TEST(a_stop_of_a_thread_that_waits_is_not_lost_in_a_callback)
{
    fx_executor *pool = pool_of_kind(_i, 1);
    awaited = submit_bare(pool, wait_until_told);
    ck_assert_int_eq(fx_future_add_done_callback(awaited, dawdle_in_callback, NULL), 0);
    fx_thread *thread = fx_thread_spawn(wait_and_sleep, NULL);
    ck_assert_int_eq(fx_thread_join_for(thread, FX_MSEC(5), NULL), -ETIMEDOUT);
    atomic_store(&board->told, 1);
    await(atomic_load(&calls) == 1);
    ck_assert_int_eq(fx_thread_stop(thread), 0);
    atomic_store(&callback_may_end, true);
    ck_assert_int_eq(fx_thread_join_for(thread, FX_SEC(await_limit()), NULL), 0);
    ck_assert_int_eq(fx_thread_exception(thread), FX_STOPPED);
    fx_thread_unref(thread);
    ck_assert_int_eq(outcome_of(awaited), 0);
    end_kind(pool);
}
END_TEST

static void *double_it(fx_future *done, void *arg)
{
    long number = 0;
    fx_exc code = 0;
    if (arg) { /* it failed */
        expect_int(fx_future_exception(done, &code), ==, 0);
        return (void *)(intptr_t)code;
    }
    expect_int(fx_future_result_copy(done, &number, sizeof number), ==, 0);
    return (void *)(2 * number);
}

START_TEST(a_continuation_runs_on_a_thread_pool)
{
    fx_executor *pool = pool_of_kind(_i, 1), *threads = pool_of(1);
    fx_future *future = submit_number(pool, square, 4);
    fx_future *failing = submit_number(pool, return_code, -EIO);
    fx_future *then = fx_future_then(future, threads, double_it, NULL);
    fx_future *otherwise = fx_future_then(failing, threads, double_it, &calls);
    ck_assert_int_eq((int)(intptr_t)result_of(then), 32);
    ck_assert_int_eq((int)(intptr_t)result_of(otherwise), -EIO);
    fx_future_unref(future);
    fx_future_unref(failing);
    end_pool(threads);
    end_kind(pool);
}
END_TEST

/* --- cancel, stop, time limit ----------------------------------------------------------------- */

START_TEST(a_pending_task_is_cancelled_and_a_running_one_is_not)
{
    fx_executor *pool = pool_of_kind(_i, 1);
    fx_future *running = submit_bare(pool, wait_until_told);
    await(atomic_load(&board->begun) == 1);
    await(fx_future_running(running));
    fx_future *pending = submit_bare(pool, count), *stopped = submit_bare(pool, count);
    ck_assert_int_eq(fx_future_add_done_callback(pending, note_call, NULL), 0);
    ck_assert_int_eq(fx_future_cancel(running), -EBUSY);
    ck_assert_int_eq(fx_future_cancel(pending), 0);
    ck_assert_int_eq(fx_future_cancel(pending), 0);
    ck_assert_int_eq(fx_future_stop(stopped), 0);
    ck_assert(fx_future_cancelled(pending) && fx_future_cancelled(stopped));
    ck_assert_int_eq(outcome_of(pending), -ECANCELED);
    ck_assert_int_eq(outcome_of(stopped), -ECANCELED);
    ck_assert_int_eq(atomic_load(&calls), 1);
    atomic_store(&board->told, 1);
    ck_assert_int_eq(fx_future_result_for(running, FX_SEC(await_limit()), NULL), 0);
    ck_assert_int_eq(fx_future_cancel(running), -EALREADY);
    ck_assert_int_eq(fx_future_stop(running), -EALREADY);
    fx_future_unref(running);
    end_kind(pool);
    ck_assert_int_eq(atomic_load(&board->done), 1); /* the cancelled ones never ran */
}
END_TEST

TASK(sleep_for_ever)
{
    UNUSED_TASK_ARGUMENTS();
    atomic_fetch_add(&board->begun, 1);
    fx_sleep(FX_FOREVER);
    return 0;
}

START_TEST(a_running_task_is_stopped_and_the_pool_goes_on)
{
    fx_executor *pool = pool_of_kind(_i, 1);
    for (int i = 1; i <= 3; i++) {
        fx_future *future = submit_bare(pool, sleep_for_ever);
        fx_future *next = submit_number(pool, square, i);
        await(atomic_load(&board->begun) == i);
        ck_assert_int_eq(fx_future_stop(future), 0);
        fx_future_ref(future);
        ck_assert(!fx_future_cancelled(future));
        expect_exception(future, -ECANCELED, FX_STOPPED, NULL);
        ck_assert_int_eq(fx_future_stop(future), -EALREADY);
        ck_assert_int_eq(fx_future_worker_status(future, NULL), -ENODATA);
        fx_future_unref(future);
        ck_assert_int_eq(number_of(next), (long)i * i);
    }
    end_kind(pool);
}
END_TEST

static fx_future *submit_limited(fx_executor *pool, fx_copy_target fn, fx_nsec limit)
{
    int n = 6;
    fx_future *future = fx_submit_copy_with(pool, fn, &n, sizeof n, sizeof(long),
                                            &(fx_submit_attr){ .time_limit = limit });
    ck_assert_ptr_nonnull(future);
    return future;
}

START_TEST(a_time_limit_ends_what_takes_longer_and_nothing_else)
{
    fx_executor *pool = pool_of_kind(_i, 1);
    fx_deadline begin = fx_now();
    fx_future *slow = submit_limited(pool, sleep_for_ever, FX_MSEC(20));
    fx_future *slower = submit_limited(pool, sleep_for_ever, FX_MSEC(20));
    fx_future *quick = submit_limited(pool, square, FX_SEC(await_limit()));
    expect_exception(slow, -ETIME, FX_TIMED_OUT, NULL);
    expect_exception(slower, -ETIME, FX_TIMED_OUT, NULL);
    /* From the start of each: a process runs one after the other. */
    ck_assert(fx_now() - begin >= (_i == PROCESS_POOL ? FX_MSEC(40) : FX_MSEC(20)));
    ck_assert_int_eq(number_of(quick), 36);
    end_kind(pool);
}
END_TEST

START_TEST(the_time_of_a_task_that_waits_to_begin_is_not_limited)
{
    fx_executor *pool = pool_of_kind(_i, 1);
    fx_future *holding = submit_bare(pool, wait_until_told);
    await(atomic_load(&board->begun) == 1);
    fx_future *limited = submit_limited(pool, square, FX_MSEC(300));
    fx_sleep(FX_MSEC(350));
    ck_assert(!fx_future_done(limited));
    atomic_store(&board->told, 1);
    ck_assert_int_eq(number_of(limited), 36);
    ck_assert_int_eq(outcome_of(holding), 0);
    end_kind(pool);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_checked_fixture(tests, set_up_board, NULL);
    tcase_add_test(tests, a_wait_takes_futures_of_both_kinds);
    tcase_add_loop_test(tests, a_wait_ends_with_the_first_of_either_kind, 0, KINDS);
    tcase_add_test(tests, as_completed_yields_each_future_of_both_kinds_once);
    tcase_add_loop_test(tests, a_task_of_a_thread_pool_submits_and_is_suspended_while_it_waits, 0,
                        KINDS);
    tcase_add_loop_test(tests, many_threads_submit, 0, KINDS);
    tcase_add_loop_test(tests, waits_that_end_too_early_lose_nothing, 0, KINDS);
    tcase_add_loop_test(tests, many_threads_wait_for_one_future, 0, KINDS);
    tcase_add_loop_test(tests, a_thread_that_waits_is_stopped_and_the_task_is_not, 0, KINDS);
    tcase_add_loop_test(tests, callbacks_are_called_when_it_is_done_and_at_once_afterwards, 0,
                        KINDS);
    tcase_add_loop_test(tests, a_callback_may_submit, 0, KINDS);
    tcase_add_loop_test(tests, a_callback_may_wait_for_another_task_of_the_pool, 0, KINDS);
    tcase_add_loop_test(tests, a_callback_that_shuts_its_pool_down_hangs_nobody, 0, KINDS);
    tcase_add_loop_test(tests, a_stop_of_a_thread_that_waits_is_not_lost_in_a_callback, 0, KINDS);
    tcase_add_loop_test(tests, a_continuation_runs_on_a_thread_pool, 0, KINDS);
    tcase_add_loop_test(tests, a_pending_task_is_cancelled_and_a_running_one_is_not, 0, KINDS);
    tcase_add_loop_test(tests, a_running_task_is_stopped_and_the_pool_goes_on, 0, KINDS);
    tcase_add_loop_test(tests, a_time_limit_ends_what_takes_longer_and_nothing_else, 0, KINDS);
    tcase_add_loop_test(tests, the_time_of_a_task_that_waits_to_begin_is_not_limited, 0, KINDS);
}

int main(void)
{
    return run_suite("futures of both kinds", add_tests);
}

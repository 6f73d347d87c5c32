/* The life of a pool, the same with threads and with processes: initializers, full pools, the
 * end. */
#include "kinds.h"
#include "sanitizer.h"

#include "../thread/captured.h"
#include "../thread/suite.h"

/* --- making one ------------------------------------------------------------------------------- */

START_TEST(a_pool_without_attributes_works)
{
    fx_executor *pool = _i == THREAD_POOL ? fx_thread_pool_new(NULL) : fx_process_pool_new(NULL);
    ck_assert_ptr_nonnull(pool);
    ck_assert_int_eq(number_of(submit_number(pool, square, 12)), 144);
    end_kind(pool);
}
END_TEST

START_TEST(several_pools_stand_side_by_side)
{
    enum { POOLS = 4 };
    fx_executor *pools[POOLS];
    fx_future *futures[POOLS];
    for (int i = 0; i < POOLS; i++)
        pools[i] = pool_of_kind(_i, 1);
    for (int i = 0; i < POOLS; i++)
        futures[i] = submit_number(pools[i], square, i);
    for (int i = POOLS; i-- > 0;) {
        ck_assert_int_eq(number_of(futures[i]), i * i);
        end_kind(pools[i]);
    }
}
END_TEST

START_TEST(as_many_tasks_run_at_once_as_there_may_be_workers)
{
    enum { WORKERS = 3, TASKS = 5 };
    fx_future *futures[TASKS];
    fx_executor *pool = pool_of_kind(_i, WORKERS);
    for (int i = 0; i < TASKS; i++)
        futures[i] = submit_bare(pool, wait_until_told);
    await(atomic_load(&board->begun) == WORKERS);
    fx_sleep(FX_MSEC(5));
    ck_assert_int_eq(atomic_load(&board->begun), WORKERS);
    atomic_store(&board->told, 1);
    for (int i = 0; i < TASKS; i++)
        ck_assert_int_eq(outcome_of(futures[i]), 0);
    end_kind(pool);
}
END_TEST

/* --- initializers ----------------------------------------------------------------------------- */

static int count_initialized(int code)
{
    atomic_fetch_add(&board->initialized, 1);
    if (code > 0)
        fx_raise(code);
    return code;
}

static int initialize_thread(void *code)
{
    return count_initialized(*(int *)code);
}

static int initialize_process(const void *code, size_t size)
{
    task_expects(size == sizeof(int));
    return count_initialized(*(const int *)code);
}

/* The argument is static, as a thread pool has only its address. */
static fx_executor *pool_with_initializer(int kind, size_t workers, int code)
{
    static int given;
    given = code;
    fx_executor *pool =
        kind == THREAD_POOL
            ? fx_thread_pool_new(&(fx_thread_pool_attr){
                  .max_workers = workers, .initializer = initialize_thread, .initarg = &given })
            : fx_process_pool_new(&(fx_process_pool_attr){ .max_workers = workers,
                                                           .initializer = initialize_process,
                                                           .initarg = &given,
                                                           .initarg_size = sizeof given });
    ck_assert_ptr_nonnull(pool);
    return pool;
}

TASK(expect_initialized)
{
    UNUSED_TASK_ARGUMENTS();
    task_expects(atomic_load(&board->initialized) > 0);
    return wait_until_told(NULL, 0, NULL, 0);
}

START_TEST(each_worker_is_initialized_before_its_first_task)
{
    enum { WORKERS = 3 };
    fx_future *futures[WORKERS];
    fx_executor *pool = pool_with_initializer(_i, WORKERS, 0);
    for (int i = 0; i < WORKERS; i++)
        futures[i] = submit_bare(pool, expect_initialized);
    await(atomic_load(&board->begun) == WORKERS);
    ck_assert_int_eq(atomic_load(&board->initialized), WORKERS);
    atomic_store(&board->told, 1);
    for (int i = 0; i < WORKERS; i++)
        ck_assert_int_eq(outcome_of(futures[i]), 0);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(outcome_of(submit_bare(pool, count)), 0);
    end_kind(pool);
    ck_assert_int_eq(atomic_load(&board->initialized), WORKERS);
}
END_TEST

START_TEST(an_initializer_that_fails_breaks_the_pool)
{
    fx_executor *pool = pool_with_initializer(_i / 2, 1, _i % 2 ? -EIO : 7);
    fx_future *first = submit_bare(pool, count);
    expect_exception(first, -EPIPE, FX_POOL_BROKEN, NULL);
    errno = 0;
    ck_assert_ptr_null(fx_submit_copy(pool, count, NULL, 0, 0));
    ck_assert_int_eq(errno, EPIPE);
    end_kind(pool);
    ck_assert_int_eq(atomic_load(&board->done), 0);
}
END_TEST

/* --- full pools ------------------------------------------------------------------------------- */

/* One task runs, and one waits: there is no room. */
static fx_executor *full_pool(int kind, fx_when_full when_full, fx_nsec timeout,
                              fx_future *futures[2])
{
    fx_executor *pool = new_of_kind(kind, 1, 1, when_full, timeout);
    futures[0] = submit_bare(pool, wait_until_told);
    await(atomic_load(&board->begun) == 1);
    futures[1] = submit_number(pool, square, 2);
    return pool;
}

static void end_full_pool(fx_executor *pool, fx_future *futures[2])
{
    atomic_store(&board->told, 1);
    ck_assert_int_eq(outcome_of(futures[0]), 0);
    ck_assert_int_eq(number_of(futures[1]), 4);
    end_kind(pool);
}

START_TEST(a_full_pool_refuses)
{
    fx_future *futures[2];
    fx_executor *pool = full_pool(_i, FX_FULL_REFUSE, 0, futures);
    errno = 0;
    ck_assert_ptr_null(fx_submit_copy(pool, count, NULL, 0, 0));
    ck_assert_int_eq(errno, EAGAIN);
    end_full_pool(pool, futures);
    ck_assert_int_eq(atomic_load(&board->done), 1);
}
END_TEST

START_TEST(a_submit_to_a_full_pool_blocks_for_so_long)
{
    fx_future *futures[2];
    fx_executor *pool = full_pool(_i, FX_FULL_BLOCK, FX_MSEC(20), futures);
    fx_deadline begin = fx_now();
    errno = 0;
    ck_assert_ptr_null(fx_submit_copy(pool, count, NULL, 0, 0));
    ck_assert_int_eq(errno, ETIMEDOUT);
    ck_assert(fx_now() - begin >= FX_MSEC(20));
    end_full_pool(pool, futures);
}
END_TEST

static void *submit_one_more(void *arg)
{
    int n = 3;
    return fx_submit_copy(arg, square, &n, sizeof n, sizeof(long));
}

START_TEST(a_submit_that_blocks_goes_on_when_there_is_room)
{
    fx_future *futures[2];
    void *third = NULL;
    fx_executor *pool = full_pool(_i, FX_FULL_BLOCK, 0, futures);
    fx_thread *thread = fx_thread_spawn(submit_one_more, pool);
    ck_assert_int_eq(fx_thread_join_for(thread, FX_MSEC(10), NULL), -ETIMEDOUT);
    atomic_store(&board->told, 1);
    ck_assert_int_eq(fx_thread_join_for(thread, FX_SEC(await_limit()), &third), 0);
    ck_assert_int_eq(number_of(third), 9);
    fx_thread_unref(thread);
    end_full_pool(pool, futures);
}
END_TEST

START_TEST(a_cancelled_task_makes_room)
{
    fx_future *futures[2];
    fx_executor *pool = full_pool(_i, FX_FULL_REFUSE, 0, futures);
    ck_assert_int_eq(fx_future_cancel(futures[1]), 0);
    fx_future_unref(futures[1]);
    futures[1] = submit_number(pool, square, 2);
    end_full_pool(pool, futures);
}
END_TEST

TASK(expect_submitters_process)
{
    UNUSED_TASK_ARGUMENTS();
    task_expects(getpid() == *(const pid_t *)arg);
    return count(NULL, 0, NULL, 0);
}

START_TEST(a_full_pool_has_its_submitter_run_the_task)
{
    fx_future *futures[2];
    pid_t here = getpid();
    fx_executor *pool = full_pool(_i, FX_FULL_RUN, 0, futures);
    fx_future *ran = submit_copy(pool, expect_submitters_process, &here, sizeof here, 0);
    ck_assert(fx_future_done(ran));
    ck_assert_int_eq(outcome_of(ran), 0);
    ck_assert_int_eq(atomic_load(&board->done), 1);
    end_full_pool(pool, futures);
}
END_TEST

/* --- the end ---------------------------------------------------------------------------------- */

/* One task runs and some wait when the pool is shut down: waiting or not, cancelling or not. */
START_TEST(shutdown_with_each_combination)
{
    enum { N = 10 };
    bool wait = _i & 1, cancel = _i & 2;
    fx_future *futures[N];
    fx_executor *pool = pool_of_kind(_i / 4, 1);
    fx_future *running = submit_bare(pool, wait_until_told);
    await(atomic_load(&board->begun) == 1);
    for (int i = 0; i < N; i++)
        futures[i] = submit_bare(pool, count);
    if (wait)
        atomic_store(&board->told, cancel ? 0 : 1);
    if (wait && cancel) {
        ck_assert_int_eq(fx_executor_shutdown_for(pool, FX_MSEC(5), true), -ETIMEDOUT);
        ck_assert_int_eq(fx_executor_shutdown_until(pool, fx_now(), true), -ETIMEDOUT);
    } else {
        ck_assert_int_eq(fx_executor_shutdown(pool, wait, cancel), 0);
    }
    if (wait && !cancel)
        ck_assert_int_eq(atomic_load(&board->done), N + 1);
    errno = 0;
    ck_assert_ptr_null(fx_submit_copy(pool, count, NULL, 0, 0));
    ck_assert_int_eq(errno, ESHUTDOWN);
    atomic_store(&board->told, 1);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(outcome_of(futures[i]), cancel ? -ECANCELED : 0);
    ck_assert_int_eq(outcome_of(running), 0);
    ck_assert_int_eq(atomic_load(&board->done), cancel ? 1 : N + 1);
    ck_assert_int_eq(fx_executor_shutdown(pool, true, !cancel), 0); /* again */
    end_kind(pool);
}
END_TEST

START_TEST(a_pool_that_never_had_a_task_ends)
{
    fx_executor *pool = pool_of_kind(_i, 2);
    end_kind(pool);
    pool = pool_of_kind(_i, 2);
    fx_executor_unref(pool);
}
END_TEST

START_TEST(with_shuts_a_pool_down)
{
    fx_executor *pool = pool_of_kind(_i, 2);
    FX_WITH(pool) {
        fx_future_unref(submit_bare(pool, sleep_and_count));
    }
    ck_assert_int_eq(atomic_load(&board->done), 1);
    errno = 0;
    ck_assert_ptr_null(fx_submit_copy(pool, count, NULL, 0, 0));
    ck_assert_int_eq(errno, ESHUTDOWN);
    fx_executor_unref(pool);
}
END_TEST

START_TEST(a_pool_whose_handle_was_given_up_does_what_was_submitted)
{
    enum { N = 10 };
    fx_future *futures[N];
    fx_executor *pool = pool_of_kind(_i, 2);
    for (int i = 0; i < N; i++)
        futures[i] = submit_bare(pool, sleep_and_count);
    fx_executor_unref(pool);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(outcome_of(futures[i]), 0);
    ck_assert_int_eq(atomic_load(&board->done), N);
}
END_TEST

START_TEST(a_future_outlives_its_pool)
{
    long *result = NULL;
    fx_executor *pool = pool_of_kind(_i, 1);
    fx_future *future = submit_number(pool, square, 8);
    end_kind(pool);
    end_kind(pool_of_kind(_i, 1)); /* another one may take what the first gave back */
    ck_assert_int_eq(fx_future_result(future, (void **)&result), 0);
    ck_assert_int_eq(*result, 64);
    ck_assert_int_eq(number_of(future), 64);
}
END_TEST

TASK(sleep_and_print)
{
    (void)arg_size, (void)result, (void)result_size;
    fx_sleep(FX_MSEC(5));
    printf("%s\n", (const char *)arg);
    return 0;
}

static void submit_and_return(void *kind)
{
    fx_executor *pool = pool_of_kind((int)(intptr_t)kind, 1);
    for (int i = 0; i < 3; i++)
        fx_future_unref(submit_copy(pool, sleep_and_print, "done", 5, 0));
}

/* The output is no terminal, so that it stands in a buffer of stdio's of whoever printed it. */
START_TEST(the_end_of_the_program_waits_for_tasks_and_what_they_print)
{
    struct child child;
    child_fork(&child, submit_and_return, (void *)(intptr_t)_i);
    assert_child_exits(&child, EXIT_SUCCESS);
    ck_assert_str_eq(child.out, "done\ndone\ndone\n");
}
END_TEST

static void *leave_with_by_raise(void *kind)
{
    fx_executor *pool = pool_of_kind((int)(intptr_t)kind, 1);
    FX_DEFER((fx_callback)fx_executor_unref, pool);
    FX_WITH(pool) {
        fx_future_unref(submit_bare(pool, sleep_and_count));
        fx_raise(5);
    }
    return NULL;
}

static void ignore_exception(fx_thread *thread, const fx_exc_info *info)
{
    (void)thread;
    (void)info;
}

START_TEST(with_shuts_down_and_waits_where_an_exception_leaves_it)
{
    fx_set_excepthook(ignore_exception);
    fx_thread *thread = fx_thread_spawn(leave_with_by_raise, (void *)(intptr_t)_i);
    ck_assert_int_eq(fx_thread_join_for(thread, FX_SEC(await_limit()), NULL), 0);
    ck_assert_int_eq(fx_thread_exception(thread), 5);
    ck_assert_int_eq(atomic_load(&board->done), 1);
    fx_thread_unref(thread);
}
END_TEST

/* --- fork ------------------------------------------------------------------------------------- */

static fx_executor *parents;
static fx_future *parents_future, *parents_done; /* whose result is the parent's to read */
static int forked_kind;

static int look_at_parents_pool(void)
{
    errno = 0;
    if (fx_submit_copy(parents, count, NULL, 0, 0) || errno != EPIPE)
        return 1;
    if (fx_future_result(parents_future, NULL) != -ESRCH)
        return 2;
    if (!fx_future_done(parents_done))
        return 3;
    if (fx_executor_shutdown(parents, true, true) != 0)
        return 4;
    fx_future_unref(parents_future);
    fx_future_unref(parents_done);
    fx_executor_unref(parents);
    fx_executor *own = forked_kind == THREAD_POOL ? fx_thread_pool_new(NULL)
                                                  : fx_process_pool_new(NULL);
    int n = 7;
    long number = 0;
    fx_future *future = own ? fx_submit_copy(own, square, &n, sizeof n, sizeof number) : NULL;
    if (!future || fx_future_result_copy(future, &number, sizeof number) != 0 || number != 49)
        return 5;
    fx_future_unref(future);
    int rc = fx_executor_shutdown(own, true, false);
    fx_executor_unref(own);
    return rc == 0 ? 0 : 6;
}

START_TEST(in_a_forked_child_the_parents_pool_is_broken_and_new_ones_work)
{
    forked_kind = _i;
    parents = pool_of_kind(_i, 2);
    parents_done = submit_number(parents, square, 5);
    ck_assert_int_eq(fx_future_result_for(parents_done, FX_SEC(await_limit()), NULL), 0);
    parents_future = submit_bare(parents, wait_until_told);
    await(atomic_load(&board->begun) == 1);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(child_run(look_at_parents_pool), 0);
    /* Nothing that a child did is felt here. */
    ck_assert_int_eq(number_of(submit_number(parents, square, 3)), 9);
    atomic_store(&board->told, 1);
    ck_assert_int_eq(outcome_of(parents_future), 0);
    ck_assert_int_eq(number_of(parents_done), 25);
    end_kind(parents);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_checked_fixture(tests, set_up_board, NULL);
    tcase_add_loop_test(tests, a_pool_without_attributes_works, 0, KINDS);
    tcase_add_loop_test(tests, several_pools_stand_side_by_side, 0, KINDS);
    tcase_add_loop_test(tests, as_many_tasks_run_at_once_as_there_may_be_workers, 0, KINDS);
    tcase_add_loop_test(tests, each_worker_is_initialized_before_its_first_task, 0, KINDS);
    tcase_add_loop_test(tests, an_initializer_that_fails_breaks_the_pool, 0, 2 * KINDS);
    tcase_add_loop_test(tests, a_full_pool_refuses, 0, KINDS);
    tcase_add_loop_test(tests, a_submit_to_a_full_pool_blocks_for_so_long, 0, KINDS);
    tcase_add_loop_test(tests, a_submit_that_blocks_goes_on_when_there_is_room, 0, KINDS);
    tcase_add_loop_test(tests, a_cancelled_task_makes_room, 0, KINDS);
    tcase_add_loop_test(tests, a_full_pool_has_its_submitter_run_the_task, 0, KINDS);
    tcase_add_loop_test(tests, shutdown_with_each_combination, 0, 4 * KINDS);
    tcase_add_loop_test(tests, a_pool_that_never_had_a_task_ends, 0, KINDS);
    tcase_add_loop_test(tests, with_shuts_a_pool_down, 0, KINDS);
    tcase_add_loop_test(tests, with_shuts_down_and_waits_where_an_exception_leaves_it, 0, KINDS);
    tcase_add_loop_test(tests, a_pool_whose_handle_was_given_up_does_what_was_submitted, 0, KINDS);
    tcase_add_loop_test(tests, a_future_outlives_its_pool, 0, KINDS);
    tcase_add_loop_test(tests, the_end_of_the_program_waits_for_tasks_and_what_they_print, 0,
                        KINDS);
    if (CHILD_MAY_ALLOCATE && !THREADS_ARE_PTHREADS)
        tcase_add_loop_test(tests, in_a_forked_child_the_parents_pool_is_broken_and_new_ones_work,
                            0, KINDS);
}

int main(void)
{
    return run_suite("pools of both kinds", add_tests);
}

/* What a process pool has that a thread pool has not: its attributes, what it refuses, its
 * workers. */
#include "processes.h"

#include "../thread/suite.h"

/* --- making one ------------------------------------------------------------------------------- */

static int accept_anything(const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    return 0;
}

START_TEST(unknown_values_are_refused)
{
    const fx_process_pool_attr wrong[] = {
        { .reserved = { [3] = 1 } },
        { .when_full = (fx_when_full)3, .max_pending = 1 },
        { .full_timeout = -5, .max_pending = 1 },
        { .max_workers = FX_PROCESSES_MOST + 1 },
        { .max_workers = SIZE_MAX },
        { .initializer = accept_anything, .initarg_size = 4 },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        errno = 0;
        ck_assert_ptr_null(fx_process_pool_new(&wrong[i]));
        ck_assert_int_eq(errno, EINVAL);
    }
}
END_TEST

static void *never(void *arg)
{
    expect(false);
    return arg;
}

static void *never_after(fx_future *done, void *arg)
{
    (void)done;
    return never(arg);
}

START_TEST(what_takes_a_pointer_is_refused)
{
    fx_executor *pool = processes(1);
    errno = 0;
    ck_assert_ptr_null(fx_submit(pool, never, pool));
    ck_assert_int_eq(errno, ENOTSUP);
    errno = 0;
    ck_assert_ptr_null(fx_submit_with(pool, never, pool, &(fx_submit_attr){ .name = "x" }));
    ck_assert_int_eq(errno, ENOTSUP);
    ck_assert_int_eq(fx_submit_detached(pool, never, pool), -ENOTSUP);
    fx_future *future = submit_number(pool, square, 2);
    errno = 0;
    ck_assert_ptr_null(fx_future_then(future, pool, never_after, NULL));
    ck_assert_int_eq(errno, ENOTSUP);
    ck_assert_int_eq(number_of(future), 4);
    ck_assert_int_eq(fx_executor_backend(pool), FX_BACKEND_AUTO);
    end_kind(pool);
}
END_TEST

/* --- workers ---------------------------------------------------------------------------------- */

TASK(note_process_and_wait)
{
    note_process();
    return wait_until_told(arg, arg_size, result, result_size);
}

START_TEST(each_worker_is_a_process_of_its_own)
{
    enum { WORKERS = 3 };
    fx_future *futures[WORKERS];
    fx_executor *pool = processes(WORKERS);
    for (int i = 0; i < WORKERS; i++)
        futures[i] = submit_bare(pool, note_process_and_wait);
    await(atomic_load(&board->begun) == WORKERS);
    for (int i = 0; i < WORKERS; i++) {
        ck_assert_int_ne(atomic_load(&board->pids[i]), getpid());
        for (int j = 0; j < i; j++)
            ck_assert_int_ne(atomic_load(&board->pids[i]), atomic_load(&board->pids[j]));
    }
    atomic_store(&board->told, 1);
    for (int i = 0; i < WORKERS; i++)
        ck_assert_int_eq(outcome_of(futures[i]), 0);
    end_kind(pool);
}
END_TEST

TASK(append)
{
    UNUSED_TASK_ARGUMENTS();
    task_expects(*(const int *)arg == atomic_fetch_add(&board->done, 1));
    return 0;
}

START_TEST(one_worker_begins_tasks_in_the_order_of_their_submits)
{
    enum { N = 300 };
    static fx_future *futures[N];
    fx_executor *pool = processes(1);
    for (int i = 0; i < N; i++)
        futures[i] = submit_number(pool, append, i);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(outcome_of(futures[i]), 0);
    end_kind(pool);
}
END_TEST

START_TEST(a_worker_ends_after_so_many_tasks_and_is_replaced)
{
    enum { TASKS = 10, MOST = 3 };
    pid_t pids[TASKS];
    int processes_seen = 1, run = 1;
    fx_executor *pool = fx_process_pool_new(
        &(fx_process_pool_attr){ .max_workers = 1, .max_tasks_per_child = MOST });
    for (int i = 0; i < TASKS; i++)
        pids[i] = process_of(pool);
    for (int i = 1; i < TASKS; i++) {
        run = pids[i] == pids[i - 1] ? run + 1 : 1;
        processes_seen += run == 1;
        ck_assert_int_le(run, MOST);
    }
    ck_assert_int_eq(processes_seen, 4);
    await(state_of(pids[0]) == 0);
    end_kind(pool);
}
END_TEST

START_TEST(all_tasks_are_run_where_each_has_a_process_of_its_own)
{
    enum { N = 60 };
    static fx_future *futures[N];
    fx_executor *pool = fx_process_pool_new(
        &(fx_process_pool_attr){ .max_workers = 3, .max_tasks_per_child = 1 });
    for (int i = 0; i < N; i++)
        futures[i] = submit_number(pool, square, i);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(number_of(futures[i]), i * i);
    end_kind(pool);
}
END_TEST

TASK(tell_name)
{
    UNUSED_TASK_ARGUMENTS();
    FILE *file = fopen("/proc/self/comm", "re");
    char *line = file ? fgets(result, (int)result_size, file) : NULL;
    if (file)
        fclose(file);
    return line ? 0 : -EIO;
}

START_TEST(workers_have_names)
{
    char name[64];
    fx_executor *pool = fx_process_pool_new(
        &(fx_process_pool_attr){ .max_workers = 1, .name_prefix = "parser" });
    fx_future *future = submit_copy(pool, tell_name, NULL, 0, sizeof name);
    ck_assert_int_eq(fx_future_result_for(future, FX_SEC(await_limit()), NULL), 0);
    ck_assert_int_eq(fx_future_result_copy(future, name, sizeof name), 0);
    ck_assert_str_eq(name, "parser_0\n");
    fx_future_unref(future);
    end_kind(pool);
}
END_TEST

/* --- initializers ----------------------------------------------------------------------------- */

static char initialized_with[100];

static int keep_argument(const void *arg, size_t size)
{
    if (size > sizeof initialized_with)
        return -EMSGSIZE;
    memcpy(initialized_with, arg, size);
    atomic_fetch_add(&board->initialized, 1);
    return 0;
}

TASK(tell_argument)
{
    UNUSED_TASK_ARGUMENTS();
    memcpy(result, initialized_with, result_size);
    return 0;
}

START_TEST(the_initializers_argument_is_copied_for_each_worker)
{
    char given[100] = "what the workers are to know", told[100];
    fx_executor *pool =
        fx_process_pool_new(&(fx_process_pool_attr){ .max_workers = 1,
                                                     .max_tasks_per_child = 1,
                                                     .initializer = keep_argument,
                                                     .initarg = given,
                                                     .initarg_size = sizeof given });
    ck_assert_ptr_nonnull(pool);
    memset(given, 0, sizeof given);
    for (int i = 1; i <= 3; i++) {
        fx_future *future = submit_copy(pool, tell_argument, NULL, 0, sizeof told);
        ck_assert_int_eq(fx_future_result_for(future, FX_SEC(await_limit()), NULL), 0);
        ck_assert_int_eq(fx_future_result_copy(future, told, sizeof told), 0);
        ck_assert_str_eq(told, "what the workers are to know");
        fx_future_unref(future);
    }
    ck_assert_int_ge(atomic_load(&board->initialized), 3);
    ck_assert_str_eq(initialized_with, ""); /* here it stays as it was */
    end_kind(pool);
}
END_TEST

static int die_in_it(const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    raise(SIGKILL);
    return 0;
}

static int exit_in_it(const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    exit(0);
}

START_TEST(an_initializer_that_dies_breaks_the_pool)
{
    fx_future *futures[5];
    fx_executor *pool = fx_process_pool_new(
        &(fx_process_pool_attr){ .max_workers = 2, .initializer = _i ? exit_in_it : die_in_it });
    for (int i = 0; i < 5; i++) {
        errno = 0;
        futures[i] = fx_submit_copy(pool, count, NULL, 0, 0);
        ck_assert(futures[i] || errno == EPIPE);
    }
    ck_assert_ptr_nonnull(futures[0]);
    for (int i = 0; i < 5; i++)
        if (futures[i])
            expect_exception(futures[i], -EPIPE, FX_POOL_BROKEN, NULL);
    errno = 0;
    ck_assert_ptr_null(fx_submit_copy(pool, count, NULL, 0, 0));
    ck_assert_int_eq(errno, EPIPE);
    end_kind(pool);
    ck_assert_int_eq(atomic_load(&board->done), 0);
}
END_TEST

static int take_long(const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    await_pause();
    return 0;
}

START_TEST(a_shutdown_before_workers_are_initialized_is_no_failure_of_theirs)
{
    for (int i = 0; i < 20; i++) {
        fx_future *futures[3];
        fx_executor *pool = fx_process_pool_new(
            &(fx_process_pool_attr){ .max_workers = 3, .initializer = take_long });
        for (int j = 0; j < 3; j++)
            futures[j] = submit_number(pool, square, j);
        ck_assert_int_eq(fx_executor_shutdown_for(pool, FX_SEC(await_limit()), false), 0);
        for (int j = 0; j < 3; j++)
            ck_assert_int_eq(number_of(futures[j]), j * j);
        errno = 0;
        ck_assert_ptr_null(fx_submit_copy(pool, count, NULL, 0, 0));
        ck_assert_int_eq(errno, ESHUTDOWN);
        fx_executor_unref(pool);
    }
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_checked_fixture(tests, set_up_board, NULL);
    tcase_add_test(tests, unknown_values_are_refused);
    tcase_add_test(tests, what_takes_a_pointer_is_refused);
    tcase_add_test(tests, each_worker_is_a_process_of_its_own);
    tcase_add_test(tests, one_worker_begins_tasks_in_the_order_of_their_submits);
    tcase_add_test(tests, a_worker_ends_after_so_many_tasks_and_is_replaced);
    tcase_add_test(tests, all_tasks_are_run_where_each_has_a_process_of_its_own);
    tcase_add_test(tests, workers_have_names);
    tcase_add_test(tests, the_initializers_argument_is_copied_for_each_worker);
    tcase_add_loop_test(tests, an_initializer_that_dies_breaks_the_pool, 0, 2);
    tcase_add_test(tests, a_shutdown_before_workers_are_initialized_is_no_failure_of_theirs);
}

int main(void)
{
    return run_suite("process pool", add_tests);
}

/* The life of a thread pool: what it takes, its workers, its end, fork. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pool.h"
#include "sanitizer.h"

#include "../thread/captured.h"
#include "../thread/suite.h"

static atomic_int begun, told, done;

static void *return_it(void *arg)
{
    return arg;
}

static void *count(void *arg)
{
    atomic_fetch_add(&done, 1);
    return arg;
}

/* Holds its worker. */
static void *compute_until_told(void *arg)
{
    atomic_fetch_add(&begun, 1);
    while (!atomic_load(&told))
        ;
    atomic_fetch_add(&done, 1);
    return arg;
}

static void *sleep_and_count(void *arg)
{
    fx_sleep(FX_MSEC(30));
    return count(arg);
}

/* --- making one ------------------------------------------------------------------------------- */

START_TEST(unknown_values_are_refused)
{
    const fx_thread_pool_attr wrong[] = {
        { .reserved = { [2] = 1 } },
        { .backend = (fx_backend)3 },
        { .when_full = (fx_when_full)3, .max_pending = 1 },
        { .idle_timeout = -5 },
        { .full_timeout = -5, .max_pending = 1 },
        { .max_workers = SIZE_MAX },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        errno = 0;
        ck_assert_ptr_null(fx_thread_pool_new(&wrong[i]));
        ck_assert_int_eq(errno, EINVAL);
    }
}
END_TEST

START_TEST(a_pool_without_attributes_works)
{
    fx_executor *pool = fx_thread_pool_new(NULL);
    ck_assert_ptr_nonnull(pool);
    ck_assert_ptr_eq(run_in(pool, return_it, &done), &done);
    ck_assert_int_ne(fx_executor_backend(pool), FX_BACKEND_AUTO);
    ck_assert_int_eq(fx_executor_terminate_workers(pool), -ENOTSUP);
    end_pool(pool);
}
END_TEST

START_TEST(the_backend_is_chosen_by_attribute_and_environment)
{
    setenv("FX_BACKEND", "epoll", 1);
    fx_executor *pool = fx_thread_pool_new(NULL);
    ck_assert_int_eq(fx_executor_backend(pool), FX_BACKEND_EPOLL);
    ck_assert_ptr_eq(run_in(pool, return_it, &done), &done);
    end_pool(pool);
    unsetenv("FX_BACKEND");
    pool = fx_thread_pool_new(&(fx_thread_pool_attr){ .backend = FX_BACKEND_EPOLL });
    ck_assert_int_eq(fx_executor_backend(pool), FX_BACKEND_EPOLL);
    end_pool(pool);
    pool = fx_thread_pool_new(&(fx_thread_pool_attr){ .backend = FX_BACKEND_URING });
    if (!pool) {
        ck_assert_int_eq(errno, ENOTSUP);
        return;
    }
    ck_assert_int_eq(fx_executor_backend(pool), FX_BACKEND_URING);
    end_pool(pool);
}
END_TEST

/* --- workers ---------------------------------------------------------------------------------- */

static pid_t seen[8];
static char names[8][64];

static void *note_worker(void *arg)
{
    int i = (int)(intptr_t)arg;
    seen[i] = fx_thread_native_id(fx_current_thread());
    snprintf(names[i], sizeof names[i], "%s", fx_thread_name(fx_current_thread()));
    return compute_until_told(arg);
}

START_TEST(there_are_as_many_workers_as_computing_tasks_up_to_the_limit)
{
    enum { WORKERS = 3, TASKS = 5 };
    fx_future *futures[TASKS];
    fx_executor *pool = fx_thread_pool_new(
        &(fx_thread_pool_attr){ .max_workers = WORKERS, .name_prefix = "crew" });
    for (int i = 0; i < TASKS; i++)
        futures[i] = submit(pool, note_worker, (void *)(intptr_t)i);
    await(atomic_load(&begun) == WORKERS);
    for (int i = 0; i < WORKERS; i++) {
        for (int j = 0; j < i; j++)
            ck_assert_int_ne(seen[i], seen[j]);
        ck_assert_int_eq(strncmp(names[i], "crew_", 5), 0);
    }
    fx_sleep(FX_MSEC(5));
    ck_assert_int_eq(atomic_load(&begun), WORKERS);
    atomic_store(&told, 1);
    for (int i = 0; i < TASKS; i++)
        result_of(futures[i]);
    end_pool(pool);
}
END_TEST

static void *append(void *arg)
{
    static int next;
    expect_int((intptr_t)arg, ==, next);
    next++;
    return arg;
}

START_TEST(one_worker_begins_tasks_in_the_order_of_their_submits)
{
    enum { N = 300 };
    static fx_future *futures[N];
    fx_executor *pool = pool_of(1);
    for (int i = 0; i < N; i++)
        futures[i] = submit(pool, append, (void *)(intptr_t)i);
    for (int i = 0; i < N; i++)
        result_of(futures[i]);
    end_pool(pool);
}
END_TEST

static atomic_int initialized, ended;

static void note_end(void *arg)
{
    (void)arg;
    atomic_fetch_add(&ended, 1);
}

static fx_local end_key;

static int initialize(void *arg)
{
    atomic_fetch_add(&initialized, 1);
    return fx_local_set(end_key, arg);
}

START_TEST(idle_workers_end_and_new_ones_come)
{
    ck_assert_int_eq(fx_local_create(&end_key, note_end), 0);
    fx_executor *pool = fx_thread_pool_new(&(fx_thread_pool_attr){ .max_workers = 1,
                                                                   .idle_timeout = FX_MSEC(10),
                                                                   .initializer = initialize,
                                                                   .initarg = &ended });
    for (int i = 1; i <= 3; i++) {
        run_in(pool, return_it, NULL);
        ck_assert_int_eq(atomic_load(&initialized), i);
        await(atomic_load(&ended) == i);
    }
    end_pool(pool);
}
END_TEST

static int return_number(void *arg)
{
    return (int)(intptr_t)arg;
}

static int raise_it(void *arg)
{
    fx_raise((fx_exc)(intptr_t)arg);
}

static int (*const failures[])(void *) = { return_number, raise_it };

START_TEST(an_initializer_that_fails_breaks_the_pool)
{
    fx_executor *pool = fx_thread_pool_new(&(fx_thread_pool_attr){
        .max_workers = 1, .initializer = failures[_i], .initarg = (void *)(intptr_t)-EIO });
    fx_future *pending = submit(pool, return_it, NULL);
    ck_assert_int_eq(fx_future_result_for(pending, FX_SEC(await_limit()), NULL), -EPIPE);
    ck_assert_int_eq(exception_of(pending), FX_POOL_BROKEN);
    errno = 0;
    ck_assert_ptr_null(fx_submit(pool, return_it, NULL));
    ck_assert_int_eq(errno, EPIPE);
    end_pool(pool);
}
END_TEST

/* --- full pools ------------------------------------------------------------------------------- */

static fx_executor *full_pool(fx_when_full when_full, fx_nsec timeout, fx_future *futures[2])
{
    fx_executor *pool = fx_thread_pool_new(&(fx_thread_pool_attr){
        .max_workers = 1, .max_pending = 1, .when_full = when_full, .full_timeout = timeout });
    futures[0] = submit(pool, compute_until_told, NULL);
    await(atomic_load(&begun) == 1);
    futures[1] = submit(pool, return_it, NULL);
    return pool;
}

static void end_full_pool(fx_executor *pool, fx_future *futures[2])
{
    atomic_store(&told, 1);
    result_of(futures[0]);
    result_of(futures[1]);
    end_pool(pool);
}

START_TEST(a_full_pool_refuses)
{
    fx_future *futures[2];
    fx_executor *pool = full_pool(FX_FULL_REFUSE, 0, futures);
    ck_assert_ptr_null(fx_submit(pool, return_it, NULL));
    ck_assert_int_eq(errno, EAGAIN);
    end_full_pool(pool, futures);
}
END_TEST

START_TEST(a_submit_to_a_full_pool_blocks_for_so_long)
{
    fx_future *futures[2];
    fx_executor *pool = full_pool(FX_FULL_BLOCK, FX_MSEC(20), futures);
    fx_deadline begin = fx_now();
    ck_assert_ptr_null(fx_submit(pool, return_it, NULL));
    ck_assert_int_eq(errno, ETIMEDOUT);
    ck_assert(fx_now() - begin >= FX_MSEC(20));
    end_full_pool(pool, futures);
}
END_TEST

START_TEST(a_full_pool_has_its_submitter_run_the_task)
{
    fx_future *futures[2];
    fx_executor *pool = full_pool(FX_FULL_RUN, 0, futures);
    fx_future *here = submit(pool, count, &done);
    ck_assert(fx_future_done(here));
    ck_assert_ptr_eq(result_of(here), &done);
    end_full_pool(pool, futures);
}
END_TEST

/* --- the end ---------------------------------------------------------------------------------- */

START_TEST(shutdown_waits_for_what_was_submitted)
{
    enum { N = 20 };
    fx_executor *pool = pool_of(2);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(fx_submit_detached(pool, sleep_and_count, NULL), 0);
    ck_assert_int_eq(fx_executor_shutdown(pool, true, false), 0);
    ck_assert_int_eq(atomic_load(&done), N);
    ck_assert_ptr_null(fx_submit(pool, return_it, NULL));
    ck_assert_int_eq(errno, ESHUTDOWN);
    ck_assert_int_eq(fx_executor_shutdown(pool, true, true), 0);
    fx_executor_unref(pool);
}
END_TEST

START_TEST(shutdown_cancels_what_has_not_begun_if_asked)
{
    enum { N = 20 };
    fx_future *futures[N];
    fx_executor *pool = pool_of(1);
    fx_future *running = submit(pool, compute_until_told, &done);
    await(atomic_load(&begun) == 1);
    for (int i = 0; i < N; i++)
        futures[i] = submit(pool, return_it, NULL);
    ck_assert_int_eq(fx_executor_shutdown(pool, false, true), 0);
    for (int i = 0; i < N; i++) {
        ck_assert(fx_future_cancelled(futures[i]));
        fx_future_unref(futures[i]);
    }
    ck_assert_int_eq(fx_executor_shutdown_for(pool, FX_MSEC(10), false), -ETIMEDOUT);
    atomic_store(&told, 1);
    ck_assert_ptr_eq(result_of(running), &done);
    end_pool(pool);
}
END_TEST

static void *shut_down_own(void *arg)
{
    expect_int(fx_executor_shutdown(fx_current_executor(), true, false), ==, -EDEADLK);
    expect_int(fx_executor_shutdown(fx_current_executor(), false, false), ==, 0);
    return arg;
}

START_TEST(a_task_cannot_wait_for_the_end_of_its_own_pool)
{
    fx_executor *pool = pool_of(1);
    run_in(pool, shut_down_own, NULL);
    end_pool(pool);
}
END_TEST

static void *shut_down_other(void *arg)
{
    expect_int(fx_executor_shutdown(arg, true, false), ==, 0);
    expect_int(atomic_load(&done), ==, 1);
    return arg;
}

START_TEST(a_task_waits_for_the_end_of_another_pool)
{
    fx_executor *pool = pool_of(1), *other = pool_of(1);
    fx_future *slow = submit(other, sleep_and_count, NULL);
    run_in(pool, shut_down_other, other);
    result_of(slow);
    end_pool(other);
    end_pool(pool);
}
END_TEST

START_TEST(a_pool_whose_handle_was_given_up_does_what_was_submitted)
{
    enum { N = 10 };
    fx_future *futures[N];
    fx_executor *pool = pool_of(2);
    for (int i = 0; i < N; i++)
        futures[i] = submit(pool, sleep_and_count, &done);
    fx_executor_unref(pool);
    for (int i = 0; i < N; i++)
        ck_assert_ptr_eq(result_of(futures[i]), &done);
    ck_assert_int_eq(atomic_load(&done), N);
}
END_TEST

static void *submit_for_nobody(void *event)
{
    fx_event_wait(event);
    for (int i = 0; i < 100; i++) {
        fx_future *future = fx_submit(fx_current_executor(), submit_for_nobody, NULL);
        expect_int(future == NULL, ==, 1);
        expect_int(errno, ==, ESHUTDOWN);
    }
    return NULL;
}

START_TEST(a_task_of_a_pool_whose_handle_was_given_up_submits_in_vain)
{
    fx_event event = FX_EVENT_INIT;
    fx_executor *pool = pool_of(2);
    fx_future *futures[50];
    for (int i = 0; i < 50; i++)
        futures[i] = submit(pool, submit_for_nobody, &event);
    fx_executor_unref(pool);
    fx_event_set(&event);
    for (int i = 0; i < 50; i++)
        result_of(futures[i]);
    ck_assert_msg(!record_failure(), "%s", record_failure());
}
END_TEST

START_TEST(a_future_outlives_its_pool)
{
    fx_executor *pool = pool_of(1);
    fx_future *future = submit(pool, return_it, &done);
    end_pool(pool);
    ck_assert_int_eq(fx_future_cancel(future), -EALREADY);
    ck_assert_int_eq(fx_future_stop(future), -EALREADY);
    ck_assert_ptr_eq(result_of(future), &done);
}
END_TEST

START_TEST(with_shuts_a_pool_down)
{
    fx_executor *pool = pool_of(2);
    FX_WITH(pool) {
        ck_assert_int_eq(fx_submit_detached(pool, sleep_and_count, NULL), 0);
    }
    ck_assert_int_eq(atomic_load(&done), 1);
    ck_assert_ptr_null(fx_submit(pool, return_it, NULL));
    fx_executor_unref(pool);
}
END_TEST

static void *sleep_and_print(void *arg)
{
    fx_sleep(FX_MSEC(20));
    printf("%s\n", (const char *)arg);
    return NULL;
}

static void submit_and_return(void *arg)
{
    fx_executor *pool = pool_of(1);
    for (int i = 0; i < 3; i++)
        fx_submit_detached(pool, sleep_and_print, arg);
}

START_TEST(the_end_of_the_program_waits_for_tasks)
{
    struct child child;
    child_fork(&child, submit_and_return, (void *)"done");
    assert_child_exits(&child, EXIT_SUCCESS);
    ck_assert_str_eq(child.out, "done\ndone\ndone\n");
}
END_TEST

static void *exit_in_task(void *arg)
{
    (void)arg;
    exit(3);
}

static void call_exit_in_task(void *arg)
{
    (void)arg;
    fx_executor *pool = pool_of(2);
    fx_future_result(submit(pool, exit_in_task, NULL), NULL);
}

START_TEST(a_task_may_end_the_program)
{
    struct child child;
    child_fork(&child, call_exit_in_task, NULL);
    assert_child_exits(&child, 3);
}
END_TEST

/* --- fork ------------------------------------------------------------------------------------- */

static fx_executor *parents;
static fx_future *parents_future;

static int look_at_parents_pool(void)
{
    fx_future *future = fx_submit(parents, return_it, NULL);
    if (future || errno != EPIPE)
        return 1;
    if (fx_future_result(parents_future, NULL) != -ESRCH)
        return 2;
    if (fx_executor_shutdown(parents, true, true) != 0)
        return 3;
    fx_executor_unref(parents);
    fx_executor *own = fx_thread_pool_new(NULL);
    void *result = NULL;
    future = own ? fx_submit(own, return_it, &done) : NULL;
    if (!future || fx_future_result(future, &result) != 0 || result != &done)
        return 4;
    fx_future_unref(future);
    return fx_executor_shutdown(own, true, false) == 0 ? 0 : 5;
}

START_TEST(in_a_forked_child_the_parents_pool_is_broken_and_new_ones_work)
{
    parents = pool_of(2);
    parents_future = submit(parents, compute_until_told, NULL);
    await(atomic_load(&begun) == 1);
    ck_assert_int_eq(child_run(look_at_parents_pool), 0);
    atomic_store(&told, 1);
    result_of(parents_future);
    end_pool(parents);
}
END_TEST

static void *fork_in_task(void *arg)
{
    pid_t child = fork();
    if (child == 0) {
        fx_sleep(FX_MSEC(1)); /* the other task is not to run in the child */
        return arg;
    }
    return (void *)(intptr_t)child_code(child);
}

static void *sleep_and_tell(void *arg)
{
    pid_t parent = (pid_t)(intptr_t)arg;
    fx_sleep(FX_USEC(100));
    if (getpid() != parent)
        _exit(7);
    return NULL;
}

START_TEST(a_task_may_fork_and_its_end_is_the_childs)
{
    fx_executor *pool = pool_of(1);
    fx_future *other = submit(pool, sleep_and_tell, (void *)(intptr_t)getpid());
    ck_assert_int_eq((int)(intptr_t)run_in(pool, fork_in_task, NULL), EXIT_SUCCESS);
    result_of(other);
    end_pool(pool);
}
END_TEST

static fx_executor *own_pool;
static fx_future *pending;

static void *fork_with_a_pending_task(void *arg)
{
    pid_t parent = getpid();
    pending = fx_submit(own_pool, sleep_and_tell, (void *)(intptr_t)parent);
    pid_t child = fork();
    if (child == 0) {
        fx_sleep(FX_MSEC(30)); /* in which a worker could have begun it */
        return arg;
    }
    return (void *)(intptr_t)child_code(child);
}

START_TEST(a_task_that_has_forked_waits_without_others)
{
    own_pool = pool_of(1);
    int code = (int)(intptr_t)run_in(own_pool, fork_with_a_pending_task, NULL);
    ck_assert_int_eq(code, EXIT_SUCCESS);
    result_of(pending);
    end_pool(own_pool);
}
END_TEST

/* --- overflow --------------------------------------------------------------------------------- */

static volatile size_t deepest = (size_t)-1;

static __attribute__((noinline)) size_t descend(size_t depth)
{
    volatile char frame[400];
    frame[0] = (char)depth;
    return depth == deepest ? 0 : descend(depth + 1) + (size_t)frame[0];
}

static void *overflow(void *arg)
{
    (void)arg;
    return (void *)descend(0);
}

static void *sleep_long(void *arg)
{
    fx_sleep(FX_SEC(3600));
    return arg;
}

/* Of so many others, each has a stack of its own, and every one its guard. */
static void overflow_in_task(void *others)
{
    fx_executor *own = fx_thread_pool_new(
        &(fx_thread_pool_attr){ .max_workers = 1, .name_prefix = "deep" });
    for (int i = 0; i < *(int *)others; i++)
        fx_submit_detached(own, sleep_long, NULL);
    fx_future_result(fx_submit(own, overflow, NULL), NULL);
}

START_TEST(a_stack_overflow_of_a_task_is_told_by_name)
{
    struct child child;
    int others[] = { 0, 1, 3, 4, 13, 40 };
    child_fork(&child, overflow_in_task, &others[_i]);
    ck_assert(WIFSIGNALED(child.status));
    ck_assert_int_eq(WTERMSIG(child.status), SIGSEGV);
    ck_assert_ptr_nonnull(strstr(child.err, "a task of the worker \"deep_0\""));
    ck_assert_ptr_nonnull(strstr(child.err, "overflowed its stack of 256 KiB"));
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, unknown_values_are_refused);
    tcase_add_test(tests, a_pool_without_attributes_works);
    tcase_add_test(tests, the_backend_is_chosen_by_attribute_and_environment);
    tcase_add_test(tests, there_are_as_many_workers_as_computing_tasks_up_to_the_limit);
    tcase_add_test(tests, one_worker_begins_tasks_in_the_order_of_their_submits);
    tcase_add_test(tests, idle_workers_end_and_new_ones_come);
    tcase_add_loop_test(tests, an_initializer_that_fails_breaks_the_pool, 0, 2);
    tcase_add_test(tests, a_full_pool_refuses);
    tcase_add_test(tests, a_submit_to_a_full_pool_blocks_for_so_long);
    tcase_add_test(tests, a_full_pool_has_its_submitter_run_the_task);
    tcase_add_test(tests, shutdown_waits_for_what_was_submitted);
    tcase_add_test(tests, shutdown_cancels_what_has_not_begun_if_asked);
    tcase_add_test(tests, a_task_cannot_wait_for_the_end_of_its_own_pool);
    tcase_add_test(tests, a_task_waits_for_the_end_of_another_pool);
    tcase_add_test(tests, a_pool_whose_handle_was_given_up_does_what_was_submitted);
    tcase_add_test(tests, a_task_of_a_pool_whose_handle_was_given_up_submits_in_vain);
    tcase_add_test(tests, a_future_outlives_its_pool);
    tcase_add_test(tests, with_shuts_a_pool_down);
    tcase_add_test(tests, the_end_of_the_program_waits_for_tasks);
    tcase_add_test(tests, a_task_may_end_the_program);
    if (!SIGNAL_STACK_IS_TAKEN && !THREADS_ARE_PTHREADS)
        tcase_add_loop_test(tests, a_stack_overflow_of_a_task_is_told_by_name, 0, 6);
    if (CHILD_MAY_ALLOCATE && !THREADS_ARE_PTHREADS) {
        tcase_add_test(tests, in_a_forked_child_the_parents_pool_is_broken_and_new_ones_work);
        tcase_add_test(tests, a_task_may_fork_and_its_end_is_the_childs);
        tcase_add_test(tests, a_task_that_has_forked_waits_without_others);
    }
}

int main(void)
{
    return run_suite("pool", add_tests);
}

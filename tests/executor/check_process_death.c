/* Workers that die: one future is lost with each, and nothing else. */
#include <fcntl.h>
#include <pthread.h>

#include "processes.h"
#include "sanitizer.h"

#include "../thread/suite.h"

SANITIZER_IGNORE_LEAKS /* of a worker that calls exit() in the midst of a task */

/* --- ways to die ------------------------------------------------------------------------------ */

TASK(die_by_signal)
{
    UNUSED_TASK_ARGUMENTS();
    kill(getpid(), *(const int *)arg);
    pause();
    return 0;
}

TASK(die_by_exit)
{
    UNUSED_TASK_ARGUMENTS();
    exit(*(const int *)arg);
}

TASK(die_at_once)
{
    UNUSED_TASK_ARGUMENTS();
    _exit(*(const int *)arg);
}

TASK(die_by_abort)
{
    UNUSED_TASK_ARGUMENTS();
    abort();
}

TASK(become_another_program)
{
    UNUSED_TASK_ARGUMENTS();
    execl("/bin/sh", "sh", "-c", "exit 5", (char *)NULL);
    return -errno;
}

/* Half of the result stands there by then. */
TASK(die_in_the_result)
{
    UNUSED_TASK_ARGUMENTS();
    memset(result, 1, result_size / 2);
    raise(SIGKILL);
    return 0;
}

enum { RESULT = 1 << 20 };

static const struct way {
    fx_copy_target fn;
    int number;
    bool by_signal;
    int value; /* the signal, or the exit code */
    size_t result_size;
} ways[] = {
    { die_by_signal, SIGKILL, true, SIGKILL, 0 },
    { die_by_signal, SIGTERM, true, SIGTERM, 0 },
    { die_by_signal, SIGUSR1, true, SIGUSR1, 0 },
    { die_by_exit, 0, false, 0, 8 },
    { die_by_exit, 3, false, 3, 8 },
    { die_at_once, 0, false, 0, 8 },
    { die_at_once, 7, false, 7, 8 },
    { die_by_abort, 0, true, SIGABRT, 0 },
    { become_another_program, 0, false, 5, 0 },
    { die_in_the_result, 0, true, SIGKILL, RESULT },
};

enum { WAYS = sizeof ways / sizeof *ways };

static fx_future *submit_way(fx_executor *pool, const struct way *way)
{
    return submit_copy(pool, way->fn, &way->number, sizeof way->number, way->result_size);
}

/* It died with its worker, which ended by that signal, or with that code; it is given up. */
static void expect_death(fx_future *future, bool by_signal, int value)
{
    int status = -1;
    void *result = NULL;
    ck_assert_int_eq(fx_future_result_for(future, FX_SEC(await_limit()), &result), -EOWNERDEAD);
    ck_assert_ptr_null(result);
    ck_assert_int_eq(fx_future_worker_status(future, NULL), 0);
    ck_assert_int_eq(fx_future_worker_status(future, &status), 0);
    if (by_signal)
        ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == value, "status %#x", status);
    else
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == value, "status %#x", status);
    expect_exception(future, -EOWNERDEAD, FX_WORKER_DIED, NULL);
}

/* In its first task, and in a later one. */
START_TEST(a_death_fails_its_future_with_the_wait_status_and_the_worker_is_replaced)
{
    const struct way *way = &ways[_i];
    fx_executor *pool = processes(1);
    pid_t last = 0;
    for (int i = 0; i < 3; i++) {
        expect_death(submit_way(pool, way), way->by_signal, way->value);
        pid_t worker = process_of(pool);
        ck_assert_int_ne(worker, last);
        last = worker;
    }
    end_kind(pool);
}
END_TEST

static int *volatile nowhere;

TASK(write_nowhere)
{
    UNUSED_TASK_ARGUMENTS();
    *(volatile int *)nowhere = 1;
    return 0;
}

static volatile size_t deepest = (size_t)-1;

static __attribute__((noinline)) size_t descend(size_t depth)
{
    volatile char frame[4000];
    frame[0] = (char)depth;
    return depth == deepest ? 0 : descend(depth + 1) + (size_t)frame[0];
}

TASK(descend_for_ever)
{
    UNUSED_TASK_ARGUMENTS();
    return (int)descend(0);
}

START_TEST(a_crash_is_a_death)
{
    static const fx_copy_target crashes[] = { write_nowhere, descend_for_ever };
    fx_executor *pool = processes(1);
    for (int i = 0; i < 2; i++)
        expect_death(submit_bare(pool, crashes[i]), true, SIGSEGV);
    ck_assert_int_eq(number_of(submit_number(pool, square, 4)), 16);
    end_kind(pool);
}
END_TEST

/* Whichever it is, it ends, and the pool goes on. */
TASK(leave_by_pthread_exit)
{
    UNUSED_TASK_ARGUMENTS();
    pthread_exit(NULL);
}

START_TEST(pthread_exit_ends_the_task_or_its_process)
{
    fx_executor *pool = processes(1);
    int rc = outcome_of(submit_bare(pool, leave_by_pthread_exit));
    ck_assert(rc == -EREMOTEIO || rc == -EOWNERDEAD);
    ck_assert_int_eq(number_of(submit_number(pool, square, 4)), 16);
    end_kind(pool);
}
END_TEST

/* --- who suffers ------------------------------------------------------------------------------ */

START_TEST(exactly_the_futures_of_those_that_died_fail)
{
    enum { N = 200 };
    static fx_future *futures[N];
    int dead = 0;
    fx_executor *pool = processes((size_t)_i);
    for (int i = 0; i < N; i++)
        futures[i] = i % 17 == 5 ? submit_way(pool, &ways[i % WAYS])
                                 : submit_number(pool, square, i);
    for (int i = 0; i < N; i++) {
        if (i % 17 == 5) {
            expect_death(futures[i], ways[i % WAYS].by_signal, ways[i % WAYS].value);
            dead++;
        } else {
            ck_assert_int_eq(number_of(futures[i]), (long)i * i);
        }
    }
    ck_assert_int_eq(dead, 12);
    end_kind(pool);
}
END_TEST

TASK(note_process_and_wait)
{
    atomic_store(&board->pids[0], getpid());
    return wait_until_told(arg, arg_size, result, result_size);
}

/* The test kills it, in its first task or in a later one, with tasks behind it that have not
 * begun. */
START_TEST(a_worker_that_is_killed_leaves_what_is_pending_to_others)
{
    enum { N = 20 };
    fx_future *futures[N];
    fx_executor *pool = processes(1);
    if (_i)
        process_of(pool);
    fx_future *running = submit_bare(pool, note_process_and_wait);
    for (int i = 0; i < N; i++)
        futures[i] = submit_number(pool, square, i);
    await(atomic_load(&board->begun) == 1);
    pid_t worker = atomic_load(&board->pids[0]);
    ck_assert_int_eq(kill(worker, SIGKILL), 0);
    expect_death(running, true, SIGKILL);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(number_of(futures[i]), i * i);
    await(state_of(worker) == 0); /* it is not left as a zombie */
    end_kind(pool);
}
END_TEST

START_TEST(an_idle_worker_that_dies_costs_nothing)
{
    fx_executor *pool = processes(1);
    for (int i = 0; i < 20; i++) {
        pid_t worker = process_of(pool);
        ck_assert_int_eq(kill(worker, _i ? SIGTERM : SIGKILL), 0);
        if (i % 2)
            await(state_of(worker) == 0);
        ck_assert_int_ne(process_of(pool), worker);
    }
    end_kind(pool);
}
END_TEST

START_TEST(a_stopped_worker_is_waited_for_and_may_be_killed)
{
    fx_executor *pool = processes(1);
    for (int i = 1; i <= 3; i++) {
        fx_future *future = submit_bare(pool, note_process_and_wait);
        await(atomic_load(&board->begun) == i);
        pid_t worker = atomic_load(&board->pids[0]);
        ck_assert_int_eq(kill(worker, SIGSTOP), 0);
        await(state_of(worker) == 'T');
        ck_assert_int_eq(fx_future_result_for(future, FX_MSEC(20), NULL), -ETIMEDOUT);
        switch (i) {
        case 1:
            ck_assert_int_eq(kill(worker, SIGKILL), 0);
            expect_death(future, true, SIGKILL);
            break;
        case 2:
            ck_assert_int_eq(fx_future_stop(future), 0);
            expect_exception(future, -ECANCELED, FX_STOPPED, NULL);
            break;
        default:
            atomic_store(&board->told, 1);
            ck_assert_int_eq(kill(worker, SIGCONT), 0);
            ck_assert_int_eq(outcome_of(future), 0);
        }
    }
    end_kind(pool);
}
END_TEST

START_TEST(a_stopped_worker_that_is_idle_keeps_no_task_from_the_others)
{
    enum { N = 20 };
    fx_future *futures[N];
    fx_executor *pool = processes(2);
    for (int i = 0; i < 2; i++)
        futures[i] = submit_bare(pool, note_family_and_wait);
    await(atomic_load(&board->begun) == 2);
    atomic_store(&board->told, 1);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(outcome_of(futures[i]), 0);
    pid_t stopped = atomic_load(&board->pids[2 + 2 * _i]);
    ck_assert_int_eq(kill(stopped, SIGSTOP), 0);
    await(state_of(stopped) == 'T');
    for (int i = 0; i < N; i++)
        futures[i] = submit_number(pool, square, i);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(number_of(futures[i]), i * i);
    ck_assert_int_eq(kill(stopped, SIGCONT), 0);
    end_kind(pool);
}
END_TEST

START_TEST(a_task_that_computes_is_stopped_with_its_process_only)
{
    fx_executor *pool = processes(2);
    fx_future *other = submit_bare(pool, wait_until_told);
    fx_future *future = submit_bare(pool, compute_for_ever);
    await(atomic_load(&board->begun) == 2);
    ck_assert_int_eq(fx_future_stop(future), 0);
    fx_future_stop(future); /* again: it may be over by now */
    expect_exception(future, -ECANCELED, FX_STOPPED, NULL);
    await(state_of(atomic_load(&board->pids[0])) == 0);
    ck_assert(fx_future_running(other));
    atomic_store(&board->told, 1);
    ck_assert_int_eq(outcome_of(other), 0);
    end_kind(pool);
}
END_TEST

START_TEST(a_task_that_computes_is_ended_by_its_time_limit)
{
    fx_executor *pool = processes(1);
    fx_future *future = fx_submit_copy_with(pool, compute_for_ever, NULL, 0, 0,
                                            &(fx_submit_attr){ .time_limit = FX_MSEC(30) });
    fx_future_ref(future);
    expect_exception(future, -ETIME, FX_TIMED_OUT, NULL);
    ck_assert_int_eq(fx_future_worker_status(future, NULL), -ENODATA);
    fx_future_unref(future);
    ck_assert_int_eq(number_of(submit_number(pool, square, 4)), 16);
    end_kind(pool);
}
END_TEST

START_TEST(what_did_not_die_has_no_status)
{
    fx_executor *pool = processes(1);
    fx_future *holding = submit_bare(pool, wait_until_told), *pending = submit_bare(pool, count);
    await(atomic_load(&board->begun) == 1);
    ck_assert_int_eq(fx_future_worker_status(holding, NULL), -ENODATA);
    ck_assert_int_eq(fx_future_worker_status(pending, NULL), -ENODATA);
    ck_assert_int_eq(fx_future_worker_status(NULL, NULL), -EINVAL);
    ck_assert_int_eq(fx_future_cancel(pending), 0);
    ck_assert_int_eq(fx_future_worker_status(pending, NULL), -ENODATA);
    atomic_store(&board->told, 1);
    ck_assert_int_eq(fx_future_result_for(holding, FX_SEC(await_limit()), NULL), 0);
    ck_assert_int_eq(fx_future_worker_status(holding, NULL), -ENODATA);
    fx_future_unref(holding);
    fx_future_unref(pending);
    end_kind(pool);
}
END_TEST

/* --- a worker's own children ------------------------------------------------------------------ */

TASK(fork_a_child)
{
    UNUSED_TASK_ARGUMENTS();
    int status = 0;
    pid_t child = fork();
    if (child == 0)
        _exit(9);
    if (waitpid(child, &status, 0) != child)
        return -errno;
    *(long *)result = WEXITSTATUS(status);
    return 0;
}

START_TEST(a_task_may_fork_and_wait_for_its_child)
{
    fx_executor *pool = processes(1);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(number_of(submit_number(pool, fork_a_child, 0)), 9);
    end_kind(pool);
}
END_TEST

TASK(return_twice)
{
    UNUSED_TASK_ARGUMENTS();
    pid_t child = fork();
    if (child == 0) {
        atomic_store(&board->pids[0], getpid());
        return -ECHILD; /* the result is the worker's to write */
    }
    *(long *)result = 1;
    return 0;
}

START_TEST(a_child_that_returns_from_the_task_ends_and_is_no_worker)
{
    fx_executor *pool = processes(1);
    for (int i = 0; i < 5; i++) {
        atomic_store(&board->pids[0], 0);
        ck_assert_int_eq(number_of(submit_number(pool, return_twice, 0)), 1);
        await(atomic_load(&board->pids[0]) != 0);
        await(has_ended(atomic_load(&board->pids[0])));
        ck_assert_int_eq(number_of(submit_number(pool, square, i)), i * i);
    }
    end_kind(pool);
}
END_TEST

TASK(die_before_a_child)
{
    UNUSED_TASK_ARGUMENTS();
    pid_t child = fork();
    if (child == 0) {
        atomic_store(&board->pids[0], getpid());
        while (!atomic_load(&board->told))
            await_pause();
        _exit(0);
    }
    raise(SIGKILL);
    return 0;
}

START_TEST(a_child_that_outlives_its_worker_keeps_nobody_waiting)
{
    fx_executor *pool = processes(1);
    expect_death(submit_bare(pool, die_before_a_child), true, SIGKILL);
    ck_assert_int_eq(number_of(submit_number(pool, square, 4)), 16);
    end_kind(pool);
    await(atomic_load(&board->pids[0]) != 0);
    atomic_store(&board->told, 1);
    await(has_ended(atomic_load(&board->pids[0])));
}
END_TEST

/* --- all of them ------------------------------------------------------------------------------ */

/* What runs dies with its worker; what has not begun never will. */
START_TEST(ending_the_workers_breaks_the_pool)
{
    fx_future *running[2], *pending[5];
    fx_executor *pool = processes(2);
    for (int i = 0; i < 2; i++)
        running[i] = submit_bare(pool, wait_until_told);
    await(atomic_load(&board->begun) == 2);
    for (int i = 0; i < 5; i++)
        pending[i] = submit_bare(pool, count);
    ck_assert_int_eq(_i ? fx_executor_kill_workers(pool) : fx_executor_terminate_workers(pool), 0);
    for (int i = 0; i < 2; i++)
        expect_death(running[i], true, _i ? SIGKILL : SIGTERM);
    for (int i = 0; i < 5; i++)
        expect_exception(pending[i], -EPIPE, FX_POOL_BROKEN, NULL);
    errno = 0;
    ck_assert_ptr_null(fx_submit_copy(pool, count, NULL, 0, 0));
    ck_assert_int_eq(errno, EPIPE);
    ck_assert_int_eq(_i ? fx_executor_kill_workers(pool) : fx_executor_terminate_workers(pool), 0);
    end_kind(pool);
    ck_assert_int_eq(atomic_load(&board->done), 0);
}
END_TEST

/* Whoever makes the fork server anew, or breaks the pool: nobody waits for ever. */
START_TEST(a_fork_server_that_is_killed_leaves_nobody_waiting)
{
    fx_executor *pool = processes(2);
    struct family family = family_of(pool);
    fx_future *running = submit_bare(pool, compute_for_ever), *pending[4];
    await(atomic_load(&board->begun) == 1);
    for (int i = 0; i < 4; i++)
        pending[i] = submit_bare(pool, sleep_and_count);
    ck_assert_int_eq(kill(family.server, SIGKILL), 0);
    int rc = outcome_of(running);
    ck_assert(rc == -EOWNERDEAD || rc == -EPIPE);
    for (int i = 0; i < 4; i++) {
        rc = outcome_of(pending[i]);
        ck_assert(rc == 0 || rc == -EOWNERDEAD || rc == -EPIPE);
    }
    fx_future *next = fx_submit_copy(pool, count, NULL, 0, 0);
    if (next)
        ck_assert_int_ne(outcome_of(next), -ETIMEDOUT);
    end_kind(pool);
    await(has_ended(family.worker) && has_ended(atomic_load(&board->pids[0])));
    pool = processes(1); /* another one is not troubled */
    ck_assert_int_eq(number_of(submit_number(pool, square, 4)), 16);
    end_kind(pool);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_checked_fixture(tests, set_up_board, NULL);
    tcase_add_loop_test(tests,
                        a_death_fails_its_future_with_the_wait_status_and_the_worker_is_replaced, 0,
                        WAYS);
    if (!SIGNAL_STACK_IS_TAKEN && !THREADS_ARE_PTHREADS) /* whose handlers make an exit of it */
        tcase_add_test(tests, a_crash_is_a_death);
    tcase_add_test(tests, pthread_exit_ends_the_task_or_its_process);
    tcase_add_loop_test(tests, exactly_the_futures_of_those_that_died_fail, 1, 4);
    tcase_add_loop_test(tests, a_worker_that_is_killed_leaves_what_is_pending_to_others, 0, 2);
    tcase_add_loop_test(tests, an_idle_worker_that_dies_costs_nothing, 0, 2);
    tcase_add_test(tests, a_stopped_worker_is_waited_for_and_may_be_killed);
    tcase_add_loop_test(tests, a_stopped_worker_that_is_idle_keeps_no_task_from_the_others, 0, 2);
    tcase_add_test(tests, a_task_that_computes_is_stopped_with_its_process_only);
    tcase_add_test(tests, a_task_that_computes_is_ended_by_its_time_limit);
    tcase_add_test(tests, what_did_not_die_has_no_status);
    tcase_add_test(tests, a_task_may_fork_and_wait_for_its_child);
    tcase_add_test(tests, a_child_that_returns_from_the_task_ends_and_is_no_worker);
    tcase_add_test(tests, a_child_that_outlives_its_worker_keeps_nobody_waiting);
    tcase_add_loop_test(tests, ending_the_workers_breaks_the_pool, 0, 2);
    tcase_add_test(tests, a_fork_server_that_is_killed_leaves_nobody_waiting);
}

int main(void)
{
    return run_suite("process deaths", add_tests);
}

/* What the tests share that run over both kinds of pool, or over processes alone.
 *
 * A task of a process pool shares no variables with the test: both read and write the board,
 * which is mapped before the first pool is made, and so is the same memory everywhere.
 *
 *     START_TEST(a_result_comes) { fx_executor *pool = pool_of_kind(_i, 2); ... end_kind(pool); }
 *     tcase_add_checked_fixture(tests, set_up_board, NULL);
 *     tcase_add_loop_test(tests, a_result_comes, 0, KINDS);
 * */
#ifndef TESTS_EXECUTOR_KINDS_H
#define TESTS_EXECUTOR_KINDS_H

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pool.h"

enum kind { THREAD_POOL, PROCESS_POOL, KINDS };

/* --- the board -------------------------------------------------------------------------------- */

struct board {
    atomic_int begun, told, done, initialized;
    atomic_int pids[64];
    atomic_int n_pids;
    struct record record; /* of what tasks expected: see task_expects() */
};

static struct board *board;

static inline void set_up_board(void)
{
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(board, MAP_FAILED);
}

/* The expectation of a task, which may be of another process; end_kind() looks at it. */
#define task_expects(condition)                                                             \
    do {                                                                                    \
        if (!(condition) && !atomic_exchange((atomic_int *)&board->record.claimed, 1))      \
            snprintf(board->record.text, sizeof board->record.text, "%s:%d: %s", __FILE__,  \
                     __LINE__, #condition);                                                 \
    } while (0)

/* Notes the process as one that has run something, once. */
static inline void note_process(void)
{
    int pid = getpid(), n = atomic_load(&board->n_pids);
    for (int i = 0; i < n; i++)
        if (atomic_load(&board->pids[i]) == pid)
            return;
    int place = atomic_fetch_add(&board->n_pids, 1);
    if (place < 64)
        atomic_store(&board->pids[place], pid);
}

/* --- tasks ------------------------------------------------------------------------------------ */

#define TASK(name)                                                                            \
    static __attribute__((unused)) int name(const void *arg, size_t arg_size, void *result,   \
                                            size_t result_size)

#define UNUSED_TASK_ARGUMENTS() ((void)arg, (void)arg_size, (void)result, (void)result_size)

TASK(square)
{
    int n = *(const int *)arg;
    task_expects(arg_size == sizeof(int) && result_size == sizeof(long) && *(long *)result == 0);
    *(long *)result = (long)n * n;
    return 1;
}

TASK(count)
{
    UNUSED_TASK_ARGUMENTS();
    atomic_fetch_add(&board->done, 1);
    return 0;
}

/* Holds its worker. */
TASK(wait_until_told)
{
    UNUSED_TASK_ARGUMENTS();
    atomic_fetch_add(&board->begun, 1);
    while (!atomic_load(&board->told))
        await_pause();
    atomic_fetch_add(&board->done, 1);
    return 0;
}

TASK(sleep_and_count)
{
    fx_sleep(FX_MSEC(20));
    return count(arg, arg_size, result, result_size);
}

TASK(return_code)
{
    UNUSED_TASK_ARGUMENTS();
    return *(const int *)arg;
}

TASK(tell_process)
{
    UNUSED_TASK_ARGUMENTS();
    *(pid_t *)result = getpid();
    return 0;
}

/* --- pools ------------------------------------------------------------------------------------ */

static inline fx_executor *new_of_kind(int kind, size_t workers, size_t max_pending,
                                       fx_when_full when_full, fx_nsec full_timeout)
{
    fx_executor *pool =
        kind == THREAD_POOL
            ? fx_thread_pool_new(&(fx_thread_pool_attr){ .max_workers = workers,
                                                         .max_pending = max_pending,
                                                         .when_full = when_full,
                                                         .full_timeout = full_timeout })
            : fx_process_pool_new(&(fx_process_pool_attr){ .max_workers = workers,
                                                           .max_pending = max_pending,
                                                           .when_full = when_full,
                                                           .full_timeout = full_timeout });
    ck_assert_msg(pool, "%s", strerror(errno));
    return pool;
}

static inline fx_executor *pool_of_kind(int kind, size_t workers)
{
    return new_of_kind(kind, workers, 0, FX_FULL_BLOCK, 0);
}

static inline fx_future *submit_copy(fx_executor *pool, fx_copy_target fn, const void *arg,
                                     size_t arg_size, size_t result_size)
{
    fx_future *future = fx_submit_copy(pool, fn, arg, arg_size, result_size);
    ck_assert_msg(future, "%s", strerror(errno));
    return future;
}

/* Without argument and result. */
static inline fx_future *submit_bare(fx_executor *pool, fx_copy_target fn)
{
    return submit_copy(pool, fn, NULL, 0, 0);
}

static inline fx_future *submit_number(fx_executor *pool, fx_copy_target fn, int number)
{
    return submit_copy(pool, fn, &number, sizeof number, sizeof(long));
}

/* What fx_future_result says of it, within the limit of a hang; it is given up. */
static inline int outcome_of(fx_future *future)
{
    int rc = fx_future_result_for(future, FX_SEC(await_limit()), NULL);
    fx_future_unref(future);
    return rc;
}

static inline long number_of(fx_future *future)
{
    long number = -1;
    ck_assert_int_ne(fx_future_result_for(future, FX_SEC(await_limit()), NULL), -ETIMEDOUT);
    ck_assert_int_eq(fx_future_result_copy(future, &number, sizeof number), 0);
    fx_future_unref(future);
    return number;
}

/* The process that runs the pool's next task. */
static inline pid_t process_of(fx_executor *pool)
{
    pid_t pid = 0;
    fx_future *future = submit_copy(pool, tell_process, NULL, 0, sizeof pid);
    ck_assert_int_ne(fx_future_result_for(future, FX_SEC(await_limit()), NULL), -ETIMEDOUT);
    ck_assert_int_eq(fx_future_result_copy(future, &pid, sizeof pid), 0);
    fx_future_unref(future);
    return pid;
}

/* How it failed; a message of NULL is not looked at. It is given up. */
static inline void expect_exception(fx_future *future, int rc, fx_exc code, const char *message)
{
    fx_exc_info info;
    ck_assert_int_eq(fx_future_result_for(future, FX_SEC(await_limit()), NULL), rc);
    ck_assert_int_eq(fx_future_exception_info(future, &info), 0);
    ck_assert_int_eq(info.code, code);
    if (message)
        ck_assert_str_eq(info.message, message);
    ck_assert(fx_future_done(future) && !fx_future_cancelled(future));
    fx_future_unref(future);
}

static inline void end_kind(fx_executor *pool)
{
    end_pool(pool);
    ck_assert_msg(!board->record.claimed, "%s", board->record.text);
}

#endif

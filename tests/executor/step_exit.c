/* The end of the program meets the end of a pool, after every single instruction: whoever calls
 * exit() goes through the pools instruction by instruction, and after the k-th of these another
 * thread gives up what kept one of the pools, a future. It is ended by the one or by the other. */
#define _GNU_SOURCE
#include <pthread.h>

#include "../support/child.h"
#include "../thread/suite.h"
#include "pool.h"

#include "../stop/step.h"
#include "context/hooks.h"
#include "executor/pool.h"

#if CAN_STEP

static struct {
    struct fxi_pool *pool;
    fx_future *future;    /* which alone keeps the pool */
    atomic_int opener;    /* the thread that gives it up; 0: not yet */
    atomic_bool gate, is_done;
} last;

static void *give_up_future(void *unused)
{
    while (!atomic_load(&last.gate))
        sched_yield();
    atomic_store(&last.opener, (int)syscall(SYS_gettid));
    fx_future_unref(last.future);
    atomic_store(&last.is_done, true);
    return unused;
}

/* Until that is done, or waits for a lock that the exiting thread has where it stands. */
static void *give_up_in_step(void *unused)
{
    step_await(step_reached());
    atomic_store(&last.gate, true);
    while (!atomic_load(&last.is_done) && !is_asleep(atomic_load(&last.opener)))
        sched_yield();
    __atomic_store_n(&step.asked, 1, __ATOMIC_RELEASE);
    step_futex_wake(&step.asked);
    return unused;
}

enum { THROUGH = 1, POOL_IS_GONE = 2 }; /* what a child exits with; 0: all was well */

static struct fxi_executor_ops ops_of_last, ops_of_end;

/* Of the pool: whoever calls it has a hold, so that the pool is where it was. */
static int end_last(fx_executor *executor, bool wait, bool cancel_futures, fx_deadline deadline)
{
    (void)executor, (void)wait, (void)cancel_futures, (void)deadline;
    if (step_reached())
        await(atomic_load(&last.is_done));
    if (last.pool->listed.next == &last.pool->listed)
        _exit(POOL_IS_GONE);
    return 0;
}

/* Of one that was made after it, and so is looked at after it: the end of the steps. */
static int end_steps(fx_executor *executor, bool wait, bool cancel_futures, fx_deadline deadline)
{
    (void)executor, (void)wait, (void)cancel_futures, (void)deadline;
    step_clear_flag();
    if (step_reached())
        await(atomic_load(&last.is_done));
    _exit(step_reached() ? 0 : THROUGH);
}

static void intercept(fx_executor *executor, struct fxi_executor_ops *ops,
                      int (*shutdown)(fx_executor *, bool, bool, fx_deadline))
{
    *ops = *executor->ops;
    ops->shutdown = shutdown;
    executor->ops = ops;
}

static void *return_it(void *arg)
{
    return arg;
}

static void make_pool_of_future(void)
{
    fx_executor *pool = pool_of(1);
    last.pool = fxi_pool_of(pool);
    last.future = submit(pool, return_it, NULL);
    fx_future_result(last.future, NULL);
    fx_executor_shutdown(pool, true, false);
    fx_executor_unref(pool);
    await(fxi_load_acquire(&last.pool->holds) == 1);
    intercept(pool, &ops_of_last, end_last);
}

static void exit_in_steps(long k)
{
    pthread_t threads[2];
    make_pool_of_future();
    intercept(pool_of(1), &ops_of_end, end_steps);
    pthread_create(&threads[0], NULL, give_up_future, NULL);
    step_arm(k);
    pthread_create(&threads[1], NULL, give_up_in_step, NULL);
    step_set_flag();
    fxi_hooks_program_exit();
}

START_TEST(the_end_of_the_program_meets_the_end_of_a_pool)
{
    int code = 0;
    long k = 1;
    step_catch_traps();
    for (; code == 0; k = step_after(k)) {
        pid_t pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0)
            exit_in_steps(k);
        code = child_code(pid);
        ck_assert_msg(code == 0 || code == THROUGH, "after %ld: %d%s", k, code,
                      code == POOL_IS_GONE ? ", a pool was ended that is gone" : "");
    }
    printf("%ld instructions\n", k);
    ck_assert_int_gt(k, 20);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, the_end_of_the_program_meets_the_end_of_a_pool);
}

int main(void)
{
    return run_suite("step_exit", add_tests);
}

#else

int main(void)
{
    return TEST_SKIPPED;
}

#endif

/* What is a task's own and survives its waits, how it ends, and where it cannot be suspended. */
#include <errno.h>
#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pool.h"
#include "sanitizer.h"

#include "../thread/suite.h"

static fx_executor *pool;
static fx_event event;
static int told;

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

/* --- kept across waits ------------------------------------------------------------------------ */

static void *keep_errno(void *arg)
{
    int *address = &errno;
    for (int i = 0; i < 20; i++) {
        errno = (int)(intptr_t)arg;
        fx_yield();
        expect_int(errno, ==, (int)(intptr_t)arg);
        expect(&errno == address);
    }
    return NULL;
}

static fx_local key;
static atomic_int destroyed;

static void count_destroyed(void *value)
{
    atomic_fetch_add(&destroyed, (int)(intptr_t)value);
}

static void *keep_local(void *arg)
{
    expect(fx_local_get(key) == NULL);
    expect_int(fx_local_set(key, arg), ==, 0);
    fx_yield();
    expect(fx_local_get(key) == arg);
    return NULL;
}

static fx_rlock rlock;

static void *keep_rlock(void *arg)
{
    expect_int(fx_rlock_acquire(&rlock), ==, 0);
    expect_int(fx_rlock_acquire(&rlock), ==, 0);
    fx_sleep(FX_MSEC(2));
    expect(fx_rlock_owned(&rlock));
    expect_int(fx_rlock_release(&rlock), ==, 0);
    expect_int(fx_rlock_release(&rlock), ==, 0);
    expect(!fx_rlock_owned(&rlock));
    return arg;
}

static void *keep_scopes(void *arg)
{
    volatile fx_exc caught = 0;
    FX_TRY {
        FX_TRY {
            fx_yield();
            fx_raise((fx_exc)(intptr_t)arg);
        } FX_FINALLY {
            fx_sleep(FX_MSEC(1));
        } FX_END
    } FX_EXCEPT(e) {
        caught = e;
        fx_yield();
        expect_int(fx_caught()->code, ==, (int)(intptr_t)arg);
    } FX_END
    expect_int(caught, ==, (int)(intptr_t)arg);
    return NULL;
}

static void *keep_rounding(void *arg)
{
    int mode = (intptr_t)arg % 2 ? FE_UPWARD : FE_DOWNWARD;
    expect_int(fesetround(mode), ==, 0);
    fx_yield();
    expect_int(fegetround(), ==, mode);
    fesetround(FE_TONEAREST);
    return NULL;
}

static const fx_target keepers[] = { keep_errno, keep_local, keep_rlock, keep_scopes,
                                     keep_rounding };

START_TEST(what_is_a_tasks_own_survives_its_waits)
{
    enum { N = 10 };
    fx_future *futures[N];
    ck_assert_int_eq(fx_local_create(&key, count_destroyed), 0);
    for (int i = 0; i < N; i++)
        futures[i] = submit(pool, keepers[_i], (void *)(intptr_t)(i + 1));
    for (int i = 0; i < N; i++)
        result_of(futures[i]);
    end();
    ck_assert_int_eq(atomic_load(&destroyed), keepers[_i] == keep_local ? N * (N + 1) / 2 : 0);
}
END_TEST

static fx_local raising_key;

static void raise_17(void *value)
{
    (void)value;
    fx_raise(17);
}

static void ignore(fx_thread *t, const fx_exc_info *info)
{
    (void)t;
    (void)info;
}

static void *set_both_locals(void *arg)
{
    expect_int(fx_local_set(raising_key, arg), ==, 0);
    expect_int(fx_local_set(key, arg), ==, 0);
    return arg;
}

static void *find_no_local(void *arg)
{
    expect(fx_local_get(raising_key) == NULL);
    expect(fx_local_get(key) == NULL);
    return arg;
}

START_TEST(a_destructor_that_raises_leaves_nothing_to_the_next_task)
{
    fx_set_excepthook(ignore);
    ck_assert_int_eq(fx_local_create(&raising_key, raise_17), 0);
    ck_assert_int_eq(fx_local_create(&key, count_destroyed), 0);
    result_of(submit(pool, set_both_locals, (void *)1));
    result_of(submit(pool, find_no_local, NULL));
    end();
    ck_assert_int_eq(atomic_load(&destroyed), 1);
}
END_TEST

static void *look_around(void *arg)
{
    fx_thread *worker = fx_current_thread();
    expect(fx_current_executor() == pool);
    expect_int(strncmp(fx_thread_name(worker), "Pool-", 5), ==, 0);
    expect_int(fx_thread_native_id(worker), ==, gettid());
    expect_int(fx_thread_stop(worker), ==, -EPERM);
    fx_sleep(FX_MSEC(1));
    expect(fx_current_thread() == worker);
    return arg;
}

START_TEST(a_task_knows_its_executor_and_its_worker)
{
    run_in(pool, look_around, NULL);
    ck_assert_ptr_null(fx_current_executor());
    ck_assert_uint_eq(fx_active_count(), 1);
    end();
}
END_TEST

/* --- ends ------------------------------------------------------------------------------------- */

static void *exit_with_value(void *arg)
{
    fx_thread_exit(arg);
}

static void *exit_by_pthread(void *arg)
{
    fx_yield();
    pthread_exit(arg);
}

static void *raise_own(void *arg)
{
    fx_yield();
    fx_raise_msg((fx_exc)(intptr_t)arg, "number %d", 17);
}

static void *wait_for_event(void *arg)
{
    expect_int(fx_event_wait(&event), ==, 0);
    return arg;
}

START_TEST(however_a_task_ends_its_worker_lives_on)
{
    fx_future *waiter = submit(pool, wait_for_event, &told);
    ck_assert_ptr_eq(run_in(pool, exit_with_value, &told), &told);
    if (!THREADS_ARE_PTHREADS)
        ck_assert_int_eq(exception_of(submit(pool, exit_by_pthread, &told)), FX_EXITED);
    ck_assert_int_eq(exception_of(submit(pool, raise_own, (void *)17)), 17);
    ck_assert_ptr_eq(run_in(pool, return_it, &told), &told);
    fx_event_set(&event);
    ck_assert_ptr_eq(result_of(waiter), &told);
    end();
}
END_TEST

/* --- where a task cannot be suspended --------------------------------------------------------- */

static void wait_in_handler(int number)
{
    (void)number;
    expect_int(fx_event_wait(&event), ==, 0);
}

static void *wait_on_signal_stack(void *arg)
{
    raise(SIGUSR1);
    return arg;
}

static void *set_event(void *arg)
{
    fx_event_set(&event);
    return arg;
}

START_TEST(a_wait_on_a_signal_stack_blocks_the_worker_and_another_comes)
{
    struct sigaction action = { .sa_handler = wait_in_handler, .sa_flags = SA_ONSTACK };
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    fx_future *blocked = submit(pool, wait_on_signal_stack, &told);
    result_of(submit(pool, set_event, NULL));
    ck_assert_ptr_eq(result_of(blocked), &told);
    end();
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_checked_fixture(tests, one_worker, NULL);
    tcase_add_loop_test(tests, what_is_a_tasks_own_survives_its_waits, 0,
                        sizeof keepers / sizeof keepers[0]);
    tcase_add_test(tests, a_destructor_that_raises_leaves_nothing_to_the_next_task);
    tcase_add_test(tests, a_task_knows_its_executor_and_its_worker);
    tcase_add_test(tests, however_a_task_ends_its_worker_lives_on);
    if (!SIGNAL_STACK_IS_TAKEN && !THREADS_ARE_PTHREADS)
        tcase_add_test(tests, a_wait_on_a_signal_stack_blocks_the_worker_and_another_comes);
}

int main(void)
{
    return run_suite("task_own", add_tests);
}

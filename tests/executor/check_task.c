/* Tasks of a thread pool that wait are suspended. Nearly all of these have one worker, so that a wait
 * which held it would never end. */
#include <errno.h>
#include <stdlib.h>

#include "pool.h"

#include "../thread/suite.h"

static fx_executor *pool;

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

/* --- sleep ------------------------------------------------------------------------------------ */

static atomic_int present, most_present;

static void *sleep_among_others(void *arg)
{
    int now_present = atomic_fetch_add(&present, 1) + 1;
    int most = atomic_load(&most_present);
    while (now_present > most && !atomic_compare_exchange_weak(&most_present, &most, now_present))
        ;
    fx_deadline begin = fx_now();
    expect_int(fx_sleep(FX_MSEC(200)), ==, 0);
    expect(fx_now() - begin >= FX_MSEC(200));
    atomic_fetch_sub(&present, 1);
    return arg;
}

START_TEST(tasks_that_sleep_sleep_side_by_side)
{
    enum { N = 500 };
    static fx_future *futures[N];
    int n = scaled(N);
    for (int i = 0; i < n; i++)
        futures[i] = submit(pool, sleep_among_others, (void *)(intptr_t)i);
    for (int i = 0; i < n; i++)
        ck_assert_ptr_eq(result_of(futures[i]), (void *)(intptr_t)i);
    ck_assert_int_gt(atomic_load(&most_present), n / 2);
    end();
}
END_TEST

/* --- primitives: the second task of a pair lets the first one go on --------------------------- */

static struct {
    fx_event event;
    fx_semaphore semaphore;
    fx_lock lock;
    fx_condition condition;
    fx_barrier barrier;
    fx_rwlock rwlock;
    fx_once once;
    fx_queue *queue;
    bool flag;
    int step;
} shared;

static void *wait_for_event(void *arg)
{
    expect_int(fx_event_wait(&shared.event), ==, 0);
    return arg;
}

static void *set_event(void *arg)
{
    fx_event_set(&shared.event);
    return arg;
}

static void *wait_for_semaphore(void *arg)
{
    expect_int(fx_semaphore_acquire(&shared.semaphore), ==, 0);
    return arg;
}

static void *release_semaphore(void *arg)
{
    fx_semaphore_release(&shared.semaphore, 1);
    return arg;
}

static bool flag_is_set(void *arg)
{
    return *(bool *)arg;
}

static void *wait_for_condition(void *arg)
{
    expect_int(fx_lock_acquire(&shared.lock), ==, 0);
    expect_int(fx_condition_wait_pred(&shared.condition, &shared.lock, flag_is_set, &shared.flag,
                                      FX_FOREVER), ==, 0);
    expect_int(fx_lock_release(&shared.lock), ==, 0);
    return arg;
}

static void *notify_condition(void *arg)
{
    expect_int(fx_lock_acquire(&shared.lock), ==, 0);
    shared.flag = true;
    expect_int(fx_condition_notify(&shared.condition, 1), ==, 0);
    expect_int(fx_lock_release(&shared.lock), ==, 0);
    return arg;
}

static void *wait_at_barrier(void *arg)
{
    expect_int(fx_barrier_wait(&shared.barrier), >=, 0);
    return arg;
}

static void *get_item(void *arg)
{
    void *item = NULL;
    expect_int(fx_queue_get(shared.queue, &item), ==, 0);
    expect(item == &shared);
    return arg;
}

static void *put_item(void *arg)
{
    expect_int(fx_queue_put(shared.queue, &shared), ==, 0);
    return arg;
}

static void *hold_lock_and_yield(void *arg)
{
    expect_int(fx_lock_acquire(&shared.lock), ==, 0);
    int step = ++shared.step;
    for (int i = 0; i < 10; i++) {
        fx_yield();
        expect_int(shared.step, ==, step);
    }
    expect_int(fx_lock_release(&shared.lock), ==, 0);
    return arg;
}

static void *write_and_sleep(void *arg)
{
    expect_int(fx_rwlock_acquire_write(&shared.rwlock), ==, 0);
    int step = ++shared.step;
    fx_sleep(FX_MSEC(5));
    expect_int(shared.step, ==, step);
    expect_int(fx_rwlock_release_write(&shared.rwlock), ==, 0);
    return arg;
}

static void sleep_and_count(void *arg)
{
    fx_sleep(FX_MSEC(10));
    ++*(int *)arg;
}

static void *call_once(void *arg)
{
    expect_int(fx_once_call(&shared.once, sleep_and_count, &shared.step), ==, 0);
    expect_int(shared.step, ==, 1);
    return arg;
}

static const struct pair {
    fx_target waits, wakes;
} pairs[] = {
    { wait_for_event, set_event },
    { wait_for_semaphore, release_semaphore },
    { wait_for_condition, notify_condition },
    { wait_at_barrier, wait_at_barrier },
    { get_item, put_item },
    { hold_lock_and_yield, hold_lock_and_yield },
    { write_and_sleep, write_and_sleep },
    { call_once, call_once },
};

START_TEST(a_wait_for_a_primitive_lets_the_next_task_run)
{
    const struct pair *pair = &pairs[_i];
    fx_semaphore_init(&shared.semaphore, 0);
    ck_assert_int_eq(fx_barrier_init(&shared.barrier, 2, NULL, NULL), 0);
    shared.queue = fx_queue_new(FX_QUEUE_FIFO, 1);
    fx_future *waiter = submit(pool, pair->waits, (void *)1);
    fx_future *waker = submit(pool, pair->wakes, (void *)2);
    ck_assert_ptr_eq(result_of(waiter), (void *)1);
    ck_assert_ptr_eq(result_of(waker), (void *)2);
    fx_queue_unref(shared.queue);
    end();
}
END_TEST

/* --- other waits ------------------------------------------------------------------------------ */

static void *nested(void *arg)
{
    intptr_t depth = (intptr_t)arg;
    void *below = NULL;
    if (depth == 0)
        return NULL;
    fx_future *future = fx_submit(fx_current_executor(), nested, (void *)(depth - 1));
    if (expect(future != NULL))
        expect_int(fx_future_result(future, &below), ==, 0);
    fx_future_unref(future);
    return (void *)((intptr_t)below + 1);
}

START_TEST(nested_submits_need_no_second_worker)
{
    ck_assert_int_eq((intptr_t)run_in(pool, nested, (void *)50), 50);
    end();
}
END_TEST

static void *join_a_thread(void *arg)
{
    void *result = NULL;
    fx_thread *thread = fx_thread_spawn(wait_for_event, arg);
    if (!expect(thread != NULL))
        return NULL;
    expect(!fx_thread_daemon(thread));
    expect_int(fx_thread_join(thread, &result), ==, 0);
    fx_thread_unref(thread);
    return result;
}

START_TEST(a_task_joins_a_thread_that_waits_for_another_task)
{
    fx_future *joiner = submit(pool, join_a_thread, &shared);
    result_of(submit(pool, set_event, NULL));
    ck_assert_ptr_eq(result_of(joiner), &shared);
    end();
}
END_TEST

static void *time_out(void *arg)
{
    fx_deadline begin = fx_now();
    expect_int(fx_event_wait_for(&shared.event, FX_MSEC(30)), ==, -ETIMEDOUT);
    expect(fx_now() - begin >= FX_MSEC(30));
    expect_int(fx_event_wait_for(&shared.event, 0), ==, -ETIMEDOUT);
    return arg;
}

START_TEST(a_wait_of_a_task_times_out_and_not_early)
{
    fx_future *futures[20];
    for (int i = 0; i < 20; i++)
        futures[i] = submit(pool, time_out, NULL);
    for (int i = 0; i < 20; i++)
        result_of(futures[i]);
    end();
}
END_TEST

static void *acquire_shortly(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    int acquired = 0;
    for (int i = 0; i < 50; i++) {
        int rc = fx_semaphore_acquire_for(&shared.semaphore, FX_USEC(rand_r(&seed) % 200));
        expect(rc == 0 || rc == -ETIMEDOUT);
        acquired += rc == 0;
    }
    return (void *)(intptr_t)acquired;
}

START_TEST(a_timeout_that_meets_a_wake_loses_nothing)
{
    enum { TASKS = 8, PERMITS = 150 };
    fx_future *futures[TASKS];
    fx_semaphore_init(&shared.semaphore, 0);
    fx_executor *two = pool_of(2);
    for (int i = 0; i < TASKS; i++)
        futures[i] = submit(i % 2 ? pool : two, acquire_shortly, (void *)(uintptr_t)(i + 1));
    for (int i = 0; i < PERMITS; i++) {
        fx_semaphore_release(&shared.semaphore, 1);
        fx_sleep(FX_USEC(50));
    }
    size_t taken = 0;
    for (int i = 0; i < TASKS; i++)
        taken += (size_t)result_of(futures[i]);
    ck_assert_uint_eq(taken + (size_t)fx_semaphore_value(&shared.semaphore), PERMITS);
    end_pool(two);
    end();
}
END_TEST

/* --- turns ------------------------------------------------------------------------------------ */

static atomic_int turn;

static void *take_turns(void *arg)
{
    int me = (int)(intptr_t)arg;
    atomic_fetch_add(&present, 1);
    while (atomic_load(&present) < 2 || atomic_load(&turn) % 2 != me)
        fx_yield();
    for (int i = 0; i < 100; i++) {
        expect_int(atomic_load(&turn) % 2, ==, me);
        atomic_fetch_add(&turn, 1);
        fx_yield();
    }
    return NULL;
}

static void *start_turns(void *arg)
{
    fx_future *a = fx_submit(fx_current_executor(), take_turns, (void *)0);
    fx_future *b = fx_submit(fx_current_executor(), take_turns, (void *)1);
    expect_int(fx_future_result(a, NULL), ==, 0);
    expect_int(fx_future_result(b, NULL), ==, 0);
    fx_future_unref(a);
    fx_future_unref(b);
    return arg;
}

START_TEST(yield_lets_the_others_have_their_turns)
{
    run_in(pool, start_turns, NULL);
    ck_assert_int_eq(atomic_load(&turn), 200);
    end();
}
END_TEST

static void *yield_until_told(void *arg)
{
    while (!atomic_load(&turn))
        fx_yield();
    return arg;
}

static void *tell(void *arg)
{
    atomic_store(&turn, 1);
    return arg;
}

START_TEST(tasks_that_yield_for_ever_do_not_keep_one_from_beginning)
{
    fx_future *futures[3];
    for (int i = 0; i < 3; i++)
        futures[i] = submit(pool, yield_until_told, NULL);
    result_of(submit(pool, tell, NULL));
    for (int i = 0; i < 3; i++)
        result_of(futures[i]);
    end();
}
END_TEST

/* --- several workers, and threads ------------------------------------------------------------- */

static void *compute_until_told(void *arg)
{
    while (!atomic_load(&turn))
        ;
    return arg;
}

START_TEST(a_task_that_computes_keeps_no_others_from_beginning)
{
    enum { N = 40 };
    fx_future *futures[N];
    fx_executor *two = pool_of(2);
    fx_future *computing = submit(two, compute_until_told, NULL);
    for (int i = 0; i < N; i++)
        futures[i] = submit(two, return_it, &turn);
    for (int i = 0; i < N; i++)
        result_of(futures[i]);
    atomic_store(&turn, 1);
    result_of(computing);
    end_pool(two);
    end();
}
END_TEST

static long counted;

static void *count_under_lock(void *arg)
{
    for (int i = 0; i < 200; i++) {
        expect_int(fx_lock_acquire(&shared.lock), ==, 0);
        counted++;
        if (i % 16 == 0)
            fx_yield();
        expect_int(fx_lock_release(&shared.lock), ==, 0);
    }
    return arg;
}

START_TEST(tasks_and_threads_share_a_lock)
{
    enum { N = 16, THREADS = 2 };
    fx_future *futures[N];
    fx_thread *threads[THREADS];
    fx_executor *two = pool_of(2);
    for (int i = 0; i < N; i++)
        futures[i] = submit(i % 2 ? pool : two, count_under_lock, NULL);
    for (int i = 0; i < THREADS; i++)
        threads[i] = fx_thread_spawn(count_under_lock, NULL);
    for (int i = 0; i < N; i++)
        result_of(futures[i]);
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(fx_thread_join_for(threads[i], FX_SEC(await_limit()), NULL), 0);
        fx_thread_unref(threads[i]);
    }
    ck_assert_int_eq(counted, (N + THREADS) * 200);
    end_pool(two);
    end();
}
END_TEST

static void *hold_and_yield_until_told(void *arg)
{
    while (!atomic_load(&turn)) {
        expect_int(fx_lock_acquire(&shared.lock), ==, 0);
        fx_yield();
        expect_int(fx_lock_release(&shared.lock), ==, 0);
    }
    return arg;
}

static void *lock_and_tell(void *arg)
{
    expect_int(fx_lock_acquire(&shared.lock), ==, 0);
    atomic_store(&turn, 1);
    expect_int(fx_lock_release(&shared.lock), ==, 0);
    return arg;
}

START_TEST(a_task_that_always_comes_back_for_a_lock_starves_none)
{
    fx_future *greedy = submit(pool, hold_and_yield_until_told, NULL);
    result_of(submit(pool, lock_and_tell, NULL));
    result_of(greedy);
    end();
}
END_TEST

static void *compute_after_waiting_for_lock(void *arg)
{
    expect_int(fx_lock_acquire(&shared.lock), ==, 0);
    expect_int(fx_lock_release(&shared.lock), ==, 0);
    return arg;
}

static void *lock_as_thread(void *arg)
{
    expect_int(fx_lock_acquire(&shared.lock), ==, 0);
    atomic_store(&turn, 1);
    expect_int(fx_lock_release(&shared.lock), ==, 0);
    return arg;
}

/* The task comes first in the queue of the lock, and its worker computes until the thread, which comes
 * second, has had it. */
START_TEST(a_free_lock_does_not_wait_for_a_task_whose_worker_is_busy)
{
    ck_assert_int_eq(fx_lock_acquire(&shared.lock), 0);
    fx_future *waiting = submit(pool, compute_after_waiting_for_lock, NULL);
    result_of(submit(pool, return_it, NULL)); /* begun after the other one, which waits by now */
    fx_thread *thread = fx_thread_spawn(lock_as_thread, NULL);
    fx_future *computing = submit(pool, compute_until_told, NULL);
    await(fx_future_running(computing));
    fx_sleep(FX_MSEC(20)); /* the thread parks; where it does not, the test says nothing */
    ck_assert_int_eq(fx_lock_release(&shared.lock), 0);
    ck_assert_int_eq(fx_thread_join_for(thread, FX_SEC(await_limit()), NULL), 0);
    fx_thread_unref(thread);
    result_of(computing);
    result_of(waiting);
    end();
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_checked_fixture(tests, one_worker, NULL);
    tcase_add_test(tests, tasks_that_sleep_sleep_side_by_side);
    tcase_add_loop_test(tests, a_wait_for_a_primitive_lets_the_next_task_run, 0,
                        sizeof pairs / sizeof pairs[0]);
    tcase_add_test(tests, nested_submits_need_no_second_worker);
    tcase_add_test(tests, a_task_joins_a_thread_that_waits_for_another_task);
    tcase_add_test(tests, a_wait_of_a_task_times_out_and_not_early);
    tcase_add_test(tests, a_timeout_that_meets_a_wake_loses_nothing);
    tcase_add_test(tests, yield_lets_the_others_have_their_turns);
    tcase_add_test(tests, tasks_that_yield_for_ever_do_not_keep_one_from_beginning);
    tcase_add_test(tests, a_task_that_computes_keeps_no_others_from_beginning);
    tcase_add_test(tests, tasks_and_threads_share_a_lock);
    tcase_add_test(tests, a_task_that_always_comes_back_for_a_lock_starves_none);
    tcase_add_test(tests, a_free_lock_does_not_wait_for_a_task_whose_worker_is_busy);
}

int main(void)
{
    return run_suite("task", add_tests);
}

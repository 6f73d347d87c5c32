/* fx_wait and fx_as_completed: one of several, all of them, in the order in which they become
 * done. */
#define _GNU_SOURCE
#include <fxthread.h>
#include <fxthread/future.h>

#include <errno.h>
#include <sched.h>

#include "../support/scale.h"
#include "../sync/worker.h"
#include "../thread/suite.h"
#include "future/future.h"
#include "kernel/inject.h"

enum { MANY = 40 };

static fx_future *f[MANY];

static void make(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        f[i] = fx_future_new();
        ck_assert_ptr_nonnull(f[i]);
    }
}

/* A wait in a thread of its own. */
struct wait {
    struct worker worker;
    size_t n, n_done;
    fx_return_when when;
};

static int do_wait(void *arg)
{
    struct wait *wait = arg;
    return fx_wait(f, wait->n, FX_SEC(await_limit()), wait->when, &wait->n_done);
}

static bool is_followed(fx_future *future)
{
    return __atomic_load_n(&future->state, __ATOMIC_RELAXED) & FXI_FUTURE_FOLLOWED;
}

static void start_wait(struct wait *wait, size_t n, fx_return_when when)
{
    *wait = (struct wait){ .n = n, .when = when };
    worker_start(&wait->worker, do_wait, wait);
    if (when == FX_ALL_COMPLETED)
        await_waiters(&f[0]->state, 1);
    else
        await(is_followed(f[n - 1]));
}

START_TEST(all_completed_waits_for_the_last)
{
    struct wait wait;
    make(3);
    start_wait(&wait, 3, FX_ALL_COMPLETED);
    fx_future_set_exception(f[0], 1, NULL);
    fx_future_cancel(f[2]);
    await_waiters(&f[1]->state, 1);
    ck_assert(!worker_done(&wait.worker));
    fx_future_set_result(f[1], NULL);
    ck_assert_int_eq(worker_end(&wait.worker), 0);
    ck_assert_uint_eq(wait.n_done, 3);
    fx_future_unref_all(f, 3);
}
END_TEST

START_TEST(first_completed_waits_for_one)
{
    static const size_t sizes[] = { 2, 16, 17, MANY };
    for (size_t i = 0; i < 4; i++) {
        struct wait wait;
        size_t n = sizes[i];
        make(n);
        start_wait(&wait, n, FX_FIRST_COMPLETED);
        fx_future_set_result(f[n / 2], NULL);
        ck_assert_int_eq(worker_end(&wait.worker), 0);
        ck_assert_uint_eq(wait.n_done, 1);
        fx_future_unref_all(f, n);
    }
}
END_TEST

START_TEST(first_exception_waits_for_one_that_failed)
{
    struct wait wait;
    make(4);
    start_wait(&wait, 4, FX_FIRST_EXCEPTION);
    fx_future_set_result(f[0], NULL);
    fx_future_cancel(f[1]);
    ck_assert(!await_for(worker_done(&wait.worker), 0.02));
    fx_future_set_exception(f[2], 1, NULL);
    ck_assert_int_eq(worker_end(&wait.worker), 0);
    ck_assert_uint_eq(wait.n_done, 3);
    fx_future_unref_all(f, 4);
}
END_TEST

START_TEST(first_exception_without_one_waits_for_all)
{
    struct wait wait;
    make(3);
    start_wait(&wait, 3, FX_FIRST_EXCEPTION);
    fx_future_cancel(f[1]);
    fx_future_set_result(f[0], NULL);
    fx_future_set_result(f[2], NULL);
    ck_assert_int_eq(worker_end(&wait.worker), 0);
    ck_assert_uint_eq(wait.n_done, 3);
    fx_future_unref_all(f, 3);
}
END_TEST

START_TEST(what_is_met_already_is_not_waited_for)
{
    size_t n_done = 9;
    make(3);
    ck_assert_int_eq(fx_wait(NULL, 0, FX_FOREVER, FX_ALL_COMPLETED, &n_done), 0);
    ck_assert_uint_eq(n_done, 0);
    ck_assert_int_eq(fx_wait(f, 0, FX_FOREVER, FX_FIRST_COMPLETED, NULL), 0);
    fx_future_set_exception(f[1], 1, NULL);
    ck_assert_int_eq(fx_wait(f, 3, FX_FOREVER, FX_FIRST_COMPLETED, &n_done), 0);
    ck_assert_uint_eq(n_done, 1);
    ck_assert_int_eq(fx_wait(f, 3, 0, FX_FIRST_EXCEPTION, &n_done), 0);
    ck_assert_uint_eq(n_done, 1);
    fx_future_set_result(f[0], NULL);
    fx_future_set_result(f[2], NULL);
    ck_assert_int_eq(fx_wait(f, 3, 0, FX_ALL_COMPLETED, &n_done), 0);
    ck_assert_uint_eq(n_done, 3);
    fx_future_unref_all(f, 3);
}
END_TEST

START_TEST(a_timeout_tells_how_many_are_done_and_leaves_no_watch_behind)
{
    size_t n_done = 9;
    make(3);
    ck_assert_int_eq(fx_wait(f, 3, FX_MSEC(5), FX_FIRST_COMPLETED, &n_done), -ETIMEDOUT);
    ck_assert_uint_eq(n_done, 0);
    fx_future_set_result(f[2], NULL);
    fx_deadline end = fx_deadline_after(FX_MSEC(10));
    ck_assert_int_eq(fx_wait_until(f, 3, end, FX_FIRST_EXCEPTION, &n_done), -ETIMEDOUT);
    ck_assert_int_ge(fx_now(), end);
    ck_assert_uint_eq(n_done, 1);
    ck_assert_int_eq(fx_wait(f, 3, 0, FX_ALL_COMPLETED, &n_done), -ETIMEDOUT);
    ck_assert_uint_eq(n_done, 1);
    for (int i = 0; i < 2; i++)
        ck_assert(!f[i]->watches.next || fxi_list_is_empty(&f[i]->watches));
    fx_future_set_result(f[0], NULL);
    fx_future_unref_all(f, 3);
}
END_TEST

START_TEST(duplicates_count_each)
{
    size_t n_done = 0;
    struct wait wait;
    make(2);
    f[2] = f[0];
    f[3] = f[1];
    start_wait(&wait, 4, FX_FIRST_COMPLETED);
    fx_future_set_result(f[0], NULL);
    ck_assert_int_eq(worker_end(&wait.worker), 0);
    ck_assert_uint_eq(wait.n_done, 2);
    start_wait(&wait, 4, FX_FIRST_EXCEPTION);
    fx_future_set_result(f[1], NULL);
    ck_assert_int_eq(worker_end(&wait.worker), 0);
    ck_assert_uint_eq(wait.n_done, 4);
    ck_assert_int_eq(fx_wait(f, 4, FX_FOREVER, FX_ALL_COMPLETED, &n_done), 0);
    ck_assert_uint_eq(n_done, 4);
    fx_future_unref_all(f, 2);
}
END_TEST

START_TEST(several_may_watch_the_same_futures)
{
    struct wait waits[4];
    make(3);
    for (int i = 0; i < 4; i++) {
        waits[i] = (struct wait){ .n = 3, .when = i % 2 ? FX_FIRST_COMPLETED : FX_FIRST_EXCEPTION };
        worker_start(&waits[i].worker, do_wait, &waits[i]);
    }
    fx_future_set_exception(f[1], 1, NULL);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(worker_end(&waits[i].worker), 0);
        ck_assert_uint_eq(waits[i].n_done, 1);
    }
    fx_future_unref_all(f, 3);
}
END_TEST

START_TEST(bad_arguments_are_refused)
{
    size_t n_done = 9;
    make(1);
    f[1] = NULL;
    ck_assert_int_eq(fx_wait(f, 2, 0, FX_ALL_COMPLETED, &n_done), -EINVAL);
    ck_assert_int_eq(fx_wait(NULL, 1, 0, FX_ALL_COMPLETED, &n_done), -EINVAL);
    ck_assert_int_eq(fx_wait(f, 1, 0, (fx_return_when)3, &n_done), -EINVAL);
    ck_assert_uint_eq(n_done, 9);
    fx_as_completed each;
    ck_assert_int_eq(fx_as_completed_init(&each, f, 2, FX_FOREVER), -EINVAL);
    ck_assert_int_eq(fx_as_completed_next(&each, NULL, NULL), -EINVAL);
    fx_as_completed_end(&each);
    ck_assert_int_eq(fx_as_completed_init(NULL, f, 1, FX_FOREVER), -EINVAL);
    ck_assert_int_eq(fx_as_completed_init(&each, NULL, 1, FX_FOREVER), -EINVAL);
    ck_assert_int_eq(fx_as_completed_next(NULL, NULL, NULL), -EINVAL);
    fx_as_completed_end(NULL);
    fx_future_unref_all(f, 1);
}
END_TEST

START_TEST(the_want_of_memory_is_told)
{
    fx_as_completed each;
    make(MANY);
    fxi_inject_arm(FXI_INJECT_ALLOC, 1, ENOMEM);
    ck_assert_int_eq(fx_wait(f, MANY, FX_FOREVER, FX_FIRST_COMPLETED, NULL), -ENOMEM);
    for (unsigned nth = 1; nth <= 2; nth++) {
        fxi_inject_arm(FXI_INJECT_ALLOC, nth, ENOMEM);
        ck_assert_int_eq(fx_as_completed_init(&each, f, MANY, FX_FOREVER), -ENOMEM);
        fx_as_completed_end(&each);
    }
    fxi_inject_disarm();
    fx_future_unref_all(f, MANY);
}
END_TEST

static int stopped_wait(void *arg)
{
    volatile int caught = 0;
    FX_TRY {
        do_wait(arg);
    } FX_EXCEPT_ANY(e) {
        caught = e == FX_STOPPED;
    } FX_END
    return caught;
}

START_TEST(a_stop_ends_a_wait_and_leaves_no_watch_behind)
{
    struct wait wait = { .n = MANY, .when = FX_FIRST_COMPLETED };
    make(MANY);
    worker_start(&wait.worker, stopped_wait, &wait);
    await(is_followed(f[MANY - 1]));
    ck_assert_int_eq(fx_thread_stop(wait.worker.thread), 0);
    ck_assert_int_eq(worker_end(&wait.worker), 1);
    for (int i = 0; i < MANY; i++) {
        ck_assert(fxi_list_is_empty(&f[i]->watches));
        fx_future_set_result(f[i], NULL);
    }
    fx_future_unref_all(f, MANY);
}
END_TEST

/* --- as completed ----------------------------------------------------------------------------- */

static size_t next_index(fx_as_completed *each)
{
    fx_future *future = NULL;
    size_t index = SIZE_MAX;
    ck_assert_int_eq(fx_as_completed_next(each, &future, &index), 1);
    ck_assert(fx_future_done(future));
    ck_assert_ptr_eq(future, f[index]);
    return index;
}

START_TEST(futures_come_in_the_order_of_their_completion)
{
    fx_as_completed each;
    make(5);
    fx_future_set_result(f[3], NULL);
    fx_future_set_result(f[1], NULL);
    ck_assert_int_eq(fx_as_completed_init(&each, f, 5, FX_FOREVER), 0);
    fx_future_cancel(f[4]);
    fx_future_set_exception(f[0], 1, NULL);
    fx_future_set_result(f[2], NULL);
    static const size_t expected[] = { 1, 3, 4, 0, 2 };
    for (int i = 0; i < 5; i++)
        ck_assert_uint_eq(next_index(&each), expected[i]);
    ck_assert_int_eq(fx_as_completed_next(&each, NULL, NULL), 0);
    ck_assert_int_eq(fx_as_completed_next(&each, NULL, NULL), 0);
    fx_as_completed_end(&each);
    fx_as_completed_end(&each);
    ck_assert_int_eq(fx_as_completed_next(&each, NULL, NULL), -EINVAL);
    fx_future_unref_all(f, 5);
}
END_TEST

START_TEST(a_duplicate_comes_once_with_its_first_index)
{
    fx_as_completed each;
    make(2);
    f[2] = f[1];
    f[3] = f[0];
    f[4] = f[1];
    fx_future_set_result(f[1], NULL);
    ck_assert_int_eq(fx_as_completed_init(&each, f, 5, FX_FOREVER), 0);
    ck_assert_uint_eq(next_index(&each), 1);
    fx_future_set_result(f[0], NULL);
    ck_assert_uint_eq(next_index(&each), 0);
    ck_assert_int_eq(fx_as_completed_next(&each, NULL, NULL), 0);
    fx_as_completed_end(&each);
    fx_future_unref_all(f, 2);
}
END_TEST

START_TEST(none_at_all_are_no_more)
{
    fx_as_completed each;
    ck_assert_int_eq(fx_as_completed_init(&each, NULL, 0, FX_FOREVER), 0);
    ck_assert_int_eq(fx_as_completed_next(&each, NULL, NULL), 0);
    fx_as_completed_end(&each);
}
END_TEST

START_TEST(the_time_is_for_all_of_them)
{
    fx_as_completed each;
    make(3);
    ck_assert_int_eq(fx_as_completed_init(&each, f, 3, FX_MSEC(20)), 0);
    fx_future_set_result(f[2], NULL);
    ck_assert_uint_eq(next_index(&each), 2);
    ck_assert_int_eq(fx_as_completed_next(&each, NULL, NULL), -ETIMEDOUT);
    fx_future_set_result(f[0], NULL);
    ck_assert_uint_eq(next_index(&each), 0); /* it is there, and needs no wait */
    ck_assert_int_eq(fx_as_completed_next(&each, NULL, NULL), -ETIMEDOUT);
    fx_as_completed_end(&each);
    fx_future_unref_all(f, 3);
}
END_TEST

START_TEST(the_end_gives_up_what_was_not_taken)
{
    fx_as_completed each;
    make(3);
    ck_assert_int_eq(fx_as_completed_init(&each, f, 3, FX_FOREVER), 0);
    fx_future_set_result(f[1], NULL);
    fx_as_completed_end(&each);
    for (int i = 0; i < 3; i++)
        ck_assert_uint_eq(f[i]->references, 1);
    fx_future_set_result(f[0], NULL);
    fx_future_unref_all(f, 3);
}
END_TEST

static atomic_bool go_on;

static void *fulfil_all(void *arg)
{
    size_t first = (size_t)(uintptr_t)arg;
    while (!atomic_load(&go_on))
        sched_yield();
    for (size_t i = first; i < MANY; i += 2)
        fx_future_set_result(f[i], NULL);
    return NULL;
}

START_TEST(each_of_many_comes_once_while_two_threads_complete_them)
{
    for (int round = 0; round < scaled(200) + 5; round++) {
        fx_as_completed each;
        bool came[MANY] = { false };
        make(MANY);
        atomic_store(&go_on, false);
        fx_thread *threads[2];
        for (size_t i = 0; i < 2; i++)
            threads[i] = fx_thread_spawn(fulfil_all, (void *)i);
        atomic_store(&go_on, true);
        ck_assert_int_eq(fx_as_completed_init(&each, f, MANY, FX_SEC(await_limit())), 0);
        for (int i = 0; i < MANY; i++) {
            size_t index = next_index(&each);
            ck_assert(!came[index]);
            came[index] = true;
        }
        ck_assert_int_eq(fx_as_completed_next(&each, NULL, NULL), 0);
        fx_as_completed_end(&each);
        for (int i = 0; i < 2; i++) {
            fx_thread_join(threads[i], NULL);
            fx_thread_unref(threads[i]);
        }
        fx_future_unref_all(f, MANY);
    }
}
END_TEST

START_TEST(waits_for_one_race_with_its_completion)
{
    for (int round = 0; round < scaled(200) + 5; round++) {
        size_t n_done = 0;
        make(MANY);
        atomic_store(&go_on, false);
        fx_thread *thread = fx_thread_spawn(fulfil_all, (void *)0);
        atomic_store(&go_on, true);
        fx_return_when when = round % 2 ? FX_FIRST_COMPLETED : FX_FIRST_EXCEPTION;
        size_t n = round % 2 ? MANY : 1; /* the others of the pairs are never done */
        ck_assert_int_eq(fx_wait(f, n, FX_SEC(await_limit()), when, &n_done), 0);
        ck_assert_uint_ge(n_done, 1);
        fx_thread_join(thread, NULL);
        fx_thread_unref(thread);
        fx_future_unref_all(f, MANY);
    }
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, all_completed_waits_for_the_last);
    tcase_add_test(tests, first_completed_waits_for_one);
    tcase_add_test(tests, first_exception_waits_for_one_that_failed);
    tcase_add_test(tests, first_exception_without_one_waits_for_all);
    tcase_add_test(tests, what_is_met_already_is_not_waited_for);
    tcase_add_test(tests, a_timeout_tells_how_many_are_done_and_leaves_no_watch_behind);
    tcase_add_test(tests, duplicates_count_each);
    tcase_add_test(tests, several_may_watch_the_same_futures);
    tcase_add_test(tests, bad_arguments_are_refused);
    tcase_add_test(tests, the_want_of_memory_is_told);
    tcase_add_test(tests, a_stop_ends_a_wait_and_leaves_no_watch_behind);
    tcase_add_test(tests, futures_come_in_the_order_of_their_completion);
    tcase_add_test(tests, a_duplicate_comes_once_with_its_first_index);
    tcase_add_test(tests, none_at_all_are_no_more);
    tcase_add_test(tests, the_time_is_for_all_of_them);
    tcase_add_test(tests, the_end_gives_up_what_was_not_taken);
    tcase_add_test(tests, each_of_many_comes_once_while_two_threads_complete_them);
    tcase_add_test(tests, waits_for_one_race_with_its_completion);
}

int main(void)
{
    return run_suite("wait", add_tests);
}

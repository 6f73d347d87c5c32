/* Continuations: when they are submitted, and what becomes of them where that cannot be. */
#define _GNU_SOURCE
#include <fxthread.h>
#include <fxthread/thread_pool.h>

#include <errno.h>

#include "../support/await.h"
#include "../thread/suite.h"
#include "kernel/inject.h"
#include "manual.h"

static struct manual ex;
static int calls;
static fx_exc seen;

static void *note(fx_future *done, void *arg)
{
    ck_assert(fx_future_done(done));
    fx_future_exception(done, &seen);
    calls++;
    return arg;
}

static void *add_one(fx_future *done, void *arg)
{
    void *value;
    (void)arg;
    fx_check(fx_future_result(done, &value));
    return (char *)value + 1;
}

static void *raise_3(fx_future *done, void *arg)
{
    (void)done;
    (void)arg;
    fx_raise(3);
}

START_TEST(it_is_submitted_when_the_future_is_done_however_it_ended)
{
    manual_init(&ex);
    for (int i = 0; i < 3; i++) {
        void *value;
        fx_future *f = fx_future_new();
        fx_future *then = fx_future_then(f, &ex.executor, note, &calls);
        ck_assert(!manual_run(&ex));
        ck_assert(!fx_future_done(then));
        if (i == 0)
            fx_future_set_result(f, NULL);
        else if (i == 1)
            fx_future_set_exception(f, 5, NULL);
        else
            fx_future_cancel(f);
        ck_assert(manual_run(&ex));
        ck_assert_int_eq(fx_future_result(then, &value), 0);
        ck_assert_ptr_eq(value, &calls);
        ck_assert_int_eq(calls, i + 1);
        ck_assert_int_eq(seen, i == 0 ? 0 : i == 1 ? 5 : FX_CANCELLED);
        ck_assert_uint_eq(f->references, 1);
        fx_future_unref(f);
        fx_future_unref(then);
    }
    manual_end(&ex);
}
END_TEST

START_TEST(of_a_future_that_is_done_it_is_submitted_at_once)
{
    manual_init(&ex);
    fx_future *f = fx_future_new();
    fx_future_set_result(f, NULL);
    fx_future *then = fx_future_then(f, &ex.executor, note, NULL);
    fx_future_unref(f);
    ck_assert(manual_run(&ex));
    ck_assert_int_eq(fx_future_result(then, NULL), 0);
    fx_future_unref(then);
    manual_end(&ex);
}
END_TEST

START_TEST(they_make_chains)
{
    enum { N = 10 };
    fx_future *chain[N + 1];
    void *value;
    manual_init(&ex);
    chain[0] = fx_future_new();
    for (int i = 0; i < N; i++)
        chain[i + 1] = fx_future_then(chain[i], &ex.executor, add_one, NULL);
    fx_future_set_result(chain[0], NULL);
    for (int i = 0; i < N; i++)
        fx_future_unref(chain[i]);
    while (manual_run(&ex))
        ;
    ck_assert_int_eq(fx_future_result(chain[N], &value), 0);
    ck_assert_int_eq((intptr_t)value, N);
    fx_future_unref(chain[N]);
    manual_end(&ex);
}
END_TEST

START_TEST(an_exception_of_its_own_is_its_futures)
{
    fx_exc exception;
    manual_init(&ex);
    fx_future *f = fx_future_new();
    fx_future *then = fx_future_then(f, &ex.executor, raise_3, NULL);
    fx_future_set_result(f, NULL);
    manual_run(&ex);
    ck_assert_int_eq(fx_future_exception(then, &exception), 0);
    ck_assert_int_eq(exception, 3);
    ck_assert_uint_eq(f->references, 1); /* a scope gave it up */
    fx_future_unref(f);
    fx_future_unref(then);
    manual_end(&ex);
}
END_TEST

START_TEST(it_can_be_cancelled_before_and_after_the_future_is_done)
{
    manual_init(&ex);
    for (int i = 0; i < 2; i++) {
        fx_future *f = fx_future_new();
        fx_future *then = fx_future_then(f, &ex.executor, note, NULL);
        if (i == 0)
            ck_assert_int_eq(fx_future_cancel(then), 0);
        fx_future_set_result(f, NULL);
        if (i == 1)
            ck_assert_int_eq(fx_future_cancel(then), 0);
        ck_assert_int_eq(manual_run(&ex), i == 1);
        ck_assert(fx_future_cancelled(then));
        fx_future_unref(then);
        ck_assert_uint_eq(f->references, 1);
        fx_future_unref(f);
    }
    ck_assert_int_eq(calls, 0);
    ck_assert_int_eq(atomic_load(&ex.withdrawn), 0);
    manual_end(&ex);
}
END_TEST

START_TEST(what_the_executor_says_then_is_its_exception)
{
    fx_exc exception;
    manual_init(&ex);
    for (int i = 0; i < 2; i++) {
        fx_future *f = fx_future_new();
        fx_future *then = fx_future_then(f, &ex.executor, note, NULL);
        if (i == 0)
            ex.submit_error = -EAGAIN;
        else
            fx_executor_shutdown(&ex.executor, true, false);
        fx_future_set_result(f, NULL);
        ck_assert_int_eq(fx_future_result(then, NULL), -EREMOTEIO);
        ck_assert_int_eq(fx_future_exception(then, &exception), 0);
        ck_assert_int_eq(exception, i == 0 ? -EAGAIN : -ESHUTDOWN);
        ex.submit_error = 0;
        fx_future_unref(then);
        fx_future_unref(f);
    }
    ck_assert_int_eq(calls, 0);
    manual_end(&ex);
}
END_TEST

START_TEST(it_keeps_the_executor_until_it_is_submitted)
{
    manual_init(&ex);
    fx_future *f = fx_future_new();
    fx_future *then = fx_future_then(f, &ex.executor, note, NULL);
    fx_executor_unref(&ex.executor);
    ck_assert_int_eq(atomic_load(&ex.abandoned), 0);
    fx_future_set_result(f, NULL);
    ck_assert_int_eq(atomic_load(&ex.abandoned), 1);
    manual_run(&ex);
    ck_assert_int_eq(calls, 1);
    fx_future_unref(then);
    fx_future_unref(f);
    ck_assert_int_eq(atomic_load(&ex.memories), 0);
}
END_TEST

START_TEST(of_a_promise_that_is_given_up_it_is_cancelled)
{
    manual_init(&ex);
    fx_future *f = fx_future_new();
    fx_future *then = fx_future_then(f, &ex.executor, note, NULL);
    fx_future_unref(f);
    ck_assert(fx_future_cancelled(then));
    ck_assert(!manual_run(&ex));
    fx_future_unref(then);
    manual_end(&ex);
}
END_TEST

START_TEST(it_does_not_count_as_pending)
{
    manual_init(&ex);
    ck_assert_int_eq(fxi_executor_set_full(&ex.executor, 1, FX_FULL_REFUSE, 0), 0);
    fx_future *f = fx_future_new();
    fx_future *then = fx_future_then(f, &ex.executor, note, NULL);
    fx_future_set_result(f, NULL);
    ck_assert_uint_eq(ex.executor.pending, 0);
    ck_assert_int_eq(fx_future_cancel(then), 0);
    ck_assert_uint_eq(ex.executor.pending, 0);
    manual_run(&ex);
    fx_future_unref(then);
    fx_future_unref(f);
    manual_end(&ex);
}
END_TEST

START_TEST(bad_arguments_and_the_want_of_memory_are_refused)
{
    struct manual copying;
    manual_init_with(&ex, &manual_plain_ops);
    manual_init_with(&copying, &manual_copying_ops);
    fx_future *f = fx_future_new();
    assert_refused(fx_future_then(NULL, &ex.executor, note, NULL), EINVAL);
    assert_refused(fx_future_then(f, NULL, note, NULL), EINVAL);
    assert_refused(fx_future_then(f, &ex.executor, NULL, NULL), EINVAL);
    assert_refused(fx_future_then(f, &copying.executor, note, NULL), ENOTSUP);
    fxi_inject_arm(FXI_INJECT_ALLOC, 1, ENOMEM);
    assert_refused(fx_future_then(f, &ex.executor, note, NULL), ENOMEM);
    fxi_inject_disarm();
    fx_future_unref(f);
    manual_end(&ex);
    manual_end(&copying);
}
END_TEST

static void *then_on_pool(fx_future *done, void *arg)
{
    void *value;
    fx_check(fx_future_result(done, &value));
    fx_sleep(FX_MSEC(1));
    return (char *)value + (intptr_t)arg;
}

static void *start_value(void *arg)
{
    fx_sleep(FX_MSEC(1));
    return arg;
}

START_TEST(chains_on_a_thread_pool_come_to_their_end)
{
    enum { N = 50 };
    fx_future *ends[N];
    fx_executor *pool = fx_thread_pool_new(&(fx_thread_pool_attr){ .max_workers = 2 });
    ck_assert_ptr_nonnull(pool);
    for (int i = 0; i < N; i++) {
        ends[i] = fx_submit(pool, start_value, (void *)(intptr_t)i);
        for (int k = 0; k < 3; k++) {
            fx_future *next = fx_future_then(ends[i], pool, then_on_pool, (void *)(intptr_t)100);
            fx_future_unref(ends[i]);
            ends[i] = next;
        }
    }
    for (int i = 0; i < N; i++) {
        void *value;
        ck_assert_int_eq(fx_future_result_for(ends[i], FX_SEC(await_limit()), &value), 0);
        ck_assert_int_eq((intptr_t)value, 300 + i);
    }
    fx_future_unref_all(ends, N);
    ck_assert_int_eq(fx_executor_shutdown(pool, true, false), 0);
    fx_executor_unref(pool);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, it_is_submitted_when_the_future_is_done_however_it_ended);
    tcase_add_test(tests, of_a_future_that_is_done_it_is_submitted_at_once);
    tcase_add_test(tests, they_make_chains);
    tcase_add_test(tests, an_exception_of_its_own_is_its_futures);
    tcase_add_test(tests, it_can_be_cancelled_before_and_after_the_future_is_done);
    tcase_add_test(tests, what_the_executor_says_then_is_its_exception);
    tcase_add_test(tests, it_keeps_the_executor_until_it_is_submitted);
    tcase_add_test(tests, of_a_promise_that_is_given_up_it_is_cancelled);
    tcase_add_test(tests, it_does_not_count_as_pending);
    tcase_add_test(tests, bad_arguments_and_the_want_of_memory_are_refused);
    tcase_add_test(tests, chains_on_a_thread_pool_come_to_their_end);
}

int main(void)
{
    return run_suite("then", add_tests);
}

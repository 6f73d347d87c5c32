/* max_pending: what a submit does when so many tasks have not begun. */
#define _GNU_SOURCE
#include <fxthread.h>

#include <errno.h>
#include <pthread.h>

#include "../sync/worker.h"
#include "../thread/suite.h"
#include "manual.h"

static struct manual ex;
static int runs;

static void init_full(size_t max_pending, fx_when_full when_full, fx_nsec timeout)
{
    manual_init(&ex);
    ck_assert_int_eq(fxi_executor_set_full(&ex.executor, max_pending, when_full, timeout), 0);
}

static void *same(void *arg)
{
    return arg;
}

static void *raises(void *arg)
{
    (void)arg;
    fx_raise(17);
}

static void *exits(void *arg)
{
    fx_thread_exit(arg);
}

static fx_future *submit(void)
{
    return fx_submit(&ex.executor, same, NULL);
}

START_TEST(one_that_is_full_refuses)
{
    init_full(2, FX_FULL_REFUSE, 0);
    fx_future *a = submit(), *b = submit();
    assert_refused(submit(), EAGAIN);
    ck_assert_int_eq(fx_submit_detached(&ex.executor, same, NULL), -EAGAIN);
    manual_run(&ex);
    fx_future *c = submit();
    ck_assert_ptr_nonnull(c);
    assert_refused(submit(), EAGAIN);
    fx_future_cancel(b); /* there is room at once */
    fx_future *d = submit();
    ck_assert_ptr_nonnull(d);
    fx_future_cancel(c);
    ex.submit_error = -EAGAIN; /* of another cause: the place is given back */
    assert_refused(submit(), EAGAIN);
    ex.submit_error = 0;
    fx_future *e = submit();
    ck_assert_ptr_nonnull(e);
    while (manual_run(&ex))
        ;
    ck_assert_uint_eq(ex.executor.pending, 0);
    fx_future *all[] = { a, b, c, d, e };
    fx_future_unref_all(all, 5);
    manual_end(&ex);
}
END_TEST

START_TEST(one_that_is_full_waits_for_a_time)
{
    init_full(1, FX_FULL_BLOCK, FX_MSEC(10));
    fx_future *f = submit();
    fx_deadline end = fx_deadline_after(FX_MSEC(10));
    assert_refused(submit(), ETIMEDOUT);
    ck_assert_int_ge(fx_now(), end);
    manual_run(&ex);
    fx_future_unref(f);
    manual_end(&ex);
}
END_TEST

static fx_future *blocked_future;

static int submit_blocking(void *arg)
{
    (void)arg;
    blocked_future = submit();
    return blocked_future ? 0 : -errno;
}

START_TEST(a_blocked_submit_goes_on_when_a_task_starts_or_is_cancelled_or_the_executor_shut)
{
    init_full(1, FX_FULL_BLOCK, 0);
    for (int i = 0; i < 3; i++) {
        struct worker w;
        fx_future *f = submit();
        worker_start(&w, submit_blocking, NULL);
        await_waiters(&ex.executor.pending, 1);
        if (i == 0)
            manual_run(&ex);
        else if (i == 1)
            fx_future_cancel(f);
        else
            fx_executor_shutdown(&ex.executor, false, false);
        ck_assert_int_eq(worker_end(&w), i < 2 ? 0 : -ESHUTDOWN);
        while (manual_run(&ex))
            ;
        fx_future_unref(f);
        fx_future_unref(blocked_future);
        blocked_future = NULL;
    }
    ck_assert_uint_eq(ex.executor.pending / 2, 0);
    manual_end(&ex);
}
END_TEST

static int submit_stopped(void *arg)
{
    volatile int caught = 0;
    FX_TRY {
        submit_blocking(arg);
    } FX_EXCEPT_ANY(e) {
        caught = e == FX_STOPPED;
    } FX_END
    return caught;
}

START_TEST(a_stop_ends_a_blocked_submit)
{
    struct worker w;
    init_full(1, FX_FULL_BLOCK, 0);
    fx_future *f = submit();
    worker_start(&w, submit_stopped, NULL);
    await_waiters(&ex.executor.pending, 1);
    ck_assert_int_eq(fx_thread_stop(w.thread), 0);
    ck_assert_int_eq(worker_end(&w), 1);
    manual_run(&ex);
    fx_future_unref(f);
    manual_end(&ex);
}
END_TEST

static pthread_t ran_in;
static fx_executor *found_executor;
static int found;

static void *notes_thread(void *arg)
{
    ran_in = pthread_self();
    found_executor = fx_current_executor();
    found = fx_executor_shutdown(&ex.executor, true, true);
    return arg;
}

START_TEST(one_that_is_full_runs_it_in_the_submitter)
{
    void *value;
    init_full(1, FX_FULL_RUN, 0);
    fx_future *f = submit();
    fx_future *here = fx_submit(&ex.executor, notes_thread, &runs);
    ck_assert(fx_future_done(here));
    ck_assert(pthread_equal(ran_in, pthread_self()));
    ck_assert_ptr_eq(found_executor, &ex.executor);
    ck_assert_int_eq(found, -EDEADLK);
    ck_assert_int_eq(fx_future_result(here, &value), 0);
    ck_assert_ptr_eq(value, &runs);
    fx_future_unref(here);
    here = fx_submit(&ex.executor, raises, NULL);
    ck_assert_int_eq(fx_future_result(here, NULL), -EREMOTEIO);
    fx_future_unref(here);
    here = fx_submit(&ex.executor, exits, &runs); /* the task, not its submitter */
    ck_assert_int_eq(fx_future_result(here, &value), 0);
    ck_assert_ptr_eq(value, &runs);
    fx_future_unref(here);
    ck_assert_int_eq(fx_submit_detached(&ex.executor, same, NULL), 0);
    manual_run(&ex);
    fx_future_unref(f);
    manual_end(&ex);
}
END_TEST

static fx_event at_rest = FX_EVENT_INIT;

static void *rests(void *arg)
{
    fx_event_wait(&at_rest);
    return arg;
}

static void *exits_wholly(void *arg)
{
    pthread_exit(arg);
}

static void *submit_rests(void *arg)
{
    (void)arg;
    blocked_future = fx_submit(&ex.executor, rests, NULL);
    return NULL;
}

static void *submit_exits_wholly(void *arg)
{
    if (arg)
        fx_submit_detached(&ex.executor, exits_wholly, NULL);
    else
        blocked_future = fx_submit(&ex.executor, exits_wholly, NULL);
    return NULL;
}

START_TEST(a_stop_and_pthread_exit_in_a_task_of_the_submitters_end_both)
{
    init_full(1, FX_FULL_RUN, 0);
    fx_future *f = submit();
    fx_thread *thread = fx_thread_spawn(submit_rests, NULL);
    await_waiters(&at_rest, 1);
    ck_assert_int_eq(fx_thread_stop(thread), 0);
    ck_assert_int_eq(fx_thread_join_for(thread, FX_SEC(await_limit()), NULL), 0);
    ck_assert_int_eq(fx_thread_exception(thread), FX_STOPPED);
    fx_thread_unref(thread);
    for (int i = 0; i < 2; i++) {
        thread = fx_thread_spawn(submit_exits_wholly, i ? &ex : NULL);
        ck_assert_int_eq(fx_thread_join_for(thread, FX_SEC(await_limit()), NULL), 0);
        ck_assert_int_eq(fx_thread_exception(thread), FX_EXITED);
        fx_thread_unref(thread);
    }
    ck_assert_ptr_null(blocked_future);
    manual_run(&ex);
    fx_future_unref(f);
    manual_end(&ex); /* no handle is left over */
}
END_TEST

START_TEST(places_are_counted_right_while_submits_starts_and_cancels_race)
{
    enum { N = 300 };
    struct manual_crew crew;
    static fx_future *futures[N];
    init_full(3, FX_FULL_BLOCK, 0);
    manual_crew_start(&crew, &ex);
    for (int i = 0; i < N; i++) {
        futures[i] = submit();
        ck_assert_ptr_nonnull(futures[i]);
        if (i % 3 == 0)
            fx_future_cancel(futures[i]);
    }
    ck_assert_int_eq(fx_wait(futures, N, FX_SEC(await_limit()), FX_ALL_COMPLETED, NULL), 0);
    await(manual_is_empty(&ex));
    manual_crew_end(&crew);
    ck_assert_uint_eq(ex.executor.pending / 2, 0);
    fx_future_unref_all(futures, N);
    manual_end(&ex);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, one_that_is_full_refuses);
    tcase_add_test(tests, one_that_is_full_waits_for_a_time);
    tcase_add_test(
        tests, a_blocked_submit_goes_on_when_a_task_starts_or_is_cancelled_or_the_executor_shut);
    tcase_add_test(tests, a_stop_ends_a_blocked_submit);
    tcase_add_test(tests, one_that_is_full_runs_it_in_the_submitter);
    tcase_add_test(tests, a_stop_and_pthread_exit_in_a_task_of_the_submitters_end_both);
    tcase_add_test(tests, places_are_counted_right_while_submits_starts_and_cancels_race);
}

int main(void)
{
    return run_suite("full", add_tests);
}

/* Promises, and what every future says: states, values, exceptions, cancels, waits, references. */
#define _GNU_SOURCE
#include <fxthread.h>
#include <fxthread/future.h>

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "../support/child.h"
#include "../sync/worker.h"
#include "../thread/suite.h"
#include "future/future.h"
#include "kernel/inject.h"

static int dummy;

static int result_of(void *future)
{
    void *value = NULL;
    int rc = fx_future_result(future, &value);
    return rc == 0 && value != &dummy ? -EILSEQ : rc;
}

static int wait_20_ms(void *future)
{
    return fx_future_result_for(future, FX_MSEC(20), NULL);
}

START_TEST(a_new_promise_is_pending)
{
    fx_future *f = fx_future_new();
    ck_assert(!fx_future_done(f));
    ck_assert(!fx_future_running(f));
    ck_assert(!fx_future_cancelled(f));
    ck_assert_uint_eq(fx_future_result_size(f), 0);
    ck_assert_int_eq(fx_future_result_for(f, 0, NULL), -ETIMEDOUT);
    ck_assert_int_eq(fx_future_result_until(f, fx_now(), NULL), -ETIMEDOUT);
    ck_assert_int_eq(fx_future_exception_for(f, 0, NULL), -ETIMEDOUT);
    ck_assert_int_eq(fx_future_worker_status(f, NULL), -ENODATA);
    fx_future_unref(f);
}
END_TEST

START_TEST(a_value_is_told_again_and_again)
{
    fx_future *f = fx_future_new();
    ck_assert_int_eq(fx_future_set_running_or_notify_cancel(f), 0);
    ck_assert(fx_future_running(f));
    ck_assert_int_eq(fx_future_set_result(f, &dummy), 0);
    ck_assert(fx_future_done(f));
    ck_assert(!fx_future_running(f));
    for (int i = 0; i < 3; i++) {
        void *value = NULL;
        fx_exc exception = 1;
        fx_exc_info info = { .code = 1 };
        ck_assert_int_eq(fx_future_result(f, &value), 0);
        ck_assert_ptr_eq(value, &dummy);
        ck_assert_int_eq(fx_future_result(f, NULL), 0);
        ck_assert_int_eq(fx_future_result_for(f, 0, &value), 0);
        ck_assert_int_eq(fx_future_exception(f, &exception), 0);
        ck_assert_int_eq(exception, 0);
        ck_assert_int_eq(fx_future_exception_info(f, &info), 0);
        ck_assert_int_eq(info.code, 0);
        ck_assert_str_eq(info.message, "");
        ck_assert_int_eq(fx_future_result_copy(f, NULL, 0), 0);
    }
    fx_future_unref(f);
}
END_TEST

START_TEST(an_exception_is_told_with_its_message)
{
    fx_future *f = fx_future_new();
    void *value = &value;
    fx_exc exception = 0;
    fx_exc_info info;
    ck_assert_int_eq(fx_future_set_exception(f, 17, "seventeen"), 0);
    ck_assert_int_eq(fx_future_result(f, &value), -EREMOTEIO);
    ck_assert_ptr_eq(value, &value);
    ck_assert_int_eq(fx_future_result_copy(f, NULL, 0), -EREMOTEIO);
    ck_assert_int_eq(fx_future_exception(f, &exception), 0);
    ck_assert_int_eq(exception, 17);
    ck_assert_int_eq(fx_future_exception_info(f, &info), 0);
    ck_assert_int_eq(info.code, 17);
    ck_assert_str_eq(info.message, "seventeen");
    ck_assert_int_eq(fx_future_exception_info(f, NULL), 0);
    ck_assert(!fx_future_cancelled(f));
    fx_future_unref(f);
}
END_TEST

START_TEST(a_long_message_is_cut_and_none_is_empty)
{
    char text[400];
    fx_exc_info info;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    fx_future *f = fx_future_new();
    ck_assert_int_eq(fx_future_set_exception(f, -EIO, text), 0);
    ck_assert_int_eq(fx_future_exception_info(f, &info), 0);
    ck_assert_uint_eq(strlen(info.message), 159);
    fx_future_unref(f);
    f = fx_future_new();
    ck_assert_int_eq(fx_future_set_exception(f, 0, NULL), 0);
    ck_assert_int_eq(fx_future_exception_info(f, &info), 0);
    ck_assert_int_eq(info.code, -EINVAL);
    ck_assert_str_eq(info.message, "");
    fx_future_unref(f);
}
END_TEST

START_TEST(each_of_the_librarys_exceptions_has_its_error)
{
    static const struct {
        fx_exc exception;
        int error;
    } all[] = { { FX_STOPPED, -ECANCELED },       { FX_CANCELLED, -ECANCELED },
                { FX_TIMED_OUT, -ETIME },         { FX_POOL_BROKEN, -EPIPE },
                { FX_WORKER_DIED, -EOWNERDEAD },  { FX_EXITED, -EREMOTEIO },
                { -EIO, -EREMOTEIO },             { 1, -EREMOTEIO } };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        fx_future *f = fx_future_new();
        fx_exc exception;
        ck_assert_int_eq(fx_future_set_exception(f, all[i].exception, NULL), 0);
        ck_assert_int_eq(fx_future_result(f, NULL), all[i].error);
        ck_assert_int_eq(fx_future_exception(f, &exception), 0);
        ck_assert_int_eq(exception, all[i].exception);
        ck_assert(!fx_future_cancelled(f));
        fx_future_unref(f);
    }
}
END_TEST

START_TEST(a_promise_is_fulfilled_once)
{
    fx_future *f = fx_future_new();
    void *value;
    ck_assert_int_eq(fx_future_set_result(f, &dummy), 0);
    ck_assert_int_eq(fx_future_set_result(f, NULL), -EALREADY);
    ck_assert_int_eq(fx_future_set_exception(f, 1, "late"), -EALREADY);
    ck_assert_int_eq(fx_future_set_running_or_notify_cancel(f), -EALREADY);
    ck_assert_int_eq(fx_future_cancel(f), -EALREADY);
    ck_assert_int_eq(fx_future_stop(f), -EALREADY);
    ck_assert_int_eq(fx_future_result(f, &value), 0);
    ck_assert_ptr_eq(value, &dummy);
    fx_future_unref(f);
}
END_TEST

START_TEST(a_pending_one_can_be_cancelled)
{
    fx_future *f = fx_future_new();
    fx_exc exception;
    ck_assert_int_eq(fx_future_cancel(f), 0);
    ck_assert_int_eq(fx_future_cancel(f), 0);
    ck_assert_int_eq(fx_future_stop(f), 0);
    ck_assert(fx_future_cancelled(f));
    ck_assert(fx_future_done(f));
    ck_assert(!fx_future_running(f));
    ck_assert_int_eq(fx_future_result(f, NULL), -ECANCELED);
    ck_assert_int_eq(fx_future_exception(f, &exception), 0);
    ck_assert_int_eq(exception, FX_CANCELLED);
    ck_assert_int_eq(fx_future_set_running_or_notify_cancel(f), -ECANCELED);
    ck_assert_int_eq(fx_future_set_running_or_notify_cancel(f), -ECANCELED);
    ck_assert_int_eq(fx_future_set_result(f, &dummy), -EALREADY);
    fx_future_unref(f);
    f = fx_future_new();
    ck_assert_int_eq(fx_future_stop(f), 0);
    ck_assert(fx_future_cancelled(f));
    fx_future_unref(f);
}
END_TEST

START_TEST(a_running_one_cannot_be_cancelled)
{
    fx_future *f = fx_future_new();
    ck_assert_int_eq(fx_future_set_running_or_notify_cancel(f), 0);
    ck_assert_int_eq(fx_future_set_running_or_notify_cancel(f), -EALREADY);
    ck_assert_int_eq(fx_future_cancel(f), -EBUSY);
    ck_assert_int_eq(fx_future_stop(f), -ENOTSUP);
    ck_assert(!fx_future_cancelled(f));
    ck_assert_int_eq(fx_future_set_result(f, NULL), 0);
    fx_future_unref(f);
}
END_TEST

START_TEST(null_is_refused)
{
    ck_assert_int_eq(fx_future_result(NULL, NULL), -EINVAL);
    ck_assert_int_eq(fx_future_result_for(NULL, 0, NULL), -EINVAL);
    ck_assert_int_eq(fx_future_result_copy(NULL, NULL, 0), -EINVAL);
    ck_assert_int_eq(fx_future_exception(NULL, NULL), -EINVAL);
    ck_assert_int_eq(fx_future_exception_info(NULL, NULL), -EINVAL);
    ck_assert_int_eq(fx_future_cancel(NULL), -EINVAL);
    ck_assert_int_eq(fx_future_stop(NULL), -EINVAL);
    ck_assert_int_eq(fx_future_worker_status(NULL, NULL), -EINVAL);
    ck_assert_int_eq(fx_future_set_running_or_notify_cancel(NULL), -EINVAL);
    ck_assert_int_eq(fx_future_set_result(NULL, NULL), -EINVAL);
    ck_assert_int_eq(fx_future_set_exception(NULL, 1, NULL), -EINVAL);
    fx_future_unref(NULL);
    ck_assert(!fx_future_done(NULL) && !fx_future_running(NULL) && !fx_future_cancelled(NULL));
    ck_assert_uint_eq(fx_future_result_size(NULL), 0);
    ck_assert_ptr_null(fx_future_ref(NULL));
    fx_future_unref_all(NULL, 0);
    fx_future *f = fx_future_new();
    ck_assert_int_eq(fx_future_result_copy(f, NULL, 1), -EINVAL);
    fx_future_unref(f);
}
END_TEST

START_TEST(all_waiters_are_woken)
{
    enum { N = 20 };
    struct worker w[N];
    fx_future *f = fx_future_new();
    workers_line_up(w, N, result_of, f, &f->state);
    ck_assert_int_eq(fx_future_set_result(f, &dummy), 0);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(worker_end(&w[i]), 0);
    fx_future_unref(f);
}
END_TEST

START_TEST(a_cancel_wakes_all_waiters)
{
    struct worker w[3];
    fx_future *f = fx_future_new();
    workers_line_up(w, 3, result_of, f, &f->state);
    ck_assert_int_eq(fx_future_cancel(f), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(worker_end(&w[i]), -ECANCELED);
    fx_future_unref(f);
}
END_TEST

START_TEST(one_that_times_out_leaves_the_others_waiting)
{
    struct worker waits, impatient;
    fx_future *f = fx_future_new();
    worker_start(&waits, result_of, f);
    await_waiters(&f->state, 1);
    worker_start(&impatient, wait_20_ms, f);
    ck_assert_int_eq(worker_end(&impatient), -ETIMEDOUT);
    await_waiters(&f->state, 1);
    ck_assert_int_eq(fx_future_set_result(f, &dummy), 0);
    ck_assert_int_eq(worker_end(&waits), 0);
    fx_future_unref(f);
}
END_TEST

START_TEST(a_wait_lasts_its_full_time)
{
    fx_future *f = fx_future_new();
    fx_deadline end = fx_deadline_after(FX_MSEC(15));
    ck_assert_int_eq(fx_future_result_until(f, end, NULL), -ETIMEDOUT);
    ck_assert_int_ge(fx_now(), end);
    fx_future_unref(f);
}
END_TEST

static int stopped_wait(void *future)
{
    volatile int seen = -1;
    FX_TRY {
        seen = fx_future_result(future, NULL);
    } FX_EXCEPT_ANY(e) {
        seen = e == FX_STOPPED ? 1 : 2;
    } FX_END
    return seen;
}

START_TEST(a_stop_ends_a_wait_and_leaves_the_future_as_it_is)
{
    struct worker w;
    fx_future *f = fx_future_new();
    worker_start(&w, stopped_wait, f);
    await_waiters(&f->state, 1);
    ck_assert_int_eq(fx_thread_stop(w.thread), 0);
    ck_assert_int_eq(worker_end(&w), 1);
    ck_assert(!fx_future_done(f));
    await_waiters(&f->state, 0);
    fx_future_unref(f);
}
END_TEST

enum { RACERS = 4 };
static fx_future *raced;
static atomic_int went, winners;

static void *race_for(void *arg)
{
    int number = (int)(intptr_t)arg, rc = 0;
    atomic_fetch_add(&went, 1);
    while (atomic_load(&went) < RACERS)
        sched_yield();
    switch (number) {
    case 0:
        rc = fx_future_cancel(raced);
        break;
    case 1:
        rc = fx_future_set_running_or_notify_cancel(raced);
        rc = rc == 0 ? fx_future_set_result(raced, &dummy) : rc;
        break;
    case 2:
        rc = fx_future_set_result(raced, &dummy);
        break;
    case 3:
        rc = fx_future_set_exception(raced, 1, "a race");
        break;
    }
    if (rc == 0)
        atomic_fetch_add(&winners, 1);
    return NULL;
}

START_TEST(of_those_who_race_for_an_outcome_one_wins)
{
    for (int round = 0; round < 100; round++) {
        fx_thread *threads[RACERS];
        raced = fx_future_new();
        atomic_store(&went, 0);
        atomic_store(&winners, 0);
        for (int i = 0; i < RACERS; i++)
            threads[i] = fx_thread_spawn(race_for, (void *)(intptr_t)i);
        int rc = fx_future_result_for(raced, FX_SEC(await_limit()), NULL);
        ck_assert(rc == 0 || rc == -ECANCELED || rc == -EREMOTEIO);
        for (int i = 0; i < RACERS; i++) {
            fx_thread_join(threads[i], NULL);
            fx_thread_unref(threads[i]);
        }
        ck_assert_int_eq(fx_future_result(raced, NULL), rc);
        ck_assert_int_eq(atomic_load(&winners), 1);
        fx_future_unref(raced);
    }
}
END_TEST

static struct {
    fx_future *future;
    fx_exc code;
    char message[64];
    int calls;
} told;

static void note_unread(fx_future *future, const fx_exc_info *info)
{
    told.future = future;
    told.code = info->code;
    strncpy(told.message, info->message, sizeof told.message - 1);
    told.calls++;
}

START_TEST(an_exception_that_nobody_asked_for_goes_to_the_hook)
{
    ck_assert_ptr_null(fx_set_unread_hook(note_unread));
    fx_future *f = fx_future_new();
    fx_future_set_exception(f, 5, "unread");
    fx_future_ref(f);
    fx_future_unref(f);
    ck_assert_int_eq(told.calls, 0);
    fx_future_unref(f);
    ck_assert_int_eq(told.calls, 1);
    ck_assert_ptr_eq(told.future, f);
    ck_assert_int_eq(told.code, 5);
    ck_assert_str_eq(told.message, "unread");
    ck_assert(fx_set_unread_hook(NULL) == note_unread);
    f = fx_future_new();
    fx_future_set_exception(f, 5, "unread");
    fx_future_unref(f);
    ck_assert_int_eq(told.calls, 1);
}
END_TEST

START_TEST(what_was_asked_for_cancelled_or_stopped_is_not_told_to_the_hook)
{
    fx_set_unread_hook(note_unread);
    for (int i = 0; i < 8; i++) {
        fx_future *f = fx_future_new();
        if (i == 0)
            fx_future_cancel(f);
        else if (i == 1)
            fx_future_set_exception(f, FX_STOPPED, NULL);
        else if (i == 2)
            fx_future_set_exception(f, FX_EXITED, NULL);
        else if (i == 3)
            fx_future_set_result(f, &dummy);
        else if (i < 7)
            fx_future_set_exception(f, 5, NULL);
        if (i == 4)
            fx_future_result(f, NULL);
        if (i == 5)
            fx_future_exception(f, NULL);
        if (i == 6)
            fx_future_exception_info(f, NULL);
        fx_future_unref(f);
        ck_assert_int_eq(told.calls, 0);
    }
}
END_TEST

static void raise_in_hook(fx_future *future, const fx_exc_info *info)
{
    (void)future;
    told.calls++;
    fx_raise(info->code);
}

START_TEST(what_the_hook_raises_is_dropped)
{
    volatile int raised = 0;
    fx_set_unread_hook(raise_in_hook);
    fx_future *f = fx_future_new();
    fx_future_set_exception(f, 5, NULL);
    FX_TRY {
        fx_future_unref(f);
    } FX_EXCEPT_ANY(e) {
        raised = e;
    } FX_END
    ck_assert_int_eq(told.calls, 1);
    ck_assert_int_eq(raised, 0);
}
END_TEST

START_TEST(unref_all_gives_up_each_and_leaves_nulls)
{
    fx_future *f[3] = { fx_future_new(), NULL, fx_future_new() };
    fx_future *kept = fx_future_ref(f[2]);
    fx_future_unref_all(f, 3);
    for (int i = 0; i < 3; i++)
        ck_assert_ptr_null(f[i]);
    ck_assert_int_eq(fx_future_set_result(kept, NULL), 0);
    fx_future_unref(kept);
}
END_TEST

START_TEST(without_memory_there_is_no_promise_and_an_exception_keeps_its_code)
{
    fxi_inject_arm(FXI_INJECT_ALLOC, 1, ENOMEM);
    errno = 0;
    ck_assert_ptr_null(fx_future_new());
    ck_assert_int_eq(errno, ENOMEM);
    fxi_inject_disarm();
    fx_future *f = fx_future_new();
    fxi_inject_arm(FXI_INJECT_ALLOC, 1, ENOMEM);
    ck_assert_int_eq(fx_future_set_exception(f, 9, "lost"), 0);
    fxi_inject_disarm();
    fx_exc_info info;
    ck_assert_int_eq(fx_future_exception_info(f, &info), 0);
    ck_assert_int_eq(info.code, 9);
    ck_assert_str_eq(info.message, "");
    fx_future_unref(f);
}
END_TEST

static fx_future *shared;

static int fulfil_in_child(void)
{
    void *value;
    if (fx_future_result_for(shared, 0, NULL) != -ETIMEDOUT)
        return 1;
    if (fx_future_set_result(shared, &dummy) != 0)
        return 2;
    return fx_future_result(shared, &value) == 0 && value == &dummy ? 0 : 3;
}

START_TEST(a_promise_works_on_after_a_fork)
{
    shared = fx_future_new();
    ck_assert_int_eq(child_run(fulfil_in_child), 0);
    ck_assert(!fx_future_done(shared));
    fx_future_unref(shared);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, a_new_promise_is_pending);
    tcase_add_test(tests, a_value_is_told_again_and_again);
    tcase_add_test(tests, an_exception_is_told_with_its_message);
    tcase_add_test(tests, a_long_message_is_cut_and_none_is_empty);
    tcase_add_test(tests, each_of_the_librarys_exceptions_has_its_error);
    tcase_add_test(tests, a_promise_is_fulfilled_once);
    tcase_add_test(tests, a_pending_one_can_be_cancelled);
    tcase_add_test(tests, a_running_one_cannot_be_cancelled);
    tcase_add_test(tests, null_is_refused);
    tcase_add_test(tests, all_waiters_are_woken);
    tcase_add_test(tests, a_cancel_wakes_all_waiters);
    tcase_add_test(tests, one_that_times_out_leaves_the_others_waiting);
    tcase_add_test(tests, a_wait_lasts_its_full_time);
    tcase_add_test(tests, a_stop_ends_a_wait_and_leaves_the_future_as_it_is);
    tcase_add_test(tests, of_those_who_race_for_an_outcome_one_wins);
    tcase_add_test(tests, an_exception_that_nobody_asked_for_goes_to_the_hook);
    tcase_add_test(tests, what_was_asked_for_cancelled_or_stopped_is_not_told_to_the_hook);
    tcase_add_test(tests, what_the_hook_raises_is_dropped);
    tcase_add_test(tests, unref_all_gives_up_each_and_leaves_nulls);
    tcase_add_test(tests, without_memory_there_is_no_promise_and_an_exception_keeps_its_code);
    tcase_add_test(tests, a_promise_works_on_after_a_fork);
}

int main(void)
{
    return run_suite("promise", add_tests);
}

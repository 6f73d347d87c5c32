/* What all executors have in common: submitting, outcomes, and who frees what. */
#define _GNU_SOURCE
#include <fxthread.h>

#include <errno.h>
#include <string.h>

#include "../support/child.h"
#include "../support/record.h"
#include "../thread/suite.h"
#include "kernel/inject.h"
#include "manual.h"

static struct manual ex;
static int runs, args_freed, results_freed, payloads_freed, unread;

static void *same(void *arg)
{
    runs++;
    return arg;
}

static void *raises(void *arg)
{
    runs++;
    fx_raise_msg(17, "raised by %s", (char *)arg);
}

static void free_arg(void *arg)
{
    ck_assert_ptr_eq(arg, &args_freed);
    args_freed++;
}

static void free_result(void *result)
{
    ck_assert_ptr_eq(result, &args_freed);
    results_freed++;
}

static int doubled(const void *arg, size_t arg_size, void *result, size_t result_size)
{
    ck_assert_uint_eq(arg_size, sizeof(int));
    ck_assert_uint_eq(result_size, sizeof(long));
    ck_assert_int_eq(*(long *)result, 0);
    *(long *)result = 2 * *(const int *)arg;
    return *(const int *)arg < 0 ? -EDOM : 5;
}

START_TEST(what_a_function_returns_is_the_value)
{
    void *value;
    manual_init(&ex);
    fx_future *f = fx_submit(&ex.executor, same, &runs);
    ck_assert(!fx_future_done(f) && !fx_future_running(f));
    ck_assert(manual_run(&ex));
    ck_assert_int_eq(fx_future_result(f, &value), 0);
    ck_assert_ptr_eq(value, &runs);
    ck_assert_int_eq(runs, 1);
    fx_future_unref(f);
    manual_end(&ex);
}
END_TEST

START_TEST(what_it_raises_is_the_exception)
{
    fx_exc_info info;
    manual_init(&ex);
    fx_future *f = fx_submit(&ex.executor, raises, "a task");
    manual_run(&ex);
    ck_assert_int_eq(fx_future_result(f, NULL), -EREMOTEIO);
    ck_assert_int_eq(fx_future_exception_info(f, &info), 0);
    ck_assert_int_eq(info.code, 17);
    ck_assert_str_eq(info.message, "raised by a task");
    ck_assert(strstr(info.file, "check_submit.c") != NULL);
    fx_future_unref(f);
    manual_end(&ex);
}
END_TEST

static void free_payload(void *payload)
{
    ck_assert_ptr_eq(payload, &payloads_freed);
    payloads_freed++;
}

static void *raises_payload(void *arg)
{
    (void)arg;
    fx_raise_with(18, &payloads_freed, free_payload);
}

START_TEST(a_payload_lives_as_long_as_the_future)
{
    fx_exc_info info;
    manual_init(&ex);
    fx_future *f = fx_submit(&ex.executor, raises_payload, NULL);
    manual_run(&ex);
    ck_assert_int_eq(fx_future_exception_info(f, &info), 0);
    ck_assert_ptr_eq(info.payload, &payloads_freed);
    ck_assert_int_eq(payloads_freed, 0);
    fx_future_unref(f);
    ck_assert_int_eq(payloads_freed, 1);
    f = fx_submit(&ex.executor, raises_payload, NULL);
    fxi_inject_arm(FXI_INJECT_ALLOC, 1, ENOMEM);
    manual_run(&ex);
    fxi_inject_disarm();
    ck_assert_int_eq(payloads_freed, 2);
    ck_assert_int_eq(fx_future_exception_info(f, &info), 0);
    ck_assert_int_eq(info.code, 18);
    ck_assert_ptr_null(info.payload);
    fx_future_unref(f);
    manual_end(&ex);
}
END_TEST

static void *exits(void *arg)
{
    fx_thread_exit(arg);
}

START_TEST(fx_thread_exit_ends_the_task_with_a_value)
{
    void *value;
    manual_init(&ex);
    fx_future *f = fx_submit(&ex.executor, exits, &runs);
    manual_run(&ex);
    ck_assert_int_eq(fx_future_result(f, &value), 0);
    ck_assert_ptr_eq(value, &runs);
    fx_future_unref(f);
    manual_end(&ex);
}
END_TEST

START_TEST(copies_go_in_and_the_result_lies_in_the_future)
{
    int arg = 21;
    long copy;
    void *result;
    manual_init(&ex);
    fx_future *f = fx_submit_copy(&ex.executor, doubled, &arg, sizeof arg, sizeof(long));
    arg = 0;
    ck_assert_uint_eq(fx_future_result_size(f), sizeof(long));
    manual_run(&ex);
    ck_assert_int_eq(fx_future_result(f, &result), 0);
    ck_assert_int_eq(*(long *)result, 42);
    ck_assert_uint_eq((uintptr_t)result % 16, 0);
    ck_assert_int_eq(fx_future_result_copy(f, &copy, sizeof copy), 0);
    ck_assert_int_eq(copy, 42);
    ck_assert_int_eq(fx_future_result_copy(f, &copy, sizeof copy - 1), -EMSGSIZE);
    fx_future_unref(f);
    manual_end(&ex);
}
END_TEST

START_TEST(a_negative_return_of_a_copying_function_is_its_exception)
{
    int arg = -1;
    long copy = 7;
    fx_exc exception;
    manual_init(&ex);
    fx_future *f = fx_submit_copy(&ex.executor, doubled, &arg, sizeof arg, sizeof(long));
    manual_run(&ex);
    ck_assert_int_eq(fx_future_result_copy(f, &copy, sizeof copy), -EREMOTEIO);
    ck_assert_int_eq(copy, 7);
    ck_assert_int_eq(fx_future_exception(f, &exception), 0);
    ck_assert_int_eq(exception, -EDOM);
    fx_future_unref(f);
    manual_end(&ex);
}
END_TEST

static int ends_early(const void *arg, size_t arg_size, void *result, size_t result_size)
{
    (void)arg;
    (void)arg_size;
    memset(result, 1, result_size);
    fx_thread_exit(NULL);
}

START_TEST(areas_may_be_empty_and_an_exit_keeps_what_was_written)
{
    char copy[3];
    manual_init(&ex);
    fx_future *f = fx_submit_copy(&ex.executor, ends_early, NULL, 0, 3);
    manual_run(&ex);
    ck_assert_int_eq(fx_future_result_copy(f, copy, sizeof copy), 0);
    ck_assert_mem_eq(copy, "\1\1\1", 3);
    fx_future_unref(f);
    f = fx_submit_copy(&ex.executor, ends_early, "x", 1, 0);
    manual_run(&ex);
    ck_assert_int_eq(fx_future_result_copy(f, NULL, 0), 0);
    fx_future_unref(f);
    manual_end(&ex);
}
END_TEST

static fx_future *submit_owning(fx_target fn)
{
    fx_submit_attr attr = { .name = "owner", .free_arg = free_arg, .free_result = free_result };
    return fx_submit_with(&ex.executor, fn, &args_freed, &attr);
}

START_TEST(an_argument_that_no_function_had_is_freed_once)
{
    manual_init(&ex);
    fx_future *f = submit_owning(same);
    ck_assert_int_eq(fx_future_cancel(f), 0);
    ck_assert_int_eq(atomic_load(&ex.withdrawn), 1);
    fx_future_unref(f);
    ck_assert_int_eq(args_freed, 0); /* the executor has it still */
    manual_run(&ex);
    ck_assert_int_eq(runs, 0);
    ck_assert_int_eq(args_freed, 1);
    f = submit_owning(same);
    ck_assert_int_eq(fx_executor_shutdown(&ex.executor, true, true), 0);
    ck_assert(fx_future_cancelled(f));
    ck_assert_int_eq(args_freed, 1);
    fx_future_unref(f);
    ck_assert_int_eq(args_freed, 2);
    ck_assert_int_eq(results_freed, 0);
    assert_refused(submit_owning(same), ESHUTDOWN);
    ck_assert_int_eq(args_freed, 2); /* what was refused is the caller's */
    manual_end(&ex);
}
END_TEST

START_TEST(a_value_that_nobody_fetched_is_freed_once)
{
    void *value;
    manual_init(&ex);
    for (int i = 0; i < 5; i++) {
        fx_future *f = submit_owning(i == 3 ? raises : same);
        results_freed = 0;
        if (i == 4) {
            fx_future_unref(f);
            f = NULL;
        }
        manual_run(&ex);
        if (i == 0)
            ck_assert_int_eq(fx_future_result(f, &value), 0);
        if (i == 1)
            ck_assert_int_eq(fx_future_result(f, NULL), 0);
        fx_future_unref(f);
        ck_assert_int_eq(results_freed, i == 1 || i == 2 || i == 4);
        ck_assert_int_eq(args_freed, 0);
    }
    manual_end(&ex);
}
END_TEST

static void note_unread(fx_future *future, const fx_exc_info *info)
{
    ck_assert(fx_future_done(future));
    ck_assert_int_eq(info->code, 17);
    unread++;
}

START_TEST(a_detached_task_that_fails_is_told_to_the_unread_hook)
{
    manual_init(&ex);
    fx_set_unread_hook(note_unread);
    ck_assert_int_eq(fx_submit_detached(&ex.executor, raises, "nobody's"), 0);
    ck_assert_int_eq(fx_submit_detached(&ex.executor, same, NULL), 0);
    manual_run(&ex);
    ck_assert_int_eq(unread, 1);
    manual_run(&ex);
    ck_assert_int_eq(runs, 2);
    ck_assert_int_eq(unread, 1);
    manual_end(&ex);
}
END_TEST

START_TEST(bad_arguments_are_refused)
{
    manual_init(&ex);
    fx_executor *e = &ex.executor;
    fx_submit_attr reserved = { .reserved = { 0, 1 } }, limit = { .time_limit = -2 };
    fx_submit_attr owns_arg = { .free_arg = free_arg }, owns_result = { .free_result = free_arg };
    assert_refused(fx_submit(NULL, same, NULL), EINVAL);
    assert_refused(fx_submit(e, NULL, NULL), EINVAL);
    assert_refused(fx_submit_with(e, same, NULL, &reserved), EINVAL);
    assert_refused(fx_submit_with(e, same, NULL, &limit), EINVAL);
    assert_refused(fx_submit_copy(NULL, doubled, "", 1, 1), EINVAL);
    assert_refused(fx_submit_copy(e, NULL, "", 1, 1), EINVAL);
    assert_refused(fx_submit_copy(e, doubled, NULL, 1, 1), EINVAL);
    assert_refused(fx_submit_copy_with(e, doubled, "", 1, 1, &owns_arg), EINVAL);
    assert_refused(fx_submit_copy_with(e, doubled, "", 1, 1, &owns_result), EINVAL);
    assert_refused(fx_submit_copy(e, doubled, "", SIZE_MAX, 1), ENOMEM);
    assert_refused(fx_submit_copy(e, doubled, "", 1, SIZE_MAX), ENOMEM);
    ck_assert_int_eq(fx_submit_detached(NULL, same, NULL), -EINVAL);
    ck_assert_int_eq(fx_submit_detached(e, NULL, NULL), -EINVAL);
    ck_assert_int_eq(fx_executor_shutdown(NULL, true, true), -EINVAL);
    ck_assert_int_eq(fx_executor_shutdown_for(NULL, 0, true), -EINVAL);
    ck_assert_int_eq(fx_executor_terminate_workers(NULL), -EINVAL);
    ck_assert_int_eq(fx_executor_kill_workers(e), -ENOTSUP);
    ck_assert_int_eq(fxi_executor_set_full(e, 1, (fx_when_full)3, 0), -EINVAL);
    ck_assert_int_eq(fxi_executor_set_full(e, 1, FX_FULL_BLOCK, -2), -EINVAL);
    ck_assert_int_eq(fxi_executor_set_full(e, SIZE_MAX, FX_FULL_BLOCK, 0), -EINVAL);
    ck_assert_ptr_null(fx_executor_ref(NULL));
    ck_assert_int_eq(fx_executor_backend(NULL), FX_BACKEND_AUTO);
    fx_executor_unref(NULL);
    manual_end(&ex);
}
END_TEST

START_TEST(what_the_executor_says_is_told_and_the_argument_stays_the_callers)
{
    static const int errors[] = { EAGAIN, ENOMEM, EPIPE, ESHUTDOWN };
    manual_init(&ex);
    for (int i = 0; i < 4; i++) {
        ex.submit_error = -errors[i];
        assert_refused(submit_owning(same), errors[i]);
        ck_assert_int_eq(fx_submit_detached(&ex.executor, same, NULL), -errors[i]);
    }
    ck_assert_int_eq(args_freed, 0);
    fxi_executor_set_condition(&ex.executor, FXI_EXECUTOR_BROKEN);
    fxi_executor_set_condition(&ex.executor, FXI_EXECUTOR_SHUT);
    assert_refused(submit_owning(same), EPIPE);
    manual_end(&ex);
}
END_TEST

START_TEST(an_executor_of_copies_takes_no_other_functions)
{
    int arg = 1;
    struct manual copying;
    manual_init_with(&copying, &manual_copying_ops);
    assert_refused(fx_submit(&copying.executor, same, NULL), ENOTSUP);
    ck_assert_int_eq(fx_submit_detached(&copying.executor, same, NULL), -ENOTSUP);
    fx_future *f = fx_submit_copy(&copying.executor, doubled, &arg, sizeof arg, sizeof(long));
    manual_run(&copying);
    ck_assert_int_eq(fx_future_result(f, NULL), 0);
    fx_future_unref(f);
    manual_end(&copying);
}
END_TEST

/* --- in the task ------------------------------------------------------------------------------ */

static fx_future *own_future;
static int found[4];
static fx_executor *found_executor;

static void *looks_around(void *arg)
{
    (void)arg;
    found_executor = fx_current_executor();
    found[0] = fx_future_result(own_future, NULL);
    found[1] = fx_executor_shutdown(&ex.executor, true, true);
    found[2] = fx_executor_shutdown_for(&ex.executor, 0, true);
    found[3] = fx_wait(&own_future, 1, FX_FOREVER, FX_ALL_COMPLETED, NULL);
    fx_yield();
    return NULL;
}

START_TEST(a_task_cannot_wait_for_itself)
{
    manual_init(&ex);
    own_future = fx_submit(&ex.executor, looks_around, NULL);
    ck_assert_ptr_null(fx_current_executor());
    manual_run(&ex);
    ck_assert_ptr_null(fx_current_executor());
    ck_assert_ptr_eq(found_executor, &ex.executor);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(found[i], -EDEADLK);
    fx_future *f = fx_submit(&ex.executor, same, NULL); /* nothing was shut */
    ck_assert_ptr_nonnull(f);
    manual_run(&ex);
    fx_future_unref(f);
    fx_future_unref(own_future);
    fx_yield();
    manual_end(&ex);
}
END_TEST

static void *asks_to_be_stopped(void *arg)
{
    (void)arg;
    found[0] = fx_future_running(own_future);
    found[1] = fx_future_cancel(own_future);
    found[2] = fx_future_stop(own_future);
    return NULL;
}

START_TEST(a_running_task_is_stopped_through_its_executor)
{
    manual_init(&ex);
    own_future = fx_submit(&ex.executor, asks_to_be_stopped, NULL);
    manual_run(&ex);
    ck_assert_int_eq(found[0], true);
    ck_assert_int_eq(found[1], -EBUSY);
    ck_assert_int_eq(found[2], 0);
    ck_assert_int_eq(atomic_load(&ex.stopped), FX_STOPPED);
    ck_assert_int_eq(fx_future_stop(own_future), -EALREADY);
    fx_future_unref(own_future);
    manual_end(&ex);
}
END_TEST

START_TEST(without_memory_nothing_is_submitted)
{
    manual_init_with(&ex, &manual_plain_ops);
    fxi_inject_arm(FXI_INJECT_ALLOC, 1, ENOMEM);
    assert_refused(fx_submit(&ex.executor, same, NULL), ENOMEM);
    fxi_inject_arm(FXI_INJECT_ALLOC, 1, ENOMEM);
    assert_refused(fx_submit_copy(&ex.executor, doubled, "", 1, 1), ENOMEM);
    fxi_inject_arm(FXI_INJECT_ALLOC, 1, ENOMEM);
    ck_assert_int_eq(fx_submit_detached(&ex.executor, same, NULL), -ENOMEM);
    fxi_inject_disarm();
    fx_future *f = fx_submit(&ex.executor, same, NULL);
    ck_assert_int_eq(fx_future_worker_status(f, NULL), -ENODATA);
    manual_run(&ex);
    ck_assert_int_eq(fx_future_worker_status(f, NULL), -ENODATA);
    ck_assert_int_eq(fx_executor_backend(&ex.executor), FX_BACKEND_AUTO);
    fx_future_unref(f);
    manual_end(&ex);
}
END_TEST

START_TEST(an_executor_is_shut_at_the_end_of_its_with)
{
    volatile fx_exc caught = 0;
    fx_future *f = NULL;
    manual_init(&ex);
    FX_WITH(&ex.executor) {
        f = fx_submit(&ex.executor, same, NULL);
        ck_assert_ptr_nonnull(f);
        manual_run(&ex);
    }
    ck_assert_int_eq(fx_future_result_for(f, 0, NULL), 0);
    assert_refused(fx_submit(&ex.executor, same, NULL), ESHUTDOWN);
    fx_future_unref(f);
    FX_TRY {
        FX_WITH((fx_executor *)NULL) {
            caught = 1;
        }
    } FX_EXCEPT(e) {
        caught = e;
    } FX_END
    ck_assert_int_eq(caught, -EINVAL);
    manual_end(&ex);
}
END_TEST

/* --- fork ------------------------------------------------------------------------------------- */

static fx_future *inherited[3]; /* done, not done, not done */

static int ask_in_child(void)
{
    size_t n_done = 0;
    fx_as_completed each;
    expect_int(fx_future_result(inherited[0], NULL), ==, 0);
    expect_int(fx_future_result(inherited[1], NULL), ==, -ESRCH);
    expect_int(fx_future_exception(inherited[1], NULL), ==, -ESRCH);
    expect_int(fx_wait(inherited, 3, FX_FOREVER, FX_ALL_COMPLETED, NULL), ==, -ESRCH);
    expect_int(fx_wait(inherited, 3, FX_FOREVER, FX_FIRST_EXCEPTION, NULL), ==, -ESRCH);
    expect_int(fx_wait(inherited, 3, FX_FOREVER, FX_FIRST_COMPLETED, &n_done), ==, 0);
    expect_int(n_done, ==, 1);
    expect_int(fx_wait(inherited + 1, 2, FX_FOREVER, FX_FIRST_COMPLETED, NULL), ==, -ESRCH);
    expect_int(fx_as_completed_init(&each, inherited, 3, FX_FOREVER), ==, 0);
    expect_int(fx_as_completed_next(&each, NULL, NULL), ==, 1);
    expect_int(fx_as_completed_next(&each, NULL, NULL), ==, -ESRCH);
    fx_as_completed_end(&each);
    expect_int(fx_future_cancel(inherited[2]), ==, 0); /* nobody has begun it */
    expect_int(fx_future_result(inherited[2], NULL), ==, -ECANCELED);
    return record_status();
}

START_TEST(what_was_not_done_is_lost_in_a_forked_child)
{
    manual_init(&ex);
    for (int i = 0; i < 3; i++)
        inherited[i] = fx_submit(&ex.executor, same, NULL);
    manual_run(&ex);
    ck_assert_int_eq(child_run(ask_in_child), 0);
    while (manual_run(&ex))
        ;
    ck_assert_int_eq(fx_wait(inherited, 3, 0, FX_ALL_COMPLETED, NULL), 0);
    fx_future_unref_all(inherited, 3);
    manual_end(&ex);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, what_a_function_returns_is_the_value);
    tcase_add_test(tests, what_it_raises_is_the_exception);
    tcase_add_test(tests, a_payload_lives_as_long_as_the_future);
    tcase_add_test(tests, fx_thread_exit_ends_the_task_with_a_value);
    tcase_add_test(tests, copies_go_in_and_the_result_lies_in_the_future);
    tcase_add_test(tests, a_negative_return_of_a_copying_function_is_its_exception);
    tcase_add_test(tests, areas_may_be_empty_and_an_exit_keeps_what_was_written);
    tcase_add_test(tests, an_argument_that_no_function_had_is_freed_once);
    tcase_add_test(tests, a_value_that_nobody_fetched_is_freed_once);
    tcase_add_test(tests, a_detached_task_that_fails_is_told_to_the_unread_hook);
    tcase_add_test(tests, bad_arguments_are_refused);
    tcase_add_test(tests, what_the_executor_says_is_told_and_the_argument_stays_the_callers);
    tcase_add_test(tests, an_executor_of_copies_takes_no_other_functions);
    tcase_add_test(tests, a_task_cannot_wait_for_itself);
    tcase_add_test(tests, a_running_task_is_stopped_through_its_executor);
    tcase_add_test(tests, without_memory_nothing_is_submitted);
    tcase_add_test(tests, an_executor_is_shut_at_the_end_of_its_with);
    tcase_add_test(tests, what_was_not_done_is_lost_in_a_forked_child);
}

int main(void)
{
    return run_suite("submit", add_tests);
}

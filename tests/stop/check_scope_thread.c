/* Scopes and what ends a thread or the program: exceptions that nothing catches, exits, forks. */
#define _GNU_SOURCE
#include <fxthread.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "../support/child.h"
#include "../support/record.h"
#include "../thread/captured.h"
#include "../thread/suite.h"
#include "raise_below.h"
#include "trace.h"

static int value, other_value; /* whose addresses are results */

/* --- threads --- */

static void note_hook(fx_thread *thread, const fx_exc_info *info)
{
    (void)thread;
    (void)info;
    note("hook");
}

static fx_thread *run_thread(fx_target fn, void **result)
{
    fx_set_excepthook(note_hook);
    fx_thread *t = fx_thread_spawn(fn, NULL);
    ck_assert_ptr_nonnull(t);
    ck_assert_int_eq(fx_thread_join(t, result), 0);
    return t;
}

static void *raise_out_of_scopes(void *arg)
{
    FX_TRY {
        FX_DEFER(note_deferred, "deferred");
        raise_below(4, 12);
    } FX_FINALLY { note("finally"); } FX_END
    return arg;
}

START_TEST(uncaught_exception_ends_the_thread_after_its_finally_blocks)
{
    void *result = &value;
    fx_thread *t = run_thread(raise_out_of_scopes, &result);
    ck_assert_ptr_null(result);
    ck_assert_int_eq(fx_thread_exception(t), 12);
    ck_assert(traced("deferred finally hook"));
    fx_thread_unref(t);
}
END_TEST

static void *exit_out_of_scopes(void *arg)
{
    FX_TRY {
        FX_TRY { FX_DEFER(note_deferred, "deferred"); fx_thread_exit(&value); }
        FX_EXCEPT(e) { note("except"); }
        FX_FINALLY { note("inner"); } FX_END
    } FX_FINALLY { note("outer"); } FX_END
    return arg;
}

START_TEST(thread_exit_runs_finally_blocks_and_keeps_its_result)
{
    void *result = NULL;
    fx_exc_info info;
    fx_thread *t = run_thread(exit_out_of_scopes, &result);
    ck_assert_ptr_eq(result, &value);
    ck_assert_int_eq(fx_thread_exception(t), FX_EXITED);
    ck_assert_int_eq(fx_thread_exception_info(t, &info), 0);
    ck_assert_ptr_null(info.payload);
    ck_assert(traced("deferred inner outer"));
    fx_thread_unref(t);
}
END_TEST

static void *survive_an_exit(void *arg)
{
    (void)arg;
    FX_TRY { fx_thread_exit(&value); } FX_EXCEPT_ANY(e) { expect_int(e, ==, FX_EXITED); } FX_END
    return &other_value;
}

START_TEST(a_thread_exit_that_is_taken_is_over)
{
    void *result = NULL;
    fx_thread *t = run_thread(survive_an_exit, &result);
    ck_assert_msg(!record_failure(), "%s", record_failure());
    ck_assert_ptr_eq(result, &other_value);
    ck_assert_int_eq(fx_thread_exception(t), 0);
    fx_thread_unref(t);
}
END_TEST

static void *replace_an_exit(void *arg)
{
    FX_TRY { fx_thread_exit(&value); } FX_FINALLY { fx_raise(-EIO); } FX_END
    return arg;
}

START_TEST(an_exception_that_replaces_a_thread_exit_takes_its_result)
{
    void *result = &value;
    fx_thread *t = run_thread(replace_an_exit, &result);
    ck_assert_ptr_null(result);
    ck_assert_int_eq(fx_thread_exception(t), -EIO);
    ck_assert(traced("hook"));
    fx_thread_unref(t);
}
END_TEST

static void *pthread_exit_out_of_scopes(void *arg)
{
    FX_TRY { FX_DEFER(note_deferred, "deferred"); pthread_exit(&value); }
    FX_FINALLY { note("finally"); scribble(3); } FX_END
    return arg;
}

/* Only code with unwind tables for exceptions is told of it. */
START_TEST(pthread_exit_out_of_scopes_ends_the_thread)
{
    for (int i = 0; i < 20; i++) {
        void *result = NULL;
        fx_thread *t = run_thread(pthread_exit_out_of_scopes, &result);
        ck_assert_ptr_eq(result, &value);
        ck_assert_int_eq(fx_thread_exception(t), FX_EXITED);
#ifdef __EXCEPTIONS
        ck_assert(traced("deferred finally"));
#else
        ck_assert(traced(""));
#endif
        fx_thread_unref(t);
        t = run_thread(raise_out_of_scopes, NULL); /* on the same carrier, most likely */
        ck_assert(traced("deferred finally hook"));
        fx_thread_unref(t);
    }
}
END_TEST

static void *scopes_in_a_foreign_thread(void *arg)
{
    FX_TRY { raise_below(3, 5); }
    FX_EXCEPT(e) { note("caught"); }
    FX_FINALLY { note("finally"); } FX_END
    FX_TRY { fx_thread_exit(&value); } FX_FINALLY { note("exits"); } FX_END
    return arg;
}

START_TEST(scopes_work_in_a_foreign_thread_from_its_first_call_on)
{
    pthread_t t;
    void *result = NULL;
    ck_assert_int_eq(pthread_create(&t, NULL, scopes_in_a_foreign_thread, NULL), 0);
    ck_assert_int_eq(pthread_join(t, &result), 0);
    ck_assert_ptr_eq(result, &value);
    ck_assert(traced("caught finally exits"));
}
END_TEST

/* --- the main thread --- */

static void print_hook(fx_thread *thread, const fx_exc_info *info)
{
    (void)thread;
    printf("hook %d ", info->code);
}

static void raise_in_main(void *arg)
{
    (void)arg;
    fx_set_excepthook(print_hook);
    FX_TRY { raise_below(2, 7); } FX_FINALLY { printf("finally "); } FX_END
    printf("not here");
}

START_TEST(uncaught_exception_in_main_runs_finally_then_the_hook_then_exits)
{
    struct child child;
    child_fork(&child, raise_in_main, NULL);
    assert_child_exits(&child, EXIT_FAILURE);
    ck_assert_str_eq(child.out, "finally hook 7 ");
}
END_TEST

/* ThreadSanitizer's run-time has a thread of its own, which keeps a process without main alive. */
#ifndef FXI_TSAN

static void exit_in_main(void *arg)
{
    (void)arg;
    FX_TRY { fx_thread_exit(NULL); }
    FX_EXCEPT(e) { printf("except "); }
    FX_FINALLY { printf("finally "); } FX_END
    printf("not here");
}

START_TEST(thread_exit_in_main_runs_finally)
{
    struct child child;
    child_fork(&child, exit_in_main, NULL);
    assert_child_exits(&child, EXIT_SUCCESS);
    ck_assert_str_eq(child.out, "finally ");
}
END_TEST

#endif

static int leave_scopes_in_child(void)
{
    trace[0] = '\0';
    FX_TRY { raise_below(2, 9); } FX_EXCEPT(e) { note("child"); } FX_END
    return traced("child") ? 0 : 1;
}

START_TEST(scopes_go_on_in_a_forked_child)
{
    volatile int code = -1;
    FX_TRY { code = child_run(leave_scopes_in_child); } FX_FINALLY { note("finally"); } FX_END
    ck_assert_int_eq(code, 0);
    ck_assert(traced("finally"));
}
END_TEST

/* --- callbacks that the library calls --- */

static void raise_in_once(void)
{
    FX_TRY { raise_below(2, 44); } FX_FINALLY { note("inside"); } FX_END
}

static void call_once(void *arg)
{
    (void)arg;
    raise_in_once();
}

START_TEST(an_exception_passes_a_callback_and_reaches_the_scope_around_it)
{
    static fx_once once = FX_ONCE_INIT;
    for (int i = 0; i < 2; i++) { /* it was not done, so the second call runs it again */
        FX_TRY { fx_once_call(&once, call_once, NULL); note("not here"); }
        FX_EXCEPT(e) { ck_assert_int_eq(e, 44); note("caught"); }
        FX_FINALLY { note("outside"); } FX_END
    }
    ck_assert(traced("inside caught outside inside caught outside"));
    ck_assert_ptr_null(fx_scope_own->innermost);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, uncaught_exception_ends_the_thread_after_its_finally_blocks);
    tcase_add_test(tests, thread_exit_runs_finally_blocks_and_keeps_its_result);
    tcase_add_test(tests, a_thread_exit_that_is_taken_is_over);
    tcase_add_test(tests, an_exception_that_replaces_a_thread_exit_takes_its_result);
    tcase_add_test(tests, pthread_exit_out_of_scopes_ends_the_thread);
    tcase_add_test(tests, scopes_work_in_a_foreign_thread_from_its_first_call_on);
    tcase_add_test(tests, uncaught_exception_in_main_runs_finally_then_the_hook_then_exits);
#ifndef FXI_TSAN
    tcase_add_test(tests, thread_exit_in_main_runs_finally);
#endif
    tcase_add_test(tests, scopes_go_on_in_a_forked_child);
    tcase_add_test(tests, an_exception_passes_a_callback_and_reaches_the_scope_around_it);
}

int main(void)
{
    return run_suite("scope_thread", add_tests);
}

/* Done callbacks: when, in which order, and whatever they raise. */
#define _GNU_SOURCE
#include <fxthread.h>
#include <fxthread/future.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "../sync/worker.h"
#include "../thread/suite.h"
#include "future/future.h"
#include "kernel/inject.h"

static char order[32];
static atomic_int calls;
static fx_future *seen;
static fx_exc reported;

static void note(fx_future *future, void *letter)
{
    seen = future;
    strcat(order, letter);
    atomic_fetch_add(&calls, 1);
}

static void raise_5(fx_future *future, void *letter)
{
    note(future, letter);
    fx_raise_msg(5, "from a callback");
}

static void exit_thread(fx_future *future, void *letter)
{
    note(future, letter);
    fx_thread_exit(&calls);
}

static void exit_pthread(fx_future *future, void *letter)
{
    note(future, letter);
    pthread_exit(NULL);
}

static void note_report(fx_thread *thread, const fx_exc_info *info)
{
    (void)thread;
    reported = info->code;
}

static void raise_in_report(fx_thread *thread, const fx_exc_info *info)
{
    note_report(thread, info);
    fx_raise(6);
}

static void add(fx_future *f, fx_done_callback fn, const char *letter)
{
    ck_assert_int_eq(fx_future_add_done_callback(f, fn, (void *)(uintptr_t)letter), 0);
}

START_TEST(callbacks_are_called_once_in_the_order_of_their_adding)
{
    fx_future *f = fx_future_new();
    add(f, note, "a");
    add(f, note, "b");
    add(f, note, "c");
    ck_assert_str_eq(order, "");
    ck_assert_int_eq(fx_future_set_result(f, NULL), 0);
    ck_assert_str_eq(order, "abc");
    ck_assert_ptr_eq(seen, f);
    fx_future_unref(f);
    ck_assert_str_eq(order, "abc");
}
END_TEST

START_TEST(one_added_to_a_future_that_is_done_is_called_at_once)
{
    fx_future *f = fx_future_new();
    fx_future_set_exception(f, 1, NULL);
    add(f, note, "a");
    ck_assert_str_eq(order, "a");
    add(f, note, "b");
    ck_assert_str_eq(order, "ab");
    fx_future_unref(f);
}
END_TEST

START_TEST(a_cancel_calls_them_in_the_canceller)
{
    fx_future *f = fx_future_new();
    add(f, note, "a");
    ck_assert_int_eq(fx_future_cancel(f), 0);
    ck_assert_str_eq(order, "a");
    ck_assert_int_eq(fx_future_cancel(f), 0);
    ck_assert_str_eq(order, "a");
    fx_future_unref(f);
}
END_TEST

START_TEST(a_future_that_goes_without_an_outcome_calls_none)
{
    fx_future *f = fx_future_new();
    add(f, note, "a");
    fx_future_unref(f);
    ck_assert_str_eq(order, "");
}
END_TEST

START_TEST(one_that_raises_stops_none_of_the_others_and_is_reported)
{
    fx_future *f = fx_future_new();
    fx_set_excepthook(note_report);
    add(f, raise_5, "a");
    add(f, note, "b");
    add(f, raise_5, "c");
    add(f, note, "d");
    ck_assert_int_eq(fx_future_set_result(f, NULL), 0);
    ck_assert_str_eq(order, "abcd");
    ck_assert_int_eq(reported, 5);
    reported = 0;
    add(f, raise_5, "e");
    ck_assert_int_eq(reported, 5);
    fx_future_unref(f);
}
END_TEST

START_TEST(what_the_excepthook_raises_is_dropped)
{
    fx_future *f = fx_future_new();
    fx_set_excepthook(raise_in_report);
    add(f, raise_5, "a");
    add(f, note, "b");
    ck_assert_int_eq(fx_future_set_result(f, NULL), 0);
    ck_assert_str_eq(order, "ab");
    fx_set_excepthook(NULL);
    fx_future_unref(f);
}
END_TEST

static int payloads_freed;

static void free_payload(void *payload)
{
    (void)payload;
    payloads_freed++;
}

static void raise_payload(fx_future *future, void *letter)
{
    note(future, letter);
    fx_raise_with(7, &payloads_freed, free_payload);
}

START_TEST(a_payload_that_a_callback_raised_is_freed_once)
{
    fx_future *f = fx_future_new();
    fx_set_excepthook(note_report);
    add(f, raise_payload, "a");
    add(f, raise_payload, "b");
    ck_assert_int_eq(fx_future_set_result(f, NULL), 0);
    ck_assert_int_eq(payloads_freed, 2);
    fx_future_unref(f);
    ck_assert_int_eq(payloads_freed, 2);
}
END_TEST

static void *fulfil(void *future)
{
    fx_future_set_result(future, NULL);
    strcat(order, "!");
    return NULL;
}

static void *add_one_that_exits(void *future)
{
    fx_future_add_done_callback(future, exit_thread, "z");
    strcat(order, "!");
    return NULL;
}

static fx_exc end_of(fx_target target, fx_future *f, void **result)
{
    fx_thread *thread = fx_thread_spawn(target, f);
    ck_assert_int_eq(fx_thread_join_for(thread, FX_SEC(await_limit()), result), 0);
    fx_exc exception = fx_thread_exception(thread);
    fx_thread_unref(thread);
    return exception;
}

START_TEST(an_exit_in_a_callback_goes_on_when_all_were_called)
{
    void *result;
    fx_future *f = fx_future_new();
    add(f, note, "a");
    add(f, exit_thread, "b");
    add(f, note, "c");
    add(f, exit_thread, "d");
    ck_assert_int_eq(end_of(fulfil, f, &result), FX_EXITED);
    ck_assert_ptr_eq(result, &calls);
    ck_assert_str_eq(order, "abcd");
    ck_assert(fx_future_done(f));
    ck_assert_int_eq(end_of(add_one_that_exits, f, &result), FX_EXITED);
    ck_assert_str_eq(order, "abcdz");
    fx_future_unref(f);
}
END_TEST

START_TEST(after_pthread_exit_in_a_callback_the_others_are_called_as_well)
{
    fx_future *f = fx_future_new();
    add(f, note, "a");
    add(f, exit_pthread, "b");
    add(f, note, "c");
    add(f, exit_pthread, "d");
    add(f, note, "e");
    ck_assert_int_eq(end_of(fulfil, f, NULL), FX_EXITED);
    ck_assert_str_eq(order, "abcde");
    fx_future_unref(f);
}
END_TEST

static fx_event at_rest = FX_EVENT_INIT;

static void wait_in_callback(fx_future *future, void *letter)
{
    note(future, letter);
    fx_event_wait(&at_rest);
    strcat(order, "?");
}

START_TEST(a_stop_that_meets_a_callback_goes_on_when_all_were_called)
{
    fx_future *f = fx_future_new();
    add(f, wait_in_callback, "a");
    add(f, note, "b");
    fx_thread *thread = fx_thread_spawn(fulfil, f);
    await_waiters(&at_rest, 1);
    ck_assert_int_eq(fx_thread_stop(thread), 0);
    ck_assert_int_eq(fx_thread_join_for(thread, FX_SEC(await_limit()), NULL), 0);
    ck_assert_int_eq(fx_thread_exception(thread), FX_STOPPED);
    ck_assert_str_eq(order, "ab");
    fx_thread_unref(thread);
    fx_future_unref(f);
}
END_TEST

static void add_another(fx_future *future, void *letter)
{
    note(future, letter);
    fx_future_add_done_callback(future, note, "x");
}

static void wait_for_it(fx_future *future, void *letter)
{
    if (fx_future_result_for(future, 0, NULL) == 0)
        note(future, letter);
}

START_TEST(a_callback_may_use_the_future)
{
    fx_future *f = fx_future_new();
    add(f, add_another, "a");
    add(f, wait_for_it, "b");
    fx_future_set_result(f, NULL);
    ck_assert_str_eq(order, "axb");
    fx_future_unref(f);
}
END_TEST

enum { ROUNDS = 200, EACH = 5 };
static fx_future *raced;
static atomic_int ready;

static void count(fx_future *future, void *arg)
{
    (void)future;
    (void)arg;
    atomic_fetch_add(&calls, 1);
}

static void *add_some(void *arg)
{
    (void)arg;
    atomic_store(&ready, 1);
    for (int i = 0; i < EACH; i++)
        fx_future_add_done_callback(raced, count, NULL);
    return NULL;
}

START_TEST(those_added_while_it_becomes_done_are_called_once_each)
{
    for (int round = 0; round < ROUNDS; round++) {
        atomic_store(&calls, 0);
        atomic_store(&ready, 0);
        raced = fx_future_new();
        fx_thread *thread = fx_thread_spawn(add_some, NULL);
        while (!atomic_load(&ready))
            sched_yield();
        fx_future_set_result(raced, NULL);
        fx_thread_join(thread, NULL);
        fx_thread_unref(thread);
        ck_assert_int_eq(atomic_load(&calls), EACH);
        fx_future_unref(raced);
    }
}
END_TEST

START_TEST(null_and_the_want_of_memory_are_refused)
{
    fx_future *f = fx_future_new();
    ck_assert_int_eq(fx_future_add_done_callback(NULL, note, NULL), -EINVAL);
    ck_assert_int_eq(fx_future_add_done_callback(f, NULL, NULL), -EINVAL);
    fxi_inject_arm(FXI_INJECT_ALLOC, 1, ENOMEM);
    ck_assert_int_eq(fx_future_add_done_callback(f, note, "a"), -ENOMEM);
    fxi_inject_disarm();
    fx_future_set_result(f, NULL);
    ck_assert_str_eq(order, "");
    fx_future_unref(f);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, callbacks_are_called_once_in_the_order_of_their_adding);
    tcase_add_test(tests, one_added_to_a_future_that_is_done_is_called_at_once);
    tcase_add_test(tests, a_cancel_calls_them_in_the_canceller);
    tcase_add_test(tests, a_future_that_goes_without_an_outcome_calls_none);
    tcase_add_test(tests, one_that_raises_stops_none_of_the_others_and_is_reported);
    tcase_add_test(tests, what_the_excepthook_raises_is_dropped);
    tcase_add_test(tests, a_payload_that_a_callback_raised_is_freed_once);
    tcase_add_test(tests, an_exit_in_a_callback_goes_on_when_all_were_called);
    tcase_add_test(tests, after_pthread_exit_in_a_callback_the_others_are_called_as_well);
    tcase_add_test(tests, a_stop_that_meets_a_callback_goes_on_when_all_were_called);
    tcase_add_test(tests, a_callback_may_use_the_future);
    tcase_add_test(tests, those_added_while_it_becomes_done_are_called_once_each);
    tcase_add_test(tests, null_and_the_want_of_memory_are_refused);
}

int main(void)
{
    return run_suite("callback", add_tests);
}

/* Something done once: who does it, who waits, what a failure leaves. */
#define _GNU_SOURCE
#include <fxthread.h>

#include <errno.h>
#include <pthread.h>

#include "../thread/suite.h"
#include "worker.h"

static atomic_int calls;

static void count(void *arg)
{
    (void)arg;
    atomic_fetch_add(&calls, 1);
}

START_TEST(a_once_is_four_bytes_and_zeroes_are_one_that_is_not_done)
{
    fx_once zero = {0}, init = FX_ONCE_INIT;
    ck_assert_uint_eq(sizeof(fx_once), 4);
    ck_assert_mem_eq(&zero, &init, sizeof zero);
    ck_assert_int_eq(fx_once_call(&zero, count, NULL), 0);
    ck_assert_int_eq(atomic_load(&calls), 1);
}
END_TEST

START_TEST(the_function_is_called_once_with_its_argument)
{
    int (*volatile call)(fx_once *, fx_callback, void *) = fx_once_call;
    fx_once once = FX_ONCE_INIT;
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq((i % 2 ? call : fx_once_call_slowly)(&once, count, NULL), 0);
    ck_assert_int_eq(fx_once_call(&once, count, NULL), 0);
    ck_assert_int_eq(atomic_load(&calls), 1);
}
END_TEST

START_TEST(null_is_einval_unless_it_is_done)
{
    fx_once once = FX_ONCE_INIT;
    ck_assert_int_eq(fx_once_call(&once, NULL, NULL), -EINVAL);
    ck_assert_int_eq(fx_once_call(&once, count, NULL), 0);
    ck_assert_int_eq(fx_once_call(&once, NULL, NULL), 0);
}
END_TEST

static fx_event begun, may_end;
static int result;

static void slowly(void *arg)
{
    count(arg);
    fx_event_set(&begun);
    fx_event_wait(&may_end);
    result = 42;
}

static int call_slowly(void *once)
{
    int rc = fx_once_call(once, slowly, NULL);
    return rc == 0 ? result : rc;
}

START_TEST(the_others_wait_until_it_is_done_and_see_its_work)
{
    enum { N = 10 };
    fx_once once = FX_ONCE_INIT;
    struct worker w[N];
    worker_start(&w[0], call_slowly, &once);
    ck_assert_int_eq(fx_event_wait(&begun), 0);
    for (int i = 1; i < N; i++)
        worker_start(&w[i], call_slowly, &once);
    await_waiters(&once, N - 1);
    fx_event_set(&may_end);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(worker_end(&w[i]), 42);
    ck_assert_int_eq(atomic_load(&calls), 1);
}
END_TEST

static fx_once reentered = FX_ONCE_INIT;
static int rc_inside;

static void reenter(void *arg)
{
    rc_inside = fx_once_call(&reentered, count, arg);
}

START_TEST(a_call_by_the_function_itself_is_edeadlk)
{
    ck_assert_int_eq(fx_once_call(&reentered, reenter, NULL), 0);
    ck_assert_int_eq(rc_inside, -EDEADLK);
    ck_assert_int_eq(atomic_load(&calls), 0);
    ck_assert_int_eq(fx_once_call(&reentered, count, NULL), 0);
    ck_assert_int_eq(atomic_load(&calls), 0);
}
END_TEST

static void other_inside(void *once)
{
    rc_inside = fx_once_call(once, count, NULL);
}

START_TEST(another_one_may_be_done_inside)
{
    fx_once outer = FX_ONCE_INIT, inner = FX_ONCE_INIT;
    ck_assert_int_eq(fx_once_call(&outer, other_inside, &inner), 0);
    ck_assert_int_eq(rc_inside, 0);
    ck_assert_int_eq(atomic_load(&calls), 1);
}
END_TEST

static void silent_hook(fx_thread *t, const fx_exc_info *info)
{
    (void)t;
    (void)info;
}

static void raise_eio(void *arg)
{
    count(arg);
    fx_raise(-EIO);
}

static int call_failing(void *once)
{
    return fx_once_call(once, raise_eio, NULL);
}

START_TEST(a_function_that_raises_has_not_done_it_and_the_exception_goes_on)
{
    fx_once once = FX_ONCE_INIT;
    struct worker w;
    fx_set_excepthook(silent_hook);
    for (int i = 1; i <= 3; i++) {
        worker_start(&w, call_failing, &once);
        ck_assert_int_eq(fx_thread_join(w.thread, NULL), 0);
        ck_assert_int_eq(fx_thread_exception(w.thread), -EIO);
        ck_assert(!worker_done(&w));
        fx_thread_unref(w.thread);
        ck_assert_int_eq(atomic_load(&calls), i);
        ck_assert_uint_eq(once.word, 0);
    }
    ck_assert_int_eq(fx_once_call(&once, count, NULL), 0);
    ck_assert_int_eq(fx_once_call(&once, raise_eio, NULL), 0);
    ck_assert_int_eq(atomic_load(&calls), 4);
}
END_TEST

static void exit_thread(void *arg)
{
    (void)arg;
    fx_thread_exit(NULL);
}

static void exit_pthread(void *arg)
{
    (void)arg;
    pthread_exit(NULL);
}

static int call_exiting(void *once)
{
    return fx_once_call(once, exit_thread, NULL);
}

static int call_pthread_exiting(void *once)
{
    return fx_once_call(once, exit_pthread, NULL);
}

static void *call_in_pthread(void *call)
{
    static fx_once once = FX_ONCE_INIT;
    ((int (*)(void *))call)(&once);
    return &once;
}

START_TEST(a_function_that_ends_its_thread_has_not_done_it)
{
    int (*const ways[])(void *) = {call_exiting, call_pthread_exiting};
    for (int i = 0; i < 2; i++) {
        fx_once once = FX_ONCE_INIT;
        struct worker w;
        worker_start(&w, ways[i], &once);
        ck_assert_int_eq(fx_thread_join(w.thread, NULL), 0);
        ck_assert_int_eq(fx_thread_exception(w.thread), FX_EXITED);
        ck_assert(!worker_done(&w));
        fx_thread_unref(w.thread);
        ck_assert_int_eq(fx_once_call(&once, count, NULL), 0);
        ck_assert_int_eq(atomic_load(&calls), i + 1);

        pthread_t foreign;
        void *rc = &foreign;
        ck_assert_int_eq(pthread_create(&foreign, NULL, call_in_pthread, (void *)ways[i]), 0);
        ck_assert_int_eq(pthread_join(foreign, &rc), 0);
        ck_assert_ptr_null(rc);
    }
}
END_TEST

static void fail_when_told(void *arg)
{
    slowly(arg);
    fx_raise(-EIO);
}

static int call_failing_when_told(void *once)
{
    return fx_once_call(once, fail_when_told, NULL);
}

static int call_count(void *once)
{
    return fx_once_call(once, count, NULL);
}

START_TEST(when_it_fails_one_of_those_that_wait_does_it)
{
    enum { N = 8 };
    fx_once once = FX_ONCE_INIT;
    struct worker failing, w[N];
    fx_set_excepthook(silent_hook);
    worker_start(&failing, call_failing_when_told, &once);
    fx_event_wait(&begun);
    for (int i = 0; i < N; i++)
        worker_start(&w[i], call_count, &once);
    await_waiters(&once, N);
    fx_event_set(&may_end);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(worker_end(&w[i]), 0);
    worker_end(&failing);
    ck_assert_int_eq(atomic_load(&calls), 2);
}
END_TEST

static int meet(void *arg)
{
    fx_once *onces = arg;
    for (int i = 0; i < 500; i++)
        if (fx_once_call(&onces[i], count, NULL) != 0)
            return -1;
    return 0;
}

START_TEST(many_that_meet_at_many_do_each_once)
{
    static fx_once onces[500];
    struct worker w[6];
    for (int i = 0; i < 6; i++)
        worker_start(&w[i], meet, onces);
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(worker_end(&w[i]), 0);
    ck_assert_int_eq(atomic_load(&calls), 500);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, a_once_is_four_bytes_and_zeroes_are_one_that_is_not_done);
    tcase_add_test(tests, the_function_is_called_once_with_its_argument);
    tcase_add_test(tests, null_is_einval_unless_it_is_done);
    tcase_add_test(tests, the_others_wait_until_it_is_done_and_see_its_work);
    tcase_add_test(tests, a_call_by_the_function_itself_is_edeadlk);
    tcase_add_test(tests, another_one_may_be_done_inside);
    tcase_add_test(tests, a_function_that_raises_has_not_done_it_and_the_exception_goes_on);
    tcase_add_test(tests, a_function_that_ends_its_thread_has_not_done_it);
    tcase_add_test(tests, when_it_fails_one_of_those_that_wait_does_it);
    tcase_add_test(tests, many_that_meet_at_many_do_each_once);
}

int main(void)
{
    return run_suite("once", add_tests);
}

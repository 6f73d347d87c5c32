/* A stop after every single instruction of a thread's beginning, from where its signals are open to
 * its function and into it; and of its end, from the function's return to the destructors. */
#define _GNU_SOURCE
#include <sched.h>

#include "../thread/suite.h"
#include "step.h"

#if CAN_STEP

static fx_local key;
static int began, freed_arg, freed_result, destroyed;

static void free_arg(void *arg)
{
    (void)arg;
    freed_arg++;
}

static void free_result(void *result)
{
    (void)result;
    freed_result++;
}

static void reset(void)
{
    began = freed_arg = freed_result = destroyed = 0;
}

/* --- the beginning --- */

static void *begin(void *arg)
{
    FX_TRY { began++; } FX_FINALLY { began++; } FX_END
    step_end();
    return arg;
}

static bool has_ended(void)
{
    return !fx_thread_is_alive(victim.thread);
}

static void use_one_processor(void)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    sched_setaffinity(0, sizeof one, &one);
}

/* The signal is sent before the thread has opened its signals, and so is delivered right there: the
 * thread goes on step by step. */
START_TEST(the_beginning_of_a_thread)
{
    int before_function = 0;
    long k = 1;
    step_catch_traps();
    use_one_processor(); /* so that the thread begins when this one waits for it */
    for (int through = 0; through < 3; k = step_after(k)) {
        reset();
        step_arm(k);
        victim.thread = fx_thread_new(begin, &victim, &(fx_thread_attr){ .free_arg = free_arg });
        ck_assert_int_eq(fx_thread_start(victim.thread), 0);
        step_send_flag();
        step_await(step_reached() || step_is_through() || has_ended());
        if (step_reached())
            ck_assert_int_eq(step_ask(), 0);
        else
            through++; /* or the signal came too late, which is rare: so it is tried again */
        int rc = fx_thread_join_for(victim.thread, FX_SEC(await_limit()), NULL);
        ck_assert_msg(rc == 0, "stopped after %ld instructions, it does not end", k);
        ck_assert_int_eq(fx_thread_exception(victim.thread), step_reached() ? FX_STOPPED : 0);
        fx_thread_unref(victim.thread);
        /* Neither where the stop came between the call of the function and its block; and the last
         * handle may be the thread's own, which it gives up a moment later. */
        await_for(freed_arg == 1 || began > 0, 0.05);
        ck_assert_msg(freed_arg + (began > 0) <= 1, "after %ld: freed %d, began %d", k, freed_arg,
                      began);
        before_function += freed_arg;
    }
    printf("%ld instructions; stopped before the function: %d times\n", k, before_function);
    ck_assert_int_gt(before_function, 0);
}
END_TEST

/* --- the end --- */

static void end_in_destructor(void *value)
{
    (void)value;
    destroyed++;
    if (step.left > 0)
        step_clear_flag();
    if (!step_reached())
        step_tell(&step.through);
}

static void *end(void *arg)
{
    fx_local_set(key, &key);
    step_begin();
    return arg;
}

static void *end_by_exit(void *arg)
{
    fx_local_set(key, &key);
    FX_TRY {
        step_begin();
        fx_thread_exit(arg);
    } FX_FINALLY { began++; } FX_END
    return NULL;
}

static void step_through_end(fx_target fn, fx_exc usual)
{
    step_catch_traps();
    ck_assert_int_eq(fx_local_create(&key, end_in_destructor), 0);
    int stopped = 0;
    for (long k = 1;; k = step_after(k)) {
        void *result = NULL;
        reset();
        step_arm(k);
        victim.thread = fx_thread_new(fn, &victim, &(fx_thread_attr){ .free_result = free_result });
        ck_assert_int_eq(fx_thread_start(victim.thread), 0);
        step_await(step_reached() || step_is_through());
        bool reached = step_reached();
        if (reached)
            ck_assert_int_eq(step_ask(), 0);
        int rc = fx_thread_join_for(victim.thread, FX_SEC(await_limit()), k % 2 ? &result : NULL);
        ck_assert_msg(rc == 0, "stopped after %ld instructions, it does not end", k);
        fx_exc exception = fx_thread_exception(victim.thread);
        ck_assert_msg(exception == usual || (reached && exception == FX_STOPPED), "after %ld: %d", k,
                      exception);
        ck_assert_int_eq(began, usual == FX_EXITED);
        if (k % 2)
            ck_assert(result == (exception == usual ? &victim : NULL));
        fx_thread_unref(victim.thread);
        int expected = k % 2 == 0 && exception == usual;
        await(!expected || freed_result > 0); /* the last handle may be the thread's own */
        ck_assert_int_eq(freed_result, expected);
        ck_assert_msg(destroyed == 1, "after %ld: %d", k, destroyed);
        stopped += exception == FX_STOPPED;
        if (!reached) {
            printf("%ld instructions, in %d of them it was stopped\n", k, stopped);
            return;
        }
    }
}

START_TEST(the_end_of_a_thread_that_returns)
{
    step_through_end(end, 0);
}
END_TEST

START_TEST(the_end_of_a_thread_that_exits)
{
    step_through_end(end_by_exit, FX_EXITED);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, the_beginning_of_a_thread);
    tcase_add_test(tests, the_end_of_a_thread_that_returns);
    tcase_add_test(tests, the_end_of_a_thread_that_exits);
}

int main(void)
{
    return run_suite("step_thread", add_tests);
}

#else

int main(void)
{
    return TEST_SKIPPED;
}

#endif

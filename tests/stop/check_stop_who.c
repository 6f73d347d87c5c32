/* Whom a stop reaches and what the answer is: a thread that has not started, is starting, ends, has
 * ended, was stopped before; oneself; the main thread; foreign threads; many stoppers at once. And
 * what becomes of the exception that arrives. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "../thread/captured.h"
#include "../thread/suite.h"
#include "crew.h"
#include "trace.h"
#include "victim.h"

static void sleeps(void)
{
    victim_is_there();
    fx_sleep(FX_SEC(3600));
}

static void checkpoints(void)
{
    for (;;) {
        victim_is_there();
        fx_checkpoint();
    }
}

static void *return_at_once(void *arg)
{
    return arg;
}

/* --- answers --- */

START_TEST(bad_input_is_einval)
{
    fx_thread *fresh = fx_thread_new(return_at_once, NULL, NULL);
    ck_assert_int_eq(fx_thread_stop(NULL), -EINVAL);
    ck_assert_int_eq(fx_thread_raise(NULL, 5), -EINVAL);
    ck_assert_int_eq(fx_thread_stop(fresh), -EINVAL);
    ck_assert_int_eq(fx_thread_raise(fresh, 5), -EINVAL);
    ck_assert_int_eq(fx_thread_raise(fx_current_thread(), 0), -EINVAL);
    ck_assert(!fx_stop_requested());
    /* It has not been asked. */
    ck_assert_int_eq(fx_thread_start(fresh), 0);
    ck_assert_int_eq(fx_thread_join(fresh, NULL), 0);
    ck_assert_int_eq(fx_thread_exception(fresh), 0);
    fx_thread_unref(fresh);
}
END_TEST

START_TEST(a_thread_that_has_ended_is_esrch)
{
    fx_thread *ended = fx_thread_spawn(return_at_once, &victim);
    void *result = NULL;
    ck_assert_int_eq(fx_thread_join(ended, &result), 0);
    ck_assert_int_eq(fx_thread_stop(ended), -ESRCH);
    ck_assert_int_eq(fx_thread_raise(ended, 5), -ESRCH);
    ck_assert_int_eq(fx_thread_exception(ended), 0);
    ck_assert_ptr_eq(result, &victim);
    fx_thread_unref(ended);

    victim_start(sleeps);
    fx_thread *stopped = fx_thread_ref(victim.thread);
    await(victim_turns() == 1);
    victim_stop();
    ck_assert_int_eq(fx_thread_stop(stopped), -ESRCH);
    ck_assert_int_eq(fx_thread_exception(stopped), FX_STOPPED);
    fx_thread_unref(stopped);
}
END_TEST

static int stop_lost_thread(void)
{
    return fx_thread_stop(victim.thread) == -ESRCH && fx_thread_raise(victim.thread, 5) == -ESRCH;
}

START_TEST(a_thread_lost_in_a_fork_is_esrch)
{
    victim_start(sleeps);
    await(victim_turns() > 0);
    ck_assert_int_eq(child_run(stop_lost_thread), 1);
    victim_stop();
}
END_TEST

/* --- beginning and end --- */

static int began, freed;

static void *note_begin(void *arg)
{
    __atomic_store_n(&began, 1, __ATOMIC_RELEASE);
    fx_sleep(FX_SEC(3600));
    return arg;
}

static void note_free(void *arg)
{
    __atomic_store_n(&freed, arg == &freed, __ATOMIC_RELEASE);
}

/* All on one processor, where the new thread seldom runs before its starter has stopped it. */
START_TEST(a_thread_that_is_starting_is_stopped_before_its_function_or_in_it)
{
    int before = 0, rounds = scaled(300);
    cpu_set_t one, all;
    ck_assert_int_eq(sched_getaffinity(0, sizeof all, &all), 0);
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &all))
            CPU_SET(cpu, &one);
    for (int i = 0; i < rounds; i++) {
        __atomic_store_n(&began, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&freed, 0, __ATOMIC_RELAXED);
        ck_assert_int_eq(sched_setaffinity(0, sizeof all, i % 2 ? &one : &all), 0);
        fx_thread *t = fx_thread_new(note_begin, &freed, &(fx_thread_attr){ .free_arg = note_free });
        ck_assert_int_eq(fx_thread_start(t), 0);
        ck_assert_int_eq(fx_thread_stop(t), 0);
        ck_assert_int_eq(fx_thread_join_for(t, FX_SEC(await_limit()), NULL), 0);
        ck_assert_int_eq(fx_thread_exception(t), FX_STOPPED);
        fx_thread_unref(t);
        /* The last handle may be the thread's own. */
        await(__atomic_load_n(&freed, __ATOMIC_ACQUIRE) + __atomic_load_n(&began, __ATOMIC_ACQUIRE) ==
              1);
        before += __atomic_load_n(&freed, __ATOMIC_ACQUIRE);
    }
    sched_setaffinity(0, sizeof all, &all);
    printf("%d of %d were stopped before their function\n", before, rounds);
}
END_TEST

static void *spin_a_little(void *arg)
{
    for (volatile int i = 0; i < 3000; i++)
        ;
    return arg;
}

START_TEST(a_thread_that_is_ending_has_either_returned_or_been_stopped)
{
    for (int i = 0; i < scaled(500); i++) {
        void *result = NULL;
        fx_thread *t = fx_thread_spawn(spin_a_little, &victim);
        pass_a_moment();
        int rc = fx_thread_stop(t);
        ck_assert(rc == 0 || rc == -ESRCH);
        ck_assert_int_eq(fx_thread_join_for(t, FX_SEC(await_limit()), &result), 0);
        fx_exc exception = fx_thread_exception(t);
        ck_assert(exception == 0 || exception == FX_STOPPED);
        ck_assert(rc == 0 || exception == 0);
        ck_assert_int_eq(result == &victim, exception == 0);
        fx_thread_unref(t);
    }
}
END_TEST

static fx_thread *target;

static void *stop_target(void *arg)
{
    for (int i = 0; i < 20; i++) {
        int rc = fx_thread_stop(target);
        expect(rc == 0 || rc == -ESRCH);
    }
    return arg;
}

START_TEST(many_stoppers_at_once_stop_it_once)
{
    for (int i = 0; i < scaled(40); i++) {
        struct crew crew;
        victim_start(i % 2 ? sleeps : checkpoints);
        target = fx_thread_ref(victim.thread);
        await(victim_turns() > 0);
        crew_start(&crew, 4, stop_target);
        victim_ends_by(FX_STOPPED);
        crew_join(&crew);
        ck_assert_msg(!record_failure(), "%s", record_failure());
        fx_thread_unref(target);
    }
}
END_TEST

/* --- what arrives --- */

static void catches_errors(void)
{
    FX_TRY { sleeps(); }
    FX_EXCEPT(e) { note(fx_exc_name(e)); } FX_END
    sleeps();
}

START_TEST(except_takes_what_was_raised_from_outside_and_no_stop)
{
    victim_start(catches_errors);
    await(victim_turns() == 1);
    ck_assert_int_eq(fx_thread_raise(victim.thread, -ETIMEDOUT), 0);
    await(victim_turns() == 2);
    ck_assert(traced("ETIMEDOUT"));
    victim_stop();
    victim_start(catches_errors);
    await(victim_turns() == 1);
    victim_stop();
    ck_assert(traced(""));
}
END_TEST

static void catches_any(void)
{
    FX_TRY { sleeps(); }
    FX_EXCEPT_ANY(e) {
        note(fx_exc_name(e));
        expect(fx_caught()->code == e && fx_caught()->payload == NULL);
    } FX_END
    expect(!fx_stop_requested());
    fx_checkpoint();
    expect_int(fx_sleep(FX_MSEC(1)), ==, 0);
}

START_TEST(a_stop_that_is_taken_is_over)
{
    for (int i = 0; i < scaled(12); i++) {
        victim_start(catches_any);
        await(victim_turns() == 1);
        pass_a_moment();
        ck_assert_int_eq(fx_thread_stop(victim.thread), 0);
        victim_ends_by(0);
        ck_assert(traced("FX_STOPPED"));
    }
}
END_TEST

static void catches_any_and_stays(void)
{
    catches_any();
    sleeps();
}

START_TEST(after_a_stop_that_was_taken_the_next_one_comes)
{
    victim_start(catches_any_and_stays);
    await(victim_turns() == 1);
    ck_assert_int_eq(fx_thread_stop(victim.thread), 0);
    await(victim_turns() == 2);
    victim_stop();
    ck_assert(traced("FX_STOPPED"));
}
END_TEST

static void note_hook(fx_thread *thread, const fx_exc_info *info)
{
    (void)thread;
    note(fx_exc_name(info->code));
}

START_TEST(what_is_raised_and_not_caught_ends_the_thread_and_is_reported_but_a_stop_is_not)
{
    fx_set_excepthook(note_hook);
    victim_start(sleeps);
    await(victim_turns() == 1);
    ck_assert_int_eq(fx_thread_raise(victim.thread, 42), 0);
    victim_ends_by(42);
    ck_assert(traced("42"));
    victim_start(sleeps);
    await(victim_turns() == 1);
    ck_assert_int_eq(fx_thread_raise(victim.thread, FX_STOPPED), 0);
    victim_ends_by(FX_STOPPED);
    ck_assert(traced(""));
}
END_TEST

static int goes_on;

static void waits_disabled(void)
{
    fx_stop_disable();
    victim_is_there();
    while (!__atomic_load_n(&goes_on, __ATOMIC_ACQUIRE))
        await_pause();
    fx_stop_enable();
}

START_TEST(of_several_exceptions_the_last_is_raised_and_a_stop_is_not_replaced)
{
    const struct {
        fx_exc asked[3], raised;
    } rows[] = {
        { { 5, 6, 0 }, 6 },
        { { FX_STOPPED, 6, 0 }, FX_STOPPED },
        { { 5, FX_STOPPED, -EIO }, FX_STOPPED },
        { { FX_STOPPED, FX_STOPPED, FX_STOPPED }, FX_STOPPED },
    };
    fx_set_excepthook(note_hook);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        goes_on = 0;
        victim_start(waits_disabled);
        await(victim_turns() == 1);
        for (size_t j = 0; j < 3 && rows[i].asked[j]; j++)
            ck_assert_int_eq(fx_thread_raise(victim.thread, rows[i].asked[j]), 0);
        __atomic_store_n(&goes_on, 1, __ATOMIC_RELEASE);
        victim_ends_by(rows[i].raised);
    }
}
END_TEST

static fx_exc_info info_of_end;

START_TEST(the_info_of_a_stopped_thread_tells_of_the_stop)
{
    victim_start(sleeps);
    await(victim_turns() == 1);
    ck_assert_int_eq(fx_thread_stop(victim.thread), 0);
    victim_join();
    ck_assert_int_eq(fx_thread_exception_info(victim.thread, &info_of_end), 0);
    ck_assert_int_eq(info_of_end.code, FX_STOPPED);
    ck_assert_str_eq(info_of_end.message, "");
    ck_assert_ptr_null(info_of_end.payload);
    victim_ends_by(FX_STOPPED);
}
END_TEST

/* --- oneself --- */

static void stops_itself(void)
{
    fx_thread_stop(fx_current_thread());
}

static void raises_in_itself(void)
{
    fx_thread_raise(fx_current_thread(), 12);
}

static void stops_itself_disabled(void)
{
    fx_stop_disable();
    expect_int(fx_thread_stop(fx_current_thread()), ==, 0);
    expect(fx_stop_requested());
    note("disabled");
    fx_stop_enable();
}

static void stops_itself_in_finally(void)
{
    FX_TRY { note("block"); }
    FX_FINALLY {
        expect_int(fx_thread_stop(fx_current_thread()), ==, 0);
        note("finally");
    } FX_END
    fx_checkpoint();
    note("not here");
}

START_TEST(a_stop_of_oneself_is_raised_at_once_unless_it_has_to_wait)
{
    fx_set_excepthook(note_hook);
    victim_start(stops_itself);
    victim_ends_by(FX_STOPPED);
    victim_start(raises_in_itself);
    victim_ends_by(12);
    ck_assert(traced("12"));
    victim_start(stops_itself_disabled);
    victim_ends_by(FX_STOPPED);
    ck_assert(traced("disabled"));
    victim_start(stops_itself_in_finally);
    victim_ends_by(FX_STOPPED);
    ck_assert(traced("block finally"));
}
END_TEST

/* --- the main thread --- */

static fx_event main_is_there;

static void *stop_main(void *arg)
{
    fx_event_wait(&main_is_there);
    for (int i = 0; i < 3; i++)
        await_pause();
    expect_int(fx_thread_stop(fx_main_thread()), ==, 0);
    return arg;
}

static void print_hook(fx_thread *thread, const fx_exc_info *info)
{
    (void)thread;
    printf("hook %d ", info->code);
}

static void stopped_main(void *how)
{
    fx_set_excepthook(print_hook);
    fx_thread_unref(fx_thread_spawn(stop_main, NULL));
    FX_TRY {
        fx_event_set(&main_is_there);
        if (how)
            fx_sleep(FX_SEC(3600));
        for (;;)
            fx_checkpoint();
    } FX_FINALLY {
        printf("finally ");
    } FX_END
    printf("not here");
}

START_TEST(a_stop_of_main_runs_its_finally_blocks_and_ends_the_program)
{
    struct child child;
    child_fork(&child, stopped_main, &child);
    assert_child_exits(&child, EXIT_FAILURE);
    ck_assert_str_eq(child.out, "finally ");
    child_fork(&child, stopped_main, NULL);
    assert_child_exits(&child, EXIT_FAILURE);
    ck_assert_str_eq(child.out, "finally ");
}
END_TEST

static void looping_main(void *arg)
{
    fx_set_excepthook(print_hook);
    fx_thread_unref(fx_thread_spawn(stop_main, arg));
    FX_TRY {
        fx_event_set(&main_is_there);
        for (;;)
            __asm__ volatile("");
    } FX_FINALLY {
        printf("finally ");
    } FX_END
}

START_TEST(a_loop_of_main_is_stopped)
{
    struct child child;
    child_fork(&child, looping_main, NULL);
    assert_child_exits(&child, EXIT_FAILURE);
    ck_assert_str_eq(child.out, "finally ");
}
END_TEST

/* Its exit waits for the threads that are not daemons: for the one that tries to stop it. */
static fx_event exit_has_begun;

static void note_exit(void)
{
    fx_event_set(&exit_has_begun);
}

static void *stop_in_exit(void *in_exit)
{
    fx_event_wait(&exit_has_begun);
    await(fx_thread_stop(in_exit) == -ESRCH); /* the library's part of exit() comes a little later */
    printf("%d", fx_thread_raise(in_exit, 5) == -ESRCH);
    return in_exit;
}

static void *call_exit(void *arg)
{
    fx_thread_unref(fx_thread_spawn(stop_in_exit, fx_current_thread()));
    atexit(note_exit);
    exit(arg ? 3 : 4);
}

static void stop_a_thread_in_exit(void *arg)
{
    fx_thread_spawn(call_exit, &exit_has_begun);
    fx_sleep(FX_FOREVER);
    (void)arg;
}

START_TEST(a_thread_in_exit_is_esrch)
{
    struct child child;
    child_fork(&child, stop_a_thread_in_exit, NULL);
    assert_child_exits(&child, 3);
    ck_assert_str_eq(child.out, "1");
}
END_TEST

static void catching_main(void *arg)
{
    fx_thread *stopper = fx_thread_spawn(stop_main, arg);
    FX_TRY {
        fx_event_set(&main_is_there);
        fx_sleep(FX_SEC(3600));
    } FX_EXCEPT_ANY(e) {
        printf("%s", fx_exc_name(e));
    } FX_END
    fx_thread_join(stopper, NULL);
    fx_thread_unref(stopper);
}

START_TEST(a_stop_that_main_takes_is_over)
{
    struct child child;
    child_fork(&child, catching_main, NULL);
    assert_child_exits(&child, EXIT_SUCCESS);
    ck_assert_str_eq(child.out, "FX_STOPPED");
}
END_TEST

/* --- foreign threads --- */

static fx_thread *foreign;
static int foreign_there, foreign_ran_on;

static void *foreign_target(void *at_checkpoint)
{
    __atomic_store_n(&foreign, fx_thread_ref(fx_current_thread()), __ATOMIC_RELEASE);
    FX_TRY {
        while (!fx_stop_requested()) {
            if (!at_checkpoint)
                fx_sleep(FX_SEC(3600));
            __atomic_fetch_add(&foreign_there, 1, __ATOMIC_RELEASE);
        }
        for (volatile int i = 0; i < 3000000; i++) /* nothing is raised in here */
            ;
        foreign_ran_on = 1;
        fx_checkpoint();
        foreign_ran_on = 2;
    } FX_FINALLY { note("finally"); } FX_END
    return at_checkpoint;
}

START_TEST(a_foreign_thread_is_stopped_at_stop_points_only)
{
    for (int i = 0; i < 2; i++) {
        pthread_t t;
        void *result = &t;
        foreign = NULL;
        foreign_ran_on = foreign_there = 0;
        ck_assert_int_eq(pthread_create(&t, NULL, foreign_target, i ? &t : NULL), 0);
        await(__atomic_load_n(&foreign, __ATOMIC_ACQUIRE) &&
              (i == 0 || __atomic_load_n(&foreign_there, __ATOMIC_ACQUIRE)));
        ck_assert_int_eq(fx_thread_stop(foreign), 0);
        ck_assert_int_eq(pthread_join(t, &result), 0);
        ck_assert_int_eq(foreign_ran_on, i);
        ck_assert_int_eq(fx_thread_exception(foreign), FX_STOPPED);
        ck_assert_int_eq(fx_thread_stop(foreign), -ESRCH);
        ck_assert(traced("finally"));
        fx_thread_unref(foreign);
    }
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, bad_input_is_einval);
    tcase_add_test(tests, a_thread_that_has_ended_is_esrch);
    add_if(CHILD_MAY_ALLOCATE, tests, a_thread_lost_in_a_fork_is_esrch);
    tcase_add_test(tests, a_thread_that_is_starting_is_stopped_before_its_function_or_in_it);
    tcase_add_test(tests, a_thread_that_is_ending_has_either_returned_or_been_stopped);
    tcase_add_test(tests, many_stoppers_at_once_stop_it_once);
    tcase_add_test(tests, except_takes_what_was_raised_from_outside_and_no_stop);
    tcase_add_test(tests, a_stop_that_is_taken_is_over);
    tcase_add_test(tests, after_a_stop_that_was_taken_the_next_one_comes);
    tcase_add_test(tests,
                   what_is_raised_and_not_caught_ends_the_thread_and_is_reported_but_a_stop_is_not);
    tcase_add_test(tests, of_several_exceptions_the_last_is_raised_and_a_stop_is_not_replaced);
    tcase_add_test(tests, the_info_of_a_stopped_thread_tells_of_the_stop);
    tcase_add_test(tests, a_stop_of_oneself_is_raised_at_once_unless_it_has_to_wait);
    tcase_add_test(tests, a_stop_of_main_runs_its_finally_blocks_and_ends_the_program);
    tcase_add_test(tests, a_stop_that_main_takes_is_over);
    add_if(STOPS_ARRIVE_ANYWHERE, tests, a_loop_of_main_is_stopped);
    tcase_add_test(tests, a_thread_in_exit_is_esrch);
    tcase_add_test(tests, a_foreign_thread_is_stopped_at_stop_points_only);
}

int main(void)
{
    return run_suite("stop_who", add_tests);
}

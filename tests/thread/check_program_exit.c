/* The end of the program: who is waited for, who is cut off, and that nothing hangs or is lost.
 *
 * Each case is a main function of its own, run by this program anew: its name is the argument of
 * --case, with a number after a colon where it has a seed. */
#define _GNU_SOURCE
#include <fxthread.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../support/await.h"
#include "../support/scale.h"
#include "captured.h"
#include "gate.h"
#include "suite.h"

/* --- the cases -------------------------------------------------------------------------------- */

static void *return_arg(void *arg)
{
    return arg;
}

static void *print_soon(void *text)
{
    fx_sleep(FX_MSEC(40));
    printf("%s", (const char *)text); /* not flushed: that is the exit's to do */
    return NULL;
}

static void *sleep_for_ever(void *arg)
{
    fx_sleep(FX_FOREVER);
    return arg;
}

static _Noreturn void idle(void)
{
    for (;;)
        pause();
}

static void start(fx_target fn, void *arg, bool daemon)
{
    fx_thread *t = fx_thread_new(fn, arg, &(fx_thread_attr){.daemon = daemon});
    if (!t || fx_thread_start(t) != 0)
        _exit(99);
    fx_thread_unref(t);
}

static int main_returns(unsigned seed)
{
    (void)seed;
    for (int i = 0; i < 3; i++)
        start(print_soon, "t", false);
    printf("m");
    return 3;
}

static int main_exits(unsigned seed)
{
    (void)seed;
    start(print_soon, "t", false);
    printf("m");
    exit(42);
}

static struct gate loop_gate;

static void *loop_for_ever(void *arg)
{
    gate_open(&loop_gate);
    for (volatile unsigned turns = 0;; turns++)
        ;
    return arg;
}

static int daemons_run(unsigned seed)
{
    (void)seed;
    start(sleep_for_ever, NULL, true);
    start(loop_for_ever, NULL, true);
    gate_wait(&loop_gate);
    start(print_soon, "t", false);
    return 0;
}

static int foreign_runs(unsigned seed)
{
    (void)seed;
    pthread_t foreign;
    pthread_create(&foreign, NULL, sleep_for_ever, NULL);
    start(print_soon, "t", false);
    return 0;
}

static void *exit_with_7(void *arg)
{
    (void)arg;
    exit(7);
}

static int thread_exits(unsigned seed)
{
    (void)seed;
    start(print_soon, "a", false);
    start(print_soon, "b", false);
    start(exit_with_7, NULL, false);
    idle();
}

static int main_joins_exiting_thread(unsigned seed)
{
    (void)seed;
    start(print_soon, "a", false);
    fx_thread *t = fx_thread_spawn(exit_with_7, NULL);
    fx_thread_join(t, NULL);
    idle();
}

static int daemon_exits(unsigned seed)
{
    (void)seed;
    start(print_soon, "a", false);
    start(exit_with_7, NULL, true);
    fx_sleep(FX_FOREVER);
    return 1;
}

static int foreign_exits(unsigned seed)
{
    (void)seed;
    pthread_t foreign;
    start(print_soon, "a", false);
    pthread_create(&foreign, NULL, exit_with_7, NULL);
    pthread_join(foreign, NULL);
    return 1;
}

static void *start_a_chain(void *arg)
{
    uintptr_t left = (uintptr_t)arg;
    fx_sleep(FX_MSEC(2));
    printf("%c", (char)('a' + left));
    if (left > 0)
        start(start_a_chain, (void *)(left - 1), false);
    return NULL;
}

static int chain(unsigned seed)
{
    (void)seed;
    start(start_a_chain, (void *)(uintptr_t)25, false);
    return 0;
}

static void say_1(void)
{
    printf("1");
}

static void say_2(void)
{
    printf("2");
    fx_thread *t = fx_thread_spawn(return_arg, &loop_gate);
    void *result = NULL;
    if (t && fx_thread_join(t, &result) == 0 && result == &loop_gate)
        printf("j");
    fx_thread_unref(t);
}

static int atexit_handlers(unsigned seed)
{
    (void)seed;
    atexit(say_1);
    start(print_soon, "t", false);
    atexit(say_2);
    return 8;
}

static void *raise_in_thread(void *arg)
{
    (void)arg;
    fx_raise(-EIO);
}

static int thread_raises(unsigned seed)
{
    (void)seed;
    start(raise_in_thread, NULL, false);
    return 11;
}

static int main_leaves_at_once(unsigned seed)
{
    (void)seed;
    start(sleep_for_ever, NULL, false);
    printf("lost");
    _exit(9);
}

static void *leave_at_once(void *arg)
{
    (void)arg;
    _exit(10);
}

static int thread_leaves_at_once(unsigned seed)
{
    (void)seed;
    start(sleep_for_ever, NULL, false);
    start(leave_at_once, NULL, false);
    return 1;
}

static int main_ends_by_fx(unsigned seed)
{
    (void)seed;
    start(print_soon, "t", false);
    start(start_a_chain, (void *)(uintptr_t)5, false);
    fx_thread_exit((void *)1);
}

static int main_ends_by_pthread(unsigned seed)
{
    (void)seed;
    start(print_soon, "t", false);
    start(start_a_chain, (void *)(uintptr_t)5, false);
    pthread_exit((void *)1);
}

/* --- storms: threads are being made all the while, by seed ------------------------------------ */

static void wait_a_little(unsigned *seed)
{
    struct timespec pause = {0, rand_r(seed) % 1500 * 1000};
    nanosleep(&pause, NULL);
}

static void *write_dot(void *arg)
{
    if (write(STDOUT_FILENO, ".", 1) != 1)
        _exit(98);
    return arg;
}

static void *make_threads_for_ever(void *arg)
{
    for (;;) {
        fx_thread *t = fx_thread_spawn(return_arg, arg);
        if (t && ((uintptr_t)t >> 6) % 2)
            fx_thread_join(t, NULL);
        fx_thread_unref(t);
    }
    return NULL;
}

static int storm_of_daemons(unsigned seed)
{
    start(make_threads_for_ever, NULL, true);
    if (seed % 2)
        start(make_threads_for_ever, NULL, true);
    start(print_soon, "t", false);
    wait_a_little(&seed);
    return 5;
}

static void *exit_a_little_later(void *seed)
{
    unsigned state = (unsigned)(uintptr_t)seed;
    wait_a_little(&state);
    exit(6);
}

static int storm_around_an_exit_in_a_thread(unsigned seed)
{
    start(make_threads_for_ever, NULL, true);
    start(exit_a_little_later, (void *)(uintptr_t)seed, seed % 2);
    for (;;) {
        fx_thread *t = fx_thread_new(return_arg, NULL, &(fx_thread_attr){.daemon = true});
        if (t)
            fx_thread_start(t);
        fx_thread_unref(t);
    }
    return 1;
}

enum { MAKERS = 2, DOTS_EACH = 25 };

static void *make_dots(void *arg)
{
    for (int i = 0; i < DOTS_EACH; i++)
        start(write_dot, NULL, false);
    return arg;
}

static int storm_of_threads_that_are_waited_for(unsigned seed)
{
    for (int i = 0; i < MAKERS; i++)
        start(make_dots, NULL, false);
    if (seed % 3)
        wait_a_little(&seed);
    return 4;
}

/* The library is not called before. */
static int main_stops_itself_first(unsigned seed)
{
    (void)seed;
    fx_thread_stop(fx_main_thread());
    return 98;
}

static void *join_main(void *arg)
{
    if (fx_thread_join_for(fx_main_thread(), FX_SEC(await_limit() / 2), NULL) != 0)
        _exit(98);
    exit(12);
    return arg;
}

static int main_leaves_the_library_alone(unsigned seed)
{
    pthread_t joiner;
    (void)seed;
    if (pthread_create(&joiner, NULL, join_main, NULL) != 0)
        return 99;
    pthread_exit(NULL);
}

static const struct {
    const char *name;
    int (*main)(unsigned seed);
} cases[] = {
    {"main_returns", main_returns},
    {"main_exits", main_exits},
    {"daemons_run", daemons_run},
    {"foreign_runs", foreign_runs},
    {"thread_exits", thread_exits},
    {"main_joins_exiting_thread", main_joins_exiting_thread},
    {"daemon_exits", daemon_exits},
    {"foreign_exits", foreign_exits},
    {"chain", chain},
    {"atexit_handlers", atexit_handlers},
    {"thread_raises", thread_raises},
    {"main_leaves_at_once", main_leaves_at_once},
    {"thread_leaves_at_once", thread_leaves_at_once},
    {"main_ends_by_fx", main_ends_by_fx},
    {"main_ends_by_pthread", main_ends_by_pthread},
    {"main_stops_itself_first", main_stops_itself_first},
    {"main_leaves_the_library_alone", main_leaves_the_library_alone},
    {"storm_of_daemons", storm_of_daemons},
    {"storm_around_an_exit_in_a_thread", storm_around_an_exit_in_a_thread},
    {"storm_of_threads_that_are_waited_for", storm_of_threads_that_are_waited_for},
};

static int run_case(const char *name)
{
    size_t length = strcspn(name, ":");
    unsigned seed = name[length] ? (unsigned)strtoul(name + length + 1, NULL, 10) : 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (strlen(cases[i].name) == length && memcmp(cases[i].name, name, length) == 0)
            return cases[i].main(seed);
    return 97;
}

/* --- the tests -------------------------------------------------------------------------------- */

/* How often a letter occurs in what the child printed. */
static int count_in(const char *text, char letter)
{
    int count = 0;
    for (; *text; text++)
        count += *text == letter;
    return count;
}

START_TEST(when_main_returns_its_threads_are_waited_for)
{
    struct child child;
    child_exec(&child, run_case, "main_returns");
    assert_child_exits(&child, 3);
    ck_assert_str_eq(child.out, "mttt");
}
END_TEST

START_TEST(when_main_exits_its_threads_are_waited_for)
{
    struct child child;
    child_exec(&child, run_case, "main_exits");
    assert_child_exits(&child, 42);
    ck_assert_str_eq(child.out, "mt");
}
END_TEST

START_TEST(daemons_are_cut_off)
{
    struct child child;
    child_exec(&child, run_case, "daemons_run");
    assert_child_exits(&child, 0);
    ck_assert_str_eq(child.out, "t");
}
END_TEST

START_TEST(foreign_threads_are_not_waited_for)
{
    struct child child;
    child_exec(&child, run_case, "foreign_runs");
    assert_child_exits(&child, 0);
    ck_assert_str_eq(child.out, "t");
}
END_TEST

START_TEST(exit_in_a_thread_waits_for_the_others_and_keeps_its_status)
{
    const char *names[] = {"thread_exits", "main_joins_exiting_thread", "daemon_exits",
                           "foreign_exits"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct child child;
        child_exec(&child, run_case, names[i]);
        assert_child_exits(&child, 7);
        ck_assert_msg(count_in(child.out, 'a') == 1, "%s: %s", names[i], child.out);
    }
}
END_TEST

START_TEST(threads_that_threads_start_meanwhile_are_waited_for)
{
    struct child child;
    child_exec(&child, run_case, "chain");
    assert_child_exits(&child, 0);
    ck_assert_str_eq(child.out, "zyxwvutsrqponmlkjihgfedcba");
}
END_TEST

START_TEST(atexit_handlers_run_once_and_may_start_threads)
{
    struct child child;
    child_exec(&child, run_case, "atexit_handlers");
    assert_child_exits(&child, 8);
    for (const char *letter = "12jt"; *letter; letter++)
        ck_assert_msg(count_in(child.out, *letter) == 1, "printed: %s", child.out);
}
END_TEST

START_TEST(an_exception_in_a_thread_does_not_change_the_status)
{
    struct child child;
    child_exec(&child, run_case, "thread_raises");
    assert_child_exits(&child, 11);
    ck_assert_ptr_nonnull(strstr(child.err, "EIO"));
}
END_TEST

START_TEST(an_immediate_exit_waits_for_nobody)
{
    struct child child;
    child_exec(&child, run_case, "main_leaves_at_once");
    assert_child_exits(&child, 9);
#ifndef FXI_TSAN /* which flushes stdio in _exit */
    ck_assert_str_eq(child.out, "");
#endif
    child_exec(&child, run_case, "thread_leaves_at_once");
    assert_child_exits(&child, 10);
}
END_TEST

START_TEST(when_main_ends_as_a_thread_the_program_ends_with_its_last_thread)
{
    const char *names[] = {"main_ends_by_fx", "main_ends_by_pthread"};
    for (int i = 0; i < 2; i++) {
        struct child child;
        child_exec(&child, run_case, names[i]);
        assert_child_exits(&child, 0);
        for (const char *letter = "tfedcba"; *letter; letter++)
            ck_assert_msg(count_in(child.out, *letter) == 1, "%s: %s", names[i], child.out);
    }
}
END_TEST

static void storm(const char *name, int rounds, int status, struct child *child)
{
    char seeded[128];
    for (int seed = 0; seed < rounds; seed++) {
        snprintf(seeded, sizeof seeded, "%s:%d", name, seed);
        child_exec(child, run_case, seeded);
        ck_assert_msg(WIFEXITED(child->status) && WEXITSTATUS(child->status) == status,
                      "--case %s: status 0x%x (9: it hung); stderr: %s", seeded,
                      (unsigned)child->status, child->err);
        if (strcmp(name, "storm_of_daemons") == 0)
            ck_assert_str_eq(child->out, "t");
        if (strcmp(name, "storm_of_threads_that_are_waited_for") == 0)
            ck_assert_msg(count_in(child->out, '.') == MAKERS * DOTS_EACH,
                          "--case %s: %d of %d threads", seeded, count_in(child->out, '.'),
                          MAKERS * DOTS_EACH);
    }
}

START_TEST(exit_while_daemons_make_threads_without_end)
{
    struct child child;
    storm("storm_of_daemons", scaled(100), 5, &child);
}
END_TEST

START_TEST(exit_in_a_thread_while_main_makes_threads_without_end)
{
    struct child child;
    storm("storm_around_an_exit_in_a_thread", scaled(200), 6, &child);
}
END_TEST

START_TEST(exit_while_threads_are_made_that_are_waited_for)
{
    struct child child;
    storm("storm_of_threads_that_are_waited_for", scaled(200), 4, &child);
}
END_TEST

START_TEST(main_is_stopped_by_its_first_call)
{
    struct child child;
    child_exec(&child, run_case, "main_stops_itself_first");
    assert_child_exits(&child, EXIT_FAILURE);
}
END_TEST

START_TEST(the_end_of_a_main_that_never_called_the_library_is_seen)
{
    struct child child;
    child_exec(&child, run_case, "main_leaves_the_library_alone");
    assert_child_exits(&child, 12);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, when_main_returns_its_threads_are_waited_for);
    tcase_add_test(tests, when_main_exits_its_threads_are_waited_for);
    tcase_add_test(tests, daemons_are_cut_off);
    tcase_add_test(tests, foreign_threads_are_not_waited_for);
    tcase_add_test(tests, exit_in_a_thread_waits_for_the_others_and_keeps_its_status);
    tcase_add_test(tests, threads_that_threads_start_meanwhile_are_waited_for);
    tcase_add_test(tests, atexit_handlers_run_once_and_may_start_threads);
    tcase_add_test(tests, an_exception_in_a_thread_does_not_change_the_status);
    tcase_add_test(tests, an_immediate_exit_waits_for_nobody);
    tcase_add_test(tests, main_is_stopped_by_its_first_call);
    if (MAIN_CAN_LEAVE)
        tcase_add_test(tests, the_end_of_a_main_that_never_called_the_library_is_seen);
    if (MAIN_CAN_LEAVE)
        tcase_add_test(tests, when_main_ends_as_a_thread_the_program_ends_with_its_last_thread);
    tcase_add_test(tests, exit_while_daemons_make_threads_without_end);
    tcase_add_test(tests, exit_in_a_thread_while_main_makes_threads_without_end);
    tcase_add_test(tests, exit_while_threads_are_made_that_are_waited_for);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--case") == 0)
        return run_case(argv[2]);
    return run_suite("program_exit", add_tests);
}

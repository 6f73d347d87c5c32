/* A stack overflow in a thread is told by name; every other SIGSEGV is as it would be without the
 * library, and so is one that the program handles. Each case runs in a child, whose status and
 * stderr are looked at. */
#define _GNU_SOURCE
#include <check.h>
#include <fxthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sanitizer.h"

#include "../thread/captured.h"
#include "../thread/suite.h"

enum { KIB = 1024, CAUGHT = 42 };

struct overflow {
    const char *name;
    size_t stack_size;
    fx_target fn;
    void (*before_first_start)(void), (*after_first_start)(void);
};

/* --- what goes wrong ------------------------------------------------------------------------ */

static volatile size_t deepest = (size_t)-1;

static __attribute__((noinline)) size_t descend(size_t depth)
{
    volatile char frame[400];
    frame[0] = (char)depth;
    if (depth == deepest)
        return 0;
    return descend(depth + 1) + (size_t)frame[0];
}

/* Frames that are larger than a page, of which only the far end is touched. */
static __attribute__((noinline)) size_t descend_in_leaps(size_t depth)
{
    volatile char frame[40 * KIB];
    frame[0] = (char)depth;
    if (depth == deepest)
        return 0;
    return descend_in_leaps(depth + 1) + (size_t)frame[0];
}

static void *overflow(void *arg)
{
    (void)arg;
    return (void *)descend(0);
}

static void *overflow_in_leaps(void *arg)
{
    (void)arg;
    return (void *)descend_in_leaps(0);
}

static int *volatile nowhere;

static void *write_to_null(void *arg)
{
    *nowhere = 1;
    return arg;
}

static void *send_to_the_process(void *arg)
{
    kill(getpid(), SIGSEGV);
    fx_sleep(FX_SEC(60));
    return arg;
}

static void *send_to_oneself(void *arg)
{
    raise(SIGSEGV);
    return arg;
}

static void *do_nothing(void *arg)
{
    return arg;
}

/* --- handlers of the program ---------------------------------------------------------------- */

static void end_in_handler(int number)
{
    _exit(number == SIGSEGV ? CAUGHT : 1);
}

static void end_in_informed_handler(int number, siginfo_t *info, void *context)
{
    _exit(number == SIGSEGV && info && context ? CAUGHT : 1);
}

/* On the alternate stack: there is no room on the other. */
static void handle(void)
{
    struct sigaction action = {.sa_handler = end_in_handler, .sa_flags = SA_ONSTACK};
    sigaction(SIGSEGV, &action, NULL);
}

static void handle_informed(void)
{
    struct sigaction action = {.sa_sigaction = end_in_informed_handler,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaction(SIGSEGV, &action, NULL);
}

static void ignore(void)
{
    signal(SIGSEGV, SIG_IGN);
}

static void put_default_back(void)
{
    signal(SIGSEGV, SIG_DFL);
}

/* --- the child ------------------------------------------------------------------------------ */

static void start_and_join(fx_target fn, const fx_thread_attr *attr)
{
    fx_thread *thread = fx_thread_new(fn, NULL, attr);
    if (!thread || fx_thread_start(thread) != 0 || fx_thread_join(thread, NULL) != 0)
        _exit(2);
    fx_thread_unref(thread);
}

static void in_child(void *arg)
{
    const struct overflow *overflow = arg;
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    if (overflow->before_first_start)
        overflow->before_first_start();
    start_and_join(do_nothing, NULL);
    if (overflow->after_first_start)
        overflow->after_first_start();
    if (overflow->fn)
        start_and_join(overflow->fn, &(fx_thread_attr){.name = overflow->name,
                                                       .stack_size = overflow->stack_size});
}

static void run(struct child *child, struct overflow overflow)
{
    child_fork(child, in_child, &overflow);
}

#define assert_ended_by_segv(child)                                                             \
    ck_assert_msg(WIFSIGNALED((child)->status) && WTERMSIG((child)->status) == SIGSEGV,         \
                  "status %x; stderr: %s", (unsigned)(child)->status, (child)->err)

#define assert_told(child, name, kib)                                                           \
    do {                                                                                        \
        assert_ended_by_segv(child);                                                            \
        ck_assert_msg(strstr((child)->err, "\"" name "\""), "no name in: %s", (child)->err);    \
        ck_assert_msg(strstr((child)->err, " " kib " KiB"), "no size in: %s", (child)->err);    \
        ck_assert_msg(strchr((child)->err, '\n') == (child)->err + strlen((child)->err) - 1,    \
                      "not one line: %s", (child)->err);                                        \
    } while (0)

/* --- overflows ------------------------------------------------------------------------------ */

START_TEST(an_overflow_is_told_with_the_name_and_the_size)
{
    struct child child;
    run(&child, (struct overflow){"deep one", 64 * KIB, overflow});
    assert_told(&child, "deep one", "64");
}
END_TEST

START_TEST(so_is_one_of_a_stack_of_the_default_size)
{
    struct child child;
    run(&child, (struct overflow){"deepest", 0, overflow});
    assert_told(&child, "deepest", "8192");
}
END_TEST

START_TEST(so_is_one_of_the_smallest_stack)
{
    struct child child;
    run(&child, (struct overflow){"small", 32 * KIB, overflow});
    assert_told(&child, "small", "32");
}
END_TEST

START_TEST(large_frames_do_not_step_over_the_guard)
{
    struct child child;
    run(&child, (struct overflow){"leaper", 300 * KIB, overflow_in_leaps});
    assert_told(&child, "leaper", "300");
}
END_TEST

START_TEST(a_name_that_does_not_fit_is_cut_and_the_program_still_ends)
{
    char name[500];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    struct child child;
    run(&child, (struct overflow){name, 64 * KIB, overflow});
    assert_ended_by_segv(&child);
    ck_assert_ptr_nonnull(strstr(child.err, "fxthread: thread \"nnnnnnnn"));
}
END_TEST

static void *rename_and_overflow(void *arg)
{
    fx_thread_set_name(fx_current_thread(), "renamed");
    return overflow(arg);
}

START_TEST(the_name_is_the_present_one)
{
    struct child child;
    run(&child, (struct overflow){"as it began", 64 * KIB, rename_and_overflow});
    assert_told(&child, "renamed", "64");
}
END_TEST

static void *fork_and_overflow(void *arg)
{
    pid_t pid = fork();
    if (pid == 0)
        overflow(arg);
    if (child_code(pid) == -SIGSEGV)
        _exit(CAUGHT);
    return arg;
}

START_TEST(an_overflow_after_a_fork_in_the_thread_is_told_too)
{
    struct child child;
    run(&child, (struct overflow){"forker", 64 * KIB, fork_and_overflow});
    assert_child_exits(&child, CAUGHT);
    ck_assert_ptr_nonnull(strstr(child.err, "\"forker\""));
}
END_TEST

/* --- handlers ------------------------------------------------------------------------------- */

static void (*const handlers[])(void) = {handle, handle_informed};

START_TEST(a_handler_installed_before_stays_the_program_s)
{
    const fx_target faults[] = {overflow, write_to_null, send_to_oneself};
    for (int i = 0; i < 3; i++) {
        struct child child;
        run(&child, (struct overflow){"handled", 64 * KIB, faults[i], handlers[_i], NULL});
        assert_child_exits(&child, CAUGHT);
        ck_assert_str_eq(child.err, "");
    }
}
END_TEST

START_TEST(a_handler_installed_after_is_the_program_s)
{
    const fx_target faults[] = {overflow, write_to_null, send_to_oneself};
    for (int i = 0; i < 3; i++) {
        struct child child;
        run(&child, (struct overflow){"handled", 64 * KIB, faults[i], NULL, handlers[_i]});
        assert_child_exits(&child, CAUGHT);
        ck_assert_str_eq(child.err, "");
    }
}
END_TEST

START_TEST(an_ignored_signal_stays_ignored)
{
    struct child child;
    run(&child, (struct overflow){"ignorer", 64 * KIB, send_to_oneself, ignore, NULL});
    assert_child_exits(&child, EXIT_SUCCESS);
    ck_assert_str_eq(child.err, "");
    run(&child, (struct overflow){"ignorer", 64 * KIB, overflow, ignore, NULL});
    assert_ended_by_segv(&child);
    ck_assert_str_eq(child.err, "");
}
END_TEST

START_TEST(the_default_action_put_back_by_the_program_tells_nothing)
{
    struct child child;
    run(&child, (struct overflow){"silent", 64 * KIB, overflow, NULL, put_default_back});
    assert_ended_by_segv(&child);
    ck_assert_str_eq(child.err, "");
}
END_TEST

/* --- other faults --------------------------------------------------------------------------- */

START_TEST(a_null_dereference_ends_the_program_without_the_message)
{
    struct child child;
    run(&child, (struct overflow){"stray", 64 * KIB, write_to_null});
    assert_ended_by_segv(&child);
    ck_assert_str_eq(child.err, "");
}
END_TEST

static void write_to_null_in_main(void)
{
    write_to_null(NULL);
}

static void send_in_main(void)
{
    kill(getpid(), SIGSEGV);
}

START_TEST(so_does_one_in_main)
{
    struct child child;
    run(&child, (struct overflow){.after_first_start = write_to_null_in_main});
    assert_ended_by_segv(&child);
    ck_assert_str_eq(child.err, "");
}
END_TEST

START_TEST(a_signal_that_was_sent_ends_the_program)
{
    struct child child;
    const struct overflow senders[] = {{"sender", 64 * KIB, send_to_the_process, NULL, NULL},
                                       {"sender", 64 * KIB, send_to_oneself, NULL, NULL},
                                       {.after_first_start = send_in_main}};
    for (int i = 0; i < 3; i++) {
        run(&child, senders[i]);
        assert_ended_by_segv(&child);
        ck_assert_str_eq(child.err, "");
    }
}
END_TEST

static void limit_main_and_overflow(void)
{
    setrlimit(RLIMIT_STACK, &(struct rlimit){512 * KIB, RLIM_INFINITY});
    overflow(NULL);
}

START_TEST(an_overflow_of_main_s_stack_ends_the_program_without_the_message)
{
    struct child child;
    run(&child, (struct overflow){.after_first_start = limit_main_and_overflow});
    assert_ended_by_segv(&child);
    ck_assert_str_eq(child.err, "");
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, an_overflow_is_told_with_the_name_and_the_size);
    tcase_add_test(tests, so_is_one_of_a_stack_of_the_default_size);
    tcase_add_test(tests, so_is_one_of_the_smallest_stack);
    tcase_add_test(tests, large_frames_do_not_step_over_the_guard);
    tcase_add_test(tests, a_name_that_does_not_fit_is_cut_and_the_program_still_ends);
    tcase_add_test(tests, the_name_is_the_present_one);
    tcase_add_test(tests, an_overflow_after_a_fork_in_the_thread_is_told_too);
    tcase_add_loop_test(tests, a_handler_installed_before_stays_the_program_s, 0, 2);
    tcase_add_loop_test(tests, a_handler_installed_after_is_the_program_s, 0, 2);
    tcase_add_test(tests, an_ignored_signal_stays_ignored);
    tcase_add_test(tests, the_default_action_put_back_by_the_program_tells_nothing);
    tcase_add_test(tests, a_null_dereference_ends_the_program_without_the_message);
    tcase_add_test(tests, so_does_one_in_main);
    tcase_add_test(tests, a_signal_that_was_sent_ends_the_program);
    tcase_add_test(tests, an_overflow_of_main_s_stack_ends_the_program_without_the_message);
}

int main(void)
{
    /* Sanitizers handle SIGSEGV themselves. */
    if (THREADS_ARE_PTHREADS || SIGNAL_STACK_IS_TAKEN)
        return TEST_SKIPPED;
    return run_suite("overflow", add_tests);
}

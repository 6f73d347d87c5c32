/* setuid() and its family change the whole process, as POSIX demands: every thread of ours, whether
 * it was there before, is just being made or just ending.
 *
 * libc does this with a signal of its own, number 33, to each thread on its list, and waits for the
 * answer of each: a thread that is on the list and does not answer hangs the caller for ever.
 */
#define _GNU_SOURCE
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "child.h"
#include "crew.h"
#include "sanitizer.h"
#include "scale.h"

#include "../thread/suite.h"

#define ck_assert_recorded() ck_assert_msg(!record_failure(), "%s", record_failure())

enum { NOBODY = 65534, ALIVE = 16, ENDED = 16 };

static atomic_int arrived;
static atomic_bool changed, finished;

/* What the kernel holds of the calling thread, which may differ from what libc believes. */
static void expect_nobody(void)
{
    expect_int(syscall(SYS_getuid), ==, NOBODY);
    expect_int(syscall(SYS_geteuid), ==, NOBODY);
    expect_int(syscall(SYS_getgid), ==, NOBODY);
    expect_int(syscall(SYS_getegid), ==, NOBODY);
}

static void become_nobody(void)
{
    expect_int(setgroups(0, NULL), ==, 0);
    expect_int(setresgid(NOBODY, NOBODY, NOBODY), ==, 0);
    expect_int(setuid(NOBODY), ==, 0);
    atomic_store(&changed, true);
}

static void *nothing(void *arg)
{
    return arg;
}

static void *wait_and_look(void *arg)
{
    int number = crew_number(arg);
    sigset_t all;
    sigfillset(&all);
    if (number % 2) /* libc keeps its own signals out of this */
        expect_int(pthread_sigmask(SIG_SETMASK, &all, NULL), ==, 0);
    atomic_fetch_add(&arrived, 1);
    await(atomic_load(&changed));
    expect_nobody();
    expect_int(syscall(SYS_getgroups, 0, NULL), ==, 0);
    return NULL;
}

static void *expect_nobody_in_new_thread(void *arg)
{
    expect_nobody();
    return arg;
}

static void *become_nobody_here(void *arg)
{
    become_nobody();
    return arg;
}

/* Threads alive and threads ended, then the change, from main or from a thread of ours. */
static int change_with_threads(bool from_thread)
{
    struct crew crew;
    crew_run(ENDED, nothing);
    crew_start(&crew, ALIVE, wait_and_look);
    await(atomic_load(&arrived) == ALIVE || record_failure());
    if (from_thread)
        crew_run(1, become_nobody_here);
    else
        become_nobody();
    expect_nobody();
    crew_join(&crew);
    crew_run(ENDED, expect_nobody_in_new_thread);
    return record_status();
}

static int change_from_main(void)
{
    return change_with_threads(false);
}

static int change_from_thread(void)
{
    return change_with_threads(true);
}

START_TEST(setuid_in_main_reaches_every_thread)
{
    if (geteuid() == 0)
        ck_assert_int_eq(child_run(change_from_main), 0);
}
END_TEST

START_TEST(setuid_in_a_thread_reaches_main_and_every_thread)
{
    if (geteuid() == 0)
        ck_assert_int_eq(child_run(change_from_thread), 0);
}
END_TEST

static void *fork_and_change(void *arg)
{
    pid_t child = fork();
    if (child == 0)
        _exit(change_from_main());
    expect_int(child_code(child), ==, 0);
    return arg;
}

START_TEST(setuid_reaches_every_thread_in_a_thread_s_forked_child)
{
    if (geteuid() != 0)
        return;
    crew_run(ENDED, nothing);
    crew_run(1, fork_and_change);
    ck_assert_recorded();
}
END_TEST

/* --- in a storm of starts and ends ------------------------------------------------------------ */

/* A thread born after the change, or there while it was made, sees the new ids. */
static void *look_if_changed(void *arg)
{
    if (atomic_load(&changed))
        expect_nobody();
    return arg;
}

static void *start_threads(void *arg)
{
    struct crew crew;
    while (!atomic_load(&finished)) {
        crew_start(&crew, 1 + crew_number(arg), look_if_changed);
        crew_join(&crew);
        look_if_changed(NULL);
    }
    return NULL;
}

static int change_in_storm(void)
{
    struct crew starters;
    crew_start(&starters, 3, start_threads);
    for (int i = 0; i < 20; i++)
        await_pause();
    become_nobody();
    for (int i = 0; i < 20; i++)
        await_pause();
    atomic_store(&finished, true);
    crew_join(&starters);
    return record_status();
}

START_TEST(setuid_reaches_threads_that_are_starting_and_ending)
{
    if (geteuid() != 0)
        return;
    for (int i = 0; i < scaled(20); i++)
        ck_assert_int_eq(child_run(change_in_storm), 0);
}
END_TEST

static void *change_nothing_again_and_again(void *arg)
{
    int rounds = scaled(3000);
    for (int i = 0; i < rounds; i++) {
        expect_int(setresuid((uid_t)-1, (uid_t)-1, (uid_t)-1), ==, 0);
        expect_int(setgid(getgid()), ==, 0);
    }
    return arg;
}

/* Anyone may do this, root or not. */
START_TEST(credentials_can_be_set_while_threads_start_and_end)
{
    struct crew starters;
    crew_start(&starters, 2, start_threads);
    crew_run(1, change_nothing_again_and_again);
    atomic_store(&finished, true);
    crew_join(&starters);
    ck_assert_recorded();
}
END_TEST

START_TEST(credentials_can_be_set_by_several_threads_at_once)
{
    struct crew starters;
    crew_start(&starters, 2, start_threads);
    crew_run(3, change_nothing_again_and_again);
    atomic_store(&finished, true);
    crew_join(&starters);
    ck_assert_recorded();
}
END_TEST

static void *change_while_ending(void *arg)
{
    setgid(getgid());
    return arg;
}

START_TEST(threads_that_set_credentials_last_thing_end)
{
    for (int i = 0; i < scaled(60); i++)
        crew_run(8, change_while_ending);
    ck_assert_recorded();
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, setuid_in_main_reaches_every_thread);
    tcase_add_test(tests, setuid_in_a_thread_reaches_main_and_every_thread);
    tcase_add_test(tests, setuid_reaches_every_thread_in_a_thread_s_forked_child);
    tcase_add_test(tests, setuid_reaches_threads_that_are_starting_and_ending);
    tcase_add_test(tests, credentials_can_be_set_while_threads_start_and_end);
    tcase_add_test(tests, credentials_can_be_set_by_several_threads_at_once);
    tcase_add_test(tests, threads_that_set_credentials_last_thing_end);
}

int main(void)
{
    return THREADS_ARE_PTHREADS ? TEST_SKIPPED : run_suite("credentials", add_tests);
}

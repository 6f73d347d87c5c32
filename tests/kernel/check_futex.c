/* lib/kernel/futex: every outcome of a wait, and who a wake reaches. The sleepers are pthreads. */
#define _GNU_SOURCE
#include <check.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "await.h"
#include "base/atomic.h"
#include "child.h"
#include "kernel/clone.h"
#include "kernel/futex.h"
#include "kernel/inject.h"
#include "sanitizer.h"

#include "../thread/suite.h"
#include "asleep.h"

enum { NOT_YET = -1 };

typedef enum fxi_futex_outcome wait_function(const uint32_t *, uint32_t, fx_deadline);

struct sleeper {
    pthread_t thread;
    wait_function *wait;
    const uint32_t *word;
    fx_deadline deadline;
    pid_t tid;
    int outcome;
};

static void *sleeper_main(void *arg)
{
    struct sleeper *sleeper = arg;
    fxi_store_release(&sleeper->tid, fxi_gettid());
    int outcome = (int)sleeper->wait(sleeper->word, 0, sleeper->deadline);
    fxi_store_release(&sleeper->outcome, outcome);
    return NULL;
}

/* Returns when the sleeper sleeps, or is over already. */
static void sleeper_start(struct sleeper *sleeper, wait_function *wait, const uint32_t *word,
                          fx_deadline deadline)
{
    *sleeper = (struct sleeper){
        .wait = wait, .word = word, .deadline = deadline, .outcome = NOT_YET};
    ck_assert_int_eq(pthread_create(&sleeper->thread, NULL, sleeper_main, sleeper), 0);
    await(is_asleep(fxi_load_acquire(&sleeper->tid)) ||
          fxi_load_acquire(&sleeper->outcome) != NOT_YET);
}

static int sleeper_outcome(struct sleeper *sleeper)
{
    await(fxi_load_acquire(&sleeper->outcome) != NOT_YET);
    ck_assert_int_eq(pthread_join(sleeper->thread, NULL), 0);
    return sleeper->outcome;
}

static bool is_still_asleep(struct sleeper *sleeper)
{
    return fxi_load_acquire(&sleeper->outcome) == NOT_YET && is_asleep(sleeper->tid);
}

/* --- a wait by itself ----------------------------------------------------------------------- */

static wait_function *const waits[] = {fxi_futex_wait, fxi_futex_wait_shared};

START_TEST(a_word_that_has_changed_is_not_waited_for)
{
    uint32_t word = 7;
    ck_assert_int_eq(waits[_i](&word, 8, FX_FOREVER), FXI_FUTEX_CHANGED);
    ck_assert_int_eq(waits[_i](&word, 8, fx_deadline_after(FX_SEC(60))), FXI_FUTEX_CHANGED);
    ck_assert_int_eq(waits[_i](&word, 6, 0), FXI_FUTEX_CHANGED);
}
END_TEST

START_TEST(a_deadline_in_the_past_times_out_at_once)
{
    const fx_deadline past[] = {0, -2, -1000000000, -5000000001, INT64_MIN, 1, 999999999,
                                fx_now() - 1, fx_now()};
    uint32_t word = 7;
    for (size_t i = 0; i < sizeof past / sizeof past[0]; i++)
        if (past[i] != FX_FOREVER)
            ck_assert_int_eq(waits[_i](&word, 7, past[i]), FXI_FUTEX_TIMED_OUT);
}
END_TEST

START_TEST(a_wait_lasts_until_its_deadline)
{
    uint32_t word = 7;
    fx_deadline deadline = fx_now() + FX_MSEC(30);
    enum fxi_futex_outcome outcome;
    do
        outcome = waits[_i](&word, 7, deadline);
    while (outcome == FXI_FUTEX_WOKEN || outcome == FXI_FUTEX_INTERRUPTED);
    ck_assert_int_eq(outcome, FXI_FUTEX_TIMED_OUT);
    ck_assert_int_ge(fx_now(), deadline);
}
END_TEST

static int signals_seen;

static void count_signal(int number)
{
    (void)number;
    fxi_add_relaxed(&signals_seen, 1);
}

START_TEST(a_signal_handler_interrupts_a_wait)
{
    const fx_deadline deadlines[] = {FX_FOREVER, fx_deadline_after(FX_SEC(3600))};
    struct sigaction action = {.sa_handler = count_signal};
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    for (int i = 0; i < 2; i++) {
        uint32_t word = 0;
        struct sleeper sleeper;
        sleeper_start(&sleeper, waits[_i], &word, deadlines[i]);
        ck_assert_int_eq(pthread_kill(sleeper.thread, SIGUSR1), 0);
        ck_assert_int_eq(sleeper_outcome(&sleeper), FXI_FUTEX_INTERRUPTED);
        ck_assert_int_eq(signals_seen, i + 1);
    }
}
END_TEST

START_TEST(every_outcome_of_the_kernel_has_its_name)
{
    const struct {
        int error;
        enum fxi_futex_outcome outcome;
    } rows[] = {{EAGAIN, FXI_FUTEX_CHANGED},
                {EINTR, FXI_FUTEX_INTERRUPTED},
                {ETIMEDOUT, FXI_FUTEX_TIMED_OUT}};
    uint32_t word = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fxi_inject_arm(FXI_INJECT_FUTEX_WAIT, 1, rows[i].error);
        ck_assert_int_eq(waits[_i](&word, 0, FX_FOREVER), rows[i].outcome);
        fxi_inject_disarm();
    }
}
END_TEST

static int wait_on_memory_that_is_gone(void)
{
    close(STDERR_FILENO);
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(page, 4096);
    fxi_futex_wait(page, 0, FX_FOREVER);
    return 0;
}

static int wait_on_half_a_word(void)
{
    close(STDERR_FILENO);
    static uint32_t words[2];
    uintptr_t between = (uintptr_t)words + 2;
    fxi_futex_wait((const uint32_t *)between, 0, FX_FOREVER);
    return 0;
}

START_TEST(a_wait_that_can_only_be_a_bug_ends_the_program)
{
    ck_assert_int_eq(child_run(wait_on_memory_that_is_gone), -SIGABRT);
    ck_assert_int_eq(child_run(wait_on_half_a_word), -SIGABRT);
}
END_TEST

/* --- wakes ---------------------------------------------------------------------------------- */

START_TEST(a_wake_ends_a_wait)
{
    const fx_deadline deadlines[] = {FX_FOREVER, fx_deadline_after(FX_SEC(3600))};
    for (int i = 0; i < 2; i++) {
        uint32_t word = 0;
        struct sleeper sleeper;
        sleeper_start(&sleeper, waits[_i], &word, deadlines[i]);
        if (_i == 0)
            fxi_futex_wake(&word, 1);
        else
            fxi_futex_wake_shared(&word, 1);
        ck_assert_int_eq(sleeper_outcome(&sleeper), FXI_FUTEX_WOKEN);
    }
}
END_TEST

static int count_woken(struct sleeper *sleepers, int n)
{
    int woken = 0;
    for (int i = 0; i < n; i++)
        woken += fxi_load_acquire(&sleepers[i].outcome) == FXI_FUTEX_WOKEN;
    return woken;
}

START_TEST(a_wake_reaches_no_more_sleepers_than_it_is_told)
{
    enum { SLEEPERS = 5 };
    uint32_t word = 0;
    struct sleeper sleepers[SLEEPERS];
    for (int i = 0; i < SLEEPERS; i++)
        sleeper_start(&sleepers[i], fxi_futex_wait, &word, FX_FOREVER);
    fxi_futex_wake(&word, 2);
    await(count_woken(sleepers, SLEEPERS) == 2);
    int asleep = 0;
    for (int i = 0; i < SLEEPERS; i++)
        asleep += is_still_asleep(&sleepers[i]);
    ck_assert_int_eq(asleep, SLEEPERS - 2);
    fxi_futex_wake(&word, INT_MAX);
    for (int i = 0; i < SLEEPERS; i++)
        ck_assert_int_eq(sleeper_outcome(&sleepers[i]), FXI_FUTEX_WOKEN);
}
END_TEST

START_TEST(a_wake_of_another_word_wakes_nobody)
{
    uint32_t words[2] = {0, 0};
    struct sleeper sleeper;
    sleeper_start(&sleeper, fxi_futex_wait, &words[0], FX_FOREVER);
    fxi_futex_wake(&words[1], INT_MAX);
    ck_assert(is_still_asleep(&sleeper));
    fxi_futex_wake(&words[0], 1);
    ck_assert_int_eq(sleeper_outcome(&sleeper), FXI_FUTEX_WOKEN);
}
END_TEST

START_TEST(a_wake_of_memory_that_is_gone_is_harmless)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(page, MAP_FAILED);
    munmap(page, 4096);
    fxi_futex_wake(page, 1);
    fxi_futex_wake_shared(page, 1);
}
END_TEST

/* --- handing on ----------------------------------------------------------------------------- */

START_TEST(a_sleeper_handed_on_is_woken_by_the_other_word)
{
    uint32_t from = 0, to = 0;
    struct sleeper sleeper;
    sleeper_start(&sleeper, fxi_futex_wait_shared, &from, FX_FOREVER);
    fxi_store_relaxed(&from, 1u);
    fxi_futex_hand_on(&from, &to);
    ck_assert(is_still_asleep(&sleeper));
    fxi_futex_wake_shared(&from, INT_MAX);
    ck_assert(is_still_asleep(&sleeper));
    fxi_futex_wake_shared(&to, 1);
    ck_assert_int_eq(sleeper_outcome(&sleeper), FXI_FUTEX_WOKEN);
}
END_TEST

START_TEST(a_sleeper_handed_on_keeps_its_deadline_and_its_signals)
{
    struct sigaction action = {.sa_handler = count_signal};
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    uint32_t from = 0, to = 0;
    struct sleeper timed, interrupted;

    fx_deadline deadline = fx_deadline_after(FX_SEC(1));
    sleeper_start(&timed, fxi_futex_wait_shared, &from, deadline);
    fxi_futex_hand_on(&from, &to);
    ck_assert_int_eq(sleeper_outcome(&timed), FXI_FUTEX_TIMED_OUT);
    ck_assert_int_ge(fx_now(), deadline);

    sleeper_start(&interrupted, fxi_futex_wait_shared, &from, FX_FOREVER);
    fxi_futex_hand_on(&from, &to);
    ck_assert(is_still_asleep(&interrupted));
    ck_assert_int_eq(pthread_kill(interrupted.thread, SIGUSR1), 0);
    ck_assert_int_eq(sleeper_outcome(&interrupted), FXI_FUTEX_INTERRUPTED);
}
END_TEST

START_TEST(a_hand_on_without_a_sleeper_does_nothing)
{
    uint32_t from = 1, to = 0;
    struct sleeper sleeper;
    fxi_futex_hand_on(&from, &to);
    sleeper_start(&sleeper, fxi_futex_wait_shared, &to, FX_FOREVER);
    fxi_futex_hand_on(&from, &to);
    ck_assert(is_still_asleep(&sleeper));
    fxi_futex_wake_shared(&to, 1);
    ck_assert_int_eq(sleeper_outcome(&sleeper), FXI_FUTEX_WOKEN);
}
END_TEST

struct ending {
    uint32_t ready, may_end, tid;
};

/* The word that the kernel clears at the thread's end: any thread may choose one. */
static void *end_when_told(void *arg)
{
    struct ending *ending = arg;
    fxi_store_release(&ending->ready, (uint32_t)fxi_gettid());
    while (fxi_load_acquire(&ending->may_end) == 0)
        fxi_futex_wait(&ending->may_end, 0, FX_FOREVER);
    fxi_syscall1(SYS_set_tid_address, &ending->tid);
    fxi_syscall1(SYS_exit, 0);
    return NULL;
}

static int hand_on_to_a_thread_s_end(void)
{
    static struct ending ending = {.tid = 1};
    static uint32_t from;
    struct sleeper sleeper;
    pthread_t thread;
    if (pthread_create(&thread, NULL, end_when_told, &ending) != 0)
        return 1;
    await(is_asleep((pid_t)fxi_load_acquire(&ending.ready)));
    sleeper_start(&sleeper, fxi_futex_wait_shared, &from, FX_FOREVER);
    fxi_futex_hand_on(&from, &ending.tid);
    fxi_store_release(&ending.may_end, 1u);
    fxi_futex_wake(&ending.may_end, 1);
    return sleeper_outcome(&sleeper) == FXI_FUTEX_WOKEN && fxi_load_acquire(&ending.tid) == 0 ? 0 : 2;
}

START_TEST(a_sleeper_handed_on_to_a_thread_s_end_is_woken_by_the_kernel)
{
    ck_assert_int_eq(child_run(hand_on_to_a_thread_s_end), 0);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_loop_test(tests, a_word_that_has_changed_is_not_waited_for, 0, 2);
    tcase_add_loop_test(tests, a_deadline_in_the_past_times_out_at_once, 0, 2);
    tcase_add_loop_test(tests, a_wait_lasts_until_its_deadline, 0, 2);
    tcase_add_loop_test(tests, a_signal_handler_interrupts_a_wait, 0, 2);
    tcase_add_loop_test(tests, every_outcome_of_the_kernel_has_its_name, 0, 2);
    tcase_add_test(tests, a_wait_that_can_only_be_a_bug_ends_the_program);
    tcase_add_loop_test(tests, a_wake_ends_a_wait, 0, 2);
    tcase_add_test(tests, a_wake_reaches_no_more_sleepers_than_it_is_told);
    tcase_add_test(tests, a_wake_of_another_word_wakes_nobody);
    tcase_add_test(tests, a_wake_of_memory_that_is_gone_is_harmless);
    tcase_add_test(tests, a_sleeper_handed_on_is_woken_by_the_other_word);
    tcase_add_test(tests, a_sleeper_handed_on_keeps_its_deadline_and_its_signals);
    tcase_add_test(tests, a_hand_on_without_a_sleeper_does_nothing);
    /* The thread ends behind the back of libc, which the sanitizer calls a leak. */
    if (!THREADS_ARE_PTHREADS)
        tcase_add_test(tests, a_sleeper_handed_on_to_a_thread_s_end_is_woken_by_the_kernel);
}

int main(void)
{
    return run_suite("futex", add_tests);
}

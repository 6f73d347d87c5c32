/* The signal that stops travel by: one of the real-time ones, harmless when somebody else sends it.
 * */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../thread/captured.h"
#include "../thread/suite.h"
#include "victim.h"

static int may_end;

static void loops(void)
{
    victim_is_there();
    while (!__atomic_load_n(&may_end, __ATOMIC_ACQUIRE))
        __asm__ volatile("");
}

static void sleeps(void)
{
    victim_is_there();
    while (!__atomic_load_n(&may_end, __ATOMIC_ACQUIRE)) {
        fx_deadline before = fx_now();
        expect_int(fx_sleep(FX_MSEC(2)), ==, 0);
        expect_int(fx_now() - before, >=, FX_MSEC(2));
    }
}

static void reads(void)
{
    int fds[2];
    char byte;
    expect_int(pipe(fds), ==, 0);
    victim_is_there();
    while (!__atomic_load_n(&may_end, __ATOMIC_ACQUIRE)) {
        expect_int(write(fds[1], "x", 1), ==, 1);
        ssize_t got = read(fds[0], &byte, 1);
        expect(got == 1 || (got == -1 && errno == EINTR));
    }
    close(fds[0]);
    close(fds[1]);
}

/* So that the handler is there. */
static void make_handler(void)
{
    may_end = 0;
    victim_start(sleeps);
    await(victim_turns() == 1);
    victim_stop();
}

START_TEST(the_signal_is_a_real_time_signal)
{
    ck_assert_int_ge(fx_stop_signal(), SIGRTMIN);
    ck_assert_int_le(fx_stop_signal(), SIGRTMAX);
}
END_TEST

/* Sends it in every way there is; `from_child`: from another process. */
static void send_it(int how, pid_t process, pid_t task)
{
    int number = fx_stop_signal();
    union sigval value = { .sival_ptr = &victim };
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_signo = number;
    info.si_code = SI_QUEUE;
    info.si_pid = process;
    info.si_uid = getuid();
    info.si_value = value;
    switch (how % 5) {
    case 0:
        expect_int(kill(process, number), ==, 0);
        break;
    case 1:
        expect_int(sigqueue(process, number, value), ==, 0);
        break;
    case 2:
        expect_int(syscall(SYS_tgkill, process, task, number), ==, 0);
        break;
    case 3:
        expect_int(syscall(SYS_rt_tgsigqueueinfo, process, task, number, &info), ==, 0);
        break;
    default: /* as though a timer had sent it */
        if (process == getpid()) {
            info.si_code = SI_TIMER;
            syscall(SYS_rt_tgsigqueueinfo, process, task, number, &info);
        }
        break;
    }
}

static void send_from(bool child, pid_t task)
{
    pid_t process = getpid(), sender = child ? fork() : 0;
    ck_assert_int_ge(sender, 0);
    if (sender == 0) {
        for (int i = 0; i < scaled(50); i++)
            send_it(i, process, task);
        if (child)
            _exit(record_failure() ? 1 : 0);
    } else {
        ck_assert_int_eq(child_code(sender), 0);
    }
}

START_TEST(somebody_elses_signal_stops_nobody)
{
    void (*const places[])(void) = { loops, sleeps, reads };
    make_handler();
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        for (int child = 0; child < 2; child++) {
            may_end = 0;
            victim_start(places[i]);
            await(victim_turns() == 1);
            send_from(child, fx_thread_native_id(victim.thread));
            ck_assert(fx_thread_is_alive(victim.thread));
            __atomic_store_n(&may_end, 1, __ATOMIC_RELEASE);
            victim_ends_by(0);
        }
    }
}
END_TEST

static void stays_disabled(void)
{
    fx_stop_disable();
    victim_is_there();
    while (!__atomic_load_n(&may_end, __ATOMIC_ACQUIRE))
        __asm__ volatile("");
    fx_stop_enable();
}

START_TEST(somebody_elses_signal_does_not_disturb_a_stop_that_waits)
{
    make_handler();
    may_end = 0;
    victim_start(stays_disabled);
    await(victim_turns() == 1);
    ck_assert_int_eq(fx_thread_stop(victim.thread), 0);
    send_from(false, fx_thread_native_id(victim.thread));
    ck_assert(fx_thread_is_alive(victim.thread));
    __atomic_store_n(&may_end, 1, __ATOMIC_RELEASE);
    victim_ends_by(FX_STOPPED);
}
END_TEST

/* --- the program's own use of it --- */

static int seen, seen_value;

static void own_handler(int number, siginfo_t *info, void *context)
{
    (void)context;
    if (number == fx_stop_signal() && info->si_code == SI_QUEUE)
        seen_value += info->si_value.sival_int;
    __atomic_fetch_add(&seen, 1, __ATOMIC_RELEASE);
}

START_TEST(the_handler_that_was_there_before_gets_what_is_not_ours)
{
    struct sigaction action = { .sa_sigaction = own_handler, .sa_flags = SA_SIGINFO | SA_RESTART };
    sigemptyset(&action.sa_mask);
    ck_assert_int_eq(sigaction(fx_stop_signal(), &action, NULL), 0);
    make_handler();
    ck_assert_int_eq(__atomic_load_n(&seen, __ATOMIC_ACQUIRE), 0);
    ck_assert_int_eq(sigqueue(getpid(), fx_stop_signal(), (union sigval){ .sival_int = 42 }), 0);
    await(__atomic_load_n(&seen, __ATOMIC_ACQUIRE) == 1);
    ck_assert_int_eq(seen_value, 42);
    may_end = 0;
    victim_start(loops);
    await(victim_turns() == 1);
    if (STOPS_ARRIVE_ANYWHERE) {
        victim_stop();
    } else {
        may_end = 1;
        victim_ends_by(0);
    }
    ck_assert_int_eq(__atomic_load_n(&seen, __ATOMIC_ACQUIRE), 1);
}
END_TEST

static void blocks_all(void)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    sleeps();
    for (;;)
        fx_checkpoint();
}

START_TEST(a_thread_that_blocks_all_signals_is_stopped_at_stop_points)
{
    for (int i = 0; i < scaled(12); i++) {
        may_end = i % 2;
        victim_start(blocks_all);
        await(victim_turns() == 1);
        victim_stop();
    }
}
END_TEST

static void tells_mask(void)
{
    sigset_t mask;
    victim_is_there();
    FX_TRY { for (;;) __asm__ volatile(""); }
    FX_FINALLY {
        pthread_sigmask(SIG_BLOCK, NULL, &mask);
        may_end = sigismember(&mask, fx_stop_signal()) == 0 && sigismember(&mask, SIGUSR1) == 0;
    } FX_END
}

START_TEST(behind_a_stop_the_signal_mask_is_as_it_was)
{
    for (int i = 0; i < scaled(12); i++) {
        may_end = 0;
        victim_start(tells_mask);
        await(victim_turns() == 1);
        victim_stop();
        ck_assert_int_eq(may_end, 1);
    }
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, the_signal_is_a_real_time_signal);
    tcase_add_test(tests, a_thread_that_blocks_all_signals_is_stopped_at_stop_points);
    add_if(STOPS_ARRIVE_ANYWHERE, tests, somebody_elses_signal_stops_nobody);
    add_if(STOPS_ARRIVE_ANYWHERE, tests, somebody_elses_signal_does_not_disturb_a_stop_that_waits);
    add_if(STOPS_ARRIVE_ANYWHERE, tests,
           the_handler_that_was_there_before_gets_what_is_not_ours);
    add_if(STOPS_ARRIVE_ANYWHERE, tests, behind_a_stop_the_signal_mask_is_as_it_was);
}

int main(void)
{
    return run_suite("stop_signal", add_tests);
}

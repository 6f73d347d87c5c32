/* Sleeping: all of the time, whatever signals come. */
#define _GNU_SOURCE
#include <fxthread.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "../support/await.h"
#include "proc.h"
#include "suite.h"

static atomic_int signals_seen;

static void count_signal(int number)
{
    (void)number;
    atomic_fetch_add(&signals_seen, 1);
}

START_TEST(sleep_lasts_for_all_of_its_time)
{
    const fx_nsec times[] = {1, FX_USEC(20), FX_MSEC(1), FX_MSEC(60)};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        fx_deadline begin = fx_now();
        ck_assert_int_eq(fx_sleep(times[i]), 0);
        ck_assert_int_ge(fx_now() - begin, times[i]);
    }
}
END_TEST

START_TEST(sleep_until_lasts_to_its_deadline)
{
    const fx_nsec times[] = {1, FX_USEC(20), FX_MSEC(1), FX_MSEC(60)};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        fx_deadline deadline = fx_deadline_after(times[i]);
        ck_assert_int_eq(fx_sleep_until(deadline), 0);
        ck_assert_int_ge(fx_now(), deadline);
    }
}
END_TEST

START_TEST(no_time_and_past_time_return)
{
    const fx_nsec past[] = {0, -2, -FX_SEC(3600), INT64_MIN};
    for (size_t i = 0; i < sizeof past / sizeof past[0]; i++) {
        ck_assert_int_eq(fx_sleep(past[i]), 0);
        ck_assert_int_eq(fx_sleep_until(past[i]), 0);
    }
    ck_assert_int_eq(fx_sleep_until(fx_now()), 0);
}
END_TEST

/* A storm of signals, which also come while the handler of the last one runs. */
static void assert_storm_does_not_shorten(int flags)
{
    struct sigaction action = {.sa_handler = count_signal, .sa_flags = flags};
    struct itimerval storm = {{0, 700}, {0, 700}}, calm = {0};
    ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
    ck_assert_int_eq(setitimer(ITIMER_REAL, &storm, NULL), 0);
    await(atomic_load(&signals_seen) > 0);
    fx_deadline begin = fx_now();
    int before = atomic_load(&signals_seen), rc = fx_sleep(FX_MSEC(200));
    fx_nsec slept = fx_now() - begin;
    int after = atomic_load(&signals_seen);
    fx_deadline deadline = fx_deadline_after(FX_MSEC(100));
    int rc_until = fx_sleep_until(deadline);
    fx_deadline end = fx_now();
    ck_assert_int_eq(setitimer(ITIMER_REAL, &calm, NULL), 0);
    ck_assert_int_eq(rc, 0);
    ck_assert_int_eq(rc_until, 0);
    ck_assert_int_ge(slept, FX_MSEC(200));
    ck_assert_int_ge(end, deadline);
    ck_assert_int_gt(after, before);
}

START_TEST(a_storm_of_signals_does_not_shorten_a_sleep)
{
    assert_storm_does_not_shorten(0);
}
END_TEST

START_TEST(nor_does_it_when_system_calls_are_restarted)
{
    assert_storm_does_not_shorten(SA_RESTART);
}
END_TEST

struct sleeper {
    fx_nsec time, slept;
    _Atomic pid_t tid;
    int rc;
};

static void *sleep_and_tell(void *arg)
{
    struct sleeper *it = arg;
    fx_deadline begin = fx_now();
    atomic_store(&it->tid, kernel_tid());
    it->rc = fx_sleep(it->time);
    it->slept = fx_now() - begin;
    return NULL;
}

START_TEST(signals_to_a_thread_do_not_shorten_its_sleep)
{
    struct sigaction action = {.sa_handler = count_signal};
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    struct sleeper it = {.time = FX_MSEC(200), .rc = 1};
    fx_thread *t = fx_thread_spawn(sleep_and_tell, &it);
    await(atomic_load(&it.tid) != 0);
    while (fx_thread_is_alive(t)) {
        syscall(SYS_tgkill, getpid(), atomic_load(&it.tid), SIGUSR1);
        usleep(200);
    }
    ck_assert_int_eq(fx_thread_join(t, NULL), 0);
    ck_assert_int_eq(it.rc, 0);
    ck_assert_int_ge(it.slept, FX_MSEC(200));
    ck_assert_int_gt(atomic_load(&signals_seen), 0);
    fx_thread_unref(t);
}
END_TEST

START_TEST(a_foreign_thread_sleeps)
{
    struct sleeper it = {.time = FX_MSEC(30), .rc = 1};
    pthread_t foreign;
    ck_assert_int_eq(pthread_create(&foreign, NULL, sleep_and_tell, &it), 0);
    ck_assert_int_eq(pthread_join(foreign, NULL), 0);
    ck_assert_int_eq(it.rc, 0);
    ck_assert_int_ge(it.slept, FX_MSEC(30));
}
END_TEST

START_TEST(forever_and_what_is_nearly_so_do_not_end)
{
    static struct sleeper sleepers[] = {{.time = FX_FOREVER}, {.time = INT64_MAX}};
    fx_thread *threads[2];
    for (int i = 0; i < 2; i++) {
        threads[i] = fx_thread_new(sleep_and_tell, &sleepers[i],
                                   &(fx_thread_attr){.daemon = true});
        ck_assert_int_eq(fx_thread_start(threads[i]), 0);
        await(atomic_load(&sleepers[i].tid) != 0);
    }
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(fx_thread_join_for(threads[i], FX_MSEC(60), NULL), -ETIMEDOUT);
}
END_TEST

START_TEST(many_threads_sleep_at_once)
{
    enum { SLEEPERS = 100 };
    static struct sleeper sleepers[SLEEPERS];
    fx_thread *threads[SLEEPERS];
    for (int i = 0; i < SLEEPERS; i++) {
        sleepers[i].time = FX_MSEC(1 + i % 40);
        ck_assert_ptr_nonnull(threads[i] = fx_thread_spawn(sleep_and_tell, &sleepers[i]));
    }
    for (int i = 0; i < SLEEPERS; i++) {
        ck_assert_int_eq(fx_thread_join(threads[i], NULL), 0);
        ck_assert_int_eq(sleepers[i].rc, 0);
        ck_assert_int_ge(sleepers[i].slept, sleepers[i].time);
        fx_thread_unref(threads[i]);
    }
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, sleep_lasts_for_all_of_its_time);
    tcase_add_test(tests, sleep_until_lasts_to_its_deadline);
    tcase_add_test(tests, no_time_and_past_time_return);
    tcase_add_test(tests, a_storm_of_signals_does_not_shorten_a_sleep);
    tcase_add_test(tests, nor_does_it_when_system_calls_are_restarted);
    tcase_add_test(tests, signals_to_a_thread_do_not_shorten_its_sleep);
    tcase_add_test(tests, a_foreign_thread_sleeps);
    tcase_add_test(tests, forever_and_what_is_nearly_so_do_not_end);
    tcase_add_test(tests, many_threads_sleep_at_once);
}

int main(void)
{
    return run_suite("sleep", add_tests);
}

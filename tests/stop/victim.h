/* A thread that is stopped at a place of the test's choice, again and again.
 *
 *     static void place(void) { for (;;) { victim_is_there(); getpid(); } }
 *     ...
 *     stop_in(place);             // from when it is there, at moments that vary
 *     stop_once_in(place);        // the same for a place that never comes there again
 *     stop_asleep_in(place);      // and every other time not before it sleeps in the kernel
 *
 * The place runs in an FX_TRY: it must not go on after the stop, the FX_FINALLY must run once, and
 * the thread must end by FX_STOPPED. All of it on the test's main thread, with Check's assertions.
 */
#ifndef TESTS_STOP_VICTIM_H
#define TESTS_STOP_VICTIM_H

#include <fxthread.h>

#include <check.h>

#include "../kernel/asleep.h"
#include "await.h"
#include "record.h"
#include "sanitizer.h"
#include "scale.h"

/* What is allocated when a stop comes and is in no scope's care yet has leaked, as is promised. */
#ifndef TESTS_THREAD_CAPTURED_H
#ifdef __cplusplus
extern "C" {
#endif
SANITIZER_IGNORE_LEAKS
#ifdef __cplusplus
}
#endif
#endif

/* Where a stop takes effect at stop points only. */
#if defined FXI_TSAN
#define STOPS_ARRIVE_ANYWHERE 0
#else
#define STOPS_ARRIVE_ANYWHERE 1
#endif

/* Where it takes effect when another library returns to the program. */
#if defined __x86_64__ && STOPS_ARRIVE_ANYWHERE
#define STOPS_FOLLOW_A_LIBRARY 1
#else
#define STOPS_FOLLOW_A_LIBRARY 0
#endif

static struct {
    fx_thread *thread;
    void (*place)(void);
    uint64_t there;       /* how often it has come to its place */
    int finally, went_on; /* how often the block ran; whether the place returned */
} victim;

static inline void victim_is_there(void)
{
    __atomic_fetch_add(&victim.there, 1, __ATOMIC_RELEASE);
}

static inline uint64_t victim_turns(void)
{
    return __atomic_load_n(&victim.there, __ATOMIC_ACQUIRE);
}

static inline void *victim_run(void *arg)
{
    FX_TRY {
        victim.place();
        victim.went_on = 1;
    } FX_FINALLY {
        victim.finally++;
    } FX_END
    return arg;
}

static inline void victim_make(void (*place)(void), const fx_thread_attr *attr)
{
    victim.place = place;
    victim.there = 0;
    victim.finally = 0;
    victim.went_on = 0;
    victim.thread = fx_thread_new(victim_run, &victim, attr);
    ck_assert_ptr_nonnull(victim.thread);
}

static inline void victim_start(void (*place)(void))
{
    victim_make(place, NULL);
    ck_assert_int_eq(fx_thread_start(victim.thread), 0);
}

static inline void victim_join(void)
{
    int rc = fx_thread_join_for(victim.thread, FX_SEC(await_limit()), NULL);
    ck_assert_msg(rc == 0, "joined: %d; it was there %llu times", rc,
                  (unsigned long long)victim_turns());
}

/* Joins it, and looks how it has ended. */
static inline void victim_ends_by(fx_exc exception)
{
    void *result = &victim;
    victim_join();
    ck_assert_int_eq(fx_thread_join(victim.thread, &result), 0);
    ck_assert_msg(!record_failure(), "%s", record_failure());
    ck_assert_int_eq(fx_thread_exception(victim.thread), exception);
    ck_assert_int_eq(victim.finally, 1);
    ck_assert_int_eq(victim.went_on, exception == 0);
    ck_assert_ptr_eq(result, exception == 0 ? &victim : NULL);
    fx_thread_unref(victim.thread);
    victim.thread = NULL;
}

static inline void victim_stop(void)
{
    ck_assert_int_eq(fx_thread_stop(victim.thread), 0);
    victim_ends_by(FX_STOPPED);
}

/* Up to some microseconds, never the same. */
static inline void pass_a_moment(void)
{
    static uint64_t random = 88172645463325252u;
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    for (uint64_t i = 0, n = random % 20000; i < n; i++)
        __asm__ volatile("");
}

/* In round i it is stopped when it has been there more than i % turns times. */
static inline void stop_rounds_in(void (*place)(void), int rounds, int turns, bool asleep)
{
    for (int i = 0; i < rounds; i++) {
        victim_start(place);
        await(victim_turns() > (uint64_t)(i % turns));
        if (asleep && i % 2)
            await(is_asleep(fx_thread_native_id(victim.thread)));
        else
            pass_a_moment();
        victim_stop();
    }
}

/* A place that is reached again and again. */
static inline void stop_in(void (*place)(void))
{
    stop_rounds_in(place, scaled(24), 4, false);
}

/* One that is reached once, and not left. */
static inline void stop_once_in(void (*place)(void))
{
    stop_rounds_in(place, scaled(24), 1, false);
}

/* One that is reached once, and waited at. */
static inline void stop_asleep_in(void (*place)(void))
{
    stop_rounds_in(place, scaled(24), 1, true);
}

#define add_if(condition, tests, test)       \
    do {                                     \
        if (condition)                       \
            tcase_add_test((tests), (test)); \
    } while (0)

#endif

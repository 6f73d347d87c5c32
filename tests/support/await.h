/* Waiting in tests: for a state, by a bounded poll, never for a time.
 *
 *     await(atomic_load(&started) == 32);            // the limit is generous: it only ends a hang
 *     ck_assert(await_for(!fx_thread_is_alive(t), 5));
 *
 * await() ends the process with a message when the limit is over, so it is of use outside of Check,
 * too, and in any thread; await_for() tells whether the condition came true within the seconds.
 * Both evaluate the condition again and again: it is to have no side effects. The limit of await()
 * is 60 seconds; the environment variable FX_TEST_HANG_LIMIT sets another one, for tools that slow
 * a program down.
 */
#ifndef TESTS_SUPPORT_AWAIT_H
#define TESTS_SUPPORT_AWAIT_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static inline double await_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static inline double await_limit(void)
{
    const char *text = getenv("FX_TEST_HANG_LIMIT");
    return text && atof(text) > 0 ? atof(text) : 60;
}

/* A raw sleep: it must be no stop point, nor anything else of what is under test. */
static inline void await_pause(void)
{
    struct timespec millisecond = {0, 1000000};
    nanosleep(&millisecond, NULL);
}

static inline void await_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: did not come true: %s\n", file, line, condition);
    fflush(stderr);
    abort();
}

#define await_for(condition, seconds)                     \
    __extension__({                                       \
        double await_end = await_now() + (seconds);       \
        bool await_true;                                  \
        while (!(await_true = (bool)(condition)) && await_now() < await_end) \
            await_pause();                                \
        await_true;                                       \
    })

#define await(condition)                                     \
    do {                                                     \
        if (!await_for(condition, await_limit()))            \
            await_failed(#condition, __FILE__, __LINE__);    \
    } while (0)

#endif

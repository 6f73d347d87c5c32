/* A crew: n threads of the library that run the same function, each with its number as argument. */
#ifndef TESTS_SUPPORT_CREW_H
#define TESTS_SUPPORT_CREW_H

#include <fxthread.h>

#include "await.h"
#include "record.h"

#define CREW_MAX 1024

struct crew {
    int n;
    fx_thread *threads[CREW_MAX];
};

static inline int crew_number(void *arg)
{
    return (int)(intptr_t)arg;
}

/* Starts threads 0 to n - 1. Those that cannot be started fail an expectation. */
static inline void crew_start(struct crew *crew, int n, fx_target fn)
{
    crew->n = n;
    for (int i = 0; i < n; i++) {
        crew->threads[i] = fx_thread_spawn(fn, (void *)(intptr_t)i);
        expect(crew->threads[i] != NULL);
    }
}

/* Joins them all, and expects each to have returned. */
static inline void crew_join(struct crew *crew)
{
    for (int i = 0; i < crew->n; i++) {
        if (!crew->threads[i])
            continue;
        expect_int(fx_thread_join_for(crew->threads[i], FX_SEC(await_limit()), NULL), ==, 0);
        expect_int(fx_thread_exception(crew->threads[i]), ==, 0);
        fx_thread_unref(crew->threads[i]);
    }
    crew->n = 0;
}

static inline void crew_run(int n, fx_target fn)
{
    struct crew crew;
    crew_start(&crew, n, fn);
    crew_join(&crew);
}

/* One thread after the other: each has ended before the next begins. */
static inline void crew_run_in_sequence(int n, fx_target fn)
{
    for (int i = 0; i < n; i++) {
        fx_thread *thread = fx_thread_spawn(fn, (void *)(intptr_t)i);
        if (!expect(thread != NULL))
            return;
        expect_int(fx_thread_join_for(thread, FX_SEC(await_limit()), NULL), ==, 0);
        expect_int(fx_thread_exception(thread), ==, 0);
        fx_thread_unref(thread);
    }
}

#endif

#include <fxthread.h>
#include <stdlib.h>

#include "bench/peers/executor.h"

static fx_executor *pool;
static fx_semaphore here, there;

static bool start(int workers)
{
    pool = fx_thread_pool_new(&(fx_thread_pool_attr){ .max_workers = (size_t)workers });
    return pool != NULL;
}

static void *empty(void *arg)
{
    return arg;
}

static bool run_empty(long n)
{
    for (long i = 0; i < n; i++)
        if (fx_submit_detached(pool, empty, NULL) != 0)
            return false;
    return fx_executor_shutdown(pool, true, false) == 0;
}

static bool round_trip(void)
{
    fx_future *future = fx_submit(pool, empty, NULL);
    bool done = future && fx_future_result(future, NULL) == 0;
    fx_future_unref(future);
    return done;
}

static void *sleep_so_long(void *arg)
{
    fx_sleep(*(long *)arg);
    return NULL;
}

static bool sleep_all(long n, long ns)
{
    for (long i = 0; i < n; i++)
        if (fx_submit_detached(pool, sleep_so_long, &ns) != 0)
            return false;
    return fx_executor_shutdown(pool, true, false) == 0;
}

static void *hand_there(void *arg)
{
    for (long i = 0; i < *(long *)arg; i++) {
        fx_semaphore_acquire(&here);
        fx_semaphore_release(&there, 1);
    }
    return NULL;
}

static void *hand_back(void *arg)
{
    for (long i = 0; i < *(long *)arg; i++) {
        fx_semaphore_acquire(&there);
        fx_semaphore_release(&here, 1);
    }
    return NULL;
}

static bool hand_over(long n)
{
    fx_semaphore_init(&here, 1);
    fx_semaphore_init(&there, 0);
    return fx_submit_detached(pool, hand_there, &n) == 0 &&
           fx_submit_detached(pool, hand_back, &n) == 0 &&
           fx_executor_shutdown(pool, true, false) == 0;
}

const struct bench_executor_peer bench_executor_fxthread = {
    .peer = { .name = "fxthread", .what = "fx_thread_pool" },
    .start = start,
    .run_empty = run_empty,
    .round_trip = round_trip,
    .sleep = sleep_all,
    .hand_over = hand_over,
};

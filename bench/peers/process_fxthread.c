#include <fxthread.h>
#include <stdlib.h>
#include <string.h>

#include "bench/peers/process.h"
#include "bench/support/clock.h"

static fx_executor *pool;

static bool is_there(void)
{
    return true;
}

static int give_back(const void *arg, size_t arg_size, void *result, size_t result_size)
{
    (void)arg_size;
    memcpy(result, arg, result_size);
    return 0;
}

static int first_byte(const void *arg, size_t arg_size, void *result, size_t result_size)
{
    (void)arg_size;
    (void)result_size;
    *(char *)result = *(const char *)arg;
    return 0;
}

static fx_future *submit(void)
{
    static const unsigned char bytes[BENCH_PROCESS_BYTES];
    return fx_submit_copy(pool, give_back, bytes, sizeof bytes, sizeof bytes);
}

static bool finish(fx_future *future)
{
    bool done = future && fx_future_result(future, NULL) == 0;
    fx_future_unref(future);
    return done;
}

static int64_t tasks(long n)
{
    fx_future **futures = calloc((size_t)n, sizeof *futures);
    bool done = futures != NULL;
    int64_t begin = bench_now();
    for (long i = 0; i < n && done; i++)
        futures[i] = submit();
    for (long i = 0; i < n && done; i++)
        done = finish(futures[i]);
    int64_t took = bench_now() - begin;
    free(futures);
    return done ? took : -1;
}

static int64_t round_trips(long n)
{
    int64_t begin = bench_now();
    for (long i = 0; i < n; i++)
        if (!finish(submit()))
            return -1;
    return bench_now() - begin;
}

static bool start(int workers)
{
    pool = fx_process_pool_new(&(fx_process_pool_attr){ .max_workers = (size_t)workers });
    return pool && tasks(100) >= 0;
}

static int64_t large(size_t bytes)
{
    static char *argument;
    static size_t filled;
    if (filled < bytes) {
        argument = realloc(argument, bytes);
        if (!argument)
            return -1;
        memset(argument, 1, bytes);
        filled = bytes;
    }
    int64_t begin = bench_now();
    if (!finish(fx_submit_copy(pool, first_byte, argument, bytes, 1)))
        return -1;
    return bench_now() - begin;
}

const struct bench_process_peer bench_process_fxthread = {
    .peer = { .name = "fxthread", .what = "fx_process_pool" },
    .is_there = is_there,
    .start = start,
    .tasks = tasks,
    .round_trips = round_trips,
    .large = large,
};

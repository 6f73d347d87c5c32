#include "bench/support/loop.h"

#include <stdint.h>

#include "bench/support/clock.h"

double bench_loop_measure(void (*loop)(long n), double seconds)
{
    enum { BATCH = 2000 };
    loop(BATCH);
    int64_t begin = bench_now(), enough = begin + (int64_t)(seconds * 1e9), now;
    long calls = 0;
    do {
        loop(BATCH);
        calls += BATCH;
        now = bench_now();
    } while (now < enough);
    return (double)(now - begin) / (double)calls;
}

#include <fxthread.h>

#include "bench/peers/semaphore.h"

static fx_semaphore one = FX_SEMAPHORE_INIT(1), turn[2];

static void pairs(long n)
{
    for (long i = 0; i < n; i++) {
        fx_semaphore_acquire(&one);
        fx_semaphore_release(&one, 1);
    }
}

static void give(int side)
{
    fx_semaphore_release(&turn[side], 1);
}

static void take(int side)
{
    fx_semaphore_acquire(&turn[side]);
}

const struct bench_semaphore_peer bench_semaphore_fxthread = {
    .peer = { "fxthread", "fx_semaphore" },
    .pairs = pairs,
    .handoff = { give, take },
};

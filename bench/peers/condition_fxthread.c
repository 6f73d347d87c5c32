#include <fxthread.h>

#include "bench/peers/condition.h"

static fx_condition unused;
static fx_lock lock;
static fx_condition changed[2];
static bool turn[2];

static void notifies(long n)
{
    for (long i = 0; i < n; i++)
        fx_condition_notify(&unused, 1);
}

static void give(int side)
{
    fx_lock_acquire(&lock);
    turn[side] = true;
    fx_condition_notify(&changed[side], 1);
    fx_lock_release(&lock);
}

static void take(int side)
{
    fx_lock_acquire(&lock);
    while (!turn[side])
        fx_condition_wait(&changed[side], &lock);
    turn[side] = false;
    fx_lock_release(&lock);
}

const struct bench_condition_peer bench_condition_fxthread = {
    .peer = { "fxthread", "fx_condition with an fx_lock" },
    .notifies = notifies,
    .handoff = { give, take },
};

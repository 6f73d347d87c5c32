#include <fxthread.h>

#include "bench/peers/rwlock.h"

static fx_rwlock lock = FX_RWLOCK_INIT;

static void reads(long n)
{
    for (long i = 0; i < n; i++) {
        fx_rwlock_acquire_read(&lock);
        fx_rwlock_release_read(&lock);
    }
}

static void writes(long n)
{
    for (long i = 0; i < n; i++) {
        fx_rwlock_acquire_write(&lock);
        fx_rwlock_release_write(&lock);
    }
}

const struct bench_rwlock_peer bench_rwlock_fxthread = {
    .peer = { "fxthread", "fx_rwlock" },
    .reads = reads,
    .writes = writes,
};

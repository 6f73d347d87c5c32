#include <fxthread.h>

#include "bench/peers/lock_loops.h"

static fx_lock lock __attribute__((aligned(64)));
static fx_rlock recursive __attribute__((aligned(64)));

static inline void acquire(void *it)
{
    fx_lock_acquire(it);
}

static inline void release(void *it)
{
    fx_lock_release(it);
}

static inline void acquire_recursive(void *it)
{
    fx_rlock_acquire(it);
}

static inline void release_recursive(void *it)
{
    fx_rlock_release(it);
}

static void pairs(uint64_t n)
{
    bench_lock_loop_pairs(&lock, acquire, release, n);
}

static void nested(uint64_t n)
{
    fx_rlock_acquire(&recursive);
    bench_lock_loop_pairs(&recursive, acquire_recursive, release_recursive, n);
    fx_rlock_release(&recursive);
}

static void contend(struct bench_lock_turns *turns)
{
    bench_lock_loop_contend(&lock, acquire, release, turns);
}

const struct bench_lock_peer bench_lock_fxthread = {
    .peer = { "fxthread", "fx_lock; nested: fx_rlock" },
    .pairs = pairs,
    .nested = nested,
    .contend = contend,
};

#include <nsync.h>

#include "bench/peers/lock_loops.h"

static nsync_mu lock __attribute__((aligned(64))) = NSYNC_MU_INIT;

static inline void acquire(void *mu)
{
    nsync_mu_lock(mu);
}

static inline void release(void *mu)
{
    nsync_mu_unlock(mu);
}

static void pairs(uint64_t n)
{
    bench_lock_loop_pairs(&lock, acquire, release, n);
}

static void contend(struct bench_lock_turns *turns)
{
    bench_lock_loop_contend(&lock, acquire, release, turns);
}

const struct bench_lock_peer bench_lock_nsync = {
    .peer = { "nsync", "nsync_mu" },
    .pairs = pairs,
    .contend = contend,
};

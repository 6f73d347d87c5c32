/* The loops of bench/peers/lock.h around a peer's own calls, compiled into each peer so that what
 * the peer inlines is inlined. `acquire` and `release` are functions of the peer that the compiler
 * sees. */
#ifndef BENCH_PEERS_LOCK_LOOPS_H
#define BENCH_PEERS_LOCK_LOOPS_H

#include "bench/peers/lock.h"
#include "bench/support/clock.h"

#define BENCH_LOOP static inline __attribute__((always_inline))

typedef void (*bench_lock_call)(void *lock);

/* Some processor's cycles a turn; the caller has measured how long one takes. Each turn waits for the
 * multiplication of the one before it, so that it takes as long in each peer, however the compiler
 * has placed the loop there. */
BENCH_LOOP void bench_lock_work(uint64_t turns)
{
    uint64_t product = turns;
    for (uint64_t i = 0; i < turns; i++) {
        product *= UINT64_C(6364136223846793005);
        __asm__ volatile("" : "+r"(product));
    }
}

BENCH_LOOP void bench_lock_loop_pairs(void *lock, bench_lock_call acquire, bench_lock_call release,
                                      uint64_t n)
{
    __asm__("" : "+r"(lock)); /* as a program has it: an address that the compiler does not know */
    for (uint64_t i = 0; i < n; i++) {
        acquire(lock);
        release(lock);
    }
}

BENCH_LOOP void bench_lock_loop_contend(void *lock, bench_lock_call acquire,
                                        bench_lock_call release, struct bench_lock_turns *turns)
{
    uint64_t done = 0;
    __asm__("" : "+r"(lock));
    while (!__atomic_load_n(turns->stop, __ATOMIC_RELAXED)) {
        if (done % BENCH_LOCK_SAMPLED == 0) {
            int64_t before = bench_now();
            acquire(lock);
            bench_histogram_add(&turns->waits, bench_now() - before);
        } else {
            acquire(lock);
        }
        bench_lock_work(turns->inside);
        release(lock);
        __atomic_store_n(&turns->done, ++done, __ATOMIC_RELAXED);
        bench_lock_work(turns->outside);
    }
}

#endif

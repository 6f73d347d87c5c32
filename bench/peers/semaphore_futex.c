#include "bench/peers/futex_turn.h"
#include "bench/peers/semaphore.h"

static _Atomic uint32_t one = 1;

static void pairs(long n)
{
    for (long i = 0; i < n; i++) {
        uint32_t value = 1;
        atomic_compare_exchange_strong_explicit(&one, &value, 0, memory_order_acquire,
                                                memory_order_relaxed);
        value = 0;
        atomic_compare_exchange_strong_explicit(&one, &value, 1, memory_order_release,
                                                memory_order_relaxed);
    }
}

const struct bench_semaphore_peer bench_semaphore_futex = {
    .peer = { "futex", "two compare-and-swaps, and a bare futex: the limit without spinning" },
    .pairs = pairs,
    .handoff = { futex_give, futex_take },
};

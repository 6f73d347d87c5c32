#include "bench/peers/condition.h"
#include "bench/peers/futex_turn.h"

static _Atomic uint32_t waiters;

static void notifies(long n)
{
    for (long i = 0; i < n; i++)
        if (atomic_load_explicit(&waiters, memory_order_relaxed) != 0)
            futex_give(0);
}

const struct bench_condition_peer bench_condition_futex = {
    .peer = { "futex", "a load, and a bare futex without a lock: the limit without spinning" },
    .notifies = notifies,
    .handoff = { futex_give, futex_take },
};

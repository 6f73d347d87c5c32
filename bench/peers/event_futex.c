#include "bench/peers/event.h"
#include "bench/peers/futex_turn.h"

static _Atomic uint32_t flag = 1;

static void looks(long n)
{
    for (long i = 0; i < n; i++)
        bench_use(atomic_load_explicit(&flag, memory_order_acquire));
}

const struct bench_event_peer bench_event_futex = {
    .peer = { "futex", "a load, and a bare futex: the limit without spinning" },
    .looks = looks,
    .calls = looks,
    .handoff = { futex_give, futex_take },
};

#include "bench/peers/scope.h"

static void block(uint64_t n)
{
    for (volatile uint64_t i = 0; i < n; i++) {
        FX_TRY { bench_scope_work(); } FX_EXCEPT(e) { } FX_END
    }
}

static void lock(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        FX_WITH(&bench_scope_lock) { bench_scope_work(); }
}

__attribute__((noinline)) static uint64_t leave_once(uint64_t i)
{
    FX_TRY { return i; } FX_FINALLY { bench_scope_work(); } FX_END
    return 0;
}

static void leave(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        leave_once(i);
}

__attribute__((noinline)) static void raise_from(int depth, fx_exc code)
{
    if (depth > 0)
        raise_from(depth - 1, code);
    else if (code != 0)
        fx_raise(code);
    __asm__ volatile("");
}

static void raise(uint64_t n)
{
    for (volatile uint64_t i = 0; i < n; i++) {
        FX_TRY { raise_from(2, 1); } FX_EXCEPT(e) { } FX_END
    }
}

const struct bench_scope_peer bench_scope_fxthread = {
    .peer = { BENCH_SUBJECT, "FX_TRY, FX_WITH, FX_FINALLY, fx_raise()" },
    .block = block,
    .lock = lock,
    .leave = leave,
    .raise = raise,
};

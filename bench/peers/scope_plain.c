#include <setjmp.h>

#include "bench/peers/scope.h"

static jmp_buf environment;

static void block(uint64_t n)
{
    for (volatile uint64_t i = 0; i < n; i++)
        if (_setjmp(environment) == 0)
            bench_scope_work();
}

static void lock(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        fx_lock_acquire(&bench_scope_lock);
        bench_scope_work();
        fx_lock_release(&bench_scope_lock);
    }
}

__attribute__((noinline)) static uint64_t leave_once(uint64_t i)
{
    if (_setjmp(environment) == 0)
        bench_scope_work();
    return i;
}

static void leave(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        leave_once(i);
}

__attribute__((noinline)) static void jump(int depth, int value)
{
    if (depth > 0)
        jump(depth - 1, value);
    else if (value != 0)
        longjmp(environment, value);
    __asm__ volatile("");
}

static void raise(uint64_t n)
{
    for (volatile uint64_t i = 0; i < n; i++)
        if (_setjmp(environment) == 0)
            jump(2, 1);
}

const struct bench_scope_peer bench_scope_plain = {
    .peer = { "plain", "_setjmp() and longjmp(), which run nothing on the way; fx_lock_acquire() and "
                       "fx_lock_release() by themselves" },
    .block = block,
    .lock = lock,
    .leave = leave,
    .raise = raise,
};

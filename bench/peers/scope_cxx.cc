#include "bench/peers/scope.h"

namespace {

struct at_end {
    ~at_end() { bench_scope_work(); }
};

struct guard {
    guard() { fx_lock_acquire(&bench_scope_lock); }
    ~guard() { fx_lock_release(&bench_scope_lock); }
};

void block(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        try {
            bench_scope_work();
        } catch (int) {
        }
    }
}

void lock(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        guard held;
        bench_scope_work();
    }
}

__attribute__((noinline)) uint64_t leave_once(uint64_t i)
{
    at_end finally;
    return i;
}

void leave(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        leave_once(i);
}

__attribute__((noinline)) void throw_from(int depth, int value)
{
    if (depth > 0)
        throw_from(depth - 1, value);
    else if (value != 0)
        throw value;
    __asm__ volatile("");
}

void raise(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        try {
            throw_from(2, 1);
        } catch (int) {
        }
    }
}

} // namespace

const struct bench_scope_peer bench_scope_cxx = {
    { "c++", "try and throw; destructors" }, block, lock, leave, raise,
};

#include "future/lock.h"

#include "context/hooks.h"

#define LOCKS 64 /* a power of two */

static struct {
    fxi_lowlock lock;
} __attribute__((aligned(FXI_CACHE_LINE))) locks[LOCKS];

static uint32_t generation; /* written after a fork, in the child's only thread */

fxi_lowlock *fxi_future_lock_of(const void *object)
{
    /* Fibonacci hashing, as of the buckets in lib/park. */
    return &locks[((uint64_t)(uintptr_t)object * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - 6)].lock;
}

uint32_t fxi_future_generation(void)
{
    return generation;
}

static void before_fork(void)
{
    for (size_t i = 0; i < LOCKS; i++)
        fxi_lowlock_acquire(&locks[i].lock);
}

static void after_fork(bool in_child)
{
    if (in_child)
        generation++;
    for (size_t i = 0; i < LOCKS; i++)
        fxi_lowlock_release(&locks[i].lock);
}

static struct fxi_hooks hooks = { .before_fork = before_fork, .after_fork = after_fork };

FXI_AT_LOAD(FXI_FLOOR_FUTURE) static void register_hooks(void)
{
    fxi_hooks_register(&hooks);
}

/* The lock of the floors below `park`: three states, no owner, no order, no stop.
 *
 * Guarantee: mutual exclusion, and that a waiter is woken when the lock is free. Not fair.
 * State: 0 free; 1 held; 2 held, and there may be waiters. It is the protocol of U. Drepper,
 *   "Futexes Are Tricky" (2011), mutex2, which glibc's internal locks follow too: for that reason
 *   lib/libc may take one of libc's own locks through these calls.
 * Wake rule: a waiter always leaves 2 behind before it sleeps and acquires with 2, as there may be
 *   others; whoever exchanges a 2 for 0 wakes one. So a sleeper always has a holder who will see 2.
 * Lifetime: release touches the word last in its exchange; the wake after it only names an address.
 *
 * Held for a few instructions, or across one clone; the holder never waits for anything but another
 * lowlock. Where a handler of the program could want the same lock (through fork, say), the holder
 * has blocked signals. */
#ifndef FXI_KERNEL_LOWLOCK_H
#define FXI_KERNEL_LOWLOCK_H

#include "base/atomic.h"
#include "base/compiler.h"

typedef uint32_t fxi_lowlock;

void fxi_lowlock_acquire_slow(fxi_lowlock *lock);
void fxi_lowlock_wake_one(fxi_lowlock *lock);

static inline bool fxi_lowlock_try_acquire(fxi_lowlock *lock)
{
    uint32_t free_state = 0;
    return fxi_cas_acquire(lock, &free_state, 1u); /* acquire: pairs with the release below */
}

static inline void fxi_lowlock_acquire(fxi_lowlock *lock)
{
    if (fxi_unlikely(!fxi_lowlock_try_acquire(lock)))
        fxi_lowlock_acquire_slow(lock);
}

static inline void fxi_lowlock_release(fxi_lowlock *lock)
{
    /* release: pairs with the acquire of the next holder */
    if (fxi_unlikely(fxi_exchange_release(lock, 0u) == 2))
        fxi_lowlock_wake_one(lock);
}

#endif

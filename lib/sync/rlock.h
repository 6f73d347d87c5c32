/* What conditions ask of fx_rlock besides its public calls. */
#ifndef FXI_SYNC_RLOCK_H
#define FXI_SYNC_RLOCK_H

#include <fxthread/rlock.h>

#include "sync/lock.h"

/* Releases all acquisitions of the caller, who owns it; how many there were beyond the first. */
uint32_t fxi_rlock_release_all(fx_rlock *lock);

/* As fxi_lock_reacquire, and restores what fxi_rlock_release_all returned. */
int fxi_rlock_reacquire(fx_rlock *lock, uintptr_t given, fx_deadline since, uint32_t again);

/* What its waiters queue at, and the lock in it for fxi_lock_expect_waiters: they are the same. */
static inline fx_lock *fxi_rlock_lock(fx_rlock *lock)
{
    return &lock->lock;
}

#endif

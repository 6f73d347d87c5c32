/* fx_rlock: an fx_lock and a count that only its owner touches.
 *
 * Guarantee: as fx_lock; and the owner's acquisitions and releases nest.
 * State: the lock's word tells the owner. `again` counts acquisitions beyond the first, and is 0
 *   whenever the lock is free: acquiring a free one, and releasing for the last time, are the
 *   lock's own single steps, with nothing before or after them that a stop could come between.
 * Wake rule, lifetime, limits: the lock's; 2^32 acquisitions. */
#define FX_RLOCK_INLINE FX_API
#include "sync/rlock.h"

#include <errno.h>

/* The owner's further acquisition; 1: the caller is not the owner. */
static int acquire_again(fx_rlock *lock)
{
    if (!fx_rlock_owned(lock))
        return 1;
    if (lock->again == UINT32_MAX)
        return -EAGAIN;
    lock->again++;
    return 0;
}

int fx_rlock_acquire_until(fx_rlock *lock, fx_deadline deadline)
{
    int rc = acquire_again(lock);
    return rc <= 0 ? rc : fx_lock_acquire_until(&lock->lock, deadline);
}

int fx_rlock_acquire_for(fx_rlock *lock, fx_nsec timeout)
{
    int rc = acquire_again(lock);
    return rc <= 0 ? rc : fx_lock_acquire_for(&lock->lock, timeout);
}

uint32_t fxi_rlock_release_all(fx_rlock *lock)
{
    uint32_t again = lock->again;
    lock->again = 0;
    fx_lock_release(&lock->lock);
    return again;
}

int fxi_rlock_reacquire(fx_rlock *lock, uintptr_t given, fx_deadline since, uint32_t again)
{
    int rc = fxi_lock_reacquire(&lock->lock, given, since);
    if (rc == 0)
        lock->again = again;
    return rc;
}

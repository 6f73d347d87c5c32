/* What conditions and recursive locks ask of fx_lock besides its public calls. */
#ifndef FXI_SYNC_LOCK_H
#define FXI_SYNC_LOCK_H

#include <fxthread/duration.h>
#include <fxthread/lock.h>

/* What a release gives the waiter that it wakes, in the token of fxi_park_wait. A waiter that was
 * parked elsewhere and woken there has 0. */
enum fxi_lock_given {
    FXI_LOCK_WOKEN = 1, /* the lock may be free: try again */
    FXI_LOCK_HANDED     /* the lock is this waiter's */
};

/* The number of the context that holds it; 0: none. */
uint32_t fxi_lock_owner(const fx_lock *lock);

/* Whether the calling context acquired it. */
bool fxi_lock_is_own(const fx_lock *lock);

/* fx_lock_acquire for the library's own use: no stop point. */
int fxi_lock_acquire(fx_lock *lock);

/* Acquires after a wait at another address that may have ended in this lock's queue: `given` is
 * that wait's token, `since` when the caller began to wait for the lock, 0: now. Waits for ever, and is
 * no stop point. 0 or -ENOMEM. */
int fxi_lock_reacquire(fx_lock *lock, uintptr_t given, fx_deadline since);

/* A fxi_park_ready whose argument is the fx_lock: yes where the caller holds it, and then its
 * release will look for waiters. */
bool fxi_lock_expect_waiters(void *lock);

/* Constant but in test builds, where a test that wants many waits and many barriers sets both
 * low. */
struct fxi_lock_tuning {
    unsigned looks;         /* at a held lock before the wait */
    unsigned calm_releases; /* so many in a row, and releases are plain stores again */
};
#ifdef FXI_INJECT
extern struct fxi_lock_tuning fxi_lock_tuning;
#endif

#endif

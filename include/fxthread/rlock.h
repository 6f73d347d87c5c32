/* A recursive lock: its owner may acquire it again, and gives it up with as many releases.
 *
 * Eight bytes; all-zero bytes are a free one, and so is FX_RLOCK_INIT. As Python's threading.RLock
 * it belongs to the thread that acquired it, and no other can release it. It is as fair as fx_lock,
 * which it stands on.
 *
 *     static fx_rlock lock = FX_RLOCK_INIT;
 *     static int entries, words;
 *
 *     static void add_word(void) {
 *         fx_rlock_acquire(&lock);
 *         words++;
 *         fx_rlock_release(&lock);
 *     }
 *
 *     static void add_entry(int length) {
 *         fx_rlock_acquire(&lock);
 *         entries++;
 *         for (int i = 0; i < length; i++)
 *             add_word();
 *         fx_rlock_release(&lock);
 *     }
 *
 * Illegal: to copy or move one that is in use; to place one in memory that processes share; to end a
 * thread that holds one, which nobody else can release (and whose number another thread may get).
 * None of the calls is signal-safe. In a forked child it is as it was in the forking thread's eyes: one
 * that another thread held is never released.
 */
#ifndef FXTHREAD_RLOCK_H
#define FXTHREAD_RLOCK_H

#include <errno.h>

#include <fxthread/lock.h>

FX_BEGIN_DECLS

/* Opaque: the lock, and how often its owner acquired it beyond the first time. */
typedef struct fx_rlock {
    fx_lock lock;
    uint32_t again;
} fx_rlock;

#define FX_RLOCK_INIT { FX_LOCK_INIT, 0 }

/* Acquires it, waiting for as long as it takes, or acquires it once more. 0; -EAGAIN: acquired 2^32
 * times already; -ENOMEM: a foreign thread's first call found no memory. Blocks; a stop point, but
 * where the caller owns it. */
FX_API int fx_rlock_acquire(fx_rlock *lock);

/* Acquires it if that needs no wait: whether it did. Does not block. */
FX_API bool fx_rlock_try_acquire(fx_rlock *lock);

/* The same as fx_rlock_acquire, and -ETIMEDOUT: the duration passed, or the deadline is past. A
 * timeout of 0, and a negative one but FX_FOREVER, tries without waiting. */
FX_API int fx_rlock_acquire_for(fx_rlock *lock, fx_nsec timeout);
FX_API int fx_rlock_acquire_until(fx_rlock *lock, fx_deadline deadline);

/* Takes one acquisition back; the last one releases it and wakes a waiter where there is one. 0;
 * -EPERM: the caller does not own it. Does not block, is no stop point. */
FX_API int fx_rlock_release(fx_rlock *lock);

/* Whether anyone holds it at this moment. Does not block; signal-safe. */
FX_API bool fx_rlock_locked(const fx_rlock *lock);

/* Whether the caller holds it. Does not block; signal-safe. */
FX_API bool fx_rlock_owned(const fx_rlock *lock);

/* --- how it works: not for programs to use ---------------------------------------------------- */

#ifndef FX_RLOCK_INLINE
#define FX_RLOCK_INLINE extern __inline__ __attribute__((gnu_inline))
#endif

/* Only the owner changes `again`, and the owner's number comes and goes with the lock, so that both
 * are read without more ado; relaxed: what the lock orders is ordered by its own acquire and
 * release. */
FX_RLOCK_INLINE bool fx_rlock_owned(const fx_rlock *lock)
{
    uint32_t number = fx_lock_self.number;
    return number != 0 &&
           (__atomic_load_n(&lock->lock.word, __ATOMIC_RELAXED) & FX_LOCK_NUMBER) == number;
}

/* The owner's: acquires it once more, unless it was acquired too often. */
FX_LOCK_PART bool fx_rlock_is_taken_again_(fx_rlock *lock)
{
    return fx_rlock_owned(lock) && lock->again != UINT32_MAX && (lock->again++, true);
}

FX_RLOCK_INLINE int fx_rlock_acquire(fx_rlock *lock)
{
    if (fx_rlock_is_taken_again_(lock) || fx_lock_is_taken_(&lock->lock))
        return 0;
    return fx_rlock_acquire_until(lock, FX_FOREVER);
}

FX_RLOCK_INLINE bool fx_rlock_try_acquire(fx_rlock *lock)
{
    return fx_rlock_is_taken_again_(lock) || fx_lock_is_taken_(&lock->lock) ||
           fx_rlock_acquire_for(lock, 0) == 0;
}

FX_RLOCK_INLINE int fx_rlock_release(fx_rlock *lock)
{
    if (!fx_rlock_owned(lock))
        return -EPERM;
    if (lock->again == 0)
        return fx_lock_release(&lock->lock);
    lock->again--;
    return 0;
}

FX_RLOCK_INLINE bool fx_rlock_locked(const fx_rlock *lock)
{
    return fx_lock_locked(&lock->lock);
}

FX_END_DECLS

#endif

/* Read-write locks: many readers at once, or one writer.
 *
 * An fx_rwlock is 8 bytes, placed by the caller; all-zero bytes, and FX_RWLOCK_INIT, are a free
 * one. Neither side starves: those that wait to read are let in all together; once somebody has
 * waited for a millisecond, those that come to read wait too, and who has waited that long is
 * handed the lock, whoever else wants it. Illegal: a pointer that is NULL; copying one that is in
 * use; giving up its memory while it is held or a call on it is under way; to acquire it, for
 * reading too, while the same thread holds it (a writer that waits in between makes that wait for
 * ever); to release a side that was not acquired, which is told where it can be seen. Any thread
 * may release what another one has acquired.
 *
 *     struct table {
 *         fx_rwlock lock;
 *         int value[100];
 *     };
 *
 *     int look_up(struct table *table, int key) {
 *         fx_rwlock_acquire_read(&table->lock);
 *         int value = table->value[key];
 *         fx_rwlock_release_read(&table->lock);
 *         return value;
 *     }
 *
 *     int change(struct table *table, int key, int value) {
 *         int rc = fx_rwlock_acquire_write_for(&table->lock, FX_MSEC(100));
 *         if (rc != 0)
 *             return rc;                                  // -ETIMEDOUT: busy for all that time
 *         table->value[key] = value;
 *         return fx_rwlock_release_write(&table->lock);
 *     }
 *
 * What a writer wrote is seen by those that acquire either side after it.
 */
#ifndef FXTHREAD_RWLOCK_H
#define FXTHREAD_RWLOCK_H

#include <fxthread/duration.h>

FX_BEGIN_DECLS

typedef struct fx_rwlock {
    uint32_t word;  /* the library's, both of them */
    uint32_t since;
} fx_rwlock;

#define FX_RWLOCK_INIT { 0, 0 }

/* Acquires it for reading. 0; -ETIMEDOUT; -EAGAIN: there are 2^30 - 1 readers; -ENOMEM: a foreign
 * thread's first call found no memory. Block; stop points where they wait; not signal-safe. */
FX_API int fx_rwlock_acquire_read(fx_rwlock *rwlock);
FX_API int fx_rwlock_acquire_read_for(fx_rwlock *rwlock, fx_nsec timeout);
FX_API int fx_rwlock_acquire_read_until(fx_rwlock *rwlock, fx_deadline deadline);

/* Acquires it for reading if no writer has it and nobody waits: whether it did. Does not block; no
 * stop point; not signal-safe. */
FX_API bool fx_rwlock_try_acquire_read(fx_rwlock *rwlock);

/* Gives up one reader's hold. 0; -EPERM: it is not held for reading. Does not block; no stop point;
 * not signal-safe. */
FX_API int fx_rwlock_release_read(fx_rwlock *rwlock);

/* Acquires it for writing. 0; -ETIMEDOUT; -ENOMEM as above. Block; stop points where they wait;
 * not signal-safe. */
FX_API int fx_rwlock_acquire_write(fx_rwlock *rwlock);
FX_API int fx_rwlock_acquire_write_for(fx_rwlock *rwlock, fx_nsec timeout);
FX_API int fx_rwlock_acquire_write_until(fx_rwlock *rwlock, fx_deadline deadline);

/* Acquires it for writing if nobody has it: whether it did. Does not block; no stop point; not
 * signal-safe. */
FX_API bool fx_rwlock_try_acquire_write(fx_rwlock *rwlock);

/* Gives up the writer's hold. 0; -EPERM: it is not held for writing. Does not block; no stop point;
 * not signal-safe. */
FX_API int fx_rwlock_release_write(fx_rwlock *rwlock);

/* fx_rwlock_release_read where somebody waits, or nobody reads: what that calls, and of no other
 * use. */
FX_API int fx_rwlock_release_read_slowly(fx_rwlock *rwlock);

/* The word: bit 0, a writer has it; bit 1, somebody waits; from bit 2 on, the number of readers. */

FX_INLINE bool fx_rwlock_try_acquire_read(fx_rwlock *rwlock)
{
    uint32_t word = __atomic_load_n(&rwlock->word, __ATOMIC_RELAXED);
    while ((word & 3) == 0 && word < UINT32_C(0xfffffffc))
        /* acquire: pairs with the release of the last writer */
        if (__builtin_expect(__atomic_compare_exchange_n(&rwlock->word, &word, word + 4, true,
                                                         __ATOMIC_ACQUIRE, __ATOMIC_RELAXED), 1))
            return true;
    return false;
}

FX_INLINE int fx_rwlock_acquire_read(fx_rwlock *rwlock)
{
    return __builtin_expect(fx_rwlock_try_acquire_read(rwlock), 1)
               ? 0
               : fx_rwlock_acquire_read_until(rwlock, FX_FOREVER);
}

FX_INLINE int fx_rwlock_release_read(fx_rwlock *rwlock)
{
    uint32_t word = __atomic_load_n(&rwlock->word, __ATOMIC_RELAXED);
    while ((word & 3) == 0 && word != 0)
        /* release: pairs with the acquire of the next writer */
        if (__builtin_expect(__atomic_compare_exchange_n(&rwlock->word, &word, word - 4, true,
                                                         __ATOMIC_RELEASE, __ATOMIC_RELAXED), 1))
            return 0;
    return fx_rwlock_release_read_slowly(rwlock);
}

FX_END_DECLS

#endif

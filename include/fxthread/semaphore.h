/* Semaphores: a count of what is to be had, as Python's threading.Semaphore and BoundedSemaphore.
 *
 * A semaphore is 8 bytes, placed by the caller; all-zero bytes are one of value 0 without a bound,
 * and FX_SEMAPHORE_INIT(value) and FX_BOUNDED_SEMAPHORE_INIT(value) initialise one where it is
 * defined. A bounded one refuses to rise above the value that it began with. Whoever waits is
 * served in order: a release hands its units to those who wait, and nobody overtakes them. Any
 * thread may release. Illegal: a pointer that is NULL; copying one that is in use; initialising it
 * again, or giving up its memory, while a call on it is under way.
 *
 *     void *fetch(void *seats) {
 *         fx_semaphore_acquire(seats);
 *         ...
 *         fx_semaphore_release(seats, 1);
 *         return NULL;
 *     }
 *
 *     int main(void) {
 *         fx_semaphore seats = FX_BOUNDED_SEMAPHORE_INIT(3);  // at most three at a time
 *         fx_thread *t[10];
 *         for (int i = 0; i < 10; i++)
 *             t[i] = fx_thread_spawn(fetch, &seats);
 *         for (int i = 0; i < 10; i++) {
 *             fx_thread_join(t[i], NULL);
 *             fx_thread_unref(t[i]);
 *         }
 *     }
 *
 * What a thread wrote before a release is seen by the thread that acquires the unit.
 */
#ifndef FXTHREAD_SEMAPHORE_H
#define FXTHREAD_SEMAPHORE_H

#include <fxthread/duration.h>

FX_BEGIN_DECLS

#define FX_SEMAPHORE_MAX UINT32_C(0x7fffffff) /* the largest value */

typedef struct fx_semaphore {
    uint32_t word;  /* the library's */
    uint32_t below; /* how far its bound lies below FX_SEMAPHORE_MAX; fixed */
} fx_semaphore;

#define FX_SEMAPHORE_INIT(value) { (uint32_t)(value) << 1, 0 }
#define FX_BOUNDED_SEMAPHORE_INIT(value) \
    { (uint32_t)(value) << 1, FX_SEMAPHORE_MAX - (uint32_t)(value) }

/* Initialises it with a value of at most FX_SEMAPHORE_MAX; the second with that value as its bound,
 * too. 0 or -EINVAL. Do not block; no stop points; signal-safe. */
FX_API int fx_semaphore_init(fx_semaphore *semaphore, uint32_t value);
FX_API int fx_bounded_semaphore_init(fx_semaphore *semaphore, uint32_t value);

/* Takes a unit, and waits for one if there is none. 0; -ETIMEDOUT; -ENOMEM: a foreign thread's
 * first call found no memory. Block; stop points where they wait; not signal-safe. */
FX_API int fx_semaphore_acquire(fx_semaphore *semaphore);
FX_API int fx_semaphore_acquire_for(fx_semaphore *semaphore, fx_nsec timeout);
FX_API int fx_semaphore_acquire_until(fx_semaphore *semaphore, fx_deadline deadline);

/* Takes a unit if there is one: whether there was. Does not block; no stop point; signal-safe. */
FX_API bool fx_semaphore_try_acquire(fx_semaphore *semaphore);

/* Gives n units, first to those who wait. 0; -EINVAL: n is 0; -EOVERFLOW: the value would rise
 * above the bound, and nothing is changed. Does not block; no stop point; not signal-safe. */
FX_API int fx_semaphore_release(fx_semaphore *semaphore, uint32_t n);

/* The units there are at this moment. Does not block; no stop point; signal-safe. */
FX_API uint32_t fx_semaphore_value(const fx_semaphore *semaphore);

/* fx_semaphore_release where somebody waits, or with a bad argument: what that calls, and of no
 * other use. */
FX_API int fx_semaphore_release_slowly(fx_semaphore *semaphore, uint32_t n);

FX_INLINE bool fx_semaphore_try_acquire(fx_semaphore *semaphore)
{
    uint32_t word = __atomic_load_n(&semaphore->word, __ATOMIC_RELAXED);
    while (word >> 1 != 0)
        /* acquire: pairs with the release that gave the unit */
        if (__builtin_expect(__atomic_compare_exchange_n(&semaphore->word, &word, word - 2, true,
                                                         __ATOMIC_ACQUIRE, __ATOMIC_RELAXED), 1))
            return true;
    return false;
}

FX_INLINE int fx_semaphore_acquire(fx_semaphore *semaphore)
{
    return __builtin_expect(fx_semaphore_try_acquire(semaphore), 1)
               ? 0
               : fx_semaphore_acquire_until(semaphore, FX_FOREVER);
}

FX_INLINE int fx_semaphore_release(fx_semaphore *semaphore, uint32_t n)
{
    uint32_t word = __atomic_load_n(&semaphore->word, __ATOMIC_RELAXED);
    /* While nobody waits, and 0 < n <= bound - value. */
    while ((word & 1) == 0 && n - 1 < FX_SEMAPHORE_MAX - semaphore->below - (word >> 1))
        /* release: pairs with the acquire of whoever takes a unit */
        if (__builtin_expect(__atomic_compare_exchange_n(&semaphore->word, &word, word + 2 * n,
                                                         true, __ATOMIC_RELEASE,
                                                         __ATOMIC_RELAXED), 1))
            return 0;
    return fx_semaphore_release_slowly(semaphore, n);
}

FX_INLINE uint32_t fx_semaphore_value(const fx_semaphore *semaphore)
{
    return __atomic_load_n(&semaphore->word, __ATOMIC_RELAXED) >> 1;
}

FX_END_DECLS

#endif

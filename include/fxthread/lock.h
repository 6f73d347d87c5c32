/* A lock: mutual exclusion in four bytes.
 *
 * All-zero bytes are a free lock, and so is FX_LOCK_INIT: nothing has to be made or destroyed. A
 * lock may be used by any thread, of whatever library, and released by another than acquired it, as
 * in Python. Its memory may be given up by whoever has acquired it last, even while the release
 * before that has not returned yet: a release does not touch a lock that others can already have.
 *
 *     static fx_lock lock = FX_LOCK_INIT;
 *     static int balance;
 *
 *     static int withdraw(int sum) {
 *         int rc = fx_lock_acquire_for(&lock, FX_SEC(1));
 *         if (rc != 0)
 *             return rc;
 *         balance -= sum;
 *         return fx_lock_release(&lock);
 *     }
 *
 * Who comes first is not promised to be served first: a running thread may take a free lock before
 * one that was woken for it. But one that has waited for a millisecond is handed the lock in its
 * turn, so that none starves.
 *
 * Illegal: to copy or move a lock that is in use; to place one in memory that processes share; to
 * release a lock that another thread is relying on. Acquiring a lock that the caller itself holds
 * waits for another thread's release, for ever if there is none: fx_rlock is for that. None of the
 * calls is signal-safe. In a forked child a lock is as it was in the forking thread's eyes: one
 * that another thread held stays held, and may be released.
 */
#ifndef FXTHREAD_LOCK_H
#define FXTHREAD_LOCK_H

#include <fxthread/duration.h>

FX_BEGIN_DECLS

/* Opaque: the number of the context that holds it, and bits. */
typedef struct fx_lock {
    uint32_t word;
} fx_lock;

#define FX_LOCK_INIT { 0 }

/* Acquires the lock, waiting for as long as it takes. 0; -ENOMEM: a foreign thread's first call
 * found no memory. Blocks; a stop point. */
FX_API int fx_lock_acquire(fx_lock *lock);

/* Acquires the lock if that needs no wait: whether it did. Does not block. */
FX_API bool fx_lock_try_acquire(fx_lock *lock);

/* The same as fx_lock_acquire, and -ETIMEDOUT: the duration passed, or the deadline is past. A
 * timeout of 0, and a negative one but FX_FOREVER, tries without waiting. */
FX_API int fx_lock_acquire_for(fx_lock *lock, fx_nsec timeout);
FX_API int fx_lock_acquire_until(fx_lock *lock, fx_deadline deadline);

/* Releases the lock, whichever thread acquired it, and wakes a waiter where there is one. 0;
 * -EPERM: it is free. Does not block, is no stop point. */
FX_API int fx_lock_release(fx_lock *lock);

/* Whether anyone holds the lock at this moment. Does not block; signal-safe. */
FX_API bool fx_lock_locked(const fx_lock *lock);

/* --- how it works: not for programs to use ---------------------------------------------------- */

/* What the functions below know of the calling thread. `number` is 0 until it needed one;
 * `released_by` is never the word of a lock where rseq(2) does not protect the release; `sequence`
 * is the pointer to a critical section in the thread's rseq area. */
struct fx_lock_caller {
    uint32_t number;
    uint32_t released_by;
    uint64_t *sequence;
};
FX_API extern __thread struct fx_lock_caller fx_lock_self
    __attribute__((tls_model("initial-exec")));

/* What the functions below call where a lock is not simply free, or simply held by the caller. */
FX_API int fx_lock_acquire_slow(fx_lock *lock);
FX_API bool fx_lock_try_acquire_slow(fx_lock *lock);
FX_API int fx_lock_release_slow(fx_lock *lock);

/* Whether the release below may be a restartable sequence: not where a sanitizer could not see
 * it. */
#if defined __x86_64__ && !defined __SANITIZE_THREAD__
#define FX_LOCK_RSEQ 1
#endif
#if defined __has_feature
#if __has_feature(thread_sanitizer)
#undef FX_LOCK_RSEQ
#endif
#endif

/* The number of the context that holds a lock, in its word; the rest are the bits. */
#define FX_LOCK_NUMBER 0x1fffffffu

/* Compiled into the program, and into the library under the same names for those that ask for the
 * address, or are written in other languages. */
#ifndef FX_LOCK_INLINE
#define FX_LOCK_INLINE extern __inline__ __attribute__((gnu_inline))
#endif
#define FX_LOCK_PART extern __inline__ __attribute__((gnu_inline, always_inline))

/* A free lock: one compare-and-swap, which leaves the bits as they are. */
FX_LOCK_PART bool fx_lock_is_taken_(fx_lock *lock)
{
    uint32_t number = fx_lock_self.number;
    /* A look first: a compare-and-swap costs as much where it fails. Acquire: pairs with the
     * release in fx_lock_is_given_up_ and in lib/sync/lock.c. */
    uint32_t word = __atomic_load_n(&lock->word, __ATOMIC_RELAXED);
    return __builtin_expect(number != 0 && (word & FX_LOCK_NUMBER) == 0 &&
                                __atomic_compare_exchange_n(&lock->word, &word, word | number,
                                                            false, __ATOMIC_ACQUIRE,
                                                            __ATOMIC_RELAXED),
                            1);
}

/* A lock that the caller holds and nobody waits for: `if (word == number) word = 0;`, as a
 * restartable sequence: a thread that is preempted, signalled or hit by a waiter's membarrier(2)
 * between the two instructions finds itself at the label `aborted`. On this processor a plain store
 * is a release; it pairs with the acquire in fx_lock_is_taken_. The prefetch asks for the cache line
 * as one to be written: where others have looked at the lock meanwhile, the comparison would ask for
 * one to be read, and the store, or the compare-and-swap of the slow path, once more. */
FX_LOCK_PART bool fx_lock_is_given_up_(fx_lock *lock)
{
#if defined FX_LOCK_RSEQ
    uint32_t number = fx_lock_self.released_by;
    uint64_t *sequence = fx_lock_self.sequence;
    __asm__ goto("# struct rseq_cs: version, flags, start, length, abort\n\t"
                 ".pushsection __rseq_cs, \"aw?\"\n\t"
                 ".balign 32\n"
                 "3:\t.long 0, 0\n\t"
                 ".quad 1f, 2f - 1f, 4f\n\t"
                 ".popsection\n\t"
                 "prefetchw %[word]\n\t"
                 "leaq 3b(%%rip), %%rax\n\t"
                 "movq %%rax, %[sequence]\n"
                 "1:\tcmpl %[number], %[word]\n\t"
                 "jne %l[aborted]\n\t"
                 "movl $0, %[word]\n"
                 "2:\tmovq $0, %[sequence]\n\t"
                 ".pushsection __rseq_failure, \"ax?\"\n\t"
                 ".byte 0x0f, 0xb9, 0x3d\n\t" /* ud1: the signature as an operand */
                 ".long 0x53053053\n"
                 "4:\tjmp %l[aborted]\n\t"
                 ".popsection"
                 : /* an asm goto has no outputs: what it writes is said by "memory" */
                 : [word] "m"(lock->word), [number] "r"(number), [sequence] "m"(*sequence)
                 : "rax", "cc", "memory"
                 : aborted);
    return true;
aborted:
    return false;
#else
    uint32_t expected = fx_lock_self.number;
    /* release: pairs with the acquire in fx_lock_is_taken_ */
    return expected != 0 && __atomic_compare_exchange_n(&lock->word, &expected, 0, false,
                                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED);
#endif
}

FX_LOCK_INLINE int fx_lock_acquire(fx_lock *lock)
{
    return fx_lock_is_taken_(lock) ? 0 : fx_lock_acquire_slow(lock);
}

FX_LOCK_INLINE bool fx_lock_try_acquire(fx_lock *lock)
{
    return fx_lock_is_taken_(lock) || fx_lock_try_acquire_slow(lock);
}

FX_LOCK_INLINE int fx_lock_release(fx_lock *lock)
{
    return fx_lock_is_given_up_(lock) ? 0 : fx_lock_release_slow(lock);
}

FX_LOCK_INLINE bool fx_lock_locked(const fx_lock *lock)
{
    return (__atomic_load_n(&lock->word, __ATOMIC_RELAXED) & FX_LOCK_NUMBER) != 0;
}

FX_END_DECLS

#endif

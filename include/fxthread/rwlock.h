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
 * A lock that is read thousands of times between two writes is biased to its readers: they then leave
 * its word alone, so that reading costs neither a locked instruction nor a cache line that goes from
 * processor to processor, and the next writer has to ask all threads once, which takes microseconds.
 *
 * What a writer wrote is seen by those that acquire either side after it.
 */
#ifndef FXTHREAD_RWLOCK_H
#define FXTHREAD_RWLOCK_H

#include <fxthread/duration.h>
#include <fxthread/lock.h>

FX_BEGIN_DECLS

typedef struct fx_rwlock {
    uint32_t word;  /* the library's, both of them */
    uint32_t since;
} fx_rwlock;

#define FX_RWLOCK_INIT { 0, 0 }

/* Acquires it for reading. 0; -ETIMEDOUT; -EAGAIN: there are 2^29 - 1 readers; -ENOMEM: a foreign
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

/* --- how it works: not for programs to use ---------------------------------------------------- */

/* The word: bit 0, a writer has it; bit 1, somebody waits; bit 2, it is biased: reading is noted in
 * the slots of the reading thread; from bit 3 on, the number of readers that are not. */
#define FX_RWLOCK_BIASED UINT32_C(4)
#define FX_RWLOCK_READER UINT32_C(8)
#define FX_RWLOCK_BITS UINT32_C(7)

#define FX_RWLOCK_SLOTS 8 /* of a thread */

/* Whether the functions below can write to them: where fx_lock's release is a restartable sequence. */
#if defined FX_LOCK_RSEQ
#define FX_RWLOCK_CAN_BIAS 1
#else
#define FX_RWLOCK_CAN_BIAS 0
#endif

/* What the functions below know of the calling thread. `biased` is the word of a biased lock without
 * other readers or, where the thread has no slots or no rseq(2), the word of no lock. */
struct fx_rwlock_caller {
    uint32_t biased;
    uint32_t until_sample; /* reads of locks that are not biased, the one that is sampled included */
    const struct fx_rwlock **slots;
};
FX_API extern __thread struct fx_rwlock_caller fx_rwlock_self
    __attribute__((tls_model("initial-exec")));

/* What the functions below call where a lock is not as they would like it. */
FX_API bool fx_rwlock_try_acquire_read_slowly(fx_rwlock *rwlock);
FX_API int fx_rwlock_release_read_slowly(fx_rwlock *rwlock);
FX_API bool fx_rwlock_try_acquire_write_slowly(fx_rwlock *rwlock);
FX_API int fx_rwlock_release_write_slowly(fx_rwlock *rwlock);

/* Compiled into the program, and into the library under the same names for those that ask for the
 * address, or are written in other languages. */
#ifndef FX_RWLOCK_INLINE
#define FX_RWLOCK_INLINE FX_INLINE
#endif
#define FX_RWLOCK_PART extern __inline__ __attribute__((gnu_inline, always_inline))

/* The lock's place in every thread's slots. */
FX_RWLOCK_PART const fx_rwlock **fx_rwlock_slot_(const struct fx_rwlock **slots,
                                                 const fx_rwlock *rwlock)
{
    uintptr_t address = (uintptr_t)rwlock;
    return &slots[(address >> 3 ^ address >> 6) % FX_RWLOCK_SLOTS];
}

/* `if (word == biased && slot == was) slot = becomes;`, as a restartable sequence: see
 * fx_lock_is_given_up_ in <fxthread/lock.h>. On this processor the look at the word is an acquire,
 * which pairs with the release of whoever biased the lock, and the store a release, for the writer
 * whose membarrier(2) comes before its look at the slot. */
FX_RWLOCK_PART bool fx_rwlock_slot_is_changed_(fx_rwlock *rwlock, const fx_rwlock *was,
                                               const fx_rwlock *becomes)
{
#if defined FX_LOCK_RSEQ
    const fx_rwlock **slot = fx_rwlock_slot_(fx_rwlock_self.slots, rwlock);
    __asm__ goto("# struct rseq_cs: version, flags, start, length, abort\n\t"
                 ".pushsection __rseq_cs, \"aw?\"\n\t"
                 ".balign 32\n"
                 "3:\t.long 0, 0\n\t"
                 ".quad 1f, 2f - 1f, 4f\n\t"
                 ".popsection\n\t"
                 "leaq 3b(%%rip), %%rax\n\t"
                 "movq %%rax, %[sequence]\n"
                 "1:\tcmpl %[biased], %[word]\n\t"
                 "jne %l[aborted]\n\t"
                 "cmpq %[was], %[slot]\n\t"
                 "jne %l[aborted]\n\t"
                 "movq %[becomes], %[slot]\n"
                 "2:\tmovq $0, %[sequence]\n\t"
                 ".pushsection __rseq_failure, \"ax?\"\n\t"
                 ".byte 0x0f, 0xb9, 0x3d\n\t" /* ud1: the signature as an operand */
                 ".long 0x53053053\n"
                 "4:\tjmp %l[aborted]\n\t"
                 ".popsection"
                 : /* an asm goto has no outputs: what it writes is said by "memory" */
                 : [word] "m"(rwlock->word), [biased] "r"(fx_rwlock_self.biased), [slot] "m"(*slot),
                   [was] "re"(was), [becomes] "re"(becomes), [sequence] "m"(*fx_lock_self.sequence)
                 : "rax", "cc", "memory"
                 : aborted);
    return true;
aborted:
    return false;
#else
    (void)rwlock, (void)was, (void)becomes;
    return false;
#endif
}

FX_RWLOCK_INLINE bool fx_rwlock_try_acquire_read(fx_rwlock *rwlock)
{
    uint32_t word = __atomic_load_n(&rwlock->word, __ATOMIC_RELAXED);
    if (word == fx_rwlock_self.biased) {
        if (__builtin_expect(fx_rwlock_slot_is_changed_(rwlock, 0, rwlock), 1))
            return true;
    } else if ((word & FX_RWLOCK_BITS) == 0 && word < ~FX_RWLOCK_BITS &&
               --fx_rwlock_self.until_sample != 0) {
        /* acquire: pairs with the release of the last writer */
        if (__builtin_expect(__atomic_compare_exchange_n(&rwlock->word, &word,
                                                         word + FX_RWLOCK_READER, false,
                                                         __ATOMIC_ACQUIRE, __ATOMIC_RELAXED), 1))
            return true;
    }
    return fx_rwlock_try_acquire_read_slowly(rwlock);
}

FX_RWLOCK_INLINE int fx_rwlock_acquire_read(fx_rwlock *rwlock)
{
    return __builtin_expect(fx_rwlock_try_acquire_read(rwlock), 1)
               ? 0
               : fx_rwlock_acquire_read_until(rwlock, FX_FOREVER);
}

FX_RWLOCK_INLINE int fx_rwlock_release_read(fx_rwlock *rwlock)
{
    uint32_t word = __atomic_load_n(&rwlock->word, __ATOMIC_RELAXED);
    if (word == fx_rwlock_self.biased) {
        if (__builtin_expect(fx_rwlock_slot_is_changed_(rwlock, rwlock, 0), 1))
            return 0;
    } else if ((word & FX_RWLOCK_BITS) == 0 && word != 0) {
        /* release: pairs with the acquire of the next writer */
        if (__builtin_expect(__atomic_compare_exchange_n(&rwlock->word, &word,
                                                         word - FX_RWLOCK_READER, false,
                                                         __ATOMIC_RELEASE, __ATOMIC_RELAXED), 1))
            return 0;
    }
    return fx_rwlock_release_read_slowly(rwlock);
}

FX_RWLOCK_INLINE bool fx_rwlock_try_acquire_write(fx_rwlock *rwlock)
{
    uint32_t word = 0;
    /* acquire: pairs with the release of the last holder, whichever side it was on */
    if (__builtin_expect(__atomic_compare_exchange_n(&rwlock->word, &word, 1, false,
                                                     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED), 1)) {
        /* How often it was read since the last write: see lib/sync/rwlock.c. */
        __atomic_store_n(&rwlock->since, 0, __ATOMIC_RELAXED);
        return true;
    }
    return fx_rwlock_try_acquire_write_slowly(rwlock);
}

FX_RWLOCK_INLINE int fx_rwlock_acquire_write(fx_rwlock *rwlock)
{
    return __builtin_expect(fx_rwlock_try_acquire_write(rwlock), 1)
               ? 0
               : fx_rwlock_acquire_write_until(rwlock, FX_FOREVER);
}

FX_RWLOCK_INLINE int fx_rwlock_release_write(fx_rwlock *rwlock)
{
    uint32_t word = 1;
    /* release: pairs with the acquire of the next holder */
    return __builtin_expect(__atomic_compare_exchange_n(&rwlock->word, &word, 0, false,
                                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED), 1)
               ? 0
               : fx_rwlock_release_write_slowly(rwlock);
}

FX_END_DECLS

#endif

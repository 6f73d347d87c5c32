/* FX_WITH and FX_GUARD: a lock, or anything else that is acquired and released, held for a block.
 *
 * FX_WITH(ptr) acquires, runs the block that follows, and releases, however the block is left: at its
 * end, by an exception, by return, break, continue or goto. If acquiring fails it raises what that
 * returned, and the block does not run. FX_GUARD(ptr) is the same for the rest of the block it stands
 * in. `ptr` is evaluated once. It is a pointer to an fx_lock, an fx_rlock, or an fx_semaphore (of which
 * it takes one unit), or a side of an fx_rwlock: fx_reading(rwlock), fx_writing(rwlock). Or it is an
 * fx_executor *, which is shut down at the end, fx_executor_shutdown(executor, true, false): what the
 * block has submitted is done then, and the handle is still the caller's.
 *
 * FX_WITH is a loop to the compiler: `break` and `continue` in it leave it, and not a loop around it;
 * and a function whose last statement is an FX_WITH that returns may be warned of, as the compiler does
 * not see that the loop is always entered.
 *
 *     struct account {
 *         fx_lock lock;
 *         long balance;
 *     };
 *
 *     static void withdraw(struct account *account, long sum) {
 *         FX_WITH(&account->lock) {
 *             if (account->balance < sum)
 *                 fx_raise_msg(-ENOBUFS, "only %ld there", account->balance);
 *             account->balance -= sum;
 *         }
 *     }
 *
 *     static long inspect(struct account *account) {
 *         FX_GUARD(&account->lock);
 *         return account->balance;
 *     }
 *
 * A lock that the block itself has released is not released again. What is said of scopes in
 * <fxthread/scope.h> holds for these too; their blocks are none of FX_TRY's, so `volatile` is not
 * needed for them.
 */
#ifndef FXTHREAD_WITH_H
#define FXTHREAD_WITH_H

#include <errno.h>

#include <fxthread/executor.h>
#include <fxthread/lock.h>
#include <fxthread/rlock.h>
#include <fxthread/rwlock.h>
#include <fxthread/scope.h>
#include <fxthread/semaphore.h>

FX_BEGIN_DECLS

/* The two sides of a read-write lock, for FX_WITH and FX_GUARD. */
typedef struct fx_reading_side fx_reading_side;
typedef struct fx_writing_side fx_writing_side;

static inline fx_reading_side *fx_reading(fx_rwlock *rwlock)
{
    return (fx_reading_side *)(void *)rwlock;
}

static inline fx_writing_side *fx_writing(fx_rwlock *rwlock)
{
    return (fx_writing_side *)(void *)rwlock;
}

/* --- how each kind is acquired and released; not to be used by themselves --- */

static inline int fx_with_acquire_lock(void *lock)
{
    return fx_lock_acquire((fx_lock *)lock);
}

/* Any thread could release it, but only the caller's own hold is this scope's to give up. Relaxed: if
 * the word has the caller's number, the caller wrote it. */
static inline void fx_with_release_lock(void *lock)
{
    uint32_t word = __atomic_load_n(&((fx_lock *)lock)->word, __ATOMIC_RELAXED);
    if ((word & FX_LOCK_NUMBER) == fx_lock_self.number)
        fx_lock_release((fx_lock *)lock);
}

static inline fx_guard fx_with_lock(fx_lock *lock)
{
    static const fx_resource resource = { fx_with_acquire_lock, fx_with_release_lock, true };
    return fx_guard_make(&resource, fx_with_release_lock, lock);
}

static inline int fx_with_acquire_rlock(void *lock)
{
    return fx_rlock_acquire((fx_rlock *)lock);
}

static inline void fx_with_release_rlock(void *lock)
{
    fx_rlock_release((fx_rlock *)lock);
}

/* Its owner is known, but not how many of its acquisitions are this scope's. */
static inline fx_guard fx_with_rlock(fx_rlock *lock)
{
    static const fx_resource resource = { fx_with_acquire_rlock, fx_with_release_rlock, false };
    return fx_guard_make(&resource, fx_with_release_rlock, lock);
}

static inline int fx_with_acquire_semaphore(void *semaphore)
{
    return fx_semaphore_acquire((fx_semaphore *)semaphore);
}

static inline void fx_with_release_semaphore(void *semaphore)
{
    fx_semaphore_release((fx_semaphore *)semaphore, 1);
}

static inline fx_guard fx_with_semaphore(fx_semaphore *semaphore)
{
    static const fx_resource resource = { fx_with_acquire_semaphore, fx_with_release_semaphore,
                                          false };
    return fx_guard_make(&resource, fx_with_release_semaphore, semaphore);
}

static inline int fx_with_acquire_read(void *rwlock)
{
    return fx_rwlock_acquire_read((fx_rwlock *)rwlock);
}

static inline void fx_with_release_read(void *rwlock)
{
    fx_rwlock_release_read((fx_rwlock *)rwlock);
}

static inline fx_guard fx_with_reading(fx_reading_side *rwlock)
{
    static const fx_resource resource = { fx_with_acquire_read, fx_with_release_read, false };
    return fx_guard_make(&resource, fx_with_release_read, rwlock);
}

static inline int fx_with_acquire_write(void *rwlock)
{
    return fx_rwlock_acquire_write((fx_rwlock *)rwlock);
}

static inline void fx_with_release_write(void *rwlock)
{
    fx_rwlock_release_write((fx_rwlock *)rwlock);
}

static inline fx_guard fx_with_writing(fx_writing_side *rwlock)
{
    static const fx_resource resource = { fx_with_acquire_write, fx_with_release_write, false };
    return fx_guard_make(&resource, fx_with_release_write, rwlock);
}

static inline int fx_with_acquire_executor(void *executor)
{
    return executor ? 0 : -EINVAL;
}

static inline void fx_with_release_executor(void *executor)
{
    fx_executor_shutdown((fx_executor *)executor, true, false);
}

static inline fx_guard fx_with_executor(fx_executor *executor)
{
    static const fx_resource resource = { fx_with_acquire_executor, fx_with_release_executor,
                                          false };
    return fx_guard_make(&resource, fx_with_release_executor, executor);
}

FX_END_DECLS

#ifdef __cplusplus
#define FX_WITH_OVERLOAD(type, made_by)     \
    static inline fx_guard fx_with(type *p) \
    {                                       \
        return made_by(p);                  \
    }
FX_WITH_OVERLOAD(fx_lock, fx_with_lock)
FX_WITH_OVERLOAD(fx_rlock, fx_with_rlock)
FX_WITH_OVERLOAD(fx_semaphore, fx_with_semaphore)
FX_WITH_OVERLOAD(fx_reading_side, fx_with_reading)
FX_WITH_OVERLOAD(fx_writing_side, fx_with_writing)
FX_WITH_OVERLOAD(fx_executor, fx_with_executor)
#undef FX_WITH_OVERLOAD
#else
#define fx_with(ptr)                           \
    _Generic((ptr),                            \
        fx_lock *: fx_with_lock,               \
        fx_rlock *: fx_with_rlock,             \
        fx_semaphore *: fx_with_semaphore,     \
        fx_reading_side *: fx_with_reading,    \
        fx_writing_side *: fx_with_writing,    \
        fx_executor *: fx_with_executor)(ptr)
#endif

#define FX_WITH_NAMED(name, ptr)                                                                \
    for (FX_GUARD_DECLARATION(name, fx_with(ptr)); FX_JOIN(name, _entered) != NULL;             \
         FX_JOIN(name, _entered) = NULL)

#define FX_WITH(ptr) FX_WITH_NAMED(FX_JOIN(fx_guard_, __COUNTER__), ptr)

#define FX_GUARD(ptr) FX_GUARD_DECLARATION(FX_JOIN(fx_guard_, __COUNTER__), fx_with(ptr))

#endif

/* Conditions: waiting, with a lock, until what the lock protects has changed; as Python's
 * threading.Condition.
 *
 * A condition is 8 bytes, placed by the caller; all-zero bytes, and FX_CONDITION_INIT, are one that
 * nobody waits at. It is used with an fx_lock or an fx_rlock, which the caller names at each wait;
 * all that wait at the same time name the same one. A wait releases the lock (an rlock in all its
 * levels) and sleeps in one step: no notification that is made with the lock held is lost in
 * between. It always has the lock again when it returns. No wait returns without cause; but between
 * a notification and the waiter's turn at the lock others may change things again, so a wait stands
 * in a loop, or is fx_condition_wait_pred().
 * Illegal: a pointer that is NULL; copying a condition that is in use; giving up its memory while
 * somebody waits, or a notification is under way.
 *
 *     struct inbox {
 *         fx_lock lock;
 *         fx_condition changed;
 *         int letters;
 *     };
 *
 *     void deliver(struct inbox *inbox) {
 *         fx_lock_acquire(&inbox->lock);
 *         inbox->letters++;
 *         fx_condition_notify(&inbox->changed, 1);
 *         fx_lock_release(&inbox->lock);
 *     }
 *
 *     int take(struct inbox *inbox, fx_nsec patience) {
 *         int rc = 0;
 *         fx_deadline end = fx_deadline_after(patience);
 *         fx_lock_acquire(&inbox->lock);
 *         while (inbox->letters == 0 && rc == 0)
 *             rc = fx_condition_wait_until(&inbox->changed, &inbox->lock, end);
 *         if (inbox->letters > 0)
 *             inbox->letters--, rc = 0;
 *         fx_lock_release(&inbox->lock);
 *         return rc;
 *     }
 */
#ifndef FXTHREAD_CONDITION_H
#define FXTHREAD_CONDITION_H

#include <fxthread/lock.h>
#include <fxthread/rlock.h>

FX_BEGIN_DECLS

typedef struct fx_condition {
    uintptr_t word; /* the library's */
} fx_condition;

#define FX_CONDITION_INIT { 0 }

/* What is waited for: whether it is so. Called with the lock held. */
typedef bool (*fx_predicate)(void *arg);

/* fx_condition_wait(condition, lock), fx_condition_wait_for(condition, lock, timeout),
 * fx_condition_wait_until(condition, lock, deadline): release the lock, wait to be notified, and
 * acquire the lock again, however long that takes. 0: notified; -ETIMEDOUT: not in time; -EPERM:
 * the lock is not held by the caller, and nothing was done; -ENOMEM: a foreign thread's first call
 * found no memory, and nothing was done. Block; stop points, at which the lock is acquired again
 * first; not signal-safe.
 *
 * fx_condition_wait_pred(condition, lock, predicate, arg, deadline): calls predicate(arg), and
 * waits and calls it again until it returns true, or the deadline (FX_FOREVER: none) has passed,
 * after which it is asked a last time. 0: it returned true; -ETIMEDOUT: it did not; -EINVAL:
 * predicate is NULL; else as above. What the predicate raises goes on, with the lock held.
 *
 * In C they are macros that choose by the lock's type, in C++ overloads. The functions behind
 * them: */
FX_API int fx_condition_lock_wait(fx_condition *condition, fx_lock *lock);
FX_API int fx_condition_lock_wait_for(fx_condition *condition, fx_lock *lock, fx_nsec timeout);
FX_API int fx_condition_lock_wait_until(fx_condition *condition, fx_lock *lock,
                                        fx_deadline deadline);
FX_API int fx_condition_lock_wait_pred(fx_condition *condition, fx_lock *lock,
                                       fx_predicate predicate, void *arg, fx_deadline deadline);
FX_API int fx_condition_rlock_wait(fx_condition *condition, fx_rlock *lock);
FX_API int fx_condition_rlock_wait_for(fx_condition *condition, fx_rlock *lock, fx_nsec timeout);
FX_API int fx_condition_rlock_wait_until(fx_condition *condition, fx_rlock *lock,
                                         fx_deadline deadline);
FX_API int fx_condition_rlock_wait_pred(fx_condition *condition, fx_rlock *lock,
                                        fx_predicate predicate, void *arg, fx_deadline deadline);

/* Wakes the first n of those that wait, in the order in which they came, or all. The caller holds
 * the lock, or has held it since it changed what is waited for. 0, also if nobody waits, which
 * costs a load. Do not block; no stop points; not signal-safe. */
FX_API int fx_condition_notify(fx_condition *condition, size_t n);
FX_API int fx_condition_notify_all(fx_condition *condition);

/* fx_condition_notify where somebody waits: what that calls, and of no other use. */
FX_API int fx_condition_notify_slowly(fx_condition *condition, size_t n);

FX_INLINE int fx_condition_notify(fx_condition *condition, size_t n)
{
    /* relaxed: who waits has said so before it released the lock, which the caller has acquired
     * since */
    if (__builtin_expect(__atomic_load_n(&condition->word, __ATOMIC_RELAXED) == 0, 1))
        return 0;
    return fx_condition_notify_slowly(condition, n);
}

FX_INLINE int fx_condition_notify_all(fx_condition *condition)
{
    return fx_condition_notify(condition, SIZE_MAX);
}

FX_END_DECLS

#ifdef __cplusplus

inline int fx_condition_wait(fx_condition *condition, fx_lock *lock)
{
    return fx_condition_lock_wait(condition, lock);
}

inline int fx_condition_wait(fx_condition *condition, fx_rlock *lock)
{
    return fx_condition_rlock_wait(condition, lock);
}

inline int fx_condition_wait_for(fx_condition *condition, fx_lock *lock, fx_nsec timeout)
{
    return fx_condition_lock_wait_for(condition, lock, timeout);
}

inline int fx_condition_wait_for(fx_condition *condition, fx_rlock *lock, fx_nsec timeout)
{
    return fx_condition_rlock_wait_for(condition, lock, timeout);
}

inline int fx_condition_wait_until(fx_condition *condition, fx_lock *lock, fx_deadline deadline)
{
    return fx_condition_lock_wait_until(condition, lock, deadline);
}

inline int fx_condition_wait_until(fx_condition *condition, fx_rlock *lock, fx_deadline deadline)
{
    return fx_condition_rlock_wait_until(condition, lock, deadline);
}

inline int fx_condition_wait_pred(fx_condition *condition, fx_lock *lock, fx_predicate predicate,
                                  void *arg, fx_deadline deadline)
{
    return fx_condition_lock_wait_pred(condition, lock, predicate, arg, deadline);
}

inline int fx_condition_wait_pred(fx_condition *condition, fx_rlock *lock, fx_predicate predicate,
                                  void *arg, fx_deadline deadline)
{
    return fx_condition_rlock_wait_pred(condition, lock, predicate, arg, deadline);
}

#else

#define FXI_CONDITION_CHOOSE(lock, call)         \
    _Generic((lock),                             \
        fx_lock *: fx_condition_lock_##call,     \
        fx_rlock *: fx_condition_rlock_##call)
#define fx_condition_wait(condition, lock) \
    FXI_CONDITION_CHOOSE(lock, wait)((condition), (lock))
#define fx_condition_wait_for(condition, lock, timeout) \
    FXI_CONDITION_CHOOSE(lock, wait_for)((condition), (lock), (timeout))
#define fx_condition_wait_until(condition, lock, deadline) \
    FXI_CONDITION_CHOOSE(lock, wait_until)((condition), (lock), (deadline))
#define fx_condition_wait_pred(condition, lock, predicate, arg, deadline) \
    FXI_CONDITION_CHOOSE(lock, wait_pred)((condition), (lock), (predicate), (arg), (deadline))

#endif

#endif

/* Conditions.
 *
 * Guarantee: a notification wakes the first n of those whose wait began before it, and nobody else;
 *   a wait that it has reached returns 0, even if its deadline passes before it has its lock again.
 *   A wait holds its lock whenever it returns.
 * State, the word: 0, nobody waits; else somebody may, and it is the address of the lock (of an
 *   rlock, the one in it) that all name. Written under the bucket's lock: by each waiter as it
 *   queues, and cleared by a notification that leaves nobody behind and by the last one to time
 *   out. After waiters were moved it may stay for a while with nobody there, and costs the next
 *   notification a look.
 * Wake rule: a waiter queues before it releases its lock. A notifier that has held the lock since
 *   then sees the word and finds the waiter in the queue. Notified waiters are moved to the queue
 *   of the lock, where the notifier holds it, and its release serves them in their order, one at a
 *   time: none wakes only to find the lock taken. Where the notifier does not hold it, they are
 *   woken.
 * Lifetime: a notification's last touch of the condition is under the bucket's lock. A waiter does
 *   not touch it once it was notified. The lock that the word names is touched only while a waiter
 *   is queued, which will touch it, too.
 * Limits: waiters at one condition that name several locks get their wakes, but one that is moved
 *   waits for a release of the lock that the latest has named: illegal, as the header says.
 * Source: A. Birrell, "An Introduction to Programming with Threads" (1989), for the meaning; the
 *   moving of waiters is what WebKit's parking lot (see park/park.h) calls requeueing. */
#include <fxthread/condition.h>

#include <errno.h>

#include "base/atomic.h"
#include "park/park.h"
#include "stop/stop.h"
#include "stop/walk.h"
#include "sync/lock.h"
#include "sync/rlock.h"

struct waiting {
    fx_condition *condition;
    fx_lock *lock;
    fx_rlock *rlock; /* whose lock that is, or NULL */
    uint32_t again;  /* how often it was acquired beyond the first time */
    bool released;
};

static struct waiting with_lock(fx_condition *condition, fx_lock *lock)
{
    return (struct waiting){ .condition = condition, .lock = lock };
}

static struct waiting with_rlock(fx_condition *condition, fx_rlock *rlock)
{
    return (struct waiting){ .condition = condition,
                             .lock = fxi_rlock_lock(rlock),
                             .rlock = rlock };
}

/* --- waiting ---------------------------------------------------------------------------------- */

/* Under the bucket's lock; a wait for a notification always waits. relaxed: see
 * fx_condition_notify. */
static bool announce(const void *arg)
{
    const struct waiting *waiting = arg;
    fxi_store_relaxed(&waiting->condition->word, (uintptr_t)waiting->lock);
    return true;
}

static void release(void *arg)
{
    struct waiting *waiting = arg;
    waiting->released = true;
    if (waiting->rlock)
        waiting->again = fxi_rlock_release_all(waiting->rlock);
    else
        fx_lock_release(waiting->lock);
}

static void left(bool others, void *arg)
{
    struct waiting *waiting = arg;
    if (!others)
        fxi_store_relaxed(&waiting->condition->word, 0);
}

static int wait(struct waiting *waiting, fx_deadline deadline)
{
    if (!fxi_lock_is_own(waiting->lock))
        return -EPERM;
    struct fxi_wait wait = { .address = waiting->condition,
                             .condition = announce,
                             .before_sleep = release,
                             .left = left,
                             .arg = waiting,
                             .deadline = deadline,
                             .spins = true };
    uintptr_t given = 0;
    waiting->released = false;
    int rc = fxi_park_wait(&wait, &given);
    if (!waiting->released)
        return rc;
    /* This cannot fail for want of a context, for the lock's holder had one. */
    if (waiting->rlock)
        fxi_rlock_reacquire(waiting->rlock, given, 0, waiting->again);
    else
        fxi_lock_reacquire(waiting->lock, given, 0);
    return rc;
}

/* What the predicate raises leaves nothing behind here. */
static FXI_PASSES_ON int wait_pred(struct waiting *waiting, fx_predicate predicate, void *arg,
                                   fx_deadline deadline)
{
    if (!predicate)
        return -EINVAL;
    if (!fxi_lock_is_own(waiting->lock))
        return -EPERM;
    int rc = 0;
    while (!predicate(arg)) {
        if (rc != 0)
            return rc;
        rc = wait(waiting, deadline);
        if (rc != 0 && rc != -ETIMEDOUT)
            return rc;
    }
    return 0;
}

int fx_condition_lock_wait_until(fx_condition *condition, fx_lock *lock, fx_deadline deadline)
{
    struct waiting waiting = with_lock(condition, lock);
    return fxi_stop_point(wait(&waiting, deadline));
}

int fx_condition_lock_wait_for(fx_condition *condition, fx_lock *lock, fx_nsec timeout)
{
    return fx_condition_lock_wait_until(condition, lock, fx_deadline_after(timeout));
}

int fx_condition_lock_wait(fx_condition *condition, fx_lock *lock)
{
    return fx_condition_lock_wait_until(condition, lock, FX_FOREVER);
}

int fx_condition_lock_wait_pred(fx_condition *condition, fx_lock *lock, fx_predicate predicate,
                                void *arg, fx_deadline deadline)
{
    struct waiting waiting = with_lock(condition, lock);
    return fxi_stop_point(wait_pred(&waiting, predicate, arg, deadline));
}

int fx_condition_rlock_wait_until(fx_condition *condition, fx_rlock *lock, fx_deadline deadline)
{
    struct waiting waiting = with_rlock(condition, lock);
    return fxi_stop_point(wait(&waiting, deadline));
}

int fx_condition_rlock_wait_for(fx_condition *condition, fx_rlock *lock, fx_nsec timeout)
{
    return fx_condition_rlock_wait_until(condition, lock, fx_deadline_after(timeout));
}

int fx_condition_rlock_wait(fx_condition *condition, fx_rlock *lock)
{
    return fx_condition_rlock_wait_until(condition, lock, FX_FOREVER);
}

int fx_condition_rlock_wait_pred(fx_condition *condition, fx_rlock *lock, fx_predicate predicate,
                                 void *arg, fx_deadline deadline)
{
    struct waiting waiting = with_rlock(condition, lock);
    return fxi_stop_point(wait_pred(&waiting, predicate, arg, deadline));
}

/* --- notifying -------------------------------------------------------------------------------- */

struct waking {
    fx_condition *condition;
    size_t left;
};

static enum fxi_choice choose_first(struct fxi_waiter *waiter, void *arg)
{
    struct waking *waking = arg;
    (void)waiter;
    if (waking->left == 0)
        return FXI_CHOICE_STOP;
    waking->left--;
    return FXI_CHOICE_WAKE;
}

static void note_remaining(bool remain, void *arg)
{
    struct waking *waking = arg;
    if (!remain)
        fxi_store_relaxed(&waking->condition->word, 0);
}

int fx_condition_notify_slowly(fx_condition *condition, size_t n)
{
    fx_lock *lock = (fx_lock *)fxi_load_relaxed(&condition->word);
    if (!lock || n == 0)
        return 0;
    size_t moved = fxi_park_move(condition, lock, n, fxi_lock_expect_waiters, lock);
    if (moved < n) {
        struct waking waking = { condition, moved == 0 ? n : 0 };
        fxi_unpark_chosen(condition, choose_first, note_remaining, &waking);
    }
    return 0;
}

int fx_condition_notify(fx_condition *condition, size_t n)
{
    return fx_condition_notify_slowly(condition, n);
}

int fx_condition_notify_all(fx_condition *condition)
{
    return fx_condition_notify_slowly(condition, SIZE_MAX);
}

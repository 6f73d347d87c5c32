/* The one door to wait through.
 *
 * Guarantee: a waiter queues at an address if a condition, looked at under the address's bucket
 *   lock, says so, and sleeps until a waker chooses it or its deadline is past. Waiters at one
 *   address are shown to a waker in the order in which they came. Nothing is allocated. No wait
 *   ends early, whatever signals come. A timeout that meets a wake takes the wake.
 * State of a waiter: on the queue (`queued.next` not NULL; guarded by the bucket's lock), then
 *   chosen (off it, in the waker's hands), then woken. `woken`, the word it sleeps on
 *   (enum fxi_waiter_state):
 *     AWAKE      it has not begun to sleep, and may be spinning
 *     WOKEN      stored by its waker: the wait is over, and this state stays
 *     SLEEPING   stored by itself before it sleeps: the waker must make the system call
 *     STOPPABLE  the same, at a stop point; also as STOPPABLE_SHARED and STOPPABLE_SUSPENDED
 *     STOPPED    stored by who asks for a stop, in place of STOPPABLE: it goes on, and leaves the queue
 *                or, if it was chosen meanwhile, waits for its waker, SLEEPING
 * Wake rule: who changes what a condition looks at does so before it looks for waiters under the
 *   same bucket's lock, or under that lock: a waiter has either queued by then and is found, or
 *   looks at the condition later and sees the change. So none sleeps over its wake. A primitive's
 *   word says whether anybody waits; that hint is written under the bucket's lock (by a condition,
 *   a `left` or a `finish`), so it may say "somebody" when nobody does, for a moment, and never the
 *   reverse.
 * Lifetime: a waker's last touch of a waiter is the exchange on `woken`, made when the bucket's
 *   lock is released; the futex wake after it only names an address, which may be gone by then. A
 *   chosen waiter does not go on before that, even if its deadline is past. The object at an
 *   address is never touched here.
 * Limits: callbacks that run under a bucket's lock call nothing of park and do not block.
 * Source: the parking lot of WebKit ("Locking in WebKit", F. Pizlo, 2016). */
#ifndef FXI_PARK_PARK_H
#define FXI_PARK_PARK_H

#include <fxthread/duration.h>

#include "context/context.h"

/* The condition of a wait: true to wait. Called under the bucket's lock. */
typedef bool (*fxi_park_condition)(const void *arg);

/* 0: chosen; -EAGAIN: the condition was false; -ETIMEDOUT; -ECANCELED: a stop has come, and the wait was
 * given up, as at a deadline; whoever gets this gives back what the caller does not know of and returns
 * it, and the public call ends in fxi_stop_point(); -ENOMEM: a foreign thread's first call found no
 * memory. */
int fxi_park(const void *address, fxi_park_condition condition, const void *arg,
             fx_deadline deadline);

/* Wakes the first n waiters at the address; returns how many there were. The address's object is
 * not touched, and may be gone. */
size_t fxi_unpark(const void *address, size_t n);

/* fxi_unpark of all, by a thread in its last steps: those who sleep with `awaits_end` go on when
 * the kernel has cleared `end_word`, at the thread's end, and so do not compete with it for a
 * processor for its last instructions. NULL: at once. */
void fxi_unpark_at_end(const void *address, const uint32_t *end_word);

/* Waits for the deadline alone. 0; -ECANCELED, -ENOMEM as above. */
int fxi_park_until(fx_deadline deadline);

/* The same, until fxi_unpark_alone() at most: a wait that no queue knows of, as its waker knows who
 * waits. Of a context that can suspend, and has asked its operations that; the waker runs on the same
 * thread while it is suspended, and calls once at most. 0: it has called. -ETIMEDOUT, -ECANCELED: it
 * may have, too, after that; its own flag says so. */
int fxi_park_alone(fx_deadline deadline, bool is_stop_point);
void fxi_unpark_alone(struct fxi_context *context);

/* --- waits of primitives that keep their state in a word of their own ------------------------- */

struct fxi_wait {
    const void *address;
    fxi_park_condition condition;
    /* NULL, or called when the waiter has queued and before it sleeps, without the bucket's lock:
     * where a condition's wait releases its lock. It may unpark; it may not park. */
    void (*before_sleep)(void *arg);
    /* NULL, or called under the bucket's lock when the deadline has taken the waiter off the queue;
     * `others`: there are more at the address. */
    void (*left)(bool others, void *arg);
    void *arg;            /* of the three above */
    fx_deadline deadline;
    fx_deadline since;    /* when the caller began to wait; 0: now */
    uintptr_t wants;      /* the caller's own, for the waker to read: waiter->wants */
    bool spins;           /* look for the wake for a moment before sleeping, where that pays */
    bool awaits_end;      /* of a thread: its waker may be fxi_unpark_at_end */
    bool is_no_stop_point; /* it does not return -ECANCELED */
    bool at_front;        /* before those who wait already: one that was woken and found nothing */
    bool can_suspend;     /* the caller has asked its context's operations that just now, and they can */
};

/* As fxi_park. Where 0 is returned, *given (which may be NULL) is what the waker left in
 * waiter->given: 0 unless it stored something. */
int fxi_park_wait(const struct fxi_wait *wait, uintptr_t *given);

enum fxi_choice {
    FXI_CHOICE_WAKE, /* this one is woken; go on */
    FXI_CHOICE_SKIP, /* this one stays; go on */
    FXI_CHOICE_STOP  /* this one stays, and so do all after it */
};

/* What to do with a waiter; called in the order in which they came, under the bucket's lock. It
 * reads waiter->wants, waiter->since and fxi_waiter_context(waiter), and may store
 * waiter->given. */
typedef enum fxi_choice (*fxi_unpark_choose)(struct fxi_waiter *waiter, void *arg);

/* Called once, under the same holding of the bucket's lock, when all choices are made: the place to
 * update the primitive's word. `remain`: somebody still waits at the address. */
typedef void (*fxi_unpark_finish)(bool remain, void *arg);

/* Shows the waiters at the address to `choose`, then calls `finish` (NULL: nothing to do), then,
 * with the lock released, wakes those chosen. Returns how many. From the return of `finish` on the
 * object at the address may be gone. */
size_t fxi_unpark_chosen(const void *address, fxi_unpark_choose choose, fxi_unpark_finish finish,
                         void *arg);

/* The same in two steps, for a waker that holds a lock over the first: takes those chosen, and wakes
 * them. NULL: nobody. In between they wait on, whatever their deadlines are, so that it is short;
 * the caller parks nowhere, and ends up at the second step whatever happens. */
struct fxi_waiter *fxi_unpark_take(const void *address, fxi_unpark_choose choose,
                                   fxi_unpark_finish finish, void *arg);
void fxi_unpark_wake(struct fxi_waiter *taken);

/* Whether waiters may be moved to an address: called under both buckets' locks, before anyone is
 * moved. Where it says yes it has seen to it that the object there knows of waiters. */
typedef bool (*fxi_park_ready)(void *arg);

/* Moves the first n waiters at `from` to the end of the queue at `to`, without waking them, and
 * returns how many there were; 0 where `ready` says no. They go on waiting as though they had
 * parked at `to` at this moment, and for ever: a wait that was moved has happened, and its deadline
 * counts no more (nor are its `left` and its condition called again). Their park returns 0 with
 * what the waker at `to` gives. */
size_t fxi_park_move(const void *from, const void *to, size_t n, fxi_park_ready ready, void *arg);

/* How many wait at the address at this moment. */
size_t fxi_park_count(const void *address);

/* Whether it has not begun to sleep, as when it spins: to wake it makes no system call. Of one that a
 * waker is choosing; a hint. */
static inline bool fxi_waiter_is_awake(const struct fxi_waiter *waiter)
{
    return __atomic_load_n(&waiter->woken, __ATOMIC_RELAXED) == FXI_WAITER_AWAKE;
}

/* The context that waits. */
static inline struct fxi_context *fxi_waiter_context(struct fxi_waiter *waiter)
{
    return fxi_container_of(waiter, struct fxi_context, waiter);
}

#endif

/* A future as the library sees it: what will come of something, from its making until the last
 * reference is given up.
 *
 * Guarantee: a future is done once, by one way of the three: a value, an exception, a cancel before
 *   it ran. Whoever sees it done sees the whole outcome. Waiters are woken before the first done
 *   callback is called; callbacks are called in the order in which they were added.
 * State, the low bits of `state`, and who moves it on:
 *     PENDING    not begun. To RUNNING by who begins it (fxi_future_start), to CANCELLED by who
 *                cancels it: one compare-and-swap decides
 *     RUNNING    begun, or in the hands of whoever makes its outcome
 *     SETTING    a promise whose outcome is being written; other setters are refused from here on.
 *                Not entered by executors, for a future that runs has one finisher
 *     DONE       it has a value, or an exception: `exception` is not 0
 *     CANCELLED  it never ran. `exception` is not written: fxi_future_exception tells FX_CANCELLED
 *   DONE and CANCELLED are for ever. A future that goes straight from PENDING to DONE (a promise
 *   may) was never running.
 * Bits beside it:
 *     WAITERS    somebody may be parked at `state`; set under the bucket's lock
 *     FOLLOWED   there may be watches or callbacks; set under the future's lock
 *     TOLD       set once done: somebody asked for the exception
 *     FETCHED    set once done: somebody took the value
 * Memory orders: the finisher's exchange to DONE is a release, each look that decides on `done` an
 *   acquire; `result`, `exception` and `details` are written before that exchange and never again.
 *   What the submitter prepared reaches the finisher through the executor's own queue.
 * Wake rule: a waiter sets WAITERS, and queues, in one holding of its bucket's lock; the finisher's
 *   exchange either comes before, and the waiter sees DONE, or finds the bit and unparks all.
 *   Watches and callbacks: the same with FOLLOWED and the future's lock.
 * Lifetime: whoever gives up the last reference frees: each handle is one, and an executor has one
 *   from the submit until it has finished the future, or has found it cancelled. The finisher keeps
 *   its reference until the functions below have returned. `result` of a submit_copy, the copied
 *   argument and whatever else belongs to the maker of the future live in the future's memory.
 * After fork: a future that is not a promise, and that was not done, is LOST in the child; waits
 *   for it say -ESRCH. It is told by `generation`. */
#ifndef FXI_FUTURE_FUTURE_H
#define FXI_FUTURE_FUTURE_H

#include <fxthread/future.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/list.h"
#include "context/context.h"

enum fxi_future_state {
    FXI_FUTURE_PENDING,
    FXI_FUTURE_RUNNING,
    FXI_FUTURE_SETTING,
    FXI_FUTURE_DONE,     /* this and those after it: done */
    FXI_FUTURE_CANCELLED,
    FXI_FUTURE_STATE_MASK = 7,
    FXI_FUTURE_WAITERS = 8,
    FXI_FUTURE_FOLLOWED = 16,
    FXI_FUTURE_TOLD = 32,
    FXI_FUTURE_FETCHED = 64
};

/* What makes a future's outcome, and so whom to ask for something. Static; any but `free` may be
 * NULL. None blocks, and none raises. */
struct fxi_future_kind {
    /* Of futures that may have begun without being RUNNING. It was seen PENDING and is to be
     * cancelled: sees to it that it does not begin, again, too: true; or it has, and is RUNNING:
     * false. And: makes it RUNNING if it has begun. */
    bool (*hold_back)(fx_future *future);
    void (*refresh)(fx_future *future);
    /* Of futures for which a thread can wait in another way than parked: waits so, until it may be
     * done. 0: look again; -EAGAIN: not at present; else as fxi_future_wait. */
    int (*await)(fx_future *future, fx_deadline deadline, bool is_stop_point);
    /* It was PENDING and is CANCELLED, by the caller: the maker may forget it, at once or when it
     * comes across it. Called before waiters and callbacks learn of it. */
    void (*withdrawn)(fx_future *future);
    /* It was seen RUNNING: ends it early. 0: asked, twice too; -EALREADY: it has ended meanwhile.
     * NULL: -ENOTSUP. */
    int (*stop)(fx_future *future);
    /* How the process that ran it ended: 0 and *status as of waitpid; -ENODATA. */
    int (*worker_status)(fx_future *future, int *status);
    /* The last reference is gone, the outcome freed: gives back the memory, and what in it is the
     * maker's own (an argument that nobody took). In whichever thread that happens. */
    void (*free)(fx_future *future);
    bool is_promise; /* the program itself sets the outcome */
};

struct fx_future {
    uint32_t references;
    uint32_t state;               /* enum fxi_future_state; what waiters park at */
    const struct fxi_future_kind *kind;
    struct fxi_list watches;      /* struct fxi_watch; zeroed: none. Guarded by the future's lock */
    struct fxi_callback *callbacks; /* the latest first; so guarded, and from DONE the finisher's */
    void *result;                 /* the value; of a submit_copy where the result will be, always */
    struct fxi_raised *details;   /* of the exception; NULL: none but its code */
    fx_exc exception;             /* 0: none */
    uint32_t generation;          /* of the process that made it */
    size_t result_size;           /* of a submit_copy; else 0 */
    fx_callback free_result;      /* called with a value that nobody took; NULL: nothing */
};

/* Makes a future of zeroed memory, PENDING with that many references (1: a handle that nobody else
 * will finish, or an executor's own; 2: a handle and an executor's). */
void fxi_future_init(fx_future *future, const struct fxi_future_kind *kind, uint32_t references);

/* --- for who makes the outcome ---------------------------------------------------------------- */

/* By its executor, which has a reference until it is done: whether there is no handle any more. Then nobody
 * else will get one, wait, cancel or stop; and so the executor moves it on by plain stores. (Threads may
 * share the only handle of a promise.) */
static inline bool fxi_future_has_no_handle(const fx_future *future)
{
    /* acquire: pairs with the release of those who gave theirs up */
    return !future->kind->is_promise && fxi_load_acquire(&future->references) == 1;
}

/* Begins it. False: it was cancelled; its finisher gives up its reference and does nothing else. */
static inline bool fxi_future_start(fx_future *future)
{
    uint32_t word = fxi_load_relaxed(&future->state);
    /* relaxed: nothing hangs on who was first but the right to go on */
    do {
        if ((word & FXI_FUTURE_STATE_MASK) != FXI_FUTURE_PENDING)
            return false;
    } while (!fxi_cas_relaxed(&future->state, &word, word + FXI_FUTURE_RUNNING));
    return true;
}

/* The same by the only one who might begin it. */
static inline bool fxi_future_start_alone(fx_future *future)
{
    uint32_t word = fxi_load_relaxed(&future->state);
    if (!fxi_future_has_no_handle(future))
        return fxi_future_start(future);
    if ((word & FXI_FUTURE_STATE_MASK) != FXI_FUTURE_PENDING)
        return false;
    fxi_store_relaxed(&future->state, word + FXI_FUTURE_RUNNING);
    return true;
}

/* Finish a future that the caller has started: with a value; with the exception that stands in
 * `raised`, whose payload the future takes over (raised->payload is NULL afterwards); with a code
 * alone, and a message or NULL. The library's own codes: FX_STOPPED (it was asked to stop and did),
 * FX_TIMED_OUT (its time limit), FX_POOL_BROKEN, FX_WORKER_DIED; -errno of an I/O request. Its
 * waiters are woken, its callbacks called, here, in the caller's context: they may wait.
 * Where there is no memory for the details the code is kept, and the payload freed.
 *
 * True: a callback was stopped, or ended its thread, after which the others ran; the exception
 * stands in the calling context's `raised`. A public function that may raise then goes on with
 * fxi_raise_stored(); a worker, which outlives all callbacks, with fxi_raised_drop()
 * (stop/caught.h). */
bool fxi_future_finish(fx_future *future, void *result);
bool fxi_future_finish_raised(fx_future *future, struct fxi_raised *raised);
bool fxi_future_finish_code(fx_future *future, fx_exc code, const char *message);

/* The same with a value, or a code that is not 0, but that no callback is called: true if there are any,
 * and then the caller, who keeps its reference so long, has fxi_future_resume_callbacks
 * (future/follow.h) called where they may wait. */
bool fxi_future_finish_quietly(fx_future *future, void *result, fx_exc code);

/* Cancels it if it is PENDING. *outcome, unless NULL, as of fx_future_cancel. Returned as above. */
bool fxi_future_cancel(fx_future *future, int *outcome);

/* The same by its maker, who need not be told, with the callbacks left as above. */
bool fxi_future_cancel_quietly(fx_future *future);

/* fx_future_stop: cancels it or asks what runs it. */
bool fxi_future_stop(fx_future *future, int *outcome);

/* --- for who waits ---------------------------------------------------------------------------- */

static inline bool fxi_future_word_is_done(uint32_t word)
{
    return (word & FXI_FUTURE_STATE_MASK) >= FXI_FUTURE_DONE;
}

static inline bool fxi_future_is_done(const fx_future *future)
{
    /* acquire: pairs with the release of the exchange that made it done */
    return fxi_future_word_is_done(fxi_load_acquire(&future->state));
}

/* Waits until it is done: 0. -ETIMEDOUT; -ECANCELED: this wait was stopped; -EDEADLK: the calling
 * task's own; -ESRCH: lost in a fork; -ENOMEM: a foreign thread's first call found no memory. */
int fxi_future_wait(fx_future *future, fx_deadline deadline);

/* The same without a limit, and without being a stop point. */
int fxi_future_wait_unstopped(fx_future *future);

/* What fx_future_result says of one that is done. It counts as told. */
int fxi_future_outcome(fx_future *future);

/* The same of a code alone: 0 for 0, -ECANCELED for FX_CANCELLED and FX_STOPPED, and so on. */
int fxi_future_outcome_of(fx_exc code);

/* Its exception's code, once it is done; 0: it has a value. */
static inline fx_exc fxi_future_exception(const fx_future *future)
{
    uint32_t word = fxi_load_relaxed(&future->state);
    return (word & FXI_FUTURE_STATE_MASK) == FXI_FUTURE_CANCELLED ? FX_CANCELLED
                                                                  : future->exception;
}

/* Whether it is one that the parent of a fork would have finished, and nobody will here. */
bool fxi_future_is_lost(const fx_future *future);

/* Somebody has asked how it ended, or taken its value: FXI_FUTURE_TOLD, FXI_FUTURE_FETCHED. */
static inline void fxi_future_mark(fx_future *future, uint32_t bit)
{
    if (!(fxi_load_relaxed(&future->state) & bit))
        fxi_or_relaxed(&future->state, bit); /* whoever unrefs last sees it: unref is acq_rel */
}

/* All that is known of its exception, once it is done. */
fx_exc_info fxi_future_info(const fx_future *future);

/* Tells the unread hook of an exception that nobody asked for. Of a future whose last reference is
 * gone. */
void fxi_future_report_unread(fx_future *future);

#endif

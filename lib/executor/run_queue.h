/* The tasks of a pool that have not begun.
 *
 * Guarantee: tasks are taken in the order in which they were pushed, by one worker exactly so, by
 *   several each in its share; none is taken twice; one that a worker has in its share and does not
 *   come to is taken by others.
 * State: `incoming`, a stack that submitters push to with a compare-and-swap; `shared`, the queue to
 *   which whoever finds it empty moves all that came in, under its lock; a share per worker, in
 *   which it keeps the next few, with a lock that only it takes as long as nobody steals.
 * Once closed, pushes are refused; what was pushed before can still be taken.
 * Memory orders: a push is a release, the exchange that takes all incoming an acquire, and the locks
 *   order the rest: who takes a task sees what its submitter wrote. */
#ifndef FXI_EXECUTOR_RUN_QUEUE_H
#define FXI_EXECUTOR_RUN_QUEUE_H

#include "executor/executor.h"
#include "kernel/lowlock.h"

struct fxi_fiber;

/* The pool's record of a task. */
struct fxi_pool_task {
    struct fxi_task task;
    struct fxi_pool_task *next; /* in the queue */
    uintptr_t runs_on;          /* worker.c: the fiber, while it has begun and is not over */
};

struct fxi_share {
    fxi_lowlock lock;
    size_t count; /* written under the lock, read by all */
    struct fxi_pool_task *first, *last;
} __attribute__((aligned(FXI_CACHE_LINE)));

struct fxi_run_queue {
    struct fxi_pool_task *incoming; /* the latest first; CLOSED: none, and none may come */
    struct fxi_share shared;
};

static inline struct fxi_pool_task *fxi_pool_task_of(struct fxi_task *task)
{
    return fxi_container_of(task, struct fxi_pool_task, task);
}

/* False: the queue is closed. A full fence stands behind a push: what the caller reads afterwards it
 * reads after the task could be seen. */
bool fxi_run_queue_push(struct fxi_run_queue *queue, struct fxi_pool_task *task);
void fxi_run_queue_close(struct fxi_run_queue *queue);

/* The next task for the worker that has `share`, of `sharers`; NULL: there is none in the two. */
struct fxi_pool_task *fxi_run_queue_take(struct fxi_run_queue *queue, struct fxi_share *share,
                                         size_t sharers);

/* Half of what is in another worker's share: the first of them, the others go to `share`. */
struct fxi_pool_task *fxi_run_queue_steal(struct fxi_share *from, struct fxi_share *share);

/* Puts one back that was taken: it is the next. */
void fxi_share_put_back(struct fxi_share *share, struct fxi_pool_task *task);

/* All that is there, linked by `next`, the earliest first. */
struct fxi_pool_task *fxi_run_queue_take_all(struct fxi_run_queue *queue);
struct fxi_pool_task *fxi_share_take_all(struct fxi_share *share);

/* Takes this one out, if it is still there. */
bool fxi_run_queue_remove(struct fxi_run_queue *queue, struct fxi_pool_task *task);

/* Whether there is something but in shares; no promise. */
bool fxi_run_queue_is_empty(const struct fxi_run_queue *queue);

static inline bool fxi_share_is_empty(const struct fxi_share *share)
{
    return fxi_load_relaxed(&share->count) == 0;
}

/* Around fork: locked before, and unlocked after. */
void fxi_run_queue_lock(struct fxi_run_queue *queue);
void fxi_run_queue_unlock(struct fxi_run_queue *queue);

#endif

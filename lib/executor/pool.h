/* A thread pool: workers started on demand, tasks that have not begun, and how the two find each
 * other.
 *
 * Wake rule: whoever pushes a task looks, after a full fence, for somebody to take it: a worker that
 *   searches (it will find the task, or look once more after it has said that it searches no
 *   longer); one that is idle, which it wakes; and else starts a worker, if there may be more. A
 *   worker that stops searching because it has found a task, and was the last to search, does the
 *   same if there are others. A worker goes idle in this order: it enters itself among the idle ones,
 *   says that it does not search, full fence, looks for tasks once more. So no task waits while a
 *   worker sleeps. A worker that is being started counts as one that searches; if none has been, a
 *   submitter does not rely on that, but waits for the outcome, and tries itself.
 * Lifetime: `holds` counts the program's handles as one, each worker, and each task whose memory is
 *   there; who takes it to 0 frees the pool. Workers count tasks that they free for themselves, and
 *   give them up in numbers; and while there is a handle, submitters count those that they make where
 *   their memory comes from.
 * Lock order: `starts`, `lock`, then a worker's inbox, or what starting a thread takes. */
#ifndef FXI_EXECUTOR_POOL_H
#define FXI_EXECUTOR_POOL_H

#include <fxthread/thread_pool.h>

#include "executor/run_queue.h"
#include "executor/sleeps.h"
#include "executor/task_memory.h"
#include "executor/worker.h"
#include "kernel/signal.h"

struct fxi_pool {
    fx_executor executor;
    struct fxi_list listed;        /* among all pools, for fork and the program's end */
    size_t max_workers;
    fx_nsec idle_timeout;
    int (*initializer)(void *);
    void *initarg;
    fxi_sigmask signal_mask;       /* its maker's, under which tasks run */
    fx_backend backend;
    bool cancels;                  /* it was shut down with cancel_futures; for its I/O */
    bool is_ended;                 /* the end of the program has come to it; guarded by pools.c */
    uint32_t generation;           /* of the process that made it */
    char *name_prefix;
    size_t holds __attribute__((aligned(FXI_CACHE_LINE)));
    struct fxi_run_queue queue;
    struct fxi_sleeps sleeps;
    struct fxi_task_memory memory;

    /* Written under `lock`, read by all. */
    fxi_lowlock lock __attribute__((aligned(FXI_CACHE_LINE)));
    size_t live;                   /* workers, without one that is trying to end */
    size_t present;                /* with it; those who wait for the end of all park here */
    size_t blocked;                /* of those, whose task holds them in the kernel */
    size_t idle_count;
    struct fxi_worker *idle;       /* the latest first */
    ptrdiff_t started;             /* those of `live` whose thread is there; less for a moment, where one
                                    * has ended before its starter goes on. Written without the lock, too */
    fxi_lowlock starts;            /* held while a worker is started; before `lock` */

    size_t searching __attribute__((aligned(FXI_CACHE_LINE)));
    struct fxi_worker workers[] __attribute__((aligned(FXI_CACHE_LINE)));
};

static inline struct fxi_pool *fxi_pool_of(fx_executor *executor)
{
    return fxi_container_of(executor, struct fxi_pool, executor);
}

/* --- pool.c: for workers ---------------------------------------------------------------------- */

void fxi_pool_hold(struct fxi_pool *pool);
void fxi_pool_drop(struct fxi_pool *pool, size_t holds);

/* The pool can run nothing any more: all that has not begun ends so. */
void fxi_pool_break(struct fxi_pool *pool, const char *message);

/* Sees to it that somebody takes the tasks that are there. 0, or why no worker could be started, and
 * there is none. */
int fxi_pool_rouse(struct fxi_pool *pool);

/* The same for who gives the tasks out of its hands: who was said to search may be a worker that somebody
 * else is about to start, and cannot. */
int fxi_pool_rouse_surely(struct fxi_pool *pool);

/* A task for the worker, out of its share, the queue, or others' shares; NULL: there is none. */
struct fxi_pool_task *fxi_pool_take(struct fxi_pool *pool, struct fxi_worker *worker);
bool fxi_pool_has_tasks(const struct fxi_pool *pool); /* or sleeps that want a keeper */

/* Enters the worker among the idle ones; and takes it out: true if somebody else had, to wake it, and it
 * is counted as searching. */
void fxi_pool_set_idle(struct fxi_pool *pool, struct fxi_worker *worker);
bool fxi_pool_unset_idle(struct fxi_pool *pool, struct fxi_worker *worker);

/* The worker, which has no task, wants to end: whether it may, and then it is none any more.
 * `timed_out`: it was idle for long. */
bool fxi_pool_let_go(struct fxi_pool *pool, struct fxi_worker *worker, bool timed_out);

/* A task holds its worker in the kernel, or no longer does: another may take its place. */
void fxi_pool_blocked(struct fxi_pool *pool, bool begins);

/* With pools.c's lock held. */
void fxi_pool_before_fork(struct fxi_pool *pool);
void fxi_pool_after_fork(struct fxi_pool *pool, bool in_child);

/* --- pools.c ---------------------------------------------------------------------------------- */

int fxi_pools_add(struct fxi_pool *pool);
void fxi_pools_remove(struct fxi_pool *pool);

/* Changes in every forked child. */
uint32_t fxi_pools_generation(void);

/* --- defaults.c ------------------------------------------------------------------------------- */

#define FXI_WORKERS_MOST ((size_t)1 << 16)

/* How many workers a pool has that does not say it. */
size_t fxi_workers_default(void);

/* Which backend a pool gets that wants `wanted`. 0 or -ENOTSUP. */
int fxi_backend_choose(fx_backend wanted, fx_backend *chosen);

#endif

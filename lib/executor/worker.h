/* A worker: a thread that runs tasks of its pool, each on a fiber, and leaves those that wait.
 *
 * State of a task's fiber: it runs; or it is ready, in its worker's queue; or it waits (or sleeps)
 *   until somebody resumes it or its alarm rings; or it is spare. Only its worker changes that, but
 *   for a resume from elsewhere, which goes through the inbox.
 * State of the inbox, a word: a stack of posts (fibers that are to become ready, among others), linked by
 *   `next`; 0: none; NOTIFIED: none, but its worker is not to sleep; SLEEPS: its worker does, in a futex
 *   wait on that word; WATCHES: the same, in its backend, as it has requests in flight. Whoever changes one
 *   of the last two wakes it, by the futex or by its event.
 * Wake rule: a worker sleeps only after it has changed 0 to SLEEPS or WATCHES by compare-and-swap; so what
 *   was pushed before makes that fail, and what is pushed later finds that.
 * Memory orders: a push is a release, and the exchange that empties the inbox an acquire. */
#ifndef FXI_EXECUTOR_WORKER_H
#define FXI_EXECUTOR_WORKER_H

#include "context/thread_record.h"
#include "executor/fiber.h"
#include "executor/run_queue.h"
#include "executor/task_memory.h"

struct fxi_pool;
struct fxi_backend;

struct fxi_worker {
    struct fxi_share share;
    uintptr_t inbox __attribute__((aligned(FXI_CACHE_LINE)));
    uint32_t wakers;            /* threads that are about to set the event; while the word is WATCHES */
    int event;                  /* while there is a backend */

    struct fxi_pool *pool __attribute__((aligned(FXI_CACHE_LINE)));
    fx_thread *thread;          /* guarded by the pool's lock, as are the next three */
    struct fxi_worker *next_idle;
    bool is_idle;
    bool is_live;               /* there is a thread for it, or will be in a moment */

    /* The worker's own. */
    struct fxi_execution loop;
    struct fxi_fiber *current;  /* the fiber that it runs; NULL: its loop */
    struct fxi_fiber *ready_first, *ready_last;
    size_t ready_count;
    size_t turns;               /* fibers to switch to before the loop is to look around */
    struct fxi_fiber *over;     /* a fiber whose task is over, for the loop to put away */
    struct fxi_task_stacks stacks; /* none is in use, and there are none, while there is no thread */
    struct fxi_fiber *spare;
    size_t spare_count;
    size_t begun;               /* tasks that have begun and are not over */
    size_t freed;               /* tasks whose memory was freed, not yet told to the pool */
    struct fxi_task_blocks blocks; /* and that memory */
    size_t tasks;               /* that began, in all */
    size_t tries;               /* operations that were done without waiting, in all */
    struct fxi_alarms alarms;
    struct fxi_chains *chains;  /* of frames at waits of its tasks (stop/chain.h); NULL: not told */
    bool has_cancelled;         /* what pool->cancels says is done */
    bool searches;              /* it is counted in the pool's `searching` */
    struct fxi_backend *backend; /* NULL: it had no request yet. Written under the pool's lock */
    struct fxi_list requests;   /* those in flight, the oldest first */
    size_t in_flight;
};

/* The calling thread's, if it is one. */
extern _Thread_local struct fxi_worker *fxi_worker_self
    __attribute__((tls_model("initial-exec")));

/* Makes it what a new worker is, before its thread is started. */
void fxi_worker_reset(struct fxi_worker *worker, struct fxi_pool *pool);

/* A worker's thread. */
void *fxi_worker_main(void *worker);

/* Wakes one that may be sleeping, without anything for it. Signal-safe. */
void fxi_worker_notify(struct fxi_worker *worker);

/* Gives what it has freed back to the pool. It, or another worker, still has a hold on that. */
void fxi_worker_tell_freed(struct fxi_worker *worker);

/* --- inbox.c ---------------------------------------------------------------------------------- */

/* The fiber becomes ready. By the fiber's worker itself, or through the inbox. */
void fxi_worker_resume(struct fxi_fiber *fiber);

/* Sends it to the worker, which does not end before it arrives. By any thread; not by the worker's own a
 * second time before it has arrived. */
void fxi_worker_post(struct fxi_worker *worker, struct fxi_post *post);

/* What a fiber's `resumed` does on its arrival. */
void fxi_fiber_arrives(struct fxi_post *post);

/* Lets arrive what is in the inbox. */
void fxi_worker_collect(struct fxi_worker *worker);

static inline bool fxi_worker_has_post(const struct fxi_worker *worker)
{
    return fxi_load_relaxed(&worker->inbox) != 0;
}

/* Sleeps until it is notified, something comes into the inbox, or the deadline. */
void fxi_worker_sleep(struct fxi_worker *worker, fx_deadline deadline);

/* Whether it sleeps, or is about to. */
bool fxi_worker_is_asleep(const struct fxi_worker *worker);

/* --- waits.c ---------------------------------------------------------------------------------- */

extern const struct fxi_context_operations fxi_task_operations;

/* ops->yield of the pool. */
void fxi_worker_yield(void);

/* --- task.c ----------------------------------------------------------------------------------- */

/* Begins the task on a spare fiber or a new one, which may go on with others. False: no memory for
 * one; the task is still the caller's. */
bool fxi_worker_begin(struct fxi_worker *worker, struct fxi_pool_task *task);

/* Runs the task in the calling thread's own context, where there is no fiber for it. */
void fxi_worker_run_bare(struct fxi_pool_task *task);

/* Puts away what fxi_worker_begin left when its task was over. */
void fxi_worker_put_away(struct fxi_worker *worker);
void fxi_worker_free_spares(struct fxi_worker *worker); /* and all stacks; no task has one */

/* ops->stop of the pool. */
int fxi_worker_stop_task(struct fxi_task *task, fx_exc code);

#endif

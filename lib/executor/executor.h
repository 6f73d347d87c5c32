/* An executor as the library's own code sees it: what is common to the thread pool and the process
 * pool, and what each must bring.
 *
 * The generic part (lib/executor/submit.c, map.c, then.c) checks what the program passes, makes the
 * task with its future, copies arguments, admits no more than max_pending (blocking, refusing or
 * running in the caller as when_full says), and gives the task to the executor's `submit`. It also
 * answers cancel and stop. The executor brings the memory of tasks, a queue, and something that
 * runs them.
 *
 * The way of a task:
 *   fxi_task_new        PENDING, with the references that its submitter says: 2, a handle's and the
 *                       executor's; or 1, a detached one
 *   ops->submit         0: the executor has it, with its reference. Else the generic part frees it,
 *                       and the argument stays the program's
 *   fxi_task_start      by the executor, when it is about to run. False: cancelled meanwhile; the
 *                       executor forgets the task with fx_future_unref(&task->future)
 *   fxi_task_perform    in the context in which the task runs: calls its function in a net,
 *                       finishes the future, calls the done callbacks
 *   fx_future_unref     by the executor, its last touch of the task
 * An executor whose tasks run elsewhere (in a process) does not call fxi_task_perform; it copies
 * the result to task->future.result and calls fxi_future_finish(future, future->result), or one of
 * the other two of future/future.h.
 *
 * A task that it will never run an executor ends so:
 *   shutdown with cancel_futures     fxi_future_cancel(&task->future, NULL), unref
 *   the pool broke                   if (fxi_task_start(task))
 *                                    fxi_future_finish_code(.., FX_POOL_BROKEN, message); unref
 *   the worker's process died        fxi_future_finish_code(.., FX_WORKER_DIED, message), with the
 *                                    status where ops->worker_status finds it; unref
 *   its time limit has run out       stopped with the code FX_TIMED_OUT, which is raised in it; if
 *                                    it ends by that the future has that code
 *
 * max_pending counts tasks that were submitted and have neither started nor been cancelled. The
 * count is the generic part's, given back by whoever moves the future from PENDING; an executor has
 * nothing to do but to call fxi_task_start, not fxi_future_start. It does not count futures of I/O,
 * nor continuations (fx_future_then), which are submitted by who must not wait.
 *
 * Lifetime: `handles` counts the program's handles, and those of maps and continuations; when the
 * last is given up, ops->abandoned is called, once, and the executor ends by itself when it has
 * nothing to do any more. Its memory must stay while memory of a task of its exists, for it is
 * given that back (ops->task_free), asked to stop tasks, and told of cancels: how it counts them
 * is its own affair. */
#ifndef FXI_EXECUTOR_EXECUTOR_H
#define FXI_EXECUTOR_EXECUTOR_H

#include <fxthread/executor.h>

#include "future/future.h"

enum fxi_executor_condition {
    FXI_EXECUTOR_OPEN,
    FXI_EXECUTOR_SHUT,   /* takes no more tasks: -ESHUTDOWN */
    FXI_EXECUTOR_BROKEN  /* can run none any more: -EPIPE */
};

struct fxi_task;

/* What an executor brings. Static. "May be NULL" is said where it is so. */
struct fxi_executor_ops {
    /* Bytes of the executor's own record of a task, which begins with a struct fxi_task. Payloads
     * follow it, aligned as malloc's memory. */
    size_t task_bytes;
    /* Tasks share the memory of who submits them: functions with pointer arguments can run, and
     * maps need not copy. False, a process pool: fx_submit says -ENOTSUP. */
    bool shares_memory;
    /* Tasks may be operations of I/O: a thread pool, for which executor/io.h does the rest. */
    bool has_io;

    /* Memory for a task, `bytes` in all, aligned as malloc's, not zeroed: fxi_task_new zeroes the
     * first task_bytes. NULL: no memory. Both NULL: fxi_alloc and fxi_free. */
    void *(*task_alloc)(fx_executor *executor, size_t bytes);
    void (*task_free)(fx_executor *executor, void *memory, size_t bytes);

    /* Memory for the argument and the result of a copying function, where that is not to be the
     * task's: `bytes` in all, aligned as malloc's, of which the first arg_size are a copy of those at
     * `arg` (NULL: of none), and the others zero. 0 or what a submit says. task_free gives it back. */
    int (*payload)(struct fxi_task *task, const void *arg, size_t arg_size, size_t bytes,
                   void **payload);

    /* Whether the executor could call the function, before there is a task for it: 0 or what a submit
     * says. May be NULL. */
    int (*accepts)(fx_executor *executor, fx_copy_target fn);

    /* Queues the task and sees to it that it will run. 0; -ESHUTDOWN; -EPIPE; -EAGAIN: no thread
     * could be had for it; -ENOMEM. It decides between a submit and a shutdown that race. Does not
     * block; called from any context. */
    int (*submit)(fx_executor *executor, struct fxi_task *task);

    /* Of an executor whose tasks may begin without fxi_task_start, which it calls later; both may be
     * NULL. The future is PENDING and about to be cancelled: keeps the task from beginning, again,
     * too: true. Or it has begun, and fxi_task_start has been called: false. And: calls that if it
     * has begun. */
    bool (*hold_back)(struct fxi_task *task);
    void (*refresh)(struct fxi_task *task);

    /* The same for all tasks that have begun: called where no room is left. May be NULL. */
    void (*catch_up)(fx_executor *executor);

    /* A thread waits for the future, as fxi_future_kind's `await`. May be NULL: -EAGAIN. */
    int (*await)(struct fxi_task *task, fx_deadline deadline, bool is_stop_point);

    /* The future was cancelled while the task was queued. May be NULL: the task is then met, and
     * forgotten, where it would have been started. Else the executor may take it out at once. */
    void (*withdrawn)(struct fxi_task *task);

    /* Raises `code` in a task that was started, where it runs or waits. 0, twice too; -EALREADY. */
    int (*stop)(struct fxi_task *task, fx_exc code);

    /* fx_executor_shutdown_until: takes no more tasks (fxi_executor_set_condition), cancels those not
     * begun if asked to, wakes idle workers, and, if `wait`, waits until all tasks are done and all
     * workers gone. 0, again too; -ETIMEDOUT; -ECANCELED: the wait was stopped. That the caller is
     * one of its tasks and waits (-EDEADLK) the generic part has seen. */
    int (*shutdown)(fx_executor *executor, bool wait, bool cancel_futures, fx_deadline deadline);

    /* The last handle is given up: as shutdown without waiting, and the memory goes when it may. */
    void (*abandoned)(fx_executor *executor);

    /* Lets others run; called in a task that fxi_task_perform runs on a worker. May be NULL. */
    void (*yield)(fx_executor *executor);

    fx_backend (*backend)(const fx_executor *executor); /* may be NULL: FX_BACKEND_AUTO */

    /* Processes only; may be NULL: -ENOTSUP, -ENODATA. `kill`: SIGKILL in place of SIGTERM. */
    int (*end_workers)(fx_executor *executor, bool kill);
    int (*worker_status)(struct fxi_task *task, int *status);
};

/* The head of every executor's record. Zeroed memory, then fxi_executor_init. */
struct fx_executor {
    const struct fxi_executor_ops *ops;
    uint32_t handles;
    uint32_t condition;        /* enum fxi_executor_condition */
    size_t max_pending;        /* 0: no limit, and the next is not counted */
    size_t pending;            /* tasks admitted and not started: executor/admit.c */
    fx_when_full when_full;
    fx_nsec full_timeout;      /* 0: for ever */
    size_t parallelism;        /* how many tasks it can run at once; what maps go by */
};

#define FXI_EXECUTOR_PENDING_MOST (SIZE_MAX / 4)

/* One handle, OPEN, with no limit to what is pending. */
void fxi_executor_init(fx_executor *executor, const struct fxi_executor_ops *ops,
                       size_t parallelism);
int fxi_executor_set_full(fx_executor *executor, size_t max_pending, fx_when_full when_full,
                          fx_nsec full_timeout); /* 0 or -EINVAL */

/* Moves the condition on, never back, and wakes the submitters that wait for room. */
void fxi_executor_set_condition(fx_executor *executor, enum fxi_executor_condition condition);

/* -ESHUTDOWN, -EPIPE, or 0. */
int fxi_executor_refusal(const fx_executor *executor);

enum fxi_task_flags {
    FXI_TASK_COPIES = 1,   /* an fx_copy_target: argument and result lie in the task */
    FXI_TASK_ADMITTED = 2, /* counted in executor->pending while the future is PENDING */
    FXI_TASK_IN_CALLER = 4, /* runs in its submitter, as the executor was full */
    FXI_TASK_FOLLOWS = 8,  /* a continuation: free_arg is called whether it began or not, and
                            * `withdrawn` never, as it may not have been submitted yet */
    FXI_TASK_IO = 16       /* an operation, and no function: executor/io.h */
};

/* The head of every executor's record of a task; fields are fixed before `submit`, but has_begun
 * and outer. */
struct fxi_task {
    fx_future future;          /* first: a pointer to the one is one to the other */
    fx_executor *executor;
    union {
        fx_target fn;
        fx_copy_target copy_fn;
    };
    void *arg;                 /* of a copying one, in the payload */
    size_t arg_size;
    fx_callback free_arg;      /* of an argument that no function had; NULL: nothing */
    fx_nsec time_limit;        /* from its start; 0: none */
    const char *name;          /* in the payload; NULL: none */
    void *own;                 /* of a copying one: the extra bytes, which its function does not see */
    struct fxi_task *outer;    /* whose context runs this one in its stead: IN_CALLER in a task */
    uint32_t flags;            /* enum fxi_task_flags */
    bool has_begun;            /* the function was entered, and has the argument */
    size_t bytes;              /* of its memory, for ops->task_free */
};

/* One hold more of what is freed with the last one, which somebody may be giving up: false if that
 * was it. For who finds it in a place that it leaves, by a lock that the caller has, before it is
 * freed. */
static inline bool fxi_hold_if_any(size_t *holds)
{
    size_t present = fxi_load_relaxed(holds);
    do {
        if (present == 0)
            return false;
        /* relaxed: the lock orders what the caller does with it */
    } while (!fxi_cas_relaxed(holds, &present, present + 1));
    return true;
}

static inline struct fxi_task *fxi_task_of(fx_future *future)
{
    return fxi_container_of(future, struct fxi_task, future);
}

/* A task of the executor with room for a payload of that many bytes, at *payload (not zeroed). NULL
 * with errno ENOMEM. The caller fills in the rest, and submits it, or discards it: the argument is
 * then not freed. */
struct fxi_task *fxi_task_new(fx_executor *executor, size_t payload_bytes, void **payload,
                              uint32_t references);
void fxi_task_discard(struct fxi_task *task);

/* A task of a copying function, with both areas in the payload or where ops->payload says, the
 * result's zeroed, and extra_bytes more at *extra (which may be NULL). From `arg`, unless it is NULL,
 * arg_size bytes are copied; else the caller fills task->arg. NULL with errno ENOMEM or what ops->payload
 * says. */
struct fxi_task *fxi_task_new_copy(fx_executor *executor, fx_copy_target fn, const void *arg,
                                   size_t arg_size, size_t result_size, size_t extra_bytes,
                                   void **extra, uint32_t references);

/* Admits and submits. 0: it is the executor's, or ran here and is done. Else the negative of
 * fx_submit's errno, and the task is discarded. FXI_SUBMIT_STOPPED: it ran here, and was stopped,
 * and so is the caller: it gives up its handle, if there is one, and calls
 * fxi_submit_raise_stop(). */
enum { FXI_SUBMIT_STOPPED = 1 };

/* Whether the executor takes the function: what ops->accepts says, or 0. */
static inline int fxi_executor_accepts(fx_executor *executor, fx_copy_target fn)
{
    return executor->ops->accepts ? executor->ops->accepts(executor, fn) : 0;
}

int fxi_task_submit(struct fxi_task *task);

/* The same, but that a task that is not taken stays the caller's, to be submitted again. */
int fxi_task_try_submit(struct fxi_task *task);
_Noreturn void fxi_submit_raise_stop(void);

/* The function is about to be entered by a worker: false if the future was cancelled. */
bool fxi_task_start(struct fxi_task *task);
bool fxi_task_start_alone(struct fxi_task *task); /* which nobody else might do */

/* Calls the task's function, in the calling context, whose `task` it is meanwhile, and finishes the
 * future with what comes of it: a value (also that of fx_thread_exit(), which ends the task), or
 * the exception. Returns when the done callbacks have run; an exception of theirs is dropped. Does
 * not catch pthread_exit(): where the thread must survive that, the caller has a net of libc's.
 * A copying function's negative return becomes the exception of that code. */
void fxi_task_perform(struct fxi_task *task);

/* What fxi_task_perform does with pthread_exit(), for a caller with such a net: finishes the future
 * with FX_EXITED. */
void fxi_task_unwound(struct fxi_task *task);

/* The task in which the caller runs: the calling context's; NULL: in none. */
static inline struct fxi_task *fxi_task_current(void)
{
    return fxi_current ? fxi_current->task : NULL;
}

#endif

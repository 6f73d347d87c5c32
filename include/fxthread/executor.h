/* Executors: functions submitted, futures returned.
 *
 * An executor runs what is submitted to it as tasks: on the threads of a thread pool, or in the
 * processes of a process pool. A task of a thread pool may use everything that a thread may; where
 * it waits it is suspended, and its worker runs others meanwhile, so that two workers serve any
 * number of tasks that sleep, and tasks may wait for each other without a deadlock.
 *
 *     static int area(const void *side, size_t side_size, void *result, size_t result_size) {
 *         double n = *(const double *)side;
 *         if (n < 0)
 *             return -EDOM;
 *         *(double *)result = n * n;
 *         return 0;
 *     }
 *
 *     fx_executor *pool = fx_thread_pool_new(&(fx_thread_pool_attr){ .max_workers = 2 });
 *     double side = 3, result;
 *     fx_future *f = fx_submit_copy(pool, area, &side, sizeof side, sizeof result);
 *     if (fx_future_result_copy(f, &result, sizeof result) == 0)
 *         printf("%g\n", result);
 *     fx_future_unref(f);
 *     fx_executor_shutdown(pool, true, false);
 *     fx_executor_unref(pool);
 *
 * An executor is a counted handle. When the last one is given up, or the program ends, what was
 * submitted is still done, and the program's end waits for it.
 *
 * None of the calls is signal-safe. After fork() an executor of the parent takes nothing in the
 * child (EPIPE); new ones work.
 */
#ifndef FXTHREAD_EXECUTOR_H
#define FXTHREAD_EXECUTOR_H

#include <fxthread/future.h>

FX_BEGIN_DECLS

/* What to do with a task when max_pending others have not begun. */
typedef enum fx_when_full {
    FX_FULL_BLOCK,  /* wait for room, at most full_timeout */
    FX_FULL_REFUSE, /* EAGAIN */
    FX_FULL_RUN     /* run it here, in the submitter, before the submit returns */
} fx_when_full;

/* Which of the kernel's interfaces the I/O of a thread pool goes through (<fxthread/io.h>); all other waits
 * need neither. What the calls do is the same on both. */
typedef enum fx_backend {
    FX_BACKEND_AUTO,  /* io_uring if the kernel lets the process have it, else epoll */
    FX_BACKEND_URING, /* Linux 5.13 or newer; some containers and sandboxes refuse it, and so does the
                       * setting kernel.io_uring_disabled */
    FX_BACKEND_EPOLL  /* and calls on files and paths, which epoll cannot wait for, in helper threads */
} fx_backend;

/* --- submitting ------------------------------------------------------------------------------- */

/* A function on copies: of the argument, which is its own to read until it returns, and for the
 * result, which is zeroed before. A negative return is its exception, that code; any other is
 * success. */
typedef int (*fx_copy_target)(const void *arg, size_t arg_size, void *result, size_t result_size);

/* How one task is run: all zero is every default, and what it points at is copied. */
typedef struct fx_submit_attr {
    const char *name;
    fx_nsec time_limit;      /* from its start; then FX_TIMED_OUT is raised in it. 0: none. Not of a
                              * task that FX_FULL_RUN runs */
    fx_callback free_arg;    /* called with arg at the last unref if the function never began */
    fx_callback free_result; /* called with the value, if not NULL, at the last unref if nobody
                              * fetched it; not of fx_submit_copy (EINVAL), nor is free_arg */
    uint64_t reserved[4];    /* 0 */
} fx_submit_attr;

/* Submits fn(arg), whose return value is the future's. NULL with errno, and arg still the caller's:
 * EINVAL (an argument is NULL, a time limit below 0 but FX_FOREVER, a reserved field that is not
 * 0); ENOTSUP (a process pool, which takes fx_submit_copy only); ESHUTDOWN (the executor was shut
 * down); EPIPE (it broke); EAGAIN (it is full and refuses, or no thread could be had); ETIMEDOUT
 * (it stayed full); ECANCELED (stopped, while it waited for room, where a stop cannot be raised);
 * ENOMEM. Blocks where the executor is full and its attributes say so, and is a stop point then; a
 * task, which may submit to its own executor, is suspended. */
FX_API fx_future *fx_submit(fx_executor *executor, fx_target fn, void *arg);
FX_API fx_future *fx_submit_with(fx_executor *executor, fx_target fn, void *arg,
                                 const fx_submit_attr *attr);

/* Submits fn on a copy of arg_size bytes at arg, with room for result_size bytes: the same call for
 * every kind of executor. Both areas are aligned as malloc's memory. arg may be NULL if arg_size is
 * 0. errno as above; no ENOTSUP. */
FX_API fx_future *fx_submit_copy(fx_executor *executor, fx_copy_target fn, const void *arg,
                                 size_t arg_size, size_t result_size);
FX_API fx_future *fx_submit_copy_with(fx_executor *executor, fx_copy_target fn, const void *arg,
                                      size_t arg_size, size_t result_size,
                                      const fx_submit_attr *attr);

/* Submits fn(arg) without a future to keep: what it returns is ignored, what it raises goes to the
 * unread hook (fx_set_unread_hook). 0, or the negative of an errno as above. */
FX_API int fx_submit_detached(fx_executor *executor, fx_target fn, void *arg);

/* --- ending ----------------------------------------------------------------------------------- */

/* Takes no more tasks from here on (ESHUTDOWN). cancel_futures: those that have not begun are
 * cancelled, and operations of <fxthread/io.h> that have are stopped. `wait`: returns when all tasks
 * are done and all workers gone. 0 (again, too); -EINVAL: NULL; -EDEADLK: one of its own tasks would
 * wait for itself (nothing has happened); -ECANCELED: the wait was stopped where a stop cannot be
 * raised; -ENOMEM: a foreign thread's first call. Blocks if `wait` is set, and is a stop point
 * then. */
FX_API int fx_executor_shutdown(fx_executor *executor, bool wait, bool cancel_futures);

/* The same with `wait`, for at most so long: -ETIMEDOUT, and the shutdown goes on. */
FX_API int fx_executor_shutdown_for(fx_executor *executor, fx_nsec timeout, bool cancel_futures);
FX_API int fx_executor_shutdown_until(fx_executor *executor, fx_deadline deadline,
                                      bool cancel_futures);

/* Takes, or gives up, a handle; of NULL, nothing. Do not block. */
FX_API fx_executor *fx_executor_ref(fx_executor *executor);
FX_API void fx_executor_unref(fx_executor *executor);

/* Ends the processes of a process pool, with SIGTERM or with SIGKILL: what they ran ends with
 * FX_WORKER_DIED, and the pool is broken. 0; -ENOTSUP: a thread pool; -EINVAL: NULL. Do not
 * block. */
FX_API int fx_executor_terminate_workers(fx_executor *executor);
FX_API int fx_executor_kill_workers(fx_executor *executor);

/* --- asking ----------------------------------------------------------------------------------- */

/* The executor of the task that this is called in, borrowed; NULL outside of tasks. Does not
 * block. */
FX_API fx_executor *fx_current_executor(void);

/* The one of a thread pool, which is never FX_BACKEND_AUTO: what it was made with or, for that, the one
 * that the kernel allows. FX_BACKEND_AUTO of any other executor and of NULL. Does not block. */
FX_API fx_backend fx_executor_backend(const fx_executor *executor);

/* Lets other tasks of the worker run, or, outside of tasks, other threads; does nothing in a task that
 * cannot be left where it is (thread_pool.h). Not a stop point. */
FX_API void fx_yield(void);

FX_END_DECLS

#endif

/* Thread pools: executors whose tasks are suspended where they wait.
 *
 * A pool's workers are threads, each of which runs many tasks, in turn. A task runs on a stack of its
 * own; where it waits (fx_sleep(), a lock, a queue, fx_future_result(), fx_thread_join(): whatever of
 * this library blocks) its worker leaves it and runs another one. So the number of workers says how
 * many tasks compute at the same time, not how many there can be.
 *
 *     static void *fetch(void *arg) {
 *         fx_sleep(FX_MSEC(100)); // the worker runs other tasks meanwhile
 *         return arg;
 *     }
 *
 *     fx_future *futures[1000];
 *     fx_executor *pool = fx_thread_pool_new(&(fx_thread_pool_attr){ .max_workers = 2 });
 *     for (int i = 0; i < 1000; i++)
 *         futures[i] = fx_submit(pool, fetch, NULL);
 *     fx_wait(futures, 1000, FX_FOREVER, FX_ALL_COMPLETED, NULL); // 100 ms, not 50 s
 *     fx_future_unref_all(futures, 1000);
 *     fx_executor_unref(pool);
 *
 * What is the task's and what its worker's:
 * - A lock is held by the task, an fx_local is the task's, and so are errno and its scopes. A task that
 *   has begun stays on its worker, so that addresses of errno and of _Thread_local variables
 *   stay right.
 * - A _Thread_local variable is the worker's: after a wait, another task may have changed it. So is the
 *   signal mask, and the locale of uselocale().
 * - What belongs to a thread in libc's or another library's eyes must not be held across a wait: a
 *   pthread mutex (the next task of the worker that locks it would deadlock, or if it is recursive
 *   get in), flockfile(), a C++ static under construction.
 * - fx_current_thread() is the worker, which cannot be stopped: fx_future_stop() stops a task.
 * A task cannot be left in a signal handler of the program's, nor in a function that another library has
 * called back (a comparison of qsort(), the callback of dl_iterate_phdr()), which may hold a lock of its
 * own: a wait there blocks the worker, and fx_yield() does nothing. Another worker is started meanwhile
 * where tasks wait to begin; those that have begun on the blocked one wait with it.
 */
#ifndef FXTHREAD_THREAD_POOL_H
#define FXTHREAD_THREAD_POOL_H

#include <fxthread/executor.h>

FX_BEGIN_DECLS

/* How a pool is made: all zero is every default, and what it points at is copied. */
typedef struct fx_thread_pool_attr {
    size_t max_workers;             /* 0: the processors that the process may use, at most as many as
                                     * its cgroup's quota pays for; at most 65536 */
    const char *name_prefix;        /* of workers' names, "prefix_0" and so on; NULL: "Pool-N" */
    int (*initializer)(void *);     /* called by each worker, as a thread, before its first task. If it
                                     * returns below 0, or raises, the pool is broken: EPIPE */
    void *initarg;
    size_t stack_size;              /* bytes that a task's stack may take, reserved and not touched;
                                     * rounded up, at least 256 KiB; 0: that */
    size_t max_pending;             /* tasks that may wait to begin; 0: any number */
    fx_when_full when_full;         /* what a submit does when there are so many: FX_FULL_BLOCK */
    fx_nsec full_timeout;           /* how long FX_FULL_BLOCK waits; 0: for ever */
    fx_nsec idle_timeout;           /* a worker without tasks ends after so long; 0: 10 seconds */
    fx_backend backend;             /* what I/O goes through; each worker opens its own, with its first
                                     * request. 0: FX_BACKEND_AUTO */
    uint64_t reserved[4];           /* 0 */
} fx_thread_pool_attr;

/* Makes a pool; its workers are started as tasks come. attr may be NULL. The environment variable
 * FX_BACKEND, "epoll" or "uring", stands for FX_BACKEND_AUTO where that is asked for. NULL with errno
 * EINVAL (an unknown value, one above its limit, a duration below 0 but FX_FOREVER, a reserved field
 * that is not 0), ENOTSUP (FX_BACKEND_URING where the kernel refuses io_uring; a shadow stack of return
 * addresses is active) or ENOMEM. Does not block, is no stop point; not signal-safe. */
FX_API fx_executor *fx_thread_pool_new(const fx_thread_pool_attr *attr);

FX_END_DECLS

#endif

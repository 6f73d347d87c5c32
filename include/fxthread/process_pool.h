/* Process pools: executors whose tasks run in processes of their own, so that one that crashes
 * costs one future.
 *
 * A pool's workers are processes, each of which runs one task at a time. A task gets a copy of its
 * argument and leaves a result, both of which lie in memory that the processes share: the argument
 * is written there once, by the submit, and the result where fx_future_result() finds it.
 *
 *     static int parse(const void *text, size_t size, void *result, size_t result_size) {
 *         const char *byte = text;
 *         long *lines = result;
 *         for (size_t i = 0; i < size; i++) // may crash: nobody else will notice
 *             *lines += byte[i] == '\n';
 *         return 0;
 *     }
 *
 *     fx_executor *pool = fx_process_pool_new(&(fx_process_pool_attr){ .max_workers = 2 });
 *     long lines;
 *     fx_future *f = fx_submit_copy(pool, parse, "a\nb\n", 4, sizeof lines);
 *     int status, rc = fx_future_result_copy(f, &lines, sizeof lines);
 *     if (rc == 0)
 *         printf("%ld lines\n", lines);
 *     else if (rc == -EOWNERDEAD && fx_future_worker_status(f, &status) == 0)
 *         printf("ended by signal %d\n", status & 0x7f);
 *     fx_future_unref(f);
 *     fx_executor_unref(pool);
 *
 * What is taken: fx_submit_copy() and what is made of it, fx_executor_map() and fx_map_init().
 * fx_submit(), fx_submit_detached() and fx_future_then() are refused (ENOTSUP), for a pointer means
 * nothing in another process. So is a function that lies in no object that the dynamic loader knows
 * (compiled at run time, say, or nested): ENOTSUP. One in an object that was loaded after the first
 * pool was made is looked up by the object's file and its place in it, and the object is loaded in
 * the worker. If the file is gone, the submit is refused, too, as it is when a pool has met 128
 * such objects; if it is another one by then, the future ends with -ENOEXEC.
 *
 * Memory for arguments and results is taken when a task is submitted, and given back with its
 * future; what there is not is ENOMEM. It lies in a file without a name, which RLIMIT_FSIZE limits
 * as it does others; a program that locks its memory, mlockall(MCL_CURRENT), does so before it
 * makes pools.
 *
 * Done callbacks of tasks that have begun are called in a thread of the pool's, where a shutdown
 * that waits is refused (-EDEADLK).
 *
 * Where a task runs:
 * - Workers are forked, as tasks come, by a fork server, a process with one thread, which is itself
 *   forked when a pool is made and there is no other pool. So what a worker finds in variables is
 *   what stood there at that time, and, from then on, what tasks before it in the same process have
 *   left there; what it writes there no other process sees. As with every fork(), locks that other
 *   threads held then stay locked: libc's and this library's are freed, those of other libraries
 *   are not, so that a program makes its first pool early, or keeps one.
 *   The same holds of what the kernel keeps for a process: user and group, folder, environment,
 *   limits. A program that gives up rights does so before it makes pools.
 * - Of descriptors a worker has 0, 1 and 2. What a task has printed to stdout is written out when
 *   it ends.
 * - SIGINT is ignored there, so that of a terminal's interrupt the program alone decides; signals
 *   for which the program has a handler do what they do by default (those of a crash excepted); the
 *   signal mask is that of the pool's maker, without SIGTERM. The server and the workers are no
 *   children of the program, whose wait() does not meet them, but for a moment when the server is
 *   made: the process in between, which ends at once, is one, and the library waits for it.
 * - fx_current_executor() is NULL. Neither the program's exit handlers nor the destructors of its
 *   objects run when a worker ends.
 *
 * How a task can end, besides by its value or what it raised (code and message; a payload stays
 * behind, as does a message's file and line):
 * - Its process died, by a signal, by exit(), or for want of memory: FX_WORKER_DIED (-EOWNERDEAD),
 *   and fx_future_worker_status() tells how. No other task suffers; those that had not begun are
 *   run by others, and the worker is replaced.
 * - fx_future_stop(): its process is killed with SIGKILL, without `finally` blocks; FX_STOPPED.
 * - The time limit: likewise; FX_TIMED_OUT.
 * - The pool broke: FX_POOL_BROKEN (-EPIPE), of what has not begun. It breaks when the initializer
 *   fails or dies, when no process can be had, and by fx_executor_terminate_workers() and
 *   fx_executor_kill_workers().
 *
 * The workers end with the program, however that ends, kill -9 included; a program that exits waits
 * for what was submitted. In a child of fork() the parent's pools take nothing (EPIPE), and new
 * ones work; the results of the parent's pools must not be read there, for the parent goes on using
 * that memory.
 */
#ifndef FXTHREAD_PROCESS_POOL_H
#define FXTHREAD_PROCESS_POOL_H

#include <fxthread/executor.h>

FX_BEGIN_DECLS

#define FX_PROCESSES_MOST 1024 /* workers of one pool */

/* How a pool is made: all zero is every default, and what it points at is copied. */
typedef struct fx_process_pool_attr {
    size_t max_workers;             /* at most FX_PROCESSES_MOST; 0: the processors that the process may
                                     * use, at most as many as its cgroup's quota pays for */
    const char *name_prefix;        /* of the processes' names, "prefix_0" and so on, cut to what the
                                     * kernel keeps, 15 bytes; NULL: "Pool-N" */
    int (*initializer)(const void *initarg, size_t initarg_size);
                                    /* called by each worker before its first task. If it returns
                                     * below 0, raises, or dies, the pool is broken: EPIPE */
    const void *initarg;            /* may be NULL if initarg_size is 0 */
    size_t initarg_size;
    size_t max_tasks_per_child;     /* a worker that has run so many ends, and is replaced; 0: any
                                     * number */
    size_t max_pending;             /* tasks that may wait to begin; 0: any number */
    fx_when_full when_full;         /* what a submit does when there are so many: FX_FULL_BLOCK.
                                     * FX_FULL_RUN runs it in the submitter, not in a process */
    fx_nsec full_timeout;           /* how long FX_FULL_BLOCK waits; 0: for ever */
    uint64_t reserved[4];           /* 0 */
} fx_process_pool_attr;

/* Makes a pool; its workers are started as tasks come. attr may be NULL. NULL with errno EINVAL (an
 * unknown value, too many workers, a duration below 0 but FX_FOREVER, a reserved field that is not
 * 0, no initarg where a size is), ENOTSUP (the initializer lies in no object of the dynamic
 * loader's), EAGAIN (no process or thread could be had), EMFILE or ENFILE (no descriptor) or
 * ENOMEM. Waits for the fork server, a moment, and is no stop point; not signal-safe. */
FX_API fx_executor *fx_process_pool_new(const fx_process_pool_attr *attr);

FX_END_DECLS

#endif

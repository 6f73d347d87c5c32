/* Threads: started, named, joined, enumerated.
 *
 * A thread is a counted handle. fx_thread_new() makes one that has not begun; fx_thread_start()
 * begins it, once; fx_thread_join() waits for its end, as often and from as many threads as wished.
 * Giving up the handle of a thread that runs does not disturb it: it frees itself when it ends.
 *
 *     static void *greet(void *name) { printf("hello from %s\n", (char *)name); return NULL; }
 *
 *     int main(void) {
 *         fx_thread *t = fx_thread_new(greet, "a thread", &(fx_thread_attr){ .name = "greeter" });
 *         if (!t || fx_thread_start(t) != 0)
 *             return EXIT_FAILURE;
 *         fx_thread_join(t, NULL);
 *         fx_thread_unref(t);
 *     }
 *
 * A thread is a daemon or not. When the program ends (main returns, or exit() is called) it waits
 * for the threads that are not daemons; daemons end with the process, wherever they are.
 *
 * Threads are made with clone(2) and yet are threads to libc too: errno, malloc, stdio, locales,
 * _Thread_local, and every pthread function that acts on the calling thread work in them. They are
 * not to be joined, detached or cancelled through pthread_t from another thread.
 *
 * What is asked of no thread, NULL, is answered by -EINVAL where the answer may be an error, else by
 * 0, false, or "".
 *
 * The main thread and threads that the library did not start have handles too: Python's MainThread
 * and its dummy threads. All calls work from all of them.
 *
 * After fork() the child's only thread is its main thread. Handles of the others stay valid, and
 * fx_thread_join() says -ESRCH of them.
 */
#ifndef FXTHREAD_THREAD_H
#define FXTHREAD_THREAD_H

#include <sched.h>
#include <sys/types.h>

#include <fxthread/duration.h>
#include <fxthread/stop.h>

FX_BEGIN_DECLS
typedef struct fx_thread fx_thread;

/* How a thread is made: all zero is every default, and what it points at is copied. free_arg and
 * free_result run in whichever thread gives up the last handle, the ending thread itself, with
 * signals blocked, if it is that one. They may use locks and the handle, but set no fx_local. */
typedef struct fx_thread_attr {
    const char *name;          /* NULL: "Thread-N". The kernel shows its first 15 bytes */
    bool daemon;               /* false: a daemon if its creator is one */
    fx_stop_mode stop_mode;    /* FX_STOP_SAFE */
    size_t stack_size;         /* bytes, rounded up to pages, at least 32 KiB; 0: fx_stack_size's */
    const cpu_set_t *affinity; /* processors it may run on; NULL: its creator's */
    size_t affinity_size;      /* bytes at `affinity`, as for sched_setaffinity(2) */
    fx_callback free_arg;      /* called with arg at the last unref if fn never began */
    fx_callback free_result;   /* called with the result at the last unref if no join fetched it */
    uint64_t reserved[4];      /* 0 */
} fx_thread_attr;

/* Makes a thread that will call fn(arg). attr may be NULL. NULL with errno EINVAL (fn is NULL, a
 * stack size below 32 KiB, an unknown stop mode, an affinity without a size or with an empty set, a
 * reserved field that is not 0) or ENOMEM. Does not block, is no stop point. */
FX_API fx_thread *fx_thread_new(fx_target fn, void *arg, const fx_thread_attr *attr);

/* Begins it. 0; -EALREADY: begun before; -EINVAL: NULL, main or a foreign thread, or processors
 * that this process may not use; -EAGAIN: no more threads now (RLIMIT_NPROC, pids cgroup,
 * threads-max); -ENOMEM: no memory for stack or TLS; -ENOTSUP: the running libc is one that the
 * library cannot work with. After the last four nothing has happened, and it may be tried again.
 * Not a stop point. */
FX_API int fx_thread_start(fx_thread *thread);

/* fx_thread_new with the default attributes, and fx_thread_start. NULL with errno as they say. */
FX_API fx_thread *fx_thread_spawn(fx_target fn, void *arg);

/* Waits for its end and, where `result` is not NULL, stores what fn returned or was given to
 * fx_thread_exit(): NULL if it ended by an exception. 0 however it ended; -EDEADLK: oneself;
 * -EINVAL: NULL, or not started; -ETIMEDOUT; -ESRCH: lost in a fork; -ENOMEM: a foreign thread's
 * first call found no memory. A thread whose call of exit() is under way has ended for those that
 * this exit() waits for, and for others it never ends: the program does. Blocks; a stop point; not
 * signal-safe. */
FX_API int fx_thread_join(fx_thread *thread, void **result);
FX_API int fx_thread_join_for(fx_thread *thread, fx_nsec timeout, void **result);
FX_API int fx_thread_join_until(fx_thread *thread, fx_deadline deadline, void **result);

/* How it ended: 0 (it returned, or has not ended), FX_EXITED, FX_STOPPED, or what it raised. Does
 * not block; signal-safe. */
FX_API fx_exc fx_thread_exception(const fx_thread *thread);

/* The same with all that is known. 0; -EINVAL: NULL or not started; -EBUSY: it is alive. What the
 * info points at lives as long as the handle. Does not block. */
FX_API int fx_thread_exception_info(fx_thread *thread, fx_exc_info *info);

/* Started and not ended. Does not block; signal-safe. */
FX_API bool fx_thread_is_alive(const fx_thread *thread);

FX_API bool fx_thread_daemon(const fx_thread *thread);

/* 0; -EINVAL: NULL; -EBUSY: it was started (always so for main and foreign threads). */
FX_API int fx_thread_set_daemon(fx_thread *thread, bool daemon);

/* Its name; never NULL. The string stays as it is while the handle is held, whatever set_name does. */
FX_API const char *fx_thread_name(const fx_thread *thread);

/* Renames it, in the kernel's eyes too (first 15 bytes). 0; -EINVAL: NULL; -ENOMEM. */
FX_API int fx_thread_set_name(fx_thread *thread, const char *name);

/* A number that no other thread of this process ever has; 0 before its start. */
FX_API uint64_t fx_thread_ident(const fx_thread *thread);

/* The kernel's thread id, as gettid(2) tells it; 0 before its start. It stays after the end. */
FX_API pid_t fx_thread_native_id(const fx_thread *thread);

/* Stops it: raises FX_STOPPED in it, wherever it is (fx_stop(7), <fxthread/stop.h>). 0: asked, as it may
 * have been before; -EINVAL: NULL, or not started; -ESRCH: it has ended, is in exit(), or was lost in a
 * fork; -EPERM: it is a worker of an executor; -EAGAIN: the kernel's queue of signals is full
 * (RLIMIT_SIGPENDING): it is asked, and will be told at its next stop point only, or by another call.
 *
 * A stop of oneself is raised at once, unless it has to wait. It does not wait for the thread to end:
 * join it. A thread whose function returns first, or ends by another exception, ends by that; one that
 * had not begun its function never does, and its free_arg is called. A foreign thread is reached at
 * stop points only. In the main thread a stop that nothing catches ends the program by
 * exit(EXIT_FAILURE). A call of libc's that blocks in the stopped thread may return early with EINTR.
 * Does not block but for moments; no stop point, but of oneself; not signal-safe. */
FX_API int fx_thread_stop(fx_thread *thread);

/* The same with another exception, which an FX_EXCEPT can take. Of several that are asked before the
 * first is raised the last one is, but a stop is never replaced. -EINVAL also: the code is 0. */
FX_API int fx_thread_raise(fx_thread *thread, fx_exc code);

/* Takes, or gives up, a handle; of NULL, nothing. The last one out frees: the
 * thread itself holds one while it runs. Do not block. */
FX_API fx_thread *fx_thread_ref(fx_thread *thread);
FX_API void fx_thread_unref(fx_thread *thread);

/* The calling thread's handle, and the main thread's: borrowed, valid while that thread runs.
 * fx_current_thread() is NULL, with errno ENOMEM, only in a foreign thread's first call. */
FX_API fx_thread *fx_current_thread(void);
FX_API fx_thread *fx_main_thread(void);

/* How many threads are alive: those started here, main, and the foreign ones that have called the
 * library and still run. fx_enumerate() also stores min(that, n) handles at `out`, oldest first,
 * each counted: give each up with fx_thread_unref(). Do not block for long; no stop points. */
FX_API size_t fx_active_count(void);
FX_API size_t fx_enumerate(fx_thread **out, size_t n);

/* Sets the stack size of threads made from now on without one of their own, and returns the former
 * setting. 0 stands for the default of 8 MiB, as argument and as result. A size below 32 KiB
 * changes nothing and returns SIZE_MAX with errno EINVAL. */
FX_API size_t fx_stack_size(size_t size);

/* Sleeps for all of `duration`, whatever signals come: signal handlers run and the sleep goes on. 0.
 * 0 and what is past return at once. Blocks; a stop point. */
FX_API int fx_sleep(fx_nsec duration);
FX_API int fx_sleep_until(fx_deadline deadline);

/* Ends the calling thread as though fn had returned `result`. In the main thread and in a foreign
 * one it is pthread_exit(): the program goes on until its other threads have ended. */
FX_API FX_NORETURN void fx_thread_exit(void *result);

/* What is called, in the thread that ended by an exception nothing caught, before its joiners go on;
 * not for a stop or an exit. The default writes the thread's name and the exception to stderr. NULL
 * restores it. Returns the former one, which is never NULL. */
typedef void (*fx_excepthook)(fx_thread *thread, const fx_exc_info *info);
FX_API fx_excepthook fx_set_excepthook(fx_excepthook hook);

FX_END_DECLS

#endif

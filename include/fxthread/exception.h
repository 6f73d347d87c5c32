/* Exceptions: raising one, and what is known of it afterwards.
 *
 * An exception is a code with, if its raiser wishes, a message or a payload. One that nothing
 * catches ends its thread: the thread's destructors run, the excepthook reports it, and
 * fx_thread_exception() tells it to whoever holds the thread's handle. In the main thread it ends
 * the program with EXIT_FAILURE, after the excepthook.
 *
 *     static void *load(void *path) {
 *         int fd = open(path, O_RDONLY | O_CLOEXEC);
 *         if (fd < 0)
 *             fx_raise_msg(-errno, "cannot open %s", (const char *)path);
 *         ...
 *     }
 *
 * Raising jumps, to the innermost scope that has something to do with it (<fxthread/scope.h>), or to
 * the thread's start: nothing else in between runs any more, so that what those frames own (memory,
 * descriptors) needs a scope, or is theirs to give up first. To raise across a frame of a foreign
 * library (out of a qsort callback, say) is illegal; a library built with --enable-debug ends the program
 * there, and says why.
 */
#ifndef FXTHREAD_EXCEPTION_H
#define FXTHREAD_EXCEPTION_H

#include <fxthread/base.h>

FX_BEGIN_DECLS

/* 0: none. Negative: -errno. 1 to 0x3fffffff: the program's own. Above: the library's, below. */
typedef int fx_exc;

enum {
    FX_STOPPED = 0x40000000, /* the thread was stopped */
    FX_EXITED,               /* fx_thread_exit() or pthread_exit() */
    FX_CANCELLED,            /* the future was cancelled before it ran */
    FX_TIMED_OUT,            /* a time limit ran out */
    FX_WORKER_DIED,          /* the process that ran the task died */
    FX_POOL_BROKEN           /* the executor can run nothing any more */
};

/* What is known of an exception. The strings and the payload belong to the library, and live as
 * long as what they were asked of: the thread's handle, the excepthook's call, or the except block. */
typedef struct fx_exc_info {
    fx_exc code;         /* 0: there was none */
    int line;            /* where it was raised; 0 unknown */
    const char *file;    /* where it was raised; NULL unknown */
    const char *message; /* "" if none was given */
    void *payload;       /* NULL if none was given */
} fx_exc_info;

/* Raises `code`, which is not 0. Allocates nothing; signal-safe where the signal interrupted code
 * of the program's own. `code` 0 raises -EINVAL instead. */
FX_API FX_NORETURN void fx_raise(fx_exc code);

/* The same with a message of at most 159 bytes (what is longer is cut), formatted at once. */
FX_API FX_NORETURN void fx_raise_msg(fx_exc code, const char *format, ...) FX_PRINTF(2, 3);

/* The same with a payload, which the exception owns from here on: free_it(payload), unless either
 * is NULL, is called when the exception is over: at the end of the block that caught it, when another
 * one replaces it, or, if it ended its thread, when the thread's last handle is given up. free_it does
 * not raise. */
FX_API FX_NORETURN void fx_raise_with(fx_exc code, void *payload, fx_callback free_it);

/* Raises `rc` if it is negative, else returns it: fx_check(fx_sleep(FX_SEC(1))). */
FX_API int fx_check(int rc);

/* A short name of an exception's code: "ETIMEDOUT", "FX_STOPPED", "17". The string is constant,
 * or, for the program's own codes, in a buffer of the calling thread that the next call reuses.
 * Does not block. */
FX_API const char *fx_exc_name(fx_exc code);

/* With the place of the raise. The functions above raise without one when their address is used. */
FX_API FX_NORETURN void fx_raise_at(fx_exc code, const char *file, int line);
FX_API FX_NORETURN void fx_raise_msg_at(fx_exc code, const char *file, int line, const char *format,
                                        ...) FX_PRINTF(4, 5);
FX_API FX_NORETURN void fx_raise_with_at(fx_exc code, void *payload, fx_callback free_it,
                                         const char *file, int line);
FX_API int fx_check_at(int rc, const char *file, int line);
#define fx_raise(code) fx_raise_at((code), __FILE__, __LINE__)
#define fx_raise_msg(code, ...) fx_raise_msg_at((code), __FILE__, __LINE__, __VA_ARGS__)
#define fx_raise_with(code, payload, free_it) \
    fx_raise_with_at((code), (payload), (free_it), __FILE__, __LINE__)
#define fx_check(rc) fx_check_at((rc), __FILE__, __LINE__)

FX_END_DECLS

#endif

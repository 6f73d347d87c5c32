/* Something that is to be done once, by whichever thread comes first.
 *
 * An fx_once is 4 bytes, placed by the caller; all-zero bytes, and FX_ONCE_INIT, are one that is
 * not done. Illegal: a pointer that is NULL; copying one that is in use; giving up its memory while
 * a call on it is under way.
 *
 *     static void open_log(void *path) {
 *         int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
 *         if (fd < 0)
 *             fx_raise(-errno);
 *         dup2(fd, STDERR_FILENO);
 *     }
 *
 *     void complain(const char *what) {
 *         static fx_once opened = FX_ONCE_INIT;
 *         fx_once_call(&opened, open_log, "program.log");
 *         fprintf(stderr, "%s\n", what);
 *     }
 *
 * What the function wrote is seen by every thread whose fx_once_call() has returned 0.
 */
#ifndef FXTHREAD_ONCE_H
#define FXTHREAD_ONCE_H

#include <fxthread/base.h>

FX_BEGIN_DECLS

typedef struct fx_once {
    uint32_t word; /* the library's */
} fx_once;

#define FX_ONCE_INIT { 0 }

/* Calls fn(arg) if that was not done before, or waits while another thread does. If fn raises, or
 * ends its thread, it is not done: the exception goes on in that thread, and one of those that
 * wait, or the next caller, tries again with its own fn. 0: it is done; -EDEADLK: called by fn
 * itself; -EINVAL: fn is NULL and it is not done; -ENOMEM: a foreign thread's first call found no
 * memory. Blocks; a stop point unless it is done; not signal-safe. Illegal: to leave fn by
 * longjmp(). After a fork, one that another thread was doing is never done in the child. */
FX_API int fx_once_call(fx_once *once, fx_callback fn, void *arg);

/* fx_once_call where it is not done yet: what that calls, and of no other use. */
FX_API int fx_once_call_slowly(fx_once *once, fx_callback fn, void *arg);

FX_INLINE int fx_once_call(fx_once *once, fx_callback fn, void *arg)
{
    /* acquire: pairs with the release when fn has returned */
    if (__builtin_expect(__atomic_load_n(&once->word, __ATOMIC_ACQUIRE) == 1, 1))
        return 0;
    return fx_once_call_slowly(once, fn, arg);
}

FX_END_DECLS

#endif

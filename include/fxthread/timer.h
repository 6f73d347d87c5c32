/* Timers: a function called once, later, in a thread of its own.
 *
 * As Python's threading.Timer, but a timer that is waiting costs no thread: one thread of the
 * library keeps them all, and starts a thread for each function when its time has come. A timer is
 * made non-daemon or daemon as the thread is that makes it, and the program's end waits for the
 * timers that are not daemons: cancel those that it should not wait for.
 *
 *     static void *remind(void *text) { puts(text); return NULL; }
 *
 *     fx_timer *tea = fx_timer_new(FX_SEC(180), remind, "tea is ready");
 *     fx_timer_start(tea);
 *     ...
 *     fx_timer_cancel(tea);      // -EALREADY: too late, it has begun
 *     fx_timer_unref(tea);
 *
 * A timer is a counted handle; giving up the handle of a started timer does not disturb it.
 *
 * Where no thread can be had when a timer's time has come, the library's thread calls the function
 * itself, and the timers behind it wait. An exception in the function ends its thread and goes to
 * the excepthook.
 *
 * After fork() the timers that waited in the parent do not call in the child. Their handles stay
 * valid there, and fx_timer_join() says -ESRCH of them; new timers work.
 */
#ifndef FXTHREAD_TIMER_H
#define FXTHREAD_TIMER_H

#include <fxthread/duration.h>

FX_BEGIN_DECLS

typedef struct fx_timer fx_timer;

/* Makes a timer that, `interval` after its start, calls fn(arg). An interval of 0 and one that is
 * past call it at once; with FX_FOREVER it waits to be cancelled. The result of fn is ignored. NULL
 * with errno EINVAL (fn is NULL) or ENOMEM. Does not block. */
FX_API fx_timer *fx_timer_new(fx_nsec interval, fx_target fn, void *arg);

/* Starts it. fn will have the signal mask of the caller. 0; -EINVAL: NULL; -EALREADY: it was
 * started before, or cancelled; -ENOMEM, -EAGAIN, -ENOTSUP: no thread to keep it (see
 * fx_thread_start), and it may be started again. Not a stop point. */
FX_API int fx_timer_start(fx_timer *timer);

/* Keeps it from calling its function. 0: it will not (cancelled twice, too, and before its start);
 * -EINVAL: NULL; -EALREADY: the function has begun or is done. Does not wait for it. */
FX_API int fx_timer_cancel(fx_timer *timer);

/* Waits until the timer is over: the thread of its function has ended, or it was cancelled. 0;
 * -EINVAL: NULL, or not started; -EDEADLK: called by its own function; -ETIMEDOUT; -ESRCH: lost in
 * a fork; -ENOMEM: a foreign thread's first call found no memory. A function whose call of exit()
 * is under way is over for those that this exit() waits for. Blocks; a stop point. */
FX_API int fx_timer_join(fx_timer *timer);
FX_API int fx_timer_join_for(fx_timer *timer, fx_nsec timeout);
FX_API int fx_timer_join_until(fx_timer *timer, fx_deadline deadline);

/* Takes, or gives up, a handle; of NULL, nothing. Do not block. */
FX_API fx_timer *fx_timer_ref(fx_timer *timer);
FX_API void fx_timer_unref(fx_timer *timer);

FX_END_DECLS

#endif

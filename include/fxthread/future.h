/* Futures: what will come of something that was submitted, or promised.
 *
 * A future is done when it has a value, an exception, or was cancelled before it began. Any number
 * of threads and tasks may wait for it, ask it, and cancel it; once done it does not change.
 *
 *     static void *square(void *n) { return (void *)((intptr_t)n * (intptr_t)n); }
 *     static void report(fx_future *f, void *name) { printf("%s is done\n", (char *)name); }
 *
 *     fx_executor *pool = fx_thread_pool_new(NULL);
 *     fx_future *f = fx_submit(pool, square, (void *)7);
 *     fx_future_add_done_callback(f, report, "square");
 *     void *result;
 *     if (fx_future_result(f, &result) == 0)
 *         printf("%d\n", (int)(intptr_t)result);
 *     fx_future_unref(f);
 *     fx_executor_unref(pool);
 *
 * A future is a counted handle; giving up the handle of one that is not done does not disturb it,
 * nor cancel it.
 *
 * A program makes futures of its own with fx_future_new(): promises, which it fulfils with
 * fx_future_set_result() or fx_future_set_exception().
 *
 * Every wait here is a stop point, suspends the task that it is called in, and takes all
 * fulfilments in any order. Only fx_future_ref, _done, _cancelled, _result_size and
 * fx_set_unread_hook are signal-safe. After fork() the futures of the parent's executors that were
 * not done stay valid in the child, and waits for them say -ESRCH; promises work on.
 */
#ifndef FXTHREAD_FUTURE_H
#define FXTHREAD_FUTURE_H

#include <fxthread/duration.h>
#include <fxthread/exception.h>

FX_BEGIN_DECLS

typedef struct fx_future fx_future;
typedef struct fx_executor fx_executor;

/* --- the outcome ------------------------------------------------------------------------------ */

/* Waits until it is done and says what came of it; where that is 0, stores the value in *out:
 *   0            it has a value. Of fx_submit_copy, *out points to the result in the future's own
 *                memory, valid while the handle is held
 *   -ETIMEDOUT   not done in time; this wait only, the future goes on
 *   -ECANCELED   it was cancelled, or stopped (fx_future_cancelled() tells these apart); or this
 *                wait was stopped where a stop cannot be raised
 *   -ETIME       its time limit ran out
 *   -EPIPE       its executor broke
 *   -EOWNERDEAD  the process that ran it died
 *   -EREMOTEIO   it raised: fx_future_exception() tells what
 *   -EINVAL      `future` is NULL
 *   -EDEADLK     called by the task whose future it is
 *   -ESRCH       lost in a fork
 *   -ENOMEM      a foreign thread's first call found no memory
 * Blocks; a stop point. */
FX_API int fx_future_result(fx_future *future, void **out);
FX_API int fx_future_result_for(fx_future *future, fx_nsec timeout, void **out);
FX_API int fx_future_result_until(fx_future *future, fx_deadline deadline, void **out);

/* The same with the result of an fx_submit_copy copied to buf, of which the first
 * fx_future_result_size() bytes are written. -EMSGSIZE: `size` is less than that (nothing is
 * written). Of any other future the size is 0, and nothing is copied. */
FX_API int fx_future_result_copy(fx_future *future, void *buf, size_t size);

/* Bytes of the result of an fx_submit_copy, done or not; 0 of any other, and of NULL. Does not
 * block. */
FX_API size_t fx_future_result_size(const fx_future *future);

/* Waits until it is done and stores the exception's code, 0 if it has none: FX_CANCELLED of a
 * cancelled one, FX_STOPPED of a stopped one, FX_TIMED_OUT, FX_POOL_BROKEN, FX_WORKER_DIED, or what
 * it raised. 0; -EINVAL, -ETIMEDOUT, -ECANCELED (this wait was stopped), -EDEADLK, -ESRCH and
 * -ENOMEM as above. Blocks; a stop point. */
FX_API int fx_future_exception(fx_future *future, fx_exc *out);
FX_API int fx_future_exception_for(fx_future *future, fx_nsec timeout, fx_exc *out);
FX_API int fx_future_exception_until(fx_future *future, fx_deadline deadline, fx_exc *out);

/* The same with all that is known; *info is written with code 0 if there is none. What it points to
 * is the future's, and valid while the handle is held. */
FX_API int fx_future_exception_info(fx_future *future, fx_exc_info *info);

/* Cancelled before it began; begun and not done; done in any way. NULL is none of these. Do not
 * block. */
FX_API bool fx_future_cancelled(const fx_future *future);
FX_API bool fx_future_running(const fx_future *future);
FX_API bool fx_future_done(const fx_future *future);

/* How the process that ran it ended, as waitpid(2) tells it. 0; -ENODATA: it is not one that died
 * with its process; -EINVAL: NULL. Does not block. */
FX_API int fx_future_worker_status(fx_future *future, int *wstatus);

/* --- ending it early -------------------------------------------------------------------------- */

/* Keeps it from beginning. 0: it is cancelled, and done (again, too); -EBUSY: it runs; -EALREADY:
 * it has another outcome; -EINVAL: NULL. Done callbacks are called here. Does not block itself. */
FX_API int fx_future_cancel(fx_future *future);

/* The same, and if it runs it is stopped: FX_STOPPED is raised in it where it runs or waits, its
 * `finally` blocks run, and its exception is FX_STOPPED, unless it ends in another way first. 0: it
 * is cancelled, or was asked (again, too); -EALREADY: it has another outcome; -ENOTSUP: it runs,
 * and cannot be asked (a promise, or a task that runs in its submitter); -EINVAL: NULL. Does not
 * wait for its end. */
FX_API int fx_future_stop(fx_future *future);

/* --- what follows ----------------------------------------------------------------------------- */

typedef void (*fx_done_callback)(fx_future *borrowed, void *arg);

/* Has fn(future, arg) called when it is done: after the waiters are woken, in the order in which
 * callbacks were added, in whichever thread or task finishes or cancels it. If it is done already,
 * the call is made here and now. An exception that fn raises goes to the excepthook, and the others
 * are called all the same; one that is a stop or an exit goes on when they have been. 0; -EINVAL:
 * an argument is NULL; -ENOMEM: fn will not be called. Does not block itself. */
FX_API int fx_future_add_done_callback(fx_future *future, fx_done_callback fn, void *arg);

/* Submits fn(future, arg) to the executor when the future is done, however it ended. Returns the
 * future of that call, which can be cancelled, and waited for, from now on; if the executor takes
 * nothing any more by then its exception is -ESHUTDOWN or whatever a submit says; if the future is
 * a promise that is given up unfulfilled, it is cancelled. It does not count against the executor's
 * max_pending. fn may use the future until it returns. NULL with errno EINVAL (an argument is
 * NULL), ENOTSUP (a process pool) or ENOMEM. Does not block. */
FX_API fx_future *fx_future_then(fx_future *future, fx_executor *executor,
                                 void *(*fn)(fx_future *done, void *arg), void *arg);

/* --- several at once -------------------------------------------------------------------------- */

typedef enum fx_return_when {
    FX_ALL_COMPLETED,
    FX_FIRST_COMPLETED,
    FX_FIRST_EXCEPTION /* one has an exception, FX_CANCELLED apart; or all are done */
} fx_return_when;

/* Waits until one of n futures, or all, are done. They may be of different executors, and may stand
 * there more than once; their order is not touched. *n_done: how many of the n are done then, also
 * where -ETIMEDOUT is returned. 0 (at once if n is 0); -ETIMEDOUT; -EINVAL: `futures` or one of
 * them is NULL, or `when` is none of the above; -ECANCELED: stopped where a stop cannot be raised;
 * -EDEADLK: a task waits for all, its own among them; -ESRCH: what is waited for cannot come, as it
 * was lost in a fork; -ENOMEM (to wait for one of more than 16, or a foreign thread's first call).
 * Blocks; a stop point. */
FX_API int fx_wait(fx_future *const *futures, size_t n, fx_nsec timeout, fx_return_when when,
                   size_t *n_done);
FX_API int fx_wait_until(fx_future *const *futures, size_t n, fx_deadline deadline,
                         fx_return_when when, size_t *n_done);

/* Takes futures one after the other as they become done: a struct that the caller places, and that
 * one thread or task uses.
 *
 *     fx_as_completed each;
 *     fx_as_completed_init(&each, futures, n, FX_FOREVER);
 *     while (fx_as_completed_next(&each, &f, NULL) == 1)
 *         ...
 *     fx_as_completed_end(&each);
 */
typedef struct fx_as_completed {
    void *state;
    uint64_t reserved[3];
} fx_as_completed;

/* Begins, with a reference on each of the n futures. `total`: the time for all of it. 0; -EINVAL:
 * an argument is NULL, or one of the futures is; -ENOMEM. Whatever it returns,
 * fx_as_completed_end() may follow. Does not block. */
FX_API int fx_as_completed_init(fx_as_completed *each, fx_future *const *futures, size_t n,
                                fx_nsec total);

/* Waits for the next one. 1: *borrowed is the future, valid until the end, and *index is where it
 * first stands among the n; first come those that were done at the beginning, in their order, then
 * the others in the order in which they become done; one that stands there twice comes once. 0:
 * there are no more; -ETIMEDOUT: the time is over; -EINVAL: NULL, or ended; -ECANCELED: stopped
 * where a stop cannot be raised; -ESRCH: those left were lost in a fork; -ENOMEM: a foreign
 * thread's first call. Blocks; a stop point. */
FX_API int fx_as_completed_next(fx_as_completed *each, fx_future **borrowed, size_t *index);

/* Gives up the references. To be called always, in a `finally` block where a stop may come; twice
 * is fine. Does not block. */
FX_API void fx_as_completed_end(fx_as_completed *each);

/* --- handles ---------------------------------------------------------------------------------- */

/* Takes, or gives up, a handle; of NULL, nothing. The last unref of a future that
 * ended with an exception which nobody asked for calls the unread hook. Do not block. */
FX_API fx_future *fx_future_ref(fx_future *future);
FX_API void fx_future_unref(fx_future *future);

/* fx_future_unref of each of n, which are set to NULL. Entries may be NULL. */
FX_API void fx_future_unref_all(fx_future **futures, size_t n);

/* Told of exceptions that nobody asked for: neither fx_future_result() nor its like has returned,
 * nor fx_future_exception(), when the last reference to the future is given up. Not of
 * FX_CANCELLED, FX_STOPPED and FX_EXITED. Called in whichever thread or task gives it up; both
 * arguments are borrowed for the call, and the future is not to be referenced any more. What the
 * hook raises is dropped. NULL, as at the beginning: nobody is told. Returns the hook before. Does
 * not block. */
typedef void (*fx_unread_hook)(fx_future *future, const fx_exc_info *info);
FX_API fx_unread_hook fx_set_unread_hook(fx_unread_hook hook);

/* --- promises --------------------------------------------------------------------------------- */

/* Makes a promise: a future that the program itself fulfils. NULL with errno ENOMEM. Does not
 * block. */
FX_API fx_future *fx_future_new(void);

/* Of a promise, before the work for it begins: from here on it cannot be cancelled. 0: it runs;
 * -ECANCELED: it was cancelled, so there is nothing to be done; -EALREADY: it runs or is done;
 * -EPERM: it is an executor's; -EINVAL: NULL. Does not block. */
FX_API int fx_future_set_running_or_notify_cancel(fx_future *future);

/* Fulfils a promise, running or not: with a value, or with an exception (code 0 is taken for
 * -EINVAL; of `message`, which may be NULL, the first 159 bytes are kept). 0; -EALREADY: it is
 * done, cancelled, or just being fulfilled by another; -EPERM: it is an executor's; -EINVAL: NULL.
 * Done callbacks are called here. Do not block themselves. */
FX_API int fx_future_set_result(fx_future *future, void *result);
FX_API int fx_future_set_exception(fx_future *future, fx_exc code, const char *message);

FX_END_DECLS

#endif

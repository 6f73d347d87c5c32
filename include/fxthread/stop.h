/* Stopping a thread, as the thread that may be stopped sees it. Stopping one: fx_thread_stop() in
 * <fxthread/thread.h>. The whole of it: fx_stop(7).
 *
 * A stop is an exception that arrives from outside: FX_STOPPED, raised in the thread at the place where
 * it happens to be. Its FX_FINALLY blocks run and what its FX_WITH, FX_GUARD and FX_DEFER hold is given
 * back, innermost first; then it ends, and can be joined. What a thread is in the middle of that must
 * not be left half done goes between fx_stop_disable() and fx_stop_enable(), or into a scope:
 *
 *     struct ledger { double sum; long count; };
 *
 *     static void *worker(void *arg) {
 *         struct ledger *ledger = arg;
 *         for (unsigned seed = 1;;) {
 *             double drawn = rand_r(&seed);  // may be stopped anywhere in here
 *             fx_stop_disable();
 *             ledger->sum += drawn;          // both or neither
 *             ledger->count++;
 *             fx_stop_enable();              // a stop that came meanwhile takes effect here
 *         }
 *     }
 *
 * A stop takes effect, by the thread's mode:
 *  - FX_STOP_SAFE: at a stop point, and at any instruction of the program's own. In a function of libc, or
 *    of another library that did not opt in, and in what such a function calls back, it takes effect
 *    when that function returns to the program.
 *  - FX_STOP_DEFERRED: at stop points only.
 *  - FX_STOP_ASYNC: as FX_STOP_SAFE, and within other libraries too: for a thread that computes and calls
 *    nothing that has a state.
 * Stop points are fx_checkpoint(), fx_stop_enable() and the waits of this library, when they wait: of
 * locks, conditions and all others, of joins and sleeps. Where one is reached inside of what
 * another library has called back, it returns -ECANCELED, and the stop waits for that library to return.
 *
 * It waits, in every mode, while the thread is in an FX_EXCEPT or FX_FINALLY block, in a release or a
 * function of FX_DEFER, between fx_stop_disable() and fx_stop_enable(), in this library, and in the
 * destructors at its end. Where the safe mode cannot tell whose code is running (code without unwind
 * tables, a stack of swapcontext(3), a wholly static program, a shadow stack) it waits for a stop point. */
#ifndef FXTHREAD_STOP_H
#define FXTHREAD_STOP_H

#include <fxthread/exception.h>

FX_BEGIN_DECLS

/* When a stop may reach a thread; see above. It is set in fx_thread_attr, and by the thread itself. */
typedef enum fx_stop_mode {
    FX_STOP_SAFE,     /* anywhere in the program's own code, never inside another library's */
    FX_STOP_DEFERRED, /* at stop points only */
    FX_STOP_ASYNC     /* anywhere at all: for pure computation */
} fx_stop_mode;

/* A stop point that does nothing else: raises what was asked of the calling thread, if anything was.
 * Does not block; not signal-safe. A few nanoseconds. */
FX_API void fx_checkpoint(void);

/* Between these two nothing that was asked is raised, not at stop points either, which then wait as
 * long as they have to. They nest, and an exception does not end them: where one may
 * leave, fx_stop_enable() belongs into an FX_FINALLY. The last fx_stop_enable() is a stop point; one
 * too many is none, and does nothing. Do not block; signal-safe. */
FX_API void fx_stop_disable(void);
FX_API void fx_stop_enable(void);

/* Whether something was asked of the calling thread and has not been raised yet. Does not block;
 * signal-safe; a plain load. */
FX_API bool fx_stop_requested(void);

/* Sets the calling thread's mode and returns the former one; an unknown mode changes nothing. What is
 * pending is raised when the new mode allows it. Does not block; not signal-safe. */
FX_API fx_stop_mode fx_stop_set_mode(fx_stop_mode mode);

/* Opts the shared library or program that the address lies in in: its code counts as the program's own
 * from here on, and it stays loaded for good. It must be so that any of its functions, as the program's
 * own, may be left by an exception at any instruction. Typically `fx_stop_allow_object(some_function)`.
 * 0, again too; -EINVAL: nothing is loaded at that address, or it is libc, the loader or this library;
 * -ENOSPC: 32 have opted in already; -ENOMEM. Does not block for long; no stop point; not signal-safe. */
FX_API int fx_stop_allow_object(const void *address);

/* The signal by which stops travel, a real-time one, chosen by `configure --with-stop-signal`. The
 * library installs its handler, without SA_RESTART, at the first stop of a process, and passes what
 * others send by it on to the handler that was there before; there is nothing to do for a program but
 * to leave it alone. A thread that blocks it is stopped at stop points only. Signal-safe. */
FX_API int fx_stop_signal(void);

FX_END_DECLS

#endif

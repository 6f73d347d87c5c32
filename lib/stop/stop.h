/* What was asked of a context, and when it is raised.
 *
 * Guarantee: what was asked is raised in the context once, unless it ends before; not while it is
 *   inhibited: in an except or finally block or a release (stop/scope.h), in a region of
 *   fx_stop_disable(), before its function has begun and after it has returned.
 * State, in the context (struct fxi_stop): `asked`, 0 or the exception. Others replace it, but never a
 *   stop; the context takes it, by an exchange, when it raises it.
 * Ways to it: (1) who waits in lib/park at a stop point is taken out of its sleep, and gives the wait up.
 *   (2) Else a signal is sent, and its handler (stop/handler.c) sees to it; where the context is reached at
 *   stop points only, for a system call that is one (stop/call.h). (3) Where the context is
 *   inhibited, the end of that looks: fx_stop_enable(), or, by `stop_is_due`, the end of a scope.
 * Why none is lost: the asker writes `asked`, then, after a full fence, looks whether the context sleeps
 *   at a stop point; the context says that it does, then, after a full fence, looks at `asked`. One of
 *   them sees the other. If the asker does not see a sleeper, it sends a signal; the handler either acts
 *   or leaves something behind that will: a replaced return address, a retry by a timer, `stop_is_due`,
 *   or the depth of fx_stop_disable().
 * Lifetime: an asker holds what keeps the context, and the thread that runs it, from ending: of a
 *   thread, the registry's lock. */
#ifndef FXI_STOP_STOP_H
#define FXI_STOP_STOP_H

#include <sys/types.h>

#include "context/context.h"

/* The context's first frame, whose CFA that is, is about to call its function, and has done so. What was
 * asked before is raised when it begins. */
void fxi_stop_begin(struct fxi_context *self, const void *first_frame);
void fxi_stop_end(struct fxi_context *self);

/* Before a thread ends: what the handler has made for it. All signals but 33 are blocked. */
void fxi_stop_end_of_thread(void);

/* Whether what was asked of the calling context, if anything was, is to be raised at a stop point: looked
 * at before a wait, after saying that it may be stopped. */
bool fxi_stop_is_due(const struct fxi_context *self);

/* Whether waits of the calling context are stop points now. */
bool fxi_stop_is_possible(const struct fxi_context *self);

/* The end of every public call that waits, of which `rc` is the result. -ECANCELED: its wait was given up
 * for a stop. Raises that, or returns rc where foreign frames forbid it. */
int fxi_stop_point(int rc);

/* Raises what is due, if it can be: a stop point that has nothing to give back. */
void fxi_stop_check(void);

/* A wait has ended, but not for a stop. If one was asked meanwhile, and told by taking the waiter out of a
 * sleep that was over, it is told again: by a timer and, below a foreign frame, by that one's return. */
void fxi_stop_tell_again(struct fxi_context *self);

/* Asks the context for `code`, which is not 0. `thread_id`: of the thread that runs it, or 0: it is the
 * caller's own. `anywhere`: it is not reached at stop points only. 0 or -EAGAIN, as fx_thread_stop(). */
int fxi_stop_ask(struct fxi_context *context, pid_t thread_id, bool anywhere, fx_exc code);

/* --- for the handler and the trampolines, in the context's own thread --------------------------- */

/* Whether what was asked is to be raised at this instruction, which is the program's. Where it has to
 * wait for the end of a scope, that is noted. Signal-safe. */
bool fxi_stop_may_raise_now(struct fxi_context *self);

/* An exception of the context's own goes to a scope: what was asked of the context waits for that scope's
 * end, where nothing else may remind it. */
void fxi_stop_may_raise_later(struct fxi_context *self);

/* Raises what was asked. Called by C and by assembly. */
_Noreturn void fxi_stop_raise(void);

#endif

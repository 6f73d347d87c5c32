/* A blocking system call as a stop point.
 *
 * Guarantee: a stop that comes before the call or while it blocks ends it, and the call has had no
 *   effect then; a call that has had its effect returns its result, whatever came meanwhile, and the
 *   stop is raised later.
 * How: between the look at what was asked and the system call's own instruction stands nothing that a
 *   signal could miss. Who asks sends the stop's signal. If that finds the thread before the call,
 *   its handler sends the thread on behind it; if it finds it in the call, the kernel ends that with
 *   -EINTR, and the thread looks again.
 * State: `calls` of the context is 1 from before the look until after the call. There the signal is sent
 *   in every mode and to foreign threads, too, who are sent none elsewhere. A signal of the program's own
 *   may be handled in the midst of it: then the stop's signal comes again until that handler has ended.
 * Limits: the signal reaches a thread that does not block it. The first call of each thread opens it. */
#ifndef FXI_STOP_CALL_H
#define FXI_STOP_CALL_H

#include <fxthread/duration.h>

#include "context/context.h"

/* Makes the system call. Its result, a negative errno on failure, errno left alone; or
 *   -ECANCELED  a stop has come: the public call gives back what the caller does not know of, and ends in
 *               fxi_stop_point(-ECANCELED). Never where stops are inhibited.
 *   -ETIMEDOUT  the deadline is past (FX_FOREVER: there is none). The call is made once at least: one that
 *               would not block is done, and one that does is ended some 200 us later.
 *   -ENOMEM     no memory for a foreign thread's context, or no timer for the deadline.
 * Interrupted by other signals it is made again: so not for close(2), which must not be; and of a
 * connect(2) that was interrupted, for whatever reason, the connection goes on being made, and the
 * second call says -EALREADY (or -EISCONN).
 * A context that is not a thread's blocks its thread, and tells its operations so, as in lib/park.
 * pthread_cancel(3) does not end the call, unless the program has chosen PTHREAD_CANCEL_ASYNCHRONOUS. */
long fxi_stop_call(long number, const long arguments[6], fx_deadline deadline);

/* --- for the handler and for askers ------------------------------------------------------------ */

/* Whether the address is in the few instructions that look and make the call; and where a thread, of which
 * something was asked, has to go on that was interrupted there. Signal-safe. */
bool fxi_stop_call_contains(uintptr_t pc);
uintptr_t fxi_stop_call_after_stop(uintptr_t pc);

/* Whether the context may be in a call, and not know of what the caller has asked of it just now. Has to
 * be known to live. */
bool fxi_stop_call_is_under_way(const struct fxi_context *context);

#endif

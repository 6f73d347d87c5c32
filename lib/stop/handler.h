/* The signal by which a context is reached wherever it is. */
#ifndef FXI_STOP_HANDLER_H
#define FXI_STOP_HANDLER_H

#include <sys/types.h>

#include <fxthread/duration.h>

#include "context/context.h"

/* Where it is run after what it interrupted has gone on, and perhaps in another context. */
#ifdef FXI_TSAN
#define FXI_HANDLER_IS_LATE true
#else
#define FXI_HANDLER_IS_LATE false
#endif

/* Installs the handler, if that was not done yet. */
void fxi_handler_install(void);

/* Sends the signal, where it could do something, to the thread that runs the context. `anywhere`: it is
 * not to be reached at stop points only. 0 or -EAGAIN. */
int fxi_handler_send(const struct fxi_context *context, pid_t thread_id, bool anywhere);

/* Sends it to the calling thread in a moment. Nothing if that is under way, or the context is not to be
 * reached so. `awaits_return`: of a foreign function, which the signal is to end if it blocks; so it
 * comes later the more often it came for the same stop. Else the context is looked at
 * again soon, and never at the same distance, as what it does may come round. Signal-safe. */
void fxi_handler_retry(struct fxi_context *self, bool awaits_return);

/* From the deadline on, and a little later, the calling thread is interrupted, again and again, until the
 * end of ticks. FX_FOREVER: from now on. 0; -EAGAIN, -ENOMEM: there is no timer for that. */
int fxi_handler_begin_ticks(fx_deadline deadline);
void fxi_handler_end_ticks(void);

/* Before the calling thread ends, and in a forked child. */
void fxi_handler_end_of_thread(void);
void fxi_handler_after_fork_in_child(void);

#endif

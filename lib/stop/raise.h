/* An exception on its way. */
#ifndef FXI_STOP_RAISE_H
#define FXI_STOP_RAISE_H

#include "context/thread_record.h"

/* Takes what stands in self->raised through the scopes and, where none takes it, to the context's
 * base; in the main thread and in foreign ones, which have none, ends the program or the thread. */
_Noreturn void fxi_raise_stored(struct fxi_context *self);

/* Raises what another thread asked for. */
_Noreturn void fxi_raise_from_outside(struct fxi_context *self, fx_exc code);

/* Raises FX_EXITED with the thread's result, which travels as the payload. */
_Noreturn void fxi_raise_exit(struct fxi_context *self, void *result);

/* Notes what stands in the context's `raised` as what ended the thread, the calling one. */
void fxi_raised_end(fx_thread *thread);

/* The calling context. A thread without memory for one can neither be asked nor told anything, and
 * ends. */
struct fxi_context *fxi_raiser(void);

/* What is known of the exception in `raised`. */
fx_exc_info fxi_raised_info(const struct fxi_raised *raised);

#endif

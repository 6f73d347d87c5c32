/* An exception on its way. */
#ifndef FXI_STOP_RAISE_H
#define FXI_STOP_RAISE_H

#include "context/thread_record.h"

/* Jumps with what stands in self->raised to the context's base; in the main thread and in foreign
 * ones, which have none, ends the program or the thread. */
_Noreturn void fxi_raise_stored(struct fxi_context *self);

/* What is known of the exception in `raised`. */
fx_exc_info fxi_raised_info(const struct fxi_raised *raised);

#endif

/* The values of fx_locals in a context. */
#ifndef FXI_THREAD_LOCAL_VALUES_H
#define FXI_THREAD_LOCAL_VALUES_H

#include "context/context.h"
#include "libc/thread_state.h"

/* One round over the calling context's values that have a destructor, which is called through `call`:
 * whether there was one. */
bool fxi_local_destroy_round(struct fxi_context *self, fxi_destructor_call call);

/* Gives up the context's table; what is left in it is dropped. */
void fxi_local_free_table(struct fxi_context *self);

#endif

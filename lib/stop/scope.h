/* The scopes of a context as raising sees them. */
#ifndef FXI_STOP_SCOPE_H
#define FXI_STOP_SCOPE_H

#include <fxthread/scope.h>

#include "context/context.h"

/* Takes what stands in self->raised to the innermost FX_TRY that it concerns and does not return;
 * guards on the way are released. Returns when no scope is left inside the context's net. */
void fxi_scope_unwind(struct fxi_context *self);

#endif

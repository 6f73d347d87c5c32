/* The scopes of a context as raising sees them. */
#ifndef FXI_STOP_SCOPE_H
#define FXI_STOP_SCOPE_H

#include <fxthread/scope.h>

#include "context/context.h"

/* Takes what stands in self->raised to the innermost FX_TRY that it concerns and does not return;
 * guards on the way are released. Returns when no scope is left inside the context's net. */
void fxi_scope_unwind(struct fxi_context *self);

/* Whether one of the context's scopes forbids to raise anything from outside: an except or finally block,
 * or a release; or, but at stop points, an acquisition that cannot tell whether it was made. So does
 * an unwinding by libc, which leaves scopes without telling them. Signal-safe,
 * in the context's own thread. */
bool fxi_scopes_inhibit(const struct fxi_context *self, bool at_stop_point);

#endif

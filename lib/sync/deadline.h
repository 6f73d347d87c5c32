/* Whether a wait is still worth beginning. */
#ifndef FXI_SYNC_DEADLINE_H
#define FXI_SYNC_DEADLINE_H

#include <fxthread/duration.h>

static inline bool fxi_deadline_is_past(fx_deadline deadline)
{
    return deadline != FX_FOREVER && deadline <= fx_now();
}

#endif

/* Calls that may block, made by helper threads, so that no worker does.
 *
 * Guarantee: each call is made once, by some helper, unless it was taken back before; a cancel interrupts
 *   one that is being made, and no other.
 * Helpers are threads of the library's own, with all signals blocked but the one that stops go by. There is
 *   one for each call that may block for long; those that wait for a disk at most have a few in common.
 *   One that has been idle for a while ends, and all of them do when nobody is left who could need them. */
#ifndef FXI_EXECUTOR_BLOCKING_H
#define FXI_EXECUTOR_BLOCKING_H

#include "base/compiler.h"
#include "base/list.h"

struct fxi_helper;

/* One call. Zeroed, but for the first three. */
struct fxi_blocking_call {
    /* Both in the helper. `make` blocks in fxi_stop_call, which a cancel ends with -ECANCELED. In `over` it
     * is its maker's again, and may be gone when that returns. */
    long (*make)(struct fxi_blocking_call *call);
    void (*over)(struct fxi_blocking_call *call, long result);
    bool is_long;              /* it may block for as long as others like */
    struct fxi_list queued;    /* guarded by the helpers' lock, as is the next */
    struct fxi_helper *helper; /* that makes it; NULL: none yet, or not any more */
};

/* 0: `over` will be called. -EAGAIN, -ENOMEM: there is no helper, and none could be had. */
int fxi_blocking_begin(struct fxi_blocking_call *call);

/* True: it was taken back, and `over` will not be called. False: it will be, soon, if it is not on its way
 * already. */
bool fxi_blocking_cancel(struct fxi_blocking_call *call);

/* Somebody may need helpers, and does not any more. */
void fxi_blocking_use(void);
void fxi_blocking_unuse(void);

/* Of pools.c, with the pools' locks held. */
void fxi_blocking_before_fork(void);
void fxi_blocking_after_fork(bool in_child);

#endif

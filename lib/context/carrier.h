/* A carrier: a stack and a TCB, which is all that a thread of the library runs on.
 *
 * Owner of a carrier, at each time exactly one:
 *   a starter      from fxi_carrier_get() to the launch
 *   its thread     from the launch to fxi_carrier_put(), the thread's last call
 *   the pool       from then on; but the stack and the TCB are in use until the kernel has cleared the
 *                  TCB's tid, and until then nobody takes it out
 * The pool keeps TCBs for ever (see libc/tcb.h) and a bounded number of stacks. */
#ifndef FXI_CONTEXT_CARRIER_H
#define FXI_CONTEXT_CARRIER_H

#include "base/list.h"
#include "context/stack.h"
#include "libc/tcb.h"

struct fxi_carrier {
    struct fxi_list pooled;
    struct fxi_tcb tcb;
    struct fxi_stack stack;
    struct fxi_carrier *made_before;
    bool is_shed; /* the stack has given back what it does not need; guarded by the pool */
};

/* A carrier that is free, with a stack of at least `stack_size` bytes. 0 or -ENOMEM. The caller holds
 * the registry's lock; for fxi_carrier_put it has only blocked signals. */
int fxi_carrier_get(struct fxi_carrier **carrier, size_t stack_size);

/* Gives it to the pool. The caller may run on it. */
void fxi_carrier_put(struct fxi_carrier *carrier);

/* Around fork: the pool is locked before, and unlocked after; in the child every pooled carrier is
 * free. */
void fxi_carrier_before_fork(void);
void fxi_carrier_after_fork(bool in_child);

#endif

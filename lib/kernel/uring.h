/* io_uring(7), typed, by way of liburing: a ring has one owner, the thread that opened it, which makes
 * all calls.
 *
 * Needed is Linux 5.13: a wait with a deadline, completions that are never dropped, a poll that goes on.
 * Newer kernels do the same for less; the ring takes what there is. */
#ifndef FXI_KERNEL_URING_H
#define FXI_KERNEL_URING_H

#include <liburing.h>
#include <stdbool.h>

#include <fxthread/duration.h>

#include "base/atomic.h"

/* Whether the kernel gives this process a ring: asked once. Containers and kernel.io_uring_disabled
 * refuse it. */
bool fxi_uring_works(void);

/* 0; -ENOMEM, -EMFILE, -ENFILE; what a sandbox says. Its memory is not there in a forked child. */
int fxi_uring_open(struct io_uring *ring, unsigned entries, unsigned completions);
void fxi_uring_close(struct io_uring *ring);

/* In a forked child: gives up what it has of its parent's ring. */
void fxi_uring_forget(struct io_uring *ring);

/* Hands over the entries that are prepared. 0, even if some are left; -EAGAIN: the kernel has no memory
 * for them; -EBUSY: completions have to be taken first. Such entries stay where they are. */
int fxi_uring_submit(struct io_uring *ring);

/* The same, and lets completions come in that wait for their owner. */
int fxi_uring_enter(struct io_uring *ring);

/* The same, and sleeps until there is a completion, the deadline is past, or a signal came. 0, or as
 * above. */
int fxi_uring_wait(struct io_uring *ring, fx_deadline deadline);

/* Whether there are completions, or will be by fxi_uring_enter. */
static inline bool fxi_uring_has_completions(const struct io_uring *ring)
{
    /* relaxed: a look; who takes them looks with an acquire */
    return fxi_load_relaxed(ring->cq.ktail) != *ring->cq.khead ||
           (fxi_load_relaxed(ring->sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW));
}

#endif

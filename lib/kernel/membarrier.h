/* membarrier(2): a barrier in every thread of the process, of which those that execute know
 * nothing. */
#ifndef FXI_KERNEL_MEMBARRIER_H
#define FXI_KERNEL_MEMBARRIER_H

#include <stdbool.h>

/* Whether the kernel has the barrier below and the locks of this processor need it: asked when the
 * library is loaded, as to ask a process of many threads takes the kernel milliseconds. */
bool fxi_membarrier_works(void);

/* When it returns true, every other thread has passed a full memory barrier since the call, and one
 * that was inside a restartable sequence has left it: the sequence was over, or begins anew. False:
 * not now (no memory). */
bool fxi_membarrier_rseq(void);

#ifdef FXI_INJECT
/* Says that there was a barrier, and makes none: what a test must notice. */
extern bool fxi_membarrier_is_left_out;
#endif

#endif

/* Restartable sequences, rseq(2): a few instructions that end with one store, which happens only if
 * the thread was not preempted, migrated or signalled since the first of them. */
#ifndef FXI_KERNEL_RSEQ_H
#define FXI_KERNEL_RSEQ_H

#include <stdint.h>

/* Where the calling thread says which sequence it is in: the field `rseq_cs` of the area that it
 * has registered. NULL: it has none (an old libc or kernel, Valgrind, the user's
 * GLIBC_TUNABLES). */
uint64_t *fxi_rseq_sequence(void);

#endif

#include "kernel/rseq.h"

#include <linux/rseq.h>
#include <stddef.h>

#include "base/atomic.h"
#include "base/compiler.h"

/* glibc's since 2.35: where each thread's area is, from its thread pointer, and whether the kernel
 * took it (not 0). Declared here for the older ones. */
extern const ptrdiff_t __rseq_offset FXI_WEAK;
extern const unsigned int __rseq_size FXI_WEAK;

uint64_t *fxi_rseq_sequence(void)
{
    if (!&__rseq_size || __rseq_size == 0)
        return NULL;
    char *area = (char *)__builtin_thread_pointer() + __rseq_offset;
    struct rseq *rseq = (struct rseq *)(void *)area;
    /* Negative in a thread whose registration failed; the kernel writes it where it did not. */
    if ((int32_t)fxi_load_relaxed(&rseq->cpu_id) < 0)
        return NULL;
    return (uint64_t *)(void *)(area + offsetof(struct rseq, rseq_cs));
}

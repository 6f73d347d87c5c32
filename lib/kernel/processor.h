/* The processors that the program runs on. */
#ifndef FXI_KERNEL_PROCESSOR_H
#define FXI_KERNEL_PROCESSOR_H

#include "base/atomic.h"

/* How many the process was allowed when the library was loaded; at least 1. */
extern int fxi_processor_count;

static inline int fxi_processors(void)
{
    return fxi_processor_count;
}

/* One turn of a loop that waits for another processor. */
static inline void fxi_cpu_relax(void)
{
#if defined __x86_64__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("isb" ::: "memory"); /* `yield` is a no-op on most processors */
#endif
}

/* fxi_fence_full() right behind an exchange, or a compare-and-swap that succeeded. */
static inline void fxi_fence_full_after_exchange(void)
{
#if defined __x86_64__ && !defined FXI_TSAN
    __atomic_signal_fence(__ATOMIC_SEQ_CST); /* that was one itself, for the processor */
#else
    fxi_fence_full();
#endif
}

#endif

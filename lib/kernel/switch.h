/* Switching between stacks: what a task is left by and gone on with. */
#ifndef FXI_KERNEL_SWITCH_H
#define FXI_KERNEL_SWITCH_H

#include "base/compiler.h"

/* Saves what a call preserves (callee-saved registers and the modes of floating point) on the present
 * stack, stores the stack pointer at *saved, and goes on where `to` was stored, there restoring the
 * same. Returns when somebody switches to *saved. Assembly. */
void fxi_switch(void **saved, void *to);

/* A stack that ends at `top` to switch to for the first time: entry(arg) is called there, with the
 * present modes of floating point, and must not return. That frame is the outermost one. Assembly. */
void *fxi_switch_prepare(void *top, void (*entry)(void *), void *arg);

/* Whether this processor and kernel let a thread change its stack so: not where the kernel keeps a
 * shadow stack of return addresses. */
static inline bool fxi_switch_works(void)
{
    uintptr_t shadow_stack = 0;
#if defined __x86_64__
    __asm__("rdsspq %0" : "+r"(shadow_stack)); /* leaves it alone where there is none */
#endif
    return shadow_stack == 0;
}

#endif

/* A jump out of called functions: setjmp and longjmp without what libc's do besides (the signal
 * mask, mangling, and a check that aborts when the target lies on another stack). */
#ifndef FXI_KERNEL_JUMP_H
#define FXI_KERNEL_JUMP_H

#include <stdint.h>

#include "base/compiler.h"

/* Registers that a call preserves, stack pointer, return address, shadow stack pointer; the
 * assembly beside the processor's clone.S knows the order. */
struct fxi_jump {
    uint64_t registers[22];
};

/* 0 when called; `value`, when fxi_jump_to(jump, value) returns here. The caller must not have
 * returned by then. Assembly. */
FXI_RETURNS_TWICE int fxi_jump_save(struct fxi_jump *jump);
_Noreturn void fxi_jump_to(const struct fxi_jump *jump, int value);

#endif

/* The memory of a thread's stack.
 *
 *     reserve                                                            reserve + reserve_size
 *     | guard | alternate signal stack | guard | stack, grows this way <-- |
 *
 * All of it is reserved at once and touched only as used. The guards are pages that fault. The
 * alternate stack is where the handler of a stack overflow runs. */
#ifndef FXI_CONTEXT_STACK_H
#define FXI_CONTEXT_STACK_H

#include "base/compiler.h"

#define FXI_STACK_SIZE_DEFAULT ((size_t)8 << 20)
#define FXI_STACK_SIZE_MIN ((size_t)32 << 10)

struct fxi_stack {
    char *reserve; /* NULL: none */
    size_t reserve_size;
    size_t alternate_size;
    char *base; /* lowest usable byte */
    size_t size;
};

/* Reserves a stack of `size` bytes, rounded up to pages. 0 or -ENOMEM. One caller at a time: a starter
 * holds the registry's lock. */
int fxi_stack_map(struct fxi_stack *stack, size_t size);
void fxi_stack_unmap(struct fxi_stack *stack);

/* The size that fxi_stack_map would give it. */
size_t fxi_stack_round(size_t size);

/* Gives back all but the uppermost part of the memory that has been touched. The caller may be
 * running in that part. */
void fxi_stack_shed(struct fxi_stack *stack);

/* Makes the calling thread handle SA_ONSTACK signals on the alternate stack. */
void fxi_stack_use_alternate(const struct fxi_stack *stack);

/* Whether the address lies in the guard below the stack. */
bool fxi_stack_overflowed_at(const struct fxi_stack *stack, const void *address);

#endif

/* The memory of tasks' stacks: many of one size, of which few are used at a time or very many.
 *
 *     slab:  | guard | stack, grows this way <-- | guard | stack ... |
 *
 * Stacks are cut from slabs, each twice as large as the one before it up to a limit. All of a slab is
 * reserved at once and touched only as used; a slab of which no stack is in use is given back, unless
 * it is all that is kept. The guards are pages that fault. Signals that want an alternate stack have
 * that of the thread. */
#ifndef FXI_CONTEXT_TASK_STACK_H
#define FXI_CONTEXT_TASK_STACK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"

#define FXI_TASK_STACK_SIZE_DEFAULT ((size_t)256 << 10)

struct fxi_task_slab;

struct fxi_task_stack {
    char *base;  /* lowest usable byte */
    size_t size;
    struct fxi_task_slab *slab;
};

/* Where they come from: a worker's own, so that workers do not meet in the kernel's page tables either. */
struct fxi_task_stacks {
    size_t size;              /* of each stack */
    unsigned next_pieces;     /* how many the next slab will have */
    unsigned idle;            /* stacks in slabs that are wholly out of use */
    struct fxi_list partial;  /* slabs of which a stack is free */
};

/* For stacks of `size` bytes, rounded up to pages. */
void fxi_task_stacks_init(struct fxi_task_stacks *stacks, size_t size);

/* Gives back all, and is as it was at first; none is in use. */
void fxi_task_stacks_destroy(struct fxi_task_stacks *stacks);

/* A stack whose top has never been touched, or holds what its last user left there. 0 or -ENOMEM. */
int fxi_task_stack_get(struct fxi_task_stacks *stacks, struct fxi_task_stack *stack);
void fxi_task_stack_put(struct fxi_task_stacks *stacks, const struct fxi_task_stack *stack);

/* Whether the address lies in the guard below the stack. */
bool fxi_task_stack_overflowed_at(const struct fxi_task_stack *stack, const void *address);

#endif

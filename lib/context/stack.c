#include "context/stack.h"

#include <errno.h>
#include <sys/auxv.h>

#include "base/atomic.h"
#include "kernel/memory.h"
#include "kernel/signal.h"

#define GUARD_BYTES ((size_t)64 << 10)      /* more than a page: big frames step over small guards */
#define ALTERNATE_BYTES ((size_t)32 << 10)  /* beside what the kernel's signal frame takes */
#define KEPT_BYTES ((size_t)32 << 10)       /* of a stack that waits for its next thread */

static size_t round_to_pages(size_t size)
{
    size_t page = fxi_page_size();
    return (size + page - 1) & ~(page - 1);
}

static size_t alternate_size(void)
{
    return round_to_pages(ALTERNATE_BYTES + getauxval(AT_MINSIGSTKSZ));
}

static char *alternate_base(const struct fxi_stack *stack)
{
    return stack->reserve + round_to_pages(GUARD_BYTES);
}

size_t fxi_stack_round(size_t size)
{
    return round_to_pages(size);
}

int fxi_stack_map(struct fxi_stack *stack, size_t size)
{
    size_t guard = round_to_pages(GUARD_BYTES);
    size_t below = guard + alternate_size() + guard;
    if (size > PTRDIFF_MAX - below)
        return -ENOMEM;
    stack->size = round_to_pages(size);
    stack->reserve_size = below + stack->size;
    stack->reserve = fxi_pages_map(stack->reserve_size);
    if (!stack->reserve)
        return -ENOMEM;
    stack->base = stack->reserve + below;
    int rc = fxi_pages_guard(stack->reserve, guard);
    if (rc == 0)
        rc = fxi_pages_guard(stack->base - guard, guard);
    if (rc != 0)
        fxi_stack_unmap(stack);
    return rc;
}

void fxi_stack_unmap(struct fxi_stack *stack)
{
    if (stack->reserve)
        fxi_pages_unmap(stack->reserve, stack->reserve_size);
    stack->reserve = NULL;
}

void fxi_stack_shed(struct fxi_stack *stack)
{
    if (stack->size > KEPT_BYTES)
        fxi_pages_discard(stack->base, stack->size - KEPT_BYTES);
}

void fxi_stack_use_alternate(const struct fxi_stack *stack)
{
    fxi_signals_set_stack(alternate_base(stack), alternate_size());
}

bool fxi_stack_overflowed_at(const struct fxi_stack *stack, const void *address)
{
    uintptr_t guard = round_to_pages(GUARD_BYTES);
    return (uintptr_t)address - ((uintptr_t)stack->base - guard) < guard;
}

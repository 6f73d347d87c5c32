#include "context/stack.h"

#include <errno.h>
#include <sys/auxv.h>

#include "base/atomic.h"
#include "kernel/memory.h"
#include "kernel/signal.h"

#define GUARD_BYTES ((size_t)64 << 10)      /* more than a page: big frames step over small guards */
#define ALTERNATE_BYTES ((size_t)32 << 10)  /* beside what the kernel's signal frame takes */
#define KEPT_BYTES ((size_t)32 << 10)       /* of a stack that waits for its next thread */
#define SLAB_PIECES_MOST 16

static size_t round_to_pages(size_t size)
{
    size_t page = fxi_page_size();
    size_t most = SIZE_MAX & ~(page - 1); /* what lies above it has no multiple; none can be mapped */
    return size > most ? most : (size + page - 1) & ~(page - 1);
}

/* LeakSanitizer's, where a program runs under it: what only a thread's stack points at is no leak. */
extern void __lsan_register_root_region(const void *base, size_t size) FXI_WEAK;
extern void __lsan_unregister_root_region(const void *base, size_t size) FXI_WEAK;

static char *alternate_base(const struct fxi_stack *stack)
{
    return stack->reserve + round_to_pages(GUARD_BYTES);
}

size_t fxi_stack_round(size_t size)
{
    return round_to_pages(size);
}

/* Stacks of one size are cut from slabs, as a mapping costs about as much as the thread that will run
 * on it; each is unmapped by itself. A slab holds twice as many as the one before it, beginning
 * with one alone, so that a program with few threads reserves for few. */
static struct {
    char *next;
    size_t left, piece_size;
    size_t pieces; /* of the present slab, when it was new */
} slab;

static bool map_slab(size_t piece_size, size_t pieces)
{
    char *reserve = pieces <= PTRDIFF_MAX / piece_size ? fxi_pages_map(pieces * piece_size) : NULL;
    if (!reserve)
        return false;
    slab.next = reserve;
    slab.left = slab.pieces = pieces;
    return true;
}

static char *cut_from_slab(size_t piece_size)
{
    if (slab.piece_size != piece_size) {
        if (slab.left > 0)
            fxi_pages_unmap(slab.next, slab.left * slab.piece_size);
        slab.left = slab.pieces = 0;
        slab.piece_size = piece_size;
    }
    if (slab.left == 0) {
        size_t pieces = slab.pieces == 0 ? 1 : 2 * slab.pieces;
        if (!map_slab(piece_size, pieces < SLAB_PIECES_MOST ? pieces : SLAB_PIECES_MOST) &&
            !map_slab(piece_size, 1))
            return NULL;
    }
    char *piece = slab.next;
    slab.next += piece_size;
    slab.left--;
    return piece;
}

static void discard(struct fxi_stack *stack)
{
    fxi_pages_unmap(stack->reserve, stack->reserve_size);
    stack->reserve = NULL;
}

int fxi_stack_map(struct fxi_stack *stack, size_t size)
{
    size_t guard = round_to_pages(GUARD_BYTES);
    size_t alternate = round_to_pages(ALTERNATE_BYTES + getauxval(AT_MINSIGSTKSZ));
    size_t below = guard + alternate + guard;
    if (size > PTRDIFF_MAX - below)
        return -ENOMEM;
    stack->size = round_to_pages(size);
    stack->alternate_size = alternate;
    stack->reserve_size = below + stack->size;
    stack->reserve = cut_from_slab(stack->reserve_size);
    if (!stack->reserve)
        return -ENOMEM;
    stack->base = stack->reserve + below;
    int rc = fxi_pages_guard(stack->reserve, guard);
    if (rc == 0)
        rc = fxi_pages_guard(stack->base - guard, guard);
    if (rc == 0 && __lsan_register_root_region)
        __lsan_register_root_region(stack->base, stack->size);
    else if (rc != 0)
        discard(stack);
    return rc;
}

void fxi_stack_unmap(struct fxi_stack *stack)
{
    if (!stack->reserve)
        return;
    if (__lsan_unregister_root_region)
        __lsan_unregister_root_region(stack->base, stack->size);
    discard(stack);
}

void fxi_stack_shed(struct fxi_stack *stack)
{
    if (stack->size > KEPT_BYTES)
        fxi_pages_discard(stack->base, stack->size - KEPT_BYTES);
}

void fxi_stack_use_alternate(const struct fxi_stack *stack)
{
    fxi_signals_set_stack(alternate_base(stack), stack->alternate_size);
}

bool fxi_stack_overflowed_at(const struct fxi_stack *stack, const void *address)
{
    uintptr_t guard = round_to_pages(GUARD_BYTES);
    return (uintptr_t)address - ((uintptr_t)stack->base - guard) < guard;
}

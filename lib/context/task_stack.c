#include "context/task_stack.h"

#include <errno.h>

#include "base/annotate.h"
#include "kernel/memory.h"
#include "libc/alloc.h"

/* More than a page, for big frames step over small guards; but each page of it has its price as a task
 * begins, and as its stack goes. */
#define GUARD_BYTES ((size_t)16 << 10)
#define PIECES_FIRST 4
#define PIECES_MOST 256
#define IDLE_KEPT 64u /* stacks, of slabs out of use */

struct fxi_task_slab {
    struct fxi_list listed;
    char *reserve;
    size_t reserve_size;
    unsigned pieces;  /* cut from it in all */
    unsigned fresh;   /* the first of those that were never in use */
    unsigned used;
    unsigned guarded; /* the first of those that have no guard yet */
    unsigned free_count;
    unsigned char free_pieces[PIECES_MOST];  /* that were in use, the latest last */
    unsigned valgrind_ids[PIECES_MOST];
};

/* LeakSanitizer's, where a program runs under it: what only a task's stack points at is no leak. */
extern void __lsan_register_root_region(const void *base, size_t size) FXI_WEAK;
extern void __lsan_unregister_root_region(const void *base, size_t size) FXI_WEAK;

static size_t guard_size(void)
{
    size_t page = fxi_page_size();
    return (GUARD_BYTES + page - 1) & ~(page - 1);
}

void fxi_task_stacks_init(struct fxi_task_stacks *stacks, size_t size)
{
    size_t page = fxi_page_size();
    *stacks = (struct fxi_task_stacks){ .next_pieces = PIECES_FIRST };
    stacks->size = size > PTRDIFF_MAX ? size & ~(page - 1) : (size + page - 1) & ~(page - 1);
    fxi_list_init(&stacks->partial);
}

static struct fxi_task_slab *slab_of(struct fxi_list *node)
{
    return fxi_container_of(node, struct fxi_task_slab, listed);
}

static size_t piece_size(const struct fxi_task_stacks *stacks)
{
    return guard_size() + stacks->size;
}

static char *piece_base(const struct fxi_task_stacks *stacks, const struct fxi_task_slab *slab,
                        unsigned piece)
{
    return slab->reserve + piece * piece_size(stacks) + guard_size();
}

static struct fxi_task_slab *map_slab(struct fxi_task_stacks *stacks, unsigned pieces)
{
    struct fxi_task_slab *slab = fxi_alloc(sizeof *slab);
    if (!slab)
        return NULL;
    if (stacks->size <= PTRDIFF_MAX / PIECES_MOST - guard_size()) {
        slab->pieces = pieces;
        slab->reserve_size = pieces * piece_size(stacks);
        slab->reserve = fxi_pages_map(slab->reserve_size);
    }
    if (!slab->reserve) {
        fxi_free(slab);
        return NULL;
    }
    fxi_list_push_front(&stacks->partial, &slab->listed);
    return slab;
}

static struct fxi_task_slab *new_slab(struct fxi_task_stacks *stacks)
{
    struct fxi_task_slab *slab = map_slab(stacks, stacks->next_pieces);
    if (!slab)
        return map_slab(stacks, 1);
    if (stacks->next_pieces < PIECES_MOST)
        stacks->next_pieces *= 2;
    return slab;
}

static void unmap_slab(struct fxi_task_slab *slab)
{
    for (unsigned i = 0; i < slab->guarded; i++)
        fxi_stack_deregister(slab->valgrind_ids[i]);
    fxi_pages_unmap(slab->reserve, slab->reserve_size);
    fxi_free(slab);
}

void fxi_task_stacks_destroy(struct fxi_task_stacks *stacks)
{
    while (!fxi_list_is_empty(&stacks->partial)) {
        struct fxi_task_slab *slab = slab_of(stacks->partial.next);
        fxi_list_remove(&slab->listed);
        unmap_slab(slab);
    }
    stacks->idle = 0;
    stacks->next_pieces = PIECES_FIRST;
}

static bool is_full(const struct fxi_task_slab *slab)
{
    return slab->free_count == 0 && slab->fresh == slab->pieces;
}

static unsigned take_piece(struct fxi_task_slab *slab)
{
    return slab->free_count > 0 ? slab->free_pieces[--slab->free_count] : slab->fresh++;
}

static void give_piece_back(struct fxi_task_stacks *stacks, struct fxi_task_slab *slab,
                            unsigned piece)
{
    bool goes = false;
    if (is_full(slab))
        fxi_list_push_back(&stacks->partial, &slab->listed);
    slab->free_pieces[slab->free_count++] = (unsigned char)piece;
    if (--slab->used == 0) {
        goes = stacks->idle + slab->fresh > IDLE_KEPT;
        if (goes)
            fxi_list_remove(&slab->listed);
        else
            stacks->idle += slab->fresh;
    }
    if (goes)
        unmap_slab(slab);
}

/* Guards for the next pieces, by one call for all; where that cannot be, for the next one. */
static int guard_more(const struct fxi_task_stacks *stacks, struct fxi_task_slab *slab)
{
    unsigned left = slab->pieces - slab->guarded;
    unsigned n = left < FXI_GUARDS_MOST ? left : FXI_GUARDS_MOST;
    char *base = piece_base(stacks, slab, slab->guarded);
    if (n > 1 && fxi_pages_guard_each(base - guard_size(), guard_size(), piece_size(stacks), n)) {
        slab->guarded += n;
        return 0;
    }
    if (fxi_pages_guard(base - guard_size(), guard_size()) != 0)
        return -ENOMEM;
    slab->valgrind_ids[slab->guarded++] = fxi_stack_register(base, base + stacks->size);
    return 0;
}

int fxi_task_stack_get(struct fxi_task_stacks *stacks, struct fxi_task_stack *stack)
{
    unsigned piece = 0;
    struct fxi_task_slab *slab = fxi_list_is_empty(&stacks->partial)
                                     ? new_slab(stacks)
                                     : slab_of(stacks->partial.next);
    if (slab) {
        if (slab->used++ == 0)
            stacks->idle -= slab->fresh;
        piece = take_piece(slab);
        if (is_full(slab))
            fxi_list_remove(&slab->listed);
    }
    if (!slab)
        return -ENOMEM;
    *stack = (struct fxi_task_stack){ piece_base(stacks, slab, piece), stacks->size, slab };
    int rc = 0;
    while (rc == 0 && slab->guarded <= piece)
        rc = guard_more(stacks, slab);
    if (rc != 0)
        give_piece_back(stacks, slab, piece);
    else if (__lsan_register_root_region)
        __lsan_register_root_region(stack->base, stack->size);
    return rc;
}

void fxi_task_stack_put(struct fxi_task_stacks *stacks, const struct fxi_task_stack *stack)
{
    struct fxi_task_slab *slab = stack->slab;
    if (__lsan_unregister_root_region)
        __lsan_unregister_root_region(stack->base, stack->size);
    give_piece_back(stacks, slab,
                    (unsigned)((size_t)(stack->base - slab->reserve) / piece_size(stacks)));
}

bool fxi_task_stack_overflowed_at(const struct fxi_task_stack *stack, const void *address)
{
    return (uintptr_t)address - ((uintptr_t)stack->base - guard_size()) < guard_size();
}

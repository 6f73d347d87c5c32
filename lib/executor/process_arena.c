#include "executor/process_arena.h"

#include <errno.h>
#include <string.h>

#include "base/atomic.h"
#include "kernel/descriptor.h"
#include "kernel/memory.h"
#include "kernel/shared_memory.h"
#include "libc/alloc.h"

#define WINDOW_BYTES ((size_t)256 << 10)
#define SMALLEST ((size_t)64)
#define LARGEST (SMALLEST << (FXI_ARENA_CLASSES - 1))
#define SIZE_LEAST ((size_t)16 << 20)
#define WRITTEN_LEAST ((size_t)128 << 10) /* from here on the kernel's copy is cheaper: no faults */

#define HUGE_LEAST ((size_t)64 << 20) /* where it is asked first: the kernel may kill, not fail */

enum { FREE, LARGE, WINDOW };

struct fxi_extent {
    struct fxi_list by_address;
    size_t offset, size;
    int use;
    /* Of a window: */
    int class;
    struct fxi_list with_room; /* among those of its class; next is NULL: it has none */
    uint32_t blocks, free_count;
    uint16_t *free;            /* a stack of free blocks */
};

static struct fxi_extent *extent_of(struct fxi_list *node)
{
    return fxi_container_of(node, struct fxi_extent, by_address);
}

static size_t in_pages(size_t size)
{
    size_t page = fxi_page_size();
    return (size + page - 1) & ~(page - 1);
}

/* --- extents ---------------------------------------------------------------------------------- */

/* Takes `size` bytes off the first free extent that has so many. */
static struct fxi_extent *take_extent(struct fxi_arena *arena, size_t size, int use)
{
    struct fxi_extent *found = NULL;
    fxi_list_for_each(node, &arena->extents) {
        struct fxi_extent *extent = extent_of(node);
        if (extent->use == FREE && extent->size >= size) {
            found = extent;
            break;
        }
    }
    if (found && found->size > size) {
        struct fxi_extent *rest = fxi_alloc(sizeof *rest);
        if (!rest)
            return NULL;
        rest->offset = found->offset + size;
        rest->size = found->size - size;
        found->size = size;
        fxi_list_insert(&rest->by_address, &found->by_address, found->by_address.next);
    }
    if (found)
        found->use = use;
    return found;
}

/* Joins the second, its neighbour, to the first. */
static void join(struct fxi_extent *first, struct fxi_extent *second)
{
    first->size += second->size;
    fxi_list_remove(&second->by_address);
    fxi_free(second);
}

static void give_extent(struct fxi_arena *arena, struct fxi_extent *extent)
{
    struct fxi_list *before = extent->by_address.prev, *after = extent->by_address.next;
    extent->use = FREE;
    if (after != &arena->extents && extent_of(after)->use == FREE)
        join(extent, extent_of(after));
    if (before != &arena->extents && extent_of(before)->use == FREE)
        join(extent_of(before), extent);
}

/* What is free is zero, unless nothing is handed out any more. By who has the descriptor to use. */
static void discard(const struct fxi_arena *arena, const struct fxi_extent *extent)
{
    if (arena->memory < 0)
        fxi_shared_forget(arena->base + extent->offset, extent->size);
    else if (!fxi_shared_discard(arena->memory, extent->offset, extent->size))
        memset(arena->base + extent->offset, 0, extent->size);
}

/* --- windows ---------------------------------------------------------------------------------- */

static int class_of(size_t size)
{
    int class = 0;
    while (SMALLEST << class < size)
        class++;
    return class;
}

static struct fxi_extent *new_window(struct fxi_arena *arena, int class)
{
    uint32_t blocks = (uint32_t)(WINDOW_BYTES / (SMALLEST << class));
    uint16_t *free_blocks = fxi_alloc(blocks * sizeof *free_blocks);
    struct fxi_extent *window = free_blocks ? take_extent(arena, WINDOW_BYTES, WINDOW) : NULL;
    if (window && fxi_shared_provide(arena->memory, window->offset, WINDOW_BYTES) != 0) {
        give_extent(arena, window);
        window = NULL;
    }
    if (!window) {
        fxi_free(free_blocks);
        return NULL;
    }
    for (uint32_t i = 0; i < blocks; i++)
        free_blocks[i] = (uint16_t)(blocks - 1 - i);
    window->class = class;
    window->blocks = window->free_count = blocks;
    window->free = free_blocks;
    fxi_list_push_front(&arena->windows[class], &window->with_room);
    return window;
}

static struct fxi_extent *get_block(struct fxi_arena *arena, size_t size, uint32_t *block)
{
    int class = class_of(size);
    struct fxi_list *windows = &arena->windows[class];
    fxi_lowlock_acquire(&arena->lock);
    struct fxi_extent *window =
        fxi_list_is_empty(windows)
            ? (arena->closes ? NULL : new_window(arena, class))
            : fxi_container_of(windows->next, struct fxi_extent, with_room);
    if (window) {
        *block = window->free[--window->free_count];
        if (window->free_count == 0) {
            fxi_list_remove(&window->with_room);
            window->with_room.next = NULL;
        }
    }
    fxi_lowlock_release(&arena->lock);
    return window;
}

/* An empty window goes when there is another one with room, so that what comes and goes stays
 * cheap. */
static void put_block(struct fxi_arena *arena, struct fxi_extent *window, uint32_t block)
{
    struct fxi_list *windows = &arena->windows[window->class];
    window->free[window->free_count++] = (uint16_t)block;
    if (!window->with_room.next)
        fxi_list_push_front(windows, &window->with_room);
    if (window->free_count < window->blocks || windows->next->next == windows)
        return;
    fxi_list_remove(&window->with_room);
    window->with_room.next = NULL;
    fxi_free(window->free);
    window->free = NULL;
    discard(arena, window);
    give_extent(arena, window);
}

/* --- the whole -------------------------------------------------------------------------------- */

static size_t range_size(void)
{
    size_t size = SIZE_LEAST, memory = fxi_memory_of_machine();
    size_t most = fxi_addresses_most() / 4; /* the program maps it, and each worker */
    while (size < memory && size * 2 <= most)
        size *= 2;
    return size;
}

int fxi_arena_init(struct fxi_arena *arena)
{
    struct fxi_extent *all = fxi_alloc(sizeof *all);
    int rc = all ? 0 : -ENOMEM;
    arena->memory = -1;
    for (arena->size = range_size(); rc == 0; arena->size /= 2) {
        int memory = fxi_shared_new(arena->size);
        arena->base = memory >= 0 ? fxi_shared_map(memory, arena->size) : NULL;
        if (arena->base) {
            arena->memory = memory;
            break;
        }
        fxi_descriptor_close(memory);
        if ((memory < 0 && memory != -EFBIG) || arena->size / 2 < SIZE_LEAST)
            rc = memory < 0 && memory != -EFBIG ? memory : -ENOMEM;
    }
    if (rc != 0) {
        fxi_free(all);
        return rc;
    }
    all->size = arena->size;
    fxi_list_init(&arena->extents);
    fxi_list_push_back(&arena->extents, &all->by_address);
    for (int i = 0; i < FXI_ARENA_CLASSES; i++)
        fxi_list_init(&arena->windows[i]);
    return 0;
}

/* With the lock held. */
static void close_if_unused(struct fxi_arena *arena)
{
    if (!arena->closes || arena->users > 0)
        return;
    fxi_descriptor_close(arena->memory);
    arena->memory = -1;
}

void fxi_arena_close(struct fxi_arena *arena)
{
    fxi_lowlock_acquire(&arena->lock);
    arena->closes = true;
    close_if_unused(arena);
    fxi_lowlock_release(&arena->lock);
}

void fxi_arena_destroy(struct fxi_arena *arena)
{
    while (!fxi_list_is_empty(&arena->extents)) {
        struct fxi_extent *extent = extent_of(arena->extents.next);
        fxi_list_remove(&extent->by_address);
        fxi_free(extent->free);
        fxi_free(extent);
    }
    fxi_descriptor_close(arena->memory);
    fxi_shared_unmap(arena->base, arena->size);
}

/* A large one: what the kernel does not write it provides. */
static int fill_large(struct fxi_arena *arena, const struct fxi_extent *extent, const void *head,
                      size_t head_size)
{
    size_t written = head && head_size >= WRITTEN_LEAST ? head_size : 0;
    int rc = written > 0 ? fxi_shared_write(arena->memory, extent->offset, head, written) : 0;
    if (rc == -EFBIG) { /* pages may be had so far in, only not by writing */
        rc = 0;
        written = 0;
    }
    size_t covered = in_pages(written);
    if (rc == 0 && covered < extent->size)
        rc = fxi_shared_provide(arena->memory, extent->offset + covered, extent->size - covered);
    if (rc == 0 && written == 0 && head_size > 0 && head)
        memcpy(arena->base + extent->offset, head, head_size);
    return rc;
}

static void put_large(struct fxi_arena *arena, struct fxi_extent *extent)
{
    fxi_lowlock_acquire(&arena->lock);
    arena->users++;
    fxi_lowlock_release(&arena->lock);
    discard(arena, extent);
    fxi_lowlock_acquire(&arena->lock);
    arena->users--;
    close_if_unused(arena);
    give_extent(arena, extent);
    fxi_lowlock_release(&arena->lock);
}

static void *get_large(struct fxi_arena *arena, const void *head, size_t head_size, size_t size,
                       struct fxi_payload *payload)
{
    if (size > arena->size || (size >= HUGE_LEAST && size > fxi_memory_available()))
        return NULL;
    fxi_lowlock_acquire(&arena->lock);
    struct fxi_extent *extent =
        arena->closes ? NULL : take_extent(arena, in_pages(size), LARGE);
    arena->users += extent != NULL;
    fxi_lowlock_release(&arena->lock);
    if (!extent)
        return NULL;
    int rc = fill_large(arena, extent, head, head_size);
    fxi_lowlock_acquire(&arena->lock);
    arena->users--;
    close_if_unused(arena);
    fxi_lowlock_release(&arena->lock);
    if (rc != 0) {
        put_large(arena, extent);
        return NULL;
    }
    payload->extent = extent;
    return arena->base + extent->offset;
}

void *fxi_arena_get(struct fxi_arena *arena, const void *head, size_t head_size, size_t size,
                    struct fxi_payload *payload)
{
    if (arena->is_anothers)
        return NULL;
    if (size > LARGEST)
        return get_large(arena, head, head_size, size, payload);
    struct fxi_extent *window = get_block(arena, size, &payload->block);
    if (!window)
        return NULL;
    payload->extent = window;
    char *memory = arena->base + window->offset + payload->block * (SMALLEST << window->class);
    if (!head)
        head_size = 0;
    if (head_size > 0)
        memcpy(memory, head, head_size);
    memset(memory + head_size, 0, size - head_size);
    return memory;
}

void fxi_arena_put(struct fxi_arena *arena, const struct fxi_payload *payload)
{
    struct fxi_extent *extent = payload->extent;
    if (!extent || arena->is_anothers)
        return;
    if (extent->use == LARGE) {
        put_large(arena, extent);
        return;
    }
    fxi_lowlock_acquire(&arena->lock);
    put_block(arena, extent, payload->block);
    fxi_lowlock_release(&arena->lock);
}

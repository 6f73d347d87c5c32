#include "executor/task_memory.h"

#include "kernel/processor.h"
#include "libc/alloc.h"

#define PAYLOAD_BYTES 64
#define BLOCK_BYTES ((sizeof(struct fxi_pool_task) + PAYLOAD_BYTES + 15) & ~(size_t)15)
#define BLOCKS_KEPT 2048

/* A checker of memory sees each use of a task that is freed only where malloc is told of it. */
#if defined FXI_ASAN
enum { keeps_blocks = 0 };
#else
enum { keeps_blocks = 1 };
#endif

static bool is_block(size_t bytes)
{
    return keeps_blocks && bytes <= BLOCK_BYTES;
}

static void free_chain(struct fxi_task_block *block)
{
    while (block) {
        struct fxi_task_block *next = block->next;
        fxi_free(block);
        block = next;
    }
}

#define BUSY ((struct fxi_task_block *)1)

static struct fxi_task_block *take_all(struct fxi_task_memory *memory)
{
    if (!fxi_load_relaxed(&memory->first))
        return NULL;
    fxi_lowlock_acquire(&memory->lock);
    struct fxi_task_block *blocks = memory->first;
    fxi_store_relaxed(&memory->first, NULL);
    memory->count = 0;
    fxi_lowlock_release(&memory->lock);
    return blocks;
}

/* All of it will be written: the lines come while the caller does other things. */
static void prefetch(const struct fxi_task_block *block)
{
    for (size_t at = 0; block && at < sizeof(struct fxi_pool_task); at += FXI_CACHE_LINE)
        __builtin_prefetch((const char *)block + at, 1);
}

void *fxi_task_memory_get(struct fxi_task_memory *memory, size_t bytes, bool *is_given)
{
    struct fxi_task_block *block = NULL;
    *is_given = false;
    if (!is_block(bytes))
        return fxi_alloc_dirty(bytes);
    /* acquire, and release below: from one submitter to the next */
    struct fxi_task_block *taken = fxi_exchange_acquire(&memory->taken, BUSY);
    if (fxi_unlikely(taken == BUSY))
        return fxi_alloc_dirty(BLOCK_BYTES);
    if (!taken)
        taken = take_all(memory);
    block = taken ? taken : fxi_alloc_dirty(BLOCK_BYTES);
    *is_given = block != NULL;
    memory->given += *is_given;
    struct fxi_task_block *next = taken ? taken->next : NULL;
    fxi_store_release(&memory->taken, next);
    prefetch(next);
    return block;
}

void fxi_task_memory_after_fork(struct fxi_task_memory *memory)
{
    if (memory->taken == BUSY)
        memory->taken = NULL;
}

size_t fxi_task_memory_seal(struct fxi_task_memory *memory)
{
    struct fxi_task_block *taken;
    while ((taken = fxi_exchange_acquire(&memory->taken, BUSY)) == BUSY)
        fxi_cpu_relax();
    free_chain(taken);
    return memory->given;
}

void fxi_task_memory_put_all(struct fxi_task_memory *memory, struct fxi_task_blocks *blocks)
{
    if (blocks->count == 0)
        return;
    fxi_lowlock_acquire(&memory->lock);
    bool keeps = memory->count < BLOCKS_KEPT;
    if (keeps) {
        blocks->last->next = memory->first;
        fxi_store_relaxed(&memory->first, blocks->first);
        memory->count += blocks->count;
    }
    fxi_lowlock_release(&memory->lock);
    if (!keeps)
        free_chain(blocks->first);
    *blocks = (struct fxi_task_blocks){ 0 };
}

void fxi_task_memory_put(struct fxi_task_memory *memory, struct fxi_task_blocks *blocks, void *block,
                         size_t bytes)
{
    struct fxi_task_blocks one = { 0 }, *to = blocks ? blocks : &one;
    if (!is_block(bytes)) {
        fxi_free(block);
        return;
    }
    struct fxi_task_block *freed = block;
    freed->next = to->first;
    to->first = freed;
    if (to->count++ == 0)
        to->last = freed;
    if (!blocks)
        fxi_task_memory_put_all(memory, &one);
}

void fxi_task_memory_destroy(struct fxi_task_memory *memory)
{
    free_chain(memory->first);
    if (memory->taken != BUSY)
        free_chain(memory->taken);
}

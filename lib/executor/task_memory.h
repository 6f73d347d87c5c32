/* The memory of a pool's tasks: what the workers free the submitters use again, while it is in the
 * caches, as malloc would not do for memory that one thread allocates and another one frees. */
#ifndef FXI_EXECUTOR_TASK_MEMORY_H
#define FXI_EXECUTOR_TASK_MEMORY_H

#include "executor/run_queue.h"

struct fxi_task_block {
    struct fxi_task_block *next;
};

/* Blocks of one size, for tasks without more than a small payload. Zeroed: empty. */
struct fxi_task_memory {
    fxi_lowlock lock;
    size_t count;
    struct fxi_task_block *first;
} __attribute__((aligned(FXI_CACHE_LINE)));

/* What a worker has freed and not given back yet: the latest first. */
struct fxi_task_blocks {
    size_t count;
    struct fxi_task_block *first, *last;
};

/* Memory of `bytes`, not zeroed. NULL: none. */
void *fxi_task_memory_get(struct fxi_task_memory *memory, size_t bytes);

/* Gives it back: at once, or, where `blocks` is not NULL, by way of those. */
void fxi_task_memory_put(struct fxi_task_memory *memory, struct fxi_task_blocks *blocks, void *block,
                         size_t bytes);
void fxi_task_memory_put_all(struct fxi_task_memory *memory, struct fxi_task_blocks *blocks);

void fxi_task_memory_destroy(struct fxi_task_memory *memory);

#endif

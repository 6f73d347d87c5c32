/* The memory of a pool's tasks: what the workers free the submitters use again, while it is in the
 * caches, as malloc would not do for memory that one thread allocates and another one frees. */
#ifndef FXI_EXECUTOR_TASK_MEMORY_H
#define FXI_EXECUTOR_TASK_MEMORY_H

#include "executor/run_queue.h"

struct fxi_task_block {
    struct fxi_task_block *next;
};

/* Blocks of one size, for tasks without more than a small payload. Zeroed: empty. Submitters take from a
 * chain of their own, and all that the workers have given back when that is at its end: so the two meet
 * once in many tasks. */
struct fxi_task_memory {
    struct fxi_task_block *taken; /* what submitters take from; BUSY while one does, or for ever */
    size_t given;                 /* blocks that came by way of that; written by who has it */
    fxi_lowlock lock __attribute__((aligned(FXI_CACHE_LINE)));
    size_t count;
    struct fxi_task_block *first; /* what was given back */
} __attribute__((aligned(FXI_CACHE_LINE)));

/* What a worker has freed and not given back yet: the latest first. */
struct fxi_task_blocks {
    size_t count;
    struct fxi_task_block *first, *last;
};

/* Memory of `bytes`, not zeroed. NULL: none. *is_given: it was counted in `given`. */
void *fxi_task_memory_get(struct fxi_task_memory *memory, size_t bytes, bool *is_given);

/* In the child of a fork: another thread may have been taking. */
void fxi_task_memory_after_fork(struct fxi_task_memory *memory);

/* From now on nothing is counted in `given`, and this is how much was. */
size_t fxi_task_memory_seal(struct fxi_task_memory *memory);

/* Gives it back: at once, or, where `blocks` is not NULL, by way of those. */
void fxi_task_memory_put(struct fxi_task_memory *memory, struct fxi_task_blocks *blocks, void *block,
                         size_t bytes);
void fxi_task_memory_put_all(struct fxi_task_memory *memory, struct fxi_task_blocks *blocks);

void fxi_task_memory_destroy(struct fxi_task_memory *memory);

#endif

/* Some items of a map, which one task takes one after the other.
 *
 * Where the executor shares the map's memory, items and results may stand in the map's arrays; else
 * they lie in the task, items as a part of its argument, results of its result. What came of each
 * item stands in the task's result: that the task itself ended by an exception is the matter of
 * what it was stopped in, and of those behind. */
#ifndef FXI_EXECUTOR_CHUNK_H
#define FXI_EXECUTOR_CHUNK_H

#include <fxthread/map.h>

#include "executor/executor.h"

/* What all chunks of a map have in common. */
struct fxi_chunk_plan {
    fx_executor *executor;
    fx_copy_target fn;
    size_t item_size, result_size;
    bool goes_on; /* after an item that failed */
};

/* Where a function of the program's, told by its address there, lies in the process that runs the chunk;
 * NULL: nowhere. NULL itself: it is the same process. */
extern void *(*fxi_chunk_find_target)(uintptr_t address);

/* A task for `count` items. `items`: where they stand, or NULL: the caller fills them in at
 * fxi_chunk_item(). `results`: where they belong; or NULL: they stay in the task. NULL: no
 * memory. */
struct fxi_task *fxi_chunk_new(const struct fxi_chunk_plan *plan, size_t count, const void *items,
                               void *results);

/* The place of an item that the caller fills in; and that fewer are there, after all. */
void *fxi_chunk_item(struct fxi_task *task, size_t i);
void fxi_chunk_shorten(struct fxi_task *task, size_t count);

/* Of a chunk that is done: how many items; what came of one, 0 or the exception, FX_CANCELLED for
 * one that was not tried; and where its result is: NULL if it is where it belongs. */
size_t fxi_chunk_count(const struct fxi_task *task);
fx_exc fxi_chunk_failure(const struct fxi_task *task, size_t i);
const void *fxi_chunk_result(const struct fxi_task *task, size_t i);

/* Cancels or stops it; waits until it is done, which is no stop point; gives it up. */
void fxi_chunk_stop(struct fxi_task *task);
void fxi_chunk_await_end(struct fxi_task *task);
void fxi_chunk_release(struct fxi_task *task);

/* What a map goes by: -EINVAL, or the numbers that `attr`, which may be NULL, stands for. */
struct fxi_map_limits {
    size_t chunk, in_flight;
    fx_deadline deadline;
};
int fxi_map_limits(const fx_executor *executor, const fx_map_attr *attr,
                   struct fxi_map_limits *limits);

#endif

#include "executor/chunk.h"
#include "stop/caught.h"

#include <errno.h>
#include <string.h>

#include "stop/raise.h"
#include "stop/walk.h"

#define ALIGNMENT 16
#define IN_FLIGHT_LEAST 16
#define IN_FLIGHT_PER_WORKER 4

/* The head of the task's argument; items that lie in the task follow. The map goes by a copy of its own: what
 * a process that runs wild does to the argument is nothing to it. */
struct chunk {
    fx_copy_target fn;
    const char *items; /* NULL: they follow */
    char *results;     /* NULL: they follow the verdicts */
    size_t count, room, item_size, result_size;
    bool goes_on, crosses; /* `crosses`: it runs in another process */
} __attribute__((aligned(ALIGNMENT)));

/* The task's result begins with one for each item. */
struct verdict {
    fx_exc failure;
    bool is_tried;
};

static size_t aligned(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static size_t verdict_bytes(size_t count)
{
    return aligned(count * sizeof(struct verdict));
}

/* --- in the task ------------------------------------------------------------------------------ */

void *(*fxi_chunk_find_target)(uintptr_t address);

struct item_call {
    const struct chunk *chunk;
    fx_copy_target fn;
    const void *item;
    void *result;
    int rc;
};

static FXI_PASSES_ON void call_function(void *arg)
{
    struct item_call *call = arg;
    const struct chunk *chunk = call->chunk;
    call->rc = call->fn(call->item, chunk->item_size, call->result, chunk->result_size);
}

/* What came of it. A stop is the task's, and goes on. */
static struct verdict try_item(struct fxi_context *self, struct item_call *call)
{
    struct verdict verdict = { .is_tried = true };
    if (!fxi_call_caught(self, call_function, call)) {
        verdict.failure = call->rc < 0 ? call->rc : 0;
        return verdict;
    }
    verdict.failure = self->raised.code;
    if (verdict.failure != FX_STOPPED)
        fxi_raised_drop(self);
    return verdict;
}

static int run_chunk(const void *arg, size_t arg_size, void *result, size_t result_size)
{
    const struct chunk *chunk = arg;
    struct verdict *verdicts = result;
    struct fxi_context *self = fxi_self();
    fx_copy_target fn = chunk->fn;
    if (chunk->crosses && fxi_chunk_find_target)
        fn = (fx_copy_target)fxi_chunk_find_target((uintptr_t)fn);
    if (!fn)
        return -ENOEXEC;
    const char *items = chunk->items ? chunk->items : (const char *)(chunk + 1);
    char *results = chunk->results ? chunk->results : (char *)result + verdict_bytes(chunk->room);
    (void)arg_size;
    (void)result_size;
    for (size_t i = 0; i < chunk->count; i++) {
        struct item_call call = { .chunk = chunk,
                                  .fn = fn,
                                  .item = items + i * chunk->item_size,
                                  .result = results + i * chunk->result_size };
        if (chunk->results && chunk->result_size > 0)
            memset(call.result, 0, chunk->result_size);
        verdicts[i] = try_item(self, &call);
        if (verdicts[i].failure == FX_STOPPED)
            fxi_raise_stored(self);
        if (verdicts[i].failure != 0 && !chunk->goes_on)
            break;
    }
    return 0;
}

/* --- in the map ------------------------------------------------------------------------------- */

static struct chunk *chunk_of(const struct fxi_task *task)
{
    return task->own;
}

struct fxi_task *fxi_chunk_new(const struct fxi_chunk_plan *plan, size_t count, const void *items,
                               void *results)
{
    bool in_place = plan->executor->ops->shares_memory;
    bool items_inside = !items || !in_place, results_inside = !results || !in_place;
    size_t item_bytes = 0, result_bytes = 0;
    if ((items_inside && __builtin_mul_overflow(count, plan->item_size, &item_bytes)) ||
        (results_inside && __builtin_mul_overflow(count, plan->result_size, &result_bytes)) ||
        count > SIZE_MAX / 8 / sizeof(struct verdict) || item_bytes > SIZE_MAX / 8 ||
        result_bytes > SIZE_MAX / 8)
        return NULL;
    struct fxi_task *task =
        fxi_task_new_copy(plan->executor, run_chunk, NULL, sizeof(struct chunk) + item_bytes,
                          verdict_bytes(count) + result_bytes, sizeof(struct chunk), NULL, 2);
    if (!task)
        return NULL;
    *chunk_of(task) = (struct chunk){ .fn = plan->fn,
                                      .items = items_inside ? NULL : items,
                                      .results = results_inside ? NULL : results,
                                      .count = count,
                                      .room = count,
                                      .item_size = plan->item_size,
                                      .result_size = plan->result_size,
                                      .goes_on = plan->goes_on,
                                      .crosses = !in_place };
    memcpy(task->arg, task->own, sizeof(struct chunk));
    if (items && items_inside && item_bytes > 0)
        memcpy(fxi_chunk_item(task, 0), items, item_bytes);
    return task;
}

void *fxi_chunk_item(struct fxi_task *task, size_t i)
{
    return (char *)task->arg + sizeof(struct chunk) + i * chunk_of(task)->item_size;
}

void fxi_chunk_shorten(struct fxi_task *task, size_t count)
{
    struct chunk *theirs = task->arg;
    chunk_of(task)->count = theirs->count = count;
}

size_t fxi_chunk_count(const struct fxi_task *task)
{
    return chunk_of(task)->count;
}

fx_exc fxi_chunk_failure(const struct fxi_task *task, size_t i)
{
    const struct verdict *verdict = (const struct verdict *)task->future.result + i;
    fx_exc exception = fxi_future_exception(&task->future);
    if (verdict->is_tried)
        return verdict->failure;
    return exception != 0 && exception != FX_STOPPED ? exception : FX_CANCELLED;
}

const void *fxi_chunk_result(const struct fxi_task *task, size_t i)
{
    const struct chunk *chunk = chunk_of(task);
    if (chunk->results)
        return NULL;
    return (char *)task->future.result + verdict_bytes(chunk->room) + i * chunk->result_size;
}

void fxi_chunk_stop(struct fxi_task *task)
{
    int unused;
    fxi_future_stop(&task->future, &unused); /* it has no callbacks that could interrupt */
}

void fxi_chunk_await_end(struct fxi_task *task)
{
    fxi_future_wait_unstopped(&task->future);
}

void fxi_chunk_release(struct fxi_task *task)
{
    fxi_future_mark(&task->future, FXI_FUTURE_TOLD); /* the map tells */
    fx_future_unref(&task->future);
}

static bool attr_is_valid(const fx_map_attr *attr)
{
    for (size_t i = 0; i < sizeof attr->reserved / sizeof attr->reserved[0]; i++)
        if (attr->reserved[i] != 0)
            return false;
    return attr->timeout >= 0 || attr->timeout == FX_FOREVER;
}

int fxi_map_limits(const fx_executor *executor, const fx_map_attr *attr,
                   struct fxi_map_limits *limits)
{
    static const fx_map_attr defaults;
    attr = attr ? attr : &defaults;
    if (!attr_is_valid(attr))
        return -EINVAL;
    size_t usual = IN_FLIGHT_PER_WORKER * executor->parallelism;
    usual = usual < IN_FLIGHT_LEAST ? IN_FLIGHT_LEAST : usual;
    limits->chunk = attr->chunk ? attr->chunk : 1;
    limits->in_flight = attr->max_in_flight ? attr->max_in_flight : usual;
    limits->deadline = attr->timeout == 0 ? FX_FOREVER : fx_deadline_after(attr->timeout);
    return 0;
}

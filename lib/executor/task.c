/* A task from its making to its end: memory, start, the call of its function. */
#include "executor/executor.h"

#include <errno.h>
#include <string.h>

#include "executor/admit.h"
#include "future/follow.h"
#include "libc/alloc.h"
#include "stop/caught.h"
#include "stop/walk.h"

#define ALIGNMENT 16 /* of malloc's memory */
#define BYTES_MOST (SIZE_MAX / 4)

static size_t aligned(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* --- as a future ------------------------------------------------------------------------------ */

static bool hold_back(fx_future *future)
{
    struct fxi_task *task = fxi_task_of(future);
    return !task->executor->ops->hold_back || task->executor->ops->hold_back(task);
}

static void refresh(fx_future *future)
{
    struct fxi_task *task = fxi_task_of(future);
    if (task->executor->ops->refresh)
        task->executor->ops->refresh(task);
}

static int await(fx_future *future, fx_deadline deadline, bool is_stop_point)
{
    struct fxi_task *task = fxi_task_of(future);
    const struct fxi_executor_ops *ops = task->executor->ops;
    return ops->await ? ops->await(task, deadline, is_stop_point) : -EAGAIN;
}

static void withdrawn(fx_future *future)
{
    struct fxi_task *task = fxi_task_of(future);
    if (task->flags & FXI_TASK_ADMITTED)
        fxi_executor_vacate(task->executor);
    if (task->executor->ops->withdrawn && !(task->flags & FXI_TASK_FOLLOWS))
        task->executor->ops->withdrawn(task);
}

static int stop(fx_future *future)
{
    struct fxi_task *task = fxi_task_of(future);
    if ((task->flags & FXI_TASK_IN_CALLER) || !task->executor->ops->stop)
        return -ENOTSUP;
    return task->executor->ops->stop(task, FX_STOPPED);
}

static int worker_status(fx_future *future, int *status)
{
    struct fxi_task *task = fxi_task_of(future);
    const struct fxi_executor_ops *ops = task->executor->ops;
    return ops->worker_status ? ops->worker_status(task, status) : -ENODATA;
}

static void free_memory(struct fxi_task *task)
{
    const struct fxi_executor_ops *ops = task->executor->ops;
    if (ops->task_free)
        ops->task_free(task->executor, task, task->bytes);
    else
        fxi_free(task);
}

static void free_task(fx_future *future)
{
    struct fxi_task *task = fxi_task_of(future);
    if (task->free_arg && (!task->has_begun || (task->flags & FXI_TASK_FOLLOWS)))
        task->free_arg(task->arg);
    free_memory(task);
}

static const struct fxi_future_kind task_kind = {
    .hold_back = hold_back,
    .refresh = refresh,
    .await = await,
    .withdrawn = withdrawn,
    .stop = stop,
    .worker_status = worker_status,
    .free = free_task
};

/* --- making ----------------------------------------------------------------------------------- */

struct fxi_task *fxi_task_new(fx_executor *executor, size_t payload_bytes, void **payload,
                              uint32_t references)
{
    const struct fxi_executor_ops *ops = executor->ops;
    size_t head = aligned(ops->task_bytes), bytes = head + payload_bytes;
    struct fxi_task *task = NULL;
    if (payload_bytes <= BYTES_MOST)
        task = ops->task_alloc ? ops->task_alloc(executor, bytes) : fxi_alloc(bytes);
    if (!task) {
        errno = ENOMEM;
        return NULL;
    }
    memset(task, 0, ops->task_bytes);
    fxi_future_init(&task->future, &task_kind, references);
    task->executor = executor;
    task->bytes = bytes;
    if (payload)
        *payload = (char *)task + head;
    return task;
}

void fxi_task_discard(struct fxi_task *task)
{
    free_memory(task);
}

/* Argument and result beside the task, where the executor says. */
static int place_elsewhere(struct fxi_task *task, const void *arg, size_t arg_size,
                           size_t result_size)
{
    void *payload;
    int rc = task->executor->ops->payload(task, arg, arg_size,
                                          aligned(arg_size) + aligned(result_size), &payload);
    if (rc != 0)
        return rc;
    task->arg = payload;
    task->future.result = (char *)payload + aligned(arg_size);
    return 0;
}

static void place_here(struct fxi_task *task, char *payload, const void *arg, size_t arg_size,
                       size_t result_size)
{
    task->arg = payload;
    task->future.result = payload + aligned(arg_size);
    if (arg_size > 0 && arg)
        memcpy(task->arg, arg, arg_size);
    if (result_size > 0)
        memset(task->future.result, 0, result_size);
}

struct fxi_task *fxi_task_new_copy(fx_executor *executor, fx_copy_target fn, const void *arg,
                                   size_t arg_size, size_t result_size, size_t extra_bytes,
                                   void **extra, uint32_t references)
{
    void *payload;
    if (arg_size > BYTES_MOST || result_size > BYTES_MOST) {
        errno = ENOMEM;
        return NULL;
    }
    bool is_elsewhere = executor->ops->payload != NULL;
    size_t fixed = is_elsewhere ? 0 : aligned(arg_size) + aligned(result_size);
    struct fxi_task *task = fxi_task_new(executor, fixed + extra_bytes, &payload, references);
    if (!task)
        return NULL;
    task->flags = FXI_TASK_COPIES;
    task->copy_fn = fn;
    task->arg_size = arg_size;
    task->future.result_size = result_size;
    int rc = is_elsewhere ? place_elsewhere(task, arg, arg_size, result_size) : 0;
    if (rc != 0) {
        fxi_task_discard(task);
        errno = -rc;
        return NULL;
    }
    if (!is_elsewhere)
        place_here(task, payload, arg, arg_size, result_size);
    task->own = (char *)payload + fixed;
    if (extra)
        *extra = task->own;
    return task;
}

/* --- running ---------------------------------------------------------------------------------- */

static bool started(struct fxi_task *task, bool is_started)
{
    if (is_started && (task->flags & FXI_TASK_ADMITTED))
        fxi_executor_vacate(task->executor);
    return is_started;
}

bool fxi_task_start(struct fxi_task *task)
{
    return started(task, fxi_future_start(&task->future));
}

bool fxi_task_start_alone(struct fxi_task *task)
{
    return started(task, fxi_future_start_alone(&task->future));
}

struct performance {
    struct fxi_task *task;
    void *result;
    int rc; /* of a copying function */
};

static FXI_PASSES_ON void call_function(void *arg)
{
    struct performance *performance = arg;
    struct fxi_task *task = performance->task;
    task->has_begun = true;
    if (task->flags & FXI_TASK_COPIES)
        performance->rc = task->copy_fn(task->arg, task->arg_size, task->future.result,
                                        task->future.result_size);
    else
        performance->result = task->fn(task->arg);
}

/* fx_thread_exit() has ended the function with a value; other exits bring none. */
static bool is_exit_with_value(const struct fxi_raised *raised)
{
    return raised->code == FX_EXITED && !raised->free_payload;
}

static bool finish_raised(struct fxi_task *task, struct fxi_raised *raised)
{
    if (!is_exit_with_value(raised))
        return fxi_future_finish_raised(&task->future, raised);
    bool copies = task->flags & FXI_TASK_COPIES;
    return fxi_future_finish(&task->future, copies ? task->future.result : raised->payload);
}

static bool finish_returned(struct fxi_task *task, const struct performance *performance)
{
    if (!(task->flags & FXI_TASK_COPIES))
        return fxi_future_finish(&task->future, performance->result);
    if (performance->rc < 0)
        return fxi_future_finish_code(&task->future, performance->rc, NULL);
    return fxi_future_finish(&task->future, task->future.result);
}

void fxi_task_perform(struct fxi_task *task)
{
    struct fxi_context *self = fxi_current;
    struct performance performance = { .task = task };
    task->outer = self->task;
    self->task = task;
    bool interrupted = fxi_call_caught(self, call_function, &performance)
                           ? finish_raised(task, &self->raised)
                           : finish_returned(task, &performance);
    if (interrupted)
        fxi_raised_drop(self);
    self->task = task->outer;
}

void fxi_task_unwound(struct fxi_task *task)
{
    struct fxi_context *self = fxi_current;
    bool interrupted = fxi_future_is_done(&task->future)
                           ? fxi_future_resume_callbacks(&task->future)
                           : fxi_future_finish_code(&task->future, FX_EXITED, NULL);
    if (interrupted)
        fxi_raised_drop(self);
    self->task = task->outer;
}

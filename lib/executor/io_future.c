#include "executor/io.h"

#include <errno.h>
#include <string.h>

#include <fxthread/io.h>

#include "executor/io_try.h"
#include "executor/io_wait.h"
#include "executor/pool.h"
#include "executor/request.h"
#include "future/follow.h"
#include "kernel/io.h"
#include "kernel/processor.h"
#include "stop/caught.h"
#include "stop/stop.h"

enum { OVER = FXI_IO_OVER, ASKED = 2 };

/* What follows the task in its memory, and is its `arg`. */
struct operation {
    struct fxi_pool_task *task;
    struct fxi_post asked;
    struct fxi_request request;
};

static const struct fxi_future_kind operation_kind;

/* Of a parent's, in the child of a fork. */
static bool is_lost(const struct fxi_pool_task *task)
{
    return fxi_pool_of(task->task.executor)->generation != fxi_pools_generation();
}

/* --- its end ---------------------------------------------------------------------------------- */

/* The worker has nothing to do with it any more, once what is on its way has arrived. */
static void leave(struct fxi_worker *worker, struct fxi_pool_task *task)
{
    /* acquire: pairs with the release in tell_worker */
    if (!(fxi_exchange_acquire(&task->runs_on, (uintptr_t)OVER) & ASKED))
        worker->begun--;
}

/* In the worker's loop, or on one of its fibers. What the hook for unread exceptions does may wait,
 * too. */
void fxi_io_finish(struct fxi_worker *worker, struct fxi_pool_task *task, int32_t result)
{
    fx_future *future = &task->task.future;
    fx_exc code = result >= 0 ? 0 : result == -ECANCELED ? FX_STOPPED : result;
    void *value = result >= 0 ? (void *)(intptr_t)result : NULL;
    bool has_calls = fxi_future_finish_quietly(future, value, code);
    if (has_calls || (code != 0 && fxi_load_relaxed(&future->references) == 1))
        fxi_share_put_back(&worker->share, task);
    else
        fx_future_unref(future);
}

bool fxi_io_is_over(const struct fxi_pool_task *task)
{
    return (task->task.flags & FXI_TASK_IO) && fxi_load_relaxed(&task->runs_on) == OVER;
}

void fxi_io_call_back(struct fxi_pool_task *task)
{
    if (fxi_future_resume_callbacks(&task->task.future) && fxi_current)
        fxi_raised_drop(fxi_current);
}

/* --- asked by others -------------------------------------------------------------------------- */

/* Sends the post to the task's worker, once. -EALREADY: it is over, or is the caller's own worker,
 * of which *here is told. */
static int tell_worker(struct fxi_pool_task *task, struct fxi_post *post, struct fxi_worker **here)
{
    uintptr_t word = fxi_load_relaxed(&task->runs_on);
    *here = NULL;
    for (;;) {
        if (word == 0 || word == OVER)
            return -EALREADY;
        if (word & ASKED)
            return 0;
        struct fxi_worker *worker = (struct fxi_worker *)word;
        if (worker == fxi_worker_self) {
            *here = worker;
            return -EALREADY;
        }
        /* release: pairs with the acquire in leave */
        if (fxi_cas_acq_rel(&task->runs_on, &word, word | ASKED)) {
            fx_future_ref(&task->task.future);
            fxi_worker_post(worker, post);
            return 0;
        }
    }
}

/* The post has arrived, and its work is done. */
static void forget_post(struct fxi_pool_task *task)
{
    fxi_worker_self->begun--;
    fx_future_unref(&task->task.future);
}

/* --- operations ------------------------------------------------------------------------------- */

static void complete(struct fxi_request *request, int32_t result)
{
    struct operation *operation = fxi_container_of(request, struct operation, request);
    struct fxi_pool_task *task = operation->task;
    struct fxi_worker *worker = request->worker;
    leave(worker, task);
    fxi_io_finish(worker, task, fxi_entry_completion(&request->entry, result));
}

static void stop_arrives(struct fxi_post *post)
{
    struct operation *operation = fxi_container_of(post, struct operation, asked);
    struct fxi_pool_task *task = operation->task;
    if (fxi_load_relaxed(&task->runs_on) != OVER)
        fxi_request_cancel(&operation->request);
    forget_post(task);
}

/* RUNNING, and so its worker stands in `runs_on`. */
static int stop_operation(fx_future *future)
{
    struct fxi_pool_task *task = fxi_pool_task_of(fxi_task_of(future));
    struct operation *operation = task->task.arg;
    struct fxi_worker *here;
    if (is_lost(task))
        return -ESRCH;
    while (fxi_load_relaxed(&task->runs_on) == 0)
        fxi_cpu_relax(); /* its worker has stored it, but this does not see it yet */
    int rc = tell_worker(task, &operation->asked, &here);
    if (!here)
        return rc;
    fxi_request_cancel(&operation->request);
    fxi_requests_flush(here);
    return 0;
}

static bool does_not_wait(const struct io_uring_sqe *entry)
{
    if (fxi_entry_does_not_wait(entry))
        return true;
    int flags = fxi_entry_heeds_nonblock(entry) ? fxi_io_flags(entry->fd) : 0;
    return flags > 0 && (flags & O_NONBLOCK);
}

static void begin_operation(struct fxi_worker *worker, struct fxi_pool_task *task)
{
    struct operation *operation = task->task.arg;
    int rc = -ECANCELED;
    /* release: pairs with the acquire in tell_worker */
    fxi_store_release(&task->runs_on, (uintptr_t)worker);
    worker->begun++;
    if (!fxi_task_start(&task->task)) {
        leave(worker, task);
        fx_future_unref(&task->task.future);
        return;
    }
    if (does_not_wait(&operation->request.entry)) {
        long result = fxi_io_call_at_once(&operation->request.entry);
        if (result != FXI_IO_CANNOT_TRY) {
            leave(worker, task);
            fxi_io_finish(worker, task, (int32_t)result);
            return;
        }
    }
    if (!fxi_load_relaxed(&worker->pool->cancels))
        rc = fxi_request_begin(worker, &operation->request);
    if (rc != 0) {
        leave(worker, task);
        fxi_io_finish(worker, task, rc);
    }
}

/* --- in the worker ---------------------------------------------------------------------------- */

bool fxi_io_begin(struct fxi_worker *worker, struct fxi_pool_task *task)
{
    if (fxi_io_is_over(task))
        return false;
    begin_operation(worker, task);
    return true;
}

void fxi_io_cancel_all(struct fxi_worker *worker)
{
    if (worker->backend)
        fxi_requests_cancel_futures(worker);
}

/* --- making ----------------------------------------------------------------------------------- */

void fxi_io_free(fx_future *future)
{
    fxi_task_discard(fxi_task_of(future));
}

static const struct fxi_future_kind operation_kind = {
    .stop = stop_operation, .free = fxi_io_free
};

int fxi_io_refusal(const fx_executor *executor)
{
    if (!executor)
        return -EINVAL;
    return executor->ops->has_io ? fxi_executor_refusal(executor) : -ENOTSUP;
}

struct fxi_pool_task *fxi_io_task_new(fx_executor *executor, const struct fxi_future_kind *kind,
                                      size_t payload_bytes)
{
    void *payload;
    struct fxi_task *task = fxi_task_new(executor, payload_bytes, &payload, 2);
    if (!task)
        return NULL;
    memset(payload, 0, payload_bytes);
    task->future.kind = kind;
    task->flags = FXI_TASK_IO;
    task->arg = payload;
    return fxi_pool_task_of(task);
}

/* Whether the caller is a task on a worker of the pool, which it will let go on when it waits: else
 * its worker would be kept from what it has begun. */
static bool is_beside_worker(const struct fxi_worker *worker, fx_executor *executor)
{
    struct fxi_context *self = fxi_current;
    return worker && worker->pool == fxi_pool_of(executor) && self->operations &&
           self->operations->can_suspend(self);
}

/* A read of what is in memory is done by the task itself, wholly or not at all. */
static bool do_at_once(struct fxi_pool_task *task)
{
    struct fxi_fiber *fiber = fxi_fiber_of(fxi_current);
    const struct operation *operation = task->task.arg;
    const struct io_uring_sqe *entry = &operation->request.entry;
    if (!fxi_io_tries_first(fiber, entry, true) ||
        ++fiber->worker->tries % FXI_IO_TRIES_IN_A_ROW == 0 || /* for this one the task waits */
        fxi_io_try_file(fiber, entry) != (long)entry->len)
        return false;
    fxi_store_relaxed(&task->runs_on, (uintptr_t)OVER);
    fxi_task_start(&task->task);
    fxi_io_finish(fiber->worker, task, (int32_t)entry->len);
    return true;
}

/* When a read at an offset happens nobody sees, so that it may join others. */
static void flush(struct fxi_worker *worker, const struct fxi_pool_task *task)
{
    const struct operation *operation = task->task.arg;
    const struct io_uring_sqe *entry = &operation->request.entry;
    if (entry->opcode == IORING_OP_READ && entry->off != (uint64_t)-1)
        fxi_requests_flush_soon(worker);
    else
        fxi_requests_flush(worker);
}

/* Begun at once, it is under way while the task goes on. */
static fx_future *submit(struct fxi_pool_task *task)
{
    fx_executor *executor = task->task.executor;
    struct fxi_worker *worker = fxi_worker_self;
    if (is_beside_worker(worker, executor)) {
        if (do_at_once(task))
            return &task->task.future;
        fxi_io_begin(worker, task);
        flush(worker, task);
        return &task->task.future;
    }
    int rc = executor->ops->submit(executor, &task->task);
    if (rc == 0)
        return &task->task.future;
    fxi_task_discard(&task->task);
    errno = -rc;
    return NULL;
}

fx_future *fxi_io_submit(fx_executor *executor, const struct io_uring_sqe *entry)
{
    int rc = fxi_io_refusal(executor);
    if (rc == 0 && !fxi_request_is_possible(fx_executor_backend(executor), entry->opcode))
        rc = -ENOTSUP;
    if (rc != 0) {
        errno = -rc;
        return NULL;
    }
    struct fxi_pool_task *task = fxi_io_task_new(executor, &operation_kind, sizeof(struct operation));
    if (!task)
        return NULL;
    struct operation *operation = task->task.arg;
    operation->task = task;
    operation->asked.arrive = stop_arrives;
    operation->request.entry = *entry;
    operation->request.complete = complete;
    operation->request.is_of_future = true;
    return submit(task);
}

/* --- the outcome ------------------------------------------------------------------------------ */

int64_t fx_future_io_until(fx_future *future, fx_deadline deadline)
{
    if (!future || (future->kind != &operation_kind && future->kind != &fxi_sleep_kind))
        return -EINVAL;
    int rc = fxi_future_wait(future, deadline);
    if (rc != 0)
        return fxi_stop_point(rc);
    rc = fxi_future_outcome(future);
    if (rc == 0)
        return (intptr_t)future->result;
    return future->exception < 0 ? future->exception : rc;
}

int64_t fx_future_io_for(fx_future *future, fx_nsec timeout)
{
    return fx_future_io_until(future, fx_deadline_after(timeout));
}

int64_t fx_future_io(fx_future *future)
{
    return fx_future_io_until(future, FX_FOREVER);
}

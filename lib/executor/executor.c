/* What all executors have in common: handles, condition, shutdown, and what they are asked. */
#include "executor/executor.h"

#include <errno.h>
#include <sched.h>

#include "park/park.h"
#include "stop/stop.h"

void fxi_executor_init(fx_executor *executor, const struct fxi_executor_ops *ops,
                       size_t parallelism)
{
    executor->ops = ops;
    executor->handles = 1;
    executor->condition = FXI_EXECUTOR_OPEN;
    executor->parallelism = parallelism;
}

int fxi_executor_set_full(fx_executor *executor, size_t max_pending, fx_when_full when_full,
                          fx_nsec full_timeout)
{
    if ((unsigned)when_full > FX_FULL_RUN || max_pending > FXI_EXECUTOR_PENDING_MOST ||
        (full_timeout < 0 && full_timeout != FX_FOREVER))
        return -EINVAL;
    executor->max_pending = max_pending;
    executor->when_full = when_full;
    executor->full_timeout = full_timeout;
    return 0;
}

void fxi_executor_set_condition(fx_executor *executor, enum fxi_executor_condition condition)
{
    uint32_t former = fxi_load_relaxed(&executor->condition);
    /* relaxed: the executor's own lock decides what is taken; this spares and wakes submitters */
    while (former < (uint32_t)condition &&
           !fxi_cas_relaxed(&executor->condition, &former, (uint32_t)condition))
        ;
    fxi_unpark(&executor->pending, SIZE_MAX);
}

int fxi_executor_refusal(const fx_executor *executor)
{
    switch ((enum fxi_executor_condition)fxi_load_relaxed(&executor->condition)) {
    case FXI_EXECUTOR_OPEN:
        return 0;
    case FXI_EXECUTOR_SHUT:
        return -ESHUTDOWN;
    case FXI_EXECUTOR_BROKEN:
        break;
    }
    return -EPIPE;
}

/* --- handles ---------------------------------------------------------------------------------- */

fx_executor *fx_executor_ref(fx_executor *executor)
{
    if (executor)
        fxi_add_relaxed(&executor->handles, 1u); /* whoever calls this holds one already */
    return executor;
}

void fx_executor_unref(fx_executor *executor)
{
    /* acq_rel: all that other holders did with it comes before its end */
    if (executor && fxi_sub_acq_rel(&executor->handles, 1u) == 1)
        executor->ops->abandoned(executor);
}

/* --- shutdown --------------------------------------------------------------------------------- */

static bool is_in_task_of(const fx_executor *executor)
{
    for (struct fxi_task *task = fxi_task_current(); task; task = task->outer)
        if (task->executor == executor)
            return true;
    return false;
}

static int shut_down(fx_executor *executor, bool wait, bool cancel_futures, fx_deadline deadline)
{
    if (!executor)
        return -EINVAL;
    if (wait && is_in_task_of(executor))
        return -EDEADLK;
    if (wait && !fxi_self())
        return -ENOMEM;
    return fxi_stop_point(executor->ops->shutdown(executor, wait, cancel_futures, deadline));
}

int fx_executor_shutdown(fx_executor *executor, bool wait, bool cancel_futures)
{
    return shut_down(executor, wait, cancel_futures, FX_FOREVER);
}

int fx_executor_shutdown_until(fx_executor *executor, fx_deadline deadline, bool cancel_futures)
{
    return shut_down(executor, true, cancel_futures, deadline);
}

int fx_executor_shutdown_for(fx_executor *executor, fx_nsec timeout, bool cancel_futures)
{
    return fx_executor_shutdown_until(executor, fx_deadline_after(timeout), cancel_futures);
}

static int end_workers(fx_executor *executor, bool kill)
{
    if (!executor)
        return -EINVAL;
    return executor->ops->end_workers ? executor->ops->end_workers(executor, kill) : -ENOTSUP;
}

int fx_executor_terminate_workers(fx_executor *executor)
{
    return end_workers(executor, false);
}

int fx_executor_kill_workers(fx_executor *executor)
{
    return end_workers(executor, true);
}

/* --- asking ----------------------------------------------------------------------------------- */

fx_executor *fx_current_executor(void)
{
    struct fxi_task *task = fxi_task_current();
    return task ? task->executor : NULL;
}

fx_backend fx_executor_backend(const fx_executor *executor)
{
    return executor && executor->ops->backend ? executor->ops->backend(executor) : FX_BACKEND_AUTO;
}

void fx_yield(void)
{
    struct fxi_task *task = fxi_task_current();
    while (task && (task->flags & FXI_TASK_IN_CALLER))
        task = task->outer;
    if (task && task->executor->ops->yield)
        task->executor->ops->yield(task->executor);
    else
        sched_yield();
}

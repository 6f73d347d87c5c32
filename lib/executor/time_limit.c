/* A timer per limited task: the task may compute, and so keep its worker from looking at a clock.
 *
 * The timer's function has a reference on the task, which it gives up itself; where it is cancelled
 * before it begins, who cancels it does. */
#include "executor/time_limit.h"

#include <errno.h>

static void *ring(void *arg)
{
    struct fxi_task *task = arg;
    task->executor->ops->stop(task, FX_TIMED_OUT); /* or the task was over before */
    fx_future_unref(&task->future);
    return NULL;
}

int fxi_time_limit_begin(struct fxi_task *task, fx_timer **timer)
{
    *timer = NULL;
    if (task->time_limit == 0)
        return 0;
    *timer = fx_timer_new(task->time_limit, ring, task);
    if (!*timer)
        return -ENOMEM;
    fx_future_ref(&task->future);
    int rc = fx_timer_start(*timer);
    if (rc == 0)
        return 0;
    fx_future_unref(&task->future);
    fx_timer_unref(*timer);
    *timer = NULL;
    return rc;
}

void fxi_time_limit_end(struct fxi_task *task, fx_timer *timer)
{
    if (!timer)
        return;
    if (fx_timer_cancel(timer) == 0)
        fx_future_unref(&task->future);
    fx_timer_unref(timer);
}

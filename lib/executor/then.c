/* Continuations: a call submitted when a future is done.
 *
 * The task is made at once, and hangs on the future by a callback of the library's in its payload;
 * when that is called, the task goes to its executor. Until then the task holds a handle of the
 * executor, with which it would not end, and no reference on the future, which may be given up
 * unfulfilled: then there is nothing to be called, and the continuation is cancelled. */
#include <errno.h>

#include "executor/executor.h"
#include "future/follow.h"
#include "stop/caught.h"
#include "stop/raise.h"
#include "stop/walk.h"

struct continuation {
    struct fxi_callback node;
    fx_future *done;  /* with a reference; NULL: not yet, or given up */
    void *(*fn)(fx_future *done, void *arg);
    void *arg;
};

static void give_up_future(void *arg)
{
    struct continuation *continuation = arg;
    fx_future *done = continuation->done;
    continuation->done = NULL;
    fx_future_unref(done);
}

/* The task's function. What it raises passes through, and so the reference is given up by a scope;
 * or, where the function never begins, or never ends, with the task. */
static FXI_PASSES_ON void *run(void *arg)
{
    struct continuation *continuation = arg;
    FX_DEFER(give_up_future, continuation);
    return continuation->fn(continuation->done, continuation->arg);
}

/* The future is done, or (NULL) given up; the callback had the executor's reference on the task. */
static void go_on(fx_future *done, void *arg)
{
    struct fxi_task *task = arg;
    struct continuation *continuation = task->arg;
    fx_executor *executor = task->executor;
    bool interrupted = false;
    if (!done) {
        interrupted = fxi_future_cancel(&task->future, NULL);
        fx_future_unref(&task->future);
    } else if (fxi_future_is_done(&task->future)) {
        fx_future_unref(&task->future); /* it was cancelled */
    } else {
        continuation->done = fx_future_ref(done);
        int rc = fxi_executor_refusal(executor);
        if (rc == 0)
            rc = executor->ops->submit(executor, task);
        if (rc != 0) {
            if (fxi_task_start(task))
                interrupted = fxi_future_finish_code(&task->future, rc, NULL);
            fx_future_unref(&task->future);
        }
    }
    fx_executor_unref(executor);
    if (interrupted && done)
        fxi_raise_stored(fxi_self());
    else if (interrupted)
        fxi_raised_drop(fxi_self());
}

fx_future *fx_future_then(fx_future *future, fx_executor *executor,
                          void *(*fn)(fx_future *done, void *arg), void *arg)
{
    void *payload;
    if (!future || !executor || !fn) {
        errno = EINVAL;
        return NULL;
    }
    if (!executor->ops->shares_memory) {
        errno = ENOTSUP;
        return NULL;
    }
    struct fxi_task *task = fxi_task_new(executor, sizeof(struct continuation), &payload, 2);
    if (!task)
        return NULL;
    struct continuation *continuation = payload;
    *continuation = (struct continuation){
        .node = { .fn = go_on, .arg = task, .is_own = true }, .fn = fn, .arg = arg
    };
    task->fn = run;
    task->arg = continuation;
    task->free_arg = give_up_future;
    task->flags = FXI_TASK_FOLLOWS;
    fx_executor_ref(executor);
    if (fxi_future_call_when_done(future, &continuation->node)) {
        fx_future_unref(&task->future);
        fxi_raise_stored(fxi_self());
    }
    return &task->future;
}

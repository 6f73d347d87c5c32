/* Submitting: what the program passes is checked, made a task, admitted, and given to the
 * executor. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "executor/admit.h"
#include "stop/raise.h"
#include "stop/stop.h"

/* --- run in the submitter --------------------------------------------------------------------- */

struct here {
    struct fxi_task *task;
    bool has_handle;
    struct fxi_context *self;
    const struct fxi_net *outer;
    struct fx_scope *innermost;
};

/* pthread_exit() in the function: the submitter goes, and nobody is left for the handle. */
static void unwound(void *arg)
{
    struct here *here = arg;
    here->self->base = here->outer;
    here->self->scopes.innermost = here->innermost;
    fxi_task_unwound(here->task);
    if (here->has_handle)
        fx_future_unref(&here->task->future);
    fx_future_unref(&here->task->future);
}

/* In a task the net is the executor's, as libc keeps its nets by thread. */
static void perform(struct here *here)
{
    if (here->self->task) {
        fxi_task_perform(here->task);
        return;
    }
    here->outer = here->self->base;
    here->innermost = here->self->scopes.innermost;
    pthread_cleanup_push(unwound, here);
    fxi_task_perform(here->task);
    pthread_cleanup_pop(0);
}

/* Nobody else knows the task yet, but for what its function tells. */
static int run_here(struct fxi_task *task)
{
    struct here here = { .task = task, .self = fxi_self() };
    if (!here.self)
        return -ENOMEM;
    here.has_handle = task->future.references > 1;
    task->flags |= FXI_TASK_IN_CALLER;
    fxi_task_start(task);
    perform(&here);
    bool stopped = fxi_future_exception(&task->future) == FX_STOPPED;
    fx_future_unref(&task->future);
    return stopped ? FXI_SUBMIT_STOPPED : 0;
}

_Noreturn void fxi_submit_raise_stop(void)
{
    (fx_raise)(FX_STOPPED);
}

/* --- the way to the executor ------------------------------------------------------------------ */

static int give_to_executor(struct fxi_task *task)
{
    fx_executor *executor = task->executor;
    bool is_admitted = executor->max_pending > 0;
    if (is_admitted)
        task->flags |= FXI_TASK_ADMITTED;
    int rc = executor->ops->submit(executor, task);
    if (rc == 0 || !is_admitted)
        return rc;
    task->flags &= ~(uint32_t)FXI_TASK_ADMITTED;
    fxi_executor_vacate(executor);
    return rc;
}

int fxi_task_try_submit(struct fxi_task *task)
{
    fx_executor *executor = task->executor;
    int rc = fxi_executor_refusal(executor);
    if (rc == 0 && executor->max_pending > 0)
        rc = fxi_executor_admit(executor);
    if (rc == FXI_ADMIT_RUN_HERE)
        return run_here(task);
    return rc == 0 ? give_to_executor(task) : rc;
}

int fxi_task_submit(struct fxi_task *task)
{
    int rc = fxi_task_try_submit(task);
    if (fxi_unlikely(rc < 0))
        fxi_task_discard(task);
    return rc;
}

/* --- what the program calls ------------------------------------------------------------------- */

static const fx_submit_attr defaults;

static bool attr_is_valid(const fx_submit_attr *attr)
{
    for (size_t i = 0; i < sizeof attr->reserved / sizeof attr->reserved[0]; i++)
        if (attr->reserved[i] != 0)
            return false;
    return attr->time_limit >= 0 || attr->time_limit == FX_FOREVER;
}

static size_t name_bytes(const fx_submit_attr *attr)
{
    return attr->name ? strlen(attr->name) + 1 : 0;
}

static void apply(struct fxi_task *task, const fx_submit_attr *attr, void *name)
{
    task->time_limit = attr->time_limit == FX_FOREVER ? 0 : attr->time_limit;
    if (attr->name)
        task->name = memcpy(name, attr->name, name_bytes(attr));
}

static struct fxi_task *new_task(fx_executor *executor, fx_target fn, void *arg,
                                 const fx_submit_attr *attr, uint32_t references)
{
    void *name;
    struct fxi_task *task = fxi_task_new(executor, name_bytes(attr), &name, references);
    if (!task)
        return NULL;
    task->fn = fn;
    task->arg = arg;
    task->free_arg = attr->free_arg;
    task->future.free_result = attr->free_result;
    apply(task, attr, name);
    return task;
}

/* Submits, and returns what the caller of a submit gets. */
static int submit_for(struct fxi_task *task, fx_future *handle)
{
    int rc = fxi_task_submit(task);
    if (fxi_unlikely(rc == FXI_SUBMIT_STOPPED)) {
        fx_future_unref(handle);
        fxi_submit_raise_stop();
    }
    return fxi_stop_point(rc);
}

static fx_future *submit(struct fxi_task *task)
{
    if (!task)
        return NULL;
    fx_future *future = &task->future;
    int rc = submit_for(task, future);
    if (fxi_likely(rc == 0))
        return future;
    errno = -rc;
    return NULL;
}

/* 0, or what is wrong. */
static int check(fx_executor *executor, bool has_fn, const fx_submit_attr *attr, bool copies)
{
    if (!executor || !has_fn || !attr_is_valid(attr) ||
        (copies && (attr->free_arg || attr->free_result)))
        return -EINVAL;
    return copies || executor->ops->shares_memory ? 0 : -ENOTSUP;
}

static fx_future *refuse(int rc)
{
    errno = -rc;
    return NULL;
}

fx_future *fx_submit_with(fx_executor *executor, fx_target fn, void *arg,
                          const fx_submit_attr *attr)
{
    attr = attr ? attr : &defaults;
    int rc = check(executor, fn != NULL, attr, false);
    return rc == 0 ? submit(new_task(executor, fn, arg, attr, 2)) : refuse(rc);
}

fx_future *fx_submit(fx_executor *executor, fx_target fn, void *arg)
{
    return fx_submit_with(executor, fn, arg, &defaults);
}

fx_future *fx_submit_copy_with(fx_executor *executor, fx_copy_target fn, const void *arg,
                               size_t arg_size, size_t result_size, const fx_submit_attr *attr)
{
    void *name;
    attr = attr ? attr : &defaults;
    int rc = check(executor, fn != NULL && (arg || arg_size == 0), attr, true);
    if (rc == 0)
        rc = fxi_executor_accepts(executor, fn);
    if (rc != 0)
        return refuse(rc);
    struct fxi_task *task = fxi_task_new_copy(executor, fn, arg, arg_size, result_size,
                                              name_bytes(attr), &name, 2);
    if (task)
        apply(task, attr, name);
    return submit(task);
}

fx_future *fx_submit_copy(fx_executor *executor, fx_copy_target fn, const void *arg,
                          size_t arg_size, size_t result_size)
{
    return fx_submit_copy_with(executor, fn, arg, arg_size, result_size, &defaults);
}

int fx_submit_detached(fx_executor *executor, fx_target fn, void *arg)
{
    int rc = check(executor, fn != NULL, &defaults, false);
    if (rc != 0)
        return rc;
    struct fxi_task *task = new_task(executor, fn, arg, &defaults, 1);
    return task ? submit_for(task, NULL) : -ENOMEM;
}

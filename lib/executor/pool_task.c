/* Tasks on fibers.
 *
 * `runs_on` of a task, and who moves it:
 *   0               it has not begun
 *   the fiber       stored by its worker before the future is RUNNING
 *   fiber | ASKING  a stopper is at work on that fiber, which does not go on to another task meanwhile
 *   OVER            stored by its worker, when the task's function and callbacks are done */
#include "executor/worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "executor/io.h"
#include "executor/pool.h"
#include "executor/request.h"
#include "executor/time_limit.h"
#include "kernel/processor.h"
#include "libc/tcb.h"
#include "stop/caught.h"
#include "stop/handler.h"
#include "stop/stop.h"
#include "thread/end.h"

#define SPARES_MOST 16
#define TASKS_IN_A_ROW 64 /* on one fiber, before the loop looks around */

enum { OVER = 1, ASKING = 2 };

static void set_runs_on(struct fxi_pool_task *task, struct fxi_fiber *fiber)
{
    /* release: pairs with the acquire in fxi_worker_stop_task, for the fiber's fields */
    fxi_store_release(&task->runs_on, (uintptr_t)fiber);
}

/* From here on no stopper touches the fiber on this task's account. */
static void set_over(struct fxi_pool_task *task, struct fxi_fiber *fiber)
{
    uintptr_t word = (uintptr_t)fiber;
    if (fxi_future_has_no_handle(&task->task.future)) { /* a stopper would have one */
        fxi_store_relaxed(&task->runs_on, (uintptr_t)OVER);
        return;
    }
    while (!fxi_cas_acq_rel(&task->runs_on, &word, (uintptr_t)OVER)) {
        word = (uintptr_t)fiber;
        fxi_cpu_relax(); /* for some instructions, or a signal being sent */
    }
}

static void end_task(struct fxi_fiber *fiber)
{
    struct fxi_pool_task *task = fxi_pool_task_of(fiber->task);
    if (!(fiber->task->flags & FXI_TASK_IO)) /* of those it is over before, and was never a fiber's */
        set_over(task, fiber);
    fxi_time_limit_end(fiber->task, fiber->time_limit);
    if (fiber->context.locals)
        fxi_thread_run_destructors(false);
    fxi_fiber_renew(fiber);
    fx_future_unref(&task->task.future);
    /* It has forked, and is all there is in this process. */
    if (fxi_unlikely(fiber->worker->pool->generation != fxi_pools_generation()))
        exit(EXIT_SUCCESS);
}

/* The next task for the fiber, whose worker has nothing more urgent to do. */
static struct fxi_pool_task *next_task(struct fxi_worker *worker)
{
    if (worker->ready_count > 0 || fxi_worker_has_post(worker) ||
        (worker->in_flight > 0 && fxi_requests_have_news(worker)) ||
        ++worker->tasks % TASKS_IN_A_ROW == 0)
        return NULL;
    return fxi_run_queue_take(&worker->pool->queue, &worker->share, worker->pool->max_workers);
}

/* None is raised before the task's function has begun, for only there is code of the program's. */
static void allow_stops(struct fxi_fiber *fiber)
{
    struct fxi_stop *stop = &fiber->context.stop;
    stop->base = fiber->first_frame;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    stop->disabled = 0;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    fxi_stop_tell_again(&fiber->context);
}

static void perform(struct fxi_fiber *fiber)
{
    int rc = fxi_time_limit_begin(fiber->task, &fiber->time_limit);
    if (rc != 0) {
        if (fxi_future_finish_code(&fiber->task->future, rc, "no timer for its time limit"))
            fxi_raised_drop(&fiber->context);
        return;
    }
    allow_stops(fiber);
    fxi_task_perform(fiber->task);
    fxi_stop_end(&fiber->context);
}

/* Of an operation all but the callbacks is done by the worker itself. */
static void begin_or_call_back(struct fxi_fiber *fiber, struct fxi_pool_task *task)
{
    if (fxi_io_begin(fiber->worker, task))
        return;
    fiber->time_limit = NULL;
    task->task.outer = fiber->context.task;
    fiber->context.task = &task->task;
    allow_stops(fiber);
    fxi_io_call_back(task);
    fxi_stop_end(&fiber->context);
    fiber->context.task = task->task.outer;
    end_task(fiber);
}

static void run_tasks(struct fxi_fiber *fiber)
{
    struct fxi_pool_task *task = fxi_pool_task_of(fiber->task);
    do {
        fiber->task = &task->task;
        if (task->task.flags & FXI_TASK_IO) {
            begin_or_call_back(fiber, task);
            continue;
        }
        set_runs_on(task, fiber);
        if (fxi_task_start_alone(&task->task)) {
            perform(fiber);
            end_task(fiber);
        } else {
            fx_future_unref(&task->task.future);
        }
    } while ((task = next_task(fiber->worker)) != NULL);
}

/* pthread_exit() has unwound the fiber, or a cancellation of the worker's thread. */
static void end_unwound(struct fxi_fiber *fiber)
{
    fxi_tcb_resume(&fiber->context.worker->carrier->tcb);
    fxi_stop_end(&fiber->context);
    fiber->context.base = NULL;
    fiber->context.scopes.innermost = NULL;
    fxi_task_unwound(fiber->task);
    end_task(fiber);
}

/* Inside libc's net, as a thread is. */
static void run_in_net(struct fxi_fiber *fiber)
{
    __pthread_unwind_buf_t net;
    if (__sigsetjmp_cancel(net.__cancel_jmp_buf, 0) == 0) {
        __pthread_register_cancel(&net);
        run_tasks(fiber);
        __pthread_unregister_cancel(&net);
    } else {
        end_unwound(fiber);
    }
}

static void fiber_main(void *arg)
{
    struct fxi_fiber *fiber = arg;
    struct fxi_worker *worker = fiber->worker;
    fiber->first_frame = __builtin_dwarf_cfa();
    fxi_execution_entered();
    for (;;) {
        run_in_net(fiber);
        worker->over = fiber;
        worker->current = NULL;
        fxi_execution_switch(&fiber->execution, &worker->loop, worker->spare_count >= SPARES_MOST);
    }
}

static struct fxi_fiber *take_fiber(struct fxi_worker *worker)
{
    struct fxi_fiber *fiber = worker->spare;
    if (fiber) {
        worker->spare = fiber->next;
        worker->spare_count--;
        return fiber;
    }
    fiber = fxi_fiber_new(&worker->stacks, fiber_main);
    if (!fiber)
        return NULL;
    fiber->worker = worker;
    fiber->context.worker = worker->thread;
    fiber->context.operations = &fxi_task_operations;
    fiber->resumed.arrive = fxi_fiber_arrives;
    return fiber;
}

bool fxi_worker_begin(struct fxi_worker *worker, struct fxi_pool_task *task)
{
    struct fxi_fiber *fiber = take_fiber(worker);
    if (!fiber)
        return false;
    fiber->task = &task->task;
    worker->begun++;
    worker->current = fiber;
    fxi_execution_switch(&worker->loop, &fiber->execution, false);
    return true;
}

void fxi_worker_put_away(struct fxi_worker *worker)
{
    struct fxi_fiber *fiber = worker->over;
    if (!fiber)
        return;
    worker->over = NULL;
    worker->begun--;
    if (worker->spare_count >= SPARES_MOST) {
        fxi_fiber_free(&worker->stacks, fiber);
        return;
    }
    fiber->next = worker->spare;
    worker->spare = fiber;
    worker->spare_count++;
}

void fxi_worker_free_spares(struct fxi_worker *worker)
{
    while (worker->spare) {
        struct fxi_fiber *fiber = worker->spare;
        worker->spare = fiber->next;
        fxi_fiber_free(&worker->stacks, fiber);
    }
    worker->spare_count = 0;
    fxi_task_stacks_destroy(&worker->stacks);
}

/* There is nothing to switch to: the task cannot be stopped. */
void fxi_worker_run_bare(struct fxi_pool_task *task)
{
    if (fxi_io_is_over(task)) {
        fxi_io_call_back(task);
    } else if (fxi_task_start(&task->task)) {
        fxi_store_release(&task->runs_on, (uintptr_t)OVER);
        fxi_task_perform(&task->task);
    }
    fx_future_unref(&task->task.future);
}

int fxi_worker_stop_task(struct fxi_task *task, fx_exc code)
{
    struct fxi_pool_task *own = fxi_pool_task_of(task);
    uintptr_t word = fxi_load_relaxed(&own->runs_on);
    fxi_handler_install();
    for (;;) {
        if (word == OVER)
            return -EALREADY;
        /* 0: it is about to begin; ASKING: somebody else asks. Both for a moment. acquire: pairs with
         * the release in set_runs_on */
        if (word != 0 && !(word & ASKING) &&
            fxi_cas_acquire(&own->runs_on, &word, word | ASKING))
            break;
        fxi_cpu_relax();
        word = fxi_load_relaxed(&own->runs_on);
    }
    struct fxi_fiber *fiber = (struct fxi_fiber *)word;
    bool is_own = &fiber->context == fxi_current;
    pid_t thread_id = fxi_load_relaxed(&fiber->context.worker->native_id);
    int rc = fxi_stop_ask(&fiber->context, is_own ? 0 : thread_id, true, code);
    fxi_store_release(&own->runs_on, word); /* pairs with the acquire in set_over */
    if (is_own)
        fxi_stop_check();
    return rc;
}

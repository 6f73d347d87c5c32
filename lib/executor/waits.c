/* How a task waits: the operations of its context, as lib/park calls them. */
#include "executor/worker.h"

#include "executor/pool.h"
#include "executor/request.h"
#include "stop/chain.h"
#include "stop/stop.h"

/* Below a signal handler's stack the interrupted code, libc's perhaps, is half done: nothing else may
 * run on the thread. Nor where another library has called the program back, nor in a forked child, where
 * the worker's other tasks are copies. */
static inline bool can_suspend(struct fxi_context *self)
{
    struct fxi_fiber *fiber = fxi_fiber_of(self);
    struct fxi_worker *worker = fiber->worker;
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    return here - (uintptr_t)fiber->stack.base < fiber->stack.size &&
           worker->pool->generation == fxi_pools_generation() &&
           (!worker->chains ||
            fxi_chain_is_free(worker->chains, &fiber->chain, fiber->first_frame,
                              __builtin_return_address(0), __builtin_dwarf_cfa()));
}

/* Leaves the present fiber for the next one that is ready or, now and then, for the loop. */
static void leave(struct fxi_worker *worker, struct fxi_fiber *fiber)
{
    struct fxi_execution *to = &worker->loop;
    struct fxi_fiber *next = NULL;
    if (worker->turns > 0 && worker->ready_first) {
        worker->turns--;
        next = worker->ready_first;
        worker->ready_first = next->next;
        worker->ready_count--;
        to = &next->execution;
    }
    worker->current = next;
    if (next != fiber)
        fxi_execution_switch(&fiber->execution, to, false);
}

/* The deadline of a wait is past: the fiber goes on, unless somebody is about to resume it. */
static void alarm_rings(struct fxi_alarm *alarm)
{
    struct fxi_fiber *fiber = fxi_container_of(alarm, struct fxi_fiber, alarm);
    uint32_t *word = &fiber->context.waiter.woken;
    uint32_t state = fxi_load_relaxed(word);
    /* relaxed: the fiber's own thread does this */
    while (fxi_waiter_sleeps(state)) {
        if (!fxi_cas_relaxed(word, &state, FXI_WAITER_AWAKE))
            continue;
        fiber->timed_out = true;
        fxi_worker_resume(fiber);
        return;
    }
}

static bool suspend(struct fxi_context *self, int64_t deadline)
{
    struct fxi_fiber *fiber = fxi_fiber_of(self);
    struct fxi_worker *worker = fiber->worker;
    fiber->timed_out = false;
    if (deadline != FX_FOREVER) {
        fiber->alarm.deadline = deadline;
        fiber->alarm.rings = alarm_rings;
        fxi_alarm_set(&worker->alarms, &fiber->alarm);
    }
    leave(worker, fiber);
    return !fiber->timed_out;
}

static void resume(struct fxi_context *context)
{
    fxi_worker_resume(fxi_fiber_of(context));
}

static bool is_prompt(const struct fxi_context *context)
{
    return fxi_worker_is_asleep(fxi_fiber_of(context)->worker);
}

static void sleeps(struct fxi_context *self, bool begins)
{
    struct fxi_worker *worker = fxi_fiber_of(self)->worker;
    if (begins && worker == fxi_worker_self && worker->in_flight > 0)
        fxi_requests_flush(worker); /* what the others have begun it may be waiting for */
    fxi_pool_blocked(worker->pool, begins);
}

const struct fxi_context_operations fxi_task_operations = {
    .can_suspend = can_suspend,
    .suspend = suspend,
    .resume = resume,
    .is_prompt = is_prompt,
    .sleeps = sleeps,
};

void fxi_worker_yield(void)
{
    struct fxi_worker *worker = fxi_worker_self;
    struct fxi_fiber *fiber = worker ? worker->current : NULL;
    if (!fiber || !can_suspend(&fiber->context))
        return;
    fxi_worker_resume(fiber);
    leave(worker, fiber);
    fxi_stop_tell_again(&fiber->context);
}

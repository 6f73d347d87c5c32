#include "executor/worker.h"

#include <sched.h>

#include "executor/pool.h"
#include "executor/io.h"
#include "executor/request.h"
#include "kernel/processor.h"
#include "stop/caught.h"
#include "stop/chain.h"
#include "stop/walk.h"

/* Looks for work before a worker sleeps: so many while it spins, then so many between which others may
 * have its processor, the one perhaps who is about to submit. To be woken costs more than all of them. */
#define SPINS 100
#define YIELDS 24

#define OPERATIONS_IN_A_ROW 64 /* begun, before the loop looks around */
#define SOON FX_USEC(50)

_Thread_local struct fxi_worker *fxi_worker_self;

/* It has something to do. The last one to stop searching sees to it that others come for what else
 * there is. */
static void stop_searching(struct fxi_worker *worker)
{
    struct fxi_pool *pool = worker->pool;
    if (!worker->searches)
        return;
    worker->searches = false;
    if (fxi_sub_acq_rel(&pool->searching, (size_t)1) != 1)
        return;
    fxi_fence_full(); /* pairs with the one in fxi_run_queue_push */
    if (fxi_pool_has_tasks(pool))
        fxi_pool_rouse(pool);
}

static void start_searching(struct fxi_worker *worker)
{
    if (!worker->searches)
        fxi_add_relaxed(&worker->pool->searching, (size_t)1);
    worker->searches = true;
}

void fxi_worker_tell_freed(struct fxi_worker *worker)
{
    size_t freed = worker->freed;
    worker->freed = 0;
    if (freed == 0)
        return;
    fxi_task_memory_put_all(&worker->pool->memory, &worker->blocks);
    fxi_pool_drop(worker->pool, freed);
}

/* As many switches as fibers are ready now; they may take them among themselves. */
static void run_ready(struct fxi_worker *worker)
{
    stop_searching(worker);
    worker->turns = worker->ready_count;
    while (worker->turns > 0 && worker->ready_first) {
        struct fxi_fiber *fiber = worker->ready_first;
        worker->turns--;
        worker->ready_first = fiber->next;
        worker->ready_count--;
        worker->current = fiber;
        fxi_execution_switch(&worker->loop, &fiber->execution, false);
        fxi_worker_put_away(worker);
    }
}

/* There was no memory for a fiber: the task runs on the worker's own stack, and its waits block the
 * worker. Where tasks of the worker wait, which could be for each other, it is left to others, or
 * until one of those is over. */
static void begin_without_fiber(struct fxi_worker *worker, struct fxi_pool_task *task)
{
    if (worker->begun > 0) {
        fxi_share_put_back(&worker->share, task);
        fxi_worker_sleep(worker, fx_deadline_after(FX_MSEC(1)));
        return;
    }
    fxi_worker_run_bare(task);
}

static void begin(struct fxi_worker *worker, struct fxi_pool_task *task)
{
    stop_searching(worker);
    if (worker->in_flight > 0)
        fxi_requests_flush(worker); /* the task may take long */
    worker->turns = 0;
    for (int i = 0; (task->task.flags & FXI_TASK_IO) && fxi_io_begin(worker, task); i++)
        if (i == OPERATIONS_IN_A_ROW || !(task = fxi_pool_take(worker->pool, worker)))
            return;
    if (fxi_worker_begin(worker, task))
        fxi_worker_put_away(worker);
    else
        begin_without_fiber(worker, task);
}

static bool has_something(const struct fxi_worker *worker)
{
    return fxi_worker_has_post(worker) || !fxi_run_queue_is_empty(&worker->pool->queue);
}

/* When something of its own is due, or of the pool's; INT64_MAX: never. */
static int64_t first_due(const struct fxi_worker *worker)
{
    const struct fxi_alarm *alarm = worker->alarms.first;
    int64_t first = fxi_sleeps_first(&worker->pool->sleeps);
    return alarm && alarm->deadline < first ? alarm->deadline : first;
}

static bool rings_soon(const struct fxi_worker *worker)
{
    int64_t due = first_due(worker);
    return due != INT64_MAX && due - fx_now() < SOON;
}

static void ring_due(struct fxi_worker *worker)
{
    struct fxi_sleeps *sleeps = &worker->pool->sleeps;
    if (first_due(worker) == INT64_MAX)
        return;
    fx_deadline now = fx_now();
    fxi_alarms_ring(&worker->alarms, now);
    if (fxi_sleeps_first(sleeps) <= now)
        fxi_sleeps_ring(sleeps, worker, now);
}

static bool spin(struct fxi_worker *worker)
{
    start_searching(worker);
    if (worker->in_flight > 0) /* what is not handed over yet goes with the call by which it sleeps */
        return has_something(worker);
    for (int i = 0; i < SPINS && fxi_processors() > 1; i++) {
        if (has_something(worker))
            return true;
        fxi_cpu_relax();
    }
    if (rings_soon(worker)) /* before the spinning would be over: to sleep that long costs less */
        return has_something(worker);
    for (int i = 0; i < YIELDS && !has_something(worker); i++)
        sched_yield();
    return has_something(worker);
}

/* Sleeps until there may be something to do. False: there is nothing, and never will be. */
static bool rest(struct fxi_worker *worker, fx_deadline *idle_since)
{
    struct fxi_pool *pool = worker->pool;
    fx_deadline until = fxi_alarms_next(&worker->alarms);
    bool keeps;
    if (spin(worker))
        return true;
    fxi_worker_tell_freed(worker);
    fxi_pool_set_idle(pool, worker);
    worker->searches = false;
    fxi_sub_acq_rel(&pool->searching, (size_t)1);
    fxi_fence_full(); /* pairs with the ones in fxi_run_queue_push, and in find_keeper (sleeps.c) */
    fx_deadline looks_at = fxi_sleeps_keep(&pool->sleeps, worker, &keeps);
    if (keeps && (until == FX_FOREVER || looks_at < until))
        until = looks_at;
    bool may_end = worker->begun == 0 && worker->in_flight == 0 && !keeps;
    if (!fxi_pool_has_tasks(pool) && !(may_end && fxi_executor_refusal(&pool->executor) != 0)) {
        if (*idle_since == 0)
            *idle_since = fx_now();
        if (may_end && pool->idle_timeout != FX_FOREVER)
            until = *idle_since + pool->idle_timeout;
        fxi_worker_sleep(worker, until);
    }
    worker->searches = fxi_pool_unset_idle(pool, worker);
    if (keeps) {
        start_searching(worker); /* so that when it begins something they get another keeper */
        fxi_sleeps_leave(&pool->sleeps, worker);
    }
    if (worker->searches || !may_end)
        return true;
    bool timed_out = pool->idle_timeout != FX_FOREVER && *idle_since != 0 &&
                     fx_now() - *idle_since >= pool->idle_timeout;
    if (!timed_out && fxi_executor_refusal(&pool->executor) == 0)
        return true;
    fxi_worker_free_spares(worker);
    fxi_worker_collect(worker); /* from here on nobody wakes it in its backend */
    fxi_requests_end(worker);
    struct fxi_execution loop = worker->loop; /* it may be another thread's when it was let go */
    if (!fxi_pool_let_go(pool, worker, timed_out))
        return true;
    fxi_execution_end(&loop);
    return false;
}

static void work(struct fxi_worker *worker)
{
    fx_deadline idle_since = 0;
    for (;;) {
        if (fxi_worker_has_post(worker))
            fxi_worker_collect(worker);
        if (fxi_unlikely(fxi_load_relaxed(&worker->pool->cancels) && !worker->has_cancelled)) {
            worker->has_cancelled = true;
            fxi_io_cancel_all(worker);
        }
        ring_due(worker);
        if (worker->in_flight > 0)
            fxi_requests_look(worker, worker->ready_first != NULL);
        bool ran = worker->ready_first != NULL;
        if (ran)
            run_ready(worker);
        struct fxi_pool_task *task = fxi_pool_take(worker->pool, worker);
        if (task)
            begin(worker, task);
        if (task || ran)
            idle_since = 0;
        else if (!fxi_worker_has_post(worker) && !rest(worker, &idle_since))
            return;
    }
}

void fxi_worker_reset(struct fxi_worker *worker, struct fxi_pool *pool)
{
    /* The share may be looked at by other workers, and is empty. */
    worker->pool = pool;
    worker->inbox = 0;
    worker->thread = NULL;
    worker->current = worker->over = worker->spare = NULL;
    worker->ready_first = worker->ready_last = NULL;
    worker->ready_count = worker->turns = worker->spare_count = 0;
    worker->begun = worker->freed = worker->tasks = worker->tries = 0;
    worker->blocks = (struct fxi_task_blocks){ 0 };
    worker->alarms = (struct fxi_alarms){ 0 };
    worker->chains = NULL;
    worker->has_cancelled = false;
    worker->backend = NULL;
    fxi_list_init(&worker->requests);
    worker->in_flight = 0;
    worker->searches = true; /* its starter has counted it */
}

struct initializer_call {
    struct fxi_pool *pool;
    int rc;
};

static FXI_PASSES_ON void call_initializer(void *arg)
{
    struct initializer_call *call = arg;
    call->rc = call->pool->initializer(call->pool->initarg);
    fxi_keep_frame();
}

static bool initialize(struct fxi_pool *pool)
{
    struct initializer_call call = { .pool = pool };
    if (!pool->initializer)
        return true;
    if (!fxi_call_caught(fxi_current, call_initializer, &call))
        return call.rc >= 0;
    fxi_raised_drop(fxi_current);
    return false;
}

void *fxi_worker_main(void *arg)
{
    struct fxi_worker *worker = arg;
    struct fxi_pool *pool = worker->pool;
    fx_thread *thread = fxi_thread_of(fxi_current);
    struct fxi_chains chains;
    fxi_signals_set(pool->signal_mask);
    fxi_worker_self = worker;
    worker->chains = fxi_chains_init(&chains) ? &chains : NULL;
    fxi_execution_begin(&worker->loop, fxi_current);
    if (!initialize(pool))
        fxi_pool_break(pool, "the initializer of a worker failed");
    work(worker);
    fxi_worker_self = NULL;
    fxi_pool_drop(pool, 1);
    fx_thread_unref(thread); /* the pool's; while it runs it has one of its own */
    return NULL;
}

#include "executor/process_pool.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "executor/pool.h"
#include "kernel/descriptor.h"
#include "kernel/epoll.h"
#include "kernel/event.h"
#include "libc/alloc.h"
#include "park/park.h"

#define MONITOR_STACK ((size_t)8 << 20) /* tasks run on a copy of it; touched only as used */

/* --- lifetime --------------------------------------------------------------------------------- */

void fxi_process_pool_hold(struct fxi_process_pool *pool)
{
    fxi_add_relaxed(&pool->holds, (size_t)1); /* whoever calls this has a hold, or a handle */
}

void fxi_process_pool_drop(struct fxi_process_pool *pool)
{
    /* acq_rel: all that others did with it comes before its end */
    if (fxi_sub_acq_rel(&pool->holds, (size_t)1) != 1)
        return;
    fxi_process_pools_remove(pool);
    fxi_descriptor_close(pool->epoll);
    fxi_descriptor_close(pool->event);
    fxi_task_memory_destroy(&pool->memory);
    if (pool->arena.base)
        fxi_arena_destroy(&pool->arena);
    fxi_free(pool);
}

/* --- the end ---------------------------------------------------------------------------------- */

static bool has_not_ended(const void *arg)
{
    const struct fxi_process_pool *pool = arg;
    return fxi_load_acquire(&pool->state) != FXI_PROCESS_POOL_ENDED; /* pairs with set_state */
}

static void close_pool(struct fxi_process_pool *pool, enum fxi_executor_condition condition,
                       bool posts_nothing, const char *broken)
{
    fxi_executor_set_condition(&pool->executor, condition);
    fxi_lowlock_acquire(&pool->lock);
    pool->is_closed = true;
    pool->posts_nothing |= posts_nothing;
    if (!pool->broken)
        fxi_store_relaxed(&pool->broken, broken);
    if (has_not_ended(pool))
        fxi_process_pool_wake_monitor(pool);
    fxi_lowlock_release(&pool->lock);
}

static int shutdown(fx_executor *executor, bool wait, bool cancel_futures, fx_deadline deadline)
{
    struct fxi_process_pool *pool = fxi_process_pool_of(executor);
    if (wait && has_not_ended(pool) && fxi_process_pool_is_own(pool))
        return -EDEADLK; /* in a done callback */
    close_pool(pool, FXI_EXECUTOR_SHUT, cancel_futures, NULL);
    if (cancel_futures && !pool->is_foreign)
        fxi_process_pool_end_pending(pool, NULL);
    while (wait && has_not_ended(pool)) {
        int rc = fxi_park(&pool->state, has_not_ended, pool, deadline);
        if (rc != 0 && rc != -EAGAIN)
            return rc;
    }
    return 0;
}

static void abandoned(fx_executor *executor)
{
    shutdown(executor, false, false, FX_FOREVER);
    fxi_process_pool_drop(fxi_process_pool_of(executor));
}

static int end_workers(fx_executor *executor, bool kill)
{
    struct fxi_process_pool *pool = fxi_process_pool_of(executor);
    close_pool(pool, FXI_EXECUTOR_BROKEN, true, "its workers were ended");
    fxi_lowlock_acquire(&pool->lock);
    for (uint32_t i = 0; i < pool->max_workers && !pool->is_foreign; i++)
        if (pool->seats[i].state == FXI_SEAT_ORDERED || pool->seats[i].state == FXI_SEAT_TAKEN)
            fxi_process_seat_signal(pool, &pool->seats[i], kill ? SIGKILL : SIGTERM);
    fxi_lowlock_release(&pool->lock);
    return 0;
}

static int accepts(fx_executor *executor, fx_copy_target fn)
{
    struct fxi_process_pool *pool = fxi_process_pool_of(executor);
    int refusal = fxi_executor_refusal(executor);
    return refusal != 0 ? refusal : fxi_function_offer(&pool->board->late, (uintptr_t)fn);
}

/* --- the beginning ---------------------------------------------------------------------------- */

static const struct fxi_executor_ops ops = {
    .task_bytes = sizeof(struct fxi_process_task),
    .shares_memory = false,
    .task_alloc = fxi_process_task_alloc,
    .task_free = fxi_process_task_free,
    .payload = fxi_process_task_payload,
    .accepts = accepts,
    .submit = fxi_process_task_submit,
    .hold_back = fxi_process_task_hold_back,
    .refresh = fxi_process_task_refresh,
    .catch_up = fxi_process_pool_catch_up,
    .await = fxi_process_task_await,
    .withdrawn = fxi_process_task_withdrawn,
    .stop = fxi_process_task_stop,
    .shutdown = shutdown,
    .abandoned = abandoned,
    .end_workers = end_workers,
    .worker_status = fxi_process_task_status,
};

static bool attr_is_valid(const fx_process_pool_attr *attr)
{
    for (size_t i = 0; i < sizeof attr->reserved / sizeof attr->reserved[0]; i++)
        if (attr->reserved[i] != 0)
            return false;
    return attr->max_workers <= FX_PROCESSES_MOST && (attr->initarg || attr->initarg_size == 0);
}

static void make_plan(struct fxi_process_pool *pool, const char *prefix)
{
    static unsigned last_number;
    char numbered[sizeof "Pool-4294967295"];
    if (!prefix) {
        snprintf(numbered, sizeof numbered, "Pool-%u", fxi_add_relaxed(&last_number, 1u) + 1);
        prefix = numbered;
    }
    snprintf(pool->plan.name, sizeof pool->plan.name, "%s", prefix);
    pool->plan.memory_size = pool->arena.size;
    pool->plan.mask = fxi_signals_set(FXI_SIGNALS_BUT_SETXID);
    fxi_signals_set(pool->plan.mask);
    pool->plan.mask &= ~FXI_SIGNAL_BIT(SIGTERM); /* it is how workers are ended */
}

/* The board is the first thing in the memory, where workers look for it. */
static int make_board(struct fxi_process_pool *pool, const fx_process_pool_attr *attr)
{
    struct fxi_payload unused;
    char *memory =
        fxi_arena_get(&pool->arena, NULL, 0, fxi_board_bytes(pool->max_workers), &unused);
    if (!memory || memory != pool->arena.base)
        return -ENOMEM;
    struct fxi_board *board = pool->board = (struct fxi_board *)memory;
    pool->has_initializer = attr->initializer != NULL;
    pool->tells_starts = attr->max_pending > 0;
    board->tells_starts = attr->max_pending > 0;
    board->max_tasks = attr->max_tasks_per_child;
    board->initializer = (uintptr_t)attr->initializer;
    board->initarg_size = attr->initarg_size;
    if (attr->initarg_size == 0)
        return 0;
    char *copy = fxi_arena_get(&pool->arena, attr->initarg, attr->initarg_size, attr->initarg_size,
                               &unused);
    board->initarg = copy ? (size_t)(copy - pool->arena.base) : 0;
    return copy ? 0 : -ENOMEM;
}

static bool has_not_begun(const void *arg)
{
    const struct fxi_process_pool *pool = arg;
    return fxi_load_acquire(&pool->state) == FXI_PROCESS_POOL_BEGINS; /* pairs with set_state */
}

/* The monitor makes the channel to the fork server, and that itself where it has to be: a copy of
 * its stack is what tasks run on. */
static int start_monitor(struct fxi_process_pool *pool)
{
    fx_thread_attr attr = { .name = "fx-processes", .daemon = true, .stack_size = MONITOR_STACK };
    struct fxi_wait wait = { .address = &pool->state,
                             .condition = has_not_begun,
                             .arg = pool,
                             .deadline = FX_FOREVER,
                             .is_no_stop_point = true };
    pool->monitor = fx_thread_new(fxi_process_monitor_main, pool, &attr);
    if (!pool->monitor)
        return -ENOMEM;
    pool->monitor->internal = true;
    fxi_process_pool_hold(pool);
    /* The handle in the pool is the monitor's own to give up, which it may have done by the time that
     * the start returns. */
    fx_thread *monitor = fx_thread_ref(pool->monitor);
    int rc = fx_thread_start(monitor);
    fx_thread_unref(monitor);
    if (rc != 0) {
        fx_thread_unref(pool->monitor);
        pool->monitor = NULL;
        fxi_process_pool_drop(pool);
        return rc;
    }
    while (has_not_begun(pool))
        fxi_park_wait(&wait, NULL);
    return pool->verdict;
}

static int set_up(struct fxi_process_pool *pool, const fx_process_pool_attr *attr)
{
    int rc = fxi_executor_set_full(&pool->executor, attr->max_pending, attr->when_full,
                                   attr->full_timeout);
    if (rc == 0 && !fxi_self())
        rc = -ENOMEM;
    if (rc == 0)
        rc = fxi_arena_init(&pool->arena);
    if (rc == 0)
        rc = make_board(pool, attr);
    if (rc != 0)
        return rc;
    make_plan(pool, attr->name_prefix);
    if ((pool->event = fxi_event_open()) < 0)
        return pool->event;
    if ((pool->epoll = fxi_epoll_open()) < 0)
        return pool->epoll;
    rc = fxi_process_pools_add(pool);
    if (rc == 0)
        rc = start_monitor(pool);
    if (rc == 0 && attr->initializer)
        rc = fxi_function_offer(&pool->board->late, (uintptr_t)attr->initializer);
    return rc;
}

static struct fxi_process_pool *alloc_pool(size_t max_workers)
{
    struct fxi_process_pool *pool;
    size_t bytes = sizeof *pool + max_workers * sizeof *pool->seats;
    pool = fxi_alloc_aligned(FXI_CACHE_LINE, (bytes + FXI_CACHE_LINE - 1) / FXI_CACHE_LINE * FXI_CACHE_LINE);
    if (!pool)
        return NULL;
    pool->holds = 1;
    pool->max_workers = max_workers;
    pool->epoll = pool->channel = pool->event = pool->arena.memory = -1;
    fxi_list_init(&pool->queue);
    fxi_list_init(&pool->untold);
    for (size_t i = 0; i < max_workers; i++)
        pool->seats[i].process = -1;
    while (pool->free_count < FXI_JOBS) {
        pool->free_jobs[pool->free_count] = (uint16_t)(FXI_JOBS - 1 - pool->free_count);
        pool->free_count++;
    }
    return pool;
}

fx_executor *fx_process_pool_new(const fx_process_pool_attr *attr)
{
    static const fx_process_pool_attr defaults;
    attr = attr ? attr : &defaults;
    if (!attr_is_valid(attr)) {
        errno = EINVAL;
        return NULL;
    }
    struct fxi_process_pool *pool =
        alloc_pool(attr->max_workers ? attr->max_workers : fxi_workers_default());
    if (!pool) {
        errno = ENOMEM;
        return NULL;
    }
    fxi_executor_init(&pool->executor, &ops, pool->max_workers);
    int rc = set_up(pool, attr);
    if (rc == 0)
        return &pool->executor;
    if (!pool->monitor)
        pool->state = FXI_PROCESS_POOL_ENDED;
    abandoned(&pool->executor);
    errno = -rc;
    return NULL;
}

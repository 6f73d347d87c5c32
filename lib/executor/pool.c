#include "executor/pool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "executor/io.h"
#include "executor/request.h"
#include "kernel/switch.h"
#include "libc/alloc.h"
#include "park/park.h"
#include "stop/caught.h"

#define SPARES_MOST 8 /* workers beyond max_workers, in place of those that a task holds */
#define IDLE_TIMEOUT_DEFAULT FX_SEC(10)

/* --- lifetime --------------------------------------------------------------------------------- */

/* While there is a handle, what tasks hold is counted where their memory comes from; when there is none any
 * more it is added, and this taken away. */
#define HOLDS_BIAS (SIZE_MAX / 2 + 1)

void fxi_pool_hold(struct fxi_pool *pool)
{
    fxi_add_relaxed(&pool->holds, (size_t)1); /* whoever calls this has a hold, or a handle */
}

void fxi_pool_drop(struct fxi_pool *pool, size_t holds)
{
    /* acq_rel: all that others did with it comes before its end */
    if (fxi_sub_acq_rel(&pool->holds, holds) != holds)
        return;
    fxi_pools_remove(pool);
    fxi_task_memory_destroy(&pool->memory);
    fxi_free(pool->name_prefix);
    fxi_free(pool);
}

static void *task_alloc(fx_executor *executor, size_t bytes)
{
    struct fxi_pool *pool = fxi_pool_of(executor);
    bool is_given;
    void *memory = fxi_task_memory_get(&pool->memory, bytes, &is_given);
    if (memory && !is_given)
        fxi_pool_hold(pool);
    return memory;
}

#define FREED_MOST 32 /* and then the pool is told */

static void task_free(fx_executor *executor, void *memory, size_t bytes)
{
    struct fxi_pool *pool = fxi_pool_of(executor);
    struct fxi_worker *worker = fxi_worker_self;
    bool is_own = worker && worker->pool == pool;
    fxi_task_memory_put(&pool->memory, is_own ? &worker->blocks : NULL, memory, bytes);
    if (!is_own)
        fxi_pool_drop(pool, 1);
    else if (++worker->freed == FREED_MOST)
        fxi_worker_tell_freed(worker);
}

/* --- workers ---------------------------------------------------------------------------------- */

static size_t places(const struct fxi_pool *pool)
{
    return pool->max_workers + SPARES_MOST;
}

static bool may_start(const struct fxi_pool *pool)
{
    size_t spares = fxi_load_relaxed(&pool->blocked);
    spares = spares < SPARES_MOST ? spares : SPARES_MOST;
    return fxi_load_relaxed(&pool->live) < pool->max_workers + spares;
}

/* With the lock held: a place for one more worker, which is live from here on. NULL: there are
 * enough. */
static struct fxi_worker *reserve_place(struct fxi_pool *pool)
{
    if (!may_start(pool))
        return NULL;
    struct fxi_worker *worker = pool->workers;
    while (worker->is_live)
        worker++;
    fxi_worker_reset(worker, pool);
    worker->is_live = true;
    fxi_store_relaxed(&pool->live, pool->live + 1);
    fxi_store_relaxed(&pool->present, pool->present + 1);
    return worker;
}

/* With the lock held: the worker is live no more, or is after all. */
static void set_live(struct fxi_pool *pool, bool is_live)
{
    fxi_store_relaxed(&pool->live, is_live ? pool->live + 1 : pool->live - 1);
    fxi_add_relaxed(&pool->started, is_live ? (ptrdiff_t)1 : (ptrdiff_t)-1);
}

/* With the lock held, for a worker that is not counted in `live` any more. Whether it was the last. */
static bool give_place_up(struct fxi_pool *pool, struct fxi_worker *worker)
{
    worker->is_live = false;
    worker->thread = NULL;
    fxi_store_release(&pool->present, pool->present - 1); /* pairs with the acquire in is_present */
    return pool->present == 0;
}

static fx_thread *new_thread(struct fxi_pool *pool, struct fxi_worker *worker)
{
    char name[128];
    snprintf(name, sizeof name, "%.100s_%zu", pool->name_prefix, (size_t)(worker - pool->workers));
    fx_thread_attr attr = { .name = name, .daemon = true };
    fx_thread *thread = fx_thread_new(fxi_worker_main, worker, &attr);
    if (thread)
        thread->internal = true;
    return thread;
}

/* Takes the latest idle worker off their list, and wakes it. False: there is none. */
static bool wake_idle(struct fxi_pool *pool)
{
    fxi_lowlock_acquire(&pool->lock);
    struct fxi_worker *worker = pool->idle;
    if (worker) {
        pool->idle = worker->next_idle;
        worker->is_idle = false;
        fxi_store_relaxed(&pool->idle_count, pool->idle_count - 1);
        fxi_add_relaxed(&pool->searching, (size_t)1);
        fxi_worker_notify(worker); /* under the lock, so that it does not end meanwhile */
    }
    fxi_lowlock_release(&pool->lock);
    return worker != NULL;
}

/* With `starts` held. */
static int start_worker(struct fxi_pool *pool)
{
    fxi_lowlock_acquire(&pool->lock);
    struct fxi_worker *worker = reserve_place(pool);
    fxi_lowlock_release(&pool->lock);
    if (!worker)
        return 0;
    fxi_pool_hold(pool);
    fxi_add_relaxed(&pool->searching, (size_t)1); /* it will search first */
    fx_thread *thread = new_thread(pool, worker);
    int rc = thread ? 0 : -ENOMEM;
    fxi_store_relaxed(&worker->thread, thread);
    if (rc == 0)
        rc = fx_thread_start(fx_thread_ref(thread)); /* the worker may be gone when this returns */
    fx_thread_unref(thread);
    if (rc == 0) {
        fxi_add_relaxed(&pool->started, (ptrdiff_t)1);
        return 0;
    }
    fxi_lowlock_acquire(&pool->lock);
    fxi_store_relaxed(&pool->live, pool->live - 1);
    bool none_is_left = give_place_up(pool, worker);
    fxi_lowlock_release(&pool->lock);
    fxi_sub_acq_rel(&pool->searching, (size_t)1);
    fx_thread_unref(thread);
    if (none_is_left)
        fxi_unpark(&pool->present, SIZE_MAX);
    else if (fxi_pool_has_tasks(pool))
        wake_idle(pool); /* whoever saw somebody search has gone on */
    fxi_pool_drop(pool, 1);
    return none_is_left ? (rc == -ENOMEM ? rc : -EAGAIN) : 0;
}

int fxi_pool_rouse(struct fxi_pool *pool)
{
    if (fxi_load_relaxed(&pool->searching) > 0)
        return 0;
    if (fxi_load_relaxed(&pool->idle_count) > 0 && wake_idle(pool))
        return 0;
    if (!may_start(pool))
        return 0;
    fxi_lowlock_acquire(&pool->starts);
    int rc = start_worker(pool);
    fxi_lowlock_release(&pool->starts);
    return rc;
}

int fxi_pool_rouse_surely(struct fxi_pool *pool)
{
    int rc;
    while ((rc = fxi_pool_rouse(pool)) == 0 && fxi_load_relaxed(&pool->started) <= 0) {
        fxi_lowlock_acquire(&pool->starts);
        fxi_lowlock_release(&pool->starts);
    }
    return rc;
}

void fxi_pool_set_idle(struct fxi_pool *pool, struct fxi_worker *worker)
{
    fxi_lowlock_acquire(&pool->lock);
    worker->is_idle = true;
    worker->next_idle = pool->idle;
    pool->idle = worker;
    fxi_store_relaxed(&pool->idle_count, pool->idle_count + 1);
    fxi_lowlock_release(&pool->lock);
}

bool fxi_pool_unset_idle(struct fxi_pool *pool, struct fxi_worker *worker)
{
    fxi_lowlock_acquire(&pool->lock);
    bool was_woken = !worker->is_idle;
    if (!was_woken) {
        struct fxi_worker **link = &pool->idle;
        while (*link != worker)
            link = &(*link)->next_idle;
        *link = worker->next_idle;
        worker->is_idle = false;
        fxi_store_relaxed(&pool->idle_count, pool->idle_count - 1);
    }
    fxi_lowlock_release(&pool->lock);
    return was_woken;
}

bool fxi_pool_let_go(struct fxi_pool *pool, struct fxi_worker *worker, bool timed_out)
{
    if (!timed_out && fxi_executor_refusal(&pool->executor) == 0)
        return false;
    fxi_lowlock_acquire(&pool->lock);
    set_live(pool, false);
    fxi_fence_full(); /* pairs with the one in fxi_run_queue_push */
    bool goes = !fxi_pool_has_tasks(pool), none_is_left = false;
    if (goes)
        none_is_left = give_place_up(pool, worker);
    else
        set_live(pool, true);
    fxi_lowlock_release(&pool->lock);
    if (none_is_left)
        fxi_unpark(&pool->present, SIZE_MAX);
    return goes;
}

void fxi_pool_blocked(struct fxi_pool *pool, bool begins)
{
    if (pool->generation != fxi_pools_generation())
        return; /* in a child of the task that forked: what is pending is the parent's */
    fxi_lowlock_acquire(&pool->lock);
    fxi_store_relaxed(&pool->blocked, begins ? pool->blocked + 1 : pool->blocked - 1);
    fxi_lowlock_release(&pool->lock);
    if (begins && fxi_pool_has_tasks(pool))
        fxi_pool_rouse(pool); /* where no thread can be had, they wait */
}

/* --- tasks ------------------------------------------------------------------------------------ */

bool fxi_pool_has_tasks(const struct fxi_pool *pool)
{
    if (!fxi_run_queue_is_empty(&pool->queue) || fxi_sleeps_want_keeper(&pool->sleeps))
        return true;
    for (size_t i = 0; i < places(pool); i++)
        if (!fxi_share_is_empty(&pool->workers[i].share))
            return true;
    return false;
}

struct fxi_pool_task *fxi_pool_take(struct fxi_pool *pool, struct fxi_worker *worker)
{
    struct fxi_pool_task *task =
        fxi_run_queue_take(&pool->queue, &worker->share, pool->max_workers);
    size_t first = (size_t)(worker - pool->workers);
    for (size_t i = 1; !task && i < places(pool); i++)
        task = fxi_run_queue_steal(&pool->workers[(first + i) % places(pool)].share,
                                   &worker->share);
    return task;
}

static int submit(fx_executor *executor, struct fxi_task *task)
{
    struct fxi_pool *pool = fxi_pool_of(executor);
    struct fxi_pool_task *own = fxi_pool_task_of(task);
    if (!fxi_run_queue_push(&pool->queue, own))
        return fxi_executor_refusal(executor);
    /* From here on the task may be over, and gone; its pool may not, for the caller's handle. */
    int rc = fxi_pool_rouse_surely(pool);
    if (fxi_unlikely(rc != 0) && !fxi_run_queue_remove(&pool->queue, own))
        return 0; /* somebody else had more luck, and has started a worker */
    return rc;
}

/* All that has not begun; what a worker has in its hands at this moment will begin. */
static void for_all_pending(struct fxi_pool *pool,
                            void (*end)(struct fxi_task *task, const char *message),
                            const char *message)
{
    struct fxi_pool_task *task = fxi_run_queue_take_all(&pool->queue);
    for (size_t i = 0;; i++) {
        while (task) {
            struct fxi_pool_task *next = task->next;
            end(&task->task, message);
            fx_future_unref(&task->task.future);
            task = next;
        }
        if (i > places(pool))
            return;
        task = i < places(pool) ? fxi_share_take_all(&pool->workers[i].share)
                                : fxi_sleeps_take_all(&pool->sleeps);
    }
}

static void end_broken(struct fxi_task *task, const char *message)
{
    if (fxi_io_is_over(fxi_pool_task_of(task)))
        fxi_io_call_back(fxi_pool_task_of(task));
    else if (fxi_task_start(task) &&
        fxi_future_finish_code(&task->future, FX_POOL_BROKEN, message) && fxi_current)
        fxi_raised_drop(fxi_current);
}

static void end_cancelled(struct fxi_task *task, const char *message)
{
    (void)message;
    if (fxi_io_is_over(fxi_pool_task_of(task)))
        fxi_io_call_back(fxi_pool_task_of(task));
    else if (fxi_future_cancel(&task->future, NULL) && fxi_current)
        fxi_raised_drop(fxi_current);
}

/* --- the end ---------------------------------------------------------------------------------- */

static void close_pool(struct fxi_pool *pool, enum fxi_executor_condition condition)
{
    fxi_executor_set_condition(&pool->executor, condition);
    fxi_run_queue_close(&pool->queue);
    fxi_sleeps_close(&pool->sleeps);
}

static void notify_all(struct fxi_pool *pool)
{
    fxi_lowlock_acquire(&pool->lock);
    for (size_t i = 0; i < places(pool); i++)
        if (pool->workers[i].is_live)
            fxi_worker_notify(&pool->workers[i]);
    fxi_lowlock_release(&pool->lock);
}

void fxi_pool_break(struct fxi_pool *pool, const char *message)
{
    close_pool(pool, FXI_EXECUTOR_BROKEN);
    for_all_pending(pool, end_broken, message);
    notify_all(pool);
}

static bool is_present(const void *arg)
{
    const struct fxi_pool *pool = arg;
    return fxi_load_acquire(&pool->present) != 0; /* pairs with the release in give_place_up */
}

static int shut_down(fx_executor *executor, bool wait, bool cancel_futures, fx_deadline deadline)
{
    struct fxi_pool *pool = fxi_pool_of(executor);
    close_pool(pool, FXI_EXECUTOR_SHUT);
    if (cancel_futures) {
        fxi_store_relaxed(&pool->cancels, true); /* the workers look when they are notified */
        for_all_pending(pool, end_cancelled, NULL);
    }
    notify_all(pool);
    while (wait && is_present(pool)) {
        int rc = fxi_park(&pool->present, is_present, pool, deadline);
        if (rc != 0 && rc != -EAGAIN)
            return rc;
    }
    return 0;
}

static void abandoned(fx_executor *executor)
{
    struct fxi_pool *pool = fxi_pool_of(executor);
    shut_down(executor, false, false, FX_FOREVER);
    /* Not 0 meanwhile: the caller's handle is among them. */
    fxi_add_relaxed(&pool->holds, fxi_task_memory_seal(&pool->memory) - HOLDS_BIAS);
    fxi_pool_drop(pool, 1);
}

static void yield(fx_executor *executor)
{
    (void)executor;
    fxi_worker_yield();
}

static fx_backend backend(const fx_executor *executor)
{
    return fxi_container_of(executor, const struct fxi_pool, executor)->backend;
}

/* --- fork ------------------------------------------------------------------------------------- */

void fxi_pool_before_fork(struct fxi_pool *pool)
{
    fxi_lowlock_acquire(&pool->lock);
    fxi_run_queue_lock(&pool->queue);
    fxi_sleeps_before_fork(&pool->sleeps);
    for (size_t i = 0; i < places(pool); i++)
        fxi_lowlock_acquire(&pool->workers[i].share.lock);
    fxi_lowlock_acquire(&pool->memory.lock);
}

/* In the child the workers, and what they ran and were to run, are gone: their holds stay, so that the
 * memory does as well. */
void fxi_pool_after_fork(struct fxi_pool *pool, bool in_child)
{
    if (in_child) {
        fxi_store_relaxed(&pool->executor.condition, FXI_EXECUTOR_BROKEN);
        fxi_store_relaxed(&pool->live, 0);
        fxi_store_relaxed(&pool->present, 0);
        fxi_store_relaxed(&pool->started, 0);
        fxi_store_relaxed(&pool->idle_count, 0);
        pool->idle = NULL;
        fxi_task_memory_after_fork(&pool->memory);
    }
    fxi_lowlock_release(&pool->memory.lock);
    for (size_t i = 0; i < places(pool); i++) {
        if (in_child && pool->workers[i].is_live) {
            fxi_requests_forget(&pool->workers[i]);
            pool->workers[i].is_live = false;
        }
        fxi_lowlock_release(&pool->workers[i].share.lock);
    }
    fxi_sleeps_after_fork(&pool->sleeps, in_child);
    fxi_run_queue_unlock(&pool->queue);
    fxi_lowlock_release(&pool->lock);
}

/* --- the beginning ---------------------------------------------------------------------------- */

static const struct fxi_executor_ops ops = {
    .task_bytes = sizeof(struct fxi_pool_task),
    .shares_memory = true,
    .has_io = true,
    .task_alloc = task_alloc,
    .task_free = task_free,
    .submit = submit,
    .stop = fxi_worker_stop_task,
    .shutdown = shut_down,
    .abandoned = abandoned,
    .yield = yield,
    .backend = backend,
};

static bool attr_is_valid(const fx_thread_pool_attr *attr)
{
    for (size_t i = 0; i < sizeof attr->reserved / sizeof attr->reserved[0]; i++)
        if (attr->reserved[i] != 0)
            return false;
    return (unsigned)attr->backend <= FX_BACKEND_EPOLL &&
           (attr->idle_timeout >= 0 || attr->idle_timeout == FX_FOREVER) &&
           attr->max_workers <= FXI_WORKERS_MOST;
}

static char *copy_prefix(const char *prefix)
{
    static unsigned last_number;
    char numbered[sizeof "Pool-4294967295"];
    if (!prefix) {
        snprintf(numbered, sizeof numbered, "Pool-%u", fxi_add_relaxed(&last_number, 1u) + 1);
        prefix = numbered;
    }
    char *copy = fxi_alloc(strlen(prefix) + 1);
    return copy ? strcpy(copy, prefix) : NULL;
}

static struct fxi_pool *alloc_pool(size_t max_workers)
{
    size_t bytes = sizeof(struct fxi_pool) +
                   (max_workers + SPARES_MOST) * sizeof(struct fxi_worker);
    struct fxi_pool *pool = fxi_alloc_aligned(FXI_CACHE_LINE, bytes);
    if (pool)
        pool->max_workers = max_workers;
    return pool;
}

/* The maker's, as a thread has its creator's, but open for stops. */
static fxi_sigmask present_mask(void)
{
    fxi_sigmask mask = fxi_signals_set(FXI_SIGNALS_BUT_SETXID);
    fxi_signals_set(mask);
    return mask & ~FXI_SIGNAL_BIT(FXI_STOP_SIGNAL);
}

static int set_up(struct fxi_pool *pool, const fx_thread_pool_attr *attr)
{
    size_t stack_size = attr->stack_size;
    int rc = fxi_executor_set_full(&pool->executor, attr->max_pending, attr->when_full,
                                   attr->full_timeout);
    if (rc != 0)
        return rc;
    rc = fxi_backend_choose(attr->backend, &pool->backend);
    if (rc != 0)
        return rc;
    pool->name_prefix = copy_prefix(attr->name_prefix);
    if (!pool->name_prefix)
        return -ENOMEM;
    if (stack_size < FXI_TASK_STACK_SIZE_DEFAULT)
        stack_size = FXI_TASK_STACK_SIZE_DEFAULT;
    for (size_t i = 0; i < places(pool); i++)
        fxi_task_stacks_init(&pool->workers[i].stacks, stack_size);
    pool->idle_timeout = attr->idle_timeout ? attr->idle_timeout : IDLE_TIMEOUT_DEFAULT;
    pool->initializer = attr->initializer;
    pool->initarg = attr->initarg;
    pool->signal_mask = present_mask();
    return fxi_pools_add(pool);
}

fx_executor *fx_thread_pool_new(const fx_thread_pool_attr *attr)
{
    static const fx_thread_pool_attr defaults;
    attr = attr ? attr : &defaults;
    if (!attr_is_valid(attr)) {
        errno = EINVAL;
        return NULL;
    }
    if (!fxi_switch_works()) {
        errno = ENOTSUP;
        return NULL;
    }
    struct fxi_pool *pool = alloc_pool(attr->max_workers ? attr->max_workers : fxi_workers_default());
    if (!pool) {
        errno = ENOMEM;
        return NULL;
    }
    pool->holds = HOLDS_BIAS + 1;
    fxi_executor_init(&pool->executor, &ops, pool->max_workers);
    fxi_sleeps_init(&pool->sleeps);
    int rc = set_up(pool, attr);
    if (rc == 0)
        return &pool->executor;
    fxi_free(pool->name_prefix);
    fxi_free(pool);
    errno = -rc;
    return NULL;
}

#include "executor/sleeps.h"

#include <errno.h>

#include "executor/io.h"
#include "executor/pool.h"

#define RUNG_AT_ONCE 64 /* taken off in one holding of the lock */

/* What follows the task in its memory, and is its `arg`. */
struct sleep {
    struct fxi_pool_task *task;
    struct fxi_alarm alarm;
};

static struct fxi_pool_task *task_of(struct fxi_alarm *alarm)
{
    return fxi_container_of(alarm, struct sleep, alarm)->task;
}

/* --- with the lock held ----------------------------------------------------------------------- */

/* The first of the alarms may be another one, or the keeper. */
static void look_again(struct fxi_sleeps *sleeps)
{
    const struct fxi_alarm *first = sleeps->alarms.first;
    int64_t due = first ? first->deadline : INT64_MAX;
    bool want = first && (!sleeps->keeper || sleeps->looks_at > due);
    if (due != sleeps->first)
        fxi_store_relaxed(&sleeps->first, due);
    if (want != sleeps->want_keeper)
        fxi_store_relaxed(&sleeps->want_keeper, want);
}

static void take_off(struct fxi_sleeps *sleeps, struct fxi_alarm *alarm)
{
    bool was_first = sleeps->alarms.first == alarm;
    fxi_alarm_unset(&sleeps->alarms, alarm);
    if (was_first)
        look_again(sleeps);
    if (!sleeps->alarms.first && sleeps->keeper)
        fxi_worker_notify(sleeps->keeper); /* who may end now, or at another time */
}

/* --- for workers ------------------------------------------------------------------------------ */

void fxi_sleeps_init(struct fxi_sleeps *sleeps)
{
    *sleeps = (struct fxi_sleeps){ .first = INT64_MAX };
}

void fxi_sleeps_close(struct fxi_sleeps *sleeps)
{
    fxi_lowlock_acquire(&sleeps->lock);
    sleeps->are_closed = true;
    fxi_lowlock_release(&sleeps->lock);
}

fx_deadline fxi_sleeps_keep(struct fxi_sleeps *sleeps, struct fxi_worker *worker, bool *keeps)
{
    fx_deadline until = FX_FOREVER;
    *keeps = false;
    if (!fxi_sleeps_want_keeper(sleeps))
        return until;
    fxi_lowlock_acquire(&sleeps->lock);
    if (sleeps->want_keeper) {
        *keeps = true;
        sleeps->keeper = worker; /* one that would look too late is it no longer */
        until = sleeps->looks_at = sleeps->alarms.first->deadline;
        look_again(sleeps);
    }
    fxi_lowlock_release(&sleeps->lock);
    return until;
}

void fxi_sleeps_leave(struct fxi_sleeps *sleeps, struct fxi_worker *worker)
{
    fxi_lowlock_acquire(&sleeps->lock);
    if (sleeps->keeper == worker) {
        sleeps->keeper = NULL;
        look_again(sleeps);
    }
    fxi_lowlock_release(&sleeps->lock);
}

/* Those that are due, linked by `next`, the earliest first; how many. */
static size_t take_due(struct fxi_sleeps *sleeps, fx_deadline now, struct fxi_pool_task **tasks)
{
    size_t count = 0;
    struct fxi_alarm *alarm;
    fxi_lowlock_acquire(&sleeps->lock);
    for (; count < RUNG_AT_ONCE && (alarm = sleeps->alarms.first) && alarm->deadline <= now; count++) {
        fxi_alarm_unset(&sleeps->alarms, alarm);
        *tasks = task_of(alarm);
        tasks = &(*tasks)->next;
    }
    *tasks = NULL;
    look_again(sleeps);
    fxi_lowlock_release(&sleeps->lock);
    return count;
}

void fxi_sleeps_ring(struct fxi_sleeps *sleeps, struct fxi_worker *worker, fx_deadline now)
{
    struct fxi_pool_task *task;
    size_t count;
    do {
        count = take_due(sleeps, now, &task);
        while (task) {
            struct fxi_pool_task *next = task->next;
            fxi_store_relaxed(&task->runs_on, FXI_IO_OVER);
            if (fxi_task_start(&task->task))
                fxi_io_finish(worker, task, 0);
            else
                fx_future_unref(&task->task.future);
            task = next;
        }
    } while (count == RUNG_AT_ONCE);
}

struct fxi_pool_task *fxi_sleeps_take_all(struct fxi_sleeps *sleeps)
{
    struct fxi_pool_task *first = NULL, **last = &first;
    struct fxi_alarm *alarm;
    fxi_lowlock_acquire(&sleeps->lock);
    while ((alarm = sleeps->alarms.first) != NULL) {
        take_off(sleeps, alarm);
        *last = task_of(alarm);
        last = &(*last)->next;
    }
    *last = NULL;
    fxi_lowlock_release(&sleeps->lock);
    return first;
}

void fxi_sleeps_before_fork(struct fxi_sleeps *sleeps)
{
    fxi_lowlock_acquire(&sleeps->lock);
}

void fxi_sleeps_after_fork(struct fxi_sleeps *sleeps, bool in_child)
{
    if (in_child) {
        sleeps->alarms = (struct fxi_alarms){ 0 };
        sleeps->keeper = NULL;
        sleeps->are_closed = true;
        look_again(sleeps);
    }
    fxi_lowlock_release(&sleeps->lock);
}

/* --- futures ---------------------------------------------------------------------------------- */

/* Takes it off if it is not off yet: whether it was not. */
static bool remove_sleep(struct fxi_sleeps *sleeps, struct sleep *sleep)
{
    fxi_lowlock_acquire(&sleeps->lock);
    bool was_set = fxi_alarm_is_set(&sleep->alarm);
    if (was_set)
        take_off(sleeps, &sleep->alarm);
    fxi_lowlock_release(&sleeps->lock);
    return was_set;
}

static void withdrawn(fx_future *future)
{
    struct fxi_task *task = fxi_task_of(future);
    struct fxi_pool *pool = fxi_pool_of(task->executor);
    bool is_lost = pool->generation != fxi_pools_generation(); /* in the child of a fork */
    if (!is_lost && remove_sleep(&pool->sleeps, task->arg))
        fx_future_unref(future);
}

const struct fxi_future_kind fxi_sleep_kind = { .withdrawn = withdrawn, .free = fxi_io_free };

static bool add(struct fxi_sleeps *sleeps, struct fxi_alarm *alarm, bool *wants_keeper)
{
    fxi_lowlock_acquire(&sleeps->lock);
    bool is_open = !sleeps->are_closed;
    if (is_open) {
        fxi_alarm_set(&sleeps->alarms, alarm);
        if (sleeps->alarms.first == alarm)
            look_again(sleeps);
    }
    *wants_keeper = sleeps->want_keeper;
    fxi_lowlock_release(&sleeps->lock);
    return is_open;
}

/* A task need wake nobody: its worker will look when the task waits, or another one if the task holds it
 * in the kernel. */
static int find_keeper(struct fxi_pool *pool, struct sleep *sleep)
{
    if (fxi_worker_self && fxi_worker_self->pool == pool && fxi_current->operations)
        return 0;
    fxi_fence_full(); /* as behind a push to the queue: pairs with the one in the worker's rest */
    int rc = fxi_pool_rouse_surely(pool);
    /* Where it is off already somebody else has had more luck, and has started a worker. */
    return rc != 0 && remove_sleep(&pool->sleeps, sleep) ? rc : 0;
}

fx_future *fxi_io_submit_sleep(fx_executor *executor, fx_deadline deadline)
{
    bool wants_keeper;
    int rc = fxi_io_refusal(executor);
    if (rc != 0) {
        errno = -rc;
        return NULL;
    }
    struct sleep *sleep;
    struct fxi_pool_task *task = fxi_io_task_new(executor, &fxi_sleep_kind, sizeof *sleep);
    if (!task)
        return NULL;
    struct fxi_pool *pool = fxi_pool_of(executor);
    sleep = task->task.arg;
    sleep->task = task;
    sleep->alarm.deadline = deadline;
    /* From here on it may be over, but for the reference of the caller's handle. */
    if (!add(&pool->sleeps, &sleep->alarm, &wants_keeper))
        rc = fxi_executor_refusal(executor);
    else if (wants_keeper)
        rc = find_keeper(pool, sleep);
    if (rc == 0)
        return &task->task.future;
    fxi_task_discard(&task->task);
    errno = -rc;
    return NULL;
}

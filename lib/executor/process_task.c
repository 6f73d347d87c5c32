/* A process pool's tasks, from the submit until they run: posted, taken back, stopped. */
#include <errno.h>
#include <signal.h>

#include "executor/process_pool.h"
#include "kernel/event.h"
#include "kernel/futex.h"
#include "kernel/process.h"

/* --- memory ----------------------------------------------------------------------------------- */

void *fxi_process_task_alloc(fx_executor *executor, size_t bytes)
{
    struct fxi_process_pool *pool = fxi_process_pool_of(executor);
    bool is_given; /* and holds all the same */
    void *memory = fxi_task_memory_get(&pool->memory, bytes, &is_given);
    if (memory)
        fxi_process_pool_hold(pool);
    return memory;
}

void fxi_process_task_free(fx_executor *executor, void *memory, size_t bytes)
{
    struct fxi_process_pool *pool = fxi_process_pool_of(executor);
    struct fxi_process_task *task = memory;
    fxi_arena_put(&pool->arena, &task->payload);
    fxi_task_memory_put(&pool->memory, NULL, memory, bytes);
    fxi_process_pool_drop(pool);
}

int fxi_process_task_payload(struct fxi_task *task, const void *arg, size_t arg_size, size_t bytes,
                             void **payload)
{
    struct fxi_process_pool *pool = fxi_process_pool_of(task->executor);
    *payload = fxi_arena_get(&pool->arena, arg, arg_size, bytes,
                             &fxi_process_task_of(task)->payload);
    if (*payload)
        return 0;
    int refusal = fxi_executor_refusal(task->executor);
    return refusal != 0 ? refusal : -ENOMEM;
}

/* --- posting ---------------------------------------------------------------------------------- */

void fxi_process_pool_wake_monitor(struct fxi_process_pool *pool)
{
    fxi_fence_full(); /* pairs with the one of the monitor before it sleeps */
    uint32_t sleeps = fxi_load_relaxed(&pool->sleeps);
    if (!pool->is_foreign && sleeps % 2 != 0 &&
        fxi_exchange_acq_rel(&pool->ended_sleep, sleeps) != sleeps)
        fxi_event_set(pool->event);
}

static void want_worker(struct fxi_process_pool *pool)
{
    struct fxi_seat_record *seat = pool->seats;
    if (pool->present == pool->max_workers || pool->is_foreign || pool->is_starved)
        return;
    while (seat->state != FXI_SEAT_EMPTY)
        seat++;
    seat->state = FXI_SEAT_WANTED;
    fxi_store_relaxed(&pool->present, pool->present + 1);
    fxi_store_relaxed(&pool->wanted, pool->wanted + 1);
    fxi_process_pool_wake_monitor(pool);
}

void fxi_process_pool_rouse(struct fxi_process_pool *pool)
{
    if (!fxi_board_rouse(pool->board, (uint32_t)pool->max_workers))
        want_worker(pool);
}

bool fxi_process_pool_has_open(struct fxi_process_pool *pool)
{
    if (fxi_board_is_sound(pool->board, pool->tail, (uint32_t)pool->max_workers))
        return fxi_board_has_open(pool->board);
    pool->is_spoilt = true;
    return false;
}

/* Jobs that were withdrawn are free when the line has passed them. */
static void reclaim(struct fxi_process_pool *pool)
{
    fxi_process_pool_has_open(pool);
    for (uint32_t i = 0; i < FXI_JOBS && pool->withdrawn > 0; i++) {
        struct fxi_job *job = &pool->board->jobs[i];
        if (pool->tasks[i] || fxi_load_relaxed(&job->word) !=
                                  fxi_job_word(pool->tickets[i], 0, FXI_JOB_WITHDRAWN) ||
            !fxi_board_has_passed(pool->board, pool->tickets[i]))
            continue;
        fxi_store_relaxed(&job->word, (uint64_t)FXI_JOB_FREE);
        pool->free_jobs[pool->free_count++] = (uint16_t)i;
        pool->withdrawn--;
    }
}

static void post(struct fxi_process_pool *pool, struct fxi_process_task *task)
{
    uint32_t number = pool->free_jobs[--pool->free_count];
    struct fxi_job *job = &pool->board->jobs[number];
    const char *base = pool->arena.base;
    job->fn = (uintptr_t)task->task.copy_fn;
    job->arg = (size_t)((char *)task->task.arg - base);
    job->arg_size = task->task.arg_size;
    job->result = (size_t)((char *)task->task.future.result - base);
    job->result_size = task->task.future.result_size;
    job->code = 0;
    job->started = 0;
    job->tells_start = task->task.time_limit > 0;
    fxi_store_relaxed(&job->awaited, pool->awaited[number] = 0);
    if (task->task.time_limit > 0)
        fxi_store_relaxed(&pool->has_limits, true);
    pool->tasks[number] = task;
    task->job = number;
    task->place = FXI_TASK_POSTED;
    task->ticket = pool->tickets[number] = pool->tail++;
    fxi_board_post(pool->board, number, task->ticket);
    fxi_process_pool_rouse(pool);
}

static bool has_job(struct fxi_process_pool *pool)
{
    if (pool->free_count == 0 && pool->withdrawn > 0)
        reclaim(pool);
    return pool->free_count > 0;
}

void fxi_process_pool_post(struct fxi_process_pool *pool)
{
    while (!fxi_list_is_empty(&pool->queue) && !pool->posts_nothing && has_job(pool)) {
        struct fxi_list *node = pool->queue.next;
        fxi_list_remove(node);
        post(pool, fxi_container_of(node, struct fxi_process_task, queued));
    }
}

int fxi_process_task_submit(fx_executor *executor, struct fxi_task *generic)
{
    struct fxi_process_pool *pool = fxi_process_pool_of(executor);
    struct fxi_process_task *task = fxi_process_task_of(generic);
    fxi_lowlock_acquire(&pool->lock);
    bool takes = !pool->is_closed;
    if (takes) {
        pool->unfinished++;
        if (fxi_list_is_empty(&pool->queue) && has_job(pool)) {
            post(pool, task);
        } else {
            task->place = FXI_TASK_QUEUED;
            fxi_list_push_back(&pool->queue, &task->queued);
        }
    }
    fxi_lowlock_release(&pool->lock);
    return takes ? 0 : fxi_executor_refusal(executor);
}

/* --- taken back ------------------------------------------------------------------------------- */

/* With the lock held, after the job's word was changed: who sleeps on it looks again. */
static void wake_waiters(const struct fxi_process_pool *pool, uint32_t number)
{
    if (pool->awaited[number] > 0)
        fxi_futex_wake_shared(fxi_job_futex(&pool->board->jobs[number]), INT32_MAX);
}

void fxi_process_job_release(struct fxi_process_pool *pool, uint32_t number)
{
    struct fxi_job *job = &pool->board->jobs[number];
    fxi_store_relaxed(&job->word, (uint64_t)FXI_JOB_FREE);
    wake_waiters(pool, number);
    pool->free_jobs[pool->free_count++] = (uint16_t)number;
}

enum fxi_job_state fxi_process_task_state(const struct fxi_process_pool *pool,
                                          const struct fxi_process_task *task)
{
    /* acquire: pairs with the worker's compare-and-swap */
    uint64_t word = fxi_load_acquire(&pool->board->jobs[task->job].word);
    return word >> 32 == (uint32_t)task->ticket ? fxi_job_state(word) : FXI_JOB_FREE;
}

/* With the lock held. False: it has begun. */
static bool take_back(struct fxi_process_pool *pool, struct fxi_process_task *task)
{
    if (task->place == FXI_TASK_QUEUED) {
        fxi_list_remove(&task->queued);
        task->place = FXI_TASK_HELD;
    } else if (task->place == FXI_TASK_POSTED) {
        uint64_t open = fxi_job_word(task->ticket, 0, FXI_JOB_OPEN);
        if (!fxi_cas_acq_rel(&pool->board->jobs[task->job].word, &open,
                             fxi_job_word(task->ticket, 0, FXI_JOB_WITHDRAWN)))
            return false;
        wake_waiters(pool, task->job);
        pool->tasks[task->job] = NULL;
        pool->withdrawn++;
        task->place = FXI_TASK_HELD;
    }
    return task->place == FXI_TASK_HELD;
}

bool fxi_process_task_hold_back(struct fxi_task *generic)
{
    struct fxi_process_pool *pool = fxi_process_pool_of(generic->executor);
    struct fxi_process_task *task = fxi_process_task_of(generic);
    fxi_lowlock_acquire(&pool->lock);
    bool is_held = pool->is_foreign || take_back(pool, task);
    fxi_lowlock_release(&pool->lock);
    if (!is_held)
        fxi_task_start(generic);
    return is_held;
}

void fxi_process_task_refresh(struct fxi_task *generic)
{
    struct fxi_process_pool *pool = fxi_process_pool_of(generic->executor);
    struct fxi_process_task *task = fxi_process_task_of(generic);
    fxi_lowlock_acquire(&pool->lock);
    bool has_begun = task->place == FXI_TASK_POSTED && !pool->is_foreign &&
                     fxi_process_task_state(pool, task) != FXI_JOB_OPEN;
    fxi_lowlock_release(&pool->lock);
    if (has_begun)
        fxi_task_start(generic);
}

void fxi_process_pool_catch_up(fx_executor *executor)
{
    struct fxi_process_pool *pool = fxi_process_pool_of(executor);
    fxi_lowlock_acquire(&pool->lock);
    for (uint32_t i = 0; i < FXI_JOBS && !pool->is_foreign; i++)
        if (pool->tasks[i] && fxi_process_task_state(pool, pool->tasks[i]) != FXI_JOB_OPEN)
            fxi_task_start(&pool->tasks[i]->task);
    fxi_lowlock_release(&pool->lock);
}

void fxi_process_pool_forget(struct fxi_process_pool *pool, struct fxi_process_task *task)
{
    fxi_lowlock_acquire(&pool->lock);
    bool was_last = --pool->unfinished == 0 && pool->is_closed;
    if (was_last)
        fxi_process_pool_wake_monitor(pool); /* under the lock, with which it looks before it ends */
    fxi_lowlock_release(&pool->lock);
    fx_future_unref(&task->task.future);
}

void fxi_process_task_withdrawn(struct fxi_task *generic)
{
    struct fxi_process_pool *pool = fxi_process_pool_of(generic->executor);
    if (!pool->is_foreign)
        fxi_process_pool_forget(pool, fxi_process_task_of(generic));
}

/* --- stopped ---------------------------------------------------------------------------------- */

void fxi_process_seat_signal(struct fxi_process_pool *pool, struct fxi_seat_record *seat,
                             int signal)
{
    if (seat->process >= 0 && fxi_process_signal(seat->process, signal) != -EPERM)
        return;
    if (seat->signal != SIGKILL)
        seat->signal = signal;
    fxi_store_relaxed(&pool->has_signals, true);
    fxi_process_pool_wake_monitor(pool);
}

int fxi_process_task_condemn(struct fxi_process_pool *pool, struct fxi_process_task *task,
                             fx_exc code)
{
    if (task->place != FXI_TASK_POSTED)
        return -EALREADY;
    uint64_t *place = &pool->board->jobs[task->job].word, word = fxi_load_acquire(place);
    uint32_t seat = fxi_job_seat(word);
    switch (fxi_job_state(word)) {
    case FXI_JOB_CONDEMNED:
        return 0;
    case FXI_JOB_TAKEN:
        break;
    default:
        return -EALREADY;
    }
    /* From here on the worker takes no other task, and the signal is for this one. */
    if (seat >= pool->max_workers ||
        !fxi_cas_acq_rel(place, &word, fxi_job_word(task->ticket, seat, FXI_JOB_CONDEMNED)))
        return -EALREADY;
    task->ended_by = code;
    fxi_process_seat_signal(pool, &pool->seats[seat], SIGKILL);
    return 0;
}

int fxi_process_task_stop(struct fxi_task *generic, fx_exc code)
{
    struct fxi_process_pool *pool = fxi_process_pool_of(generic->executor);
    fxi_lowlock_acquire(&pool->lock);
    int rc = pool->is_foreign ? -EALREADY
                              : fxi_process_task_condemn(pool, fxi_process_task_of(generic), code);
    fxi_lowlock_release(&pool->lock);
    return rc;
}

int fxi_process_task_status(struct fxi_task *generic, int *status)
{
    struct fxi_process_task *task = fxi_process_task_of(generic);
    if (!task->has_status)
        return -ENODATA;
    *status = task->status;
    return 0;
}

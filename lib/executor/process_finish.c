/* The ends of a process pool's tasks: done, failed with their worker, ended before they began. */
#include <stdio.h>
#include <string.h>

#include "executor/process_pool.h"
#include "libc/alloc.h"
#include "stop/caught.h"

#define BATCH 64 /* are taken off the board at a time */

/* --- finished --------------------------------------------------------------------------------- */

/* A task off the board, and what came of it. */
struct outcome {
    struct fxi_process_task *task;
    fx_exc code;
    uint32_t job;      /* that is kept, of one that failed, until the message has been read */
    bool has_calls;    /* done callbacks are to be called; it may be gone otherwise */
};

/* Whether there are done callbacks. */
static bool finish(struct outcome *outcome, const char *message)
{
    fx_future *future = &outcome->task->task.future;
    if (message[0] && (future->details = fxi_alloc(sizeof *future->details)) != NULL) {
        future->details->code = outcome->code;
        snprintf(future->details->message, sizeof future->details->message, "%s", message);
    }
    return fxi_future_finish_quietly(future, future->result, outcome->code);
}

static void finish_posted(struct fxi_process_pool *pool, struct outcome *outcome)
{
    char message[FXI_MESSAGE_BYTES] = "";
    fxi_task_start(&outcome->task->task); /* where nobody has asked whether it runs */
    if (outcome->code != 0) {
        memcpy(message, pool->board->messages[outcome->job].text, sizeof message);
        message[sizeof message - 1] = 0;
        fxi_lowlock_acquire(&pool->lock);
        fxi_process_job_release(pool, outcome->job);
        fxi_lowlock_release(&pool->lock);
    }
    outcome->has_calls = finish(outcome, message);
}

/* What has no callbacks is given up here, the others when those have been called. `message`: of tasks that
 * never began; else NULL. */
static void finish_all(struct fxi_process_pool *pool, struct outcome *outcomes, size_t n,
                       const char *message)
{
    for (size_t i = 0; i < n; i++) {
        if (message)
            outcomes[i].has_calls = finish(&outcomes[i], message);
        else
            finish_posted(pool, &outcomes[i]);
    }
    if (n == 0)
        return;
    fxi_lowlock_acquire(&pool->lock);
    for (size_t i = 0; i < n; i++)
        if (outcomes[i].has_calls)
            fxi_process_pool_tell(pool, outcomes[i].task);
    pool->unfinished -= n;
    if (pool->unfinished == 0 && pool->is_closed) /* with the lock it looks before it ends */
        fxi_process_pool_wake_monitor(pool);
    fxi_lowlock_release(&pool->lock);
    for (size_t i = 0; i < n; i++)
        if (!outcomes[i].has_calls)
            fx_future_unref(&outcomes[i].task->task.future);
}

/* --- done ------------------------------------------------------------------------------------- */

/* With the lock held: takes a job's task, which is done, off the board. */
static struct outcome take_off(struct fxi_process_pool *pool, uint32_t number)
{
    struct outcome outcome = { .task = pool->tasks[number],
                               .code = pool->board->jobs[number].code,
                               .job = number };
    pool->tasks[number] = NULL;
    outcome.task->place = FXI_TASK_OVER;
    if (outcome.code == 0)
        fxi_process_job_release(pool, number);
    return outcome;
}

static bool is_done(const struct fxi_process_pool *pool, uint32_t number)
{
    const struct fxi_process_task *task = pool->tasks[number];
    return task && fxi_process_task_state(pool, task) == FXI_JOB_DONE;
}

/* With the lock held: where a list has run over, as its worker was faster than the program looked,
 * all jobs are looked at. */
static size_t take_all(struct fxi_process_pool *pool, struct outcome *outcomes, size_t n)
{
    for (uint32_t i = 0; i < FXI_JOBS && n < BATCH; i++)
        if (is_done(pool, i))
            outcomes[n++] = take_off(pool, i);
    return n;
}

static size_t take_from(struct fxi_process_pool *pool, uint32_t number, struct outcome *outcomes,
                        size_t n)
{
    const struct fxi_seat *seat = &pool->board->seats[number];
    struct fxi_seat_record *record = &pool->seats[number];
    uint64_t tail = fxi_load_acquire(&seat->done_tail); /* pairs with tell_done in the worker */
    if (tail - record->done_head > FXI_JOBS) {
        n = take_all(pool, outcomes, n);
        if (n < BATCH)
            record->done_head = tail;
        return n;
    }
    while (record->done_head != tail && n < BATCH) {
        uint64_t entry = fxi_load_relaxed(&seat->done[record->done_head++ % FXI_JOBS]);
        uint32_t job = (uint32_t)entry % FXI_JOBS;
        if ((uint32_t)(entry >> 32) == (uint32_t)pool->tickets[job] && is_done(pool, job))
            outcomes[n++] = take_off(pool, job);
    }
    return n;
}

void fxi_process_task_collect(struct fxi_process_pool *pool, struct fxi_process_task *task)
{
    struct outcome outcome;
    fxi_lowlock_acquire(&pool->lock);
    size_t n = task->place == FXI_TASK_POSTED && is_done(pool, task->job);
    if (n > 0) {
        outcome = take_off(pool, task->job);
        fxi_process_pool_post(pool);
    }
    fxi_lowlock_release(&pool->lock);
    finish_all(pool, &outcome, n, NULL);
}

size_t fxi_process_pool_collect(struct fxi_process_pool *pool)
{
    size_t total = 0, n;
    do {
        struct outcome outcomes[BATCH];
        n = 0;
        fxi_lowlock_acquire(&pool->lock);
        for (uint32_t i = 0; i < pool->max_workers && n < BATCH; i++)
            n = take_from(pool, i, outcomes, n);
        fxi_process_pool_post(pool);
        fxi_lowlock_release(&pool->lock);
        finish_all(pool, outcomes, n, NULL);
        total += n;
    } while (n == BATCH);
    return total;
}

/* --- died ------------------------------------------------------------------------------------- */

/* With the lock held: the task that the seat's worker had taken, off the board. A worker that died
 * when it was done with it, and before it could say so, has not failed it. */
static struct outcome take_orphan(struct fxi_process_pool *pool, uint32_t seat)
{
    for (uint32_t i = 0; i < FXI_JOBS; i++) {
        struct fxi_process_task *task = pool->tasks[i];
        uint64_t word = task ? fxi_load_acquire(&pool->board->jobs[i].word) : 0;
        enum fxi_job_state state = fxi_job_state(word);
        if (!task || fxi_job_seat(word) != seat ||
            (state != FXI_JOB_TAKEN && state != FXI_JOB_CONDEMNED && state != FXI_JOB_DONE))
            continue;
        if (state != FXI_JOB_DONE) {
            pool->board->jobs[i].code = task->ended_by ? task->ended_by : FX_WORKER_DIED;
            pool->board->messages[i].text[0] = 0;
            task->has_status = !task->ended_by;
        }
        return take_off(pool, i);
    }
    return (struct outcome){ 0 };
}

void fxi_process_pool_bury(struct fxi_process_pool *pool, uint32_t seat, int status)
{
    struct outcome outcome;
    do {
        fxi_lowlock_acquire(&pool->lock);
        outcome = take_orphan(pool, seat);
        fxi_lowlock_release(&pool->lock);
        if (outcome.task) {
            outcome.task->status = status;
            finish_all(pool, &outcome, 1, NULL);
        }
    } while (outcome.task);
}

/* With the lock held: whether no worker will do, or has done, what the task's word says. */
static bool is_lost(const struct fxi_process_pool *pool, const struct fxi_process_task *task)
{
    uint64_t word = fxi_load_acquire(&pool->board->jobs[task->job].word);
    uint32_t seat = fxi_job_seat(word);
    /* Before the state: the head passes no job that is OPEN. */
    bool has_passed = fxi_board_has_passed(pool->board, task->ticket);
    switch (fxi_process_task_state(pool, task)) {
    case FXI_JOB_OPEN:
        return has_passed;
    case FXI_JOB_TAKEN:
    case FXI_JOB_CONDEMNED:
        return seat >= pool->max_workers || pool->seats[seat].state == FXI_SEAT_EMPTY;
    case FXI_JOB_DONE:
        return false;
    default:
        return true;
    }
}

void fxi_process_pool_end_lost(struct fxi_process_pool *pool, bool all)
{
    fxi_process_pool_collect(pool);
    for (uint32_t i = 0; i < FXI_JOBS; i++) {
        struct outcome outcome;
        fxi_lowlock_acquire(&pool->lock);
        size_t n = pool->tasks[i] && (all || is_lost(pool, pool->tasks[i]));
        if (n > 0) {
            pool->board->jobs[i].code = FX_WORKER_DIED;
            pool->board->messages[i].text[0] = 0;
            outcome = take_off(pool, i);
        }
        fxi_lowlock_release(&pool->lock);
        finish_all(pool, &outcome, n, NULL);
    }
}
/* --- ended before it began -------------------------------------------------------------------- */

/* A task that stands in line or in the queue, with a reference; from that ticket on. NULL: none. */
static struct fxi_process_task *next_pending(struct fxi_process_pool *pool, uint64_t *ticket)
{
    struct fxi_process_task *found = NULL;
    struct fxi_board *board = pool->board;
    fxi_lowlock_acquire(&pool->lock);
    uint64_t head = pool->tail > FXI_JOBS ? pool->tail - FXI_JOBS : 0; /* before that there is none */
    for (*ticket = *ticket > head ? *ticket : head; !found && *ticket < pool->tail; ++*ticket) {
        struct fxi_process_task *task = pool->tasks[board->line[*ticket % FXI_JOBS] % FXI_JOBS];
        if (task && task->ticket == *ticket && fxi_process_task_state(pool, task) == FXI_JOB_OPEN)
            found = task;
    }
    if (!found && !fxi_list_is_empty(&pool->queue))
        found = fxi_container_of(pool->queue.next, struct fxi_process_task, queued);
    if (found)
        fx_future_ref(&found->task.future);
    fxi_lowlock_release(&pool->lock);
    return found;
}

/* In the monitor. */
static void end_broken(struct fxi_process_pool *pool, struct fxi_process_task *task,
                       const char *message)
{
    if (!fxi_process_task_hold_back(&task->task) || !fxi_task_start(&task->task))
        return;
    struct outcome outcome = { .task = task, .code = FX_POOL_BROKEN };
    finish_all(pool, &outcome, 1, message);
}

void fxi_process_pool_end_pending(struct fxi_process_pool *pool, const char *message)
{
    uint64_t ticket = 0;
    struct fxi_process_task *task;
    while ((task = next_pending(pool, &ticket)) != NULL) {
        if (message)
            end_broken(pool, task, message);
        else if (fxi_future_cancel(&task->task.future, NULL) && fxi_current)
            fxi_raised_drop(fxi_current);
        fx_future_unref(&task->task.future);
    }
}

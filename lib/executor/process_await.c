/* A thread's wait for one task of a process pool: it sleeps where the worker itself wakes it,
 * without the monitor in between, and finishes the future.
 *
 * Why no end is missed: the thread counts itself in the job, full fence, and looks at the word; the
 *   worker makes it DONE, full fence, and looks at the count. If the worker does not see the
 *   thread, it puts the task on its list, for the monitor. A thread that leaves takes itself off
 *   the count, full fence, and looks once more: the worker has then seen it and done nothing else,
 *   or not.
 * Where the program's side changes the word, it wakes who sleeps there. */
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>

#include "executor/process_pool.h"
#include "kernel/futex.h"
#include "kernel/processor.h"
#include "stop/call.h"
#include "stop/stop.h"

#define SPINS 400
#define SKIPS_MAX 255

/* The thread's place at a job. */
struct place {
    struct fxi_process_pool *pool;
    struct fxi_job *job;
    uint32_t number;
    uint64_t ticket;
};

/* With the lock held: whether the job is still that posting's. */
static bool is_current(const struct place *place)
{
    return place->pool->tickets[place->number] == place->ticket;
}

static bool take_place(struct place *place, const struct fxi_process_task *task)
{
    struct fxi_process_pool *pool = place->pool;
    fxi_lowlock_acquire(&pool->lock);
    bool is_posted = !pool->is_foreign && task->place == FXI_TASK_POSTED;
    if (is_posted) {
        place->number = task->job;
        place->ticket = task->ticket;
        place->job = &pool->board->jobs[task->job];
        fxi_store_relaxed(&place->job->awaited, ++pool->awaited[task->job]);
    }
    fxi_lowlock_release(&pool->lock);
    fxi_fence_full(); /* pairs with the one in tell_done of the worker */
    return is_posted;
}

static void leave_place(const struct place *place)
{
    struct fxi_process_pool *pool = place->pool;
    fxi_lowlock_acquire(&pool->lock);
    if (is_current(place) && !pool->is_foreign)
        fxi_store_relaxed(&place->job->awaited, --pool->awaited[place->number]);
    fxi_lowlock_release(&pool->lock);
    fxi_fence_full(); /* pairs with the one in tell_done of the worker */
}

/* Whether there is something to wait for, and at which value of the word. */
static bool is_under_way(const struct place *place, uint64_t *word)
{
    *word = fxi_load_acquire(&place->job->word);
    enum fxi_job_state state = fxi_job_state(*word);
    return *word >> 32 == (uint32_t)place->ticket &&
           (state == FXI_JOB_OPEN || state == FXI_JOB_TAKEN || state == FXI_JOB_CONDEMNED);
}

/* Worth it while tasks are short: as in lib/park, each failure in a row doubles how many waits go
 * without. */
static bool spin(const struct place *place)
{
    struct fxi_process_pool *pool = place->pool;
    uint64_t word;
    unsigned skips = fxi_load_relaxed(&pool->spin_skips);
    if (skips > 0) {
        fxi_store_relaxed(&pool->spin_skips, (uint16_t)(skips - 1));
        return false;
    }
    for (int i = 0; i < SPINS; i++) {
        if (!is_under_way(place, &word)) {
            fxi_store_relaxed(&pool->spin_failures, (uint16_t)0);
            return true;
        }
        fxi_cpu_relax();
    }
    unsigned failures = 2u * fxi_load_relaxed(&pool->spin_failures) + 1;
    failures = failures < SKIPS_MAX ? failures : SKIPS_MAX;
    fxi_store_relaxed(&pool->spin_failures, (uint16_t)failures);
    fxi_store_relaxed(&pool->spin_skips, (uint16_t)failures);
    return false;
}

/* 0: the word may have changed; -ETIMEDOUT; -ECANCELED. */
static int sleep_on(const struct place *place, uint64_t word, fx_deadline deadline,
                    bool is_stop_point)
{
    if (!is_stop_point) {
        fxi_futex_wait_shared(fxi_job_futex(place->job), (uint32_t)word, deadline);
        return 0;
    }
    const struct timespec until = { .tv_sec = deadline / 1000000000,
                                    .tv_nsec = deadline % 1000000000 };
    const long arguments[6] = { (long)fxi_job_futex(place->job),
                                FUTEX_WAIT_BITSET,
                                (long)(uint32_t)word,
                                deadline == FX_FOREVER ? 0 : (long)&until,
                                0,
                                FUTEX_BITSET_MATCH_ANY };
    long rc = fxi_stop_call(SYS_futex, arguments, FX_FOREVER); /* its own deadline is more exact */
    return rc == -ETIMEDOUT || rc == -ECANCELED || rc == -ENOMEM ? (int)rc : 0;
}

int fxi_process_task_await(struct fxi_task *generic, fx_deadline deadline, bool is_stop_point)
{
    struct fxi_process_task *task = fxi_process_task_of(generic);
    struct place place = { .pool = fxi_process_pool_of(generic->executor) };
    struct fxi_context *self = fxi_self();
    int rc = 0;
    uint64_t word;
    if (!self || self->operations || !take_place(&place, task)) /* a task suspends instead */
        return -EAGAIN;
    if (fxi_processors() == 1 || !spin(&place))
        while (rc == 0 && is_under_way(&place, &word))
            rc = sleep_on(&place, word, deadline, is_stop_point);
    leave_place(&place);
    fxi_process_task_collect(place.pool, task);
    return rc != 0 || fxi_future_is_done(&generic->future) ? rc : -EAGAIN;
}

/* The futures of fx_async_sleep: tasks without a function, that no worker takes before they are due.
 *
 * All of a pool's lie among one set of alarms, to which whoever begins one adds it. Of the workers one is
 * the keeper: it rests, and has said that it will look at the latest when the first of them is due. While
 * they have a keeper that looks in time, whoever begins one wakes nobody.
 *
 * State, all but `first` guarded by `lock`:
 *   alarms        of those that are not due yet
 *   first         when the first of them is due; INT64_MAX: there is none, or it never is
 *   keeper        NULL: nobody has said that
 *   looks_at      when it will
 *   want_keeper   there are some, and nobody will look in time. That counts as a task that is there
 *                 (fxi_pool_has_tasks): so the wake rule of the pool finds them a keeper, be it that the
 *                 first one comes, that an earlier one comes, or that the keeper is given something to do
 * A sleep stays PENDING until it is due, so that it can be cancelled. Whoever takes one off the alarms,
 * be it due, cancelled or at the pool's end, gives the executor's reference up.
 * Lifetime of the keeper: a worker does not end while it is that. */
#ifndef FXI_EXECUTOR_SLEEPS_H
#define FXI_EXECUTOR_SLEEPS_H

#include <fxthread/future.h>

#include "base/alarm.h"
#include "base/atomic.h"
#include "base/compiler.h"
#include "kernel/lowlock.h"

struct fxi_pool_task;
struct fxi_worker;

struct fxi_sleeps {
    int64_t first __attribute__((aligned(FXI_CACHE_LINE))); /* it and the next are read by all */
    bool want_keeper;
    bool are_closed; /* none may come */
    fxi_lowlock lock __attribute__((aligned(FXI_CACHE_LINE)));
    struct fxi_alarms alarms;
    struct fxi_worker *keeper;
    int64_t looks_at;
};

void fxi_sleeps_init(struct fxi_sleeps *sleeps);
void fxi_sleeps_close(struct fxi_sleeps *sleeps);

/* Whether somebody is to become their keeper; no promise. */
static inline bool fxi_sleeps_want_keeper(const struct fxi_sleeps *sleeps)
{
    return fxi_load_relaxed(&sleeps->want_keeper);
}

/* A worker that is about to rest becomes their keeper if they want one: until when it may. Else
 * FX_FOREVER, and *keeps is false. */
fx_deadline fxi_sleeps_keep(struct fxi_sleeps *sleeps, struct fxi_worker *worker, bool *keeps);

/* It rests no longer. It is counted as one that searches. */
void fxi_sleeps_leave(struct fxi_sleeps *sleeps, struct fxi_worker *worker);

/* The first that a worker may be late for. */
static inline int64_t fxi_sleeps_first(const struct fxi_sleeps *sleeps)
{
    return fxi_load_relaxed(&sleeps->first);
}

/* By a worker: finishes those that are due. */
void fxi_sleeps_ring(struct fxi_sleeps *sleeps, struct fxi_worker *worker, fx_deadline now);

/* All of them, linked by `next`, the earliest first, for the pool's end. */
struct fxi_pool_task *fxi_sleeps_take_all(struct fxi_sleeps *sleeps);

/* Around fork. In the child there are none. */
void fxi_sleeps_before_fork(struct fxi_sleeps *sleeps);
void fxi_sleeps_after_fork(struct fxi_sleeps *sleeps, bool in_child);

extern const struct fxi_future_kind fxi_sleep_kind;

#endif

/* Futures of I/O on a thread pool: tasks without a function, which a worker carries out beside its
 * fibers.
 *
 * Such a task is a sleep, of which executor/sleeps.h tells, or an operation, which is a request of its
 * worker's backend. That comes to the worker like any task, through the pool's queues, or at once where
 * the caller is one of the pool's tasks. The worker is there until it is done: it is counted in `begun`.
 * It is RUNNING from when its worker takes it.
 *
 * `runs_on` of the task, and who moves it:
 *   0               no worker has it, or one is just taking it
 *   worker          stored by that one, before it begins
 *   worker | ASKED  by who stops it from another thread, and has a post on its way to the worker,
 *                   with a reference; the worker is not gone before it arrives
 *   OVER            stored by the worker: it is done, or as good as that; of a sleep by the one that
 *                   has found it due
 * Done callbacks are the program's, and may wait, which the worker's loop must not. So a task that
 * is OVER and has some goes through the worker's share once more, and to a fiber. */
#ifndef FXI_EXECUTOR_IO_H
#define FXI_EXECUTOR_IO_H

#include <linux/io_uring.h>

#include "executor/worker.h"

/* Makes the future of the operation that the entry describes, and begins it or queues it. NULL with
 * errno as of fx_async_read(). */
fx_future *fxi_io_submit(fx_executor *executor, const struct io_uring_sqe *entry);

/* The same of a sleep. */
fx_future *fxi_io_submit_sleep(fx_executor *executor, fx_deadline deadline);

/* The worker, whose thread this is, has taken a task with FXI_TASK_IO: begins it. False: it is
 * OVER, and has callbacks to be called, on a fiber, by fxi_io_call_back. */
bool fxi_io_begin(struct fxi_worker *worker, struct fxi_pool_task *task);

/* --- for operations and sleeps ---------------------------------------------------------------- */

#define FXI_IO_OVER ((uintptr_t)1)

/* What is wrong with an executor for them, or 0. */
int fxi_io_refusal(const fx_executor *executor);

/* A task with FXI_TASK_IO, and a zeroed payload as its `arg`. NULL with errno ENOMEM. */
struct fxi_pool_task *fxi_io_task_new(fx_executor *executor, const struct fxi_future_kind *kind,
                                      size_t payload_bytes);

/* By a worker, of one that is RUNNING and OVER: ends it with the result of a system call. */
void fxi_io_finish(struct fxi_worker *worker, struct fxi_pool_task *task, int32_t result);

/* A future kind's `free`. */
void fxi_io_free(fx_future *future);

/* --- the end ---------------------------------------------------------------------------------- */

/* Calls what is left to be called. The caller gives up the executor's reference then. */
void fxi_io_call_back(struct fxi_pool_task *task);

/* The task was taken out of the queues, at the pool's end: whether only its callbacks are left. */
bool fxi_io_is_over(const struct fxi_pool_task *task);

/* Stops all operations that the worker has begun: its pool was shut down so. */
void fxi_io_cancel_all(struct fxi_worker *worker);

#endif

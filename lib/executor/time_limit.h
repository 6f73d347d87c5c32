/* The time limit of one task: FX_TIMED_OUT is raised in it when so long has passed since its start. */
#ifndef FXI_EXECUTOR_TIME_LIMIT_H
#define FXI_EXECUTOR_TIME_LIMIT_H

#include <fxthread/timer.h>

#include "executor/executor.h"

/* Begins to count; the task has started. 0, with *timer NULL if it has no limit; else why there can be
 * none. */
int fxi_time_limit_begin(struct fxi_task *task, fx_timer **timer);

/* The task is over. */
void fxi_time_limit_end(struct fxi_task *task, fx_timer *timer);

#endif

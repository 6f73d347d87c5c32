/* The room in an executor's queue. */
#ifndef FXI_EXECUTOR_ADMIT_H
#define FXI_EXECUTOR_ADMIT_H

#include "executor/executor.h"

enum { FXI_ADMIT_RUN_HERE = 1 };

/* Takes a place for a task: 0. FXI_ADMIT_RUN_HERE: there is none, and the caller is to run it.
 * -EAGAIN, -ETIMEDOUT: there is none; -ESHUTDOWN, -EPIPE; -ECANCELED: stopped while it waited for
 * one; -ENOMEM. */
int fxi_executor_admit(fx_executor *executor);

/* Gives the place back. */
void fxi_executor_vacate(fx_executor *executor);

#endif

/* A request's operation, without a ring: tried without waiting where that can be asked for, and carried out
 * with waiting by who can wait. */
#ifndef FXI_EXECUTOR_ATTEMPT_H
#define FXI_EXECUTOR_ATTEMPT_H

#include "executor/request.h"

enum fxi_attempt_outcome {
    FXI_ATTEMPT_OVER,  /* `result` says how */
    FXI_ATTEMPT_WAITS, /* to be tried again, with `is_ready`, when there are such `events` */
    FXI_ATTEMPT_BLOCKS /* can only be carried out by a call that may block */
};

/* Tries it. What it has transferred, if it is not over, stands in `result`, and will not be lost. */
enum fxi_attempt_outcome fxi_attempt(struct fxi_request *request);

/* Carries it out, or what is left of it: its result. -ECANCELED: it was stopped, without effect. In a
 * thread that is for that. */
int32_t fxi_attempt_blocking(struct fxi_request *request);

/* Of a transfer that came to some of its bytes: whether it is to go on until it has all of them, or an end,
 * or an error. */
bool fxi_attempt_goes_on(const struct fxi_request *request);

/* Whether fxi_attempt_blocking takes as long as others like, and not a disk. */
bool fxi_attempt_is_long(const struct fxi_request *request);

#endif

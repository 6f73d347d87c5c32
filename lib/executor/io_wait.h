/* An operation in line: done when the call returns. */
#ifndef FXI_EXECUTOR_IO_WAIT_H
#define FXI_EXECUTOR_IO_WAIT_H

#include <fxthread/duration.h>

#include "executor/entry.h"

/* Carries out the entry, which is one of executor/entry.h: what fx_read() and its like return,
 * after fxi_stop_point(). */
long fxi_io_carry_out(const struct io_uring_sqe *entry, fx_deadline deadline);

/* As the plain call, of one whose descriptor says that it does not wait; FXI_IO_CANNOT_TRY
 * (io_try.h): it would. */
long fxi_io_call_at_once(const struct io_uring_sqe *entry);

#endif

/* Operations that need not wait: tried before there is a request. */
#ifndef FXI_EXECUTOR_IO_TRY_H
#define FXI_EXECUTOR_IO_TRY_H

#include "executor/entry.h"
#include "executor/fiber.h"

enum { FXI_IO_CANNOT_TRY = -100000 }; /* of no errno */

/* So many that need not wait may follow each other before others have their turn. */
#define FXI_IO_TRIES_IN_A_ROW 64

/* Whether to try costs less than a request: not where requests go to the kernel many at a time;
 * else where the worker has nothing other in hand, and where the last reads of the same file could
 * be done so. `of_future`: the task will go on, perhaps to begin more. */
bool fxi_io_tries_first(const struct fxi_fiber *fiber, const struct io_uring_sqe *entry,
                        bool of_future);

/* In the fiber's task, or in a thread (NULL): carries the operation out, in part perhaps, if it
 * need not wait, but for a disk where no other task of the worker's has begun. -EAGAIN: it would
 * have to; FXI_IO_CANNOT_TRY: this cannot tell. */
long fxi_io_try(struct fxi_fiber *fiber, const struct io_uring_sqe *entry);

/* The same of a read at an offset, and of nothing else, for which it waits for no disk either. */
long fxi_io_try_file(struct fxi_fiber *fiber, const struct io_uring_sqe *entry);

/* Whether the descriptor, or the message, says that it is not to wait. */
bool fxi_io_does_not_wait(struct fxi_fiber *fiber, const struct io_uring_sqe *entry);

/* The operation makes or ends descriptors: what was known may be of another one from here on. */
void fxi_io_forget_flags(struct fxi_fiber *fiber, const struct io_uring_sqe *entry);

#endif

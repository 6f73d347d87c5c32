/* An operation in line.
 *
 * In a thread it is the plain system call, as a stop point. In a task it is tried first where it
 * can be asked not to wait: most reads of files, and writes, need no more. Else it is a request,
 * which lies on the task's stack, and for which the task waits as it does for anything; a stop, or
 * the deadline, is passed on to the request, and the wait goes on until its completion is in: so
 * the kernel never has a buffer of a call that has returned, and what the operation has done
 * counts, whatever came meanwhile.
 *
 * What a try, or a write to a stream, or one that a signal interrupted, did in part is gone on
 * with. */
#include "executor/io_wait.h"

#include <errno.h>

#include "executor/io_try.h"
#include "executor/request.h"
#include "kernel/io.h"
#include "park/park.h"
#include "stop/call.h"
#include "stop/stop.h"

/* --- as a system call ------------------------------------------------------------------------- */

static long close_plainly(struct fxi_context *self, int fd)
{
    if (self->operations)
        self->operations->sleeps(self, true);
    long rc = fxi_io_close(fd);
    if (self->operations)
        self->operations->sleeps(self, false);
    return rc == -EINTR ? 0 : rc;
}

static long call_plainly(struct fxi_context *self, const struct io_uring_sqe *entry,
                         fx_deadline deadline)
{
    struct fxi_system_call call;
    if (entry->fd < 0 && entry->opcode == IORING_OP_POLL_ADD)
        return -EBADF; /* poll(2) waits for nothing then */
    if (entry->opcode == IORING_OP_CLOSE)
        return fxi_stop_is_due(self) ? -ECANCELED : close_plainly(self, entry->fd);
    fxi_entry_system_call(entry, &call);
    return fxi_entry_result(entry, &call, fxi_stop_call(call.number, call.args, deadline));
}

/* By the worker's loop, or a task that is beside it, which must not be kept: a call that would wait
 * after all is ended. */
long fxi_io_call_at_once(const struct io_uring_sqe *entry)
{
    struct fxi_system_call call;
    long rc = fxi_io_try(NULL, entry);
    if (rc == -EAGAIN && fxi_io_is_file(entry->fd))
        return FXI_IO_CANNOT_TRY; /* files wait for their disk whatever they say */
    if (rc != FXI_IO_CANNOT_TRY)
        return rc;
    fxi_entry_system_call(entry, &call);
    rc = fxi_stop_call(call.number, call.args, 1 /* long past */);
    /* It would wait; or the caller is to be stopped, which this is not about. */
    if (rc == -ETIMEDOUT || rc == -ECANCELED)
        return FXI_IO_CANNOT_TRY;
    return fxi_entry_result(entry, &call, rc);
}

/* --- as a request ----------------------------------------------------------------------------- */

struct in_line {
    struct fxi_request request;
    struct fxi_context *context;
    int32_t result;
    bool is_over; /* its worker's thread writes it, and reads it */
};

static void complete(struct fxi_request *request, int32_t result)
{
    struct in_line *in_line = fxi_container_of(request, struct in_line, request);
    in_line->result = result;
    in_line->is_over = true;
    fxi_unpark_alone(in_line->context);
}

/* A descriptor that is being closed is gone, so this is waited for whatever comes. */
static bool can_be_given_up(const struct io_uring_sqe *entry)
{
    return entry->opcode != IORING_OP_CLOSE;
}

/* Where there is no backend the task's worker blocks. */
static long request(struct fxi_context *self, const struct io_uring_sqe *entry,
                    fx_deadline deadline)
{
    struct in_line in_line; /* not zeroed: it is large, and the backend's part is the backend's */
    in_line.request.entry = *entry;
    in_line.request.complete = complete;
    in_line.request.is_of_future = false;
    in_line.context = self;
    in_line.is_over = false;
    if (fxi_stop_is_due(self))
        return -ECANCELED;
    if (fxi_request_begin(fxi_fiber_of(self)->worker, &in_line.request) != 0)
        return call_plainly(self, entry, deadline);
    int rc = can_be_given_up(entry) ? fxi_park_alone(deadline, true) : 0;
    if (!in_line.is_over) {
        if (rc != 0)
            fxi_request_cancel(&in_line.request);
        fxi_park_alone(FX_FOREVER, false);
    }
    if (rc != 0 && in_line.result == -ECANCELED)
        return rc;
    if (rc == -ECANCELED)
        fxi_stop_tell_again(self);
    return fxi_entry_completion(entry, in_line.result);
}

/* --- in parts --------------------------------------------------------------------------------- */

/* A transfer and what is left of it: a buffer; of several the rest of the first, and the others. */
struct transfer {
    struct io_uring_sqe entry; /* for what is to be done next */
    const struct iovec *parts; /* NULL: one buffer */
    uint32_t n_parts;
    size_t skipped;            /* bytes of the first part that are done */
    bool writes;
};

static bool is_transfer(const struct io_uring_sqe *entry)
{
    switch (entry->opcode) {
    case IORING_OP_READ:
    case IORING_OP_WRITE:
    case IORING_OP_READV:
    case IORING_OP_WRITEV:
    case IORING_OP_SEND:
        return true;
    default:
        return false;
    }
}

static bool is_whole(const struct io_uring_sqe *entry, long done)
{
    return !fxi_entry_has_parts(entry) && done == (long)entry->len;
}

static void set_up(struct transfer *transfer, const struct io_uring_sqe *entry)
{
    transfer->entry = *entry;
    transfer->parts = NULL;
    transfer->n_parts = 0;
    if (fxi_entry_has_parts(entry)) {
        transfer->parts = (const struct iovec *)(uintptr_t)entry->addr;
        transfer->n_parts = entry->len;
    }
    transfer->skipped = 0;
    transfer->writes = entry->opcode != IORING_OP_READ && entry->opcode != IORING_OP_READV;
}

static void advance_in_parts(struct transfer *transfer, size_t done)
{
    struct io_uring_sqe *entry = &transfer->entry;
    done += transfer->skipped;
    while (transfer->n_parts > 0 && done >= transfer->parts->iov_len) {
        done -= transfer->parts->iov_len;
        transfer->parts++;
        transfer->n_parts--;
    }
    transfer->skipped = done;
    entry->addr = (uintptr_t)transfer->parts;
    entry->len = transfer->n_parts;
    entry->opcode = transfer->writes ? IORING_OP_WRITEV : IORING_OP_READV;
    if (done > 0) { /* the rest of this one by itself */
        size_t rest = transfer->parts->iov_len - done;
        entry->opcode = transfer->writes ? IORING_OP_WRITE : IORING_OP_READ;
        entry->addr = (uintptr_t)transfer->parts->iov_base + done;
        entry->len = (uint32_t)(rest < FXI_ENTRY_BYTES_MOST ? rest : FXI_ENTRY_BYTES_MOST);
    }
}

/* False: nothing is left. */
static bool advance(struct transfer *transfer, size_t done)
{
    struct io_uring_sqe *entry = &transfer->entry;
    if (entry->opcode != IORING_OP_SEND && entry->off != (uint64_t)-1)
        entry->off += done;
    if (transfer->parts) {
        advance_in_parts(transfer, done);
    } else {
        entry->addr += done;
        entry->len -= (uint32_t)done;
    }
    return entry->len > 0;
}

/* Whether what was done in part is to be gone on with: a write always, as the next one says so if
 * it would have to wait and the descriptor does not; a read only of a file, of which a try takes no
 * more than is in memory. */
static bool goes_on(const struct transfer *transfer, bool was_tried)
{
    const struct io_uring_sqe *entry = &transfer->entry;
    if (transfer->writes)
        return entry->opcode != IORING_OP_SEND || !(entry->msg_flags & MSG_DONTWAIT);
    return was_tried && fxi_io_is_file(entry->fd);
}

static bool is_past(fx_deadline deadline)
{
    return deadline != FX_FOREVER && deadline <= fx_now();
}

/* The time is over before anything was done: what a try cannot tell the plain call does, which ends
 * at once, too. A request would be cancelled before it began. */
static long try_alone(struct fxi_context *self, const struct io_uring_sqe *entry,
                      fx_deadline deadline)
{
    struct fxi_fiber *fiber = self->operations ? fxi_fiber_of(self) : NULL;
    long rc = fxi_io_try(fiber, entry);
    if (rc == FXI_IO_CANNOT_TRY)
        return call_plainly(self, entry, deadline);
    if (rc != -EAGAIN)
        return rc;
    bool says_so = fxi_io_does_not_wait(fiber, entry) && !fxi_io_is_file(entry->fd);
    return says_so ? rc : -ETIMEDOUT;
}

/* A task that never has to wait lets others have their turn now and then, and the worker look
 * around. */
static void count_try(struct fxi_worker *worker)
{
    if (++worker->tries % FXI_IO_TRIES_IN_A_ROW != 0)
        return;
    worker->turns = 0;
    fxi_worker_yield();
}

static long step_in_thread(struct fxi_context *self, const struct io_uring_sqe *entry,
                           fx_deadline deadline)
{
    return is_past(deadline) ? try_alone(self, entry, deadline)
                             : call_plainly(self, entry, deadline);
}

/* In a task: what is done at once, without a backend, or is left to one. */
static long step_in_task(struct fxi_context *self, const struct io_uring_sqe *entry,
                         fx_deadline deadline, bool *was_tried)
{
    struct fxi_fiber *fiber = fxi_fiber_of(self);
    *was_tried = true;
    if (is_past(deadline))
        return try_alone(self, entry, deadline);
    if (fxi_io_tries_first(fiber, entry, false)) {
        long rc = fxi_io_try(fiber, entry);
        if (rc != FXI_IO_CANNOT_TRY && rc != -EAGAIN) {
            count_try(fiber->worker);
            return rc;
        }
    }
    *was_tried = false;
    if (fxi_io_does_not_wait(fiber, entry) || !self->operations->can_suspend(self))
        return call_plainly(self, entry, deadline);
    return request(self, entry, deadline);
}

static long step(struct fxi_context *self, const struct io_uring_sqe *entry, fx_deadline deadline,
                 bool *was_tried)
{
    *was_tried = false;
    return self->operations ? step_in_task(self, entry, deadline, was_tried)
                            : step_in_thread(self, entry, deadline);
}

static long carry_out(struct fxi_context *self, const struct io_uring_sqe *entry,
                      fx_deadline deadline)
{
    struct transfer transfer;
    bool was_tried;
    if (self->operations)
        fxi_io_forget_flags(fxi_fiber_of(self), entry);
    long rc = step(self, entry, deadline, &was_tried), total = rc;
    if (rc <= 0 || is_whole(entry, rc) || !is_transfer(entry))
        return rc;
    set_up(&transfer, entry);
    while (total < (long)FXI_ENTRY_BYTES_MOST && advance(&transfer, (size_t)rc) &&
           goes_on(&transfer, was_tried)) {
        rc = step(self, &transfer.entry, deadline, &was_tried);
        if (rc <= 0)
            break;
        total += rc;
    }
    if (rc == -ECANCELED)
        fxi_stop_tell_again(self);
    return total;
}

long fxi_io_carry_out(const struct io_uring_sqe *entry, fx_deadline deadline)
{
    struct fxi_context *self = fxi_self();
    long rc;
    if (!self)
        return -ENOMEM;
    rc = fxi_stop_is_due(self) ? -ECANCELED : carry_out(self, entry, deadline);
    return rc == -ECANCELED ? fxi_stop_point(-ECANCELED) : rc;
}

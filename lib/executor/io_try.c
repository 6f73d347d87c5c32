#include "executor/io_try.h"

#include <fcntl.h>

#include "executor/backend.h"
#include "executor/worker.h"
#include "kernel/io.h"

/* --- the descriptor's flags ------------------------------------------------------------------- */

/* A system call costs as much as what is gained by knowing: so they are asked for the first time
 * that a task uses a descriptor, and then at every so many uses in a row. */
#define USES 32

static int flags_of(struct fxi_fiber *fiber, int fd)
{
    if (!fiber)
        return fxi_io_flags(fd);
    if (fiber->descriptor.fd != fd)
        fiber->descriptor.reads = 0;
    if (fiber->descriptor.uses == 0 || fiber->descriptor.fd != fd) {
        fiber->descriptor.fd = fd;
        fiber->descriptor.flags = fxi_io_flags(fd);
        fiber->descriptor.uses = USES;
    }
    fiber->descriptor.uses--;
    return fiber->descriptor.flags;
}

void fxi_io_forget_flags(struct fxi_fiber *fiber, const struct io_uring_sqe *entry)
{
    switch (entry->opcode) {
    case IORING_OP_CLOSE:
    case IORING_OP_OPENAT:
    case IORING_OP_ACCEPT:
        fiber->descriptor.uses = 0;
        fiber->descriptor.reads = 0;
        break;
    default:
        break;
    }
}

static bool has(int flags, int flag)
{
    return flags >= 0 && (flags & flag);
}

/* What is known may be old: it is asked again where a plain call follows. */
bool fxi_io_does_not_wait(struct fxi_fiber *fiber, const struct io_uring_sqe *entry)
{
    if (fxi_entry_does_not_wait(entry))
        return true;
    if (!fxi_entry_heeds_nonblock(entry) || !has(flags_of(fiber, entry->fd), O_NONBLOCK))
        return false;
    if (fiber)
        fiber->descriptor.uses = 0;
    return has(flags_of(fiber, entry->fd), O_NONBLOCK);
}

/* --- transfers -------------------------------------------------------------------------------- */

/* To ask the kernel not to wait costs more than to read what is in memory. So where the last reads
 * of a file all found it there, and nobody is kept waiting if the next one does not, as this task
 * is all that its worker has begun, it is read plainly; one read in USES is not, and sees whether
 * it is still so. */
#define READS_IN_MEMORY 16

static bool is_in_memory(const struct fxi_fiber *fiber, const struct io_uring_sqe *entry)
{
    return entry->opcode == IORING_OP_READ && fiber->descriptor.fd == entry->fd &&
           fiber->descriptor.reads >= READS_IN_MEMORY;
}

static bool may_read_plainly(const struct fxi_fiber *fiber, const struct io_uring_sqe *entry)
{
    return fiber && fiber->worker->begun == 1 && is_in_memory(fiber, entry) &&
           fiber->descriptor.uses != USES - 1;
}

/* From so many on a batch of requests costs less than as many tries. A batch of futures that has
 * begun goes on, or it would never be seen how large it becomes. */
#define BATCH 8

static bool goes_in_batch(const struct fxi_backend *backend, bool of_future)
{
    return backend->last_batch >= BATCH || backend->batch >= (of_future ? 1 : BATCH);
}

bool fxi_io_tries_first(const struct fxi_fiber *fiber, const struct io_uring_sqe *entry,
                        bool of_future)
{
    const struct fxi_backend *backend = fiber->worker->backend;
    if (backend && goes_in_batch(backend, of_future))
        return false;
    return (fiber->worker->in_flight == 0 && !fiber->worker->ready_first) ||
           (is_in_memory(fiber, entry) && entry->off != (uint64_t)-1);
}

/* A file's end is the kernel's to tell when it may wait: 0 can be the end of what is in memory. */
static long outcome(long rc)
{
    return rc == 0 || rc == -EOPNOTSUPP || rc == -EINTR || rc == -ENOSYS ? FXI_IO_CANNOT_TRY : rc;
}

static long try_at_offset(struct fxi_fiber *fiber, const struct io_uring_sqe *entry)
{
    const struct iovec one = { (void *)(uintptr_t)entry->addr, entry->len };
    long rc = outcome(fxi_io_try_read(entry->fd, &one, 1, (off_t)entry->off));
    if (!fiber)
        return rc;
    if (rc < 0)
        fiber->descriptor.reads = 0;
    else if (fiber->descriptor.reads < READS_IN_MEMORY)
        fiber->descriptor.reads++;
    return rc;
}

static long read_at_offset(struct fxi_fiber *fiber, const struct io_uring_sqe *entry)
{
    if (!may_read_plainly(fiber, entry))
        return try_at_offset(fiber, entry);
    return outcome(fxi_io_read(entry->fd, (void *)(uintptr_t)entry->addr, entry->len,
                               (off_t)entry->off));
}

long fxi_io_try_file(struct fxi_fiber *fiber, const struct io_uring_sqe *entry)
{
    if (entry->opcode != IORING_OP_READ || entry->off == (uint64_t)-1 || entry->flags != 0 ||
        entry->rw_flags != 0 || has(flags_of(fiber, entry->fd), O_DIRECT))
        return FXI_IO_CANNOT_TRY;
    return try_at_offset(fiber, entry);
}

static long try_transfer(struct fxi_fiber *fiber, const struct io_uring_sqe *entry)
{
    const struct iovec one = { (void *)(uintptr_t)entry->addr, entry->len };
    const struct iovec *parts = (const struct iovec *)(uintptr_t)entry->addr;
    off_t off = (off_t)entry->off;
    /* Direct I/O waits for its device even if it is asked not to. */
    if (entry->len == 0 || has(flags_of(fiber, entry->fd), O_DIRECT))
        return FXI_IO_CANNOT_TRY;
    switch (entry->opcode) {
    case IORING_OP_READ:
        return off == -1 ? outcome(fxi_io_try_read(entry->fd, &one, 1, off))
                         : read_at_offset(fiber, entry);
    case IORING_OP_WRITE:
        return outcome(fxi_io_try_write(entry->fd, &one, 1, off));
    case IORING_OP_READV:
        return outcome(fxi_io_try_read(entry->fd, parts, (int)entry->len, off));
    default:
        return outcome(fxi_io_try_write(entry->fd, parts, (int)entry->len, off));
    }
}

/* --- the others ------------------------------------------------------------------------------- */

static long try_message(const struct io_uring_sqe *entry)
{
    void *buf = (void *)(uintptr_t)entry->addr;
    int flags = (int)entry->msg_flags;
    if (flags & MSG_WAITALL)
        return FXI_IO_CANNOT_TRY;
    return entry->opcode == IORING_OP_RECV ? fxi_io_try_recv(entry->fd, buf, entry->len, flags)
                                           : fxi_io_try_send(entry->fd, buf, entry->len, flags);
}

long fxi_io_try(struct fxi_fiber *fiber, const struct io_uring_sqe *entry)
{
    long rc;
    switch (entry->opcode) {
    case IORING_OP_READ:
    case IORING_OP_WRITE:
    case IORING_OP_READV:
    case IORING_OP_WRITEV:
        return try_transfer(fiber, entry);
    case IORING_OP_RECV:
    case IORING_OP_SEND:
        return try_message(entry);
    case IORING_OP_POLL_ADD:
        rc = fxi_io_try_poll(entry->fd, fxi_entry_poll_events(entry));
        return rc == 0 ? -EAGAIN : rc == -EINTR ? FXI_IO_CANNOT_TRY : rc;
    default:
        return FXI_IO_CANNOT_TRY;
    }
}

#include "executor/attempt.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "executor/entry.h"
#include "kernel/stop_call.h"
#include "stop/call.h"

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 8
#endif

static enum fxi_attempt_outcome over(struct fxi_request *request, long result)
{
    request->result = (int32_t)result;
    return FXI_ATTEMPT_OVER;
}

static enum fxi_attempt_outcome waits(struct fxi_request *request, short events)
{
    request->events = events;
    return FXI_ATTEMPT_WAITS;
}

/* A signal that is on its way to the worker may interrupt even what does not sleep. */
static long make(long number, const long arguments[6])
{
    long rc;
    do
        rc = fxi_plain_call(number, arguments);
    while (rc == -EINTR);
    return rc;
}

static long plain(long number, long a, long b, long c, long d, long e, long f)
{
    const long arguments[6] = { a, b, c, d, e, f };
    return make(number, arguments);
}

static bool never_blocks(int fd)
{
    long flags = plain(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0);
    return flags >= 0 && (flags & O_NONBLOCK);
}

/* Only a call that blocks can do it, of which it is known that it will not for long. */
static enum fxi_attempt_outcome blocks_when_ready(struct fxi_request *request, short events)
{
    return request->is_ready ? FXI_ATTEMPT_BLOCKS : waits(request, events);
}

/* --- read and write --------------------------------------------------------------------------- */

static bool is_regular(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

/* The parts of memory that it is about. */
static const struct iovec *parts_of(const struct io_uring_sqe *entry, struct iovec *only, size_t *count)
{
    bool is_vector = entry->opcode == IORING_OP_READV || entry->opcode == IORING_OP_WRITEV;
    *count = is_vector ? entry->len : 1;
    if (is_vector)
        return (const struct iovec *)(uintptr_t)entry->addr;
    *only = (struct iovec){ (void *)(uintptr_t)entry->addr, entry->len };
    return only;
}

static bool is_write(const struct io_uring_sqe *entry)
{
    return entry->opcode == IORING_OP_WRITE || entry->opcode == IORING_OP_WRITEV;
}

static size_t total(const struct iovec *parts, size_t count)
{
    size_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += parts[i].iov_len;
    return sum;
}

struct transfer_call {
    long number, arguments[6];
};

/* Without flags by a call that every kernel has. */
static struct transfer_call call_for(const struct io_uring_sqe *entry, const struct iovec *parts,
                                     size_t count, int32_t done, int flags)
{
    bool writes = is_write(entry), at_position = entry->off == UINT64_MAX;
    flags |= (int)entry->rw_flags;
    return (struct transfer_call){
        .number = flags != 0    ? (writes ? SYS_pwritev2 : SYS_preadv2)
                  : at_position ? (writes ? SYS_writev : SYS_readv)
                                : (writes ? SYS_pwritev : SYS_preadv),
        .arguments = { entry->fd, (long)parts, (long)count,
                       at_position ? -1 : (long)entry->off + done, 0, flags }
    };
}

static bool cannot_be_tried(long rc)
{
    return rc == -EOPNOTSUPP || rc == -ENOSYS;
}

static enum fxi_attempt_outcome transfer(struct fxi_request *request)
{
    const struct io_uring_sqe *entry = &request->entry;
    struct iovec only;
    size_t count;
    const struct iovec *parts = parts_of(entry, &only, &count);
    short events = is_write(entry) ? POLLOUT : POLLIN;
    struct transfer_call call = call_for(entry, parts, count, 0, RWF_NOWAIT);
    long rc = make(call.number, call.arguments);
    if (cannot_be_tried(rc) && never_blocks(entry->fd)) {
        call = call_for(entry, parts, count, 0, 0);
        rc = make(call.number, call.arguments);
    }
    if (rc == -EAGAIN)
        return waits(request, events);
    if (cannot_be_tried(rc))
        return blocks_when_ready(request, events);
    /* A file's part that is not in memory ends the try; so, in some kernels, does the end of a page. */
    if (rc >= 0 && (size_t)rc < total(parts, count) && is_regular(entry->fd)) {
        request->result = (int32_t)rc;
        return FXI_ATTEMPT_BLOCKS;
    }
    return over(request, rc);
}

/* Of the parts those that begin after `done` bytes; of one that has begun the rest, alone, as `rest`. */
static const struct iovec *skip(const struct iovec *parts, size_t *count, size_t done,
                                struct iovec *rest)
{
    while (*count > 0 && done >= parts->iov_len) {
        done -= parts->iov_len;
        parts++;
        --*count;
    }
    if (done == 0 || *count == 0)
        return parts;
    *rest = (struct iovec){ (char *)parts->iov_base + done, parts->iov_len - done };
    *count = 1;
    return rest;
}

/* A file's is carried out wholly, as the kernel does it for a blocking call. */
static int32_t transfer_blocking(struct fxi_request *request)
{
    const struct io_uring_sqe *entry = &request->entry;
    int32_t done = request->result;
    bool begun = done > 0;
    for (;;) {
        struct iovec only, rest;
        size_t count;
        const struct iovec *parts = parts_of(entry, &only, &count);
        parts = skip(parts, &count, (size_t)done, &rest);
        if (count == 0 && begun)
            return done;
        struct transfer_call call = call_for(entry, parts, count, done, 0);
        long rc = fxi_stop_call(call.number, call.arguments, FX_FOREVER);
        if (rc < 0)
            return done > 0 ? done : (int32_t)rc;
        done += (int32_t)rc;
        if (rc == 0 || !begun)
            return done;
    }
}

/* --- sockets ---------------------------------------------------------------------------------- */

static bool is_stream(int fd)
{
    int type;
    socklen_t length = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_STREAM;
}

bool fxi_attempt_goes_on(const struct fxi_request *request)
{
    const struct io_uring_sqe *entry = &request->entry;
    return (entry->opcode == IORING_OP_SEND || entry->opcode == IORING_OP_RECV) &&
           (entry->msg_flags & (MSG_WAITALL | MSG_PEEK)) == MSG_WAITALL && is_stream(entry->fd);
}

/* recv() and send(). What was transferred before is never lost to an error. */
static enum fxi_attempt_outcome exchange(struct fxi_request *request)
{
    const struct io_uring_sqe *entry = &request->entry;
    bool sends = entry->opcode == IORING_OP_SEND;
    /* As the ring does, a send to nobody says -EPIPE, and that is all. */
    long flags = (long)entry->msg_flags | MSG_DONTWAIT | (sends ? MSG_NOSIGNAL : 0);
    for (;;) {
        uint32_t done = (uint32_t)request->result;
        long rc = plain(sends ? SYS_sendto : SYS_recvfrom, entry->fd, (long)entry->addr + done,
                        (long)(entry->len - done), flags, 0, 0);
        if (rc == -EAGAIN && !(entry->msg_flags & MSG_DONTWAIT))
            return waits(request, sends ? POLLOUT : POLLIN);
        if (rc < 0)
            return done > 0 ? over(request, (int32_t)done) : over(request, rc);
        request->result += (int32_t)rc;
        bool is_all = rc == 0 || (uint32_t)request->result >= entry->len;
        if (is_all || !fxi_attempt_goes_on(request))
            return FXI_ATTEMPT_OVER;
    }
}

/* What accept() would say at once: such a descriptor may never be ready. */
static long refusal_to_accept(int fd)
{
    int listens = 0;
    socklen_t length = sizeof listens;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) != 0)
        return -errno;
    return listens ? 0 : -EINVAL;
}

static enum fxi_attempt_outcome accept_one(struct fxi_request *request)
{
    const struct io_uring_sqe *entry = &request->entry;
    if (!request->is_ready) {
        long refusal = refusal_to_accept(entry->fd);
        if (refusal != 0)
            return over(request, refusal);
    }
    if (!never_blocks(entry->fd))
        return blocks_when_ready(request, POLLIN);
    long rc = plain(SYS_accept4, entry->fd, (long)entry->addr, (long)entry->addr2,
                    (long)entry->accept_flags, 0, 0);
    return rc == -EAGAIN ? waits(request, POLLIN) : over(request, rc);
}

static long error_of(int fd)
{
    int error = 0;
    socklen_t length = sizeof error;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? -error : -errno;
}

static enum fxi_attempt_outcome connect_to(struct fxi_request *request)
{
    const struct io_uring_sqe *entry = &request->entry;
    if (!never_blocks(entry->fd))
        return FXI_ATTEMPT_BLOCKS;
    if (request->is_ready)
        return over(request, error_of(entry->fd));
    long rc = plain(SYS_connect, entry->fd, (long)entry->addr, (long)entry->off, 0, 0, 0);
    return rc == -EINPROGRESS ? waits(request, POLLOUT) : over(request, rc);
}

static enum fxi_attempt_outcome poll_for(struct fxi_request *request)
{
    struct pollfd descriptor = { .fd = request->entry.fd,
                                 .events = fxi_entry_poll_events(&request->entry) };
    struct timespec none = { 0 };
    long rc = plain(SYS_ppoll, (long)&descriptor, 1, (long)&none, 0, 0, 0);
    if (rc == 0)
        return waits(request, descriptor.events);
    return over(request, rc < 0 ? rc : descriptor.revents & POLLNVAL ? -EBADF : descriptor.revents);
}

/* --- all -------------------------------------------------------------------------------------- */

static enum fxi_attempt_outcome attempt(struct fxi_request *request)
{
    switch (request->entry.opcode) {
    case IORING_OP_NOP:
        return over(request, 0);
    case IORING_OP_READ:
    case IORING_OP_READV:
    case IORING_OP_WRITE:
    case IORING_OP_WRITEV:
        return transfer(request);
    case IORING_OP_RECV:
    case IORING_OP_SEND:
        return exchange(request);
    case IORING_OP_ACCEPT:
        return accept_one(request);
    case IORING_OP_CONNECT:
        return connect_to(request);
    case IORING_OP_POLL_ADD:
        return poll_for(request);
    default:
        return FXI_ATTEMPT_BLOCKS;
    }
}

enum fxi_attempt_outcome fxi_attempt(struct fxi_request *request)
{
    int saved_errno = errno; /* of the task that begins it */
    enum fxi_attempt_outcome outcome = attempt(request);
    errno = saved_errno;
    return outcome;
}

int32_t fxi_attempt_blocking(struct fxi_request *request)
{
    const struct io_uring_sqe *entry = &request->entry;
    struct fxi_system_call call;
    switch (entry->opcode) {
    case IORING_OP_READ:
    case IORING_OP_READV:
    case IORING_OP_WRITE:
    case IORING_OP_WRITEV:
        return transfer_blocking(request);
    default:
        fxi_entry_system_call(entry, &call);
        /* A close is not to be made again. */
        long rc = entry->opcode == IORING_OP_CLOSE
                      ? fxi_plain_call(call.number, call.args)
                      : fxi_stop_call(call.number, call.args, FX_FOREVER);
        return (int32_t)fxi_entry_result(entry, &call, rc);
    }
}

bool fxi_attempt_is_long(const struct fxi_request *request)
{
    switch (request->entry.opcode) {
    case IORING_OP_FSYNC:
    case IORING_OP_STATX:
    case IORING_OP_CLOSE:
        return false;
    case IORING_OP_READ:
    case IORING_OP_READV:
    case IORING_OP_WRITE:
    case IORING_OP_WRITEV:
        return !is_regular(request->entry.fd);
    default:
        return true;
    }
}

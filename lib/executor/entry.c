#include "executor/entry.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>

/* --- making ----------------------------------------------------------------------------------- */

static struct io_uring_sqe entry_of(uint8_t opcode, int fd, const void *addr, size_t length,
                                    off_t off)
{
    return (struct io_uring_sqe){ .opcode = opcode,
                                  .fd = fd,
                                  .addr = (uintptr_t)addr,
                                  .len = (uint32_t)length,
                                  .off = (uint64_t)off };
}

static size_t bytes(size_t n)
{
    return n < FXI_ENTRY_BYTES_MOST ? n : FXI_ENTRY_BYTES_MOST;
}

struct io_uring_sqe fxi_entry_read(int fd, void *buf, size_t n, off_t off)
{
    return entry_of(IORING_OP_READ, fd, buf, bytes(n), off);
}

struct io_uring_sqe fxi_entry_write(int fd, const void *buf, size_t n, off_t off)
{
    return entry_of(IORING_OP_WRITE, fd, buf, bytes(n), off);
}

struct io_uring_sqe fxi_entry_readv(int fd, const struct iovec *parts, int n, off_t off)
{
    return entry_of(IORING_OP_READV, fd, parts, (size_t)n, off);
}

struct io_uring_sqe fxi_entry_writev(int fd, const struct iovec *parts, int n, off_t off)
{
    return entry_of(IORING_OP_WRITEV, fd, parts, (size_t)n, off);
}

struct io_uring_sqe fxi_entry_recv(int fd, void *buf, size_t n, int flags)
{
    struct io_uring_sqe entry = entry_of(IORING_OP_RECV, fd, buf, bytes(n), 0);
    entry.msg_flags = (uint32_t)flags;
    return entry;
}

struct io_uring_sqe fxi_entry_send(int fd, const void *buf, size_t n, int flags)
{
    struct io_uring_sqe entry = entry_of(IORING_OP_SEND, fd, buf, bytes(n), 0);
    entry.msg_flags = (uint32_t)flags | MSG_NOSIGNAL; /* a signal would be the worker's */
    return entry;
}

struct io_uring_sqe fxi_entry_accept(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    struct io_uring_sqe entry = entry_of(IORING_OP_ACCEPT, fd, address, 0, 0);
    entry.addr2 = (uintptr_t)length;
    entry.accept_flags = (uint32_t)flags;
    return entry;
}

struct io_uring_sqe fxi_entry_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    return entry_of(IORING_OP_CONNECT, fd, address, 0, (off_t)length);
}

struct io_uring_sqe fxi_entry_openat(int dirfd, const char *path, int flags, mode_t mode)
{
    struct io_uring_sqe entry = entry_of(IORING_OP_OPENAT, dirfd, path, mode, 0);
    entry.open_flags = (uint32_t)flags;
    /* Else the ring first tries with O_NONBLOCK, which opens a pipe for reading before there is a
     * writer, and refuses to open one for writing. */
    if (!(flags & (O_NONBLOCK | O_DIRECTORY | O_PATH)))
        entry.flags = IOSQE_ASYNC;
    return entry;
}

struct io_uring_sqe fxi_entry_close(int fd)
{
    return entry_of(IORING_OP_CLOSE, fd, NULL, 0, 0);
}

struct io_uring_sqe fxi_entry_fsync(int fd, bool data_only)
{
    struct io_uring_sqe entry = entry_of(IORING_OP_FSYNC, fd, NULL, 0, 0);
    entry.fsync_flags = data_only ? IORING_FSYNC_DATASYNC : 0;
    return entry;
}

/* The kernel has the halves of the 32 bits in the order of a little-endian machine. */
static uint32_t swap_halves(uint32_t events)
{
    return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? events << 16 | events >> 16 : events;
}

struct io_uring_sqe fxi_entry_poll(int fd, short events)
{
    struct io_uring_sqe entry = entry_of(IORING_OP_POLL_ADD, fd, NULL, 0, 0);
    entry.poll32_events = swap_halves((uint16_t)events);
    return entry;
}

short fxi_entry_poll_events(const struct io_uring_sqe *entry)
{
    return (short)swap_halves(entry->poll32_events);
}

struct io_uring_sqe fxi_entry_statx(int dirfd, const char *path, int flags, unsigned mask,
                                    struct statx *out)
{
    struct io_uring_sqe entry = entry_of(IORING_OP_STATX, dirfd, path, mask, 0);
    entry.addr2 = (uintptr_t)out;
    entry.statx_flags = (uint32_t)flags;
    return entry;
}

struct io_uring_sqe fxi_entry_splice(int in, off_t in_off, int out, off_t out_off, size_t n,
                                     unsigned flags)
{
    struct io_uring_sqe entry = entry_of(IORING_OP_SPLICE, out, NULL, bytes(n), out_off);
    entry.splice_off_in = (uint64_t)in_off;
    entry.splice_fd_in = in;
    entry.splice_flags = flags;
    return entry;
}

/* --- looking at them -------------------------------------------------------------------------- */

bool fxi_entry_heeds_nonblock(const struct io_uring_sqe *entry)
{
    switch (entry->opcode) {
    case IORING_OP_READ:
    case IORING_OP_WRITE:
    case IORING_OP_READV:
    case IORING_OP_WRITEV:
        return entry->off == (uint64_t)-1;
    case IORING_OP_RECV:
    case IORING_OP_SEND:
    case IORING_OP_ACCEPT:
    case IORING_OP_CONNECT:
        return true;
    default:
        return false;
    }
}

bool fxi_entry_does_not_wait(const struct io_uring_sqe *entry)
{
    return (entry->opcode == IORING_OP_RECV || entry->opcode == IORING_OP_SEND) &&
           (entry->msg_flags & MSG_DONTWAIT);
}

/* The kernel's poll for a request tells POLLRDHUP, too, unasked. */
int32_t fxi_entry_completion(const struct io_uring_sqe *entry, int32_t result)
{
    if (entry->opcode != IORING_OP_POLL_ADD || result <= 0)
        return result;
    int32_t events = (uint16_t)fxi_entry_poll_events(entry) | POLLERR | POLLHUP | POLLNVAL;
    return result & events ? result & events : result;
}

/* --- as system calls -------------------------------------------------------------------------- */

static void set(struct fxi_system_call *call, long number, const long args[6])
{
    call->number = number;
    for (int i = 0; i < 6; i++)
        call->args[i] = args[i];
}

#define CALL(number, ...) set(call, number, (const long[6]){ __VA_ARGS__ })

/* With an offset, or at the current position, where the offset is -1. */
static void set_transfer_of_parts(struct fxi_system_call *call, const struct io_uring_sqe *entry,
                                  const struct iovec *parts, long count, bool writes)
{
    long off = (long)entry->off;
    CALL(writes ? SYS_pwritev2 : SYS_preadv2, entry->fd, (long)parts, count, off, 0,
         (long)entry->rw_flags);
    if (entry->rw_flags == 0 && off == -1)
        call->number = writes ? SYS_writev : SYS_readv;
    else if (entry->rw_flags == 0)
        call->number = writes ? SYS_pwritev : SYS_preadv;
}

static void set_transfer(struct fxi_system_call *call, const struct io_uring_sqe *entry,
                         bool writes)
{
    long off = (long)entry->off, at_position = writes ? SYS_write : SYS_read,
         at_offset = writes ? SYS_pwrite64 : SYS_pread64;
    if (entry->rw_flags == 0) {
        CALL(off == -1 ? at_position : at_offset, entry->fd, (long)entry->addr, (long)entry->len,
             off);
        return;
    }
    call->part = (struct iovec){ (void *)(uintptr_t)entry->addr, entry->len };
    set_transfer_of_parts(call, entry, &call->part, 1, writes);
}

static void set_poll(struct fxi_system_call *call, const struct io_uring_sqe *entry)
{
    call->poll = (struct pollfd){ .fd = entry->fd, .events = fxi_entry_poll_events(entry) };
    CALL(SYS_ppoll, (long)&call->poll, 1, 0, 0, 0);
}

static void set_splice(struct fxi_system_call *call, const struct io_uring_sqe *entry)
{
    call->in_off = (int64_t)entry->splice_off_in;
    call->out_off = (int64_t)entry->off;
    CALL(SYS_splice, entry->splice_fd_in, call->in_off == -1 ? 0 : (long)&call->in_off, entry->fd,
         call->out_off == -1 ? 0 : (long)&call->out_off, (long)entry->len,
         (long)entry->splice_flags);
}

bool fxi_entry_system_call(const struct io_uring_sqe *entry, struct fxi_system_call *call)
{
    long fd = entry->fd, addr = (long)entry->addr, addr2 = (long)entry->addr2;
    long length = (long)entry->len, flags = (long)entry->msg_flags;
    switch (entry->opcode) {
    case IORING_OP_NOP:
        CALL(SYS_getpid, 0);
        return true;
    case IORING_OP_READ:
    case IORING_OP_WRITE:
        set_transfer(call, entry, entry->opcode == IORING_OP_WRITE);
        return true;
    case IORING_OP_READV:
    case IORING_OP_WRITEV:
        set_transfer_of_parts(call, entry, (const struct iovec *)(uintptr_t)entry->addr, length,
                              entry->opcode == IORING_OP_WRITEV);
        return true;
    case IORING_OP_RECV:
        CALL(SYS_recvfrom, fd, addr, length, flags, 0, 0);
        return true;
    case IORING_OP_SEND:
        CALL(SYS_sendto, fd, addr, length, flags, 0, 0);
        return true;
    case IORING_OP_ACCEPT:
        CALL(SYS_accept4, fd, addr, addr2, flags);
        return true;
    case IORING_OP_CONNECT:
        CALL(SYS_connect, fd, addr, (long)entry->off);
        return true;
    case IORING_OP_OPENAT:
        CALL(SYS_openat, fd, addr, flags, length);
        return true;
    case IORING_OP_CLOSE:
        CALL(SYS_close, fd);
        return true;
    case IORING_OP_FSYNC:
        CALL(entry->fsync_flags & IORING_FSYNC_DATASYNC ? SYS_fdatasync : SYS_fsync, fd);
        return true;
    case IORING_OP_POLL_ADD:
        set_poll(call, entry);
        return true;
    case IORING_OP_STATX:
        CALL(SYS_statx, fd, addr, flags, length, addr2);
        return true;
    case IORING_OP_SPLICE:
        set_splice(call, entry);
        return true;
    default:
        return false;
    }
}

long fxi_entry_result(const struct io_uring_sqe *entry, const struct fxi_system_call *call,
                      long returned)
{
    switch (entry->opcode) {
    case IORING_OP_NOP:
        return 0;
    case IORING_OP_POLL_ADD:
        if (returned > 0 && (call->poll.revents & POLLNVAL))
            return -EBADF;
        return returned > 0 ? call->poll.revents : returned;
    case IORING_OP_CLOSE:
        return returned == -EINTR ? 0 : returned; /* it is closed */
    default:
        return returned;
    }
}

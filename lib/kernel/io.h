/* Calls of I/O, most of which do not wait, typed: the plain call's result, or a negative errno;
 * errno is left alone. */
#ifndef FXI_KERNEL_IO_H
#define FXI_KERNEL_IO_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "kernel/syscall.h"

/* A read or write at the offset, or, for -1, at the current position, if it can be done at once.
 * -EAGAIN: it cannot; -EOPNOTSUPP: that cannot be asked of the descriptor. A file with O_DIRECT
 * waits for its device all the same. */
static inline long fxi_io_try_read(int fd, const struct iovec *parts, int n, off_t off)
{
    return fxi_syscall6(SYS_preadv2, fd, (long)parts, n, off, 0, RWF_NOWAIT);
}

/* The plain pread(2). */
static inline long fxi_io_read(int fd, void *buf, size_t n, off_t off)
{
    return fxi_syscall4(SYS_pread64, fd, buf, n, off);
}

static inline long fxi_io_try_write(int fd, const struct iovec *parts, int n, off_t off)
{
    return fxi_syscall6(SYS_pwritev2, fd, (long)parts, n, off, 0, RWF_NOWAIT);
}

static inline long fxi_io_try_recv(int fd, void *buf, size_t n, int flags)
{
    return fxi_syscall6(SYS_recvfrom, fd, (long)buf, (long)n, flags | MSG_DONTWAIT, 0, 0);
}

static inline long fxi_io_try_send(int fd, const void *buf, size_t n, int flags)
{
    return fxi_syscall6(SYS_sendto, fd, (long)buf, (long)n, flags | MSG_DONTWAIT, 0, 0);
}

/* The events that there are; 0: none; -EBADF: it is closed. */
static inline long fxi_io_try_poll(int fd, short events)
{
    struct pollfd poll = { .fd = fd, .events = events };
    const struct {
        long seconds, nanoseconds;
    } at_once = { 0, 0 };
    long rc = fxi_syscall6(SYS_ppoll, (long)&poll, 1, (long)&at_once, 0, 0, 0);
    if (rc > 0 && (poll.revents & POLLNVAL))
        return -EBADF;
    return rc > 0 ? poll.revents : rc;
}

/* Whether it is a file with contents: what is not there of them now is fetched, and does not come
 * later. */
static inline bool fxi_io_is_file(int fd)
{
    struct stat status;
    return fxi_syscall2(SYS_fstat, fd, &status) == 0 &&
           (S_ISREG(status.st_mode) || S_ISBLK(status.st_mode));
}

/* O_NONBLOCK, O_DIRECT and so on; or -EBADF. */
static inline int fxi_io_flags(int fd)
{
    return (int)fxi_syscall2(SYS_fcntl, fd, F_GETFL);
}

/* Whatever it says, the descriptor is closed, but for -EBADF. */
static inline long fxi_io_close(int fd)
{
    return fxi_syscall1(SYS_close, fd);
}

#endif

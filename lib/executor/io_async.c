/* What the program begins: operations whose futures it gets. */
#include <errno.h>

#include <fxthread/io.h>

#include "executor/entry.h"
#include "executor/io.h"

static fx_future *refuse(int error)
{
    errno = error;
    return NULL;
}

fx_future *fx_async_sleep(fx_executor *executor, fx_nsec duration)
{
    fx_deadline deadline = fx_deadline_after(duration);
    return fxi_io_submit_sleep(executor, deadline == FX_FOREVER ? INT64_MAX : deadline);
}

fx_future *fx_async_read(fx_executor *executor, int fd, void *buf, size_t n, off_t off)
{
    const struct io_uring_sqe entry = fxi_entry_read(fd, buf, n, off);
    return !buf && n > 0 ? refuse(EINVAL) : fxi_io_submit(executor, &entry);
}

fx_future *fx_async_write(fx_executor *executor, int fd, const void *buf, size_t n, off_t off)
{
    const struct io_uring_sqe entry = fxi_entry_write(fd, buf, n, off);
    return !buf && n > 0 ? refuse(EINVAL) : fxi_io_submit(executor, &entry);
}

fx_future *fx_async_readv(fx_executor *executor, int fd, const struct iovec *parts, int n,
                          off_t off)
{
    const struct io_uring_sqe entry = fxi_entry_readv(fd, parts, n, off);
    return n < 0 || (!parts && n > 0) ? refuse(EINVAL) : fxi_io_submit(executor, &entry);
}

fx_future *fx_async_writev(fx_executor *executor, int fd, const struct iovec *parts, int n,
                           off_t off)
{
    const struct io_uring_sqe entry = fxi_entry_writev(fd, parts, n, off);
    return n < 0 || (!parts && n > 0) ? refuse(EINVAL) : fxi_io_submit(executor, &entry);
}

fx_future *fx_async_recv(fx_executor *executor, int fd, void *buf, size_t n, int flags)
{
    const struct io_uring_sqe entry = fxi_entry_recv(fd, buf, n, flags);
    return !buf && n > 0 ? refuse(EINVAL) : fxi_io_submit(executor, &entry);
}

fx_future *fx_async_send(fx_executor *executor, int fd, const void *buf, size_t n, int flags)
{
    /* Of a stream all is sent, as by the plain call, unless the descriptor does not block. */
    int all = flags & MSG_DONTWAIT ? 0 : MSG_WAITALL;
    const struct io_uring_sqe entry = fxi_entry_send(fd, buf, n, flags | all);
    return !buf && n > 0 ? refuse(EINVAL) : fxi_io_submit(executor, &entry);
}

fx_future *fx_async_accept(fx_executor *executor, int fd, struct sockaddr *address,
                           socklen_t *length, int flags)
{
    const struct io_uring_sqe entry = fxi_entry_accept(fd, address, length, flags);
    return address && !length ? refuse(EINVAL) : fxi_io_submit(executor, &entry);
}

fx_future *fx_async_connect(fx_executor *executor, int fd, const struct sockaddr *address,
                            socklen_t length)
{
    const struct io_uring_sqe entry = fxi_entry_connect(fd, address, length);
    return !address ? refuse(EINVAL) : fxi_io_submit(executor, &entry);
}

fx_future *fx_async_openat(fx_executor *executor, int dirfd, const char *path, int flags,
                           mode_t mode)
{
    const struct io_uring_sqe entry = fxi_entry_openat(dirfd, path, flags, mode);
    return !path ? refuse(EINVAL) : fxi_io_submit(executor, &entry);
}

fx_future *fx_async_close(fx_executor *executor, int fd)
{
    const struct io_uring_sqe entry = fxi_entry_close(fd);
    return fxi_io_submit(executor, &entry);
}

fx_future *fx_async_fsync(fx_executor *executor, int fd, bool data_only)
{
    const struct io_uring_sqe entry = fxi_entry_fsync(fd, data_only);
    return fxi_io_submit(executor, &entry);
}

fx_future *fx_async_poll(fx_executor *executor, int fd, short events)
{
    const struct io_uring_sqe entry = fxi_entry_poll(fd, events);
    return fxi_io_submit(executor, &entry);
}

fx_future *fx_async_statx(fx_executor *executor, int dirfd, const char *path, int flags,
                          unsigned mask, struct statx *out)
{
    const struct io_uring_sqe entry = fxi_entry_statx(dirfd, path, flags, mask, out);
    return !path || !out ? refuse(EINVAL) : fxi_io_submit(executor, &entry);
}

fx_future *fx_async_splice(fx_executor *executor, int in, off_t in_off, int out, off_t out_off,
                           size_t n, unsigned flags)
{
    const struct io_uring_sqe entry = fxi_entry_splice(in, in_off, out, out_off, n, flags);
    return fxi_io_submit(executor, &entry);
}

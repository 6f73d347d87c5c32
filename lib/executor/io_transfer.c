/* Transfers in line. */
#include <fxthread/io.h>

#include "executor/io_wait.h"

ssize_t fx_read_until(int fd, void *buf, size_t n, off_t off, fx_deadline deadline)
{
    const struct io_uring_sqe entry = fxi_entry_read(fd, buf, n, off);
    return fxi_io_carry_out(&entry, deadline);
}

ssize_t fx_read_for(int fd, void *buf, size_t n, off_t off, fx_nsec timeout)
{
    return fx_read_until(fd, buf, n, off, fx_deadline_after(timeout));
}

ssize_t fx_read(int fd, void *buf, size_t n, off_t off)
{
    return fx_read_until(fd, buf, n, off, FX_FOREVER);
}

ssize_t fx_write_until(int fd, const void *buf, size_t n, off_t off, fx_deadline deadline)
{
    const struct io_uring_sqe entry = fxi_entry_write(fd, buf, n, off);
    return fxi_io_carry_out(&entry, deadline);
}

ssize_t fx_write_for(int fd, const void *buf, size_t n, off_t off, fx_nsec timeout)
{
    return fx_write_until(fd, buf, n, off, fx_deadline_after(timeout));
}

ssize_t fx_write(int fd, const void *buf, size_t n, off_t off)
{
    return fx_write_until(fd, buf, n, off, FX_FOREVER);
}

ssize_t fx_readv_until(int fd, const struct iovec *parts, int n, off_t off, fx_deadline deadline)
{
    const struct io_uring_sqe entry = fxi_entry_readv(fd, parts, n, off);
    return fxi_io_carry_out(&entry, deadline);
}

ssize_t fx_readv_for(int fd, const struct iovec *parts, int n, off_t off, fx_nsec timeout)
{
    return fx_readv_until(fd, parts, n, off, fx_deadline_after(timeout));
}

ssize_t fx_readv(int fd, const struct iovec *parts, int n, off_t off)
{
    return fx_readv_until(fd, parts, n, off, FX_FOREVER);
}

ssize_t fx_writev_until(int fd, const struct iovec *parts, int n, off_t off, fx_deadline deadline)
{
    const struct io_uring_sqe entry = fxi_entry_writev(fd, parts, n, off);
    return fxi_io_carry_out(&entry, deadline);
}

ssize_t fx_writev_for(int fd, const struct iovec *parts, int n, off_t off, fx_nsec timeout)
{
    return fx_writev_until(fd, parts, n, off, fx_deadline_after(timeout));
}

ssize_t fx_writev(int fd, const struct iovec *parts, int n, off_t off)
{
    return fx_writev_until(fd, parts, n, off, FX_FOREVER);
}

ssize_t fx_recv_until(int fd, void *buf, size_t n, int flags, fx_deadline deadline)
{
    const struct io_uring_sqe entry = fxi_entry_recv(fd, buf, n, flags);
    return fxi_io_carry_out(&entry, deadline);
}

ssize_t fx_recv_for(int fd, void *buf, size_t n, int flags, fx_nsec timeout)
{
    return fx_recv_until(fd, buf, n, flags, fx_deadline_after(timeout));
}

ssize_t fx_recv(int fd, void *buf, size_t n, int flags)
{
    return fx_recv_until(fd, buf, n, flags, FX_FOREVER);
}

ssize_t fx_send_until(int fd, const void *buf, size_t n, int flags, fx_deadline deadline)
{
    const struct io_uring_sqe entry = fxi_entry_send(fd, buf, n, flags);
    return fxi_io_carry_out(&entry, deadline);
}

ssize_t fx_send_for(int fd, const void *buf, size_t n, int flags, fx_nsec timeout)
{
    return fx_send_until(fd, buf, n, flags, fx_deadline_after(timeout));
}

ssize_t fx_send(int fd, const void *buf, size_t n, int flags)
{
    return fx_send_until(fd, buf, n, flags, FX_FOREVER);
}

ssize_t fx_splice_until(int in, off_t in_off, int out, off_t out_off, size_t n, unsigned flags,
                        fx_deadline deadline)
{
    const struct io_uring_sqe entry = fxi_entry_splice(in, in_off, out, out_off, n, flags);
    return fxi_io_carry_out(&entry, deadline);
}

ssize_t fx_splice_for(int in, off_t in_off, int out, off_t out_off, size_t n, unsigned flags,
                      fx_nsec timeout)
{
    return fx_splice_until(in, in_off, out, out_off, n, flags, fx_deadline_after(timeout));
}

ssize_t fx_splice(int in, off_t in_off, int out, off_t out_off, size_t n, unsigned flags)
{
    return fx_splice_until(in, in_off, out, out_off, n, flags, FX_FOREVER);
}

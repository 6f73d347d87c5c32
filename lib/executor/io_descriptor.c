/* In line: what makes, waits for, asks about and closes descriptors. */
#include <fxthread/io.h>

#include "executor/io_wait.h"

int fx_accept_until(int fd, struct sockaddr *address, socklen_t *length, int flags,
                    fx_deadline deadline)
{
    const struct io_uring_sqe entry = fxi_entry_accept(fd, address, length, flags);
    return (int)fxi_io_carry_out(&entry, deadline);
}

int fx_accept_for(int fd, struct sockaddr *address, socklen_t *length, int flags, fx_nsec timeout)
{
    return fx_accept_until(fd, address, length, flags, fx_deadline_after(timeout));
}

int fx_accept(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    return fx_accept_until(fd, address, length, flags, FX_FOREVER);
}

int fx_connect_until(int fd, const struct sockaddr *address, socklen_t length, fx_deadline deadline)
{
    const struct io_uring_sqe entry = fxi_entry_connect(fd, address, length);
    return (int)fxi_io_carry_out(&entry, deadline);
}

int fx_connect_for(int fd, const struct sockaddr *address, socklen_t length, fx_nsec timeout)
{
    return fx_connect_until(fd, address, length, fx_deadline_after(timeout));
}

int fx_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    return fx_connect_until(fd, address, length, FX_FOREVER);
}

int fx_openat_until(int dirfd, const char *path, int flags, mode_t mode, fx_deadline deadline)
{
    const struct io_uring_sqe entry = fxi_entry_openat(dirfd, path, flags, mode);
    return (int)fxi_io_carry_out(&entry, deadline);
}

int fx_openat_for(int dirfd, const char *path, int flags, mode_t mode, fx_nsec timeout)
{
    return fx_openat_until(dirfd, path, flags, mode, fx_deadline_after(timeout));
}

int fx_openat(int dirfd, const char *path, int flags, mode_t mode)
{
    return fx_openat_until(dirfd, path, flags, mode, FX_FOREVER);
}

int fx_close_until(int fd, fx_deadline deadline)
{
    const struct io_uring_sqe entry = fxi_entry_close(fd);
    return (int)fxi_io_carry_out(&entry, deadline);
}

int fx_close_for(int fd, fx_nsec timeout)
{
    return fx_close_until(fd, fx_deadline_after(timeout));
}

int fx_close(int fd)
{
    return fx_close_until(fd, FX_FOREVER);
}

int fx_fsync_until(int fd, bool data_only, fx_deadline deadline)
{
    const struct io_uring_sqe entry = fxi_entry_fsync(fd, data_only);
    return (int)fxi_io_carry_out(&entry, deadline);
}

int fx_fsync_for(int fd, bool data_only, fx_nsec timeout)
{
    return fx_fsync_until(fd, data_only, fx_deadline_after(timeout));
}

int fx_fsync(int fd, bool data_only)
{
    return fx_fsync_until(fd, data_only, FX_FOREVER);
}

int fx_poll_until(int fd, short events, fx_deadline deadline)
{
    const struct io_uring_sqe entry = fxi_entry_poll(fd, events);
    return (int)fxi_io_carry_out(&entry, deadline);
}

int fx_poll_for(int fd, short events, fx_nsec timeout)
{
    return fx_poll_until(fd, events, fx_deadline_after(timeout));
}

int fx_poll(int fd, short events)
{
    return fx_poll_until(fd, events, FX_FOREVER);
}

int fx_statx_until(int dirfd, const char *path, int flags, unsigned mask, struct statx *out,
                   fx_deadline deadline)
{
    const struct io_uring_sqe entry = fxi_entry_statx(dirfd, path, flags, mask, out);
    return (int)fxi_io_carry_out(&entry, deadline);
}

int fx_statx_for(int dirfd, const char *path, int flags, unsigned mask, struct statx *out,
                 fx_nsec timeout)
{
    return fx_statx_until(dirfd, path, flags, mask, out, fx_deadline_after(timeout));
}

int fx_statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *out)
{
    return fx_statx_until(dirfd, path, flags, mask, out, FX_FOREVER);
}

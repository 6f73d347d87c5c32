/* Descriptions of operations: submission entries of io_uring, as every backend reads them, and the
 * plain system calls that do the same. */
#ifndef FXI_EXECUTOR_ENTRY_H
#define FXI_EXECUTOR_ENTRY_H

#include <linux/io_uring.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/compiler.h"

/* The most bytes that one call of Linux transfers. */
#define FXI_ENTRY_BYTES_MOST ((size_t)0x7ffff000)

struct statx;

struct io_uring_sqe fxi_entry_read(int fd, void *buf, size_t n, off_t off);
struct io_uring_sqe fxi_entry_write(int fd, const void *buf, size_t n, off_t off);
struct io_uring_sqe fxi_entry_readv(int fd, const struct iovec *parts, int n, off_t off);
struct io_uring_sqe fxi_entry_writev(int fd, const struct iovec *parts, int n, off_t off);
struct io_uring_sqe fxi_entry_recv(int fd, void *buf, size_t n, int flags);
struct io_uring_sqe fxi_entry_send(int fd, const void *buf, size_t n, int flags);
struct io_uring_sqe fxi_entry_accept(int fd, struct sockaddr *address, socklen_t *length,
                                     int flags);
struct io_uring_sqe fxi_entry_connect(int fd, const struct sockaddr *address, socklen_t length);
struct io_uring_sqe fxi_entry_openat(int dirfd, const char *path, int flags, mode_t mode);
struct io_uring_sqe fxi_entry_close(int fd);
struct io_uring_sqe fxi_entry_fsync(int fd, bool data_only);
struct io_uring_sqe fxi_entry_poll(int fd, short events);
struct io_uring_sqe fxi_entry_statx(int dirfd, const char *path, int flags, unsigned mask,
                                    struct statx *out);
struct io_uring_sqe fxi_entry_splice(int in, off_t in_off, int out, off_t out_off, size_t n,
                                     unsigned flags);

/* Whether its address is that of several buffers. */
static inline bool fxi_entry_has_parts(const struct io_uring_sqe *entry)
{
    return entry->opcode == IORING_OP_READV || entry->opcode == IORING_OP_WRITEV;
}

/* The events that a poll is for. */
short fxi_entry_poll_events(const struct io_uring_sqe *entry);

/* Whether it is up to O_NONBLOCK if the operation waits: transfers at the current position, of
 * messages, and what is about connections. MSG_DONTWAIT says the same of one message. */
bool fxi_entry_heeds_nonblock(const struct io_uring_sqe *entry);
bool fxi_entry_does_not_wait(const struct io_uring_sqe *entry);

/* What a backend's completion of the entry is to the program. */
int32_t fxi_entry_completion(const struct io_uring_sqe *entry, int32_t result);

/* A system call with what its arguments point at, so that it stays where it was made. */
struct fxi_system_call {
    long number;
    long args[6];
    struct pollfd poll;
    struct iovec part;
    int64_t in_off, out_off; /* of a splice */
};

/* The plain call that does what the entry describes, and may block for it. False: it is none of
 * those above, nor a nop. */
bool fxi_entry_system_call(const struct io_uring_sqe *entry, struct fxi_system_call *call);

/* What the entry's operation came to, by what that call has returned. */
long fxi_entry_result(const struct io_uring_sqe *entry, const struct fxi_system_call *call,
                      long returned);

#endif

/* I/O: futures of reads, writes, connections and the like, and the same calls in line.
 *
 * fx_async_read() and its like begin an operation on a thread pool and return its future at once;
 * no task, no stack and no thread waits for it. fx_read() and its like do the operation and return
 * when it is done: a task that calls them is suspended, so that its worker runs others meanwhile,
 * and a thread makes the plain system call, at a stop point.
 *
 *     static void *serve(void *connection) { // a task: as many of them as there are connections
 *         char buf[4096];
 *         ssize_t n;
 *         while ((n = fx_recv_for((int)(intptr_t)connection, buf, sizeof buf, 0, FX_SEC(30))) > 0)
 *             if (fx_send((int)(intptr_t)connection, buf, (size_t)n, 0) < 0)
 *                 break;
 *         fx_close((int)(intptr_t)connection);
 *         return NULL;
 *     }
 *
 *     char head[512], tail[512]; // two reads at the same time
 *     int fd = fx_openat(AT_FDCWD, "/etc/services", O_RDONLY, 0);
 *     fx_executor *pool = fx_thread_pool_new(NULL);
 *     fx_future *first = fx_async_read(pool, fd, head, sizeof head, 0);
 *     fx_future *last = fx_async_read(pool, fd, tail, sizeof tail, 8192);
 *     if (fx_future_io(first) >= 0 && fx_future_io(last) >= 0)
 *         printf("%.20s\n", head);
 *     fx_future_unref(first);
 *     fx_future_unref(last);
 *     fx_executor_unref(pool);
 *     fx_close(fd);
 *
 * The pool carries operations out through io_uring or, where the kernel refuses that, through epoll
 * and a few threads of its own (fx_executor_backend()); what they do is the same.
 *
 * Every pointer that is given to an fx_async_ call stays valid, and what it points at untouched,
 * until the future is done; giving up its handle neither ends the operation nor makes it done.
 * Integers in results are as of the plain call, with a negative errno where that sets errno; errno
 * itself stays as it is. The end of a pool, and of the program, waits for operations as for tasks:
 * stop what may never be done. On a descriptor with O_NONBLOCK an operation that would have to wait
 * says -EAGAIN, as the plain call does; fx_poll() waits all the same. Closing a descriptor does not
 * end the operations that wait for it: stop them, or shutdown(2) a socket, first. Timeouts of the
 * socket's own (SO_RCVTIMEO, SO_SNDTIMEO) count in threads only. None of the calls is signal-safe;
 * in the child of a fork those in line work, as plain calls, and futures of the parent that were
 * not done are lost (-ESRCH).
 */
#ifndef FXTHREAD_IO_H
#define FXTHREAD_IO_H

#include <sys/types.h>

#include <fxthread/executor.h>

FX_BEGIN_DECLS

struct iovec;        /* <sys/uio.h> */
struct sockaddr;     /* <sys/socket.h> */
struct statx;        /* <sys/stat.h> */
struct io_uring_sqe; /* <liburing.h> */
#ifndef __socklen_t_defined /* as libc's other headers have it */
typedef __socklen_t socklen_t;
#define __socklen_t_defined
#endif

/* --- futures ---------------------------------------------------------------------------------- */

/* Waits until the operation is done: its count of bytes, its new descriptor, its events, or 0 where
 * there is none of these; else the negative of its errno. -ECANCELED: it was cancelled, or stopped,
 * and has had no effect, or this wait was stopped where a stop cannot be raised; -EPIPE also: its
 * pool broke; -EINVAL also: NULL, or no future of this header; -EDEADLK, -ESRCH and -ENOMEM also as
 * of fx_future_result(). The _for and _until forms: -ETIMEDOUT, and the operation goes on.
 *
 * All else that takes futures takes these: the value that fx_future_result() stores is that number
 * as a pointer; an operation that failed has the negative errno as its exception.
 * fx_future_cancel() cancels one that no worker has begun, and a sleep at any time: nothing has
 * happened then. fx_future_stop() also ends one that is under way: its exception is FX_STOPPED if
 * it had no effect, else it ends as it would have. Both, and a shutdown with cancel_futures, leave
 * the buffer to the kernel until the future is done. Blocks; a stop point. */
FX_API int64_t fx_future_io(fx_future *future);
FX_API int64_t fx_future_io_for(fx_future *future, fx_nsec timeout);
FX_API int64_t fx_future_io_until(fx_future *future, fx_deadline deadline);

/* Each begins an operation and returns its future, or NULL with errno EINVAL (the executor, or a
 * pointer that the operation needs, is NULL; a count below 0), ENOTSUP (not a thread pool),
 * ESHUTDOWN (it was shut down), EPIPE (it broke), EAGAIN (no worker could be had) or ENOMEM. What
 * is wrong with the descriptor and the rest, the future says. They do not block, are no stop
 * points, and do not count against max_pending. Called in a task of the pool, the operation is
 * under way when the call returns; reads at an offset may get under way together when the task
 * waits, after it has lately done so within 20 microseconds of beginning them.
 *
 * A sleep: done after so long, at once for 0 and what is past; never for FX_FOREVER, but when it is
 * cancelled. */
FX_API fx_future *fx_async_sleep(fx_executor *executor, fx_nsec duration);

/* Reads or writes at most n bytes at the offset `off`, or for -1 at the descriptor's current
 * position, which moves on. Pipes, sockets and the like have no other than -1 (else it may fail
 * with -ESPIPE). A write to one of these may be short. */
FX_API fx_future *fx_async_read(fx_executor *executor, int fd, void *buf, size_t n, off_t off);
FX_API fx_future *fx_async_write(fx_executor *executor, int fd, const void *buf, size_t n,
                                 off_t off);
FX_API fx_future *fx_async_readv(fx_executor *executor, int fd, const struct iovec *parts, int n,
                                 off_t off);
FX_API fx_future *fx_async_writev(fx_executor *executor, int fd, const struct iovec *parts, int n,
                                  off_t off);

/* recv(2) and send(2). On a stream socket that blocks, a send is done when all is sent. No SIGPIPE
 * comes of it, as though MSG_NOSIGNAL were given. */
FX_API fx_future *fx_async_recv(fx_executor *executor, int fd, void *buf, size_t n, int flags);
FX_API fx_future *fx_async_send(fx_executor *executor, int fd, const void *buf, size_t n,
                                int flags);

/* accept4(2), whose address and length may both be NULL, and connect(2). A connect that was given
 * up may go on in the kernel: close its socket. */
FX_API fx_future *fx_async_accept(fx_executor *executor, int fd, struct sockaddr *address,
                                  socklen_t *length, int flags);
FX_API fx_future *fx_async_connect(fx_executor *executor, int fd, const struct sockaddr *address,
                                   socklen_t length);

/* openat(2); close(2), after which the descriptor is gone, whatever it says; fsync(2) or, with
 * `data_only`, fdatasync(2). */
FX_API fx_future *fx_async_openat(fx_executor *executor, int dirfd, const char *path, int flags,
                                  mode_t mode);
FX_API fx_future *fx_async_close(fx_executor *executor, int fd);
FX_API fx_future *fx_async_fsync(fx_executor *executor, int fd, bool data_only);

/* Waits for one of the events (POLLIN and so on; POLLERR and POLLHUP always): those that have come.
 * -EBADF, and not POLLNVAL, of a descriptor that is none. */
FX_API fx_future *fx_async_poll(fx_executor *executor, int fd, short events);

/* statx(2); splice(2), whose offsets are -1 of a pipe, or for the current position. */
FX_API fx_future *fx_async_statx(fx_executor *executor, int dirfd, const char *path, int flags,
                                 unsigned mask, struct statx *out);
FX_API fx_future *fx_async_splice(fx_executor *executor, int in, off_t in_off, int out,
                                  off_t out_off, size_t n, unsigned flags);

/* Any operation of io_uring, as io_uring_prep_nop(3) and its like prepare it; it is copied, and its
 * user_data ignored. What completes more than once, or is about other operations or a ring's own
 * tables (multishot, links, buffer selection, fixed files, cancels), is refused with EINVAL; what
 * the pool's backend cannot do, with ENOTSUP: of epoll, all but the operations above. */
FX_API fx_future *fx_async_request(fx_executor *executor, const struct io_uring_sqe *request);

/* --- in line ---------------------------------------------------------------------------------- */

/* The same operations, done when the call returns: the plain call's result, or the negative of its
 * errno; errno is not touched. The _for and _until forms say -ETIMEDOUT when the time is over, and
 * then nothing was read, written or taken; 0 tries without waiting. -ECANCELED: stopped where a
 * stop cannot be raised; where it can, it is, unless the operation has had an effect: its result is
 * then returned, and the stop comes at the next stop point. -ENOMEM also: a foreign thread's first
 * call. EINTR is never returned, as the call is made again. Every one blocks, and is a stop point.
 *
 * What differs from the plain call: fx_send() raises no SIGPIPE, and fx_poll() says -EBADF. A write
 * or send that a stop or a deadline ends says how much it has written, where that is not 0.
 * fx_close() is stopped before it begins or not at all, and its time is never over. What the kernel
 * does not interrupt, with files above all, may end after its time, and after a stop, with its
 * result. A connect that was given up may go on in the kernel: close its socket. A task that sets
 * O_NONBLOCK on a descriptor does so before it uses it: it is not asked each time. */
FX_API ssize_t fx_read(int fd, void *buf, size_t n, off_t off);
FX_API ssize_t fx_read_for(int fd, void *buf, size_t n, off_t off, fx_nsec timeout);
FX_API ssize_t fx_read_until(int fd, void *buf, size_t n, off_t off, fx_deadline deadline);

FX_API ssize_t fx_write(int fd, const void *buf, size_t n, off_t off);
FX_API ssize_t fx_write_for(int fd, const void *buf, size_t n, off_t off, fx_nsec timeout);
FX_API ssize_t fx_write_until(int fd, const void *buf, size_t n, off_t off, fx_deadline deadline);

FX_API ssize_t fx_readv(int fd, const struct iovec *parts, int n, off_t off);
FX_API ssize_t fx_readv_for(int fd, const struct iovec *parts, int n, off_t off, fx_nsec timeout);
FX_API ssize_t fx_readv_until(int fd, const struct iovec *parts, int n, off_t off,
                              fx_deadline deadline);

FX_API ssize_t fx_writev(int fd, const struct iovec *parts, int n, off_t off);
FX_API ssize_t fx_writev_for(int fd, const struct iovec *parts, int n, off_t off, fx_nsec timeout);
FX_API ssize_t fx_writev_until(int fd, const struct iovec *parts, int n, off_t off,
                               fx_deadline deadline);

FX_API ssize_t fx_recv(int fd, void *buf, size_t n, int flags);
FX_API ssize_t fx_recv_for(int fd, void *buf, size_t n, int flags, fx_nsec timeout);
FX_API ssize_t fx_recv_until(int fd, void *buf, size_t n, int flags, fx_deadline deadline);

FX_API ssize_t fx_send(int fd, const void *buf, size_t n, int flags);
FX_API ssize_t fx_send_for(int fd, const void *buf, size_t n, int flags, fx_nsec timeout);
FX_API ssize_t fx_send_until(int fd, const void *buf, size_t n, int flags, fx_deadline deadline);

FX_API int fx_accept(int fd, struct sockaddr *address, socklen_t *length, int flags);
FX_API int fx_accept_for(int fd, struct sockaddr *address, socklen_t *length, int flags,
                         fx_nsec timeout);
FX_API int fx_accept_until(int fd, struct sockaddr *address, socklen_t *length, int flags,
                           fx_deadline deadline);

FX_API int fx_connect(int fd, const struct sockaddr *address, socklen_t length);
FX_API int fx_connect_for(int fd, const struct sockaddr *address, socklen_t length,
                          fx_nsec timeout);
FX_API int fx_connect_until(int fd, const struct sockaddr *address, socklen_t length,
                            fx_deadline deadline);

FX_API int fx_openat(int dirfd, const char *path, int flags, mode_t mode);
FX_API int fx_openat_for(int dirfd, const char *path, int flags, mode_t mode, fx_nsec timeout);
FX_API int fx_openat_until(int dirfd, const char *path, int flags, mode_t mode,
                           fx_deadline deadline);

FX_API int fx_close(int fd);
FX_API int fx_close_for(int fd, fx_nsec timeout);
FX_API int fx_close_until(int fd, fx_deadline deadline);

FX_API int fx_fsync(int fd, bool data_only);
FX_API int fx_fsync_for(int fd, bool data_only, fx_nsec timeout);
FX_API int fx_fsync_until(int fd, bool data_only, fx_deadline deadline);

FX_API int fx_poll(int fd, short events);
FX_API int fx_poll_for(int fd, short events, fx_nsec timeout);
FX_API int fx_poll_until(int fd, short events, fx_deadline deadline);

FX_API int fx_statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *out);
FX_API int fx_statx_for(int dirfd, const char *path, int flags, unsigned mask, struct statx *out,
                        fx_nsec timeout);
FX_API int fx_statx_until(int dirfd, const char *path, int flags, unsigned mask, struct statx *out,
                          fx_deadline deadline);

FX_API ssize_t fx_splice(int in, off_t in_off, int out, off_t out_off, size_t n, unsigned flags);
FX_API ssize_t fx_splice_for(int in, off_t in_off, int out, off_t out_off, size_t n, unsigned flags,
                             fx_nsec timeout);
FX_API ssize_t fx_splice_until(int in, off_t in_off, int out, off_t out_off, size_t n,
                               unsigned flags, fx_deadline deadline);

FX_END_DECLS

#endif

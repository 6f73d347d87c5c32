/* What the tests of I/O share. Each test runs over both backends: _i is the loop variable of Check,
 * or what io_backend() makes of it. */
#ifndef TESTS_EXECUTOR_IO_H
#define TESTS_EXECUTOR_IO_H

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "pool.h"

enum { IO_URING, IO_EPOLL, IO_BACKENDS };

/* Where the kernel has no ring for this process the test ends here, and has passed. */
static inline fx_executor *io_pool(int backend, size_t workers)
{
    fx_thread_pool_attr attr = {
        .max_workers = workers,
        .backend = backend == IO_URING ? FX_BACKEND_URING : FX_BACKEND_EPOLL
    };
    fx_executor *pool = fx_thread_pool_new(&attr);
    if (!pool && errno == ENOTSUP)
        exit(0);
    ck_assert_ptr_nonnull(pool);
    return pool;
}

/* Waits for the operation, and gives its future up. */
static inline int64_t io_of(fx_future *future)
{
    ck_assert_ptr_nonnull(future);
    int64_t result = fx_future_io_for(future, FX_SEC(await_limit()));
    fx_future_unref(future);
    return result;
}

static inline void io_pipe(int ends[2])
{
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
}

static inline void io_sockets(int ends[2])
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
}

static inline void io_close(int ends[2])
{
    close(ends[0]);
    close(ends[1]);
}

static inline void set_non_blocking(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);
    fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
}

/* A file without a name whose byte at i is i % 251. */
static inline int io_file(size_t size)
{
    char name[] = "/tmp/fxthread-io-XXXXXX";
    int fd = mkostemp(name, O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    unlink(name);
    unsigned char block[4096];
    for (size_t at = 0; at < size; at += sizeof block) {
        size_t n = size - at < sizeof block ? size - at : sizeof block;
        for (size_t i = 0; i < n; i++)
            block[i] = (unsigned char)((at + i) % 251);
        ck_assert_int_eq(write(fd, block, n), (ssize_t)n);
    }
    lseek(fd, 0, SEEK_SET);
    return fd;
}

static inline bool is_of_file(const void *buf, size_t n, size_t at)
{
    const unsigned char *bytes = buf;
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != (at + i) % 251)
            return false;
    return true;
}

/* A socket that listens on the loopback; where, *address tells. */
static inline int io_listener(struct sockaddr_in *address, int backlog)
{
    socklen_t length = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *address = (struct sockaddr_in){ .sin_family = AF_INET,
                                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)address, length), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)address, &length), 0);
    ck_assert_int_eq(listen(fd, backlog), 0);
    return fd;
}

/* Fills a pipe or socket to the brim; how much there was room for. */
static inline size_t io_fill(int fd)
{
    char block[4096] = { 0 };
    size_t total = 0;
    ssize_t n;
    set_non_blocking(fd, true);
    for (size_t size = sizeof block; size > 0; size /= 2)
        while ((n = write(fd, block, size)) > 0)
            total += (size_t)n;
    set_non_blocking(fd, false);
    return total;
}

/* Takes all that is there; how much. */
static inline size_t io_drain(int fd)
{
    char block[4096];
    size_t total = 0;
    ssize_t n;
    set_non_blocking(fd, true);
    while ((n = read(fd, block, sizeof block)) > 0)
        total += (size_t)n;
    set_non_blocking(fd, false);
    return total;
}

#endif

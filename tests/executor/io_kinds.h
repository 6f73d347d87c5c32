/* The kinds of operations that wait: how each is made to wait, in line or as a future, what lets it
 * go on, and whether it has left everything as it was. */
#ifndef TESTS_EXECUTOR_IO_KINDS_H
#define TESTS_EXECUTOR_IO_KINDS_H

#include "io.h"

struct io_place {
    int fds[4];           /* -1: none; the first is the one that is waited for */
    size_t filled;        /* bytes that were written to fill it */
    char buf[32];
    struct iovec parts[2];
    char name[64];        /* of a file or a socket; "": none */
    struct sockaddr_un address;
};

struct io_kind {
    const char *name;
    void (*set_up)(struct io_place *place);
    int64_t (*in_line)(struct io_place *place, fx_deadline deadline);
    fx_future *(*begin)(struct io_place *place, fx_executor *pool);
    void (*satisfy)(struct io_place *place);
    int64_t result;       /* then; -1: a descriptor */
    bool (*is_untouched)(struct io_place *place);
};

/* --- those that wait for something to come ---------------------------------------------------- */

static inline void place_init(struct io_place *place)
{
    memset(place, 0, sizeof *place);
    memset(place->buf, '?', sizeof place->buf);
    for (int i = 0; i < 4; i++)
        place->fds[i] = -1;
    place->parts[0] = (struct iovec){ place->buf, 2 };
    place->parts[1] = (struct iovec){ place->buf + 2, 30 };
}

static inline void place_end(struct io_place *place)
{
    for (int i = 0; i < 4; i++)
        if (place->fds[i] >= 0)
            close(place->fds[i]);
    if (place->name[0])
        unlink(place->name);
}

static inline void pipe_place(struct io_place *place)
{
    place_init(place);
    io_pipe(place->fds);
}

static inline void socket_place(struct io_place *place)
{
    place_init(place);
    io_sockets(place->fds);
}

static inline void write_three(struct io_place *place)
{
    ck_assert_int_eq(write(place->fds[1], "abc", 3), 3);
}

/* Nothing was taken, of what comes now. */
static inline bool three_come(struct io_place *place)
{
    for (size_t i = 0; i < sizeof place->buf; i++)
        if (place->buf[i] != '?')
            return false;
    write_three(place);
    return io_drain(place->fds[0]) == 3;
}

static inline int64_t read_in_line(struct io_place *place, fx_deadline deadline)
{
    return fx_read_until(place->fds[0], place->buf, sizeof place->buf, -1, deadline);
}

static inline fx_future *read_begin(struct io_place *place, fx_executor *pool)
{
    return fx_async_read(pool, place->fds[0], place->buf, sizeof place->buf, -1);
}

static inline int64_t readv_in_line(struct io_place *place, fx_deadline deadline)
{
    return fx_readv_until(place->fds[0], place->parts, 2, -1, deadline);
}

static inline fx_future *readv_begin(struct io_place *place, fx_executor *pool)
{
    return fx_async_readv(pool, place->fds[0], place->parts, 2, -1);
}

static inline int64_t recv_in_line(struct io_place *place, fx_deadline deadline)
{
    return fx_recv_until(place->fds[0], place->buf, sizeof place->buf, 0, deadline);
}

static inline fx_future *recv_begin(struct io_place *place, fx_executor *pool)
{
    return fx_async_recv(pool, place->fds[0], place->buf, sizeof place->buf, 0);
}

static inline int64_t poll_in_line(struct io_place *place, fx_deadline deadline)
{
    return fx_poll_until(place->fds[0], POLLIN, deadline);
}

static inline fx_future *poll_begin(struct io_place *place, fx_executor *pool)
{
    return fx_async_poll(pool, place->fds[0], POLLIN);
}

static inline void splice_place(struct io_place *place)
{
    pipe_place(place);
    io_pipe(place->fds + 2);
}

static inline int64_t splice_in_line(struct io_place *place, fx_deadline deadline)
{
    return fx_splice_until(place->fds[0], -1, place->fds[3], -1, 100, 0, deadline);
}

static inline fx_future *splice_begin(struct io_place *place, fx_executor *pool)
{
    return fx_async_splice(pool, place->fds[0], -1, place->fds[3], -1, 100, 0);
}

/* --- those that wait for room ----------------------------------------------------------------- */

static inline void full_pipe_place(struct io_place *place)
{
    pipe_place(place);
    place->filled = io_fill(place->fds[1]);
}

static inline void full_socket_place(struct io_place *place)
{
    socket_place(place);
    place->filled = io_fill(place->fds[1]);
}

static inline void drain(struct io_place *place)
{
    size_t drained = io_drain(place->fds[0]);
    ck_assert_msg(drained >= place->filled, "%zu of %zu", drained, place->filled);
}

static inline bool is_as_full(struct io_place *place)
{
    return io_drain(place->fds[0]) == place->filled;
}

static inline int64_t write_in_line(struct io_place *place, fx_deadline deadline)
{
    return fx_write_until(place->fds[1], place->buf, sizeof place->buf, -1, deadline);
}

static inline fx_future *write_begin(struct io_place *place, fx_executor *pool)
{
    return fx_async_write(pool, place->fds[1], place->buf, sizeof place->buf, -1);
}

static inline int64_t writev_in_line(struct io_place *place, fx_deadline deadline)
{
    return fx_writev_until(place->fds[1], place->parts, 2, -1, deadline);
}

static inline fx_future *writev_begin(struct io_place *place, fx_executor *pool)
{
    return fx_async_writev(pool, place->fds[1], place->parts, 2, -1);
}

static inline int64_t send_in_line(struct io_place *place, fx_deadline deadline)
{
    return fx_send_until(place->fds[1], place->buf, sizeof place->buf, 0, deadline);
}

static inline fx_future *send_begin(struct io_place *place, fx_executor *pool)
{
    return fx_async_send(pool, place->fds[1], place->buf, sizeof place->buf, 0);
}

/* --- those that wait for somebody ------------------------------------------------------------- */

static inline void local_listener(struct io_place *place, int backlog)
{
    static atomic_int number;
    place_init(place);
    snprintf(place->name, sizeof place->name, "/tmp/fxthread-socket-%d-%d", (int)getpid(),
             atomic_fetch_add(&number, 1));
    place->address.sun_family = AF_UNIX;
    strcpy(place->address.sun_path, place->name);
    place->fds[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(place->fds[0], (struct sockaddr *)&place->address,
                          sizeof place->address), 0);
    ck_assert_int_eq(listen(place->fds[0], backlog), 0);
}

static inline int local_client(struct io_place *place)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&place->address, sizeof place->address), 0);
    return fd;
}

static inline void accept_place(struct io_place *place)
{
    local_listener(place, 4);
}

static inline int64_t accept_in_line(struct io_place *place, fx_deadline deadline)
{
    return fx_accept_until(place->fds[0], NULL, NULL, SOCK_CLOEXEC, deadline);
}

static inline fx_future *accept_begin(struct io_place *place, fx_executor *pool)
{
    return fx_async_accept(pool, place->fds[0], NULL, NULL, SOCK_CLOEXEC);
}

static inline void connect_to_it(struct io_place *place)
{
    place->fds[1] = local_client(place);
}

static inline bool can_still_accept(struct io_place *place)
{
    connect_to_it(place);
    place->fds[2] = accept(place->fds[0], NULL, NULL);
    return place->fds[2] >= 0;
}

/* Its queue is full. */
static inline void connect_place(struct io_place *place)
{
    local_listener(place, 0);
    place->fds[1] = local_client(place);
    place->fds[2] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static inline int64_t connect_in_line(struct io_place *place, fx_deadline deadline)
{
    return fx_connect_until(place->fds[2], (struct sockaddr *)&place->address,
                            sizeof place->address, deadline);
}

static inline fx_future *connect_begin(struct io_place *place, fx_executor *pool)
{
    return fx_async_connect(pool, place->fds[2], (struct sockaddr *)&place->address,
                            sizeof place->address);
}

static inline void accept_one(struct io_place *place)
{
    place->fds[3] = accept(place->fds[0], NULL, NULL);
    ck_assert_int_ge(place->fds[3], 0);
}

static inline bool is_not_connected(struct io_place *place)
{
    char c = 0;
    return send(place->fds[2], &c, 0, MSG_NOSIGNAL) < 0 && errno == ENOTCONN;
}

/* A pipe with a name, for which opening it to read waits until somebody writes. */
static inline void fifo_place(struct io_place *place)
{
    static atomic_int number;
    place_init(place);
    snprintf(place->name, sizeof place->name, "/tmp/fxthread-fifo-%d-%d", (int)getpid(),
             atomic_fetch_add(&number, 1));
    ck_assert_int_eq(mkfifo(place->name, 0600), 0);
}

static inline int64_t openat_in_line(struct io_place *place, fx_deadline deadline)
{
    return fx_openat_until(AT_FDCWD, place->name, O_RDONLY | O_CLOEXEC, 0, deadline);
}

static inline fx_future *openat_begin(struct io_place *place, fx_executor *pool)
{
    return fx_async_openat(pool, AT_FDCWD, place->name, O_RDONLY | O_CLOEXEC, 0);
}

static inline void open_to_write(struct io_place *place)
{
    await((place->fds[0] = open(place->name, O_WRONLY | O_NONBLOCK | O_CLOEXEC)) >= 0);
}

static inline bool has_no_reader(struct io_place *place)
{
    return open(place->name, O_WRONLY | O_NONBLOCK) < 0 && errno == ENXIO;
}

static const struct io_kind io_kinds[] = {
    { "read", pipe_place, read_in_line, read_begin, write_three, 3, three_come },
    { "readv", pipe_place, readv_in_line, readv_begin, write_three, 3, three_come },
    { "recv", socket_place, recv_in_line, recv_begin, write_three, 3, three_come },
    { "poll", socket_place, poll_in_line, poll_begin, write_three, POLLIN, three_come },
    { "splice", splice_place, splice_in_line, splice_begin, write_three, 3, three_come },
    { "write", full_pipe_place, write_in_line, write_begin, drain, 32, is_as_full },
    { "writev", full_pipe_place, writev_in_line, writev_begin, drain, 32, is_as_full },
    { "send", full_socket_place, send_in_line, send_begin, drain, 32, is_as_full },
    { "accept", accept_place, accept_in_line, accept_begin, connect_to_it, -1, can_still_accept },
    { "connect", connect_place, connect_in_line, connect_begin, accept_one, 0, is_not_connected },
    { "openat", fifo_place, openat_in_line, openat_begin, open_to_write, -1, has_no_reader },
};

enum { IO_KINDS = sizeof io_kinds / sizeof io_kinds[0] };

/* Whether that is what the satisfied operation says. A descriptor is closed. */
static inline bool is_result_of(const struct io_kind *kind, int64_t result)
{
    if (kind->result >= 0)
        return result == kind->result;
    if (result >= 0)
        close((int)result);
    return result >= 0;
}

#endif

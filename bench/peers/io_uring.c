/* liburing, as its manual has it. */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "bench/peers/io.h"
#include "bench/support/clock.h"

static struct io_uring ring;

static bool start(void)
{
    struct io_uring_params params = { 0 };
#ifdef IORING_SETUP_SINGLE_ISSUER
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1u << 13)
#endif
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
#endif
    if (io_uring_queue_init_params(2 * BENCH_IO_DEPTH_MAX, &ring, &params) == 0)
        return true;
    return io_uring_queue_init(2 * BENCH_IO_DEPTH_MAX, &ring, 0) == 0;
}

static char *buffers;
static uint64_t state = 1;

static void prepare(const struct bench_io_file *file, uint64_t which)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&ring);
    io_uring_prep_read(entry, file->fd, buffers + which * BENCH_IO_BLOCK, BENCH_IO_BLOCK,
                       (uint64_t)bench_io_offset(file, &state));
    entry->user_data = which;
}

static bool read_all(const struct bench_io_file *file)
{
    long begun = 0, done = 0;
    buffers = aligned_alloc(BENCH_IO_BLOCK, (size_t)file->depth * BENCH_IO_BLOCK);
    for (; begun < file->depth; begun++)
        prepare(file, (uint64_t)begun);
    while (done < file->n) {
        struct io_uring_cqe *entry;
        unsigned head, seen = 0;
        if (io_uring_submit_and_wait(&ring, 1) < 0)
            return false;
        io_uring_for_each_cqe(&ring, head, entry) {
            if (entry->res != BENCH_IO_BLOCK)
                return false;
            seen++;
            done++;
            if (begun < file->n + file->depth) {
                prepare(file, entry->user_data);
                begun++;
            }
        }
        io_uring_cq_advance(&ring, seen);
    }
    return true;
}

/* --- the client of an echo server ------------------------------------------------------------- */

static char messages_of[BENCH_IO_DEPTH_MAX][BENCH_IO_MESSAGE];

/* user_data is the number of the connection, and in its lowest bit whether that is a receive. */
static void say(const int *connections, int which)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&ring);
    io_uring_prep_send(entry, connections[which], messages_of[which], BENCH_IO_MESSAGE, 0);
    entry->user_data = (uint64_t)which << 1;
}

static void hear(const int *connections, int which)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&ring);
    io_uring_prep_recv(entry, connections[which], messages_of[which], BENCH_IO_MESSAGE,
                       MSG_WAITALL);
    entry->user_data = (uint64_t)which << 1 | 1;
}

bool bench_io_talk(const int *connections, int n, int64_t until, long *messages)
{
    if (n > BENCH_IO_DEPTH_MAX || !start())
        return false;
    for (int i = 0; i < n; i++)
        say(connections, i);
    while (bench_now() < until) {
        struct __kernel_timespec most = { .tv_nsec = 100000000 };
        struct io_uring_cqe *entry;
        unsigned head, seen = 0;
        int rc = io_uring_submit_and_wait_timeout(&ring, &entry, 1, &most, NULL);
        if (rc < 0 && rc != -ETIME)
            return false;
        io_uring_for_each_cqe(&ring, head, entry) {
            int which = (int)(entry->user_data >> 1);
            bool heard = entry->user_data & 1;
            if (entry->res != BENCH_IO_MESSAGE)
                return false;
            seen++;
            *messages += heard;
            (heard ? say : hear)(connections, which);
        }
        io_uring_cq_advance(&ring, seen);
    }
    return true;
}

const struct bench_io_peer bench_io_uring = {
    .peer = { .name = "liburing", .what = "io_uring(7), by hand" },
    .start = start,
    .read = read_all,
};

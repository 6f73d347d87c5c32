/* liburing, as its manual has it. */
#include <liburing.h>
#include <stdlib.h>

#include "bench/peers/io.h"

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

const struct bench_io_peer bench_io_uring = {
    .peer = { .name = "liburing", .what = "io_uring(7), by hand" },
    .start = start,
    .read = read_all,
};

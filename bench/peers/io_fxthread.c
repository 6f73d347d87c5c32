/* Tasks that read in line, and futures of reads. */
#include <fxthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "bench/peers/io.h"

static fx_executor *pool;

static bool start(void)
{
    pool = fx_thread_pool_new(&(fx_thread_pool_attr){ .max_workers = 1 });
    return pool != NULL;
}

/* --- in line ---------------------------------------------------------------------------------- */

static const struct bench_io_file *file;
static atomic_long left;
static atomic_bool failed;

static void *read_blocks(void *arg)
{
    uint64_t state = (uint64_t)(uintptr_t)arg * 0x9e3779b97f4a7c15u + 1;
    void *buf = aligned_alloc(BENCH_IO_BLOCK, BENCH_IO_BLOCK);
    while (atomic_fetch_sub_explicit(&left, 1, memory_order_relaxed) > 0)
        if (fx_read(file->fd, buf, BENCH_IO_BLOCK, bench_io_offset(file, &state)) != BENCH_IO_BLOCK)
            atomic_store(&failed, true);
    free(buf);
    return NULL;
}

static bool read_all(const struct bench_io_file *which)
{
    file = which;
    atomic_store(&left, file->n);
    for (int i = 0; i < file->depth; i++)
        if (fx_submit_detached(pool, read_blocks, (void *)(intptr_t)i) != 0)
            return false;
    return fx_executor_shutdown(pool, true, false) == 0 && !atomic_load(&failed);
}

static void *echo(void *connection)
{
    int fd = (int)(intptr_t)connection;
    char buf[4096];
    ssize_t n;
    while ((n = fx_recv(fd, buf, sizeof buf, 0)) > 0)
        if (fx_send(fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
            break;
    fx_close(fd);
    return NULL;
}

static bool serve(const int *connections, int n)
{
    for (int i = 0; i < n; i++)
        if (fx_submit_detached(pool, echo, (void *)(intptr_t)connections[i]) != 0)
            return false;
    return fx_executor_shutdown(pool, true, false) == 0;
}

const struct bench_io_peer bench_io_tasks = {
    .peer = { .name = "fxthread", .what = "tasks, and I/O in line" },
    .start = start,
    .read = read_all,
    .serve = serve,
};

/* --- futures ---------------------------------------------------------------------------------- */

/* One task keeps so many under way. */
static void *keep_reading(void *arg)
{
    fx_future *futures[BENCH_IO_DEPTH_MAX];
    char *buffers = aligned_alloc(BENCH_IO_BLOCK, (size_t)file->depth * BENCH_IO_BLOCK);
    uint64_t state = 1;
    for (long i = 0; i < file->n + file->depth; i++) {
        long which = i % file->depth;
        if (i >= file->depth) {
            if (fx_future_io(futures[which]) != BENCH_IO_BLOCK)
                atomic_store(&failed, true);
            fx_future_unref(futures[which]);
        }
        if (i < file->n)
            futures[which] = fx_async_read(pool, file->fd, buffers + which * BENCH_IO_BLOCK,
                                           BENCH_IO_BLOCK, bench_io_offset(file, &state));
    }
    free(buffers);
    return arg;
}

static bool read_futures(const struct bench_io_file *which)
{
    file = which;
    fx_future *task = fx_submit(pool, keep_reading, NULL);
    bool done = task && fx_future_result(task, NULL) == 0;
    fx_future_unref(task);
    return done && !atomic_load(&failed);
}

static bool sleep_all(long n, long ns, int64_t *due)
{
    for (long i = 0; i < n; i++) {
        fx_future *future = fx_async_sleep(pool, ns);
        if (!future)
            return false;
        fx_future_unref(future);
    }
    *due = fx_now() + ns;
    return fx_executor_shutdown(pool, true, false) == 0;
}

const struct bench_io_peer bench_io_futures = {
    .peer = { .name = "fx_async", .what = "futures of I/O" },
    .start = start,
    .read = read_futures,
    .sleep = sleep_all,
};

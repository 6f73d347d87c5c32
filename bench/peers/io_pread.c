/* A thread for each read that is under way. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/peers/io.h"

static const struct bench_io_file *file;
static atomic_long left;
static atomic_bool failed;

static void *read_blocks(void *arg)
{
    uint64_t state = (uint64_t)(uintptr_t)arg * 0x9e3779b97f4a7c15u + 1;
    void *buf = aligned_alloc(BENCH_IO_BLOCK, BENCH_IO_BLOCK);
    while (atomic_fetch_sub_explicit(&left, 1, memory_order_relaxed) > 0)
        if (pread(file->fd, buf, BENCH_IO_BLOCK, bench_io_offset(file, &state)) != BENCH_IO_BLOCK)
            atomic_store(&failed, true);
    free(buf);
    return NULL;
}

static bool read_all(const struct bench_io_file *which)
{
    pthread_t threads[BENCH_IO_DEPTH_MAX];
    file = which;
    atomic_store(&left, file->n);
    for (int i = 0; i < file->depth; i++)
        if (pthread_create(&threads[i], NULL, read_blocks, (void *)(intptr_t)i) != 0)
            return false;
    for (int i = 0; i < file->depth; i++)
        pthread_join(threads[i], NULL);
    return !atomic_load(&failed);
}

const struct bench_io_peer bench_io_pread = {
    .peer = { .name = "pread", .what = "pread(2), in a thread each" },
    .read = read_all,
};

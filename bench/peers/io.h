/* What bench_io measures of each peer: a way to do I/O. What a peer does not do is NULL. */
#ifndef BENCH_PEERS_IO_H
#define BENCH_PEERS_IO_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/support/peer.h"

enum { BENCH_IO_BLOCK = 4096, BENCH_IO_DEPTH_MAX = 64, BENCH_IO_MESSAGE = 64 };

/* Blocks of a file, read at random. */
struct bench_io_file {
    int fd;
    uint32_t blocks;
    int depth; /* how many reads are under way at a time */
    long n;    /* how many, in all */
};

static inline uint32_t bench_io_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 32);
}

static inline int64_t bench_io_offset(const struct bench_io_file *file, uint64_t *state)
{
    return (int64_t)(bench_io_random(state) % file->blocks) * BENCH_IO_BLOCK;
}

struct bench_io_peer {
    struct bench_peer peer;
    /* Each says whether it succeeded. */
    bool (*start)(void);
    bool (*read)(const struct bench_io_file *file);
    bool (*serve)(const int *connections, int n); /* echoes until each has ended; one thread */
    bool (*sleep)(long n, long ns, int64_t *due); /* n side by side; when the last one is due */
};

/* The client of an echo server, in a process of its own: on each connection a message, and the next
 * when it is back. By io_uring, as cheaply as can be: were it no cheaper than the server, it would be
 * the client that is measured. Until a time of bench_now(); counts the messages. */
bool bench_io_talk(const int *connections, int n, int64_t until, long *messages);

extern const struct bench_io_peer bench_io_pread;   /* plain calls, in threads */
extern const struct bench_io_peer bench_io_uring;   /* liburing */
extern const struct bench_io_peer bench_io_epoll;
extern const struct bench_io_peer bench_io_heap;    /* of deadlines, with one sleep */
extern const struct bench_io_peer bench_io_tasks;   /* fx_read() and its like */
extern const struct bench_io_peer bench_io_futures; /* fx_async_read() and its like */

#endif

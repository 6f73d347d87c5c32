/* The fork server: a process with one thread that forks the workers of all pools of the program,
 * tells how they end, and ends with the program.
 *
 * Guarantee: it outlives no program, and no worker outlives it: it sees the end of the program's
 *   process by a descriptor of that, and of its channel; a worker is killed by the kernel when the
 *   server ends, however that happens. It is no child of the program: the process between them has
 *   ended at once, and was reaped.
 * Channels: one from the program, by which it is told of pools; and one a pool, by which it is
 *   asked for workers, and tells of each that it was started, with a descriptor of it, that it was
 *   stopped by a signal, if it was, and that it has ended, in this order. The end of a pool's
 *   channel is the end of its workers.
 * In the program: it is made when a pool needs it and there is none, and killed with the last pool.
 *   If it dies, the channels of all pools end, and the next that needs one makes another. */
#ifndef FXI_EXECUTOR_FORK_SERVER_H
#define FXI_EXECUTOR_FORK_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "kernel/signal.h"

#define FXI_WORKER_NAME_BYTES 16

/* What the workers of a pool are given. */
struct fxi_worker_plan {
    size_t memory_size;
    fxi_sigmask mask;
    char name[FXI_WORKER_NAME_BYTES];
};

/* To the server: start a worker for that seat, the number-th of it; or send a signal to it, as the
 * server has kept the rights that the program may have given up. */
struct fxi_server_order {
    uint32_t seat, number;
    int32_t signal; /* 0: start it */
};

enum fxi_server_news_kind { FXI_NEWS_STARTED, FXI_NEWS_FAILED, FXI_NEWS_STOPPED, FXI_NEWS_ENDED };

/* From it. `value`: the pid, with a descriptor of the process; -errno; 0; the status of
 * waitpid(2). */
struct fxi_server_news {
    uint32_t kind;
    uint32_t seat, number;
    int32_t value;
};

/* A channel to the server for a pool, and a hold on the server; makes one if there is none. The
 * channel, or -EAGAIN, -ENOMEM, -EMFILE, -ENFILE. In a thread of the library's own. */
int fxi_fork_server_connect(const struct fxi_worker_plan *plan, int memory, int event);

/* Has epoll tell, once, when the server has ended; of its channel that might not be seen, where a copy of
 * the other end is with a process that was forked at a bad moment. 0 or -ENOMEM.
 * And: whether it has ended. */
int fxi_fork_server_watch(int epoll, void *data);
bool fxi_fork_server_has_ended(void);

/* Gives up the hold, the channel being closed: with the last one the server ends, before this
 * returns. */
void fxi_fork_server_leave(void);

/* Around fork. */
void fxi_fork_server_before_fork(void);
void fxi_fork_server_after_fork(bool in_child);

/* In the server: the memory of pools is the program's, and each worker's own pool's. */
void fxi_process_pools_unmap(void);

/* The server itself, in its process. */
_Noreturn void fxi_fork_server_main(int control, int program);

/* What it is told on the program's channel, with three descriptors: the pool's channel, its memory
 * and its event. */
struct fxi_server_opening {
    struct fxi_worker_plan plan;
};

/* The first message on the program's channel, from the server, with a descriptor of it. */
struct fxi_server_hello {
    int32_t rc; /* 0, or why it cannot be */
};

/* A worker, the seat's `number`th, in its process: `memory` and `event` are open. */
_Noreturn void fxi_process_worker_main(const struct fxi_worker_plan *plan, uint32_t seat,
                                       uint32_t number, int memory, int event, pid_t server);

#endif

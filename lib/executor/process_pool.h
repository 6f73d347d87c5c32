/* A process pool: its tasks, from the submit to the end of the future, on the program's side.
 *
 * The way of a task, `place`, guarded by the pool's lock:
 *     NOWHERE  made and not submitted
 *     QUEUED   behind FXI_JOBS others
 *     POSTED   a job on the board (executor/process_board.h) stands for it, with `ticket`
 *     HELD     taken out before it began, by who cancels it or breaks the pool
 *     OVER     its outcome is known, and is being made the future's
 * That a worker has taken it the program learns when it asks, or when it is done: a future may be
 *   PENDING while its task runs. Whoever needs to know (a cancel, a question whether it runs, a
 *   limit to what is pending) has the future brought up to date first.
 * Who finishes futures: the pool's monitor, a thread of the library's; or, where one thread waits
 *   for the future, that one. Who takes a task's job off the board, under the lock, is who does.
 *   Done callbacks, which may wait, the monitor leaves to another thread (process_tell.c).
 * Lifetime: `holds` counts the program's handles as one, the monitor, and each task whose memory is
 *   there; who takes it to 0 frees the pool. The monitor ends when the pool is closed and no task
 *   is left, and takes the workers along; results stay in the memory, which goes with the pool.
 * Lock order: the list of pools, a pool, its arena. */
#ifndef FXI_EXECUTOR_PROCESS_POOL_H
#define FXI_EXECUTOR_PROCESS_POOL_H

#include <fxthread/process_pool.h>
#include <fxthread/thread.h>

#include "executor/executor.h"
#include "executor/fork_server.h"
#include "executor/process_arena.h"
#include "executor/process_board.h"
#include "executor/task_memory.h"

enum fxi_process_task_place {
    FXI_TASK_NOWHERE,
    FXI_TASK_QUEUED,
    FXI_TASK_POSTED,
    FXI_TASK_HELD,
    FXI_TASK_OVER
};

struct fxi_process_task {
    struct fxi_task task;
    struct fxi_list queued;
    uint64_t ticket;
    uint32_t job;
    uint8_t place;              /* enum fxi_process_task_place */
    bool has_status;
    int status;                 /* of the worker that died with it */
    fx_exc ended_by;            /* what it was stopped with; 0: nothing */
    struct fxi_payload payload;
};

enum fxi_seat_state {
    FXI_SEAT_EMPTY,
    FXI_SEAT_WANTED,  /* the monitor is to order a worker for it */
    FXI_SEAT_ORDERED, /* the fork server was told */
    FXI_SEAT_TAKEN
};

/* What the program knows of a seat's worker; guarded by the pool's lock. */
struct fxi_seat_record {
    enum fxi_seat_state state;
    uint32_t number;      /* of its workers so far */
    int process;          /* a descriptor; -1: none */
    int signal;           /* that the fork server is to send; 0: none */
    uint64_t done_head;   /* of the seat's list, how much was taken */
};

struct fxi_process_pool {
    fx_executor executor;
    struct fxi_list listed;      /* among all, for fork and the program's end */
    size_t holds;
    uint32_t generation;         /* of the process that made it */
    bool is_ended;               /* the end of the program has come to it; guarded by the list's lock */
    size_t max_workers;
    bool has_initializer, tells_starts; /* as on the board */
    struct fxi_worker_plan plan;
    struct fxi_arena arena;
    struct fxi_board *board;
    struct fxi_task_memory memory;
    fx_thread *monitor;
    fx_thread *teller;           /* calls done callbacks; NULL: there were none yet */
    uint32_t state;              /* enum fxi_process_pool_state; where its maker and who shuts it down park */
    int verdict;                 /* 0, or why it could not begin */
    int epoll, channel, event;
    uint32_t sleeps, ended_sleep; /* of the monitor: as on the board, and the last that was ended here */

    /* Written under `lock`; what the monitor looks at first without it, by atomic stores. */
    fxi_lowlock lock __attribute__((aligned(FXI_CACHE_LINE)));
    bool is_closed;              /* takes no more tasks */
    bool posts_nothing;          /* what is queued stays so, to be held */
    const char *broken;          /* why the monitor is to end all that has not begun; NULL: it is not */
    bool is_spoilt;              /* a worker has written over the board */
    bool is_foreign;             /* a forked child's copy: nothing is there but memory */
    bool has_limits;             /* a task with a time limit was posted */
    size_t unfinished;           /* tasks that were submitted and are not over */
    size_t withdrawn;            /* jobs that were, and may still stand in line */
    size_t present;              /* seats that are not empty */
    size_t wanted;               /* seats that are */
    bool is_starved;             /* no worker was to be had: none is wanted before one begins or ends */
    bool has_signals;            /* seats with a signal for the fork server */
    uint16_t spin_skips, spin_failures; /* how many waits go without spinning, as it was in vain */
    size_t failures;             /* workers in a row that ended before they were ready */
    struct fxi_list queue;
    struct fxi_list untold;      /* tasks whose done callbacks are to be called; where the teller parks */
    size_t untold_count;
    bool telling_ends;           /* what the teller has it still tells */
    size_t free_count;
    uint16_t free_jobs[FXI_JOBS];
    struct fxi_process_task *tasks[FXI_JOBS]; /* of each job; NULL: none */
    uint64_t tickets[FXI_JOBS];
    uint16_t awaited[FXI_JOBS];  /* as in the jobs */
    uint64_t tail;               /* as on the board */
    struct fxi_seat_record seats[];
};

enum fxi_process_pool_state {
    FXI_PROCESS_POOL_BEGINS,
    FXI_PROCESS_POOL_RUNS,
    FXI_PROCESS_POOL_ENDED
};

static inline struct fxi_process_pool *fxi_process_pool_of(fx_executor *executor)
{
    return fxi_container_of(executor, struct fxi_process_pool, executor);
}

static inline struct fxi_process_task *fxi_process_task_of(struct fxi_task *task)
{
    return fxi_container_of(task, struct fxi_process_task, task);
}

void fxi_process_pool_hold(struct fxi_process_pool *pool);
void fxi_process_pool_drop(struct fxi_process_pool *pool);

/* --- process_task.c --------------------------------------------------------------------------- */

/* The operations of executor/executor.h that concern a task. */
void *fxi_process_task_alloc(fx_executor *executor, size_t bytes);
void fxi_process_task_free(fx_executor *executor, void *memory, size_t bytes);
int fxi_process_task_payload(struct fxi_task *task, const void *arg, size_t arg_size, size_t bytes,
                             void **payload);
int fxi_process_task_submit(fx_executor *executor, struct fxi_task *task);
bool fxi_process_task_hold_back(struct fxi_task *task);
void fxi_process_task_refresh(struct fxi_task *task);
void fxi_process_pool_catch_up(fx_executor *executor);
int fxi_process_task_await(struct fxi_task *task, fx_deadline deadline, bool is_stop_point);
void fxi_process_task_withdrawn(struct fxi_task *task);
int fxi_process_task_stop(struct fxi_task *task, fx_exc code);
int fxi_process_task_status(struct fxi_task *task, int *status);

/* How far the task is that is posted; FREE: its word makes no sense. With the lock held. */
enum fxi_job_state fxi_process_task_state(const struct fxi_process_pool *pool,
                                          const struct fxi_process_task *task);

/* The job is free, and who waits at it is woken. With the lock held. */
void fxi_process_job_release(struct fxi_process_pool *pool, uint32_t number);

/* Posts what is queued, as far as there are jobs. With the lock held. */
void fxi_process_pool_post(struct fxi_process_pool *pool);

/* With the lock held: tasks are in line, and somebody is to take them. */
void fxi_process_pool_rouse(struct fxi_process_pool *pool);

/* With the lock held: whether tasks are in line. Where the board makes no sense any more
 * `is_spoilt` becomes true. */
bool fxi_process_pool_has_open(struct fxi_process_pool *pool);

/* Lets the monitor look around. */
void fxi_process_pool_wake_monitor(struct fxi_process_pool *pool);

/* Stops the task, which runs: 0; or -EALREADY: it is done. With the lock held. */
int fxi_process_task_condemn(struct fxi_process_pool *pool, struct fxi_process_task *task,
                             fx_exc code);

/* Sends a signal to a seat's worker, or has it sent. With the lock held. */
void fxi_process_seat_signal(struct fxi_process_pool *pool, struct fxi_seat_record *seat,
                             int signal);

/* The task is over, or was cancelled: the pool's reference on it is given up. */
void fxi_process_pool_forget(struct fxi_process_pool *pool, struct fxi_process_task *task);

/* --- process_finish.c ------------------------------------------------------------------------- */

/* Takes the task off the board and finishes its future, if it is done and nobody else does. */
void fxi_process_task_collect(struct fxi_process_pool *pool, struct fxi_process_task *task);

/* Takes all tasks that are done off the board, and finishes their futures. Returns how many. */
size_t fxi_process_pool_collect(struct fxi_process_pool *pool);

/* The worker of that seat has ended: what it ran ends with that. */
void fxi_process_pool_bury(struct fxi_process_pool *pool, uint32_t seat, int status);

/* A worker has ended. What it has spoilt on the board ends with it: tasks of which the word makes
 * no sense, or tells of a worker that is not there. `all`: the pool has no worker, and gets
 * none. */
void fxi_process_pool_end_lost(struct fxi_process_pool *pool, bool all);

/* All that has not begun: cancelled, or ended with FX_POOL_BROKEN and the message. */
void fxi_process_pool_end_pending(struct fxi_process_pool *pool, const char *message);

/* --- process_tell.c --------------------------------------------------------------------------- */

/* Has the done callbacks of a future that is done called, and then the pool's reference given up.
 * With the lock held. */
void fxi_process_pool_tell(struct fxi_process_pool *pool, struct fxi_process_task *task);

/* In the monitor: starts the thread if there are the first callbacks to be called. */
void fxi_process_pool_see_to_telling(struct fxi_process_pool *pool);

/* Returns when all have been called. */
void fxi_process_pool_end_telling(struct fxi_process_pool *pool);

/* Whether the caller is a thread that the end of the pool waits for. */
static inline bool fxi_process_pool_is_own(struct fxi_process_pool *pool)
{
    const fx_thread *self = fx_current_thread();
    /* acquire: pairs with the release of whom it starts */
    return self && (self == pool->monitor || self == fxi_load_acquire(&pool->teller));
}

/* --- process_monitor.c ------------------------------------------------------------------------ */

void *fxi_process_monitor_main(void *pool);

/* --- process_pools.c -------------------------------------------------------------------------- */

int fxi_process_pools_add(struct fxi_process_pool *pool);
void fxi_process_pools_remove(struct fxi_process_pool *pool);

/* At the end of the program: waits for all tasks. */
void fxi_process_pools_end(void);

#endif

/* What the program's process and a pool's workers tell each other, in the memory that they share.
 *
 * Guarantee: a task that is posted is taken by one worker, once, in the order of posting; whatever
 *   instruction a worker dies at, it is told of each task whether it was taken, and by whom.
 * State: a job stands for a posted task. `word` has its ticket (the number of the posting), the
 *   seat of the worker that took it, and how far it is; who moves it on:
 *     OPEN       by the program, when it posts it: with its ticket, before `tail` passes that
 *     TAKEN      by the worker whose compare-and-swap succeeds; from here on the task has begun
 *     WITHDRAWN  by the program, in place of TAKEN: the task was cancelled
 *     CONDEMNED  by the program, from TAKEN: its worker is about to be killed, and takes no other
 *                task, for it ends when it finds this
 *     DONE       by the worker, from TAKEN, when the result and the code are written
 *   The line of tickets between `head` and `tail` says which are to be taken next. `head` follows
 *   the jobs' words: whoever finds that the job at the head is OPEN no more moves the head on. So a
 *   worker that dies after its compare-and-swap, and before moving the head, leaves nothing in
 *   disorder.
 * Wake rule: a worker that finds nothing marks itself idle, full fence, looks again, and
 *   sleeps on the bell of its seat; who posts does so, full fence, and takes the mark of an idle
 *   worker, whose bell it rings. To the program: a worker that is done with a task puts it on the
 *   list of its seat, full fence, and sets the event if the program says that it sleeps, once
 *   for each sleep; the program says so, full fence, and looks again. So a worker that is held up
 *   keeps no other one's word back.
 * Trust: of what a worker writes the program uses words as hints, codes, messages and results, and
 *   checks every index. Where it finds that one has written over the board the pool breaks. */
#ifndef FXI_EXECUTOR_PROCESS_BOARD_H
#define FXI_EXECUTOR_PROCESS_BOARD_H

#include <fxthread/executor.h>
#include <fxthread/process_pool.h>

#include "base/atomic.h"
#include "context/context.h"
#include "executor/process_function.h"

#define FXI_JOBS 1024 /* a power of two: tasks posted and not over */

enum fxi_job_state {
    FXI_JOB_FREE,
    FXI_JOB_OPEN,
    FXI_JOB_TAKEN,
    FXI_JOB_WITHDRAWN,
    FXI_JOB_CONDEMNED,
    FXI_JOB_DONE
};

/* The parts of a job's word: its ticket's low bits, and, in the half that is a futex word, the
 * rest. */
static inline uint64_t fxi_job_word(uint64_t ticket, uint32_t seat, enum fxi_job_state state)
{
    return ticket << 32 | (uint64_t)seat << 8 | (uint64_t)state;
}

static inline enum fxi_job_state fxi_job_state(uint64_t word)
{
    return (enum fxi_job_state)(word & 0xff);
}

static inline uint32_t fxi_job_seat(uint64_t word)
{
    return (uint32_t)(word >> 8) & 0xffffff;
}

struct fxi_job {
    uint64_t word;
    uintptr_t fn;              /* its address in the program's process */
    size_t arg, result;        /* offsets in the memory */
    size_t arg_size, result_size;
    fx_deadline started;       /* where `tells_start` */
    fx_exc code;               /* 0: a value */
    uint16_t tells_start;      /* the program wants to know, and be woken, when it is taken */
    uint16_t awaited;          /* how many threads of the program sleep on the word, or are about to */
} __attribute__((aligned(FXI_CACHE_LINE)));

/* The half of the word that tells the state: both processors are little-endian. */
static inline const uint32_t *fxi_job_futex(const struct fxi_job *job)
{
    return (const uint32_t *)&job->word;
}

struct fxi_job_message {
    char text[FXI_MESSAGE_BYTES];
};

enum fxi_bell { FXI_BELL_QUIET, FXI_BELL_RUNG, FXI_BELL_SLEEPS };

/* A worker's place. What is done it puts on the list: the job's number and the ticket. */
struct fxi_seat {
    uint32_t bell;             /* enum fxi_bell; a futex word that is not private */
    uint32_t is_ready;         /* the initializer has succeeded */
    uint32_t known;            /* the number of the latest worker here that the program has heard of; a
                                * futex word that is not private */
    uint64_t done_tail __attribute__((aligned(FXI_CACHE_LINE)));
    uint64_t done[FXI_JOBS];
} __attribute__((aligned(FXI_CACHE_LINE)));

#define FXI_IDLE_WORDS (FX_PROCESSES_MOST / 64)

struct fxi_board {
    /* Fixed before the first worker. */
    bool tells_starts;         /* of every task */
    uintptr_t initializer;     /* 0: none */
    size_t initarg, initarg_size; /* the offset */
    size_t max_tasks;          /* of one worker; 0: any number */
    struct fxi_late_objects late;

    uint64_t head __attribute__((aligned(FXI_CACHE_LINE)));
    uint64_t tail __attribute__((aligned(FXI_CACHE_LINE)));
    uint32_t starts;           /* counts tasks whose start was told */
    uint32_t sleeps            /* of the program, counted: odd while it sleeps; only it writes this */
        __attribute__((aligned(FXI_CACHE_LINE)));
    uint64_t idle[FXI_IDLE_WORDS] __attribute__((aligned(FXI_CACHE_LINE)));
    uint32_t line[FXI_JOBS] __attribute__((aligned(FXI_CACHE_LINE)));
    struct fxi_job jobs[FXI_JOBS];
    struct fxi_job_message messages[FXI_JOBS];
    struct fxi_seat seats[];
};

static inline size_t fxi_board_bytes(size_t seats)
{
    return sizeof(struct fxi_board) + seats * sizeof(struct fxi_seat);
}

/* --- for the program -------------------------------------------------------------------------- */

/* Puts job number `job`, filled in but for its word, at the end of the line, which is `ticket`: the
 * program's own count. One caller at a time; there are no more jobs than places. */
void fxi_board_post(struct fxi_board *board, uint32_t job, uint64_t ticket);

/* Whether something stands in line. Moves the head past what does not. */
bool fxi_board_has_open(struct fxi_board *board);

/* Whether the head is where it can be, the line's end being `tail`: else a worker has written over
 * it. */
bool fxi_board_is_sound(const struct fxi_board *board, uint64_t tail, uint32_t seats);

/* That ticket's job is not in line any more. */
bool fxi_board_has_passed(const struct fxi_board *board, uint64_t ticket);

/* Rings the bell of a worker that is idle. False: none of that many seats' is. After a post. */
bool fxi_board_rouse(struct fxi_board *board, uint32_t seats);
void fxi_board_ring(struct fxi_seat *seat);

/* The worker of that seat was stopped: others are roused in its stead. It looks around when it goes
 * on. */
void fxi_board_pass_over(struct fxi_board *board, uint32_t seat);

/* The program has heard of the seat's worker of that number. */
void fxi_board_make_known(struct fxi_board *board, uint32_t seat, uint32_t worker);

/* The worker of that seat is gone. */
void fxi_board_reset_seat(struct fxi_board *board, uint32_t seat);

/* --- for a worker ----------------------------------------------------------------------------- */

/* Waits until the program has heard of this worker, the seat's `number`th. Of one that it has not heard of
 * it could not see the end: that one is to run no code of the program's. */
void fxi_board_await_being_known(struct fxi_seat *seat, uint32_t number);

/* Takes the first job in line: its number, or -1. */
int fxi_board_take(struct fxi_board *board, uint32_t seat, uint64_t *ticket);

/* Sleeps until there may be something to take. */
void fxi_board_rest(struct fxi_board *board, uint32_t seat);

#endif

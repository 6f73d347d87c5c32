#include "executor/process_board.h"

#include <sched.h>

#include "kernel/futex.h"
#include "kernel/processor.h"

/* Looks for a task before a worker sleeps, as in executor/worker.c: to be woken costs more. */
#define SPINS 200
#define YIELDS 24

#define PLACE(ticket) ((ticket) & (FXI_JOBS - 1))

/* --- the line --------------------------------------------------------------------------------- */

void fxi_board_post(struct fxi_board *board, uint32_t job, uint64_t ticket)
{
    fxi_store_relaxed(&board->line[PLACE(ticket)], job);
    fxi_store_relaxed(&board->jobs[job].word, fxi_job_word(ticket, 0, FXI_JOB_OPEN));
    /* release: pairs with the acquire in first_in_line, for the job and its place */
    fxi_store_release(&board->tail, ticket + 1);
    fxi_fence_full(); /* pairs with the one in fxi_board_rest */
}

bool fxi_board_is_sound(const struct fxi_board *board, uint64_t tail, uint32_t seats)
{
    /* As everything in line has a job, there is so much at most, and what workers took that died before
     * they moved the head; and the tail is the program's to write. */
    return tail - fxi_load_acquire(&board->head) <= FXI_JOBS + seats &&
           fxi_load_relaxed(&board->tail) == tail;
}

/* The job at the head, OPEN when it was looked at. False: there is none. */
static bool first_in_line(struct fxi_board *board, uint32_t *job, uint64_t *ticket)
{
    uint64_t head = fxi_load_acquire(&board->head);
    /* acquire: pairs with fxi_board_post */
    while (head < fxi_load_acquire(&board->tail)) {
        *job = PLACE(fxi_load_relaxed(&board->line[PLACE(head)]));
        *ticket = head;
        if (fxi_load_acquire(&board->jobs[*job].word) == fxi_job_word(head, 0, FXI_JOB_OPEN))
            return true;
        /* What was in its place is taken or withdrawn, or the head has moved meanwhile. Where it
         * fails `head` is what stands there now. */
        if (fxi_cas_acq_rel(&board->head, &head, head + 1))
            head++;
    }
    return false;
}

bool fxi_board_has_open(struct fxi_board *board)
{
    uint32_t job;
    uint64_t ticket;
    return first_in_line(board, &job, &ticket);
}

bool fxi_board_has_passed(const struct fxi_board *board, uint64_t ticket)
{
    return fxi_load_acquire(&board->head) > ticket;
}

int fxi_board_take(struct fxi_board *board, uint32_t seat, uint64_t *ticket)
{
    uint32_t job;
    while (first_in_line(board, &job, ticket)) {
        uint64_t open = fxi_job_word(*ticket, 0, FXI_JOB_OPEN), head = *ticket;
        /* acquire: the job was written before it was OPEN */
        if (!fxi_cas_acq_rel(&board->jobs[job].word, &open,
                             fxi_job_word(*ticket, seat, FXI_JOB_TAKEN)))
            continue;
        fxi_cas_acq_rel(&board->head, &head, head + 1); /* or somebody else has */
        return (int)job;
    }
    return -1;
}

/* --- idle workers ----------------------------------------------------------------------------- */

static uint64_t idle_bit(uint32_t seat)
{
    return UINT64_C(1) << seat % 64;
}

void fxi_board_ring(struct fxi_seat *seat)
{
    if (fxi_exchange_acq_rel(&seat->bell, (uint32_t)FXI_BELL_RUNG) == FXI_BELL_SLEEPS)
        fxi_futex_wake_shared(&seat->bell, 1);
}

/* One bell for each post is enough: a worker that is not idle looks at the line before it
 * sleeps. */
bool fxi_board_rouse(struct fxi_board *board, uint32_t seats)
{
    for (uint32_t i = 0; i * 64 < seats; i++) {
        uint64_t word = fxi_load_relaxed(&board->idle[i]);
        while (word != 0) {
            uint32_t bit = (uint32_t)__builtin_ctzll(word);
            uint64_t before = __atomic_fetch_and(&board->idle[i], ~idle_bit(bit), __ATOMIC_ACQ_REL);
            if ((before & idle_bit(bit)) && i * 64 + bit < seats) {
                fxi_board_ring(&board->seats[i * 64 + bit]);
                return true;
            }
            word = fxi_load_relaxed(&board->idle[i]);
        }
    }
    return false;
}

void fxi_board_pass_over(struct fxi_board *board, uint32_t number)
{
    fxi_and_relaxed(&board->idle[number / 64], ~idle_bit(number));
    fxi_board_ring(&board->seats[number]);
}

void fxi_board_reset_seat(struct fxi_board *board, uint32_t number)
{
    struct fxi_seat *seat = &board->seats[number];
    fxi_and_relaxed(&board->idle[number / 64], ~idle_bit(number));
    fxi_store_relaxed(&seat->bell, (uint32_t)FXI_BELL_QUIET);
    fxi_store_relaxed(&seat->is_ready, 0u);
}

void fxi_board_make_known(struct fxi_board *board, uint32_t number, uint32_t worker)
{
    struct fxi_seat *seat = &board->seats[number];
    fxi_store_relaxed(&seat->known, worker); /* it tells of nothing else */
    fxi_futex_wake_shared(&seat->known, 1);
}

void fxi_board_await_being_known(struct fxi_seat *seat, uint32_t number)
{
    uint32_t known;
    while ((known = fxi_load_relaxed(&seat->known)) != number)
        fxi_futex_wait_shared(&seat->known, known, FX_FOREVER);
}

static bool may_go_on(struct fxi_board *board, struct fxi_seat *seat)
{
    return fxi_load_acquire(&seat->bell) == FXI_BELL_RUNG ||
           fxi_load_relaxed(&board->head) < fxi_load_relaxed(&board->tail);
}

static bool spin(struct fxi_board *board, struct fxi_seat *seat)
{
    for (int i = 0; i < SPINS && fxi_processors() > 1; i++) {
        if (may_go_on(board, seat))
            return true;
        fxi_cpu_relax();
    }
    for (int i = 0; i < YIELDS; i++) {
        if (may_go_on(board, seat))
            return true;
        sched_yield();
    }
    return may_go_on(board, seat);
}

void fxi_board_rest(struct fxi_board *board, uint32_t number)
{
    struct fxi_seat *seat = &board->seats[number];
    /* Before it is idle: whoever takes its mark rings after this. */
    fxi_store_relaxed(&seat->bell, (uint32_t)FXI_BELL_QUIET);
    __atomic_fetch_or(&board->idle[number / 64], idle_bit(number), __ATOMIC_ACQ_REL);
    fxi_fence_full(); /* pairs with the one in fxi_board_post */
    if (!spin(board, seat)) {
        uint32_t quiet = FXI_BELL_QUIET;
        /* Where it fails somebody has rung. */
        if (fxi_cas_acq_rel(&seat->bell, &quiet, (uint32_t)FXI_BELL_SLEEPS))
            while (fxi_load_acquire(&seat->bell) == FXI_BELL_SLEEPS)
                fxi_futex_wait_shared(&seat->bell, FXI_BELL_SLEEPS, FX_FOREVER);
    }
    fxi_and_relaxed(&board->idle[number / 64], ~idle_bit(number));
}

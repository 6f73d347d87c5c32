/* A worker's own process: takes tasks from the pool's board, calls their functions, and leaves what
 * comes of them there.
 *
 * It has one thread, a copy of the one that forked the fork server, on whose stack it runs. It ends
 * with _exit: whatever the program does at its exit is not for a copy of it to do. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "context/hooks.h"
#include "context/thread_record.h"
#include "executor/chunk.h"
#include "executor/fork_server.h"
#include "executor/process_board.h"
#include "kernel/descriptor.h"
#include "kernel/event.h"
#include "kernel/futex.h"
#include "kernel/process.h"
#include "kernel/shared_memory.h"
#include "libc/tcb.h"
#include "stop/caught.h"
#include "stop/walk.h"

struct worker {
    struct fxi_board *board;
    struct fxi_seat *seat;
    uint32_t number;       /* of the seat */
    int event;
    struct stat event_is; /* what the event was found to be, to know it by */
    size_t tasks;          /* that it has run */
    uint32_t ended_sleep;  /* of the program, the last that it has ended */
    bool is_copy;          /* a process that a task has forked: it is no worker */
};

static struct worker worker;

/* --- calls of the program's functions --------------------------------------------------------- */

struct call {
    fx_copy_target fn;
    int (*initializer)(const void *arg, size_t size);
    const void *arg;
    void *result;
    size_t arg_size, result_size;
    int rc;
};

static FXI_PASSES_ON void make_call(void *arg)
{
    struct call *call = arg;
    call->rc = call->initializer ? call->initializer(call->arg, call->arg_size)
                                 : call->fn(call->arg, call->arg_size, call->result, call->result_size);
    fxi_keep_frame();
}

/* What came of it: 0, or the exception, with the message in self->raised, or none. fx_thread_exit()
 * ends a function with success, as everywhere. */
static fx_exc outcome_of(struct fxi_context *self, struct call *call)
{
    self->raised.message[0] = 0;
    if (!fxi_call_caught(self, make_call, call))
        return call->rc < 0 ? call->rc : 0;
    bool is_exit_with_value = self->raised.code == FX_EXITED && !self->raised.free_payload;
    fx_exc code = is_exit_with_value ? 0 : self->raised.code;
    fxi_raised_drop(self);
    return code;
}

/* And inside libc's net, for pthread_exit(). */
static fx_exc call_in_nets(struct call *call)
{
    struct fxi_context *self = fxi_current;
    const struct fxi_net *volatile base = self->base;
    struct fx_scope *volatile innermost = self->scopes.innermost;
    volatile fx_exc code = FX_EXITED;
    __pthread_unwind_buf_t net;
    if (__sigsetjmp_cancel(net.__cancel_jmp_buf, 0) == 0) {
        __pthread_register_cancel(&net);
        code = outcome_of(self, call);
        __pthread_unregister_cancel(&net);
    } else {
        self->base = base;
        self->scopes.innermost = innermost;
        self->raised.message[0] = 0;
        if (fxi_thread_of(self)->carrier)
            fxi_tcb_resume(&fxi_thread_of(self)->carrier->tcb);
    }
    if (worker.is_copy) /* its task has come to its end here, and goes on where it was forked */
        fxi_process_exit(0);
    return code;
}

static void after_fork(bool in_child)
{
    worker.is_copy |= in_child;
}

static struct fxi_hooks hooks = { .after_fork = after_fork };

FXI_AT_LOAD(FXI_FLOOR_EXECUTOR) static void register_hooks(void)
{
    fxi_hooks_register(&hooks);
}

/* What the task has printed is out when its future is done. */
static void flush(void)
{
    if (__fpending(stdout) > 0)
        fflush(stdout);
}

/* --- tasks ------------------------------------------------------------------------------------ */

static _Noreturn void end(int status)
{
    flush();
    fxi_process_exit(status);
}

/* A task may have closed all descriptors, and opened a file of its own at that number. */
static bool event_is_there(void)
{
    struct stat found;
    return fstat(worker.event, &found) == 0 && found.st_dev == worker.event_is.st_dev &&
           found.st_ino == worker.event_is.st_ino && found.st_mode == worker.event_is.st_mode;
}

/* The program sleeps until its event is set. If a task has closed that, the end of this
 * process tells it. */
static void wake_program(void)
{
    uint32_t sleeps = fxi_load_relaxed(&worker.board->sleeps);
    if (sleeps % 2 == 0 || sleeps == worker.ended_sleep)
        return;
    worker.ended_sleep = sleeps;
    if (!event_is_there() || !fxi_event_set(worker.event))
        end(1);
}

static void tell_start(struct fxi_job *job)
{
    fxi_store_relaxed(&job->started, fx_now());
    fxi_add_relaxed(&worker.board->starts, 1u);
    fxi_fence_full(); /* pairs with the one of the program before it sleeps */
    wake_program();
}

static void run(struct fxi_job *job, struct fxi_job_message *message)
{
    char *memory = (char *)worker.board;
    struct call call = { .fn = (fx_copy_target)fxi_function_here(&worker.board->late, job->fn),
                         .arg = memory + job->arg,
                         .result = memory + job->result,
                         .arg_size = job->arg_size,
                         .result_size = job->result_size };
    message->text[0] = 0;
    if (call.fn) {
        job->code = call_in_nets(&call);
        if (job->code != 0 && fxi_current->raised.message[0])
            memcpy(message->text, fxi_current->raised.message, sizeof message->text);
    } else {
        job->code = -ENOEXEC;
        snprintf(message->text, sizeof message->text, "the function's object cannot be loaded");
    }
    flush();
}

/* The word is not as this worker left it: the signal is on its way, or the board is spoilt. */
static _Noreturn void end_condemned(uint64_t word)
{
    while (fxi_job_state(word) == FXI_JOB_CONDEMNED && fxi_job_seat(word) == worker.number)
        pause();
    abort();
}

/* Says that it is done. Who waits for this task alone is woken, and takes it; else it stands on the
 * list, and whoever looks after the pool takes it. */
static void tell_done(struct fxi_job *job, uint32_t number, uint64_t ticket)
{
    struct fxi_seat *seat = worker.seat;
    uint64_t taken = fxi_job_word(ticket, worker.number, FXI_JOB_TAKEN);
    /* release: the result, to whoever finds it done */
    if (!fxi_cas_acq_rel(&job->word, &taken, fxi_job_word(ticket, worker.number, FXI_JOB_DONE)))
        end_condemned(taken);
    fxi_fence_full(); /* pairs with those of who waits for it */
    if (fxi_load_relaxed(&job->awaited)) {
        fxi_futex_wake_shared(fxi_job_futex(job), INT32_MAX);
        return;
    }
    uint64_t tail = seat->done_tail;
    fxi_store_relaxed(&seat->done[tail % FXI_JOBS], ticket << 32 | number);
    fxi_store_release(&seat->done_tail, tail + 1); /* pairs with the acquire of who takes it */
    fxi_fence_full(); /* pairs with the one of the program before it sleeps */
    wake_program();
}

static _Noreturn void work(void)
{
    struct fxi_board *board = worker.board;
    for (;;) {
        uint64_t ticket;
        int number = fxi_board_take(board, worker.number, &ticket);
        if (number < 0) {
            fxi_board_rest(board, worker.number);
            continue;
        }
        struct fxi_job *job = &board->jobs[number];
        if (board->tells_starts || fxi_load_relaxed(&job->tells_start))
            tell_start(job);
        run(job, &board->messages[number]);
        tell_done(job, (uint32_t)number, ticket);
        if (board->max_tasks > 0 && ++worker.tasks == board->max_tasks)
            end(0);
    }
}

/* --- the beginning ---------------------------------------------------------------------------- */

static bool initialize(void)
{
    struct fxi_board *board = worker.board;
    if (!board->initializer)
        return true;
    struct call call = { .initializer = fxi_function_here(&board->late, board->initializer),
                         .arg = board->initarg_size ? (char *)board + board->initarg : NULL,
                         .arg_size = board->initarg_size };
    bool succeeds = call.initializer && call_in_nets(&call) == 0;
    flush();
    return succeeds;
}

/* In the program it is the identity. */
static void *find_target(uintptr_t address)
{
    return fxi_function_here(&worker.board->late, address);
}

static void name_self(const struct fxi_worker_plan *plan, uint32_t seat)
{
    char name[64];
    snprintf(name, sizeof name, "%.15s_%u", plan->name, seat);
    fx_thread_set_name(fxi_thread_of(fxi_current), name);
}

static void end_with(pid_t server)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != server) /* it ended before it was said */
        fxi_process_exit(1);
}

void fxi_process_worker_main(const struct fxi_worker_plan *plan, uint32_t seat, uint32_t number,
                             int memory, int event, pid_t server)
{
    worker = (struct worker){ 0 }; /* this process may have been forked for a worker's own pool */
    end_with(server);
    worker.board = fxi_shared_map(memory, plan->memory_size);
    fxi_descriptor_close(memory);
    if (!worker.board || !fxi_self())
        fxi_process_exit(1);
    worker.event = fxi_descriptor_raise(event);
    fstat(worker.event, &worker.event_is);
    worker.number = seat;
    worker.seat = &worker.board->seats[seat];
    name_self(plan, seat);
    fxi_chunk_find_target = find_target;
    fxi_functions_forget();
    fxi_signals_set(plan->mask);
    fxi_board_await_being_known(worker.seat, number);
    if (!initialize())
        end(1);
    end_with(server); /* again: the initializer may have changed the process's rights, which undoes it */
    /* release: with the acquire of who learns of this process's end */
    fxi_store_release(&worker.seat->is_ready, 1u);
    work();
}

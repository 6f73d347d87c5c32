/* A fiber: a context with a stack of its own, on which a worker runs tasks, one after the other, and
 * which it leaves whenever such a task waits.
 *
 * What belongs to the context, and so is exchanged at each switch: the registers that a call
 * preserves, the modes of floating point, fxi_current and the scopes, the number that locks know,
 * errno, the exceptions that a C++ program is handling, and libc's chain of cancellation buffers.
 * Everything else of the thread (its _Thread_local variables, its signal mask) is the worker's.
 *
 * The fiber's record lies at the top of its own stack, so that one that sleeps holds one page. */
#ifndef FXI_EXECUTOR_FIBER_H
#define FXI_EXECUTOR_FIBER_H

#include <pthread.h>

#include "context/context.h"
#include "context/task_stack.h"
#include "base/alarm.h"
#include "executor/executor.h"
#include "executor/post.h"

/* What a worker can be executing: its own loop, or a fiber. */
struct fxi_execution {
    struct fxi_context *context;
    void *stack_pointer; /* while it is not being executed, as are the next three */
    int error;           /* errno */
    struct {
        void *caught;
        unsigned uncaught;
    } cxx;
    __pthread_unwind_buf_t cleanup;
    const void *base; /* of its stack: for sanitizers, as the rest is */
    size_t size;
    void *fake_stack, *fiber;
    unsigned valgrind_id;
};

struct fxi_worker;

struct fxi_fiber {
    struct fxi_context context;
    struct fxi_execution execution;
    struct fxi_task_stack stack;
    struct fxi_worker *worker; /* for ever: a task that has begun stays */
    const void *first_frame;   /* the CFA of its first one */
    struct fxi_task *task;     /* what it runs or is to run */
    struct fx_timer *time_limit; /* of that task; NULL: it has none */
    struct fxi_fiber *next;    /* in its worker's queue, or store of fibers */
    struct fxi_post resumed;   /* in its worker's inbox */
    struct fxi_alarm alarm;    /* the deadline of its wait */
    struct {
        int fd;
        int flags;             /* what fcntl(F_GETFL) said of it, */
        uint32_t uses;         /* good for so many uses; 0: nothing is known */
        uint32_t reads;        /* how many reads in a row found what they want in memory */
    } descriptor;              /* the one that its task used last: executor/io_try.c */
    uint32_t chain;            /* among its worker's: of frames at its last wait */
    bool timed_out;
};

static inline struct fxi_fiber *fxi_fiber_of(const struct fxi_context *context)
{
    return fxi_container_of(context, struct fxi_fiber, context);
}

/* Makes one that will call entry(fiber) when it is switched to for the first time; entry does not
 * return. NULL: no memory. */
struct fxi_fiber *fxi_fiber_new(struct fxi_task_stacks *stacks, void (*entry)(void *));

/* Of one that is not being executed, by whatever thread. */
void fxi_fiber_free(struct fxi_task_stacks *stacks, struct fxi_fiber *fiber);

/* In a worker, before its first switch, and after the last: what executes its loop. */
void fxi_execution_begin(struct fxi_execution *loop, struct fxi_context *context);
void fxi_execution_end(struct fxi_execution *loop);

/* Leaves `from`, the present one, for `to`. Returns when `from` is switched to. `for_ever`: it will
 * not be. */
void fxi_execution_switch(struct fxi_execution *from, struct fxi_execution *to, bool for_ever);

/* First of all in entry, as the other side of the switch that led there. */
void fxi_execution_entered(void);

/* Between two tasks on the calling fiber: gives up what the last one was known by, and goes by. */
void fxi_fiber_renew(struct fxi_fiber *fiber);

#endif

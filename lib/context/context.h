/* A context: whatever is executing. A thread that the library started is one, the main thread is,
 * and every other thread becomes one when it first calls the library. */
#ifndef FXI_CONTEXT_CONTEXT_H
#define FXI_CONTEXT_CONTEXT_H

#include <fxthread/scope.h>

#include "base/compiler.h"
#include "base/list.h"
#include "kernel/jump.h"

#define FXI_MESSAGE_BYTES 160

/* Of a waiter's word; park/park.h tells who stores what. */
enum fxi_waiter_state {
    FXI_WAITER_AWAKE,               /* it has not begun to sleep, and may be spinning */
    FXI_WAITER_WOKEN,               /* its wait is over */
    FXI_WAITER_SLEEPING,            /* whoever wakes it must make the system call */
    FXI_WAITER_STOPPABLE,           /* the same, and a stop may end the wait */
    FXI_WAITER_STOPPABLE_SHARED,    /* the same, in a futex wait that is not private */
    FXI_WAITER_STOPPABLE_SUSPENDED, /* the same, in no futex wait, but by its context's operations */
    FXI_WAITER_STOPPED              /* a stop has ended its sleep; it looks whether the wait is over */
};

/* Whether that is a state in which whoever takes it away has to wake the waiter. */
static inline bool fxi_waiter_sleeps(uint32_t state)
{
    return state >= FXI_WAITER_SLEEPING && state <= FXI_WAITER_STOPPABLE_SUSPENDED;
}

/* What a context waits for in lib/park: its place in a bucket's queue. A context waits for one thing
 * at a time, so it has one. */
struct fxi_waiter {
    struct fxi_list queued;   /* guarded by the bucket's lock; next is NULL: not queued */
    const void *address;      /* what is waited for; NULL: nothing */
    struct fxi_waiter *next_chosen; /* the next one that the same waker has chosen */
    int64_t since;            /* when the wait began: a point of CLOCK_MONOTONIC */
    uintptr_t wants, given;   /* what the primitive's waiter tells its waker, and the reverse */
    uint32_t woken;           /* the word it sleeps on: enum fxi_waiter_state */
    bool sleeps_shared;       /* in a futex wait that is not private */
    bool suspends;            /* not in a futex wait, but by its context's operations */
    uint16_t spin_skips, spin_failures; /* how often to sleep at once, as spinning was in vain */
    uint16_t long_spins;      /* how many of the next waits may spin for longer than others */
};

/* The exception that is on its way, or that ended the context. */
struct fxi_raised {
    fx_exc code;
    int line;
    const char *file;
    void *payload;
    fx_callback free_payload;
    char message[FXI_MESSAGE_BYTES];
};

struct fxi_local_table;
struct fxi_task_stack;
struct fxi_task;

/* Where an exception goes that none of the scopes inside takes. It is placed by whoever saves `jump`,
 * and holds from fxi_net_spread() until the context's `base` is set back to what it was. */
struct fxi_net {
    struct fxi_jump jump;
    struct fx_scope *outside; /* the innermost scope around it */
};

/* What others ask of a context, and whether it is to be done now (lib/stop). Only `asked` is written
 * by other threads. */
struct fxi_stop {
    fx_exc asked;         /* the exception to raise; 0: none */
    uint32_t calls;       /* 1: in a system call that a stop ends, or about to be (stop/call.h) */
    uint32_t disabled;    /* regions around the present place in which nothing is raised */
    uint8_t mode;         /* fx_stop_mode */
    uint16_t attempts;    /* retries since the stop was asked */
    uint32_t trampolines; /* return addresses on its stack that were replaced */
    const void *base;     /* the CFA of its first frame; NULL: it is not to be stopped by a signal */
};

struct fxi_context;

#define FXI_STOP_BASE_OF_MAIN ((const void *)1) /* it is found by its callers */

/* How a context that is not a thread waits: a task of an executor, of which a worker runs many. */
struct fxi_context_operations {
    /* Whether the calling context can be switched away from where it is now; where not, it sleeps in
     * the kernel, and its thread with it. */
    bool (*can_suspend)(struct fxi_context *self);
    /* Of the calling context, whose waiter says `suspends` and SLEEPING or STOPPABLE: others run
     * until resume() is called for it: true. Or the deadline is past, and its waiter is AWAKE
     * again: false. */
    bool (*suspend)(struct fxi_context *self, int64_t deadline);
    /* Called once by whoever has changed the waiter's word from SLEEPING or STOPPABLE. May be called
     * with any lock of the floors below held, and with signals blocked. */
    void (*resume)(struct fxi_context *context);
    /* Whether it would go on at once if it were resumed; no promise. */
    bool (*is_prompt)(const struct fxi_context *context);
    /* Where can_suspend() said no: the calling context's thread is about to sleep, and has slept. */
    void (*sleeps)(struct fxi_context *self, bool begins);
};

struct fxi_context {
    const struct fxi_context_operations *operations; /* NULL: a thread's */
    struct fx_thread *worker; /* the thread that runs it, where it is not a thread's own */
    const struct fxi_task_stack *stack; /* what it runs on, where that is not the thread's; else NULL */
    struct fxi_waiter waiter;
    uint32_t number;                /* among all contexts that live; 0: none yet (context/number.h) */
    const struct fxi_net *base;     /* the innermost net; NULL: none, as in the main thread and in
                                     * foreign ones */
    struct fx_scopes scopes;        /* the ones around its present place: <fxthread/scope.h> */
    struct fxi_stop stop;
    struct fxi_local_table *locals; /* its own; NULL: none was ever set */
    struct fxi_task *task;          /* of an executor, that runs in it; NULL: none */
    struct fxi_raised raised;
};

/* The calling thread's context; NULL before its first call. Only the thread itself writes it. */
extern _Thread_local struct fxi_context *fxi_current __attribute__((tls_model("initial-exec")));

/* The calling thread runs `context` from here on; NULL: none. */
static inline void fxi_context_run(struct fxi_context *context)
{
    fxi_current = context;
    fx_scope_own = context ? &context->scopes : NULL;
}

/* Before a jump that ends frames of the calling context: AddressSanitizer, where the program has it,
 * forgets them. */
void fxi_context_end_frames(void);

static inline void fxi_net_spread(struct fxi_context *self, struct fxi_net *net)
{
    net->outside = self->scopes.innermost;
    self->base = net;
}

/* Makes the calling thread, which the library did not start, a context: NULL with errno ENOMEM. */
struct fxi_context *fxi_context_adopt(void);

/* The calling thread's context. NULL, with errno ENOMEM, only in a foreign thread's first call. */
static inline struct fxi_context *fxi_self(void)
{
    struct fxi_context *self = fxi_current;
    return fxi_likely(self != NULL) ? self : fxi_context_adopt();
}

#endif

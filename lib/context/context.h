/* A context: whatever is executing. A thread that the library started is one, the main thread is,
 * and every other thread becomes one when it first calls the library. */
#ifndef FXI_CONTEXT_CONTEXT_H
#define FXI_CONTEXT_CONTEXT_H

#include <fxthread/exception.h>

#include "base/compiler.h"
#include "base/list.h"
#include "kernel/jump.h"

#define FXI_MESSAGE_BYTES 160

/* What a context waits for in lib/park: its place in a bucket's queue. A context waits for one thing
 * at a time, so it has one. */
struct fxi_waiter {
    struct fxi_list queued;   /* guarded by the bucket's lock; next is NULL: not queued */
    const void *address;      /* what is waited for; NULL: nothing */
    struct fxi_waiter *next_chosen; /* the next one that the same waker has chosen */
    int64_t since;            /* when the wait began: a point of CLOCK_MONOTONIC */
    uintptr_t wants, given;   /* what the primitive's waiter tells its waker, and the reverse */
    uint32_t woken;           /* the word it sleeps on: see park/park.h */
    bool sleeps_shared;       /* in a futex wait that is not private */
    uint16_t spin_skips, spin_failures; /* how often to sleep at once, as spinning was in vain */
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
struct fx_scope;

/* Where an exception goes that none of the scopes inside takes. It is placed by whoever saves `jump`,
 * and holds from fxi_net_spread() until the context's `base` is set back to what it was. */
struct fxi_net {
    struct fxi_jump jump;
    struct fx_scope *outside; /* the innermost scope around it */
};

struct fxi_context {
    struct fxi_waiter waiter;
    uint32_t number;                /* among all contexts that live; 0: none yet (context/number.h) */
    const struct fxi_net *base;     /* the innermost net; NULL: none, as in the main thread and in
                                     * foreign ones */
    struct fx_scope *innermost;     /* scope: <fxthread/scope.h>; NULL: in none */
    struct fxi_local_table *locals; /* its own; NULL: none was ever set */
    struct fxi_raised raised;
};

/* The calling thread's context; NULL before its first call. Only the thread itself writes it. */
extern _Thread_local struct fxi_context *fxi_current __attribute__((tls_model("initial-exec")));

/* The same for the header of scopes, which knows no context: where `innermost` stands. */
FX_API extern __thread struct fx_scope **fx_scope_own __attribute__((tls_model("initial-exec")));

/* The calling thread runs `context` from here on; NULL: none. */
static inline void fxi_context_run(struct fxi_context *context)
{
    fxi_current = context;
    fx_scope_own = context ? &context->innermost : NULL;
}

static inline void fxi_net_spread(struct fxi_context *self, struct fxi_net *net)
{
    net->outside = self->innermost;
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

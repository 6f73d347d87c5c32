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
    struct fxi_list queued;   /* guarded by the bucket's lock */
    const void *address;      /* what is waited for; NULL: not queued */
    uint32_t woken;           /* the word it sleeps on: 1 when it was chosen */
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

struct fxi_context {
    struct fxi_waiter waiter;
    const struct fxi_jump *base;    /* where an exception that nothing catches goes; NULL: the main
                                     * thread and foreign ones */
    struct fxi_local_table *locals; /* its own; NULL: none was ever set */
    struct fxi_raised raised;
};

/* The calling thread's context; NULL before its first call. Only the thread itself writes it. */
extern _Thread_local struct fxi_context *fxi_current __attribute__((tls_model("initial-exec")));

/* Makes the calling thread, which the library did not start, a context: NULL with errno ENOMEM. */
struct fxi_context *fxi_context_adopt(void);

/* The calling thread's context. NULL, with errno ENOMEM, only in a foreign thread's first call. */
static inline struct fxi_context *fxi_self(void)
{
    struct fxi_context *self = fxi_current;
    return fxi_likely(self != NULL) ? self : fxi_context_adopt();
}

#endif

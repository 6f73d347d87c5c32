/* The record behind a thread's handle: its context, and what is known of it from its making until
 * its last handle is given up.
 *
 * Who may free it: whoever gives up the last reference. A handle is one; a thread holds one itself
 * from its start until it has woken its joiners, its last touch of the record; the registry's list
 * holds none, for a thread takes itself off before that. The main thread's record is never freed.
 *
 * State, in `state`; all that is known of a thread's end is written before it becomes ENDED:
 *   NEW       made; its maker and others may set what the thread will be
 *   STARTING  one caller of fx_thread_start() is at work; back to NEW if that fails
 *   ALIVE     the thread exists, or will in a moment
 *   EXITING   alive, and the one whose exit() ends the program: nobody will see its end, so threads
 *             that this exit() waits for must not wait for it
 *   ENDED     for joiners it is over; the kernel's thread may need some instructions more
 *   LOST      it was alive in the process that this one was forked from */
#ifndef FXI_CONTEXT_THREAD_RECORD_H
#define FXI_CONTEXT_THREAD_RECORD_H

#include <fxthread/thread.h>

#include "base/atomic.h"
#include "context/carrier.h"
#include "context/context.h"
#include "kernel/signal.h"

enum fxi_thread_state {
    FXI_THREAD_NEW,
    FXI_THREAD_STARTING,
    FXI_THREAD_ALIVE,
    FXI_THREAD_EXITING,
    FXI_THREAD_ENDED,
    FXI_THREAD_LOST
};

enum fxi_thread_kind { FXI_THREAD_OWN, FXI_THREAD_MAIN, FXI_THREAD_FOREIGN };

/* Names are never changed, so that a string once told stays as it is: a new one is put before. */
struct fxi_thread_name {
    struct fxi_thread_name *older;
    char text[];
};

struct fx_thread {
    struct fxi_context context;
    uint32_t references;
    uint32_t state;         /* enum fxi_thread_state; what joiners wait for */
    enum fxi_thread_kind kind;
    bool daemon;            /* fixed once started */
    bool internal;          /* one of the library's own: not enumerated */
    bool result_was_fetched;
    bool has_begun;         /* fn was called */
    bool has_given_back;    /* the last handle was given up, and free_arg or free_result called */
    fx_exc exception;       /* how it ended; written before ENDED */
    pid_t native_id;
    uint64_t ident;
    struct fxi_list alive;  /* guarded by the registry's lock */
    struct fxi_carrier *carrier; /* NULL: not one of ours, or not running */
    struct fxi_thread_name *name;
    fx_target fn;
    void *arg;
    void *result;           /* written before ENDED */
    fx_callback free_arg, free_result;
    size_t stack_size;
    cpu_set_t *affinity;    /* a copy; NULL: the creator's */
    size_t affinity_size;
    uint32_t affinity_verdict; /* of the new thread for its starter: see thread/start.c */
    fxi_sigmask signal_mask; /* its creator's */
};

/* The thread whose context it is, or that runs it. */
static inline fx_thread *fxi_thread_of(struct fxi_context *context)
{
    return context->worker ? context->worker : fxi_container_of(context, struct fx_thread, context);
}

/* Whether what the context starts is a daemon without being told so. A worker is one only in so far as its
 * pool, not the worker, is waited for at the end of the program. */
static inline bool fxi_thread_begets_daemons(struct fxi_context *context)
{
    return !context->worker && fxi_load_relaxed(&fxi_thread_of(context)->daemon);
}

/* A record with one reference and the given name. NULL: no memory. */
fx_thread *fxi_thread_record_new(enum fxi_thread_kind kind, const char *name);

static inline enum fxi_thread_state fxi_thread_state(const fx_thread *thread)
{
    /* acquire: pairs with the release in fxi_thread_publish_end */
    return (enum fxi_thread_state)fxi_load_acquire(&thread->state);
}

static inline bool fxi_thread_is_alive(const fx_thread *thread)
{
    enum fxi_thread_state state = fxi_thread_state(thread);
    return state == FXI_THREAD_ALIVE || state == FXI_THREAD_EXITING;
}

/* Whether the end of the program waits for it. */
static inline bool fxi_thread_is_joined_at_exit(const fx_thread *thread)
{
    return thread->kind == FXI_THREAD_OWN && !fxi_load_relaxed(&thread->daemon);
}

/* If the caller's reference, of a thread that is off the registry, is the last one: calls free_arg,
 * free_result and what frees the payload, as the last unref does. */
void fxi_thread_record_give_back_if_last(fx_thread *thread);

/* Puts a new name before the others. 0 or -ENOMEM. */
int fxi_thread_record_rename(fx_thread *thread, const char *name);

#endif

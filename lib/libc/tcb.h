/* Thread control blocks: what a thread pointer points at, made so that libc takes the thread for one
 * of its own.
 *
 * State of a TCB, told by libc's tid field in it, which the kernel sets in clone and clears when the
 * thread has ended:
 *   made      tid 0, not linked
 *   running   tid of its thread; linked into libc's list of threads
 *   parked    tid 0, or still that of a thread in its last instructions; linked, and marked as ended
 * Linked TCBs are the ones that setuid() and its family reach (the ended ones excepted), that
 * dlopen() gives the initial-exec TLS of a new module, and that fork() can bear.
 *
 * Lifetime: libc keeps per-thread memory behind a TCB that nobody outside can free (malloc's cache),
 * so in a program with a shared libc a TCB, once it ran, is parked and recycled and never freed. */
#ifndef FXI_LIBC_TCB_H
#define FXI_LIBC_TCB_H

#include <sys/types.h>

#include "base/compiler.h"

struct fxi_tcb {
    void *thread_pointer; /* NULL: not made */
    bool linked;          /* a thread ran on it, or was to */
    bool lacks_tls;       /* no memory was found to recycle it */
#ifdef FXI_TSAN
    uint32_t tid; /* of the pthread that it is in the test build for ThreadSanitizer */
    void (*entry)(void *);
    void *arg;
#endif
};

/* Makes a TCB. 0 or -ENOMEM. */
int fxi_tcb_make(struct fxi_tcb *tcb);

/* Gives one on which a thread has ended the TLS of a new thread. 0 or -ENOMEM. One caller at a time. */
int fxi_tcb_recycle(struct fxi_tcb *tcb);

/* Frees one that never ran or, where TCBs are not recycled, whose thread has ended. */
void fxi_tcb_free(struct fxi_tcb *tcb);

/* Whether a TCB may run again after its thread has ended. Not so in a fully static program, whose
 * only module's TLS holds libc's state beside the program's. */
bool fxi_tcb_is_recyclable(void);

/* Whether no thread is on it: it was not made, never ran, or its last thread has ended. */
bool fxi_tcb_is_free(struct fxi_tcb *tcb);

/* Starts a thread on a free TCB and the given stack: entry(arg) is called with all signals but 33 blocked,
 * and ends the thread by returning. The caller has blocked all signals but 33. The thread's id, or
 * -EAGAIN or -ENOMEM. */
pid_t fxi_tcb_launch(struct fxi_tcb *tcb, void *stack, size_t stack_size, void (*entry)(void *),
                     void *arg);

/* The word that the kernel clears, and wakes one sleeper on, when the thread on it has ended; NULL
 * where there is none (the test build for ThreadSanitizer). */
const uint32_t *fxi_tcb_end_word(const struct fxi_tcb *tcb);

/* Called by the thread on it when nothing but its end is left to do: from here on libc takes it for
 * ended. All signals but 33 are blocked. */
void fxi_tcb_retire(struct fxi_tcb *tcb);

/* After pthread_exit() or a cancellation in the thread on it, which goes on to its destructors: libc
 * takes it for running again. */
void fxi_tcb_resume(struct fxi_tcb *tcb);

/* The id of the thread on it, for the thread itself. */
pid_t fxi_tcb_tid(const struct fxi_tcb *tcb);

/* In a forked child, where libc has forgotten all threads but the calling one: makes it known again.
 * `runs`: it is the calling thread's own, else it is parked. */
void fxi_tcb_relink(struct fxi_tcb *tcb, bool runs);

#endif

/* Where glibc keeps what in a thread's descriptor, found out and never assumed.
 *
 * Offsets count from the descriptor, which is what pthread_self() returns. */
#ifndef FXI_LIBC_TCB_LAYOUT_H
#define FXI_LIBC_TCB_LAYOUT_H

#include <pthread.h>
#include <sys/types.h>

#include "base/list.h"
#include "kernel/lowlock.h"

/* From a robust mutex's list entry to its lock word: what libc tells the kernel, and the kernel adds
 * to find the word (set_robust_list(2)). */
#define FXI_ROBUST_LOCK_OFFSET                      \
    ((ptrdiff_t)offsetof(pthread_mutex_t, __data.__lock) - \
     (ptrdiff_t)offsetof(pthread_mutex_t, __data.__list.__next))

struct fxi_tcb_layout {
    size_t size;
    size_t tid, list, cancelhandling, specific; /* told by libc's descriptors for debuggers */
    size_t first_keys, result, stack_base, stack_size, resolver; /* seen in the scout, as below */
    size_t robust_head;
    size_t robust_prev; /* 0: this libc's robust list has no such field */
    int ended;          /* what cancelhandling holds when a thread has ended */
    struct fxi_list *threads;     /* libc's list of threads on stacks not its own; or NULL */
    fxi_lowlock *threads_lock;    /* libc's lock of that list */
};

extern struct fxi_tcb_layout fxi_tcb_layout;

/* Fills the layout in, at the first call that succeeds, by starting one ordinary pthread, the scout.
 * That also tells libc, which goes without locks until it has seen a second thread, that there is
 * one. 0; -EAGAIN or -ENOMEM: no scout now; -ENOTSUP: a libc that is not laid out as known. Called
 * by one thread at a time. */
int fxi_tcb_layout_learn(void);

/* The descriptor that belongs to a thread pointer, and the reverse. */
static inline char *fxi_descriptor_of(void *thread_pointer)
{
#if defined __x86_64__
    return thread_pointer;
#else
    return (char *)thread_pointer - fxi_tcb_layout.size;
#endif
}

#endif

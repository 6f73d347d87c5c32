/* Faults on demand: in test builds the n-th call of a kind fails. In others this costs nothing.
 *
 * The seams are in the typed calls of this floor and in libc/alloc.h; a test arms one kind at a
 * time, for the whole process. */
#ifndef FXI_KERNEL_INJECT_H
#define FXI_KERNEL_INJECT_H

enum fxi_inject_kind {
    FXI_INJECT_CLONE,
    FXI_INJECT_MMAP,
    FXI_INJECT_FUTEX_WAIT,
    FXI_INJECT_FUTEX_WAKE,
    FXI_INJECT_ALLOC,
    FXI_INJECT_MEMBARRIER,
    FXI_INJECT_SIGNAL, /* the sending of one, or the making of a timer for one */
    FXI_INJECT_FORK,
    FXI_INJECT_DESCRIPTOR, /* the making of one, or of what is to watch one */
    FXI_INJECT_URING_OPEN,
    FXI_INJECT_URING,  /* handing entries over, or waiting for completions */
    FXI_INJECT_EPOLL,  /* any of its calls */
    FXI_INJECT_EVENT,  /* the making of an event's descriptor */
    FXI_INJECT_ANY /* every kind counts and fails; to be armed only */
};

#ifdef FXI_INJECT

/* From now on the nth call (1 is the next) of `kind` fails once with -error. */
void fxi_inject_arm(enum fxi_inject_kind kind, unsigned nth, int error);
void fxi_inject_disarm(void);

/* How many calls of the kind were made since the last arming. */
unsigned fxi_inject_count(enum fxi_inject_kind kind);

/* The seam: 0, or the negative errno that this call must fail with. */
int fxi_inject(enum fxi_inject_kind kind);

#else
#define fxi_inject(kind) 0
#endif

#endif

/* Which descriptors the library has open, so that a forked child can close them, also those that
 * were being made at that moment and stand in no object yet. (An exec closes them by their flag.)
 *
 * Whoever makes some does so between begin and made, in which no fork of another thread falls; who
 * closes one does it by fxi_descriptor_close(). Numbers from FXI_DESCRIPTORS_NOTED on are not
 * noted. */
#ifndef FXI_KERNEL_DESCRIPTOR_FORK_H
#define FXI_KERNEL_DESCRIPTOR_FORK_H

#include <stdbool.h>

#include "kernel/signal.h"

#define FXI_DESCRIPTORS_NOTED (1 << 16)

/* Blocks signals, as a handler may fork, and holds off forks: for a few system calls. Does not
 * nest. */
fxi_sigmask fxi_descriptors_begin(void);

/* And ends that. Of the n in `made` the negative ones are none. */
void fxi_descriptors_made(fxi_sigmask mask, const int *made, int n);

/* The same for one, which is returned. */
static inline int fxi_descriptor_made(fxi_sigmask mask, long made)
{
    int one = (int)made;
    fxi_descriptors_made(mask, &one, 1);
    return one;
}

/* Closes it, and notes that. Not -1. */
void fxi_descriptor_close_noted(int descriptor);

/* Notes that none is open: in a process that closes all, and has one thread. */
void fxi_descriptors_forget(void);

/* Around fork, with signals blocked. In the child those that are noted are closed, and whoever
 * closes one once more closes nothing: none is made before the handlers of fork are through. But
 * where the library itself has forked (`is_own`) its child has use for some. */
void fxi_descriptors_before_fork(void);
void fxi_descriptors_after_fork(bool in_child, bool is_own);

#endif

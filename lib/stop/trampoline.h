/* Return addresses that are replaced, so that a thread comes here when a function returns that must not
 * be left before.
 *
 * State of a record: free (no owner); owned by a context, from the replacement until the function has
 *   returned through the entry, or the slot is seen to hold something else, or the context has
 *   ended. A context has at most one record a slot. While a slot holds an entry's address its record
 *   stays, as the entry reads the true address there.
 * Who writes: the owner alone, in a signal handler or at a stop point; others only claim free records,
 *   by compare-and-swap. The return itself may happen in another thread, where a program moves stacks
 *   between threads: it goes to the true address then.
 * Limits: FXI_TRAMPOLINES in a process. On processors without entries nothing is ever replaced. */
#ifndef FXI_STOP_TRAMPOLINE_H
#define FXI_STOP_TRAMPOLINE_H

#include "context/context.h"
#include "stop/walk.h"

#define FXI_TRAMPOLINES 256
#define FXI_TRAMPOLINE_RECORD_BYTES 32
#define FXI_TRAMPOLINE_ENTRY_BYTES 32

/* How far the CFA of an entry that has not begun lies above its stack pointer. */
#define FXI_TRAMPOLINE_CFA_EXCESS 8

/* Replaces the return address of the outermost foreign frame that the walk has found: whether that is
 * so now. False: not on this processor, not what it looked like, or no record is free. Signal-safe. */
bool fxi_trampoline_plant(struct fxi_context *self, const struct fxi_walk *walk);

/* Whether it is where a replaced return address leads. */
bool fxi_trampoline_is_entry(uintptr_t pc);

/* The context ends, and nothing on its stack will return. */
void fxi_trampolines_forget(struct fxi_context *self);

/* In a forked child: what is on the calling context's stack returns as though nothing had been replaced;
 * the records of all others are free. */
void fxi_trampolines_restore(struct fxi_context *self);

#endif

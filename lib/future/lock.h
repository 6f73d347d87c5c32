/* The locks of futures, and what a fork means to them.
 *
 * A future's lists are changed rarely, and for a few instructions, so futures share some locks, by
 * address: a future is smaller for it, and a fork can see to it that none of them is held. In the
 * order of locks they stand above a bucket's of lib/park; nobody holds two. */
#ifndef FXI_FUTURE_LOCK_H
#define FXI_FUTURE_LOCK_H

#include "kernel/lowlock.h"

/* The lock of the object at that address. */
fxi_lowlock *fxi_future_lock_of(const void *object);

/* How many forks lie between the first process and this one. */
uint32_t fxi_future_generation(void);

#endif

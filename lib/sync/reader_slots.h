/* Where readers of biased read-write locks (lib/sync/rwlock.c) leave word that they read.
 *
 * Guarantee: each thread that asks for them has FX_RWLOCK_SLOTS slots, in which only it writes down
 *   locks. A lock has one place in all threads' slots, so a search looks at one slot a thread.
 *   Nothing here ever blocks or is freed: a thread's slots are used again when it has ended.
 * State of a thread's slots: in the list for ever; taken by one thread, or free and all empty. In a
 *   forked child those of the threads that are gone stay as they are: what they read stays read.
 * State of a slot: NULL, or the lock that its thread reads. Its thread writes down a lock in a
 *   restartable sequence, where it is NULL; NULL in one, too, where it is that lock, or by a
 *   compare-and-swap. Any other thread writes NULL by compare-and-swap, in a lock's revocation. */
#ifndef FXI_SYNC_READER_SLOTS_H
#define FXI_SYNC_READER_SLOTS_H

#include <fxthread/rwlock.h>

#include "base/compiler.h"

struct fxi_reader_slots {
    const fx_rwlock *slot[FX_RWLOCK_SLOTS]; /* on a cache line of their own */
    struct fxi_reader_slots *next;
    uint32_t taken;
} __attribute__((aligned(FXI_CACHE_LINE)));

/* Takes some for the calling thread. NULL: out of memory. */
struct fxi_reader_slots *fxi_reader_slots_take(void);

/* Gives them up; they are empty. */
void fxi_reader_slots_give_back(struct fxi_reader_slots *slots);

/* The first of all threads' slots; the rest follow by `next`. */
struct fxi_reader_slots *fxi_reader_slots_first(void);

#endif

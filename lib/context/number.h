/* The numbers of contexts: 29 bits, small enough to stand in a lock's word beside its bits.
 *
 * Guarantee: no two living contexts have the same number, and none has 0, which means "none yet": a
 *   context gets its number when it first needs one, and gives it up when it ends. A number given
 *   up is used again as late as memory allows: the longest free first, and only when many are free.
 * State of a number, in the table's entry for it, under the registry's lock:
 *   never used   beyond `last_number`
 *   in use       the entry points at the context
 *   free         the entry holds the next free number
 *   lost         NULL: its thread was lost in a fork, and may have left its number in a lock
 *                that is held for ever
 * Limits: 2^29 - 2 contexts; the table's memory is never given back. */
#ifndef FXI_CONTEXT_NUMBER_H
#define FXI_CONTEXT_NUMBER_H

#include <fxthread/lock.h>

#include "context/context.h"

/* The calling context's number, given to it if it has none; 0 with errno ENOMEM. */
uint32_t fxi_number_give(void);

static inline uint32_t fxi_self_number(void)
{
    uint32_t number = fx_lock_self.number;
    return fxi_likely(number != 0) ? number : fxi_number_give();
}

/* In a thread that will run several contexts: once, before the first of them; and whenever `context`
 * is the one that it runs from here on. */
void fxi_number_prepare(void);
void fxi_number_switch(const struct fxi_context *context);

/* With the registry's lock held: the context that has the number, NULL where none has it. */
struct fxi_context *fxi_number_context(uint32_t number);

/* With the registry's lock held: a context ends, in its own thread if it has a number; or it was
 * lost in a fork. */
void fxi_number_take_back(struct fxi_context *context);
void fxi_number_lose(struct fxi_context *context);

#endif

/* A call of the program's code from which nothing that is raised comes out. */
#ifndef FXI_STOP_CAUGHT_H
#define FXI_STOP_CAUGHT_H

#include "context/context.h"

/* Calls fn(arg) in a net. True: it raised; the exception stands in self->raised, and its payload is
 * the caller's to give on or to free. pthread_exit() goes through. */
bool fxi_call_caught(struct fxi_context *self, fx_callback fn, void *arg);

/* At the end of a function that fxi_call_caught() calls, behind its call of the program's: keeps
 * its frame on the stack, where a stop sees by it whether what it raises is passed on
 * (stop/walk.h). */
static inline void fxi_keep_frame(void)
{
    __asm__ volatile("" ::: "memory");
}

/* Ends an exception that goes nowhere: frees its payload. */
void fxi_raised_drop(struct fxi_context *self);

/* The same, after the excepthook was told of it. What the hook itself raises is dropped. */
void fxi_raised_report(struct fxi_context *self);

#endif

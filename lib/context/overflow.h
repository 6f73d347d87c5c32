/* A stack overflow told by name. */
#ifndef FXI_CONTEXT_OVERFLOW_H
#define FXI_CONTEXT_OVERFLOW_H

/* Handles SIGSEGV from here on, unless the program does: where a thread of the library ran into its
 * stack's guard, a message on stderr names it; the program then ends by SIGSEGV as it would have. */
void fxi_overflow_watch(void);

#endif

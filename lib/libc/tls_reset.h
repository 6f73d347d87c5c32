/* _Thread_local variables put back to what a new thread finds. */
#ifndef FXI_LIBC_TLS_RESET_H
#define FXI_LIBC_TLS_RESET_H

#include <stdbool.h>

/* Finds out which parts of every thread's TLS must outlive a reset. Once, before the first. 0 or
 * -ENOMEM. */
int fxi_tls_reset_prepare(void);

/* Resets the TLS of a TCB that no thread is on: all modules' variables but those of libc and the
 * dynamic loader, which hold state that must live on (malloc's cache of this TCB). `freed`: a former
 * reset failed halfway; in and out. 0 or -ENOMEM. One caller at a time. */
int fxi_tls_reset(void *thread_pointer, bool *freed);

#endif

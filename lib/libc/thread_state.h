/* What a thread owes libc at its beginning and at its end, done by the thread itself. */
#ifndef FXI_LIBC_THREAD_STATE_H
#define FXI_LIBC_THREAD_STATE_H

#include <stdbool.h>

#include <fxthread/base.h>

/* First of all in a new thread: what pthread_create's threads set up for libc. */
void fxi_libc_enter(void);

/* Calls fn(arg), which is the program's, or calls what is, and returns however that ends. */
typedef void (*fxi_destructor_call)(fx_callback fn, void *arg);

/* Runs the destructors of the C++ thread_local objects that live, and one round over the values of
 * pthread keys, all through `call`. Whether there was a value. */
bool fxi_libc_run_destructors(fxi_destructor_call call);

/* What pthread_exit() or a cancellation left as the thread's result. */
void *fxi_libc_exit_result(void);

/* Whether libc is unwinding the calling thread, by pthread_exit() or a cancellation: frames that it has
 * left may be gone. Signal-safe. */
bool fxi_libc_is_unwinding(void);

/* Puts what the thread did to libc's state back to what a new thread finds, for the next thread on
 * this TCB. All signals are blocked but 33, and nothing of the program's runs in the thread any
 * more. */
void fxi_libc_leave(void);

#endif

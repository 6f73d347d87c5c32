/* _Thread_local variables put back to what a new thread finds. */
#ifndef FXI_LIBC_TLS_RESET_H
#define FXI_LIBC_TLS_RESET_H

/* Resets the calling thread's TLS of every loaded module but libc and the dynamic loader, whose TLS
 * holds state that must live on (malloc's cache of this TCB). */
void fxi_tls_reset_modules(void);

#endif

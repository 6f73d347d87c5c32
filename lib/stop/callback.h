/* A callback of the program's that the library calls with something in its hands. */
#ifndef FXI_STOP_CALLBACK_H
#define FXI_STOP_CALLBACK_H

#include <fxthread/base.h>

/* Calls fn(arg), and returns if that does. If it raises, or ends its thread, failed(failed_arg) is
 * called and the exception, or the end, goes on: this does not return. The caller has a context. */
void fxi_callback_run(fx_callback fn, void *arg, fx_callback failed, void *failed_arg);

#endif

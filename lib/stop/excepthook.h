/* Exceptions that nothing caught. */
#ifndef FXI_STOP_EXCEPTHOOK_H
#define FXI_STOP_EXCEPTHOOK_H

#include "context/thread_record.h"

/* Reports the exception that ended the thread, which is the calling one; nothing for a stop or an
 * exit. An exception raised by the hook itself must not reach it again: the caller has seen to
 * that. */
void fxi_excepthook_call(fx_thread *thread);

/* The same of an exception in something else that the thread ran, a callback or a task. */
void fxi_excepthook_tell(fx_thread *thread, const struct fxi_raised *raised);

#endif

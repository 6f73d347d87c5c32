/* Exceptions that nothing caught. */
#ifndef FXI_STOP_EXCEPTHOOK_H
#define FXI_STOP_EXCEPTHOOK_H

#include "context/thread_record.h"

/* Reports the exception that ended the thread, which is the calling one; nothing for a stop or an
 * exit. An exception raised by the hook itself must not reach it again: the caller has seen to
 * that. */
void fxi_excepthook_call(fx_thread *thread);

#endif

/* The end of a thread as others see it. */
#ifndef FXI_THREAD_END_H
#define FXI_THREAD_END_H

#include "context/thread_record.h"

/* Destroys the calling thread's values: C++ thread_local objects, pthread keys (`of_libc`: where libc
 * does not do that itself), fx_locals. */
void fxi_thread_run_destructors(bool of_libc);

/* The thread is over for everybody: takes it off the registry and wakes its joiners, at once or when
 * the kernel has cleared `end_word` (park.h). Once a thread, with all signals but 33 blocked; the
 * record may be gone after the caller's own reference. */
void fxi_thread_publish_end(fx_thread *thread, const uint32_t *end_word);

/* At the end of the program: waits for the threads that are not daemons. */
void fxi_thread_join_all(void);

#endif

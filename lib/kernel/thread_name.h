/* The name that the kernel shows for a thread. */
#ifndef FXI_KERNEL_THREAD_NAME_H
#define FXI_KERNEL_THREAD_NAME_H

#include <sys/types.h>

/* Its first 15 bytes are what ps, top and gdb show. For the calling thread, or another one of this
 * process; without /proc, for the calling thread only. */
void fxi_kernel_name_set_own(const char *name);
void fxi_kernel_name_set(pid_t native_id, const char *name);

#endif

/* io_uring(7), as far as it is asked whether it is there. */
#ifndef FXI_KERNEL_URING_H
#define FXI_KERNEL_URING_H

#include <stdbool.h>

/* Whether the kernel gives this process a ring: asked once. Containers and kernel.io_uring_disabled
 * refuse it. */
bool fxi_uring_works(void);

#endif

/* The submission entry of io_uring and the names of its operations and flags, as liburing has them, without
 * liburing's calls. What its older versions lack is named here. */
#ifndef FXI_KERNEL_URING_ENTRY_H
#define FXI_KERNEL_URING_ENTRY_H

#include <liburing/compat.h>
#include <liburing/io_uring.h>

#endif

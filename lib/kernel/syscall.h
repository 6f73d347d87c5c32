/* System calls without libc in between: the result is the kernel's, a negative errno on failure, and
 * errno itself is left alone. Only lib/kernel's typed calls use this. */
#ifndef FXI_KERNEL_SYSCALL_H
#define FXI_KERNEL_SYSCALL_H

#include <sys/syscall.h>

#if defined __x86_64__
#include "kernel/x86_64/syscall.h"
#elif defined __aarch64__
#include "kernel/aarch64/syscall.h"
#else
#error "fxthread knows x86_64 and aarch64 only"
#endif

#define fxi_syscall1(n, a) fxi_syscall6((n), (long)(a), 0, 0, 0, 0, 0)
#define fxi_syscall2(n, a, b) fxi_syscall6((n), (long)(a), (long)(b), 0, 0, 0, 0)
#define fxi_syscall3(n, a, b, c) fxi_syscall6((n), (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define fxi_syscall4(n, a, b, c, d) \
    fxi_syscall6((n), (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

#endif

/* The beginning and the end of a kernel thread. */
#ifndef FXI_KERNEL_CLONE_H
#define FXI_KERNEL_CLONE_H

#include <stdint.h>
#include <sys/types.h>

#include "kernel/syscall.h"

/* clone(2): a new thread on the stack whose end is `stack` calls entry(arg), and ends when that
 * returns. Its stack may be unmapped by others as soon as the kernel has cleared *child_tid. The
 * thread id, or a negative errno: -EAGAIN, -ENOMEM. Assembly. */
long fxi_clone(unsigned long flags, void *stack, uint32_t *parent_tid, uint32_t *child_tid,
               void *thread_pointer, void (*entry)(void *), void *arg);

static inline pid_t fxi_gettid(void)
{
    return (pid_t)fxi_syscall1(SYS_gettid, 0);
}

static inline pid_t fxi_getpid(void)
{
    return (pid_t)fxi_syscall1(SYS_getpid, 0);
}

#endif

/* A system call that is not made if something was asked of the caller before, and no gap between the
 * look and the call: a signal handler that finds the thread in between sends it past the call. */
#ifndef FXI_KERNEL_STOP_CALL_H
#define FXI_KERNEL_STOP_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/membarrier.h"
#include "kernel/syscall.h"

struct fxi_stop;

/* Makes the call if stop->asked is 0, and else takes it for one that returned -EINTR; meanwhile
 * stop->calls is 1. The kernel's result; but where that is -EINTR, or stop->asked is not 0 by then, what
 * fxi_stop_call_tell() makes of it, and the call is made again where it says -EINTR. Assembly. */
long fxi_stop_call_enter(long number, const long arguments[6], struct fxi_stop *stop,
                         int64_t deadline);

/* Called by it, with its result and deadline. */
long fxi_stop_call_tell(long rc, int64_t deadline);

/* Its parts: up to `look` it has not looked; from there, up to `made`, it has, and the call is not made
 * yet, or about to be made again by the kernel; up to `looked` it is to look once more. From `refuse`,
 * where to go on instead of making the call, up to `over`, it is, too. */
extern const char fxi_stop_call_look[], fxi_stop_call_made[], fxi_stop_call_looked[],
    fxi_stop_call_refuse[], fxi_stop_call_over[];

/* The same arguments, and no look. */
static inline long fxi_plain_call(long number, const long arguments[6])
{
    return fxi_syscall6(number, arguments[0], arguments[1], arguments[2], arguments[3],
                        arguments[4], arguments[5]);
}

/* Between a store to `asked` and a load of `calls`, by another thread: false where it may miss that the
 * call is under way, which did not see the store. */
static inline bool fxi_stop_call_settle(void)
{
#if defined __x86_64__ /* no fence there: the callers are many, the askers few */
    return fxi_membarrier_works() && fxi_membarrier_rseq();
#else
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* pairs with the barrier there */
    return true;
#endif
}

#endif

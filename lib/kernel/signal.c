#include "kernel/signal.h"

#include <signal.h>

#include "kernel/syscall.h"

/* Neither call can fail: the arguments are the kernel's own sizes and this thread's memory. */

fxi_sigmask fxi_signals_set(fxi_sigmask mask)
{
    fxi_sigmask old = 0;
    fxi_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, &mask, &old, sizeof mask);
    return old;
}

void fxi_signals_set_stack(void *base, size_t size)
{
    stack_t stack = { .ss_sp = base, .ss_size = size, .ss_flags = base ? 0 : SS_DISABLE };
    fxi_syscall2(SYS_sigaltstack, &stack, 0);
}

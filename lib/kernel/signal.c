#include "kernel/signal.h"

#include <signal.h>

#include "kernel/clone.h"
#include "kernel/inject.h"
#include "kernel/syscall.h"

/* To set a mask or a stack cannot fail: the arguments are the kernel's own sizes and this thread's
 * memory. */

fxi_sigmask fxi_signals_set(fxi_sigmask mask)
{
    fxi_sigmask old = 0;
    fxi_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, &mask, &old, sizeof mask);
    return old;
}

fxi_sigmask fxi_signal_open(int number)
{
    fxi_sigmask one = FXI_SIGNAL_BIT(number), old = 0;
    fxi_syscall4(SYS_rt_sigprocmask, SIG_UNBLOCK, &one, &old, sizeof one);
    return old;
}

int fxi_signal_queue(int thread_id, int number, void *value)
{
    long rc = fxi_inject(FXI_INJECT_SIGNAL);
    siginfo_t info = { .si_signo = number, .si_code = SI_QUEUE };
    info.si_pid = fxi_getpid();
    info.si_value.sival_ptr = value;
    if (rc == 0)
        rc = fxi_syscall4(SYS_rt_tgsigqueueinfo, info.si_pid, thread_id, number, &info);
    return (int)rc;
}

void fxi_signals_set_stack(void *base, size_t size)
{
    stack_t stack = { .ss_sp = base, .ss_size = size, .ss_flags = base ? 0 : SS_DISABLE };
    fxi_syscall2(SYS_sigaltstack, &stack, 0);
}

#include "kernel/process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernel/descriptor_fork.h"
#include "kernel/inject.h"
#include "kernel/signal.h"
#include "kernel/syscall.h"

/* Every new descriptor passes the seam. */
static long allowed(void)
{
    return fxi_inject(FXI_INJECT_DESCRIPTOR);
}

int fxi_process_open(pid_t pid)
{
    long rc = allowed();
    if (rc != 0)
        return (int)rc;
    fxi_sigmask mask = fxi_descriptors_begin();
    return fxi_descriptor_made(mask, fxi_syscall2(SYS_pidfd_open, pid, 0));
}

int fxi_process_signal(int process, int number)
{
    return (int)fxi_syscall4(SYS_pidfd_send_signal, process, number, 0, 0);
}

void fxi_process_signal_child(pid_t pid, int number)
{
    fxi_syscall2(SYS_kill, pid, number);
}

static _Thread_local bool is_forking;

pid_t fxi_process_fork(void)
{
    int rc = fxi_inject(FXI_INJECT_FORK);
    if (rc != 0)
        return rc;
    is_forking = true;
    pid_t pid = fork();
    is_forking = false;
    return pid >= 0 ? pid : -errno;
}

bool fxi_process_is_forking(void)
{
    return is_forking;
}

int fxi_process_reap(pid_t pid)
{
    int status;
    long rc;
    do
        rc = fxi_syscall4(SYS_wait4, pid, &status, __WALL, 0);
    while (rc == -EINTR);
    return rc == pid ? status : -1;
}

bool fxi_process_has_ended(int process)
{
    struct pollfd one = { .fd = process, .events = POLLIN };
    struct timespec none = { 0 };
    return fxi_syscall6(SYS_ppoll, (long)&one, 1, (long)&none, 0, 8, 0) == 1;
}

void fxi_process_reap_own(int process)
{
    siginfo_t unused;
    fxi_syscall6(SYS_waitid, P_PIDFD, process, (long)&unused, WEXITED | WNOHANG | __WALL, 0, 0);
}

int fxi_stops_new(void)
{
    uint64_t mask = FXI_SIGNAL_BIT(SIGCHLD);
    long rc = allowed();
    if (rc == 0)
        rc = fxi_syscall4(SYS_signalfd4, -1, &mask, sizeof mask, SFD_CLOEXEC | SFD_NONBLOCK);
    return (int)rc;
}

/* The signal tells of several children at once. */
pid_t fxi_stops_next(int stops)
{
    struct signalfd_siginfo unused;
    siginfo_t child;
    for (;;) {
        child.si_pid = 0;
        fxi_syscall6(SYS_waitid, P_ALL, 0, (long)&child, WSTOPPED | WNOHANG, 0, 0);
        if (child.si_pid != 0 || fxi_syscall3(SYS_read, stops, &unused, sizeof unused) < 0)
            return child.si_pid;
    }
}

void fxi_process_exit(int status)
{
    for (;;)
        fxi_syscall1(SYS_exit_group, status);
}

#include "kernel/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernel/epoll.h"
#include "kernel/inject.h"
#include "kernel/signal.h"
#include "kernel/syscall.h"

/* Every new descriptor passes the seam. */
static long allowed(void)
{
    return fxi_inject(FXI_INJECT_DESCRIPTOR);
}

/* --- processes -------------------------------------------------------------------------------- */

int fxi_process_open(pid_t pid)
{
    long rc = allowed();
    return (int)(rc == 0 ? fxi_syscall2(SYS_pidfd_open, pid, 0) : rc);
}

int fxi_process_signal(int process, int number)
{
    return (int)fxi_syscall4(SYS_pidfd_send_signal, process, number, 0, 0);
}

void fxi_process_signal_child(pid_t pid, int number)
{
    fxi_syscall2(SYS_kill, pid, number);
}

pid_t fxi_process_fork(void)
{
    int rc = fxi_inject(FXI_INJECT_FORK);
    if (rc != 0)
        return rc;
    pid_t pid = fork();
    return pid >= 0 ? pid : -errno;
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

/* --- descriptors ------------------------------------------------------------------------------ */

void fxi_descriptor_close(int descriptor)
{
    if (descriptor >= 0)
        fxi_syscall1(SYS_close, descriptor);
}

/* First out of the way of those places, then into them. */
void fxi_descriptors_keep(int *kept, int n)
{
    for (int i = 0; i < n; i++)
        if (kept[i] >= 0)
            kept[i] = (int)fxi_syscall3(SYS_fcntl, kept[i], F_DUPFD_CLOEXEC, 3 + n);
    for (int i = 0; i < n; i++) {
        if (kept[i] >= 0)
            fxi_syscall3(SYS_dup3, kept[i], 3 + i, O_CLOEXEC);
        else
            fxi_syscall1(SYS_close, 3 + i);
        kept[i] = kept[i] >= 0 ? 3 + i : -1;
    }
    for (int i = 0; i < 3; i++) /* in a program without these they may be what the library has made */
        if (fxi_syscall3(SYS_fcntl, i, F_GETFD, 0) == FD_CLOEXEC)
            fxi_syscall1(SYS_close, i);
    if (fxi_syscall3(SYS_close_range, 3 + n, ~0u, 0) != 0)
        for (long i = 3 + n, most = sysconf(_SC_OPEN_MAX); i < most; i++)
            fxi_syscall1(SYS_close, i);
}

int fxi_counter_new(void)
{
    long rc = allowed();
    return (int)(rc == 0 ? fxi_syscall2(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK) : rc);
}

int fxi_counter_raise(int counter)
{
    long most = sysconf(_SC_OPEN_MAX), high = (most > 0 && most < 1024 ? most : 1024) - 8;
    long raised = high > counter ? fxi_syscall3(SYS_fcntl, counter, F_DUPFD_CLOEXEC, high) : -1;
    if (raised < 0)
        return counter;
    fxi_descriptor_close(counter);
    return (int)raised;
}

int fxi_counter_add(int counter)
{
    uint64_t one = 1;
    return fxi_syscall3(SYS_write, counter, &one, sizeof one) == -EBADF ? -EBADF : 0;
}

int fxi_watcher_new(void)
{
    long rc = allowed();
    return (int)(rc == 0 ? fxi_syscall1(SYS_epoll_create1, EPOLL_CLOEXEC) : rc);
}

int fxi_watcher_add(int watcher, int descriptor, uint32_t events, void *data)
{
    struct epoll_event event = { .events = events, .data.ptr = data };
    long rc = allowed();
    if (rc == 0)
        rc = fxi_syscall4(SYS_epoll_ctl, watcher, EPOLL_CTL_ADD, descriptor, &event);
    return rc == 0 || rc == -EMFILE || rc == -ENFILE ? (int)rc : -ENOMEM;
}

void fxi_watcher_change(int watcher, int descriptor, uint32_t events, void *data)
{
    struct epoll_event event = { .events = events, .data.ptr = data };
    fxi_syscall4(SYS_epoll_ctl, watcher, EPOLL_CTL_MOD, descriptor, &event);
}

void fxi_watcher_remove(int watcher, int descriptor)
{
    fxi_syscall4(SYS_epoll_ctl, watcher, EPOLL_CTL_DEL, descriptor, 0);
}

/* It comes back early for a signal. */
int fxi_watcher_wait(int watcher, struct epoll_event *events, int n, fx_deadline deadline)
{
    int found;
    do
        found = fxi_epoll_wait(watcher, events, n, deadline);
    while (found == 0 && (deadline == FX_FOREVER || fx_now() < deadline));
    return found;
}

static void await(int descriptor, short events)
{
    struct pollfd one = { .fd = descriptor, .events = events };
    while (fxi_syscall6(SYS_ppoll, (long)&one, 1, 0, 0, 8, 0) == -EINTR)
        ;
}

void fxi_descriptor_await(int descriptor)
{
    await(descriptor, POLLIN);
}

void fxi_descriptor_await_room(int descriptor)
{
    await(descriptor, POLLOUT);
}

/* --- channels --------------------------------------------------------------------------------- */

int fxi_channel_new(int ends[2])
{
    long rc = allowed();
    if (rc == 0)
        rc = fxi_syscall4(SYS_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                          ends);
    return (int)rc;
}

union control {
    char bytes[CMSG_SPACE(FXI_CHANNEL_DESCRIPTORS_MOST * sizeof(int))];
    struct cmsghdr header;
};

int fxi_channel_send(int channel, const void *message, size_t size, const int *descriptors, int n)
{
    union control control = { 0 };
    struct iovec part = { (void *)(uintptr_t)message, size };
    struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
    if (n > 0) {
        header.msg_control = &control;
        header.msg_controllen = CMSG_SPACE((size_t)n * sizeof(int));
        control.header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
                                           .cmsg_type = SCM_RIGHTS,
                                           .cmsg_len = CMSG_LEN((size_t)n * sizeof(int)) };
        memcpy(CMSG_DATA(&control.header), descriptors, (size_t)n * sizeof(int));
    }
    long rc;
    do
        rc = fxi_syscall3(SYS_sendmsg, channel, &header, MSG_NOSIGNAL);
    while (rc == -EINTR);
    if (rc >= 0)
        return 0;
    return rc == -EAGAIN || rc == -ENOBUFS || rc == -ENOMEM || rc == -ETOOMANYREFS ? -EAGAIN
                                                                                   : -EPIPE;
}

static int take_descriptors(struct msghdr *header, int *descriptors, int most)
{
    int found = 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        int n = (int)((part->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (int i = 0; i < n; i++) {
            int descriptor;
            memcpy(&descriptor, CMSG_DATA(part) + (size_t)i * sizeof(int), sizeof descriptor);
            if (found < most)
                descriptors[found++] = descriptor;
            else
                fxi_descriptor_close(descriptor);
        }
    }
    return found;
}

int fxi_channel_receive(int channel, void *message, size_t size, int *descriptors, int *n)
{
    union control control;
    struct iovec part = { message, size };
    struct msghdr header = { .msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control };
    long rc;
    do
        rc = fxi_syscall3(SYS_recvmsg, channel, &header, MSG_CMSG_CLOEXEC);
    while (rc == -EINTR);
    int found = rc > 0 ? take_descriptors(&header, descriptors, n ? *n : 0) : 0;
    if (n)
        *n = found;
    return rc >= 0 ? (int)rc : (rc == -EAGAIN ? -EAGAIN : 0);
}

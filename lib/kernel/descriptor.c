#include "kernel/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "kernel/descriptor_fork.h"
#include "kernel/syscall.h"

void fxi_descriptor_close(int descriptor)
{
    if (descriptor >= 0)
        fxi_descriptor_close_noted(descriptor);
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
    fxi_descriptors_forget();
}

int fxi_descriptor_raise(int descriptor)
{
    long most = sysconf(_SC_OPEN_MAX), high = (most > 0 && most < 1024 ? most : 1024) - 8;
    long raised = high > descriptor ? fxi_syscall3(SYS_fcntl, descriptor, F_DUPFD_CLOEXEC, high) : -1;
    if (raised < 0)
        return descriptor;
    fxi_descriptor_close(descriptor);
    return (int)raised;
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

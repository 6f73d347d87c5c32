#include "kernel/channel.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "kernel/descriptor.h"
#include "kernel/descriptor_fork.h"
#include "kernel/inject.h"
#include "kernel/syscall.h"

int fxi_channel_new(int ends[2])
{
    long rc = fxi_inject(FXI_INJECT_DESCRIPTOR);
    if (rc != 0)
        return (int)rc;
    fxi_sigmask mask = fxi_descriptors_begin();
    rc = fxi_syscall4(SYS_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                      ends);
    fxi_descriptors_made(mask, ends, rc == 0 ? 2 : 0);
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

static int take_descriptors(struct msghdr *header, int *descriptors)
{
    int found = 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        int n = (int)((part->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(&descriptors[found], CMSG_DATA(part), (size_t)n * sizeof(int));
        found += n;
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
    int came[FXI_CHANNEL_DESCRIPTORS_MOST], most = n ? *n : 0;
    fxi_sigmask mask = fxi_descriptors_begin();
    do
        rc = fxi_syscall3(SYS_recvmsg, channel, &header, MSG_CMSG_CLOEXEC);
    while (rc == -EINTR);
    int found = rc > 0 ? take_descriptors(&header, came) : 0;
    fxi_descriptors_made(mask, came, found);
    while (found > most)
        fxi_descriptor_close(came[--found]);
    for (int i = 0; i < found; i++)
        descriptors[i] = came[i];
    if (n)
        *n = found;
    return rc >= 0 ? (int)rc : (rc == -EAGAIN ? -EAGAIN : 0);
}

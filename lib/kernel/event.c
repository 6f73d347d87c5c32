#include "kernel/event.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>

#include "kernel/descriptor_fork.h"
#include "kernel/inject.h"
#include "kernel/syscall.h"

int fxi_event_open(void)
{
    int rc = fxi_inject(FXI_INJECT_EVENT);
    if (rc != 0)
        return rc;
    fxi_sigmask mask = fxi_descriptors_begin();
    return fxi_descriptor_made(mask, fxi_syscall2(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK));
}

void fxi_event_close(int event)
{
    fxi_descriptor_close_noted(event);
}

bool fxi_event_set(int event)
{
    uint64_t one = 1;
    return fxi_syscall3(SYS_write, event, &one, sizeof one) != -EBADF; /* it counts 2^64 of them */
}

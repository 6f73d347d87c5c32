#include "kernel/epoll.h"

#include <errno.h>
#include <limits.h>
#include <time.h>

#include "base/annotate.h"
#include "base/atomic.h"
#include "kernel/descriptor_fork.h"
#include "kernel/inject.h"
#include "kernel/syscall.h"

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

int fxi_epoll_open(void)
{
    int rc = fxi_inject(FXI_INJECT_EPOLL);
    if (rc != 0)
        return rc;
    fxi_sigmask mask = fxi_descriptors_begin();
    return fxi_descriptor_made(mask, fxi_syscall1(SYS_epoll_create1, EPOLL_CLOEXEC));
}

void fxi_epoll_close(int epoll)
{
    fxi_descriptor_close_noted(epoll);
}

static int control(int epoll, int operation, int fd, struct epoll_event *event)
{
    int rc = fxi_inject(FXI_INJECT_EPOLL);
    return rc != 0 ? rc : (int)fxi_syscall4(SYS_epoll_ctl, epoll, operation, fd, event);
}

int fxi_epoll_set(int epoll, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = { .events = events, .data.u64 = data };
    int rc = control(epoll, EPOLL_CTL_MOD, fd, &event);
    if (rc == 0)
        return 1;
    if (rc == -ENOENT)
        rc = control(epoll, EPOLL_CTL_ADD, fd, &event);
    return rc == -ENOSPC ? -ENOMEM : rc;
}

void fxi_epoll_remove(int epoll, int fd)
{
    fxi_syscall4(SYS_epoll_ctl, epoll, EPOLL_CTL_DEL, fd, 0);
}

bool fxi_epoll_pause(int epoll, int fd)
{
    struct epoll_event none = { .events = EPOLLONESHOT, .data.u64 = (uint64_t)fd };
    return fxi_syscall4(SYS_epoll_ctl, epoll, EPOLL_CTL_MOD, fd, &none) == 0;
}

/* Rounded up: no wait ends early. */
static int milliseconds(fx_nsec left)
{
    fx_nsec rounded = left / 1000000 + (left % 1000000 != 0);
    return rounded < INT_MAX ? (int)rounded : INT_MAX;
}

static long wait_until(int epoll, struct epoll_event *events, int most, fx_deadline deadline)
{
    static bool lacks_precise_wait; /* every writer writes the same */
    bool forever = deadline == FX_FOREVER;
    fx_nsec left = forever || deadline == 0 ? 0 : deadline - fx_now();
    left = left > 0 ? left : 0;
    struct timespec time = { .tv_sec = left / 1000000000, .tv_nsec = left % 1000000000 };
    /* Valgrind does not know it, and says so each time. */
    if (!fxi_load_relaxed(&lacks_precise_wait) && !fxi_runs_on_valgrind()) {
        long rc = fxi_syscall6(SYS_epoll_pwait2, epoll, (long)events, most,
                               forever ? 0 : (long)&time, 0, 0);
        if (rc != -ENOSYS)
            return rc;
        fxi_store_relaxed(&lacks_precise_wait, true);
    }
    return fxi_syscall6(SYS_epoll_pwait, epoll, (long)events, most,
                        forever ? -1 : milliseconds(left), 0, 0);
}

int fxi_epoll_wait(int epoll, struct epoll_event *events, int most, fx_deadline deadline)
{
    long rc = fxi_inject(FXI_INJECT_EPOLL);
    if (rc == 0)
        rc = wait_until(epoll, events, most, deadline);
    return rc > 0 ? (int)rc : 0; /* -EINTR, and nothing else */
}

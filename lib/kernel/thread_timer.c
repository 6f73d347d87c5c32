#include "kernel/thread_timer.h"

#include <signal.h>
#include <time.h>

#include "kernel/clone.h"
#include "kernel/inject.h"
#include "kernel/syscall.h"

/* What libc's header names by a macro that some versions lack. */
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static int make(struct fxi_thread_timer *timer, int number, void *value)
{
    struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID,
                              .sigev_signo = number,
                              .sigev_value.sival_ptr = value };
    event.sigev_notify_thread_id = fxi_gettid();
    long rc = fxi_inject(FXI_INJECT_SIGNAL);
    if (rc == 0)
        rc = fxi_syscall3(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer->id);
    timer->is_made = rc == 0;
    return (int)rc; /* 0, -EAGAIN or -ENOMEM: the arguments are right */
}

static struct timespec timespec_of(int64_t nanoseconds)
{
    return (struct timespec){ .tv_sec = nanoseconds / 1000000000,
                              .tv_nsec = nanoseconds % 1000000000 };
}

static void set(struct fxi_thread_timer *timer, int64_t after, int64_t every)
{
    struct itimerspec times = { .it_value = timespec_of(after), .it_interval = timespec_of(every) };
    fxi_syscall4(SYS_timer_settime, timer->id, 0, &times, 0); /* cannot fail: the same */
}

int fxi_thread_timer_set(struct fxi_thread_timer *timer, int number, void *value, int64_t after,
                         int64_t every)
{
    int rc = timer->is_made ? 0 : make(timer, number, value);
    if (rc == 0)
        set(timer, after, every);
    return rc;
}

void fxi_thread_timer_unset(struct fxi_thread_timer *timer)
{
    set(timer, 0, 0);
}

void fxi_thread_timer_delete(struct fxi_thread_timer *timer)
{
    if (timer->is_made)
        fxi_syscall1(SYS_timer_delete, timer->id);
    timer->is_made = false;
}

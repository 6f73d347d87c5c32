/* A timer whose signal goes to the calling thread: timer_create(2) with SIGEV_THREAD_ID, without libc,
 * so that all of it may be called in a signal handler. */
#ifndef FXI_KERNEL_THREAD_TIMER_H
#define FXI_KERNEL_THREAD_TIMER_H

#include <stdbool.h>
#include <stdint.h>

struct fxi_thread_timer {
    bool is_made;
    int id;
};

/* Makes it, where that was not done yet, and sets it to send `number` with `value` after that many
 * nanoseconds, 1 at least, and then every so many; 0: once. 0; -EAGAIN: the process has used up its
 * timers or queued signals; -ENOMEM. */
int fxi_thread_timer_set(struct fxi_thread_timer *timer, int number, void *value, int64_t after,
                         int64_t every);

/* One that is set sends nothing from here on, if its signal is not blocked. */
void fxi_thread_timer_unset(struct fxi_thread_timer *timer);

/* Before the thread ends. */
void fxi_thread_timer_delete(struct fxi_thread_timer *timer);

#endif

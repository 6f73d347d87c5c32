/* The signal mask and the alternate stack of the calling thread, as the kernel has them.
 *
 * libc's functions refuse to block signals 32 and 33, which it keeps for itself; the library has to
 * block 32, by which pthread_cancel() works, for moments. Signal 33 is never blocked: by it setuid()
 * and its family reach every thread while they hold libc's lock of the thread list, so that a thread
 * which waited with 33 blocked for that lock, or for one whose holder waits for it, would wait for
 * ever. What runs at 33 is libc's alone and needs no more than a TCB. */
#ifndef FXI_KERNEL_SIGNAL_H
#define FXI_KERNEL_SIGNAL_H

#include <stddef.h>
#include <stdint.h>

typedef uint64_t fxi_sigmask; /* bit n - 1 for signal n */

#define FXI_SIGNAL_SETXID 33
#define FXI_SIGNAL_BIT(number) ((fxi_sigmask)1 << ((number) - 1))
#define FXI_SIGNALS_BUT_SETXID (~FXI_SIGNAL_BIT(FXI_SIGNAL_SETXID))

/* Sets the calling thread's mask and returns the former one. */
fxi_sigmask fxi_signals_set(fxi_sigmask mask);

/* Unblocks one signal, and returns the former mask. */
fxi_sigmask fxi_signal_open(int number);

/* Queues a signal with a value for a thread of this process. 0; -EAGAIN: the queue is full
 * (RLIMIT_SIGPENDING); -ESRCH: there is no such thread. */
int fxi_signal_queue(int thread_id, int number, void *value);

/* Gives the calling thread an alternate signal stack; NULL takes it away. */
void fxi_signals_set_stack(void *base, size_t size);

#endif

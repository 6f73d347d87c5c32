/* futex(2), typed: every outcome has a name.
 *
 * Words are 32 bits and, but for the one call that says otherwise, private to the process. A wake
 * may come without cause (a word reused by others), so whoever waits looks again. */
#ifndef FXI_KERNEL_FUTEX_H
#define FXI_KERNEL_FUTEX_H

#include <fxthread/duration.h>

enum fxi_futex_outcome {
    FXI_FUTEX_WOKEN,      /* a wake, perhaps one without cause */
    FXI_FUTEX_CHANGED,    /* the word was not `expected` */
    FXI_FUTEX_INTERRUPTED, /* a signal handler ran */
    FXI_FUTEX_TIMED_OUT   /* the deadline is past */
};

/* Sleeps while *word is `expected`, until the deadline. */
enum fxi_futex_outcome fxi_futex_wait(const uint32_t *word, uint32_t expected, fx_deadline deadline);

/* Wakes at most n of those who sleep on the word. The word's memory may be gone already. */
void fxi_futex_wake(const uint32_t *word, int n);

/* The same two for a sleeper that may be handed on to the word that the kernel clears at a thread's
 * end (clone's child_tid): the kernel's wake there is not private, so neither is this wait. */
enum fxi_futex_outcome fxi_futex_wait_shared(const uint32_t *word, uint32_t expected,
                                             fx_deadline deadline);
void fxi_futex_wake_shared(const uint32_t *word, int n);

/* Lets whoever sleeps on `from` (in fxi_futex_wait_shared) be woken by the next wake of `to`. Who is
 * about to sleep there does not: `from` has been changed before. */
void fxi_futex_hand_on(const uint32_t *from, const uint32_t *to);

#endif

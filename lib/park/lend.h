/* Lending the processor out while waiting for something that others, which may need this processor for
 * it, are about to do: a switch to another thread and back, where a sleep would cost a switch and, the
 * waker, a system call. But where threads that have nothing to do with it are runnable, they get the
 * processor for a whole slice of time, and then to sleep is better, for who is woken comes before them.
 * Whether that is so is learnt from the last times: each time in a row that a loan took long, more waits
 * go without any. */
#ifndef FXI_PARK_LEND_H
#define FXI_PARK_LEND_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include <fxthread/duration.h>

#define FXI_LOAN_LONG FX_USEC(50)
#define FXI_LOAN_SKIPS_MIN 64
#define FXI_LOAN_SKIPS_MAX 4096

/* Of one thread, and of one kind of wait. All-zero bytes to begin with. */
struct fxi_loans {
    uint16_t skips; /* so many waits make none */
    uint16_t dear;  /* what that was set to last, less for each wait in which loans paid since */
};

/* Before the first loan of a wait: whether there is to be any. */
static inline bool fxi_loans_begin(struct fxi_loans *loans)
{
    if (loans->skips == 0)
        return true;
    loans->skips--;
    return false;
}

/* Lends it out once. False: it took long, and the wait makes no more loans. */
static inline bool fxi_lend(struct fxi_loans *loans)
{
    fx_deadline before = fx_now();
    sched_yield();
    if (fx_now() - before < FXI_LOAN_LONG)
        return true;
    unsigned skips = 4 * (unsigned)loans->dear + FXI_LOAN_SKIPS_MIN;
    loans->dear = (uint16_t)(skips < FXI_LOAN_SKIPS_MAX ? skips : FXI_LOAN_SKIPS_MAX);
    loans->skips = loans->dear;
    return false;
}

/* What was waited for has come after loans, none of which took long. */
static inline void fxi_loans_paid(struct fxi_loans *loans)
{
    loans->dear /= 2;
}

#endif

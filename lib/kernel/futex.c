#include "kernel/futex.h"

#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <time.h>

#include "base/panic.h"
#include "kernel/inject.h"
#include "kernel/syscall.h"

static enum fxi_futex_outcome wait(const uint32_t *word, uint32_t expected, fx_deadline deadline,
                                   int operation)
{
    if (deadline < 0 && deadline != FX_FOREVER)
        deadline = 0; /* past, as the clock begins at 0 */
    struct timespec until = { .tv_sec = deadline / 1000000000, .tv_nsec = deadline % 1000000000 };
    long rc = fxi_inject(FXI_INJECT_FUTEX_WAIT);
    if (rc == 0)
        rc = fxi_syscall6(SYS_futex, (long)word, operation, (long)expected,
                          deadline == FX_FOREVER ? 0 : (long)&until, 0, FUTEX_BITSET_MATCH_ANY);
    switch (rc) {
    case 0:
        return FXI_FUTEX_WOKEN;
    case -EAGAIN:
        return FXI_FUTEX_CHANGED;
    case -EINTR:
        return FXI_FUTEX_INTERRUPTED;
    case -ETIMEDOUT:
        return FXI_FUTEX_TIMED_OUT;
    case -EFAULT: /* the word's object was unmapped under its waiter */
    case -EINVAL: /* misaligned word, or a deadline this file computed wrongly */
    case -ENOSYS: /* configure requires Linux 5.15 */
    default:
        fxi_panic("futex wait on memory that is gone or misaligned: an object was freed while a "
                  "thread waited on it");
    }
}

/* FUTEX_WAIT_BITSET rather than FUTEX_WAIT: its timeout is an absolute point of CLOCK_MONOTONIC. */
enum fxi_futex_outcome fxi_futex_wait(const uint32_t *word, uint32_t expected, fx_deadline deadline)
{
    return wait(word, expected, deadline, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG);
}

enum fxi_futex_outcome fxi_futex_wait_shared(const uint32_t *word, uint32_t expected,
                                             fx_deadline deadline)
{
    return wait(word, expected, deadline, FUTEX_WAIT_BITSET);
}

/* Outcomes of a wake: a count; -EFAULT or -EINVAL where the woken one has already given up the
 * memory, which is legal and means that nobody sleeps there. */
static void wake(const uint32_t *word, int n, int operation)
{
    if (fxi_inject(FXI_INJECT_FUTEX_WAKE) == 0)
        fxi_syscall3(SYS_futex, word, operation, n);
}

void fxi_futex_wake(const uint32_t *word, int n)
{
    wake(word, n, FUTEX_WAKE | FUTEX_PRIVATE_FLAG);
}

void fxi_futex_wake_shared(const uint32_t *word, int n)
{
    wake(word, n, FUTEX_WAKE);
}

void fxi_futex_hand_on(const uint32_t *from, const uint32_t *to)
{
    /* The same outcomes. */
    fxi_syscall6(SYS_futex, (long)from, FUTEX_REQUEUE, 0, 1, (long)to, 0);
}

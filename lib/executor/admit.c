/* How many tasks may wait to begin.
 *
 * State, the word `pending`: twice the number of places taken, and bit 0: a submitter may be parked
 *   at it. The bit is set, and cleared, under the bucket's lock.
 * Wake rule: who gives a place back and finds the bit wakes the first submitter. Others may take
 *   the place before it; it then waits again, behind them, until its own deadline. Whoever shuts
 *   the executor changes the condition, and then wakes all. */
#include "executor/admit.h"

#include <errno.h>

#include "park/park.h"

enum { WAITERS = 1, PLACE = 2 };

static bool is_full(const fx_executor *executor, size_t word)
{
    return word / PLACE >= executor->max_pending;
}

static bool take_place(fx_executor *executor)
{
    size_t word = fxi_load_relaxed(&executor->pending);
    /* relaxed: a count, on which no other memory hangs */
    while (!is_full(executor, word))
        if (fxi_cas_relaxed(&executor->pending, &word, word + PLACE))
            return true;
    return false;
}

/* Under the bucket's lock: announces a waiter, unless there is room. */
static bool must_wait(const void *arg)
{
    fx_executor *executor = *(fx_executor *const *)arg;
    size_t word = fxi_load_relaxed(&executor->pending);
    do {
        if (!is_full(executor, word) || fxi_executor_refusal(executor) != 0)
            return false;
    } while (!(word & WAITERS) && !fxi_cas_relaxed(&executor->pending, &word, word | WAITERS));
    return true;
}

static int wait_for_place(fx_executor *executor)
{
    fx_deadline deadline = executor->full_timeout == 0 ? FX_FOREVER
                                                       : fx_deadline_after(executor->full_timeout);
    while (!take_place(executor)) {
        int rc = fxi_executor_refusal(executor);
        if (rc == 0)
            rc = fxi_park(&executor->pending, must_wait, &executor, deadline);
        if (rc != 0 && rc != -EAGAIN)
            return rc;
    }
    return 0;
}

int fxi_executor_admit(fx_executor *executor)
{
    if (take_place(executor))
        return 0;
    if (executor->ops->catch_up) {
        executor->ops->catch_up(executor);
        if (take_place(executor))
            return 0;
    }
    int rc = fxi_executor_refusal(executor);
    if (rc != 0)
        return rc;
    switch (executor->when_full) {
    case FX_FULL_BLOCK:
        return wait_for_place(executor);
    case FX_FULL_RUN:
        return FXI_ADMIT_RUN_HERE;
    case FX_FULL_REFUSE:
        break;
    }
    return -EAGAIN;
}

struct choice {
    fx_executor *executor;
    bool is_made;
};

static enum fxi_choice choose_first(struct fxi_waiter *waiter, void *arg)
{
    struct choice *choice = arg;
    (void)waiter;
    if (choice->is_made)
        return FXI_CHOICE_STOP;
    choice->is_made = true;
    return FXI_CHOICE_WAKE;
}

static void note_remaining(bool remain, void *arg)
{
    struct choice *choice = arg;
    if (!remain)
        fxi_and_relaxed(&choice->executor->pending, ~(size_t)WAITERS);
}

void fxi_executor_vacate(fx_executor *executor)
{
    struct choice choice = { executor, false };
    if (__atomic_fetch_sub(&executor->pending, (size_t)PLACE, __ATOMIC_RELAXED) & WAITERS)
        fxi_unpark_chosen(&executor->pending, choose_first, note_remaining, &choice);
}

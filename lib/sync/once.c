/* Something done once.
 *
 * Guarantee: of all functions given, one returns, once; who finds it done sees what it wrote. One
 *   that did not return is as though it had not been called.
 * State, the word:
 *     0           NEW
 *     1           DONE, for ever
 *     bit 1 set   RUNNING: bit 2, somebody may wait; bits 3-31, the number of the runner's context
 *     NEW -> RUNNING by a compare-and-swap; RUNNING -> DONE or, where fn did not return, -> NEW by
 *     the runner's exchange
 * Wake rule: a waiter sets bit 2 in a RUNNING word, and queues, in one holding of the bucket's
 *   lock; the runner's exchange either comes before that, and the waiter sees its result, or finds
 *   the bit, and then the waiter. All are woken: if it is done, all may go on; if not, each may be
 *   the next runner, and the others queue again.
 * Lifetime: the runner's last touch is its exchange.
 * Limits: after a fork that another thread's run was under way in, nobody ends it in the child. */
#include <fxthread/once.h>

#include <errno.h>

#include "base/atomic.h"
#include "context/number.h"
#include "park/park.h"
#include "stop/stop.h"
#include "stop/callback.h"

enum { NEW = 0, DONE = 1, RUNNING = 2, WAITERS = 4, RUNNER_SHIFT = 3 };

static void end_run(fx_once *once, uint32_t outcome)
{
    /* release: pairs with the acquire in fx_once_call of those that see DONE */
    if (fxi_exchange_release(&once->word, outcome) & WAITERS)
        fxi_unpark(once, SIZE_MAX);
}

static void give_up(void *once)
{
    end_run(once, NEW);
}

struct waiting {
    fx_once *once;
};

static bool must_wait(const void *arg)
{
    fx_once *once = ((const struct waiting *)arg)->once;
    uint32_t word = fxi_load_relaxed(&once->word);
    do {
        if (!(word & RUNNING))
            return false;
    } while (!(word & WAITERS) && !fxi_cas_relaxed(&once->word, &word, word | WAITERS));
    return true;
}

int fx_once_call_slowly(fx_once *once, fx_callback fn, void *arg)
{
    uint32_t number = fxi_self_number();
    if (number == 0)
        return -ENOMEM;
    uint32_t running = number << RUNNER_SHIFT | RUNNING, word;
    /* acquire: pairs with the release in end_run */
    while ((word = fxi_load_acquire(&once->word)) != DONE) {
        if (!fn)
            return -EINVAL;
        if ((word & ~(uint32_t)WAITERS) == running)
            return -EDEADLK;
        if (word == NEW && fxi_cas_acquire(&once->word, &word, running)) {
            fxi_callback_run(fn, arg, give_up, once);
            end_run(once, DONE);
            return 0;
        }
        if (!(word & RUNNING))
            continue;
        int rc = fxi_park(once, must_wait, &(struct waiting){ once }, FX_FOREVER);
        if (rc != 0 && rc != -EAGAIN)
            return fxi_stop_point(rc);
    }
    return 0;
}

int fx_once_call(fx_once *once, fx_callback fn, void *arg)
{
    return fx_once_call_slowly(once, fn, arg);
}

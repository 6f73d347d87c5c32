/* Semaphores, bounded or not.
 *
 * Guarantee: units are handed to those who wait in the order in which they came; a caller that does
 *   not wait takes one only while nobody waits. The value never rises above the bound, nor,
 *   unbounded, above FX_SEMAPHORE_MAX.
 * State, the word:
 *     bit 0     WAITERS: somebody may wait. Set by a waiter; cleared by a release, or by the last
 *               one to time out; all under the bucket's lock
 *     bits 1-31 the value; it is 0 while anybody waits
 *   A value above 0 falls by a compare-and-swap anywhere. It rises by one while WAITERS is not set,
 *   and else under the bucket's lock, by what is left over when all who waited have got a unit.
 * Wake rule: a waiter sets WAITERS in a word whose value is 0, and queues, in one holding of the
 *   bucket's lock. A release either comes before that, and the waiter sees the value; or it finds
 *   WAITERS, takes the bucket's lock and finds the waiter. It wakes exactly as many as it has
 *   units: each has one in hand, so nobody is woken for nothing and no unit waits for a sleeper.
 * Lifetime: a release touches the semaphore last under the bucket's lock, before it wakes anybody.
 * Limits: a unit in the hands of a waiter that has not run yet is idle for that time; strict order
 *   is worth that here, and fx_lock is for the other bargain. */
#include <fxthread/semaphore.h>

#include <errno.h>

#include "base/atomic.h"
#include "park/park.h"
#include "stop/stop.h"
#include "sync/deadline.h"

enum { WAITERS = 1, UNIT = 2 };

static uint32_t value_of(uint32_t word)
{
    return word / UNIT;
}

static uint32_t bound_of(const fx_semaphore *semaphore)
{
    return FX_SEMAPHORE_MAX - semaphore->below;
}

int fx_semaphore_init(fx_semaphore *semaphore, uint32_t value)
{
    if (value > FX_SEMAPHORE_MAX)
        return -EINVAL;
    *semaphore = (fx_semaphore)FX_SEMAPHORE_INIT(value);
    return 0;
}

int fx_bounded_semaphore_init(fx_semaphore *semaphore, uint32_t value)
{
    if (value > FX_SEMAPHORE_MAX)
        return -EINVAL;
    *semaphore = (fx_semaphore)FX_BOUNDED_SEMAPHORE_INIT(value);
    return 0;
}

uint32_t fx_semaphore_value(const fx_semaphore *semaphore)
{
    return value_of(fxi_load_relaxed(&semaphore->word));
}

bool fx_semaphore_try_acquire(fx_semaphore *semaphore)
{
    uint32_t word = fxi_load_relaxed(&semaphore->word);
    while (value_of(word) > 0)
        /* acquire: pairs with the release that gave the unit */
        if (fxi_cas_acquire(&semaphore->word, &word, word - UNIT))
            return true;
    return false;
}

/* Under the bucket's lock: takes a unit that has come meanwhile, or announces a waiter. */
static bool must_wait(const void *arg)
{
    fx_semaphore *semaphore = *(fx_semaphore *const *)arg;
    do {
        uint32_t word = 0;
        if (fx_semaphore_try_acquire(semaphore))
            return false;
        if (fxi_cas_relaxed(&semaphore->word, &word, WAITERS) || word == WAITERS)
            return true;
    } while (true);
}

static void left(bool others, void *arg)
{
    fx_semaphore *semaphore = *(fx_semaphore **)arg;
    if (!others)
        fxi_and_relaxed(&semaphore->word, ~(uint32_t)WAITERS);
}

int fx_semaphore_acquire_until(fx_semaphore *semaphore, fx_deadline deadline)
{
    if (fx_semaphore_try_acquire(semaphore))
        return 0;
    if (fxi_deadline_is_past(deadline))
        return -ETIMEDOUT;
    struct fxi_wait wait = { .address = semaphore,
                             .condition = must_wait,
                             .left = left,
                             .arg = &semaphore,
                             .deadline = deadline,
                             .spins = true };
    int rc = fxi_park_wait(&wait, NULL);
    return rc == -EAGAIN ? 0 : fxi_stop_point(rc); /* chosen: with a unit; not to wait: it took one */
}

int fx_semaphore_acquire_for(fx_semaphore *semaphore, fx_nsec timeout)
{
    return fx_semaphore_try_acquire(semaphore)
               ? 0
               : fx_semaphore_acquire_until(semaphore, fx_deadline_after(timeout));
}

int fx_semaphore_acquire(fx_semaphore *semaphore)
{
    return fx_semaphore_acquire_until(semaphore, FX_FOREVER);
}

struct giving {
    fx_semaphore *semaphore;
    uint32_t units; /* not given yet */
    int rc;
};

static enum fxi_choice give_one(struct fxi_waiter *waiter, void *arg)
{
    struct giving *giving = arg;
    (void)waiter;
    if (giving->units == 0)
        return FXI_CHOICE_STOP;
    giving->units--;
    return FXI_CHOICE_WAKE;
}

/* What is left over becomes value. If anybody was given a unit the value is 0 here, and what is
 * left is within the bound, as all of it was; if nobody waited, it is as in a release without
 * waiters. */
static void keep_rest(bool remain, void *arg)
{
    struct giving *giving = arg;
    fx_semaphore *semaphore = giving->semaphore;
    uint32_t word = fxi_load_relaxed(&semaphore->word), next;
    do {
        if (giving->units > bound_of(semaphore) - value_of(word)) {
            giving->rc = -EOVERFLOW;
            return;
        }
        next = (word & ~(uint32_t)WAITERS) + UNIT * giving->units + (remain ? WAITERS : 0);
        /* release: pairs with the acquire of whoever takes a unit */
    } while (!__atomic_compare_exchange_n(&semaphore->word, &word, next, true, __ATOMIC_RELEASE,
                                          __ATOMIC_RELAXED));
}

int fx_semaphore_release_slowly(fx_semaphore *semaphore, uint32_t n)
{
    if (n == 0)
        return -EINVAL;
    if (n > bound_of(semaphore))
        return -EOVERFLOW;
    struct giving giving = { semaphore, n, 0 };
    fxi_unpark_chosen(semaphore, give_one, keep_rest, &giving);
    return giving.rc;
}

int fx_semaphore_release(fx_semaphore *semaphore, uint32_t n)
{
    uint32_t word = fxi_load_relaxed(&semaphore->word);
    while (!(word & WAITERS) && n - 1 < bound_of(semaphore) - value_of(word))
        /* release: as in keep_rest */
        if (__atomic_compare_exchange_n(&semaphore->word, &word, word + UNIT * n, true,
                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED))
            return 0;
    return fx_semaphore_release_slowly(semaphore, n);
}

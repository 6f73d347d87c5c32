/* Events.
 *
 * Guarantee: a set wakes everybody who began to wait before it, and nobody who begins after a clear
 *   that follows it: waiters are chosen and the word is changed in one step.
 * State, the word:
 *     bit 0 SET       the flag; set under the bucket's lock where WAITERS is set, else by a
 *                     compare-and-swap; cleared by fx_event_clear
 *     bit 1 WAITERS   somebody may wait. Set by a waiter, cleared by the set that wakes all and by
 *                     the last one to time out, all under the bucket's lock. Never together with
 *                     SET.
 *     0 -> WAITERS, 0 <-> SET, WAITERS -> SET, WAITERS -> 0
 * Wake rule: a waiter sets WAITERS by a compare-and-swap from a word without SET, and queues, in
 *   one holding of the bucket's lock. A set either comes before that, and the waiter sees SET; or
 *   its compare-and-swap fails on WAITERS, and it takes the bucket's lock and finds the waiter. All
 *   are woken, as the flag is for all.
 * Lifetime: a set touches the event last in its compare-and-swap or under the bucket's lock, before
 *   it wakes anybody: who was woken may free it.
 * Limits: none. */
#include <fxthread/event.h>

#include <errno.h>

#include "base/atomic.h"
#include "park/park.h"
#include "stop/stop.h"
#include "sync/deadline.h"

enum { SET = 1, WAITERS = 2 };

bool fx_event_is_set(const fx_event *event)
{
    return (fxi_load_acquire(&event->word) & SET) != 0; /* acquire: pairs with fx_event_set */
}

int fx_event_clear(fx_event *event)
{
    /* acquire: what came before the set that is taken back is seen after it */
    __atomic_fetch_and(&event->word, ~(uint32_t)SET, __ATOMIC_ACQUIRE);
    return 0;
}

static enum fxi_choice choose_all(struct fxi_waiter *waiter, void *arg)
{
    (void)waiter;
    (void)arg;
    return FXI_CHOICE_WAKE;
}

static void become_set(bool remain, void *arg)
{
    fx_event *event = arg;
    (void)remain;
    fxi_exchange_release(&event->word, SET); /* release: as below */
}

int fx_event_set(fx_event *event)
{
    uint32_t word = fxi_load_relaxed(&event->word);
    while (!(word & WAITERS))
        /* release: pairs with the acquire in fx_event_is_set; stored anew where it is set already,
         * since what this thread did before is to be seen, too */
        if (__atomic_compare_exchange_n(&event->word, &word, SET, true, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED))
            return 0;
    fxi_unpark_chosen(event, choose_all, become_set, event);
    return 0;
}

/* Under the bucket's lock: announces a waiter, unless it is set. */
static bool must_wait(const void *arg)
{
    fx_event *event = *(fx_event *const *)arg;
    uint32_t word = fxi_load_relaxed(&event->word);
    do {
        if (word & (SET | WAITERS))
            return !(word & SET);
    } while (!fxi_cas_relaxed(&event->word, &word, WAITERS));
    return true;
}

static void left(bool others, void *arg)
{
    fx_event *event = *(fx_event **)arg;
    if (!others)
        fxi_and_relaxed(&event->word, ~(uint32_t)WAITERS);
}

int fx_event_wait_until(fx_event *event, fx_deadline deadline)
{
    /* Chosen: it was set, whether it still is or not. Not to wait: it is, and the loop's load sees
     * what came before. Cleared again in between: it waits. */
    while (!fx_event_is_set(event)) {
        if (fxi_deadline_is_past(deadline))
            return -ETIMEDOUT;
        struct fxi_wait wait = { .address = event,
                                 .condition = must_wait,
                                 .left = left,
                                 .arg = &event,
                                 .deadline = deadline,
                                 .spins = true };
        int rc = fxi_park_wait(&wait, NULL);
        if (rc != -EAGAIN)
            return fxi_stop_point(rc);
    }
    return 0;
}

int fx_event_wait_for(fx_event *event, fx_nsec timeout)
{
    return fx_event_is_set(event) ? 0 : fx_event_wait_until(event, fx_deadline_after(timeout));
}

int fx_event_wait(fx_event *event)
{
    return fx_event_wait_until(event, FX_FOREVER);
}

/* Barriers.
 *
 * Guarantee: a round ends for all its parties in the same way: all pass, after the action has
 *   returned in the last to arrive; or none does, the one that timed out being told so. Who arrives
 *   later than that belongs to another round.
 * State, the word:
 *     bit 0      PARKED: somebody may be parked; set under the bucket's lock, cleared with the
 *                round
 *     bit 1      BROKEN
 *     bit 2      FULL: all have arrived, and the last one is in the action
 *     bit 3      RESETTING: those of the round are leaving, and the last of them begins a new one
 *     bits 4-31  how many have arrived in this round and, where it failed, have not left
 *     bits 32-63 the round
 *   round r, arrived < parties - 1
 *     -> arrived + 1                    another arrives and waits
 *     -> round r + 1, arrived 0         the last arrives; with an action, FULL comes in between
 *     -> BROKEN                         a timeout (not while FULL), an abort, an action that raised
 *     BROKEN or not -> RESETTING        a reset while any have arrived; else -> 0 at once
 *     BROKEN, RESETTING: arrived - 1    as each leaves; RESETTING and 0: -> round r + 1, arrived 0
 *   A round that succeeds is left by counting it up alone, without a step for each party; one that
 *   failed is counted up only when all have left. So a party of round r that sees another round has
 *   passed, and one that sees round r and BROKEN or RESETTING has not.
 * Wake rule: whoever parks sets PARKED under the bucket's lock in a word that still tells it to
 *   wait. Whoever changes that word so that it tells otherwise sees PARKED in the value that it
 *   replaced, or the waiter's compare-and-swap fails and it looks again. All are woken, since all
 *   may go on.
 * Lifetime: a party of a round that succeeds touches the barrier last when it sees the new round:
 *   the last to arrive only names its address after that. It may be freed by who knows that all
 *   parties have returned.
 * Limits: rounds are counted in 32 bits: a party that does not run while 2^32 rounds pass without
 *   it would wait for another one.
 * Source: Python's threading.Barrier, for the meaning. */
#include <fxthread/barrier.h>

#include <errno.h>

#include "base/atomic.h"
#include "park/lend.h"
#include "park/park.h"
#include "park/spin.h"
#include "stop/stop.h"
#include "stop/callback.h"
#include "sync/deadline.h"

#define PARKED ((uint64_t)1)
#define BROKEN ((uint64_t)2)
#define FULL ((uint64_t)4)
#define RESETTING ((uint64_t)8)
#define FAILED (BROKEN | RESETTING)
#define ONE_ARRIVED ((uint64_t)16)
#define ONE_ROUND ((uint64_t)1 << 32)

static uint32_t arrived_of(uint64_t state)
{
    return (uint32_t)state / (uint32_t)ONE_ARRIVED;
}

static uint64_t round_of(uint64_t state)
{
    return state & ~(ONE_ROUND - 1);
}

static uint64_t next_round(uint64_t state)
{
    return round_of(state) + ONE_ROUND;
}

int fx_barrier_init(fx_barrier *barrier, uint32_t parties, fx_callback action, void *arg)
{
    if (parties == 0 || parties > FX_BARRIER_MAX)
        return -EINVAL;
    *barrier = (fx_barrier){ .parties = parties, .action = action, .arg = arg };
    return 0;
}

/* acq_rel, wherever the word changes: what each party did before it arrived comes before what
 * anyone does who sees that all have. */
static bool replace(fx_barrier *barrier, uint64_t *state, uint64_t next)
{
    return fxi_cas_acq_rel(&barrier->state, state, next);
}

static void wake_parked(fx_barrier *barrier, uint64_t replaced)
{
    if (replaced & PARKED)
        fxi_unpark(barrier, SIZE_MAX);
}

/* --- waiting for the word to change ----------------------------------------------------------- */

/* What a caller waits for: that the word is of another round, or has one of these bits, or lacks
 * one of those. */
struct awaited {
    fx_barrier *barrier;
    uint64_t round;
    uint64_t until_any; /* bits */
    uint64_t while_any; /* bits; 0: none is needed to go on waiting */
};

static bool goes_on(const struct awaited *awaited, uint64_t state)
{
    return round_of(state) == awaited->round && !(state & awaited->until_any) &&
           (awaited->while_any == 0 || (state & awaited->while_any));
}

static bool must_wait(const void *arg)
{
    const struct awaited *awaited = arg;
    uint64_t *word = &awaited->barrier->state, state = fxi_load_relaxed(word);
    do {
        if (!goes_on(awaited, state))
            return false;
    } while (!(state & PARKED) && !fxi_cas_relaxed(word, &state, state | PARKED));
    return true;
}

/* The others need a moment. Where each party can have a processor of its own it is worth looking
 * for it; but those that have not arrived may need this one's, and lending it out is cheaper than a
 * sleep, which costs the last to arrive a system call for each sleeper. */
static void spin(const struct awaited *awaited)
{
    enum { LOOKS = 50, LOANS = 40 };
    static _Thread_local struct fxi_loans loans;
    const uint64_t *state = &awaited->barrier->state;
    bool crowded = awaited->barrier->parties > (uint32_t)fxi_processors();
    for (int i = crowded ? LOOKS : 0; i < LOOKS; i++) {
        if (!goes_on(awaited, fxi_load_relaxed(state)))
            return;
        fxi_cpu_relax();
    }
    if (!goes_on(awaited, fxi_load_relaxed(state)) || !fxi_loans_begin(&loans))
        return;
    for (int i = 0; i < LOANS && fxi_lend(&loans); i++)
        if (!goes_on(awaited, fxi_load_relaxed(state))) {
            fxi_loans_paid(&loans);
            return;
        }
}

/* 0 when it has come; -ETIMEDOUT. */
static int await(const struct awaited *awaited, fx_deadline deadline)
{
    spin(awaited);
    /* acquire: pairs with the release in `replace` */
    while (goes_on(awaited, fxi_load_acquire(&awaited->barrier->state))) {
        if (fxi_deadline_is_past(deadline))
            return -ETIMEDOUT;
        int rc = fxi_park(awaited->barrier, must_wait, awaited, deadline);
        if (rc != 0 && rc != -EAGAIN && rc != -ETIMEDOUT)
            return rc;
    }
    return 0;
}

/* --- failing ---------------------------------------------------------------------------------- */

/* One of a round that failed leaves: `also` are bits to clear with it. */
static void leave(fx_barrier *barrier, uint64_t also)
{
    uint64_t state = fxi_load_relaxed(&barrier->state), next;
    do {
        next = (state & ~also) - ONE_ARRIVED;
        if (arrived_of(next) == 0 && (next & RESETTING))
            next = next_round(state);
    } while (!replace(barrier, &state, next));
    /* The last one of a reset: whoever has come meanwhile waits for that. */
    if (round_of(next) != round_of(state))
        wake_parked(barrier, state);
}

int fx_barrier_abort(fx_barrier *barrier)
{
    uint64_t state = fxi_load_relaxed(&barrier->state);
    while (!replace(barrier, &state, (state | BROKEN) & ~RESETTING))
        ;
    wake_parked(barrier, state);
    return 0;
}

int fx_barrier_reset(fx_barrier *barrier)
{
    uint64_t state = fxi_load_relaxed(&barrier->state), next;
    do {
        next = arrived_of(state) == 0 ? round_of(state) : (state | RESETTING) & ~BROKEN;
    } while (!replace(barrier, &state, next));
    wake_parked(barrier, state);
    return 0;
}

/* --- waiting at it ---------------------------------------------------------------------------- */

/* A party of `round` that is not its last. */
static int wait_for_others(fx_barrier *barrier, uint64_t round, fx_deadline deadline)
{
    struct awaited end = { .barrier = barrier, .round = round, .until_any = FAILED };
    int rc = await(&end, deadline);
    uint64_t state = fxi_load_acquire(&barrier->state); /* acquire: as in await */
    while (round_of(state) == round) {
        if (state & FAILED) {
            leave(barrier, 0);
            return -EPIPE;
        }
        if (state & FULL) {
            rc = await(&end, FX_FOREVER);
            state = fxi_load_acquire(&barrier->state);
        } else if (replace(barrier, &state, (state | BROKEN) - ONE_ARRIVED)) {
            wake_parked(barrier, state);
            return rc == -ETIMEDOUT ? -EPIPE : rc; /* broken for this one, too */
        }
    }
    return 0;
}

/* The action did not return. A reset that came before that mends it already. */
static void break_full(void *arg)
{
    fx_barrier *barrier = arg;
    uint64_t state = fxi_load_relaxed(&barrier->state);
    while (!replace(barrier, &state, state & RESETTING ? state : state | BROKEN))
        ;
    wake_parked(barrier, state);
    leave(barrier, FULL);
}

/* The last party, which has made the word FULL. */
static int run_action(fx_barrier *barrier, int index)
{
    fxi_callback_run(barrier->action, barrier->arg, break_full, barrier);
    uint64_t state = fxi_load_relaxed(&barrier->state);
    do {
        if (state & FAILED) {
            leave(barrier, FULL);
            return -EPIPE;
        }
    } while (!replace(barrier, &state, next_round(state)));
    wake_parked(barrier, state);
    return index;
}

int fx_barrier_wait_until(fx_barrier *barrier, fx_deadline deadline)
{
    uint32_t parties = barrier->parties;
    if (parties == 0)
        return -EINVAL;
    if (!fxi_self())
        return -ENOMEM;
    uint64_t state = fxi_load_acquire(&barrier->state), next;
    for (;;) {
        if (state & BROKEN)
            return -EPIPE;
        if (state & (FULL | RESETTING)) {
            struct awaited room = { .barrier = barrier,
                                    .round = round_of(state),
                                    .until_any = BROKEN,
                                    .while_any = FULL | RESETTING };
            int rc = await(&room, deadline);
            if (rc != 0)
                return fxi_stop_point(rc);
            state = fxi_load_acquire(&barrier->state);
            continue;
        }
        bool last = arrived_of(state) == parties - 1;
        next = !last            ? state + ONE_ARRIVED
               : barrier->action ? (state + ONE_ARRIVED) | FULL
                                : next_round(state);
        if (replace(barrier, &state, next))
            break;
    }
    int index = (int)arrived_of(state);
    if (next & FULL)
        return run_action(barrier, index);
    if (round_of(next) != round_of(state)) {
        wake_parked(barrier, state);
        return index;
    }
    int rc = wait_for_others(barrier, round_of(state), deadline);
    return rc == 0 ? index : fxi_stop_point(rc);
}

int fx_barrier_wait_for(fx_barrier *barrier, fx_nsec timeout)
{
    return fx_barrier_wait_until(barrier, fx_deadline_after(timeout));
}

int fx_barrier_wait(fx_barrier *barrier)
{
    return fx_barrier_wait_until(barrier, FX_FOREVER);
}

bool fx_barrier_broken(const fx_barrier *barrier)
{
    return (fxi_load_acquire(&barrier->state) & BROKEN) != 0; /* acquire: as in await */
}

uint32_t fx_barrier_n_waiting(const fx_barrier *barrier)
{
    uint64_t state = fxi_load_relaxed(&barrier->state);
    return state & FAILED ? 0 : arrived_of(state);
}

uint32_t fx_barrier_parties(const fx_barrier *barrier)
{
    return barrier->parties;
}

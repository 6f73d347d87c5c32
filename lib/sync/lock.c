/* fx_lock.
 *
 * Guarantee: mutual exclusion; what a holder did is seen by the next one. A release with waiters
 *   lets one of them try for the lock, and running threads may be faster: that is where throughput
 *   comes from. But a waiter that has waited for STARVED is handed the lock, in the order of the
 *   queue, by a release that looks at the queue; while running threads keep the lock among
 *   themselves, each of them looks once in HAND_OVER_PAUSE, so that to hand over, which costs the
 *   time that the heir needs to wake, is not all that happens. Waiters are looked at in order, but
 *   one that was woken and tried in vain comes first. Not reentrant.
 * State: the word.
 *     NUMBER     bits 0 to 28: the holder's number, 0: free
 *     PARKED     bit 29: somebody is, or was a moment ago, in this lock's queue. Set and cleared
 *                under the bucket's lock.
 *     WAKING     bit 30: a waiter was woken to try; until it has the lock or parks again, releases
 *                wake nobody else. Set under the bucket's lock, cleared by that waiter.
 *     CONTENDED  bit 31: releases are compare-and-swaps. Set wherever PARKED or WAKING is; stays
 *                for some time after them, so that the next waiter finds it set.
 *
 *   from                  to                     by (B: under the bucket's lock)
 *   bits                  N bits                 acquire; the woken waiter clears WAKING
 *   N                     0                      release by N, in the header: check and store
 *   N                     N CONTENDED            B: a waiter, or a release by another thread;
 *                                                then the barrier
 *   N C                   N C PARKED             B: a waiter that parks
 *   N C PARKED            N C                    B: a waiter that leaves as the last one
 *   N C PARKED WAKING     N C PARKED             B: the woken waiter, which parks again
 *   N C [PARKED WAKING]   0 C [PARKED WAKING]    release, unless it has to look at the queue
 *   N C PARKED            0 C [PARKED] WAKING    B: release that woke one
 *   N C PARKED [WAKING]   M C [PARKED] [WAKING]  B: release that handed over to M
 *   N C PARKED            0 C                    B: release that found the queue empty
 *   N C                   0                      release, after many without contention
 *
 * The check and the store of a release in the header are a restartable sequence. A thread that is
 *   between them when another one sets CONTENDED would wipe that bit out. So whoever sets it in the
 *   word of another holder follows with the barrier of membarrier(2), after which no thread is in a
 *   sequence that it began before, and reads the word again: the bit is either gone, and all begins
 *   anew, or it stays. That happens under the bucket's lock, so that nobody relies on a bit whose
 *   barrier is still to come: whoever finds CONTENDED under the bucket's lock finds one that stays.
 *   An acquire that takes CONTENDED over needs no barrier: the holder is that thread itself. One
 *   barrier is paid for each time that CONTENDED is set, not for each wait.
 *
 * Wake rule: a free lock whose queue is not empty has WAKING set, and the waiter that it stands for
 *   is awake: it takes the lock (and its own release looks at the queue) or finds a holder, parks
 *   again and clears WAKING in one step with seeing that holder, whose release then looks at the
 *   queue. So one wake at a time is enough. PARKED may be set with an empty queue, never the
 *   reverse.
 * Lifetime: the last touch of the lock is the store or the compare-and-swap that frees it or, for
 *   the heir is woken later, what follows its being handed over under the bucket's lock. Wakes name
 *   only addresses. A waiter touches the lock only while it waits.
 * Limits: a thread that has no number for want of memory cannot acquire. */
#define FX_LOCK_INLINE FX_API
#include "sync/lock.h"

#include <errno.h>

#include "base/atomic.h"
#include "context/number.h"
#include "park/fence.h"
#include "park/park.h"
#include "park/spin.h"

enum {
    NUMBER = FX_LOCK_NUMBER,
    PARKED = 1 << 29,
    WAKING = 1 << 30,
};
#define CONTENDED (UINT32_C(1) << 31)

#define STARVED FX_MSEC(1)
#define HAND_OVER_PAUSE FX_MSEC(2)
#define RELEASES_BEFORE_LOOK 64
#define LONGEST_PAUSE 32

#ifndef FXI_INJECT
static const
#endif
struct fxi_lock_tuning fxi_lock_tuning = { .spins = 200, .calm_releases = 2000 };

/* Of the calling thread: how many releases of contended locks in a row have met no contention; how
 * many it made while a waiter was on its way; and when it last looked for starved waiters. */
static _Thread_local unsigned calm, passed;
static _Thread_local fx_deadline looked_at;

static bool is_free(uint32_t word)
{
    return (word & NUMBER) == 0;
}

static bool needs_wake(uint32_t word)
{
    return (word & (PARKED | WAKING)) == PARKED;
}

uint32_t fxi_lock_owner(const fx_lock *lock)
{
    return fxi_load_relaxed(&lock->word) & NUMBER;
}

bool fxi_lock_is_own(const fx_lock *lock)
{
    return fx_lock_self.number != 0 && fxi_lock_owner(lock) == fx_lock_self.number;
}

/* Under the bucket's lock. Sees to it that the holder's release will not be a plain store; the
 * word, free or CONTENDED. All orders are relaxed: the barrier orders more than any of them
 * could. */
static uint32_t set_contended(fx_lock *lock)
{
    uint32_t word = fxi_load_relaxed(&lock->word);
    while (!is_free(word) && !(word & CONTENDED)) {
        if (!fxi_cas_relaxed(&lock->word, &word, word | CONTENDED))
            continue;
        /* Where the kernel has no such barrier, no release is a plain store. */
        while (fxi_membarrier_works() && !fxi_membarrier_rseq())
            fxi_cpu_relax(); /* the kernel is out of memory for a moment */
        word = fxi_load_relaxed(&lock->word);
    }
    return word;
}

/* --- acquire ---------------------------------------------------------------------------------- */

/* A thread on its way to the lock. */
struct attempt {
    fx_lock *lock;
    uint32_t number;
    bool woken; /* WAKING stands for it */
};

static bool try_acquire(const struct attempt *attempt)
{
    fx_lock *lock = attempt->lock;
    uint32_t word = fxi_load_relaxed(&lock->word);
    while (is_free(word)) {
        uint32_t bits = attempt->woken ? word & ~(uint32_t)WAKING : word;
        /* acquire: pairs with the release in fx_lock_is_given_up_, in release_without_wake and in
         * free_or_hand_over */
        if (fxi_cas_acquire(&lock->word, &word, bits | attempt->number))
            return true;
    }
    return false;
}

/* Each look takes the word's cache line away from the holder, so they become rarer. */
static bool spin(const struct attempt *attempt)
{
    if (fxi_processors() == 1)
        return false;
    unsigned pause = 1;
    for (unsigned i = 0; i < fxi_lock_tuning.spins; i += pause) {
        pause = pause < LONGEST_PAUSE ? 2 * pause : pause;
        for (unsigned j = 0; j < pause; j++)
            fxi_cpu_relax();
        if (fxi_lock_owner(attempt->lock) == 0 && try_acquire(attempt))
            return true;
    }
    return false;
}

/* Under the bucket's lock: whether the lock is held, and then its release knows of a waiter. */
static bool is_held_and_told(const void *arg)
{
    const struct attempt *attempt = arg;
    fx_lock *lock = attempt->lock;
    uint32_t word = set_contended(lock);
    while (!is_free(word)) {
        uint32_t told = (word | PARKED) & ~(attempt->woken ? (uint32_t)WAKING : 0);
        if (fxi_cas_relaxed(&lock->word, &word, told))
            return true;
        if (!(word & CONTENDED))
            word = set_contended(lock);
    }
    return false;
}

/* Under the bucket's lock. */
static void left_queue(bool others, void *arg)
{
    const struct attempt *attempt = arg;
    if (!others)
        fxi_and_relaxed(&attempt->lock->word, ~(uint32_t)PARKED);
}

static int acquire_parking(struct attempt *attempt, fx_deadline deadline, fx_deadline since)
{
    struct fxi_wait wait = {
        .address = attempt->lock,
        .condition = is_held_and_told,
        .left = left_queue,
        .arg = attempt,
        .deadline = deadline,
        .since = since ? since : fx_now(),
    };
    calm = 0;
    for (;;) {
        if (try_acquire(attempt) || spin(attempt))
            return 0;
        uintptr_t given = 0;
        wait.at_front = attempt->woken;
        int rc = fxi_park_wait(&wait, &given);
        looked_at = fx_now();
        if (rc == 0 && given == FXI_LOCK_HANDED)
            return 0;
        if (rc == 0)
            attempt->woken = true;
        else if (rc == -EAGAIN)
            continue; /* free, for a moment; a woken waiter's duty goes on */
        else
            return rc;
    }
}

static int acquire(fx_lock *lock, fx_deadline deadline)
{
    struct attempt attempt = { .lock = lock, .number = fxi_self_number() };
    if (attempt.number == 0)
        return -ENOMEM;
    return try_acquire(&attempt) ? 0 : acquire_parking(&attempt, deadline, 0);
}

FXI_COLD int fx_lock_acquire_slow(fx_lock *lock)
{
    return acquire(lock, FX_FOREVER);
}

FXI_COLD bool fx_lock_try_acquire_slow(fx_lock *lock)
{
    struct attempt attempt = { .lock = lock, .number = fxi_self_number() };
    return attempt.number != 0 && try_acquire(&attempt);
}

int fx_lock_acquire_until(fx_lock *lock, fx_deadline deadline)
{
    if (fx_lock_is_taken_(lock))
        return 0;
    if (deadline != FX_FOREVER && deadline <= fx_now())
        return fx_lock_try_acquire_slow(lock) ? 0 : fxi_self_number() == 0 ? -ENOMEM : -ETIMEDOUT;
    return acquire(lock, deadline);
}

int fx_lock_acquire_for(fx_lock *lock, fx_nsec timeout)
{
    if (fx_lock_is_taken_(lock))
        return 0;
    return fx_lock_acquire_until(lock, fx_deadline_after(timeout));
}

int fxi_lock_reacquire(fx_lock *lock, uintptr_t given, fx_deadline since)
{
    if (given == FXI_LOCK_HANDED)
        return 0;
    struct attempt attempt = {
        .lock = lock,
        .number = fxi_self_number(),
        .woken = given == FXI_LOCK_WOKEN,
    };
    if (attempt.number == 0)
        return -ENOMEM;
    return try_acquire(&attempt) ? 0 : acquire_parking(&attempt, FX_FOREVER, since);
}

bool fxi_lock_expect_waiters(void *arg)
{
    fx_lock *lock = arg;
    uint32_t word = fxi_load_relaxed(&lock->word);
    /* No barrier: the only thread whose release could be a plain store is this one. */
    while (fx_lock_self.number != 0 && (word & NUMBER) == fx_lock_self.number)
        if (fxi_cas_relaxed(&lock->word, &word, word | CONTENDED | PARKED))
            return true;
    return false;
}

/* --- release ---------------------------------------------------------------------------------- */

/* A release that holds the bucket's lock. */
struct release {
    fx_lock *lock;
    fx_deadline now;
    bool hands_over; /* starved waiters are handed the lock */
    bool looked;     /* set_contended was called */
    bool wakes;      /* somebody was chosen to try */
    bool handed;     /* somebody was chosen to have it, and has it */
    int rc;
};

/* Whether there is a hold to release. While the bucket's lock is held, and PARKED is set without
 * WAKING, the word of a held lock does not change: whoever would change it waits for the bucket's
 * lock. */
static uint32_t look(struct release *release)
{
    fx_lock *lock = release->lock;
    uint32_t word = release->looked ? fxi_load_relaxed(&lock->word) : set_contended(lock);
    release->looked = true;
    if (is_free(word))
        release->rc = -EPERM;
    return word;
}

static bool is_starved(const struct release *release, const struct fxi_waiter *waiter)
{
    return release->hands_over && release->now - waiter->since >= STARVED;
}

/* By compare-and-swap, though nobody but another release of the same hold can be changing the
 * number: of two such releases one is an error, and not both may find an heir. */
static bool hand_over(struct release *release, struct fxi_waiter *waiter, uint32_t word)
{
    uint32_t heir = fxi_waiter_context(waiter)->number; /* 0: it has none yet, and can only try */
    while (heir != 0 && !is_free(word)) {
        /* release: pairs with the acquire of the heir in park's was_woken */
        if (fxi_cas_release(&release->lock->word, &word, (word & ~(uint32_t)NUMBER) | heir))
            return true;
    }
    return false;
}

static enum fxi_choice choose_one(struct fxi_waiter *waiter, void *arg)
{
    struct release *release = arg;
    if (release->wakes || release->handed)
        return FXI_CHOICE_STOP;
    uint32_t word = look(release);
    if (release->rc != 0)
        return FXI_CHOICE_STOP;
    release->handed = is_starved(release, waiter) && hand_over(release, waiter, word);
    release->wakes = !release->handed && needs_wake(word);
    waiter->given = release->handed ? FXI_LOCK_HANDED : FXI_LOCK_WOKEN;
    return release->handed || release->wakes ? FXI_CHOICE_WAKE : FXI_CHOICE_STOP;
}

/* The last touch of the lock: from here on it may be gone, but where it was handed over, for the
 * heir is woken later. */
static void finish_release(bool remain, void *arg)
{
    struct release *release = arg;
    fx_lock *lock = release->lock;
    if (release->handed) {
        if (!remain)
            fxi_and_relaxed(&lock->word, ~(uint32_t)PARKED);
        return;
    }
    uint32_t word = look(release), then;
    do {
        if (is_free(word)) {
            release->rc = -EPERM;
            return;
        }
        then = CONTENDED | (word & WAKING);
        if (remain)
            then |= PARKED;
        if (release->wakes)
            then |= WAKING;
        /* release: pairs with the acquire in try_acquire */
    } while (!fxi_cas_release(&lock->word, &word, then));
}

static int release_under_bucket(fx_lock *lock)
{
    struct release release = { .lock = lock, .now = fx_now() };
    release.hands_over = release.now - looked_at >= HAND_OVER_PAUSE;
    if (release.hands_over)
        looked_at = release.now;
    calm = passed = 0;
    fxi_unpark_chosen(lock, choose_one, finish_release, &release);
    return release.rc;
}

/* Whether a release is to look at the queue: nobody is awake to take the lock or, now and then, the
 * one that is has been on its way for long, as there is no processor for it, and others may be
 * starving. */
static bool must_look(uint32_t word)
{
    if (!(word & PARKED))
        return false;
    return !(word & WAKING) ||
           (++passed % RELEASES_BEFORE_LOOK == 0 && fx_now() - looked_at >= HAND_OVER_PAUSE);
}

/* The word after a release that wakes nobody. */
static uint32_t without_holder(uint32_t word)
{
    if ((word & (PARKED | WAKING)) || !(word & CONTENDED))
        return word & ~(uint32_t)NUMBER;
    if (calm < fxi_lock_tuning.calm_releases) {
        calm++;
        return CONTENDED;
    }
    calm = 0;
    return 0;
}

FXI_NOINLINE int fx_lock_release_slow(fx_lock *lock)
{
    uint32_t number = fx_lock_self.number;
    uint32_t word = fxi_load_relaxed(&lock->word);
    /* The sequence in the header was left where the word differed. Its descriptor is the program's,
     * or of a module that may be unloaded before the kernel looks. */
    fxi_store_relaxed(fx_lock_self.sequence, 0);
    while (!is_free(word)) {
        /* A hold of another thread, which may be releasing it with a plain store at this moment;
         * and waiters, of whom nobody is awake. */
        if ((word & NUMBER) != number || must_look(word))
            return release_under_bucket(lock);
        /* release: pairs with the acquire in try_acquire. From here on the lock may be gone. */
        if (fxi_cas_release(&lock->word, &word, without_holder(word)))
            return 0;
    }
    return -EPERM;
}

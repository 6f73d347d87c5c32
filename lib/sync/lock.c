/* fx_lock.
 *
 * Guarantee: mutual exclusion; what a holder did is seen by the next one. A release with waiters
 *   lets one of them try for the lock, and running threads may be faster: that is where throughput
 *   comes from. But who was woken, has tried for a moment and has found the lock held is handed it by
 *   the next release that finds it still awake: that costs no more than any change of hands, and the
 *   line moves on. One that sleeps, and has waited for STARVED, is handed the lock by a release that
 *   looks at the queue; but to hand over to it costs the time that it needs to wake, in which nobody
 *   has the lock, so while running threads keep the lock among themselves, each of them looks for it
 *   once in HAND_OVER_PAUSE. Waiters are looked at in order, but one that was woken and tried in vain
 *   comes first. Not reentrant.
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
 *   reverse. A task whose worker is busy with another one is woken too, when its turn comes, but WAKING
 *   never stands for it: every later release finds the next waiter all the same. If it is the only one
 *   that was woken it does what WAKING asks for, some time; until then whoever comes finds the lock free.
 * Lifetime: the last touch of the lock is the store or the compare-and-swap that frees it or, for
 *   the heir is woken later, what follows its being handed over under the bucket's lock. Wakes name
 *   only addresses. A waiter touches the lock only while it waits.
 * Limits: a thread that has no number for want of memory cannot acquire. */
#define FX_LOCK_INLINE FX_API
#include "sync/lock.h"

#include <errno.h>
#include <sched.h>

#include "base/atomic.h"
#include "context/number.h"
#include "park/fence.h"
#include "park/park.h"
#include "park/spin.h"
#include "stop/stop.h"

enum {
    NUMBER = FX_LOCK_NUMBER,
    PARKED = 1 << 29,
    WAKING = 1 << 30,
};
#define CONTENDED (UINT32_C(1) << 31)

#define STARVED FX_MSEC(1)
#define STARVED_TASK FX_MSEC(20) /* one whose worker runs the releasing task */
#define SKIPPED_MOST 8
#define HAND_OVER_PAUSE FX_MSEC(2)
#define GIVE_WAY_PAUSE FX_USEC(50)
#define LENT_MOST FX_MSEC(1)
#define RELEASES_BEFORE_LOOK 64
#define TURNS_BEFORE_DENSE 4
#define PAUSING_LOOKS 5 /* the first ones, after 1, 2, 4, ... pauses; before the others the
                         * processor is lent out */

#ifndef FXI_INJECT
static const
#endif
struct fxi_lock_tuning fxi_lock_tuning = { .looks = 37, .calm_releases = 2000 };

/* Of the calling thread: how many releases of contended locks in a row have met no contention; how
 * many it made while a waiter was on its way; when it last looked for starved waiters, and when it
 * last lent its processor out, slept or gave way to a waiter on its way. */
static _Thread_local unsigned calm, passed;
static _Thread_local fx_deadline looked_at, running_since;

/* Of the calling thread, too: how many sections of contended locks it has ended since it last had to
 * wait for one; how many such waits in a row came after one section at most. */
static _Thread_local unsigned sections, turns;

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
    bool is_no_stop_point;
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

/* Whether threads take turns at the lock, one section each: its holder will not be back at once. */
static bool takes_turns(const fx_lock *lock)
{
    /* Of a lock that is not contended, no sections are counted. */
    bool is_turn = sections <= 1 && (fxi_load_relaxed(&lock->word) & CONTENDED);
    turns = is_turn ? turns + 1 : 0;
    sections = 0;
    return turns >= TURNS_BEFORE_DENSE;
}

static bool look_and_acquire(const struct attempt *attempt)
{
    return fxi_lock_owner(attempt->lock) == 0 && try_acquire(attempt);
}

/* A holder that ends one section after the other is disturbed by each look, which takes the word's
 * cache line away from it: so they become rarer. One that takes turns is disturbed once, by the first
 * look, and the lock stays free until the next one: so there is one after each pause. */
static bool pause_and_look(const struct attempt *attempt, unsigned pauses, bool dense)
{
    for (unsigned i = 1; i < pauses; i++) {
        fxi_cpu_relax();
        if (dense && look_and_acquire(attempt))
            return true;
    }
    fxi_cpu_relax();
    return look_and_acquire(attempt);
}

/* A holder that has not released after some looks may have lost its processor, or others need this
 * one: to lend it out costs less than a sleep and the wake that ends it, which the holder would have to
 * make. But who has been without it for long takes its place in the queue, where its turn is sure to
 * come, and who was woken goes back there at once: it is handed the lock before it sleeps. */
static bool spin(const struct attempt *attempt)
{
    unsigned looks = fxi_lock_tuning.looks;
    fx_deadline lent_since = 0;
    if (fxi_processors() == 1 || fxi_current->operations) /* a task lets others run */
        return false;
    bool dense = takes_turns(attempt->lock);
    for (unsigned look = 0; look < looks && look < PAUSING_LOOKS; look++)
        if (pause_and_look(attempt, 1u << look, dense))
            return true;
    for (unsigned look = PAUSING_LOOKS; look < looks && !attempt->woken; look++) {
        lent_since = lent_since ? lent_since : fx_now();
        sched_yield();
        running_since = fx_now();
        if (look_and_acquire(attempt))
            return true;
        if (running_since - lent_since >= LENT_MOST)
            return false;
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
        .since = since,
        .is_no_stop_point = attempt->is_no_stop_point,
    };
    calm = 0;
    for (;;) {
        if (try_acquire(attempt) || spin(attempt))
            return 0;
        uintptr_t given = 0;
        /* Only now: what spins is in a hurry, and the clock takes longer than many a section. */
        wait.since = wait.since ? wait.since : fx_now();
        wait.at_front = attempt->woken;
        wait.wants = attempt->woken;
        wait.spins = attempt->woken; /* to be handed the lock */
        int rc = fxi_park_wait(&wait, &given);
        looked_at = running_since = fx_now();
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

int fxi_lock_acquire(fx_lock *lock)
{
    return fx_lock_is_taken_(lock) ? 0 : fxi_lock_reacquire(lock, 0, 0);
}

FXI_COLD int fx_lock_acquire_slow(fx_lock *lock)
{
    return fxi_stop_point(acquire(lock, FX_FOREVER));
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
    return fxi_stop_point(acquire(lock, deadline));
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
        .is_no_stop_point = true,
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
    bool hands_over; /* starved waiters that sleep are handed the lock */
    bool looked;     /* set_contended was called */
    bool wakes;      /* somebody was chosen to try */
    bool handed;     /* somebody was chosen to have it, and has it */
    bool tells;      /* a task that will try when its worker comes to it was chosen, too */
    unsigned skipped; /* other such tasks */
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

/* Whether it would run at once. A task whose worker is busy with another one would not, and a lock that
 * stood free for it, or was its own, could stand so for long. */
static bool is_prompt(struct fxi_waiter *waiter)
{
    const struct fxi_context *context = fxi_waiter_context(waiter);
    return !waiter->suspends || context->operations->is_prompt(context);
}

/* Whether it is handed the lock. One that was woken in vain, as `wants` says, and is awake still, is; one
 * that sleeps, where it has starved. Of tasks of one worker, the one that releases may acquire again
 * before the other one can try, for ever: the other one is handed the lock though it is not prompt. */
static bool is_heir(const struct release *release, struct fxi_waiter *waiter, bool prompt)
{
    if (waiter->wants && fxi_waiter_is_awake(waiter))
        return true;
    fx_nsec waited = release->now - waiter->since;
    if (waited >= STARVED_TASK && fxi_current && fxi_current->worker &&
        fxi_current->worker == fxi_waiter_context(waiter)->worker)
        return true;
    return release->hands_over && prompt && waited >= STARVED;
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

/* A waiter that is not prompt: it is told, but WAKING does not stand for it, and one that is prompt is
 * looked for among those behind it. */
static enum fxi_choice choose_slow(struct release *release, struct fxi_waiter *waiter, uint32_t word)
{
    if (!needs_wake(word) || release->skipped == SKIPPED_MOST)
        return FXI_CHOICE_STOP;
    if (release->tells) {
        release->skipped++;
        return FXI_CHOICE_SKIP;
    }
    release->tells = true;
    waiter->given = FXI_LOCK_WOKEN;
    return FXI_CHOICE_WAKE;
}

static enum fxi_choice choose_one(struct fxi_waiter *waiter, void *arg)
{
    struct release *release = arg;
    if (release->wakes || release->handed)
        return FXI_CHOICE_STOP;
    uint32_t word = look(release);
    if (release->rc != 0)
        return FXI_CHOICE_STOP;
    bool prompt = is_prompt(waiter);
    release->handed = is_heir(release, waiter, prompt) && hand_over(release, waiter, word);
    if (!release->handed && !prompt)
        return choose_slow(release, waiter, word);
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
 * starving. *gives_way: the one on its way may be waiting for this very processor, which this thread
 * has had for some time. */
static bool must_look(uint32_t word, bool *gives_way)
{
    *gives_way = false;
    if (!(word & PARKED))
        return false;
    if (!(word & WAKING))
        return true;
    if (++passed % RELEASES_BEFORE_LOOK != 0)
        return false;
    fx_deadline now = fx_now();
    *gives_way = now - running_since >= GIVE_WAY_PAUSE;
    if (*gives_way)
        running_since = now;
    return now - looked_at >= HAND_OVER_PAUSE;
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
    bool gives_way = false;
    /* The sequence in the header was left where the word differed. Its descriptor is the program's,
     * or of a module that may be unloaded before the kernel looks. */
    fxi_store_relaxed(fx_lock_self.sequence, 0);
    while (!is_free(word)) {
        /* A hold of another thread, which may be releasing it with a plain store at this moment;
         * and waiters, of whom nobody is awake. */
        if ((word & NUMBER) != number || must_look(word, &gives_way))
            return release_under_bucket(lock);
        /* release: pairs with the acquire in try_acquire. From here on the lock may be gone. */
        if (fxi_cas_release(&lock->word, &word, without_holder(word))) {
            sections++;
            if (gives_way)
                sched_yield();
            return 0;
        }
    }
    return -EPERM;
}

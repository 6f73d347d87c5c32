/* Read-write locks.
 *
 * Guarantee: neither side starves. Waiters queue in one line. Until the oldest of them has waited
 *   for a millisecond, whoever comes may take a lock that admits it; from then on those that come
 *   to read queue. A release that leaves the lock free lets in the first of the line: a writer, or,
 *   if the first reads, all readers of the line together. One that has waited for a millisecond is
 *   handed the lock; else it is woken, and takes it if nobody was faster.
 * State, the word:
 *     bit 0      WRITTEN: a writer has it
 *     bit 1      PARKED: somebody waits in the line. Set and cleared under the bucket's lock; while
 *                the line is not empty it is set
 *     bit 2      BIASED: readers may be noted in slots (sync/reader_slots.h) and not be counted
 *                here. Not set while WRITTEN is or anybody waits
 *     bits 3-31  readers that have it and are counted here
 *   Without PARKED the word changes by compare-and-swaps anywhere. With PARKED
 *     0 readers -> WRITTEN, n readers -> n + 1   those that come, or were woken
 *     n readers -> n - 1 > 0                     a reader that leaves
 *     all else                                   under the bucket's lock: the last holder's
 *                                                leaving, which may hand the lock over
 *   And, for the bias,
 *     n > 0 readers -> BIASED                    one of them, after many reads without a write
 *     BIASED -> BIASED PARKED -> neither         under the bucket's lock: a revocation
 *   `since`, while PARKED: when the oldest waiter began to wait, in microseconds of CLOCK_MONOTONIC
 *   that wrap; it may be wrong after a timeout, or if it met a store of the other kind, which makes
 *   the lock fair too soon, or for a millisecond too late. Without PARKED: how many reads were
 *   noted since the last write; a guess, and as good as it needs to be.
 * Bias: while the word is BIASED and nothing else, a thread reads by writing the lock down in its
 *   slot, and leaves by wiping it out, each as a restartable sequence that looks at the word first.
 *   Whoever cannot (no slots, its slot has another lock, other bits) is counted as ever. To write,
 *   or to release what another thread reads, the bias is revoked: PARKED keeps writers, the bias
 *   and the last counted reader away; then the barrier of membarrier(2). After it no thread is in a
 *   sequence that saw the word without PARKED, and what such sequences have written is seen; none
 *   that begins later changes a slot that has this lock. So slots are only emptied now: each that
 *   has the lock is counted in the word, and then emptied by compare-and-swap, which fails where
 *   its reader, finding the word changed, has just left by compare-and-swap, and the count is taken
 *   back. In the end all who read are counted, and the protocol is the one without bias. A reader
 *   that leaves and does not find the lock in its slot finds itself in the count, as it was counted
 *   before the slot was emptied. A revocation costs microseconds, and is paid by the first write
 *   after so many reads that it does not matter.
 * Wake rule: a waiter sets PARKED in a word that keeps it out, and queues, in one holding of the
 *   bucket's lock, in which it has revoked the bias if there was one: nobody ever waits for a slot.
 *   Who makes the lock free sees PARKED, or fails in its compare-and-swap, and looks at the line
 *   under the bucket's lock. When nobody has the lock and PARKED is set, somebody woken is on the
 *   way, who takes it or finds another holder, whose release looks at the line in turn: so waking
 *   one writer is enough. Readers are woken all together, since all may go in. A writer that times
 *   out may have been all that kept the readers behind it out, so it wakes those that now stand
 *   first.
 * Lifetime: a release touches the lock last in its compare-and-swap, in its sequence or under the
 *   bucket's lock.
 * Limits: 2^29 - 1 readers. Readers that were handed the lock have it while they wake. A thread has
 *   eight slots, and a lock one place in them: who reads two locks of the same place is counted in
 *   one of them, and while anyone is counted the others are, too.
 * Source: B. Brandenburg and J. Anderson, "Spin-Based Reader-Writer Synchronization for
 *   Multiprocessor Real-Time Systems" (2010), for the fair phases: a crowd of readers between two
 *   writers. D. Dice and A. Kogan, "BRAVO: Biased Locking for Reader-Writer Locks" (2019), for the
 *   bias. */
#define FX_RWLOCK_INLINE FX_API
#include "sync/rwlock.h"

#include <errno.h>

#include "base/atomic.h"
#include "context/number.h"
#include "park/fence.h"
#include "park/park.h"
#include "park/spin.h"
#include "stop/stop.h"
#include "sync/deadline.h"
#include "sync/reader_slots.h"

enum { WRITTEN = 1, PARKED = 2, BIASED = FX_RWLOCK_BIASED, READER = FX_RWLOCK_READER };
#define READERS_MASK (~(uint32_t)(WRITTEN | PARKED | BIASED))

#define STARVED_AFTER FX_MSEC(1)
#define NEVER UINT32_MAX /* no lock's word: with a writer there is no bias */

enum wants { WANTS_READ, WANTS_WRITE };
enum given { WOKEN = 1, HANDED };

#ifndef FXI_INJECT
static const
#endif
struct fxi_rwlock_tuning fxi_rwlock_tuning = { .sampled = 64, .reads_before_bias = 8192 };

static bool admits_reader(uint32_t word)
{
    return !(word & (WRITTEN | PARKED)) && (word & READERS_MASK) != READERS_MASK;
}

static bool admits_writer(uint32_t word)
{
    return !(word & ~(uint32_t)PARKED);
}

/* --- the bias --------------------------------------------------------------------------------- */

static const fx_rwlock *no_slots[FX_RWLOCK_SLOTS]; /* never written to */

__thread struct fx_rwlock_caller fx_rwlock_self = {
    .biased = NEVER,
    .until_sample = 1,
    .slots = no_slots,
};

static bool has_slots(void)
{
    return fx_rwlock_self.biased != NEVER;
}

/* Whether the calling thread has slots and may use them, after seeing to it if it can be done. */
static bool get_slots(void)
{
    if (has_slots())
        return true;
    /* Whether there is rseq(2) is seen with the number, by the inlined release of fx_lock, too. */
    if (!FX_RWLOCK_CAN_BIAS || fxi_self_number() == 0 ||
        fx_lock_self.released_by != fx_lock_self.number)
        return false;
    struct fxi_reader_slots *slots = fxi_reader_slots_take();
    if (!slots)
        return false;
    fx_rwlock_self.slots = slots->slot;
    fx_rwlock_self.biased = BIASED;
    return true;
}

/* A sequence in a header was left where something differed. Its descriptor is the program's, or of a
 * module that may be unloaded before the kernel looks. */
static void forget_sequence(void)
{
    fxi_store_relaxed(fx_lock_self.sequence, 0);
}

/* Under the bucket's lock: counts all who read, as said at the top. Returns the word. */
static uint32_t revoke(fx_rwlock *rwlock)
{
    uint32_t word = fxi_load_relaxed(&rwlock->word);
    do {
        if (!(word & BIASED))
            return word;
    } while (!fxi_cas_relaxed(&rwlock->word, &word, word | PARKED));
    while (!fxi_membarrier_rseq())
        fxi_cpu_relax(); /* the kernel is out of memory for a moment */
    for (struct fxi_reader_slots *all = fxi_reader_slots_first(); all; all = all->next) {
        const fx_rwlock **slot = fx_rwlock_slot_(all->slot, rwlock), *reads = rwlock;
        /* acquire, here and in the compare-and-swap: pairs with the release in leave_slot, for who
         * has left */
        if (fxi_load_acquire(slot) != rwlock)
            continue;
        fxi_add_relaxed(&rwlock->word, (uint32_t)READER);
        if (!fxi_cas_acq_rel(slot, &reads, NULL))
            fxi_add_relaxed(&rwlock->word, -(uint32_t)READER);
    }
    fxi_store_relaxed(&rwlock->since, 0);
    /* release: pairs with the acquire of the next writer, for what those have read who left before
     * the barrier, and is nobody's to release any more */
    return __atomic_and_fetch(&rwlock->word, ~(uint32_t)(BIASED | PARKED), __ATOMIC_RELEASE);
}

static enum fxi_choice choose_nobody(struct fxi_waiter *waiter, void *arg)
{
    (void)waiter;
    (void)arg;
    return FXI_CHOICE_STOP;
}

static void revoke_under_bucket(bool remain, void *arg)
{
    (void)remain; /* nobody: the lock is biased, or was and is not any more */
    revoke(arg);
}

static FXI_COLD void revoke_bias(fx_rwlock *rwlock)
{
    fxi_unpark_chosen(rwlock, choose_nobody, revoke_under_bucket, rwlock);
}

void fxi_rwlock_thread_ends(void)
{
    if (!has_slots())
        return;
    struct fxi_reader_slots *slots =
        fxi_container_of(fx_rwlock_self.slots, struct fxi_reader_slots, slot);
    fx_rwlock_self.biased = NEVER;
    fx_rwlock_self.slots = no_slots;
    for (int i = 0; i < FX_RWLOCK_SLOTS; i++)
        if (slots->slot[i])
            revoke_bias((fx_rwlock *)(uintptr_t)slots->slot[i]);
    fxi_reader_slots_give_back(slots);
}

/* By one that is counted: notes so many reads, and biases the lock if it deserves that. */
static void note_reads(fx_rwlock *rwlock)
{
    uint32_t word = fxi_load_relaxed(&rwlock->word);
    uint32_t reads = fxi_load_relaxed(&rwlock->since) + fxi_rwlock_tuning.sampled;
    if (word & ~READERS_MASK)
        return;
    fxi_store_relaxed(&rwlock->since, reads);
    if (reads < fxi_rwlock_tuning.reads_before_bias || !get_slots())
        return;
    /* The caller reads, so no writer has it. release: pairs with the look at the word in the
     * sequence of whoever reads without being counted, for what the last writer wrote. */
    while (!(word & ~READERS_MASK) && !fxi_cas_release(&rwlock->word, &word, word | BIASED))
        ;
}

static bool enter_slot(fx_rwlock *rwlock)
{
    return fxi_load_relaxed(&rwlock->word) == BIASED && get_slots() &&
           fx_rwlock_slot_is_changed_(rwlock, NULL, rwlock);
}

/* Whether the caller was noted in its slot. */
static bool leave_slot(fx_rwlock *rwlock)
{
    const fx_rwlock **slot = fx_rwlock_slot_(fx_rwlock_self.slots, rwlock), *reads = rwlock;
    /* release: pairs with the acquire in `revoke` */
    return fxi_load_relaxed(slot) == rwlock && fxi_cas_release(slot, &reads, NULL);
}

/* --- without a wait --------------------------------------------------------------------------- */

FXI_NOINLINE bool fx_rwlock_try_acquire_read_slowly(fx_rwlock *rwlock)
{
    forget_sequence();
    bool is_sample = fx_rwlock_self.until_sample == 0;
    if (is_sample)
        fx_rwlock_self.until_sample = fxi_rwlock_tuning.sampled;
    if (enter_slot(rwlock))
        return true;
    uint32_t word = fxi_load_relaxed(&rwlock->word);
    while (admits_reader(word))
        /* acquire: pairs with the release of the last writer */
        if (fxi_cas_acquire(&rwlock->word, &word, word + READER)) {
            if (is_sample)
                note_reads(rwlock);
            return true;
        }
    return false;
}

FXI_NOINLINE bool fx_rwlock_try_acquire_write_slowly(fx_rwlock *rwlock)
{
    uint32_t word = fxi_load_relaxed(&rwlock->word);
    if (word & BIASED) {
        revoke_bias(rwlock);
        word = fxi_load_relaxed(&rwlock->word);
    }
    while (admits_writer(word))
        /* acquire: pairs with the release of the last holder, whichever side it was on */
        if (fxi_cas_acquire(&rwlock->word, &word, word | WRITTEN))
            return true;
    return false;
}

/* --- the age of the line ---------------------------------------------------------------------- */

static uint32_t microseconds(fx_deadline point)
{
    return (uint32_t)((uint64_t)point / 1000);
}

/* Whether the oldest of the line, which is not empty, has starved. */
static bool is_unfair(const fx_rwlock *rwlock)
{
    return microseconds(fx_now()) - fxi_load_relaxed(&rwlock->since) >=
           microseconds(STARVED_AFTER);
}

/* --- letting others in ------------------------------------------------------------------------ */

struct turn {
    fx_rwlock *rwlock;
    uint32_t own;       /* what the caller has in the word: WRITTEN, READER, or 0 */
    bool looked;        /* at the first of the line: it decides whose turn it is */
    bool of_readers;
    bool handed;        /* the turn is of those that starved */
    uint32_t readers;   /* let in by that */
    struct fxi_waiter *writer;
    bool woken;         /* somebody was, to take it */
    bool someone_stays;
    uint32_t since;     /* when the first of those that stay began */
    bool again;
};

static enum fxi_choice stays(struct fxi_waiter *waiter, struct turn *turn, enum fxi_choice choice)
{
    if (!turn->someone_stays)
        turn->since = microseconds(waiter->since);
    turn->someone_stays = true;
    return choice;
}

static enum fxi_choice let_in(struct fxi_waiter *waiter, struct turn *turn)
{
    turn->woken |= !turn->handed;
    turn->readers += turn->handed && turn->of_readers;
    turn->writer = turn->handed && !turn->of_readers ? waiter : NULL;
    waiter->given = turn->handed ? HANDED : WOKEN;
    return FXI_CHOICE_WAKE;
}

/* Whether there is a turn to give: the lock is the caller's alone; or the caller, which has no part
 * in it, may wake readers at least. */
static bool may_begin(const struct turn *turn, bool with_readers)
{
    uint32_t word = fxi_load_relaxed(&turn->rwlock->word);
    switch (turn->own) {
    case WRITTEN:
        return true;
    case READER:
        return (word & READERS_MASK) == READER;
    default:
        return !(word & WRITTEN) && with_readers;
    }
}

static enum fxi_choice choose(struct fxi_waiter *waiter, void *arg)
{
    struct turn *turn = arg;
    bool reads = waiter->wants == WANTS_READ;
    if (!turn->looked) {
        turn->looked = true;
        if (!may_begin(turn, reads))
            return stays(waiter, turn, FXI_CHOICE_STOP);
        turn->of_readers = reads;
        turn->handed = turn->own != 0 && fx_now() - waiter->since >= STARVED_AFTER;
        return let_in(waiter, turn);
    }
    if (turn->of_readers && reads)
        return let_in(waiter, turn);
    /* Where a writer gave up, what is left of the line is as it was: its first writer is next. */
    return stays(waiter, turn,
                 turn->of_readers && turn->own != 0 ? FXI_CHOICE_SKIP : FXI_CHOICE_STOP);
}

/* A reader that was woken before may have come in since the writer was chosen. The writer has to
 * wait for it, then: it sleeps still, and what it is given can be changed. */
static void take_back(struct turn *turn)
{
    turn->writer->given = WOKEN;
    turn->writer = NULL;
    turn->woken = true;
}

/* The word after the turn. */
static void take_turn(bool remain, void *arg)
{
    struct turn *turn = arg;
    uint32_t *address = &turn->rwlock->word, word = fxi_load_relaxed(address), next;
    fxi_store_relaxed(&turn->rwlock->since, turn->someone_stays ? turn->since : 0);
    do {
        if (turn->writer && turn->own == READER && (word & READERS_MASK) != READER)
            take_back(turn);
        next = (word & ~(uint32_t)PARKED) - turn->own + turn->readers * READER +
               (turn->writer ? WRITTEN : 0);
        /* It became free while others were seen in it: nobody else will look at the line. */
        turn->again = turn->own != 0 && next == 0 && remain && !turn->woken;
        if (turn->again)
            return;
        next |= remain ? PARKED : 0;
        /* release: pairs with the acquire of whoever comes next; acquire: with the releases of the
         * readers that have left before, for the writer that is handed the lock */
    } while (!fxi_cas_acq_rel(address, &word, next));
}

/* Gives up what the caller has, `own`, and lets others in. */
static void pass_on(fx_rwlock *rwlock, uint32_t own)
{
    struct turn turn;
    do {
        turn = (struct turn){ .rwlock = rwlock, .own = own };
        fxi_unpark_chosen(rwlock, choose, take_turn, &turn);
    } while (turn.again);
}

/* --- waiting ---------------------------------------------------------------------------------- */

struct waiting {
    fx_rwlock *rwlock;
    enum wants wants;
    bool woken; /* so it has had its turn in the line */
    fx_deadline since;
};

static bool admits(const struct waiting *waiting, uint32_t word)
{
    if (waiting->wants == WANTS_WRITE)
        return admits_writer(word);
    return admits_reader(word & ~(uint32_t)PARKED) &&
           (!(word & PARKED) || waiting->woken || !is_unfair(waiting->rwlock));
}

static bool try_acquire(const struct waiting *waiting)
{
    uint32_t *address = &waiting->rwlock->word, word = fxi_load_relaxed(address);
    while (admits(waiting, word))
        /* acquire: pairs with the release of the last holder that keeps this one out */
        if (fxi_cas_acquire(address, &word,
                            waiting->wants == WANTS_READ ? word + READER : word | WRITTEN))
            return true;
    return false;
}

/* Under the bucket's lock: announces a waiter, and how long it has waited. */
static bool must_wait(const void *arg)
{
    const struct waiting *waiting = arg;
    fx_rwlock *rwlock = waiting->rwlock;
    uint32_t word = fxi_load_relaxed(&rwlock->word), since = microseconds(waiting->since);
    do {
        if (word & BIASED)
            word = revoke(rwlock);
        if (admits(waiting, word))
            return false;
    } while (!(word & PARKED) && !fxi_cas_relaxed(&rwlock->word, &word, word | PARKED));
    if (!(word & PARKED) || (int32_t)(since - fxi_load_relaxed(&rwlock->since)) < 0)
        fxi_store_relaxed(&rwlock->since, since);
    return true;
}

static void left(bool others, void *arg)
{
    fx_rwlock *rwlock = ((struct waiting *)arg)->rwlock;
    if (others)
        return;
    fxi_store_relaxed(&rwlock->since, 0);
    fxi_and_relaxed(&rwlock->word, ~(uint32_t)PARKED);
}

/* A holder on another processor is about to leave, as a rule; but where others sleep already it is
 * not going to be soon. */
static bool spin(const struct waiting *waiting)
{
    enum { ROUNDS = 7 };
    if (fxi_processors() == 1)
        return false;
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < 1u << round; i++)
            fxi_cpu_relax();
        if (try_acquire(waiting))
            return true;
        if (fxi_load_relaxed(&waiting->rwlock->word) & PARKED)
            return false;
    }
    return false;
}

static int acquire_slowly(fx_rwlock *rwlock, enum wants wants, fx_deadline deadline)
{
    struct waiting waiting = { rwlock, wants, false, 0 };
    for (;;) {
        if (wants == WANTS_WRITE && (fxi_load_relaxed(&rwlock->word) & BIASED))
            revoke_bias(rwlock);
        if (try_acquire(&waiting))
            return 0;
        if (wants == WANTS_READ && fxi_load_relaxed(&rwlock->word) >= READERS_MASK)
            return -EAGAIN;
        if (fxi_deadline_is_past(deadline))
            return -ETIMEDOUT;
        if (spin(&waiting))
            return 0;
        if (waiting.since == 0)
            waiting.since = fx_now();
        struct fxi_wait wait = { .address = rwlock,
                                 .condition = must_wait,
                                 .left = left,
                                 .arg = &waiting,
                                 .deadline = deadline,
                                 .since = waiting.since,
                                 .wants = wants,
                                 .at_front = waiting.woken };
        uintptr_t given = 0;
        int rc = fxi_park_wait(&wait, &given);
        if (rc == 0 && given == HANDED)
            return 0;
        if (rc != 0 && rc != -EAGAIN) {
            if (wants == WANTS_WRITE)
                pass_on(rwlock, 0);
            return fxi_stop_point(rc);
        }
        waiting.woken |= rc == 0;
    }
}

/* --- the calls -------------------------------------------------------------------------------- */

int fx_rwlock_acquire_read_until(fx_rwlock *rwlock, fx_deadline deadline)
{
    return fx_rwlock_try_acquire_read(rwlock) ? 0 : acquire_slowly(rwlock, WANTS_READ, deadline);
}

int fx_rwlock_acquire_read_for(fx_rwlock *rwlock, fx_nsec timeout)
{
    return fx_rwlock_try_acquire_read(rwlock)
               ? 0
               : acquire_slowly(rwlock, WANTS_READ, fx_deadline_after(timeout));
}

FXI_NOINLINE int fx_rwlock_release_read_slowly(fx_rwlock *rwlock)
{
    forget_sequence();
    if (leave_slot(rwlock))
        return 0;
    uint32_t word = fxi_load_relaxed(&rwlock->word);
    for (;;) {
        if (!(word & READERS_MASK)) {
            if (!(word & BIASED))
                return -EPERM;
            /* In the slot of another thread, which acquired it; or in none. */
            revoke_bias(rwlock);
            word = fxi_load_relaxed(&rwlock->word);
            continue;
        }
        if ((word & PARKED) && (word & READERS_MASK) == READER)
            break;
        /* release: pairs with the acquire of the next writer */
        if (__atomic_compare_exchange_n(&rwlock->word, &word, word - READER, false,
                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED))
            return 0;
    }
    pass_on(rwlock, READER);
    return 0;
}

int fx_rwlock_acquire_write_until(fx_rwlock *rwlock, fx_deadline deadline)
{
    return fx_rwlock_try_acquire_write(rwlock) ? 0 : acquire_slowly(rwlock, WANTS_WRITE, deadline);
}

int fx_rwlock_acquire_write_for(fx_rwlock *rwlock, fx_nsec timeout)
{
    return fx_rwlock_try_acquire_write(rwlock)
               ? 0
               : acquire_slowly(rwlock, WANTS_WRITE, fx_deadline_after(timeout));
}

FXI_NOINLINE int fx_rwlock_release_write_slowly(fx_rwlock *rwlock)
{
    uint32_t word = fxi_load_relaxed(&rwlock->word);
    if (!(word & WRITTEN))
        return -EPERM;
    word = WRITTEN;
    /* release: pairs with the acquire of the next holder */
    if (!__atomic_compare_exchange_n(&rwlock->word, &word, 0, false, __ATOMIC_RELEASE,
                                     __ATOMIC_RELAXED))
        pass_on(rwlock, WRITTEN);
    return 0;
}

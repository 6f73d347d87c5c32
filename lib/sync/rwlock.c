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
 *     bits 2-31  readers that have it
 *   Without PARKED the word changes by compare-and-swaps anywhere. With PARKED
 *     0 readers -> WRITTEN, n readers -> n + 1   those that come, or were woken
 *     n readers -> n - 1 > 0                     a reader that leaves
 *     all else                                   under the bucket's lock: the last holder's
 *                                                leaving, which may hand the lock over
 *   `since`: while PARKED, when the oldest waiter began to wait, in microseconds of CLOCK_MONOTONIC
 *   that wrap; it may be earlier than that after a timeout, which only makes the lock fair sooner.
 * Wake rule: a waiter sets PARKED in a word that keeps it out, and queues, in one holding of the
 *   bucket's lock. Who makes the lock free sees PARKED, or fails in its compare-and-swap, and looks
 *   at the line under the bucket's lock. When nobody has the lock and PARKED is set, somebody woken
 *   is on the way, who takes it or finds another holder, whose release looks at the line in turn:
 *   so waking one writer is enough. Readers are woken all together, since all may go in. A writer
 *   that times out may have been all that kept the readers behind it out, so it wakes those that
 *   now stand first.
 * Lifetime: a release touches the lock last in its compare-and-swap or under the bucket's lock.
 * Limits: 2^30 - 1 readers. Readers that were handed the lock have it while they wake.
 * Source: B. Brandenburg and J. Anderson, "Spin-Based Reader-Writer Synchronization for
 *   Multiprocessor Real-Time Systems" (2010), for the fair phases: a crowd of readers between two
 *   writers. */
#include <fxthread/rwlock.h>

#include <errno.h>

#include "base/atomic.h"
#include "park/park.h"
#include "park/spin.h"
#include "sync/deadline.h"

enum { WRITTEN = 1, PARKED = 2, READER = 4 };
#define READERS_MASK (~(uint32_t)(WRITTEN | PARKED))

#define STARVED_AFTER FX_MSEC(1)

enum wants { WANTS_READ, WANTS_WRITE };
enum given { WOKEN = 1, HANDED };

/* --- fast paths ------------------------------------------------------------------------------- */

static bool admits_reader(uint32_t word)
{
    return !(word & (WRITTEN | PARKED)) && word != READERS_MASK;
}

static bool admits_writer(uint32_t word)
{
    return !(word & ~(uint32_t)PARKED);
}

bool fx_rwlock_try_acquire_read(fx_rwlock *rwlock)
{
    uint32_t word = fxi_load_relaxed(&rwlock->word);
    while (admits_reader(word))
        /* acquire: pairs with the release of the last writer */
        if (fxi_cas_acquire(&rwlock->word, &word, word + READER))
            return true;
    return false;
}

bool fx_rwlock_try_acquire_write(fx_rwlock *rwlock)
{
    uint32_t word = fxi_load_relaxed(&rwlock->word);
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
    if (turn->someone_stays)
        fxi_store_relaxed(&turn->rwlock->since, turn->since);
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
        /* release: pairs with the acquire of whoever comes next */
    } while (!__atomic_compare_exchange_n(address, &word, next, false, __ATOMIC_RELEASE,
                                          __ATOMIC_RELAXED));
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
        if (admits(waiting, word))
            return false;
    } while (!(word & PARKED) && !fxi_cas_relaxed(&rwlock->word, &word, word | PARKED));
    if (!(word & PARKED) || (int32_t)(since - fxi_load_relaxed(&rwlock->since)) < 0)
        fxi_store_relaxed(&rwlock->since, since);
    return true;
}

static void left(bool others, void *arg)
{
    struct waiting *waiting = arg;
    if (!others)
        fxi_and_relaxed(&waiting->rwlock->word, ~(uint32_t)PARKED);
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
            return rc;
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

int fx_rwlock_acquire_read(fx_rwlock *rwlock)
{
    return fx_rwlock_acquire_read_until(rwlock, FX_FOREVER);
}

int fx_rwlock_release_read_slowly(fx_rwlock *rwlock)
{
    uint32_t word = fxi_load_relaxed(&rwlock->word);
    for (;;) {
        if ((word & WRITTEN) || !(word & READERS_MASK))
            return -EPERM;
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

int fx_rwlock_release_read(fx_rwlock *rwlock)
{
    return fx_rwlock_release_read_slowly(rwlock);
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

int fx_rwlock_acquire_write(fx_rwlock *rwlock)
{
    return fx_rwlock_acquire_write_until(rwlock, FX_FOREVER);
}

int fx_rwlock_release_write(fx_rwlock *rwlock)
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

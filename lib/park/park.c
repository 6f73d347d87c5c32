#include "park/park.h"

#include <errno.h>

#include "base/atomic.h"
#include "context/hooks.h"
#include "kernel/futex.h"
#include "kernel/lowlock.h"
#include "kernel/processor.h"
#include "stop/stop.h"

#define BUCKETS 512 /* a power of two: waiters of this many addresses rarely meet */

/* Addresses with waiters hash to buckets. A zeroed queue stands for an empty one. */
struct bucket {
    fxi_lowlock lock;
    struct fxi_list queue;
} __attribute__((aligned(FXI_CACHE_LINE)));

static struct bucket buckets[BUCKETS];

/* Fibonacci hashing: the product's high bits depend on all of the address's. */
static struct bucket *bucket_of(const void *address)
{
    return &buckets[((uint64_t)(uintptr_t)address * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - 9)];
}
_Static_assert(BUCKETS == 1 << 9, "bucket_of shifts for this many");

static struct bucket *lock_bucket(const void *address)
{
    struct bucket *bucket = bucket_of(address);
    fxi_lowlock_acquire(&bucket->lock);
    if (fxi_unlikely(!bucket->queue.next))
        fxi_list_init(&bucket->queue);
    return bucket;
}

static void unlock_bucket(struct bucket *bucket)
{
    fxi_lowlock_release(&bucket->lock);
}

/* Two buckets, in the order of their place, so that two callers cannot wait for each other. */
static void lock_both(const void *one, const void *other)
{
    struct bucket *a = bucket_of(one), *b = bucket_of(other);
    lock_bucket(a < b ? one : other);
    if (a != b)
        lock_bucket(a < b ? other : one);
}

static void unlock_both(const void *one, const void *other)
{
    struct bucket *a = bucket_of(one), *b = bucket_of(other);
    unlock_bucket(a);
    if (a != b)
        unlock_bucket(b);
}

static struct fxi_waiter *waiter_of(struct fxi_list *node)
{
    return fxi_container_of(node, struct fxi_waiter, queued);
}

static bool is_queued(const struct fxi_waiter *waiter)
{
    return waiter->queued.next != NULL;
}

static void enqueue(struct bucket *bucket, struct fxi_waiter *waiter, const void *address,
                    bool at_front)
{
    fxi_store_relaxed(&waiter->address, address);
    if (at_front)
        fxi_list_push_front(&bucket->queue, &waiter->queued);
    else
        fxi_list_push_back(&bucket->queue, &waiter->queued);
}

static void dequeue(struct fxi_waiter *waiter)
{
    fxi_list_remove(&waiter->queued);
    waiter->queued.next = NULL;
}

/* The first waiter at the address that stands behind `after`, or NULL. */
static struct fxi_list *next_at(struct bucket *bucket, struct fxi_list *after, const void *address)
{
    for (struct fxi_list *node = after->next; node != &bucket->queue; node = node->next)
        if (waiter_of(node)->address == address)
            return node;
    return NULL;
}

/* --- waiting ---------------------------------------------------------------------------------- */

static bool was_woken(struct fxi_waiter *waiter)
{
    /* acquire: pairs with the release in wake_chosen */
    return fxi_load_acquire(&waiter->woken) == FXI_WAITER_WOKEN;
}

/* Spinning pays where the waker runs on another processor and is about to wake; whether it does is
 * learnt from the last times: each failure in a row doubles how many waits go without it. But where
 * two wake each other and both sleep, each needs longer to wake than the other one spins, and both
 * would learn for ever that it is in vain. So after many failures one spins for longer than a wake
 * takes and, if that succeeds, goes on so until the other one has had occasion to try. */
#define SPINS 400
#define LONG_SPINS (10 * SPINS)
#define SKIPS_MAX 255
#define FAILURES_MAX (SKIPS_MAX + 16)

static void spin_failed(struct fxi_waiter *waiter)
{
    unsigned failures = waiter->spin_failures;
    failures = failures < SKIPS_MAX ? 2 * failures + 1 : failures + 1;
    waiter->spin_skips = (uint16_t)(failures < SKIPS_MAX ? failures : SKIPS_MAX);
    waiter->long_spins = failures < FAILURES_MAX ? 0 : SKIPS_MAX + 2;
    waiter->spin_failures = (uint16_t)(failures < FAILURES_MAX ? failures : SKIPS_MAX);
}

static bool spin_until_woken(struct fxi_waiter *waiter)
{
    if (waiter->spin_skips > 0) {
        waiter->spin_skips--;
        return was_woken(waiter);
    }
    int spins = waiter->long_spins > 0 ? LONG_SPINS : SPINS;
    for (int i = 0; i < spins; i++) {
        if (was_woken(waiter)) {
            waiter->spin_failures = 0;
            waiter->long_spins = i < SPINS ? 0 : (uint16_t)(waiter->long_spins - 1);
            return true;
        }
        fxi_cpu_relax();
    }
    spin_failed(waiter);
    return false;
}

enum ending { ENDED_BY_WAKE, ENDED_BY_DEADLINE, ENDED_BY_STOP };

/* Says that it is about to sleep, as SLEEPING or STOPPABLE, unless it was woken. The store is a
 * compare-and-swap, as wakers and askers of a stop may be storing too; who finds one of these two makes
 * the system call, or resumes a context that suspends, which so must not go on before it is resumed.
 * release: for what resume() goes by. False: it was woken. */
static bool announce_sleep(struct fxi_waiter *waiter, uint32_t state)
{
    uint32_t present = fxi_load_acquire(&waiter->woken); /* pairs with the release in wake_chosen */
    while (present != FXI_WAITER_WOKEN)
        if (fxi_cas_release(&waiter->woken, &present, state))
            return true;
    return !was_woken(waiter);
}

/* Of a context that has announced its sleep. */
static enum ending suspend(struct fxi_context *self, fx_deadline deadline)
{
    if (!self->operations->suspend(self, deadline))
        return ENDED_BY_DEADLINE;
    return was_woken(&self->waiter) ? ENDED_BY_WAKE : ENDED_BY_STOP;
}

static enum ending sleep_in_kernel(struct fxi_waiter *waiter, uint32_t state, fx_deadline deadline)
{
    for (;;) {
        /* acquire: pairs with the release in wake_chosen */
        uint32_t present = fxi_load_acquire(&waiter->woken);
        if (present != state)
            return present == FXI_WAITER_WOKEN ? ENDED_BY_WAKE : ENDED_BY_STOP;
        switch (waiter->sleeps_shared ? fxi_futex_wait_shared(&waiter->woken, state, deadline)
                                      : fxi_futex_wait(&waiter->woken, state, deadline)) {
        case FXI_FUTEX_WOKEN:
        case FXI_FUTEX_CHANGED:
        case FXI_FUTEX_INTERRUPTED:
            break; /* look again */
        case FXI_FUTEX_TIMED_OUT:
            return was_woken(waiter) ? ENDED_BY_WAKE : ENDED_BY_DEADLINE;
        }
    }
}

static enum ending sleep_announced(struct fxi_context *self, uint32_t state, fx_deadline deadline)
{
    if (fxi_likely(!self->operations))
        return sleep_in_kernel(&self->waiter, state, deadline);
    if (self->waiter.suspends)
        return suspend(self, deadline);
    self->operations->sleeps(self, true);
    enum ending ending = sleep_in_kernel(&self->waiter, state, deadline);
    self->operations->sleeps(self, false);
    return ending;
}

static enum ending sleep_until_woken(struct fxi_context *self, fx_deadline deadline)
{
    return announce_sleep(&self->waiter, FXI_WAITER_SLEEPING)
               ? sleep_announced(self, FXI_WAITER_SLEEPING, deadline)
               : ENDED_BY_WAKE;
}

/* The state tells who asks for a stop how to wake it: of a waiter's fields, which may be those of its
 * next wait by then, it reads none. */
static uint32_t stoppable(const struct fxi_waiter *waiter)
{
    return waiter->suspends        ? FXI_WAITER_STOPPABLE_SUSPENDED
           : waiter->sleeps_shared ? FXI_WAITER_STOPPABLE_SHARED
                                   : FXI_WAITER_STOPPABLE;
}

/* The same as a stop point, where waits of the context are that. */
static enum ending sleep_until_woken_or_stopped(struct fxi_context *self, fx_deadline deadline)
{
    if (!fxi_stop_is_possible(self))
        return sleep_until_woken(self, deadline);
    uint32_t state = stoppable(&self->waiter);
    if (!announce_sleep(&self->waiter, state))
        return ENDED_BY_WAKE;
    fxi_fence_full(); /* pairs with the one in fxi_stop_ask: it sees STOPPABLE, or this sees the stop */
    bool is_stopped = fxi_stop_is_due(self);
    enum ending ending = is_stopped ? ENDED_BY_STOP
                                    : sleep_announced(self, state, deadline);
    if (ending == ENDED_BY_WAKE || (self->waiter.suspends && !is_stopped))
        return ending;
    /* From here on a stop is not told by this word. */
    uint32_t present = state;
    /* Where it fails, acquire, too: pairs with the release in wake_chosen. */
    if (fxi_cas_acq_rel(&self->waiter.woken, &present, FXI_WAITER_AWAKE))
        return ending;
    if (self->waiter.suspends) /* it did not, and is being resumed */
        return suspend(self, FX_FOREVER);
    return present == FXI_WAITER_WOKEN ? ENDED_BY_WAKE : ENDED_BY_STOP;
}

/* The bucket, locked, at which the waiter is queued or last was: it may be moved meanwhile. */
static struct bucket *lock_bucket_of(struct fxi_waiter *waiter)
{
    for (;;) {
        const void *address = fxi_load_relaxed(&waiter->address);
        struct bucket *bucket = lock_bucket(address);
        if (address == waiter->address)
            return bucket;
        unlock_bucket(bucket);
    }
}

/* The deadline is past, or a stop has come: takes the waiter off the queue. False: a waker was faster,
 * and what it gives is taken, or the waiter was moved. */
static bool leave_queue(struct fxi_waiter *waiter, const struct fxi_wait *wait)
{
    struct bucket *bucket = lock_bucket_of(waiter);
    bool leaves = is_queued(waiter) && waiter->address == wait->address;
    if (leaves) {
        dequeue(waiter);
        if (wait->left)
            wait->left(next_at(bucket, &bucket->queue, wait->address) != NULL, wait->arg);
    }
    unlock_bucket(bucket);
    return leaves;
}

static bool try_enqueue(struct fxi_waiter *waiter, const struct fxi_wait *wait)
{
    struct bucket *bucket = lock_bucket(wait->address);
    bool waits = wait->condition(wait->arg);
    if (waits)
        enqueue(bucket, waiter, wait->address, wait->at_front);
    unlock_bucket(bucket);
    return waits;
}

/* Before anybody can find the waiter. */
static void decide_how_to_sleep(struct fxi_context *self, bool awaits_end, bool can_suspend)
{
    if (fxi_unlikely(self->operations != NULL))
        self->waiter.suspends = can_suspend || self->operations->can_suspend(self);
    self->waiter.sleeps_shared = awaits_end && !self->waiter.suspends;
}

int fxi_park_wait(const struct fxi_wait *wait, uintptr_t *given)
{
    struct fxi_context *self = fxi_self();
    if (!self)
        return -ENOMEM;
    struct fxi_waiter *waiter = &self->waiter;
    /* Plain stores: nobody else looks at a waiter that is not queued. */
    waiter->since = wait->since ? wait->since : fx_now();
    waiter->wants = wait->wants;
    waiter->given = 0;
    decide_how_to_sleep(self, wait->awaits_end, wait->can_suspend);
    fxi_store_relaxed(&waiter->woken, FXI_WAITER_AWAKE);
    if (!try_enqueue(waiter, wait))
        return -EAGAIN;
    if (wait->before_sleep)
        wait->before_sleep(wait->arg);
    int rc = 0;
    bool spins = wait->spins && !waiter->suspends && fxi_processors() > 1;
    if (!(spins && spin_until_woken(waiter))) {
        enum ending ending = wait->is_no_stop_point
                                 ? sleep_until_woken(self, wait->deadline)
                                 : sleep_until_woken_or_stopped(self, wait->deadline);
        if (ending != ENDED_BY_WAKE) {
            if (leave_queue(waiter, wait))
                rc = ending == ENDED_BY_STOP ? -ECANCELED : -ETIMEDOUT;
            else
                sleep_until_woken(self, FX_FOREVER);
        }
        if (rc != -ECANCELED)
            fxi_stop_tell_again(self);
    }
    fxi_store_relaxed(&waiter->address, NULL);
    if (rc == 0 && given)
        *given = waiter->given;
    return rc;
}

int fxi_park(const void *address, fxi_park_condition condition, const void *arg,
             fx_deadline deadline)
{
    struct fxi_wait wait = { .address = address,
                             .condition = condition,
                             .arg = (void *)(uintptr_t)arg, /* only the condition sees it */
                             .deadline = deadline };
    return fxi_park_wait(&wait, NULL);
}

int fxi_park_until(fx_deadline deadline)
{
    struct fxi_context *self = fxi_self();
    if (!self)
        return -ENOMEM;
    decide_how_to_sleep(self, false, false);
    fxi_store_relaxed(&self->waiter.woken, FXI_WAITER_AWAKE);
    /* Nobody wakes a waiter that is not queued. */
    if (sleep_until_woken_or_stopped(self, deadline) == ENDED_BY_STOP)
        return -ECANCELED;
    fxi_stop_tell_again(self);
    return 0;
}

int fxi_park_alone(fx_deadline deadline, bool is_stop_point)
{
    struct fxi_context *self = fxi_current;
    decide_how_to_sleep(self, false, true);
    self->waiter.next_chosen = NULL;
    fxi_store_relaxed(&self->waiter.woken, FXI_WAITER_AWAKE);
    enum ending ending = is_stop_point ? sleep_until_woken_or_stopped(self, deadline)
                                       : sleep_until_woken(self, deadline);
    if (ending == ENDED_BY_STOP)
        return -ECANCELED;
    fxi_stop_tell_again(self);
    return ending == ENDED_BY_WAKE ? 0 : -ETIMEDOUT;
}

/* --- waking ----------------------------------------------------------------------------------- */

/* `end_word`: NULL, or where the last of them is handed on to if it sleeps for that. The kernel
 * wakes one there, and so all others are woken here. */
static void wake_chosen(struct fxi_waiter *waiter, const uint32_t *end_word)
{
    while (waiter) {
        struct fxi_waiter *next = waiter->next_chosen;
        uint32_t *word = &waiter->woken;
        bool shared = waiter->sleeps_shared, suspends = waiter->suspends;
        /* release: what the waker did before, `given` included, comes before what the waiter does
         * next. acquire: pairs with announce_sleep, for what resume() goes by. From here on the
         * waiter may be gone. */
        uint32_t state = fxi_exchange_acq_rel(word, FXI_WAITER_WOKEN);
        if (!fxi_waiter_sleeps(state))
            ; /* it has not begun to sleep, and will not, or a stop is waking it */
        else if (suspends) /* and so is not gone before it is resumed */
            fxi_waiter_context(waiter)->operations->resume(fxi_waiter_context(waiter));
        else if (!shared)
            fxi_futex_wake(word, 1);
        else if (next || !end_word)
            fxi_futex_wake_shared(word, 1);
        else
            fxi_futex_hand_on(word, end_word);
        waiter = next;
    }
}

/* Takes those who are chosen off the queue, and returns the first of them. */
static struct fxi_waiter *take_chosen(const void *address, fxi_unpark_choose choose,
                                      fxi_unpark_finish finish, void *arg, size_t *chosen)
{
    struct fxi_waiter *first = NULL, **last = &first;
    bool remain = false;
    *chosen = 0;
    struct bucket *bucket = lock_bucket(address);
    struct fxi_list *before = &bucket->queue, *node;
    while ((node = next_at(bucket, before, address)) != NULL) {
        struct fxi_waiter *waiter = waiter_of(node);
        enum fxi_choice choice = choose(waiter, arg);
        if (choice == FXI_CHOICE_WAKE) {
            before = node->prev;
            dequeue(waiter);
            waiter->next_chosen = NULL;
            *last = waiter;
            last = &waiter->next_chosen;
            (*chosen)++;
            continue;
        }
        remain = true;
        if (choice == FXI_CHOICE_STOP)
            break;
        before = node;
    }
    if (finish)
        finish(remain, arg);
    unlock_bucket(bucket);
    return first;
}

static size_t unpark(const void *address, fxi_unpark_choose choose, fxi_unpark_finish finish,
                     void *arg, const uint32_t *end_word)
{
    size_t chosen;
    wake_chosen(take_chosen(address, choose, finish, arg, &chosen), end_word);
    return chosen;
}

size_t fxi_unpark_chosen(const void *address, fxi_unpark_choose choose, fxi_unpark_finish finish,
                         void *arg)
{
    return unpark(address, choose, finish, arg, NULL);
}

struct fxi_waiter *fxi_unpark_take(const void *address, fxi_unpark_choose choose,
                                   fxi_unpark_finish finish, void *arg)
{
    size_t chosen;
    return take_chosen(address, choose, finish, arg, &chosen);
}

void fxi_unpark_wake(struct fxi_waiter *taken)
{
    wake_chosen(taken, NULL);
}

void fxi_unpark_alone(struct fxi_context *context)
{
    wake_chosen(&context->waiter, NULL);
}

static enum fxi_choice choose_first(struct fxi_waiter *waiter, void *arg)
{
    size_t *left = arg;
    (void)waiter;
    return (*left)-- > 0 ? FXI_CHOICE_WAKE : FXI_CHOICE_STOP;
}

size_t fxi_unpark(const void *address, size_t n)
{
    return fxi_unpark_chosen(address, choose_first, NULL, &n);
}

void fxi_unpark_at_end(const void *address, const uint32_t *end_word)
{
    size_t all = SIZE_MAX;
    unpark(address, choose_first, NULL, &all, end_word);
}

size_t fxi_park_move(const void *from, const void *to, size_t n, fxi_park_ready ready, void *arg)
{
    fx_deadline now = fx_now();
    size_t moved = 0;
    lock_both(from, to);
    struct bucket *source = bucket_of(from);
    bool may_move = next_at(source, &source->queue, from) != NULL && ready(arg);
    struct fxi_list *node;
    while (may_move && moved < n &&
           (node = next_at(source, &source->queue, from)) != NULL) {
        struct fxi_waiter *waiter = waiter_of(node);
        dequeue(waiter);
        waiter->since = now;
        enqueue(bucket_of(to), waiter, to, false);
        moved++;
    }
    unlock_both(from, to);
    return moved;
}

size_t fxi_park_count(const void *address)
{
    size_t count = 0;
    struct bucket *bucket = lock_bucket(address);
    for (struct fxi_list *node = &bucket->queue; (node = next_at(bucket, node, address)) != NULL;)
        count++;
    unlock_bucket(bucket);
    return count;
}

/* --- fork ------------------------------------------------------------------------------------- */

/* A fork waits until no bucket is being changed; in the child all waiters but the forking thread
 * are gone, and that one does not wait. */
static void before_fork(void)
{
    for (size_t i = 0; i < BUCKETS; i++)
        fxi_lowlock_acquire(&buckets[i].lock);
}

static void after_fork(bool in_child)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        if (in_child)
            fxi_list_init(&buckets[i].queue);
        fxi_lowlock_release(&buckets[i].lock);
    }
}

static struct fxi_hooks hooks = { .before_fork = before_fork, .after_fork = after_fork };

FXI_AT_LOAD(FXI_FLOOR_PARK) static void register_hooks(void)
{
    fxi_hooks_register(&hooks);
}

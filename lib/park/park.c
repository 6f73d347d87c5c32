#include "park/park.h"

#include <errno.h>

#include "base/atomic.h"
#include "context/hooks.h"
#include "kernel/futex.h"
#include "kernel/lowlock.h"
#include "kernel/processor.h"

#define BUCKETS 512 /* a power of two: waiters of this many addresses rarely meet */

enum { AWAKE, WOKEN, SLEEPING };

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
    return fxi_load_acquire(&waiter->woken) == WOKEN;
}

/* Spinning pays where the waker runs on another processor and is about to wake; whether it does is
 * learnt from the last times: each failure in a row doubles how many waits go without it. */
#define SPINS 400
#define SKIPS_MAX 64

static bool spin_until_woken(struct fxi_waiter *waiter)
{
    if (waiter->spin_skips > 0) {
        waiter->spin_skips--;
        return was_woken(waiter);
    }
    for (int i = 0; i < SPINS; i++) {
        if (was_woken(waiter)) {
            waiter->spin_failures = 0;
            return true;
        }
        fxi_cpu_relax();
    }
    if (waiter->spin_failures < SKIPS_MAX)
        waiter->spin_failures = (uint16_t)(2 * waiter->spin_failures + 1);
    waiter->spin_skips = waiter->spin_failures;
    return false;
}

/* Sleeps until woken: true. False when the deadline came first. */
static bool sleep_until_woken(struct fxi_waiter *waiter, fx_deadline deadline)
{
    /* The store is a compare-and-swap, as the waker may be storing too; who finds SLEEPING makes
     * the system call. */
    uint32_t awake = AWAKE;
    fxi_cas_relaxed(&waiter->woken, &awake, SLEEPING);
    while (!was_woken(waiter)) {
        switch (waiter->sleeps_shared ? fxi_futex_wait_shared(&waiter->woken, SLEEPING, deadline)
                                      : fxi_futex_wait(&waiter->woken, SLEEPING, deadline)) {
        case FXI_FUTEX_WOKEN:
        case FXI_FUTEX_CHANGED:
        case FXI_FUTEX_INTERRUPTED:
            break; /* look again */
        case FXI_FUTEX_TIMED_OUT:
            return was_woken(waiter);
        }
    }
    return true;
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

/* The deadline is past: takes the waiter off the queue. False: a waker was faster, and what it
 * gives is taken, or the waiter was moved. */
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
    waiter->sleeps_shared = wait->awaits_end;
    fxi_store_relaxed(&waiter->woken, AWAKE);
    if (!try_enqueue(waiter, wait))
        return -EAGAIN;
    if (wait->before_sleep)
        wait->before_sleep(wait->arg);
    int rc = 0;
    if (!(wait->spins && fxi_processors() > 1 && spin_until_woken(waiter)) &&
        !sleep_until_woken(waiter, wait->deadline)) {
        if (leave_queue(waiter, wait))
            rc = -ETIMEDOUT;
        else
            sleep_until_woken(waiter, FX_FOREVER);
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
    self->waiter.sleeps_shared = false;
    fxi_store_relaxed(&self->waiter.woken, AWAKE);
    sleep_until_woken(&self->waiter, deadline); /* nobody wakes a waiter that is not queued */
    return 0;
}

/* --- waking ----------------------------------------------------------------------------------- */

/* `end_word`: NULL, or where the last of them is handed on to if it sleeps for that. The kernel
 * wakes one there, and so all others are woken here. */
static void wake_chosen(struct fxi_waiter *waiter, const uint32_t *end_word)
{
    while (waiter) {
        struct fxi_waiter *next = waiter->next_chosen;
        uint32_t *word = &waiter->woken;
        bool shared = waiter->sleeps_shared;
        /* release: what the waker did before, `given` included, comes before what the waiter does
         * next. From here on the waiter may be gone. */
        if (fxi_exchange_release(word, WOKEN) != SLEEPING)
            ; /* it has not begun to sleep, and will not */
        else if (!shared)
            fxi_futex_wake(word, 1);
        else if (next || !end_word)
            fxi_futex_wake_shared(word, 1);
        else
            fxi_futex_hand_on(word, end_word);
        waiter = next;
    }
}

static size_t unpark(const void *address, fxi_unpark_choose choose, fxi_unpark_finish finish,
                     void *arg, const uint32_t *end_word)
{
    struct fxi_waiter *first = NULL, **last = &first;
    size_t chosen = 0;
    bool remain = false;
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
            chosen++;
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
    wake_chosen(first, end_word);
    return chosen;
}

size_t fxi_unpark_chosen(const void *address, fxi_unpark_choose choose, fxi_unpark_finish finish,
                         void *arg)
{
    return unpark(address, choose, finish, arg, NULL);
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

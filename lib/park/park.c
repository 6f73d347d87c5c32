#include "park/park.h"

#include <errno.h>

#include "base/atomic.h"
#include "context/hooks.h"
#include "kernel/futex.h"
#include "kernel/lowlock.h"

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

static void enqueue(struct bucket *bucket, struct fxi_waiter *waiter, const void *address)
{
    if (!bucket->queue.next)
        fxi_list_init(&bucket->queue);
    waiter->address = address;
    fxi_store_relaxed(&waiter->woken, 0u);
    fxi_list_push_back(&bucket->queue, &waiter->queued);
}

/* Sleeps until chosen: true. False when the deadline came first. */
static bool sleep_until_woken(struct fxi_waiter *waiter, fx_deadline deadline)
{
    /* acquire: pairs with the release in fxi_unpark */
    while (fxi_load_acquire(&waiter->woken) == 0) {
        switch (fxi_futex_wait(&waiter->woken, 0, deadline)) {
        case FXI_FUTEX_WOKEN:
        case FXI_FUTEX_CHANGED:
        case FXI_FUTEX_INTERRUPTED:
            break; /* look again */
        case FXI_FUTEX_TIMED_OUT:
            return fxi_load_acquire(&waiter->woken) != 0;
        }
    }
    return true;
}

/* A timeout that meets a wake: who finds itself off the queue was chosen and takes the wake. */
static int leave_queue(struct bucket *bucket, struct fxi_waiter *waiter)
{
    int rc = 0;
    fxi_lowlock_acquire(&bucket->lock);
    if (fxi_load_relaxed(&waiter->woken) == 0) {
        fxi_list_remove(&waiter->queued);
        rc = -ETIMEDOUT;
    }
    fxi_lowlock_release(&bucket->lock);
    return rc;
}

int fxi_park(const void *address, fxi_park_condition condition, const void *arg, fx_deadline deadline)
{
    struct fxi_context *self = fxi_self();
    if (!self)
        return -ENOMEM;
    struct fxi_waiter *waiter = &self->waiter;
    struct bucket *bucket = bucket_of(address);
    fxi_lowlock_acquire(&bucket->lock);
    bool waits = condition(arg);
    if (waits)
        enqueue(bucket, waiter, address);
    fxi_lowlock_release(&bucket->lock);
    if (!waits)
        return -EAGAIN;
    int rc = sleep_until_woken(waiter, deadline) ? 0 : leave_queue(bucket, waiter);
    waiter->address = NULL;
    return rc;
}

size_t fxi_unpark(const void *address, size_t n)
{
    size_t woken = 0;
    struct bucket *bucket = bucket_of(address);
    while (woken < n) {
        struct fxi_waiter *waiter = NULL;
        fxi_lowlock_acquire(&bucket->lock);
        struct fxi_list *queue = &bucket->queue;
        for (struct fxi_list *node = queue->next; node && node != queue && !waiter; node = node->next) {
            struct fxi_waiter *candidate = fxi_container_of(node, struct fxi_waiter, queued);
            if (candidate->address == address)
                waiter = candidate;
        }
        if (waiter) {
            fxi_list_remove(&waiter->queued);
            /* release: what the waker did before comes before what the waiter does next */
            fxi_store_release(&waiter->woken, 1u);
        }
        fxi_lowlock_release(&bucket->lock);
        if (!waiter)
            break;
        fxi_futex_wake(&waiter->woken, 1);
        woken++;
    }
    return woken;
}

int fxi_park_until(fx_deadline deadline)
{
    struct fxi_context *self = fxi_self();
    if (!self)
        return -ENOMEM;
    fxi_store_relaxed(&self->waiter.woken, 0u);
    sleep_until_woken(&self->waiter, deadline); /* nobody wakes a waiter that is not queued */
    return 0;
}

/* A fork waits until no bucket is being changed; in the child all waiters but the forking thread are
 * gone, and that one does not wait. */
static void before_fork(void)
{
    for (size_t i = 0; i < BUCKETS; i++)
        fxi_lowlock_acquire(&buckets[i].lock);
}

static void after_fork(bool in_child)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        if (in_child && buckets[i].queue.next)
            fxi_list_init(&buckets[i].queue);
        fxi_lowlock_release(&buckets[i].lock);
    }
}

static struct fxi_hooks hooks = { .before_fork = before_fork, .after_fork = after_fork };

FXI_AT_LOAD(FXI_FLOOR_PARK) static void register_hooks(void)
{
    fxi_hooks_register(&hooks);
}

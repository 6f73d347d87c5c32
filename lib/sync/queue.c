/* Queues.
 *
 * Guarantee: items leave in the order of the queue's kind. Those that wait to get, and those that
 *   wait to put, are served in the order in which they came: an item is handed to the first that
 *   waits to get, room is filled with the item of the first that waits to put. A put that did not
 *   return 0 has put nothing.
 * State, guarded by `lock`:
 *     items in store      nobody waits to get
 *     room in store       nobody waits to put
 *     shut down           nobody waits to get or to put; nothing can be put
 *   `getters`, `putters`, `joiners`: somebody may wait in that line; set by who begins to wait,
 *   cleared by a look that finds nobody left. Those that time out leave the line without the lock,
 *   so it may be set when nobody waits.
 * Wake rule: who waits sets the flag and joins the line with the lock held, and gives the lock up
 *   only when it stands in the line: whoever holds the lock after that finds it. An item wakes one,
 *   as it is handed over with the wake; so does room; a shutdown, and the end of the last task,
 *   wake all.
 * Lifetime: whoever calls has a handle, or knows of one that outlasts the call; a waiter that was
 *   woken touches its own record only.
 * Limits: one lock, held for some instructions.
 * Source: Python's queue.Queue, 3.13, for the meaning, shutdown included. */
#include <fxthread/queue.h>

#include <errno.h>

#include <fxthread/lock.h>

#include "base/atomic.h"
#include "libc/alloc.h"
#include "park/park.h"
#include "stop/stop.h"
#include "sync/deadline.h"
#include "sync/lock.h"
#include "sync/queue_store.h"

struct fx_queue {
    uint32_t references;
    fx_lock lock;
    bool is_shutdown;
    bool getters, putters, joiners;
    size_t maxsize; /* 0: no limit */
    size_t unfinished;
    fx_callback free_item;
    struct fxi_queue_store store;
};

/* Somebody who waits. Its waker fills in `rc`, and `item` for who gets. */
struct visitor {
    fx_queue *queue;
    void *item;
    int rc;
    bool unlocked;
};

/* --- lines ------------------------------------------------------------------------------------ */

static bool always(const void *arg)
{
    (void)arg;
    return true;
}

static void unlock(void *arg)
{
    struct visitor *visitor = arg;
    visitor->unlocked = true;
    fx_lock_release(&visitor->queue->lock);
}

/* With the lock held, which is given up: waits in the line that the flag belongs to. */
static int wait_in_line(struct visitor *visitor, bool *line, fx_deadline deadline)
{
    *line = true;
    struct fxi_wait wait = { .address = line,
                             .condition = always,
                             .before_sleep = unlock,
                             .arg = visitor,
                             .deadline = deadline,
                             .wants = (uintptr_t)visitor,
                             .spins = true };
    int rc = fxi_park_wait(&wait, NULL);
    if (!visitor->unlocked)
        unlock(visitor);
    return rc == 0 ? visitor->rc : rc;
}

struct service {
    fx_queue *queue;
    bool *line;
    void *item; /* for the one that is served */
    int rc;
    size_t left;
};

static struct visitor *visitor_of(struct fxi_waiter *waiter)
{
    return (struct visitor *)waiter->wants;
}

static void note_remaining(bool remain, void *arg)
{
    struct service *service = arg;
    *service->line = remain;
}

static enum fxi_choice give_item(struct fxi_waiter *waiter, void *arg)
{
    struct service *service = arg;
    if (service->left-- == 0)
        return FXI_CHOICE_STOP;
    visitor_of(waiter)->item = service->item;
    return FXI_CHOICE_WAKE;
}

/* An item was taken out, so the push has room. */
static enum fxi_choice take_item(struct fxi_waiter *waiter, void *arg)
{
    struct service *service = arg;
    if (service->left-- == 0)
        return FXI_CHOICE_STOP;
    fxi_queue_store_push(&service->queue->store, visitor_of(waiter)->item);
    service->queue->unfinished++;
    return FXI_CHOICE_WAKE;
}

static enum fxi_choice tell(struct fxi_waiter *waiter, void *arg)
{
    visitor_of(waiter)->rc = ((struct service *)arg)->rc;
    return FXI_CHOICE_WAKE;
}

/* With the lock held: hands the item to the first that waits to get, whom the caller wakes; NULL:
 * nobody does. */
static struct fxi_waiter *serve_getter(fx_queue *queue, void *item)
{
    struct service service = { queue, &queue->getters, item, 0, 1 };
    return queue->getters
               ? fxi_unpark_take(service.line, give_item, note_remaining, &service)
               : NULL;
}

/* With the lock held: takes in the item of the first that waits to put, whom the caller wakes; NULL:
 * nobody does. */
static struct fxi_waiter *serve_putter(fx_queue *queue)
{
    struct service service = { queue, &queue->putters, NULL, 0, 1 };
    return queue->putters
               ? fxi_unpark_take(service.line, take_item, note_remaining, &service)
               : NULL;
}

/* With the lock held: how the wait ends for all in the line, whom the caller wakes. */
static struct fxi_waiter *tell_all(fx_queue *queue, bool *line, int rc)
{
    struct service service = { queue, line, NULL, rc, 0 };
    return *line ? fxi_unpark_take(line, tell, note_remaining, &service) : NULL;
}

/* --- making, giving up ------------------------------------------------------------------------ */

fx_queue *fx_queue_new(fx_queue_kind kind, size_t maxsize)
{
    if ((unsigned)kind > FX_QUEUE_PRIORITY) {
        errno = EINVAL;
        return NULL;
    }
    fx_queue *queue = fxi_alloc(sizeof *queue);
    if (!queue)
        return NULL;
    queue->references = 1;
    queue->maxsize = maxsize;
    queue->store.kind = kind;
    return queue;
}

static void discard(struct fxi_queue_store *store, fx_callback free_item)
{
    while (free_item && store->count > 0)
        free_item(fxi_queue_store_pop(store));
    fxi_queue_store_free(store);
}

fx_queue *fx_queue_ref(fx_queue *queue)
{
    if (queue)
        fxi_add_relaxed(&queue->references, 1u); /* whoever calls this holds one already */
    return queue;
}

void fx_queue_unref(fx_queue *queue)
{
    /* acq_rel: all that other holders did to the queue comes before its end */
    if (!queue || fxi_sub_acq_rel(&queue->references, 1u) != 1)
        return;
    discard(&queue->store, queue->free_item);
    fxi_free(queue);
}

int fx_queue_set_compare(fx_queue *queue, fx_queue_compare compare)
{
    if (!queue || !compare || queue->store.kind != FX_QUEUE_PRIORITY)
        return -EINVAL;
    int rc = fxi_lock_acquire(&queue->lock);
    if (rc != 0)
        return rc;
    if (queue->store.count > 0)
        rc = -EBUSY;
    else
        queue->store.compare = compare;
    fx_lock_release(&queue->lock);
    return rc;
}

int fx_queue_set_free(fx_queue *queue, fx_callback free_item)
{
    if (!queue)
        return -EINVAL;
    int rc = fxi_lock_acquire(&queue->lock);
    if (rc != 0)
        return rc;
    queue->free_item = free_item;
    fx_lock_release(&queue->lock);
    return 0;
}

size_t fx_queue_size(fx_queue *queue)
{
    if (!queue || fxi_lock_acquire(&queue->lock) != 0)
        return 0;
    size_t count = queue->store.count;
    fx_lock_release(&queue->lock);
    return count;
}

/* --- putting, getting ------------------------------------------------------------------------- */

int fx_queue_put_until(fx_queue *queue, void *item, fx_deadline deadline)
{
    if (!queue)
        return -EINVAL;
    struct fxi_waiter *served = NULL;
    int rc = fxi_lock_acquire(&queue->lock);
    if (rc != 0)
        return rc;
    if (queue->is_shutdown) {
        rc = -ESHUTDOWN;
    } else if (queue->maxsize == 0 || queue->store.count < queue->maxsize) {
        served = serve_getter(queue, item);
        if (!served)
            rc = fxi_queue_store_push(&queue->store, item);
        queue->unfinished += rc == 0;
    } else if (fxi_deadline_is_past(deadline)) {
        rc = -ETIMEDOUT;
    } else {
        struct visitor visitor = { .queue = queue, .item = item };
        return fxi_stop_point(wait_in_line(&visitor, &queue->putters, deadline));
    }
    fx_lock_release(&queue->lock);
    fxi_unpark_wake(served);
    return rc;
}

int fx_queue_put_for(fx_queue *queue, void *item, fx_nsec timeout)
{
    return fx_queue_put_until(queue, item, fx_deadline_after(timeout));
}

int fx_queue_put(fx_queue *queue, void *item)
{
    return fx_queue_put_until(queue, item, FX_FOREVER);
}

int fx_queue_get_until(fx_queue *queue, fx_deadline deadline, void **item)
{
    if (!queue)
        return -EINVAL;
    struct visitor visitor = { .queue = queue };
    int rc = fxi_lock_acquire(&queue->lock);
    if (rc != 0)
        return rc;
    if (queue->store.count > 0) {
        visitor.item = fxi_queue_store_pop(&queue->store);
        struct fxi_waiter *served = serve_putter(queue);
        fx_lock_release(&queue->lock);
        fxi_unpark_wake(served);
    } else if (queue->is_shutdown || fxi_deadline_is_past(deadline)) {
        rc = queue->is_shutdown ? -ESHUTDOWN : -ETIMEDOUT;
        fx_lock_release(&queue->lock);
    } else {
        rc = wait_in_line(&visitor, &queue->getters, deadline);
    }
    if (rc == 0 && item)
        *item = visitor.item;
    return fxi_stop_point(rc);
}

int fx_queue_get_for(fx_queue *queue, fx_nsec timeout, void **item)
{
    return fx_queue_get_until(queue, fx_deadline_after(timeout), item);
}

int fx_queue_get(fx_queue *queue, void **item)
{
    return fx_queue_get_until(queue, FX_FOREVER, item);
}

/* --- tasks, the end --------------------------------------------------------------------------- */

int fx_queue_task_done(fx_queue *queue)
{
    if (!queue)
        return -EINVAL;
    struct fxi_waiter *joiners = NULL;
    int rc = fxi_lock_acquire(&queue->lock);
    if (rc != 0)
        return rc;
    if (queue->unfinished == 0)
        rc = -EINVAL;
    else if (--queue->unfinished == 0)
        joiners = tell_all(queue, &queue->joiners, 0);
    fx_lock_release(&queue->lock);
    fxi_unpark_wake(joiners);
    return rc;
}

int fx_queue_join_until(fx_queue *queue, fx_deadline deadline)
{
    if (!queue)
        return -EINVAL;
    int rc = fxi_lock_acquire(&queue->lock);
    if (rc != 0)
        return rc;
    if (queue->unfinished > 0 && !fxi_deadline_is_past(deadline)) {
        struct visitor visitor = { .queue = queue };
        return fxi_stop_point(wait_in_line(&visitor, &queue->joiners, deadline));
    }
    rc = queue->unfinished > 0 ? -ETIMEDOUT : 0;
    fx_lock_release(&queue->lock);
    return rc;
}

int fx_queue_join_for(fx_queue *queue, fx_nsec timeout)
{
    return fx_queue_join_until(queue, fx_deadline_after(timeout));
}

int fx_queue_join(fx_queue *queue)
{
    return fx_queue_join_until(queue, FX_FOREVER);
}

/* With the lock held: takes all out, for the caller to discard without the lock; *joiners: whom it
 * wakes, as nothing is unfinished then. */
static struct fxi_queue_store take_all(fx_queue *queue, struct fxi_waiter **joiners)
{
    struct fxi_queue_store store = queue->store;
    queue->store = (struct fxi_queue_store){ .kind = store.kind, .compare = store.compare };
    queue->unfinished -= store.count < queue->unfinished ? store.count : queue->unfinished;
    if (queue->unfinished == 0)
        *joiners = tell_all(queue, &queue->joiners, 0);
    return store;
}

int fx_queue_shutdown(fx_queue *queue, bool immediate)
{
    if (!queue)
        return -EINVAL;
    struct fxi_queue_store discarded = { .count = 0 };
    struct fxi_waiter *joiners = NULL;
    int rc = fxi_lock_acquire(&queue->lock);
    if (rc != 0)
        return rc;
    queue->is_shutdown = true;
    if (immediate)
        discarded = take_all(queue, &joiners);
    struct fxi_waiter *getters = tell_all(queue, &queue->getters, -ESHUTDOWN);
    struct fxi_waiter *putters = tell_all(queue, &queue->putters, -ESHUTDOWN);
    fx_callback free_item = queue->free_item;
    fx_lock_release(&queue->lock);
    fxi_unpark_wake(joiners);
    fxi_unpark_wake(getters);
    fxi_unpark_wake(putters);
    discard(&discarded, free_item);
    return 0;
}


#include "executor/run_queue.h"

#include "kernel/processor.h"

#define SHARE_MOST 32 /* tasks that a worker takes at once */

#define CLOSED ((struct fxi_pool_task *)1)

bool fxi_run_queue_push(struct fxi_run_queue *queue, struct fxi_pool_task *task)
{
    struct fxi_pool_task *latest = fxi_load_relaxed(&queue->incoming);
    do {
        if (latest == CLOSED)
            return false;
        task->next = latest;
        /* release: pairs with the acquire in collect */
    } while (!fxi_cas_release(&queue->incoming, &latest, task));
    fxi_fence_full_after_exchange();
    return true;
}

static void append(struct fxi_share *to, struct fxi_pool_task *first, struct fxi_pool_task *last,
                   size_t count)
{
    last->next = NULL;
    if (to->first)
        to->last->next = first;
    else
        to->first = first;
    to->last = last;
    fxi_store_relaxed(&to->count, to->count + count);
}

/* With the shared queue's lock held: moves all that came in to its end. `then`: what is left in
 * its place. */
static void collect(struct fxi_run_queue *queue, struct fxi_pool_task *then)
{
    struct fxi_pool_task *task = fxi_load_relaxed(&queue->incoming);
    if (task == CLOSED || (!task && !then))
        return;
    task = fxi_exchange_acquire(&queue->incoming, then); /* pairs with the push's release */
    struct fxi_pool_task *first = NULL, *last = task;
    size_t count = 0;
    while (task) {
        struct fxi_pool_task *earlier = task->next;
        task->next = first;
        first = task;
        task = earlier;
        count++;
    }
    if (first)
        append(&queue->shared, first, last, count);
}

void fxi_run_queue_close(struct fxi_run_queue *queue)
{
    fxi_lowlock_acquire(&queue->shared.lock);
    collect(queue, CLOSED);
    fxi_lowlock_release(&queue->shared.lock);
}

/* With its lock held. */
static struct fxi_pool_task *pop(struct fxi_share *share)
{
    struct fxi_pool_task *task = share->first;
    if (task) {
        share->first = task->next;
        fxi_store_relaxed(&share->count, share->count - 1);
    }
    return task;
}

/* With its lock held: the first `n`, linked. */
static struct fxi_pool_task *pop_some(struct fxi_share *share, size_t n,
                                      struct fxi_pool_task **last)
{
    struct fxi_pool_task *first = share->first;
    *last = first;
    for (size_t i = 1; i < n; i++)
        *last = (*last)->next;
    share->first = (*last)->next;
    fxi_store_relaxed(&share->count, share->count - n);
    return first;
}

static struct fxi_pool_task *pop_own(struct fxi_share *share)
{
    if (fxi_share_is_empty(share))
        return NULL;
    fxi_lowlock_acquire(&share->lock);
    struct fxi_pool_task *task = pop(share);
    fxi_lowlock_release(&share->lock);
    return task;
}

/* Of a chain the first; the others go to the caller's share. */
static struct fxi_pool_task *keep_rest(struct fxi_share *share, struct fxi_pool_task *first,
                                       struct fxi_pool_task *last, size_t n)
{
    if (n > 1) {
        fxi_lowlock_acquire(&share->lock);
        append(share, first->next, last, n - 1);
        fxi_lowlock_release(&share->lock);
    }
    return first;
}

struct fxi_pool_task *fxi_run_queue_take(struct fxi_run_queue *queue, struct fxi_share *share,
                                         size_t sharers)
{
    struct fxi_pool_task *task = pop_own(share), *last;
    if (task || fxi_run_queue_is_empty(queue))
        return task;
    fxi_lowlock_acquire(&queue->shared.lock);
    if (!queue->shared.first)
        collect(queue, NULL);
    size_t n = queue->shared.count / (2 * sharers);
    n = n > SHARE_MOST ? SHARE_MOST : n;
    if (n == 0)
        n = queue->shared.count > 0;
    if (n > 0)
        task = pop_some(&queue->shared, n, &last);
    fxi_lowlock_release(&queue->shared.lock);
    return task ? keep_rest(share, task, last, n) : NULL;
}

struct fxi_pool_task *fxi_run_queue_steal(struct fxi_share *from, struct fxi_share *share)
{
    struct fxi_pool_task *task = NULL, *last;
    if (from == share || fxi_share_is_empty(from))
        return NULL;
    fxi_lowlock_acquire(&from->lock);
    size_t n = (from->count + 1) / 2;
    if (n > 0)
        task = pop_some(from, n, &last);
    fxi_lowlock_release(&from->lock);
    return task ? keep_rest(share, task, last, n) : NULL;
}

void fxi_share_put_back(struct fxi_share *share, struct fxi_pool_task *task)
{
    fxi_lowlock_acquire(&share->lock);
    task->next = share->first;
    share->first = task;
    if (!task->next)
        share->last = task;
    fxi_store_relaxed(&share->count, share->count + 1);
    fxi_lowlock_release(&share->lock);
}

struct fxi_pool_task *fxi_share_take_all(struct fxi_share *share)
{
    fxi_lowlock_acquire(&share->lock);
    struct fxi_pool_task *first = share->first;
    share->first = NULL;
    fxi_store_relaxed(&share->count, 0);
    fxi_lowlock_release(&share->lock);
    return first;
}

struct fxi_pool_task *fxi_run_queue_take_all(struct fxi_run_queue *queue)
{
    fxi_lowlock_acquire(&queue->shared.lock);
    collect(queue, NULL);
    struct fxi_pool_task *first = queue->shared.first;
    queue->shared.first = NULL;
    fxi_store_relaxed(&queue->shared.count, 0);
    fxi_lowlock_release(&queue->shared.lock);
    return first;
}

bool fxi_run_queue_remove(struct fxi_run_queue *queue, struct fxi_pool_task *task)
{
    bool found = false;
    fxi_lowlock_acquire(&queue->shared.lock);
    collect(queue, NULL);
    struct fxi_pool_task *before = NULL, *other = queue->shared.first;
    while (other && other != task) {
        before = other;
        other = other->next;
    }
    if (other) {
        found = true;
        if (before)
            before->next = task->next;
        else
            queue->shared.first = task->next;
        if (queue->shared.last == task)
            queue->shared.last = before;
        fxi_store_relaxed(&queue->shared.count, queue->shared.count - 1);
    }
    fxi_lowlock_release(&queue->shared.lock);
    return found;
}

bool fxi_run_queue_is_empty(const struct fxi_run_queue *queue)
{
    struct fxi_pool_task *latest = fxi_load_relaxed(&queue->incoming);
    return (!latest || latest == CLOSED) && fxi_share_is_empty(&queue->shared);
}

void fxi_run_queue_lock(struct fxi_run_queue *queue)
{
    fxi_lowlock_acquire(&queue->shared.lock);
}

void fxi_run_queue_unlock(struct fxi_run_queue *queue)
{
    fxi_lowlock_release(&queue->shared.lock);
}

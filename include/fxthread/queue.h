/* Queues: items handed from threads to threads, as Python's queue.Queue, LifoQueue and
 * PriorityQueue.
 *
 * A queue is a counted handle. An item is a pointer, NULL too. A queue with a maxsize holds at most
 * that many, and putting waits for room; getting waits for an item. Those that wait are served in
 * order, and nobody overtakes them. After fx_queue_shutdown() nothing can be put any more; what is
 * left can be got, unless the shutdown was immediate.
 * On every error an item that was to be put stays the caller's.
 * Illegal: to use a handle after giving it up.
 *
 *     void *work(void *queue) {
 *         void *job;
 *         while (fx_queue_get(queue, &job) == 0) {       // -ESHUTDOWN: nothing more will come
 *             puts(job);
 *             fx_queue_task_done(queue);
 *         }
 *         return NULL;
 *     }
 *
 *     int main(void) {
 *         fx_queue *jobs = fx_queue_new(FX_QUEUE_FIFO, 100);
 *         fx_thread *worker = fx_thread_spawn(work, jobs);
 *         fx_queue_put(jobs, "first");
 *         fx_queue_put(jobs, "second");
 *         fx_queue_join(jobs);                           // both are done
 *         fx_queue_shutdown(jobs, false);
 *         fx_thread_join(worker, NULL);
 *         fx_thread_unref(worker);
 *         fx_queue_unref(jobs);
 *     }
 *
 * What a thread wrote before it put an item is seen by the thread that gets it.
 */
#ifndef FXTHREAD_QUEUE_H
#define FXTHREAD_QUEUE_H

#include <fxthread/duration.h>

FX_BEGIN_DECLS

typedef struct fx_queue fx_queue;

typedef enum fx_queue_kind {
    FX_QUEUE_FIFO,    /* the oldest first */
    FX_QUEUE_LIFO,    /* the latest first */
    FX_QUEUE_PRIORITY /* the least first, and of equal ones the oldest */
} fx_queue_kind;

/* Less than, equal to, or greater than 0, as qsort's. It is called under the queue's lock: it does
 * not wait, raise, or call the queue. */
typedef int (*fx_queue_compare)(const void *one, const void *other);

/* Makes a queue for at most `maxsize` items, or, with 0, for as many as memory holds. NULL with
 * errno EINVAL (no such kind) or ENOMEM. Does not block; no stop point; not signal-safe, as all
 * functions of queues. */
FX_API fx_queue *fx_queue_new(fx_queue_kind kind, size_t maxsize);

/* How a priority queue orders its items; without it, by the pointers' values as integers. To be
 * called before anything is put. 0; -EINVAL: queue or compare is NULL, or not a priority queue;
 * -EBUSY: it is not empty. Does not block; no stop point. */
FX_API int fx_queue_set_compare(fx_queue *queue, fx_queue_compare compare);

/* What is called with each item that the queue itself discards: in an immediate shutdown, and when
 * the last handle is given up. NULL, the default: nothing. 0; -EINVAL: queue is NULL. Does not
 * block; no stop point. */
FX_API int fx_queue_set_free(fx_queue *queue, fx_callback free_item);

/* Puts an item, and waits for room. 0; -ESHUTDOWN: it is shut down, or was while this one waited;
 * -ETIMEDOUT: full for the whole time; -ENOMEM; -EINVAL: queue is NULL. Block; stop points where
 * they wait. */
FX_API int fx_queue_put(fx_queue *queue, void *item);
FX_API int fx_queue_put_for(fx_queue *queue, void *item, fx_nsec timeout);
FX_API int fx_queue_put_until(fx_queue *queue, void *item, fx_deadline deadline);

/* Gets an item, and waits for one; `item` may be NULL, and what is got is lost then. 0; -ESHUTDOWN:
 * it is shut down and empty; -ETIMEDOUT: empty for the whole time; -ENOMEM: a foreign thread's
 * first call found no memory; -EINVAL: queue is NULL. Block; stop points where they wait. */
FX_API int fx_queue_get(fx_queue *queue, void **item);
FX_API int fx_queue_get_for(fx_queue *queue, fx_nsec timeout, void **item);
FX_API int fx_queue_get_until(fx_queue *queue, fx_deadline deadline, void **item);

/* Says that an item that was got is dealt with. 0; -EINVAL: said more often than items were put,
 * or queue is NULL. Does not block; no stop point. */
FX_API int fx_queue_task_done(fx_queue *queue);

/* Waits until every item that was put is dealt with, or was discarded by an immediate shutdown. 0;
 * -ETIMEDOUT; -ENOMEM as above; -EINVAL: queue is NULL. Block; stop points where they wait. */
FX_API int fx_queue_join(fx_queue *queue);
FX_API int fx_queue_join_for(fx_queue *queue, fx_nsec timeout);
FX_API int fx_queue_join_until(fx_queue *queue, fx_deadline deadline);

/* How many items it holds at this moment. Does not block for long; no stop point. */
FX_API size_t fx_queue_size(fx_queue *queue);

/* Ends it: nothing can be put any more, those that wait for room get -ESHUTDOWN, and so do those
 * that get when it is empty. If `immediate`, it is emptied first: what is in it is discarded and
 * counts as dealt with. 0, also if it is shut down already; -EINVAL: queue is NULL. Does not block
 * for long; no stop point. */
FX_API int fx_queue_shutdown(fx_queue *queue, bool immediate);

/* Takes, or gives up, a handle; of NULL, nothing. Whoever waits at a queue has a
 * handle or is sure that another one keeps his. Do not block. */
FX_API fx_queue *fx_queue_ref(fx_queue *queue);
FX_API void fx_queue_unref(fx_queue *queue);

FX_END_DECLS

#endif

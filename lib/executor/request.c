/* What both backends have in common: which worker has one, since when and until when, and which requests
 * it has in flight.
 *
 * A worker opens its backend with its first request, and closes it when it ends. Both under the pool's
 * lock, which a fork takes: so a child knows every descriptor that it has got of its parent's workers.
 *
 * The worker's event: whoever sends it something while it sleeps in its backend sets that, after the
 * compare-and-swap by which the worker may go on, and end. So it counts itself among the worker's
 * `wakers` before, and the worker closes the event when there are none. */
#include "executor/request.h"

#include <errno.h>
#include <sched.h>

#include "executor/backend.h"
#include "executor/pool.h"
#include "kernel/event.h"

static const struct fxi_backend_ops *ops_of(const struct fxi_worker *worker)
{
    return worker->pool->backend == FX_BACKEND_URING ? &fxi_ring_ops : &fxi_epoll_ops;
}

static int open_locked(struct fxi_worker *worker)
{
    int event = fxi_event_open();
    if (event < 0)
        return event;
    worker->event = event;
    struct fxi_backend *backend = NULL;
    int rc = ops_of(worker)->open(worker, &backend);
    if (rc == 0)
        worker->backend = backend;
    else
        fxi_event_close(event);
    return rc;
}

static int open_backend(struct fxi_worker *worker)
{
    fxi_lowlock_acquire(&worker->pool->lock);
    int rc = open_locked(worker);
    fxi_lowlock_release(&worker->pool->lock);
    return rc;
}

void fxi_requests_end(struct fxi_worker *worker)
{
    if (!worker->backend)
        return;
    /* acquire: pairs with the release in wake_in_backend, after its last use of the event */
    while (fxi_load_acquire(&worker->wakers) > 0)
        sched_yield(); /* it is about to be lowered, by a thread that may need this processor */
    fxi_lowlock_acquire(&worker->pool->lock);
    worker->backend->ops->close(worker->backend);
    worker->backend = NULL;
    fxi_event_close(worker->event);
    fxi_lowlock_release(&worker->pool->lock);
}

void fxi_requests_forget(struct fxi_worker *worker)
{
    if (!worker->backend)
        return;
    worker->backend->ops->forget(worker->backend); /* its memory stays, as the pool's does */
    fxi_event_close(worker->event);
}

/* --- requests --------------------------------------------------------------------------------- */

int fxi_request_begin(struct fxi_worker *worker, struct fxi_request *request)
{
    int rc = worker->backend ? 0 : open_backend(worker);
    if (rc != 0)
        return rc;
    request->is_cancelled = request->is_over = false;
    request->worker = worker;
    rc = worker->backend->ops->begin(worker->backend, request);
    if (rc != 0)
        return rc;
    fxi_list_push_back(&worker->requests, &request->listed);
    worker->in_flight++;
    return 0;
}

void fxi_request_over(struct fxi_request *request, int32_t result)
{
    fxi_list_remove(&request->listed);
    request->worker->in_flight--;
    request->is_over = true;
    request->complete(request, result);
}

void fxi_requests_flush(struct fxi_worker *worker)
{
    if (worker->backend)
        worker->backend->ops->flush(worker->backend);
}

void fxi_requests_flush_soon(struct fxi_worker *worker)
{
    if (worker->backend)
        worker->backend->ops->flush_soon(worker->backend);
}

void fxi_request_cancel(struct fxi_request *request)
{
    if (request->is_over || request->is_cancelled)
        return;
    struct fxi_backend *backend = request->worker->backend;
    request->is_cancelled = true;
    backend->ops->cancel(backend, request);
}

void fxi_requests_cancel_futures(struct fxi_worker *worker)
{
    /* Nothing is completed meanwhile. */
    fxi_list_for_each(node, &worker->requests) {
        struct fxi_request *request = fxi_container_of(node, struct fxi_request, listed);
        if (request->is_of_future)
            fxi_request_cancel(request);
    }
}

bool fxi_request_is_possible(fx_backend backend, uint8_t opcode)
{
    return backend == FX_BACKEND_URING || fxi_epoll_can(opcode);
}

/* --- the worker's loop ------------------------------------------------------------------------ */

void fxi_requests_look(struct fxi_worker *worker, bool busy)
{
    worker->backend->ops->look(worker->backend, busy);
}

bool fxi_requests_have_news(const struct fxi_worker *worker)
{
    return worker->backend->ops->has_news(worker->backend);
}

void fxi_requests_wait(struct fxi_worker *worker, fx_deadline deadline)
{
    worker->backend->ops->wait(worker->backend, deadline);
}

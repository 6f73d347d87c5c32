/* The backend on io_uring: a ring per worker.
 *
 * Guarantee: entries are handed over in the order in which the requests began, a batch with one
 *   system call; where the worker has nothing else to do, with the one by which it goes to sleep.
 *   Where it has, which may take long, the first of a batch does not wait for others, nor do the next,
 *   if there are any, for much longer than DELAY_MOST; futures do not wait at all. But after a quick
 *   batch, which was complete within DELAY_MOST, the next one is taken for quick, too: its first waits
 *   for the others, and so do futures of reads, until that has taken longer, for once.
 * State of a request in flight: `unsent`, where the submission queue had no room for its entry; or in the
 *   queue, or the kernel's. A cancelled one is in `uncancelled` as well until there is room for an entry that
 *   says so, and in `cancelled` from then on.
 * Why cancels are repeated: one that finds the kernel's own thread about to make a call that blocks
 *   says -EALREADY, and may interrupt it before it blocks, which then it does. And one that finds the
 *   request on its way to that thread says -ENOENT.
 * What a completion entry is for its user_data tells: a request's address, or one of the marks below.
 * Limits: completions that do not fit in their queue the kernel keeps, and brings with the next call. */
#include <errno.h>
#include <poll.h>
#include <time.h>

#include "executor/attempt.h"
#include "executor/backend.h"
#include "kernel/uring.h"
#include "libc/alloc.h"

#define ENTRIES 128
#define COMPLETIONS 2048
#define DELAY_MOST FX_USEC(20)
#define LOOKS_EVERY 8 /* requests of a quick batch, at the clock: a tenth of what one costs */
#define CANCEL_DELAY FX_USEC(200) /* and then twice that, and so on */
#define CANCEL_DELAY_MOST FX_MSEC(100)

/* Addresses of requests are even. */
enum { OF_EVENT = 1, OF_CANCEL = 3 };

struct ring {
    struct fxi_backend backend;
    struct io_uring uring;
    struct fxi_list unsent, uncancelled, cancelled;
    fx_deadline began;      /* when the batch did; 0: nothing else was to be done meanwhile */
    fx_deadline submitted;  /* when entries were handed over last, because something was */
    uint32_t unlooked;      /* requests since the last look at the clock */
    bool is_quick;          /* the batch is taken for a quick one */
    fx_deadline cancels_at; /* when to repeat those of the latter; FX_FOREVER: not */
    fx_nsec cancel_delay;
    bool watches_event; /* there is a poll of it, or an entry for one */
};

static struct ring *ring_of(const struct fxi_backend *backend)
{
    return fxi_container_of(backend, struct ring, backend);
}

static struct fxi_request *queued_request(struct fxi_list *node)
{
    return fxi_container_of(node, struct fxi_request, queued);
}

static bool is_queued(const struct fxi_request *request)
{
    return request->queued.next != NULL;
}

static void dequeue(struct fxi_request *request)
{
    fxi_list_remove(&request->queued);
    request->queued.next = NULL;
}

/* --- entries ---------------------------------------------------------------------------------- */

/* A free entry; NULL: there is none, and the kernel takes no more at the moment. */
static struct io_uring_sqe *get_entry(struct ring *ring)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&ring->uring);
    if (entry || fxi_uring_submit(&ring->uring) != 0)
        return entry;
    return io_uring_get_sqe(&ring->uring);
}

static bool send_entry(struct ring *ring, struct fxi_request *request)
{
    struct io_uring_sqe *entry = get_entry(ring);
    if (!entry)
        return false;
    *entry = request->entry;
    entry->user_data = (uintptr_t)request;
    if (request->result > 0) { /* what is left of it */
        entry->addr += (uint32_t)request->result;
        entry->len -= (uint32_t)request->result;
    }
    return true;
}

/* Of one that is not queued. */
static bool send_cancel(struct ring *ring, struct fxi_request *request)
{
    struct io_uring_sqe *entry = get_entry(ring);
    if (!entry) {
        fxi_list_push_back(&ring->uncancelled, &request->queued);
        return false;
    }
    io_uring_prep_cancel64(entry, (uintptr_t)request, 0);
    entry->user_data = OF_CANCEL;
    fxi_list_push_back(&ring->cancelled, &request->queued);
    return true;
}

/* The kernel tells of each time that the event is set, until it cannot: then it is asked anew. */
static void watch_event(struct ring *ring)
{
    struct io_uring_sqe *entry = ring->watches_event ? NULL : get_entry(ring);
    if (!entry)
        return;
    io_uring_prep_poll_multishot(entry, ring->backend.worker->event, POLLIN);
    entry->user_data = OF_EVENT;
    ring->watches_event = true;
}

/* What found no room before. */
static void send_rest(struct ring *ring)
{
    watch_event(ring);
    while (!fxi_list_is_empty(&ring->unsent)) {
        struct fxi_request *request = queued_request(ring->unsent.next);
        if (!send_entry(ring, request))
            return;
        dequeue(request);
        if (request->is_cancelled)
            fxi_list_push_back(&ring->uncancelled, &request->queued);
    }
    while (!fxi_list_is_empty(&ring->uncancelled)) {
        struct fxi_request *request = queued_request(ring->uncancelled.next);
        dequeue(request);
        if (!send_cancel(ring, request))
            return;
    }
}

/* A cancel has not found what it was for, or not where it could. Most often that is complete. */
static void cancel_failed(struct ring *ring)
{
    if (ring->cancels_at != FX_FOREVER || fxi_list_is_empty(&ring->cancelled))
        return;
    ring->cancels_at = fx_deadline_after(ring->cancel_delay);
    if (ring->cancel_delay < CANCEL_DELAY_MOST)
        ring->cancel_delay *= 2;
}

static void forget_cancels(struct ring *ring)
{
    ring->cancels_at = FX_FOREVER;
    ring->cancel_delay = CANCEL_DELAY;
}

static void repeat_cancels(struct ring *ring)
{
    if (ring->cancels_at == FX_FOREVER || fx_now() < ring->cancels_at)
        return;
    ring->cancels_at = FX_FOREVER;
    while (!fxi_list_is_empty(&ring->cancelled)) {
        struct fxi_request *request = queued_request(ring->cancelled.next);
        dequeue(request);
        fxi_list_push_back(&ring->uncancelled, &request->queued);
    }
}

static void begin_again(struct ring *ring, struct fxi_request *request)
{
    request->queued.next = NULL;
    if (!fxi_list_is_empty(&ring->unsent) || !send_entry(ring, request))
        fxi_list_push_back(&ring->unsent, &request->queued);
}

/* --- batches ---------------------------------------------------------------------------------- */

static void submit(struct ring *ring, fx_deadline now)
{
    ring->submitted = now;
    fxi_uring_submit(&ring->uring); /* where it fails, `look` or `wait` tries again */
    ring->began += fx_now() - now;  /* how long that takes says nothing of the batch */
}

/* One more has begun, and the worker goes on with something else. */
static void add_to_batch(struct ring *ring)
{
    bool is_first = ring->began == 0;
    if (ring->is_quick && !is_first && ++ring->unlooked < LOOKS_EVERY)
        return;
    fx_deadline now = fx_now();
    ring->unlooked = 0;
    if (is_first)
        ring->began = now;
    if (now - (ring->is_quick ? ring->began : ring->submitted) < DELAY_MOST)
        return;
    ring->is_quick = false;
    submit(ring, now);
}

/* The worker's loop has come round, and hands over what is left. */
static void end_batch(struct ring *ring)
{
    struct fxi_backend *backend = &ring->backend;
    if (backend->batch == 0)
        return;
    if (ring->began != 0)
        ring->is_quick = fx_now() - ring->began < DELAY_MOST;
    ring->began = 0;
    backend->last_batch = ring->is_quick ? backend->batch : 0;
    backend->batch = 0;
}

static int begin(struct fxi_backend *backend, struct fxi_request *request)
{
    struct ring *ring = ring_of(backend);
    request->result = 0;
    begin_again(ring, request);
    backend->batch++;
    if (backend->worker->ready_first)
        add_to_batch(ring);
    return 0;
}

static void flush(struct fxi_backend *backend)
{
    struct ring *ring = ring_of(backend);
    if (io_uring_sq_ready(&ring->uring) > 0)
        fxi_uring_submit(&ring->uring); /* where it fails, `look` or `wait` tries again */
}

static void flush_soon(struct fxi_backend *backend)
{
    struct ring *ring = ring_of(backend);
    if (io_uring_sq_ready(&ring->uring) == 0)
        return;
    if (ring->is_quick) {
        add_to_batch(ring);
        return;
    }
    fx_deadline now = fx_now();
    if (ring->began == 0)
        ring->began = now;
    submit(ring, now);
}

static void cancel(struct fxi_backend *backend, struct fxi_request *request)
{
    struct ring *ring = ring_of(backend);
    /* If it is queued, it is unsent, and then the cancel will follow it. */
    if (!is_queued(request))
        send_cancel(ring, request);
}

/* --- completions ------------------------------------------------------------------------------ */

/* The kernel's own thread for a call that blocks was interrupted. Not all of its calls make an EINTR of
 * what they say to their kernel: 512 to 516. */
static bool is_interrupted(int32_t result)
{
    return result == -EINTR || (result <= -512 && result >= -516);
}

/* Kernels before 6.0 do not see to it that a transfer with MSG_WAITALL has all its bytes. */
static bool goes_on(const struct fxi_request *request, int32_t result)
{
    uint32_t done = (uint32_t)request->result + (uint32_t)result;
    return result > 0 && !request->is_cancelled && done < request->entry.len &&
           fxi_attempt_goes_on(request);
}

/* What was transferred before is told, and a reason for the end is not. */
static void end(struct fxi_request *request, int32_t result)
{
    if (request->result > 0)
        result = request->result + (result > 0 ? result : 0);
    fxi_request_over(request, result);
}

static void completed(struct ring *ring, struct fxi_request *request, int32_t result)
{
    if (is_queued(request)) { /* it was cancelled */
        dequeue(request);
        if (fxi_list_is_empty(&ring->cancelled))
            forget_cancels(ring);
    }
    if (is_interrupted(result) && request->entry.opcode == IORING_OP_CLOSE) {
        end(request, 0); /* the descriptor is gone */
    } else if (is_interrupted(result) && request->is_cancelled) {
        end(request, -ECANCELED); /* by that */
    } else if (is_interrupted(result)) {
        begin_again(ring, request);
    } else if (goes_on(request, result)) {
        request->result += result;
        begin_again(ring, request);
    } else {
        end(request, result);
    }
}

static void take_completion(struct ring *ring, const struct io_uring_cqe *entry)
{
    uint64_t user_data = entry->user_data;
    int32_t result = entry->res;
    unsigned flags = entry->flags;
    io_uring_cq_advance(&ring->uring, 1); /* the entry is the kernel's again */
    if (user_data == OF_EVENT)
        ring->watches_event = flags & IORING_CQE_F_MORE;
    else if (user_data != OF_CANCEL)
        completed(ring, (struct fxi_request *)(uintptr_t)user_data, result);
    else if (result < 0)
        cancel_failed(ring);
}

/* Those that are there now: what they lead to may complete at once, and so on. */
static void take_completions(struct ring *ring)
{
    for (unsigned n = io_uring_cq_ready(&ring->uring); n > 0; n--) {
        struct io_uring_cq *queue = &ring->uring.cq;
        take_completion(ring, &queue->cqes[*queue->khead & queue->ring_mask]);
    }
}

static bool has_news(const struct fxi_backend *backend)
{
    return fxi_uring_has_completions(&ring_of(backend)->uring);
}

static void look(struct fxi_backend *backend, bool busy)
{
    struct ring *ring = ring_of(backend);
    end_batch(ring);
    repeat_cancels(ring);
    send_rest(ring);
    take_completions(ring);
    if (fxi_uring_has_completions(&ring->uring) ||
        (busy && io_uring_sq_ready(&ring->uring) > 0)) {
        fxi_uring_enter(&ring->uring);
        take_completions(ring);
    }
}

static void wait(struct fxi_backend *backend, fx_deadline deadline)
{
    struct ring *ring = ring_of(backend);
    end_batch(ring);
    send_rest(ring);
    if (fxi_uring_has_completions(&ring->uring))
        return;
    if (ring->cancels_at != FX_FOREVER && (deadline == FX_FOREVER || ring->cancels_at < deadline))
        deadline = ring->cancels_at;
    /* The kernel may have no memory for what it is handed, and does not sleep then. */
    if (fxi_uring_wait(&ring->uring, deadline) == -EAGAIN)
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

/* --- the ring itself -------------------------------------------------------------------------- */

static int open_ring(struct fxi_worker *worker, struct fxi_backend **backend)
{
    struct ring *ring = fxi_alloc(sizeof *ring);
    if (!ring)
        return -ENOMEM;
    int rc = fxi_uring_open(&ring->uring, ENTRIES, COMPLETIONS);
    if (rc != 0) {
        fxi_free(ring);
        return rc;
    }
    ring->backend = (struct fxi_backend){ .ops = &fxi_ring_ops, .worker = worker };
    fxi_list_init(&ring->unsent);
    fxi_list_init(&ring->uncancelled);
    fxi_list_init(&ring->cancelled);
    forget_cancels(ring);
    watch_event(ring);
    *backend = &ring->backend;
    return 0;
}

static void close_ring(struct fxi_backend *backend)
{
    struct ring *ring = ring_of(backend);
    fxi_uring_close(&ring->uring);
    fxi_free(ring);
}

static void forget(struct fxi_backend *backend)
{
    fxi_uring_forget(&ring_of(backend)->uring);
}

const struct fxi_backend_ops fxi_ring_ops = {
    .open = open_ring,
    .close = close_ring,
    .forget = forget,
    .begin = begin,
    .flush = flush,
    .flush_soon = flush_soon,
    .cancel = cancel,
    .look = look,
    .has_news = has_news,
    .wait = wait,
};

/* The backend on epoll, where there is no io_uring.
 *
 * A request is tried when it begins. If its descriptor is not ready, it waits among those of that
 * descriptor, and is tried again, the oldest first, when epoll tells of it. What cannot be tried without
 * waiting (files, paths, accept and connect on a blocking descriptor) goes to a helper thread: a file's at
 * once, a connection's when there is one.
 *
 * State of a request, its `stage`:
 *   WAITS  in its descriptor's list
 *   CALLED a helper has it, and sends its end to the worker's inbox
 *   OVER   in the list of those that the next look completes
 * A descriptor is told of once each time that it is asked for (EPOLLONESHOT), so that a descriptor that was
 * closed, and its number given to another file, is noticed: that one is not there yet. But one that has an
 * error to tell, for which nobody waits, would be told of again and again: it is told of when that changes
 * (EPOLLET). */
#include <errno.h>
#include <poll.h>

#include "executor/attempt.h"
#include "executor/backend.h"
#include "executor/entry.h"
#include "kernel/epoll.h"
#include "libc/alloc.h"

#define EVENTS 256             /* of one call */
#define LOOK_EVERY FX_USEC(20) /* while the worker has something else to do */
#define TABLE_PART 64          /* descriptors */

enum stage { WAITS, CALLED, OVER };

struct descriptor {
    struct fxi_list waiting; /* zeroed: none yet */
    uint32_t events;         /* those that they wait for, and more perhaps */
    uint32_t held;           /* of which epoll is not to tell: a helper is about to take what is there */
    bool is_at_edges;        /* it is told of when something changes, and not once */
};

struct epoll {
    struct fxi_backend backend;
    int fd;
    size_t waiting;
    struct fxi_list over;
    fx_deadline looked;        /* when it was last asked */
    struct descriptor **parts; /* by number, in parts that are made when they are needed */
    size_t part_count;
    struct epoll_event events[EVENTS];
};

#define OF_EVENT UINT64_MAX /* in place of a descriptor's number */

static struct epoll *epoll_of(const struct fxi_backend *backend)
{
    return fxi_container_of(backend, struct epoll, backend);
}

static struct fxi_request *queued_request(struct fxi_list *node)
{
    return fxi_container_of(node, struct fxi_request, queued);
}

/* --- the table -------------------------------------------------------------------------------- */

static struct descriptor *find(struct epoll *epoll, int fd)
{
    return &epoll->parts[fd / TABLE_PART][fd % TABLE_PART];
}

static bool grow(struct epoll *epoll, size_t part)
{
    size_t count = part + 1 > 2 * epoll->part_count ? part + 1 : 2 * epoll->part_count;
    struct descriptor **parts = fxi_alloc(count * sizeof *parts);
    if (!parts)
        return false;
    if (epoll->part_count > 0)
        memcpy(parts, epoll->parts, epoll->part_count * sizeof *parts);
    fxi_free(epoll->parts);
    epoll->parts = parts;
    epoll->part_count = count;
    return true;
}

/* NULL: no memory. */
static struct descriptor *provide(struct epoll *epoll, int fd)
{
    size_t part = (size_t)fd / TABLE_PART;
    if (part >= epoll->part_count && !grow(epoll, part))
        return NULL;
    if (!epoll->parts[part])
        epoll->parts[part] = fxi_alloc(TABLE_PART * sizeof(struct descriptor));
    if (!epoll->parts[part])
        return NULL;
    struct descriptor *descriptor = find(epoll, fd);
    if (!descriptor->waiting.next)
        fxi_list_init(&descriptor->waiting);
    return descriptor;
}

/* --- stages ----------------------------------------------------------------------------------- */

static void set_over(struct epoll *epoll, struct fxi_request *request)
{
    request->stage = OVER;
    fxi_list_push_back(&epoll->over, &request->queued);
}

static void set_over_with(struct epoll *epoll, struct fxi_request *request, int32_t result)
{
    request->result = result;
    set_over(epoll, request);
}

/* What was transferred before is told, and the reason for the end is not. */
static void end_early(struct epoll *epoll, struct fxi_request *request, int32_t result)
{
    set_over_with(epoll, request, request->result > 0 ? request->result : result);
}

static void end_wait(struct epoll *epoll, struct fxi_request *request)
{
    fxi_list_remove(&request->queued);
    epoll->waiting--;
}

static void end_all(struct epoll *epoll, struct descriptor *descriptor, int32_t result)
{
    while (!fxi_list_is_empty(&descriptor->waiting)) {
        struct fxi_request *request = queued_request(descriptor->waiting.next);
        end_wait(epoll, request);
        end_early(epoll, request, result);
    }
}

/* Tells epoll what the descriptor is waited for. Those who waited for another file of that number, which
 * was closed, will never be told. */
static int arm(struct epoll *epoll, int fd, struct descriptor *descriptor, uint32_t events)
{
    uint32_t told = (events & ~descriptor->held) |
                    (uint32_t)(descriptor->is_at_edges ? EPOLLET : EPOLLONESHOT);
    int rc = fxi_epoll_set(epoll->fd, fd, told, (uint64_t)fd);
    if (rc < 0)
        return rc;
    if (rc == 0)
        end_all(epoll, descriptor, -EBADF);
    descriptor->events = events;
    return 0;
}

static void arm_again(struct epoll *epoll, int fd)
{
    struct descriptor *descriptor = find(epoll, fd);
    uint32_t events = 0;
    if (fxi_list_is_empty(&descriptor->waiting))
        return;
    fxi_list_for_each(node, &descriptor->waiting)
        events |= (uint16_t)queued_request(node)->events;
    int rc = arm(epoll, fd, descriptor, events);
    if (rc != 0)
        end_all(epoll, descriptor, rc);
}

/* The helper has taken it, or will not. */
static void end_hold(struct epoll *epoll, struct fxi_request *request)
{
    if (!request->is_ready)
        return;
    find(epoll, request->entry.fd)->held = 0;
    arm_again(epoll, request->entry.fd);
}

static long make_call(struct fxi_blocking_call *call)
{
    return fxi_attempt_blocking(fxi_container_of(call, struct fxi_request, call));
}

/* In the helper. */
static void call_is_over(struct fxi_blocking_call *call, long result)
{
    struct fxi_request *request = fxi_container_of(call, struct fxi_request, call);
    request->result = (int32_t)result;
    fxi_worker_post(request->worker, &request->called);
}

static void call_arrives(struct fxi_post *post)
{
    struct fxi_request *request = fxi_container_of(post, struct fxi_request, called);
    struct epoll *epoll = epoll_of(request->worker->backend);
    set_over(epoll, request);
    end_hold(epoll, request);
}

static int give_to_helper(struct fxi_request *request)
{
    request->stage = CALLED;
    request->call = (struct fxi_blocking_call){ .make = make_call,
                                                .over = call_is_over,
                                                .is_long = fxi_attempt_is_long(request) };
    request->called.arrive = call_arrives;
    return fxi_blocking_begin(&request->call);
}

/* 0, or why it cannot wait. */
static int begin_wait(struct epoll *epoll, struct fxi_request *request)
{
    int fd = request->entry.fd;
    if (fd < 0)
        return -EBADF;
    struct descriptor *descriptor = provide(epoll, fd);
    if (!descriptor)
        return -ENOMEM;
    uint32_t events = (uint16_t)request->events;
    if (!fxi_list_is_empty(&descriptor->waiting))
        events |= descriptor->events;
    descriptor->is_at_edges = false;
    int rc = arm(epoll, fd, descriptor, events);
    if (rc == -EPERM) /* a file: only the call itself can wait for it */
        return give_to_helper(request);
    if (rc != 0)
        return rc;
    request->stage = WAITS;
    fxi_list_push_back(&descriptor->waiting, &request->queued);
    epoll->waiting++;
    return 0;
}

static int go_on(struct epoll *epoll, struct fxi_request *request)
{
    switch (fxi_attempt(request)) {
    case FXI_ATTEMPT_OVER:
        set_over(epoll, request);
        return 0;
    case FXI_ATTEMPT_WAITS:
        return begin_wait(epoll, request);
    case FXI_ATTEMPT_BLOCKS:
        return give_to_helper(request);
    }
    return 0;
}

static int begin(struct fxi_backend *backend, struct fxi_request *request)
{
    struct epoll *epoll = epoll_of(backend);
    if (!fxi_epoll_can(request->entry.opcode) || (request->entry.flags & ~IOSQE_ASYNC))
        return -ENOTSUP;
    request->is_ready = false;
    request->result = 0;
    int rc = go_on(epoll, request);
    if (rc != 0)
        end_early(epoll, request, rc);
    return 0;
}

static void cancel(struct fxi_backend *backend, struct fxi_request *request)
{
    struct epoll *epoll = epoll_of(backend);
    switch ((enum stage)request->stage) {
    case WAITS:
        end_wait(epoll, request);
        end_early(epoll, request, -ECANCELED);
        break;
    case CALLED:
        if (!fxi_blocking_cancel(&request->call))
            break;
        end_early(epoll, request, -ECANCELED);
        end_hold(epoll, request);
        break;
    case OVER:
        break;
    }
}

/* --- events ----------------------------------------------------------------------------------- */

/* Tries those who wait for some of the events, the oldest first. Of those who transfer in one direction
 * each has to wait until the one before it did not. False: there was nothing but an error, or an end, that
 * none of them minded. */
static bool try_waiting(struct epoll *epoll, struct descriptor *descriptor, uint32_t events)
{
    struct fxi_list *node = descriptor->waiting.next, *next;
    uint32_t exhausted = 0;
    bool is_of_use = true;
    for (; node != &descriptor->waiting; node = next) {
        struct fxi_request *request = queued_request(node);
        uint32_t wanted = (uint16_t)request->events;
        next = node->next;
        if (!(events & (wanted | EPOLLERR | EPOLLHUP)) || (exhausted & wanted) == wanted)
            continue;
        request->is_ready = true;
        enum fxi_attempt_outcome outcome = fxi_attempt(request);
        if (outcome == FXI_ATTEMPT_WAITS) {
            if (request->entry.opcode != IORING_OP_POLL_ADD)
                exhausted |= wanted;
            is_of_use = is_of_use && (events & wanted);
            continue;
        }
        end_wait(epoll, request);
        if (outcome == FXI_ATTEMPT_OVER) {
            set_over(epoll, request);
            continue;
        }
        exhausted |= wanted;
        int rc = give_to_helper(request);
        if (rc == 0)
            descriptor->held = wanted;
        else
            end_early(epoll, request, rc);
    }
    return is_of_use;
}

static void take_event(struct epoll *epoll, const struct epoll_event *event)
{
    if (event->data.u64 == OF_EVENT)
        return; /* it has woken the worker */
    int fd = (int)event->data.u64;
    struct descriptor *descriptor = find(epoll, fd);
    bool stays = descriptor->is_at_edges;
    if (!stays && !fxi_epoll_pause(epoll->fd, fd)) {
        end_all(epoll, descriptor, -EBADF); /* the event is of a file that has lost this number */
        return;
    }
    bool is_of_use = try_waiting(epoll, descriptor, event->events);
    if (stays && descriptor->held == 0)
        return;
    descriptor->is_at_edges = !is_of_use && descriptor->held == 0;
    arm_again(epoll, fd);
}

static void ask(struct epoll *epoll, fx_deadline deadline)
{
    int count = fxi_epoll_wait(epoll->fd, epoll->events, EVENTS, deadline);
    for (int i = 0; i < count; i++)
        take_event(epoll, &epoll->events[i]);
    epoll->looked = fx_now();
}

static bool is_time_to_look(const struct epoll *epoll)
{
    return epoll->waiting > 0 && fx_now() - epoll->looked >= LOOK_EVERY;
}

static bool has_news(const struct fxi_backend *backend)
{
    const struct epoll *epoll = epoll_of(backend);
    return !fxi_list_is_empty(&epoll->over) || is_time_to_look(epoll);
}

static void look(struct fxi_backend *backend, bool busy)
{
    struct epoll *epoll = epoll_of(backend);
    (void)busy;
    if (is_time_to_look(epoll))
        ask(epoll, 0);
    /* Those that are over now: what they lead to may be so at once, and so on. */
    struct fxi_list *last = epoll->over.prev, *node;
    do {
        node = epoll->over.next;
        if (node == &epoll->over)
            return;
        fxi_list_remove(node);
        fxi_request_over(queued_request(node), queued_request(node)->result);
    } while (node != last);
}

static void wait(struct fxi_backend *backend, fx_deadline deadline)
{
    struct epoll *epoll = epoll_of(backend);
    if (fxi_list_is_empty(&epoll->over))
        ask(epoll, deadline);
}

static void flush(struct fxi_backend *backend)
{
    (void)backend; /* each request goes to the kernel when it begins */
}

/* --- the backend itself ----------------------------------------------------------------------- */

bool fxi_epoll_can(uint8_t opcode)
{
    struct io_uring_sqe entry = { .opcode = opcode };
    struct fxi_system_call call;
    return fxi_entry_system_call(&entry, &call);
}

static int open_epoll(struct fxi_worker *worker, struct fxi_backend **backend)
{
    struct epoll *epoll = fxi_alloc(sizeof *epoll);
    if (!epoll)
        return -ENOMEM;
    int rc = epoll->fd = fxi_epoll_open();
    if (rc >= 0) {
        rc = fxi_epoll_set(epoll->fd, worker->event, EPOLLIN | EPOLLET, OF_EVENT);
        if (rc < 0)
            fxi_epoll_close(epoll->fd);
    }
    if (rc < 0) {
        fxi_free(epoll);
        return rc;
    }
    epoll->backend = (struct fxi_backend){ .ops = &fxi_epoll_ops, .worker = worker };
    fxi_list_init(&epoll->over);
    fxi_blocking_use();
    *backend = &epoll->backend;
    return 0;
}

static void close_epoll(struct fxi_backend *backend)
{
    struct epoll *epoll = epoll_of(backend);
    fxi_blocking_unuse();
    fxi_epoll_close(epoll->fd);
    for (size_t i = 0; i < epoll->part_count; i++)
        fxi_free(epoll->parts[i]);
    fxi_free(epoll->parts);
    fxi_free(epoll);
}

static void forget(struct fxi_backend *backend)
{
    fxi_epoll_close(epoll_of(backend)->fd);
}

const struct fxi_backend_ops fxi_epoll_ops = {
    .open = open_epoll,
    .close = close_epoll,
    .forget = forget,
    .begin = begin,
    .flush = flush,
    .flush_soon = flush,
    .cancel = cancel,
    .look = look,
    .has_news = has_news,
    .wait = wait,
};

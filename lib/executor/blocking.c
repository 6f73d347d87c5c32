/* State, guarded by `lock`: a queue of calls, and counts of helpers, of those that are idle, and of those
 *   that make long calls. A call is in the queue, or has a helper, or is over.
 * Wake rule: whoever queues a call counts it, and wakes one who sleeps, if any; it starts a helper if there
 *   are more calls queued than helpers idle. An idle helper parks while the count is 0.
 * Lock order: a pool's lock, then this one. */
#include "executor/blocking.h"

#include <errno.h>
#include <time.h>

#include "base/atomic.h"
#include "context/thread_record.h"
#include "kernel/lowlock.h"
#include "park/park.h"
#include "stop/handler.h"
#include "stop/stop.h"

#define SHORT_MOST 16 /* helpers for calls that are not long */
#define IDLE_MOST FX_SEC(2)

struct fxi_helper {
    struct fxi_context *context;
    struct fxi_blocking_call *call;
};

static struct {
    fxi_lowlock lock;
    struct fxi_list queue;
    size_t queued;  /* written under the lock, as the next is; what idle helpers park at */
    size_t users;
    size_t helpers, idle, with_long_calls;
} shared = { .queue = FXI_LIST_INIT(shared.queue) };

/* A handler of the program's may fork, which takes the lock. */
static fxi_sigmask lock_shared(void)
{
    fxi_sigmask mask = fxi_signals_set(FXI_SIGNALS_BUT_SETXID);
    fxi_lowlock_acquire(&shared.lock);
    return mask;
}

static void unlock_shared(fxi_sigmask mask)
{
    fxi_lowlock_release(&shared.lock);
    fxi_signals_set(mask);
}

static struct fxi_blocking_call *call_of(struct fxi_list *node)
{
    return fxi_container_of(node, struct fxi_blocking_call, queued);
}

static void dequeue(struct fxi_blocking_call *call)
{
    fxi_list_remove(&call->queued);
    call->queued.next = NULL;
    fxi_store_relaxed(&shared.queued, shared.queued - 1);
}

/* --- a helper --------------------------------------------------------------------------------- */

static bool is_idle(const void *arg)
{
    (void)arg;
    return fxi_load_relaxed(&shared.queued) == 0 && fxi_load_relaxed(&shared.users) > 0;
}

/* With the lock held. */
static struct fxi_blocking_call *take_call(struct fxi_helper *self)
{
    if (fxi_list_is_empty(&shared.queue))
        return NULL;
    struct fxi_blocking_call *call = call_of(shared.queue.next);
    dequeue(call);
    call->helper = self;
    self->call = call;
    shared.with_long_calls += call->is_long;
    return call;
}

static void make_call(struct fxi_helper *self, struct fxi_blocking_call *call)
{
    long result = call->make(call);
    fxi_sigmask mask = lock_shared();
    shared.with_long_calls -= call->is_long;
    call->helper = NULL;
    self->call = NULL;
    fxi_store_relaxed(&self->context->stop.asked, 0); /* a cancel, seen or too late; no other comes */
    unlock_shared(mask);
    call->over(call, result);
}

/* True: it waited for too long, or was not needed any more, and is none now. */
static bool await_call(struct fxi_helper *self, struct fxi_blocking_call **call)
{
    fx_deadline deadline = fx_deadline_after(IDLE_MOST);
    int rc = 0;
    for (;;) {
        fxi_sigmask mask = lock_shared();
        *call = take_call(self);
        bool ends = !*call && (rc == -ETIMEDOUT || shared.users == 0);
        shared.helpers -= ends;
        shared.idle += !*call && !ends;
        unlock_shared(mask);
        if (*call || ends)
            return ends;
        rc = fxi_park(&shared.queued, is_idle, NULL, deadline);
        mask = lock_shared();
        shared.idle--;
        unlock_shared(mask);
    }
}

static void *help(void *arg)
{
    struct fxi_helper self = { .context = fxi_current };
    struct fxi_blocking_call *call;
    (void)arg;
    while (!await_call(&self, &call))
        make_call(&self, call);
    return NULL;
}

/* Stops are asked of helpers, but none is ever raised in one: its only stop point is the call. */
static int start_helper(void)
{
    fx_thread_attr attr = { .name = "Helper", .daemon = true, .stop_mode = FX_STOP_DEFERRED };
    fx_thread *thread = fx_thread_new(help, NULL, &attr);
    if (!thread)
        return -ENOMEM;
    thread->internal = true;
    fxi_sigmask mask = fxi_signals_set(FXI_SIGNALS_BUT_SETXID);
    int rc = fx_thread_start(thread);
    fxi_signals_set(mask);
    fx_thread_unref(thread);
    return rc;
}

/* --- for who has calls ------------------------------------------------------------------------ */

/* With the lock held: whether there is to be a helper more. It is counted then. */
static bool wants_helper(bool is_long)
{
    if (shared.queued <= shared.idle ||
        !(is_long || shared.helpers - shared.with_long_calls < SHORT_MOST))
        return false;
    shared.helpers++;
    return true;
}

/* No helper could be had. Others make the call, if there are any. */
static int manage_without(struct fxi_blocking_call *call, int rc)
{
    fxi_sigmask mask = lock_shared();
    if (--shared.helpers > 0 || !call->queued.next)
        rc = 0;
    else
        dequeue(call);
    unlock_shared(mask);
    return rc;
}

int fxi_blocking_begin(struct fxi_blocking_call *call)
{
    bool is_long = call->is_long;
    fxi_sigmask mask = lock_shared();
    fxi_list_push_back(&shared.queue, &call->queued);
    fxi_store_relaxed(&shared.queued, shared.queued + 1);
    bool wakes = shared.idle > 0, starts = wants_helper(is_long);
    unlock_shared(mask);
    if (wakes)
        fxi_unpark(&shared.queued, 1);
    int rc = starts ? start_helper() : 0;
    return rc == 0 ? 0 : manage_without(call, rc);
}

/* Of one that has been queued: 0: taken back; -EALREADY: interrupted, or over; -EAGAIN: there is no signal
 * for it to be had. */
static int try_cancel(struct fxi_blocking_call *call)
{
    fxi_sigmask mask = lock_shared();
    struct fxi_helper *helper = call->helper;
    int rc = -EALREADY;
    if (call->queued.next) {
        dequeue(call);
        rc = 0;
    } else if (helper) { /* whose thread is there as long as the lock is held */
        pid_t id = fxi_load_relaxed(&fxi_thread_of(helper->context)->native_id);
        rc = fxi_stop_ask(helper->context, id, false, FX_STOPPED);
        rc = rc == 0 ? -EALREADY : rc;
    }
    unlock_shared(mask);
    return rc;
}

bool fxi_blocking_cancel(struct fxi_blocking_call *call)
{
    int rc;
    fxi_handler_install();
    while ((rc = try_cancel(call)) == -EAGAIN)
        nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
    return rc == 0;
}

void fxi_blocking_use(void)
{
    fxi_sigmask mask = lock_shared();
    fxi_store_relaxed(&shared.users, shared.users + 1);
    unlock_shared(mask);
}

void fxi_blocking_unuse(void)
{
    fxi_sigmask mask = lock_shared();
    fxi_store_relaxed(&shared.users, shared.users - 1);
    bool ends = shared.users == 0;
    unlock_shared(mask);
    if (ends)
        fxi_unpark(&shared.queued, SIZE_MAX);
}

/* --- fork ------------------------------------------------------------------------------------- */

void fxi_blocking_before_fork(void)
{
    fxi_lowlock_acquire(&shared.lock);
}

/* In the child there are no helpers, nor those whom they helped. */
void fxi_blocking_after_fork(bool in_child)
{
    if (in_child) {
        fxi_list_init(&shared.queue);
        shared.queued = shared.users = 0;
        shared.helpers = shared.idle = shared.with_long_calls = 0;
    }
    fxi_lowlock_release(&shared.lock);
}

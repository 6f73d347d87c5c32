#include "future/follow.h"

#include <errno.h>
#include <pthread.h>

#include "context/thread_record.h"
#include "future/lock.h"
#include "libc/alloc.h"
#include "park/park.h"
#include "stop/caught.h"
#include "stop/raise.h"
#include "stop/walk.h"

static bool has_watches(const fx_future *future)
{
    return future->watches.next && !fxi_list_is_empty(&future->watches);
}

/* With the lock held: whoever makes the future done will look for followers, or it is done. */
static bool is_done_or_followed(fx_future *future)
{
    /* acquire: pairs with the release of the exchange that made it done */
    uint32_t word = fxi_load_acquire(&future->state);
    do {
        if (fxi_future_word_is_done(word))
            return true;
    } while (!(word & FXI_FUTURE_FOLLOWED) &&
             !__atomic_compare_exchange_n(&future->state, &word, word | FXI_FUTURE_FOLLOWED, true,
                                          __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE));
    return false;
}

/* --- watches ---------------------------------------------------------------------------------- */

static bool has_what_it_waits_for(const struct fxi_watch_set *set)
{
    /* acquire: pairs with the releases in count_off and fire, for what the finisher did */
    return set->failures_only ? fxi_load_acquire(&set->met) : fxi_load_acquire(&set->fired) != NULL;
}

static bool must_wait(const void *set)
{
    return !has_what_it_waits_for(set);
}

/* The last one to be counted off has come after all others. */
static bool count_off(struct fxi_watch_set *set, bool failed)
{
    bool is_last = fxi_sub_acq_rel(&set->unfired, (size_t)1) == 1;
    if (set->failures_only && (failed || is_last))
        fxi_store_release(&set->met, true);
    return !set->failures_only || failed || is_last;
}

void fxi_watch_omit(struct fxi_watch_set *set)
{
    count_off(set, false);
}

/* Of a future that is done, with its lock held. Returns whether the set's owner is to be woken. */
static bool fire(struct fxi_watch *watch)
{
    struct fxi_watch_set *set = watch->set;
    fx_exc exception = fxi_future_exception(watch->future);
    watch->next_fired = fxi_load_relaxed(&set->fired);
    /* release: pairs with the acquire in fxi_watch_take */
    while (!fxi_cas_release(&set->fired, &watch->next_fired, watch))
        ;
    return count_off(set, exception != 0 && exception != FX_CANCELLED);
}

void fxi_watch_add(struct fxi_watch *watch, struct fxi_watch_set *set, fx_future *future)
{
    fxi_lowlock *lock = fxi_future_lock_of(future);
    watch->set = set;
    watch->future = future;
    watch->listed.next = NULL;
    fxi_lowlock_acquire(lock);
    if (is_done_or_followed(future)) {
        fire(watch);
    } else {
        if (!future->watches.next)
            fxi_list_init(&future->watches);
        fxi_list_push_back(&future->watches, &watch->listed);
    }
    fxi_lowlock_release(lock);
}

void fxi_watch_remove(struct fxi_watch *watch)
{
    fxi_lowlock *lock = fxi_future_lock_of(watch->future);
    fxi_lowlock_acquire(lock);
    if (watch->listed.next)
        fxi_list_remove(&watch->listed);
    watch->listed.next = NULL;
    fxi_lowlock_release(lock);
}

int fxi_watch_wait(struct fxi_watch_set *set, fx_deadline deadline)
{
    while (!has_what_it_waits_for(set)) {
        int rc = fxi_park(set, must_wait, set, deadline);
        if (rc != 0 && rc != -EAGAIN)
            return has_what_it_waits_for(set) ? 0 : rc;
    }
    return 0;
}

struct fxi_watch *fxi_watch_take(struct fxi_watch_set *set)
{
    /* acquire: pairs with the release in fire */
    struct fxi_watch *latest = fxi_exchange_acquire(&set->fired, NULL), *earliest = NULL;
    while (latest) {
        struct fxi_watch *before = latest->next_fired;
        latest->next_fired = earliest;
        earliest = latest;
        latest = before;
    }
    return earliest;
}

/* A watch and its set may be gone as soon as the lock is released: the wake only names the
 * address. */
static void fire_all(fx_future *future, fxi_lowlock *lock)
{
    fxi_lowlock_acquire(lock);
    while (has_watches(future)) {
        struct fxi_list *node = future->watches.next;
        struct fxi_watch *watch = fxi_container_of(node, struct fxi_watch, listed);
        const struct fxi_watch_set *set = watch->set;
        fxi_list_remove(node);
        node->next = NULL;
        if (!fire(watch))
            continue;
        fxi_lowlock_release(lock);
        fxi_unpark(set, SIZE_MAX);
        fxi_lowlock_acquire(lock);
    }
    fxi_lowlock_release(lock);
}

/* --- callbacks -------------------------------------------------------------------------------- */

/* The calls that one thread has to make, in a row. */
struct round {
    fx_future *future;
    struct fxi_callback **left;     /* what is to be called: of the future, or one alone */
    struct fxi_context *self;
    const struct fxi_net *outer;    /* where exceptions went before */
    struct fx_scope *innermost;
    bool interrupted;               /* by a stop or an exit, which goes on when all are made */
    struct fxi_raised interruption;
};

struct one_call {
    fx_done_callback fn;
    fx_future *future;
    void *arg;
};

static FXI_PASSES_ON void make_call(void *arg)
{
    struct one_call *call = arg;
    call->fn(call->future, call->arg);
    fxi_keep_frame();
}

static void raised(struct round *round)
{
    struct fxi_context *self = round->self;
    bool interrupts = self->raised.code == FX_STOPPED || self->raised.code == FX_EXITED;
    if (interrupts && !round->interrupted) {
        round->interrupted = true;
        round->interruption = self->raised;
    } else if (interrupts) {
        fxi_raised_drop(self);
    } else {
        fxi_raised_report(self);
    }
}

static struct fxi_callback *take_next(struct round *round)
{
    struct fxi_callback *node = *round->left;
    if (node)
        *round->left = node->next;
    return node;
}

static void make_calls(struct round *round)
{
    struct fxi_callback *node;
    while ((node = take_next(round)) != NULL) {
        struct one_call call = { node->fn, round->future, node->arg };
        if (!node->is_own)
            fxi_free(node);
        if (!round->self)
            make_call(&call);
        else if (fxi_call_caught(round->self, make_call, &call))
            raised(round);
    }
}

/* libc unwinds the thread, from within a callback: pthread_exit(), or a cancellation. */
static void unwound(void *arg)
{
    struct round *round = arg;
    round->self->base = round->outer;
    round->self->scopes.innermost = round->innermost;
    make_calls(round);
    fx_future_unref(round->future);
}

/* True: see fxi_future_finish. In a task it is the task's own net that meets pthread_exit(), for
 * libc keeps its nets by thread. */
static bool run_round(fx_future *future, struct fxi_callback **left)
{
    /* A callback may give up the caller's handle. */
    struct round round = { .future = fx_future_ref(future), .left = left, .self = fxi_self() };
    if (!round.self || round.self->task) {
        make_calls(&round);
    } else {
        round.outer = round.self->base;
        round.innermost = round.self->scopes.innermost;
        pthread_cleanup_push(unwound, &round);
        make_calls(&round);
        pthread_cleanup_pop(0);
    }
    fx_future_unref(future);
    if (round.interrupted)
        round.self->raised = round.interruption;
    return round.interrupted;
}

bool fxi_future_resume_callbacks(fx_future *future)
{
    return future->callbacks && run_round(future, &future->callbacks);
}

bool fxi_future_call_when_done(fx_future *future, struct fxi_callback *node)
{
    fxi_lowlock *lock = fxi_future_lock_of(future);
    fxi_lowlock_acquire(lock);
    bool is_done = is_done_or_followed(future);
    if (!is_done) {
        node->next = future->callbacks;
        future->callbacks = node;
    }
    fxi_lowlock_release(lock);
    if (!is_done)
        return false;
    node->next = NULL;
    return run_round(future, &node);
}

/* From the latest first to the order in which they were added. None is added any more. */
static void put_callbacks_in_order(fx_future *future)
{
    struct fxi_callback *latest = future->callbacks, *earliest = NULL;
    while (latest) {
        struct fxi_callback *before = latest->next;
        latest->next = earliest;
        earliest = latest;
        latest = before;
    }
    future->callbacks = earliest;
}

bool fxi_future_tell_watches(fx_future *future)
{
    fire_all(future, fxi_future_lock_of(future));
    put_callbacks_in_order(future);
    return future->callbacks != NULL;
}

bool fxi_future_tell_followers(fx_future *future)
{
    return fxi_future_tell_watches(future) && fxi_future_resume_callbacks(future);
}

int fx_future_add_done_callback(fx_future *future, fx_done_callback fn, void *arg)
{
    if (!future || !fn)
        return -EINVAL;
    struct fxi_callback *node = fxi_alloc(sizeof *node);
    if (!node)
        return -ENOMEM;
    node->fn = fn;
    node->arg = arg;
    if (fxi_future_call_when_done(future, node))
        fxi_raise_stored(fxi_self());
    return 0;
}

/* Timers.
 *
 * Guarantee: a started timer's function is called once, not before its deadline, unless the timer
 *   is cancelled first; exactly one of the two happens. Timers with earlier deadlines begin
 *   earlier. Waiting timers cost no thread each: those that are daemons have one keeper in common,
 *   the others another, and a keeper's thread exists only while timers wait. It is a daemon as its
 *   timers are, so that the end of the program, which waits for threads, waits for timers without
 *   knowing them.
 * State of a timer, and who moves it:
 *   NEW        made. To PENDING by start, to CANCELLED by cancel
 *   PENDING    in its keeper's heap. To DUE by the keeper, to CANCELLED by cancel
 *   DUE        out of the heap; its thread is being made. To BEGUN by the thread that will call fn
 *   BEGUN      `runner` is that thread. If it is one of the timer's own the state stays: the timer
 *              is over when that thread has ended
 *   DONE       over, where the keeper had to call fn itself; moved by it
 *   CANCELLED  over, fn was and will not be called
 *   NEW, PENDING and CANCELLED are left and entered under the keeper's lock alone.
 * Wake rule: joiners wait at the timer's state until it is BEGUN, then at the runner's, as those
 *   who join the runner do; whoever changes one unparks there. A keeper waits for the earliest
 *   deadline at its count of changes. A starter counts and wakes it if its timer is now the first.
 *   A canceller does so only if none is left: else the keeper wakes for a deadline that nobody
 *   waits for any more and looks once in vain, which is cheaper than a wake for each cancel.
 * Lifetime: whoever gives up the last reference frees. Each handle is one. The library holds one
 *   from the start on: the heap, then the keeper, then the runner, which gives it up before it
 *   calls fn (the keeper as runner: after its last touch of the timer). A canceller gives up the
 *   heap's.
 * Limits: where there is no memory or no thread more for it, fn runs in the keeper, and timers that
 *   become due meanwhile wait for it.
 *
 * Lock order: a keeper's lock, then what starting a thread takes. Nothing is woken and no function
 *   of the program's is called under it. */
#include <fxthread/timer.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "base/alarm.h"
#include "base/atomic.h"
#include "context/hooks.h"
#include "context/thread_record.h"
#include "kernel/lowlock.h"
#include "libc/alloc.h"
#include "park/park.h"
#include "stop/caught.h"
#include "stop/stop.h"

#define NEVER INT64_MAX /* a deadline that is not waited for */

enum state { NEW, PENDING, DUE, BEGUN, DONE, CANCELLED };

struct fx_timer {
    uint32_t references;
    uint32_t state;            /* enum state */
    struct keeper *keeper;
    fx_nsec interval;
    fx_target fn;
    void *arg;
    struct fxi_alarm alarm;    /* set while PENDING */
    uint32_t generation;       /* of the process; set by start, as is the next one */
    fxi_sigmask signal_mask;   /* its starter's, under which fn runs */
    fx_thread *runner;         /* with a reference; since BEGUN */
};

struct keeper {
    fxi_lowlock lock;
    const bool daemon;
    fx_thread *thread;         /* of the keeper, compared only; NULL: none */
    struct fxi_alarms alarms;
    uint32_t changes;          /* what the keeper's thread waits at */
};

static struct keeper keepers[] = { { .daemon = false }, { .daemon = true } };

/* How many forks lie between the first process and this one. A timer that was DUE in the parent is
 * in no heap, and told by this. */
static uint32_t generation;

/* What a fork's handlers need as well is taken with signals blocked: no handler of the program's
 * may fork in between. */
static fxi_sigmask lock_keeper(struct keeper *keeper)
{
    fxi_sigmask mask = fxi_signals_set(FXI_SIGNALS_BUT_SETXID);
    fxi_lowlock_acquire(&keeper->lock);
    return mask;
}

static void unlock_keeper(struct keeper *keeper, fxi_sigmask mask)
{
    fxi_lowlock_release(&keeper->lock);
    fxi_signals_set(mask);
}

static fx_timer *timer_of(struct fxi_alarm *alarm)
{
    return alarm ? fxi_container_of(alarm, fx_timer, alarm) : NULL;
}

/* In the thread that will call fn: tells joiners whom to wait for. */
static void begin(fx_timer *timer, fx_thread *runner)
{
    timer->runner = fx_thread_ref(runner);
    fxi_store_release(&timer->state, BEGUN); /* release: pairs with state_of, for the runner */
    fxi_unpark(&timer->state, SIZE_MAX);
}

/* A timer's own thread. */
static void *run(void *arg)
{
    fx_timer *timer = arg;
    fx_target fn = timer->fn;
    void *fn_arg = timer->arg;
    fxi_sigmask mask = timer->signal_mask;
    begin(timer, fx_current_thread());
    fx_timer_unref(timer);
    fxi_signals_set(mask);
    fn(fn_arg);
    return NULL;
}

static bool run_in_own_thread(fx_timer *timer)
{
    static unsigned last_number;
    char name[sizeof "Timer-4294967295"];
    snprintf(name, sizeof name, "Timer-%u", fxi_add_relaxed(&last_number, 1u) + 1);
    /* It is a daemon as its creator is, the keeper. */
    fx_thread *thread = fx_thread_new(run, timer, &(fx_thread_attr){ .name = name });
    bool started = thread && fx_thread_start(thread) == 0;
    fx_thread_unref(thread);
    return started;
}

static void call_function(void *arg)
{
    fx_timer *timer = arg;
    timer->fn(timer->arg);
}

/* The keeper's thread has to live on however fn ends, so fn gets the nets that a thread has from
 * its start, the one for pthread_exit() outside. */
static void call_and_survive(fx_thread *self, fx_timer *timer)
{
    const struct fxi_net *outer = self->context.base;
    __pthread_unwind_buf_t net;
    if (__sigsetjmp_cancel(net.__cancel_jmp_buf, 0) == 0) {
        __pthread_register_cancel(&net);
        if (fxi_call_caught(&self->context, call_function, timer))
            fxi_raised_report(&self->context);
    } else {
        self->context.scopes.innermost = outer->outside; /* the scopes of frames that are gone */
        fxi_tcb_resume(&self->carrier->tcb);
    }
    __pthread_unregister_cancel(&net);
    self->context.base = outer;
}

/* What fn left as the end of its thread is not the end of this one. */
static void forget_end(fx_thread *self)
{
    struct fxi_raised *raised = &self->context.raised;
    if (raised->payload && raised->free_payload)
        raised->free_payload(raised->payload);
    raised->payload = NULL;
    self->exception = 0;
    self->result = NULL;
}

static void run_in_keeper(fx_thread *self, fx_timer *timer)
{
    begin(timer, self);
    fxi_signals_set(timer->signal_mask);
    call_and_survive(self, timer);
    fxi_signals_set(FXI_SIGNALS_BUT_SETXID);
    forget_end(self);
    fxi_store_release(&timer->state, DONE); /* release: pairs with state_of, for what fn did */
    fxi_unpark(&self->state, SIZE_MAX);
    fx_timer_unref(timer);
}

/* How the keeper goes on. */
struct next_step {
    fx_timer *timer;      /* to be begun now; NULL: none is due */
    bool ends;            /* none is left, or this thread keeps no more: it forked, while it ran a
                           * timer's function */
    fx_deadline deadline; /* else what to wait for, unless there are changes */
    struct keeper *keeper;
    uint32_t changes;
};

static struct next_step next_step(struct keeper *keeper, const fx_thread *self)
{
    struct next_step next = { .keeper = keeper };
    fxi_sigmask mask = lock_keeper(keeper);
    fx_timer *first = timer_of(keeper->alarms.first);
    next.changes = keeper->changes;
    if (keeper->thread != self) {
        next.ends = true;
    } else if (!first) {
        keeper->thread = NULL;
        next.ends = true;
    } else if (first->alarm.deadline != NEVER && first->alarm.deadline <= fx_now()) {
        fxi_alarm_unset(&keeper->alarms, &first->alarm);
        fxi_store_relaxed(&first->state, DUE);
        next.timer = first;
    } else {
        next.deadline = first->alarm.deadline == NEVER ? FX_FOREVER : first->alarm.deadline;
    }
    unlock_keeper(keeper, mask);
    return next;
}

static bool is_unchanged(const void *arg)
{
    const struct next_step *next = arg;
    return fxi_load_relaxed(&next->keeper->changes) == next->changes;
}

static void *keep(void *arg)
{
    fx_thread *self = fx_current_thread();
    struct next_step next;
    while (next = next_step(arg, self), !next.ends) {
        if (!next.timer)
            fxi_park(&next.keeper->changes, is_unchanged, &next, next.deadline);
        else if (!run_in_own_thread(next.timer))
            run_in_keeper(self, next.timer);
    }
    return NULL;
}

/* With the lock held, also across the clone: were it given up, others could start timers that count
 * on a keeper which then cannot be had. The new thread has all signals blocked, as its starter
 * here. */
static int provide_thread(struct keeper *keeper)
{
    if (keeper->thread)
        return 0;
    fx_thread *thread = fx_thread_new(keep, keeper, &(fx_thread_attr){ .name = "TimerKeeper" });
    if (!thread)
        return -ENOMEM;
    thread->internal = true;
    thread->daemon = keeper->daemon;
    int rc = fx_thread_start(thread);
    if (rc == 0)
        keeper->thread = thread;
    fx_thread_unref(thread);
    return rc;
}

fx_timer *fx_timer_new(fx_nsec interval, fx_target fn, void *arg)
{
    if (!fn) {
        errno = EINVAL;
        return NULL;
    }
    struct fxi_context *self = fxi_self();
    fx_timer *timer = self ? fxi_alloc(sizeof *timer) : NULL;
    if (!timer)
        return NULL;
    fx_thread *maker = fxi_thread_of(self);
    timer->references = 1;
    timer->keeper = &keepers[maker->kind == FXI_THREAD_OWN && fxi_thread_begets_daemons(self)];
    timer->interval = interval;
    timer->fn = fn;
    timer->arg = arg;
    return timer;
}

/* With the lock held. */
static int enter(struct keeper *keeper, fx_timer *timer, fxi_sigmask mask)
{
    if (timer->state != NEW)
        return -EALREADY;
    int rc = provide_thread(keeper);
    if (rc != 0)
        return rc;
    fx_deadline due = fx_deadline_after(timer->interval);
    timer->alarm.deadline = due == FX_FOREVER ? NEVER : due;
    timer->generation = generation;
    timer->signal_mask = mask;
    /* release: pairs with state_of, for the generation */
    fxi_store_release(&timer->state, PENDING);
    fxi_alarm_set(&keeper->alarms, &fx_timer_ref(timer)->alarm);
    return 0;
}

int fx_timer_start(fx_timer *timer)
{
    if (!timer)
        return -EINVAL;
    struct keeper *keeper = timer->keeper;
    fxi_sigmask mask = lock_keeper(keeper);
    int rc = enter(keeper, timer, mask);
    bool is_first = rc == 0 && keeper->alarms.first == &timer->alarm;
    if (is_first)
        fxi_store_relaxed(&keeper->changes, keeper->changes + 1);
    unlock_keeper(keeper, mask);
    if (is_first)
        fxi_unpark(&keeper->changes, 1);
    return rc;
}

static enum state state_of(const fx_timer *timer)
{
    /* acquire: pairs with the releases in enter, begin and run_in_keeper */
    return (enum state)fxi_load_acquire(&timer->state);
}

/* Whether its keeper, and with it the thread that was to run it, stayed in the parent of a fork. */
static bool is_lost(const fx_timer *timer)
{
    return timer->generation != generation;
}

int fx_timer_cancel(fx_timer *timer)
{
    if (!timer)
        return -EINVAL;
    struct keeper *keeper = timer->keeper;
    fxi_sigmask mask = lock_keeper(keeper);
    enum state former = state_of(timer);
    bool was_kept = former == PENDING && !is_lost(timer);
    if (was_kept)
        fxi_alarm_unset(&keeper->alarms, &timer->alarm);
    if (former == NEW || former == PENDING)
        fxi_store_relaxed(&timer->state, CANCELLED);
    bool none_is_left = was_kept && !keeper->alarms.first;
    if (none_is_left)
        fxi_store_relaxed(&keeper->changes, keeper->changes + 1);
    unlock_keeper(keeper, mask);
    if (none_is_left)
        fxi_unpark(&keeper->changes, 1);
    if (was_kept) {
        fxi_unpark(&timer->state, SIZE_MAX);
        fx_timer_unref(timer);
    }
    return former == NEW || former == PENDING || former == CANCELLED ? 0 : -EALREADY;
}

static bool waits_to_begin(const void *arg)
{
    enum state state = state_of(arg);
    return (state == PENDING || state == DUE) && !is_lost(arg);
}

struct joiner {
    const fx_timer *timer;
    bool is_waited_for_at_exit; /* it is a thread that the end of the program waits for */
};

/* Once it is BEGUN. Of a runner in exit() nobody will see the end: those whom this exit() waits for
 * must not wait for it. */
static bool runs(const void *arg)
{
    const struct joiner *joiner = arg;
    enum fxi_thread_state state = fxi_thread_state(joiner->timer->runner);
    return state_of(joiner->timer) != DONE &&
           (state == FXI_THREAD_ALIVE ||
            (state == FXI_THREAD_EXITING && !joiner->is_waited_for_at_exit));
}

/* Waits for the end of what has begun. */
static int wait_for_end(fx_timer *timer, const fx_thread *self, fx_deadline deadline)
{
    struct joiner joiner = { timer, fxi_thread_is_joined_at_exit(self) };
    if (timer->runner == self)
        return -EDEADLK;
    int rc = -EAGAIN;
    while (runs(&joiner) && (rc == 0 || rc == -EAGAIN))
        rc = fxi_park(&timer->runner->state, runs, &joiner, deadline);
    if (runs(&joiner))
        return rc;
    return fxi_thread_state(timer->runner) == FXI_THREAD_LOST ? -ESRCH : 0;
}

static int join_until(fx_timer *timer, fx_deadline deadline)
{
    struct fxi_context *self = fxi_self();
    if (!timer || !self)
        return timer ? -ENOMEM : -EINVAL;
    for (;;) {
        int rc = 0;
        switch (state_of(timer)) {
        case NEW:
            return -EINVAL;
        case PENDING:
        case DUE:
            rc = is_lost(timer) ? -ESRCH
                                : fxi_park(&timer->state, waits_to_begin, timer, deadline);
            break;
        case BEGUN:
            return wait_for_end(timer, fxi_thread_of(self), deadline);
        case DONE:
        case CANCELLED:
            return 0;
        }
        if (rc != 0 && rc != -EAGAIN)
            return rc;
    }
}

int fx_timer_join_until(fx_timer *timer, fx_deadline deadline)
{
    return fxi_stop_point(join_until(timer, deadline));
}

int fx_timer_join_for(fx_timer *timer, fx_nsec timeout)
{
    return fx_timer_join_until(timer, fx_deadline_after(timeout));
}

int fx_timer_join(fx_timer *timer)
{
    return fx_timer_join_until(timer, FX_FOREVER);
}

fx_timer *fx_timer_ref(fx_timer *timer)
{
    if (timer)
        fxi_add_relaxed(&timer->references, 1u); /* whoever calls this holds one already */
    return timer;
}

void fx_timer_unref(fx_timer *timer)
{
    /* acq_rel: all that other holders did to the timer comes before its end */
    if (!timer || fxi_sub_acq_rel(&timer->references, 1u) != 1)
        return;
    fx_thread_unref(timer->runner);
    fxi_free(timer);
}

static void before_fork(void)
{
    for (size_t i = 0; i < 2; i++)
        fxi_lowlock_acquire(&keepers[i].lock);
}

/* In the child no thread keeps the parent's timers. */
static void abandon(struct keeper *keeper)
{
    struct fxi_alarm *first;
    while ((first = keeper->alarms.first) != NULL) {
        fxi_alarm_unset(&keeper->alarms, first);
        fx_timer_unref(timer_of(first));
    }
    keeper->thread = NULL;
}

static void after_fork(bool in_child)
{
    if (in_child)
        generation++;
    for (size_t i = 0; i < 2; i++) {
        if (in_child)
            abandon(&keepers[i]);
        fxi_lowlock_release(&keepers[i].lock);
    }
}

static struct fxi_hooks hooks = { .before_fork = before_fork, .after_fork = after_fork };

FXI_AT_LOAD(FXI_FLOOR_THREAD) static void register_hooks(void)
{
    fxi_hooks_register(&hooks);
}

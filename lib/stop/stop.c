#include "stop/stop.h"

#include <errno.h>

#include <fxthread/stop.h>

#include "base/atomic.h"
#include "context/hooks.h"
#include "kernel/futex.h"
#include "kernel/signal.h"
#include "stop/handler.h"
#include "stop/raise.h"
#include "stop/scope.h"
#include "stop/trampoline.h"
#include "stop/walk.h"

static fx_exc asked_of(const struct fxi_context *context)
{
    return fxi_load_relaxed(&context->stop.asked);
}

/* --- raising ---------------------------------------------------------------------------------- */

_Noreturn void fxi_stop_raise(void)
{
    struct fxi_context *self = fxi_current;
    /* acquire: pairs with the release in fxi_stop_ask */
    fx_exc code = fxi_exchange_acquire(&self->stop.asked, 0);
    self->scopes.stop_is_due = false;
    self->stop.attempts = 0;
    fxi_context_end_frames();
    fxi_raise_from_outside(self, code != 0 ? code : FX_STOPPED);
}

bool fxi_stop_may_raise_now(struct fxi_context *self)
{
    const struct fxi_stop *stop = &self->stop;
    if (asked_of(self) == 0 || stop->mode == FX_STOP_DEFERRED || stop->disabled > 0 || !stop->base)
        return false;
    if (fxi_scopes_inhibit(self, false)) {
        self->scopes.stop_is_due = true;
        return false;
    }
    return true;
}

void fxi_stop_may_raise_later(struct fxi_context *self)
{
    if (fxi_unlikely(asked_of(self) != 0) && self->stop.mode != FX_STOP_DEFERRED)
        self->scopes.stop_is_due = true;
}

bool fxi_stop_is_possible(const struct fxi_context *self)
{
    return self->stop.disabled == 0 && !fxi_scopes_inhibit(self, true);
}

bool fxi_stop_is_due(const struct fxi_context *self)
{
    return asked_of(self) != 0 && fxi_stop_is_possible(self);
}

/* A guard that was being acquired when its wait was given up has nothing. */
static void forget_acquiring(struct fxi_context *self)
{
    struct fx_scope *scope = self->scopes.innermost;
    if (scope && scope->state == FX_SCOPE_ACQUIRING)
        scope->state = FX_SCOPE_OVER;
}

/* The handler plants, too. */
static void plant_undisturbed(struct fxi_context *self, const struct fxi_walk *walk)
{
    fxi_sigmask mask = fxi_signals_set(FXI_SIGNALS_BUT_SETXID);
    fxi_trampoline_plant(self, walk);
    fxi_signals_set(mask);
}

static FXI_COLD void raise_if_possible(struct fxi_context *self)
{
    if (!fxi_stop_is_possible(self)) {
        fxi_stop_may_raise_now(self); /* notes what it waits for */
        return;
    }
    struct fxi_walk walk = fxi_walk_from_here(self);
    switch (walk.verdict) {
    case FXI_WALK_FREE:
    case FXI_WALK_BLIND: /* a stop point is where the program expects it */
        forget_acquiring(self);
        fxi_stop_raise();
    case FXI_WALK_FOREIGN:
        plant_undisturbed(self, &walk);
        fxi_handler_retry(self, true);
        break;
    case FXI_WALK_BUSY:
        fxi_handler_retry(self, false);
        break;
    }
}

void fxi_stop_check(void)
{
    struct fxi_context *self = fxi_current;
    if (fxi_unlikely(self && asked_of(self) != 0))
        raise_if_possible(self);
}

int fxi_stop_point(int rc)
{
    if (fxi_unlikely(rc == -ECANCELED))
        fxi_stop_check();
    return rc;
}

/* --- a context's beginning and end ------------------------------------------------------------ */

void fxi_stop_begin(struct fxi_context *self, const void *first_frame)
{
    self->stop.base = first_frame;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    self->stop.disabled = 0;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (asked_of(self) != 0)
        fxi_stop_raise();
}

void fxi_stop_end(struct fxi_context *self)
{
    self->stop.disabled = 1;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    self->stop.base = NULL;
    self->stop.calls = 0; /* libc may have unwound it from the midst of one */
    self->scopes.stop_is_due = false;
    fxi_trampolines_forget(self);
}

void fxi_stop_end_of_thread(void)
{
    fxi_handler_end_of_thread();
}

/* --- asking ----------------------------------------------------------------------------------- */

/* Takes it out of a sleep at a stop point; false: it was in none. */
static bool end_sleep(struct fxi_context *context)
{
    uint32_t *word = &context->waiter.woken, state = fxi_load_relaxed(word);
    do {
        if (!fxi_waiter_sleeps(state) || state == FXI_WAITER_SLEEPING)
            return false;
        /* release: the exception asked for is there when the waiter looks; acquire: pairs with its
         * announcement of the sleep, for what resume() goes by */
    } while (!fxi_cas_acq_rel(word, &state, FXI_WAITER_STOPPED));
    if (state == FXI_WAITER_STOPPABLE_SUSPENDED)
        context->operations->resume(context);
    else if (state == FXI_WAITER_STOPPABLE_SHARED)
        fxi_futex_wake_shared(word, 1);
    else
        fxi_futex_wake(word, 1);
    return true;
}

int fxi_stop_ask(struct fxi_context *context, pid_t thread_id, bool anywhere, fx_exc code)
{
    fx_exc present = asked_of(context);
    /* release: what the asker did before is seen by the context when it raises it */
    while (present != FX_STOPPED && !fxi_cas_release(&context->stop.asked, &present, code))
        ;
    fxi_fence_full(); /* pairs with the one in lib/park's sleep */
    if (end_sleep(context) || thread_id == 0)
        return 0;
    return fxi_handler_send(context, thread_id, anywhere);
}

/* Below a foreign frame the return of that one is awaited at once: it may come before any timer. */
static FXI_COLD void tell_again(struct fxi_context *self)
{
    bool is_planted = false;
    if (self->stop.mode != FX_STOP_DEFERRED && fxi_stop_is_possible(self)) {
        struct fxi_walk walk = fxi_walk_from_here(self);
        is_planted = walk.verdict == FXI_WALK_FOREIGN;
        if (is_planted)
            plant_undisturbed(self, &walk);
    }
    fxi_handler_retry(self, is_planted);
}

void fxi_stop_tell_again(struct fxi_context *self)
{
    if (fxi_unlikely(asked_of(self) != 0))
        tell_again(self);
}

/* --- what programs call ----------------------------------------------------------------------- */

void fx_checkpoint(void)
{
    fxi_stop_check();
}

void fx_stop_disable(void)
{
    struct fxi_context *self = fxi_self();
    if (self)
        self->stop.disabled++;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

void fx_stop_enable(void)
{
    struct fxi_context *self = fxi_current;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (!self || self->stop.disabled == 0)
        return;
    self->stop.disabled--;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (self->stop.disabled == 0)
        fxi_stop_check();
}

bool fx_stop_requested(void)
{
    return fxi_current && asked_of(fxi_current) != 0;
}

fx_stop_mode fx_stop_set_mode(fx_stop_mode mode)
{
    struct fxi_context *self = fxi_self();
    if (!self)
        return FX_STOP_SAFE;
    fx_stop_mode former = (fx_stop_mode)self->stop.mode;
    if ((unsigned)mode > FX_STOP_ASYNC)
        return former;
    /* Askers look at it: whoever sees the former mode, and sends no signal, asked before this look. */
    fxi_store_relaxed(&self->stop.mode, (uint8_t)mode);
    fxi_fence_full(); /* pairs with the one in fxi_stop_ask */
    if (former == FX_STOP_DEFERRED && mode != FX_STOP_DEFERRED)
        fxi_stop_check();
    return former;
}

/* --- fork ------------------------------------------------------------------------------------- */

static void after_fork(bool in_child)
{
    struct fxi_context *self = fxi_current;
    if (!in_child)
        return;
    fxi_trampolines_restore(self);
    fxi_handler_after_fork_in_child();
    if (self) {
        fxi_store_relaxed(&self->stop.asked, 0);
        self->scopes.stop_is_due = false;
    }
}

static void foreign_end(fx_thread *thread)
{
    (void)thread;
    fxi_handler_end_of_thread();
}

static struct fxi_hooks hooks = { .after_fork = after_fork, .foreign_end = foreign_end };

FXI_AT_LOAD(FXI_FLOOR_STOP) static void register_hooks(void)
{
    fxi_hooks_register(&hooks);
}

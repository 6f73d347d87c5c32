/* Scopes: what an exception, or leaving a block, does with each.
 *
 * State of an FX_TRY (enum fx_scope_state), who moves it on, and where to:
 *   BLOCK      end of the block: FINALLY. Exception: RAISED. Left: PASSING.
 *   RAISED     a clause takes it: CAUGHT. None does: FINALLY. Its condition raises: PASSING.
 *   CAUGHT     end of the clause: FINALLY. Exception, which replaces the one caught: PASSING. Left:
 *              PASSING.
 *   PASSING    no clause looks at it: FINALLY.
 *   FINALLY    FX_END: OVER, and then as `end` says. Exception or left: OVER, and what was to follow
 *              is dropped.
 *   OVER       unlinked, or about to be.
 * A scope without FX_FINALLY goes to OVER where this table says FINALLY. Of a guard: ACQUIRING, HELD,
 * RELEASING, OVER; an exception that finds it RELEASING came out of its release.
 *
 * Where an exception is: in the context (`raised`) from its raise until a scope has taken it or the
 * thread ends by it; then in that scope, until it is over or raised again. Exactly one of them owns
 * its payload. While a guard is released on the way, the exception waits on the raiser's stack.
 *
 * Lifetime: a jump to a scope ends all frames below it, that of the jumping function too; nothing
 * else is read from them afterwards. A scope's own frame is there as long as it is linked.
 *
 * Leaving FX_TRY by return, break, continue or goto: the compiler calls the block's cleanup,
 * fx_scope_leave(), which notes where it was to return to and jumps to the second return of
 * fx_scope_save(); no clause takes anything there, FX_FINALLY runs, and FX_END jumps to the place
 * noted. Both functions are marked returns_twice, so that the compiler keeps what lives across the
 * cleanup (the value to return) where running the rest of the function does not overwrite it. */
#include "stop/scope.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "kernel/jump.h"
#include "libc/thread_state.h"
#include "stop/raise.h"
#include "stop/stop.h"

#define JUMP(registers) ((struct fxi_jump *)(void *)(registers))

/* What lib/kernel's scope.S takes for granted. */
_Static_assert(offsetof(struct fx_try, scope.state) == 16, "");
_Static_assert(offsetof(struct fx_try, registers) == 32, "");
_Static_assert(offsetof(struct fx_try, back) == 208, "");
_Static_assert(FX_SCOPE_OVER == 0, "");
_Static_assert(sizeof ((struct fx_try *)0)->registers == sizeof(struct fxi_jump), "");
_Static_assert(sizeof ((struct fx_try *)0)->message == FXI_MESSAGE_BYTES, "");

/* Of functions that end in a jump which is not libc's: ThreadSanitizer counts calls and returns, and
 * would wait for theirs. */
#if defined FXI_TSAN && defined __clang__
#define ENDS_IN_A_JUMP __attribute__((disable_sanitizer_instrumentation))
#elif defined FXI_TSAN
#define ENDS_IN_A_JUMP __attribute__((no_sanitize("thread")))
#else
#define ENDS_IN_A_JUMP
#endif

/* Called by assembly. */
void fxi_scope_left(struct fx_try *scope);

static struct fx_try *try_of(struct fx_scope *scope)
{
    return fxi_container_of(scope, struct fx_try, scope);
}

static fx_guard *guard_of(struct fx_scope *scope)
{
    return fxi_container_of(scope, fx_guard, scope);
}

struct fx_scopes *fx_scope_first(void)
{
    return &fxi_raiser()->scopes;
}

/* The exception leaves the scope for the context; the scope still tells of it, but for its payload. */
static void give_to_context(struct fx_try *scope, struct fxi_context *self)
{
    self->raised.code = scope->exception.code;
    self->raised.line = scope->exception.line;
    self->raised.file = scope->exception.file;
    self->raised.payload = scope->exception.payload;
    self->raised.free_payload = scope->free_payload;
    strcpy(self->raised.message, scope->message);
    scope->exception.payload = NULL;
}

static void take_from_context(struct fx_try *scope, struct fxi_context *self)
{
    scope->exception = fxi_raised_info(&self->raised);
    scope->free_payload = self->raised.free_payload;
    strcpy(scope->message, self->raised.message);
    scope->exception.message = scope->message;
    self->raised.payload = NULL;
}

/* Ends an exception that another one replaces: its payload may be that one's too. */
static void free_payload(struct fxi_context *self, void *payload, fx_callback free_it)
{
    if (!payload || !free_it || payload == self->raised.payload)
        return;
    struct fxi_raised pending = self->raised; /* free_it may raise and catch */
    self->raised.payload = NULL;
    free_it(payload);
    self->raised = pending;
}

static void discard(struct fxi_context *self, struct fx_try *scope)
{
    void *payload = scope->exception.payload;
    scope->exception.payload = NULL;
    free_payload(self, payload, scope->free_payload);
}

ENDS_IN_A_JUMP static _Noreturn void go_on_in(struct fx_try *scope, enum fx_scope_state state)
{
    scope->scope.state = state;
#ifdef FX_SCOPE_SETJMP
    if (scope->end == FX_SCOPE_RERAISE)
        longjmp(scope->environment, 1);
#endif
    fxi_jump_to(JUMP(scope->registers), 1);
}

static _Noreturn void deliver(struct fxi_context *self, struct fx_try *scope,
                              enum fx_scope_state state)
{
    take_from_context(scope, self);
    scope->end = FX_SCOPE_RERAISE;
    fxi_stop_may_raise_later(self);
    fxi_context_end_frames();
    go_on_in(scope, state);
}

/* Whatever the release raises replaces what is on its way: it is caught here, so that the stack does
 * not grow with each one. */
static FXI_NOINLINE void release(struct fxi_context *self, fx_guard *guard)
{
    struct fx_try net;
    struct fxi_raised pending = self->raised;
    self->raised.payload = NULL;
    guard->scope.state = FX_SCOPE_RELEASING;
    if (!FX_TRY_SAVE(&net)) {
        fx_try_enter(&net);
        guard->release(guard->object);
        fx_scope_unlink(&net.scope);
        self->raised = pending;
    } else {
        fx_scope_unlink(&net.scope);
        give_to_context(&net, self);
        free_payload(self, pending.payload, pending.free_payload);
    }
}

static bool may_be_held(const fx_guard *guard)
{
    return guard->scope.state == FX_SCOPE_HELD || (guard->resource && guard->resource->knows_owner);
}

bool fxi_scopes_inhibit(const struct fxi_context *self, bool at_stop_point)
{
    if (fxi_libc_is_unwinding())
        return true;
    for (struct fx_scope *scope = self->scopes.innermost; scope; scope = scope->outer) {
        switch ((enum fx_scope_state)scope->state) {
        case FX_SCOPE_RAISED:
        case FX_SCOPE_CAUGHT:
        case FX_SCOPE_PASSING:
        case FX_SCOPE_FINALLY:
        case FX_SCOPE_RELEASING:
            return true;
        case FX_SCOPE_ACQUIRING:
            if (!at_stop_point && !may_be_held(guard_of(scope)))
                return true;
            break;
        case FX_SCOPE_BLOCK:
        case FX_SCOPE_HELD:
        case FX_SCOPE_OVER:
            break;
        }
    }
    return false;
}

void fxi_scope_unwind(struct fxi_context *self)
{
    struct fx_scope *scope, *outside = self->base ? self->base->outside : NULL;
    while ((scope = self->scopes.innermost) != outside) {
        switch ((enum fx_scope_state)scope->state) {
        case FX_SCOPE_BLOCK:
            deliver(self, try_of(scope), FX_SCOPE_RAISED);
        case FX_SCOPE_RAISED:
        case FX_SCOPE_CAUGHT:
            discard(self, try_of(scope));
            deliver(self, try_of(scope), FX_SCOPE_PASSING);
        case FX_SCOPE_PASSING:
        case FX_SCOPE_FINALLY:
            if (try_of(scope)->end == FX_SCOPE_RERAISE)
                discard(self, try_of(scope));
            break;
        case FX_SCOPE_ACQUIRING:
        case FX_SCOPE_HELD:
            if (may_be_held(guard_of(scope)))
                release(self, guard_of(scope));
            break;
        case FX_SCOPE_RELEASING:
        case FX_SCOPE_OVER:
            break;
        }
        self->scopes.innermost = scope->outer;
    }
}

ENDS_IN_A_JUMP void fxi_scope_left(struct fx_try *scope)
{
    struct fxi_context *self = fxi_self();
    bool finally_is_left = scope->scope.state == FX_SCOPE_FINALLY;
    self->scopes.innermost = &scope->scope; /* what was inside is in frames that are gone */
    if (scope->end == FX_SCOPE_DISCARD || scope->end == FX_SCOPE_RERAISE)
        discard(self, scope);
    if (finally_is_left) {
        fx_scope_unlink(&scope->scope);
        return;
    }
    scope->end = FX_SCOPE_RETURN;
    go_on_in(scope, FX_SCOPE_PASSING);
}

void fx_scope_discard(struct fx_try *scope)
{
    scope->end = FX_SCOPE_CONTINUE;
    discard(fxi_self(), scope);
}

ENDS_IN_A_JUMP void fx_scope_end(struct fx_try *scope)
{
    struct fxi_context *self = fxi_self();
    switch ((enum fx_scope_end)scope->end) {
    case FX_SCOPE_CONTINUE:
        break;
    case FX_SCOPE_DISCARD:
        fx_scope_discard(scope);
        break;
    case FX_SCOPE_RERAISE:
        fx_scope_unlink(&scope->scope);
        give_to_context(scope, self);
        fxi_raise_stored(self);
    case FX_SCOPE_RETURN:
        fx_scope_unlink(&scope->scope);
        fx_scope_let_stop(&scope->scope);
        fxi_jump_to(JUMP(scope->back), 1);
    }
    fx_scope_unlink(&scope->scope);
}

void fx_scope_refused(fx_guard *guard, int rc, const char *file, int line)
{
    if (rc == -ECANCELED) { /* for a stop that waits for a foreign frame, across which this cannot raise */
        fx_stop_disable();
        rc = guard->resource->acquire(guard->object);
        if (rc >= 0)
            guard->scope.state = FX_SCOPE_HELD;
        fx_stop_enable();
        if (rc >= 0)
            return;
    }
    fx_scope_unlink(&guard->scope);
    fx_raise_at(rc, file, line);
}

static struct fx_try *innermost_catcher(struct fxi_context *self)
{
    struct fx_scope *scope = self->scopes.innermost;
    while (scope && scope->state != FX_SCOPE_CAUGHT)
        scope = scope->outer;
    return scope ? try_of(scope) : NULL;
}

const fx_exc_info *fx_caught(void)
{
    struct fx_try *scope = fxi_current ? innermost_catcher(fxi_current) : NULL;
    return scope ? &scope->exception : NULL;
}

_Noreturn void fx_reraise(void)
{
    struct fxi_context *self = fxi_raiser();
    struct fx_try *scope = innermost_catcher(self);
    if (!scope)
        (fx_raise)(-EINVAL);
    give_to_context(scope, self);
    fxi_raise_stored(self);
}

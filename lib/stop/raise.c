#include "stop/raise.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/panic.h"
#include "stop/excepthook.h"
#include "stop/scope.h"
#include "stop/walk.h"

fx_exc_info fxi_raised_info(const struct fxi_raised *raised)
{
    return (fx_exc_info){ .code = raised->code,
                          .line = raised->line,
                          .file = raised->file,
                          .message = raised->message,
                          .payload = raised->payload };
}

static struct fxi_raised *begin(struct fxi_context *self, fx_exc code, const char *file, int line)
{
    struct fxi_raised *raised = &self->raised;
    raised->code = code == 0 ? -EINVAL : code;
    raised->file = file;
    raised->line = line;
    raised->payload = NULL;
    raised->free_payload = NULL;
    raised->message[0] = 0;
    return raised;
}

/* In a debug build the mistake is told where it is made; in others the frames are lost. */
static void refuse_across_foreign_frames(struct fxi_context *self)
{
#ifdef FXI_DEBUG
    const struct fx_scope *target = self->scopes.innermost;
    while (target && target->state != FX_SCOPE_BLOCK)
        target = target->outer;
    struct fxi_walk walk = fxi_walk_from_here(self);
    /* Scopes stand in the frames of those who made them, and stacks grow down. */
    if (walk.verdict == FXI_WALK_FOREIGN && (!target || walk.nearest <= (uintptr_t)target))
        fxi_panic("an exception was raised across a function of another library, which called the "
                  "raiser back: catch it in the callback");
#else
    (void)self;
#endif
}

_Noreturn void fxi_raise_stored(struct fxi_context *self)
{
    fxi_scope_unwind(self);
    if (self->base)
        fxi_jump_to(&self->base->jump, 1);
    fx_thread *thread = fxi_thread_of(self);
    fxi_excepthook_call(thread);
    if (thread->kind == FXI_THREAD_MAIN && self->raised.code != FX_EXITED) {
        fx_stop_disable();
        exit(EXIT_FAILURE);
    }
    fxi_raised_end(thread);
    pthread_exit(thread->result);
}

void fxi_raised_end(fx_thread *thread)
{
    struct fxi_raised *raised = &thread->context.raised;
    thread->exception = raised->code;
    thread->result = NULL;
    if (raised->code == FX_EXITED && !raised->free_payload) {
        thread->result = raised->payload;
        raised->payload = NULL;
    }
}

_Noreturn void fxi_raise_exit(struct fxi_context *self, void *result)
{
    begin(self, FX_EXITED, NULL, 0)->payload = result;
    fxi_raise_stored(self);
}

_Noreturn void fxi_raise_from_outside(struct fxi_context *self, fx_exc code)
{
    begin(self, code, NULL, 0);
    fxi_raise_stored(self);
}

struct fxi_context *fxi_raiser(void)
{
    struct fxi_context *self = fxi_self();
    if (!self)
        pthread_exit(NULL);
    return self;
}

_Noreturn void fx_raise_at(fx_exc code, const char *file, int line)
{
    struct fxi_context *self = fxi_raiser();
    refuse_across_foreign_frames(self);
    begin(self, code, file, line);
    fxi_raise_stored(self);
}

_Noreturn void fx_raise_with_at(fx_exc code, void *payload, fx_callback free_it, const char *file,
                                int line)
{
    struct fxi_context *self = fxi_raiser();
    refuse_across_foreign_frames(self);
    struct fxi_raised *raised = begin(self, code, file, line);
    raised->payload = payload;
    raised->free_payload = free_it;
    fxi_raise_stored(self);
}

static _Noreturn void raise_formatted(fx_exc code, const char *file, int line, const char *format,
                                      va_list arguments)
{
    struct fxi_context *self = fxi_raiser();
    refuse_across_foreign_frames(self);
    struct fxi_raised *raised = begin(self, code, file, line);
    vsnprintf(raised->message, sizeof raised->message, format, arguments);
    fxi_raise_stored(self);
}

_Noreturn void fx_raise_msg_at(fx_exc code, const char *file, int line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    raise_formatted(code, file, line, format, arguments);
}

int fx_check_at(int rc, const char *file, int line)
{
    if (fxi_unlikely(rc < 0))
        fx_raise_at(rc, file, line);
    return rc;
}

/* The functions behind the macros of the same names, for who takes their address or binds to them
 * from another language. */

_Noreturn void(fx_raise)(fx_exc code)
{
    fx_raise_at(code, NULL, 0);
}

_Noreturn void(fx_raise_with)(fx_exc code, void *payload, fx_callback free_it)
{
    fx_raise_with_at(code, payload, free_it, NULL, 0);
}

_Noreturn void(fx_raise_msg)(fx_exc code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    raise_formatted(code, NULL, 0, format, arguments);
}

int(fx_check)(int rc)
{
    return fx_check_at(rc, NULL, 0);
}

const char *fx_exc_name(fx_exc code)
{
    static _Thread_local char number[sizeof "-2147483648"];
    static const char *const own[] = { "FX_STOPPED",   "FX_EXITED",      "FX_CANCELLED",
                                       "FX_TIMED_OUT", "FX_WORKER_DIED", "FX_POOL_BROKEN" };
    if (code >= FX_STOPPED && code <= FX_POOL_BROKEN)
        return own[code - FX_STOPPED];
    const char *name = code < 0 && code > INT_MIN ? strerrorname_np(-code) : NULL;
    if (name)
        return name;
    snprintf(number, sizeof number, "%d", code);
    return number;
}

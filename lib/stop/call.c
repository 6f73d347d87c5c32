#include "stop/call.h"

#include <errno.h>

#include "base/atomic.h"
#include "kernel/signal.h"
#include "kernel/stop_call.h"
#include "stop/handler.h"
#include "stop/stop.h"

_Static_assert(offsetof(struct fxi_stop, asked) == 0, "as in stop_call.S");
_Static_assert(offsetof(struct fxi_stop, calls) == 4, "as in stop_call.S");

static _Thread_local bool signal_is_open;

/* A thread that the library did not start may have come with all signals blocked. */
static FXI_COLD void open_signal(void)
{
    fxi_signal_open(FXI_STOP_SIGNAL);
    signal_is_open = true;
}

static bool is_past(fx_deadline deadline)
{
    return deadline != FX_FOREVER && fx_now() >= deadline;
}

FXI_COLD long fxi_stop_call_tell(long rc, fx_deadline deadline)
{
    struct fxi_context *self = fxi_current;
    if (rc != -EINTR) {
        fxi_stop_tell_again(self);
        return rc;
    }
    return fxi_load_relaxed(&self->stop.asked) != 0 ? -ECANCELED
           : is_past(deadline)                      ? -ETIMEDOUT
                                                    : -EINTR;
}

static long call(struct fxi_context *self, long number, const long arguments[6],
                 fx_deadline deadline)
{
    long rc;
    if (fxi_stop_is_possible(self))
        return fxi_stop_call_enter(number, arguments, &self->stop, deadline);
    do
        rc = fxi_plain_call(number, arguments);
    while (rc == -EINTR && !is_past(deadline));
    return rc == -EINTR ? -ETIMEDOUT : rc;
}

/* From the deadline on a signal comes again and again: the first may come before the call blocks, which
 * is to be made once, or be handled on top of a handler of the program's, after which the kernel goes on
 * with the call. */
static long call_with_ticks(struct fxi_context *self, long number, const long arguments[6],
                            fx_deadline deadline)
{
    fxi_sigmask former = fxi_signal_open(FXI_STOP_SIGNAL);
    long rc = -ENOMEM;
    if (fxi_handler_begin_ticks(deadline) == 0) {
        rc = call(self, number, arguments, deadline);
        fxi_handler_end_ticks();
    }
    if (former & FXI_SIGNAL_BIT(FXI_STOP_SIGNAL))
        fxi_signals_set(former);
    return rc;
}

static FXI_NOINLINE long call_with_care(long number, const long arguments[6], fx_deadline deadline)
{
    struct fxi_context *self = fxi_self();
    if (!self)
        return -ENOMEM;
    if (!signal_is_open)
        open_signal();
    if (self->operations)
        self->operations->sleeps(self, true);
    long rc = deadline == FX_FOREVER && !FXI_HANDLER_IS_LATE
                  ? call(self, number, arguments, deadline)
                  : call_with_ticks(self, number, arguments, deadline);
    if (self->operations)
        self->operations->sleeps(self, false);
    return rc;
}

long fxi_stop_call(long number, const long arguments[6], fx_deadline deadline)
{
    struct fxi_context *self = fxi_current;
    if (fxi_likely(self && signal_is_open && !self->operations && deadline == FX_FOREVER &&
                   !FXI_HANDLER_IS_LATE && fxi_stop_is_possible(self)))
        return fxi_stop_call_enter(number, arguments, &self->stop, deadline); /* and no return here */
    return call_with_care(number, arguments, deadline);
}

static bool is_between(uintptr_t pc, uintptr_t begin, uintptr_t end)
{
    return pc - begin < end - begin;
}

bool fxi_stop_call_contains(uintptr_t pc)
{
    return is_between(pc, (uintptr_t)fxi_stop_call_enter, (uintptr_t)fxi_stop_call_looked) ||
           is_between(pc, (uintptr_t)fxi_stop_call_refuse, (uintptr_t)fxi_stop_call_over);
}

uintptr_t fxi_stop_call_after_stop(uintptr_t pc)
{
    return is_between(pc, (uintptr_t)fxi_stop_call_look, (uintptr_t)fxi_stop_call_made)
               ? (uintptr_t)fxi_stop_call_refuse
               : pc;
}

bool fxi_stop_call_is_under_way(const struct fxi_context *context)
{
    return !fxi_stop_call_settle() || fxi_load_relaxed(&context->stop.calls) != 0;
}

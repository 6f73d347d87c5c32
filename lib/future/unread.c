/* Exceptions that nobody asked for.
 *
 * The hook is a foreign frame to a stop, which waits for its return: what came out of it would be
 * dropped. */
#include "future/future.h"
#include "stop/caught.h"
#include "stop/raise.h"

static fx_unread_hook present;

fx_unread_hook fx_set_unread_hook(fx_unread_hook hook)
{
    /* acq_rel: what a hook's setter prepared for it is there when a thread calls it */
    return fxi_exchange_acq_rel(&present, hook);
}

struct unread {
    fx_unread_hook hook;
    fx_future *future;
    const fx_exc_info *info;
};

static void call_hook(void *arg)
{
    struct unread *unread = arg;
    unread->hook(unread->future, unread->info);
    fxi_keep_frame();
}

fx_exc_info fxi_future_info(const fx_future *future)
{
    if (future->details)
        return fxi_raised_info(future->details);
    return (fx_exc_info){ .code = fxi_future_exception(future), .message = "" };
}

void fxi_future_report_unread(fx_future *future)
{
    fx_exc exception = fxi_future_exception(future);
    fx_unread_hook hook = fxi_load_acquire(&present); /* acquire: pairs with fx_set_unread_hook */
    if (!hook || (future->state & FXI_FUTURE_TOLD) || exception == 0 || exception == FX_CANCELLED ||
        exception == FX_STOPPED || exception == FX_EXITED)
        return;
    fx_exc_info info = fxi_future_info(future);
    struct unread unread = { hook, future, &info };
    struct fxi_context *self = fxi_self();
    if (!self) {
        call_hook(&unread);
        return;
    }
    /* The handle may be given up while another one is on its way. */
    struct fxi_raised pending = self->raised;
    self->raised.payload = NULL;
    if (fxi_call_caught(self, call_hook, &unread))
        fxi_raised_drop(self);
    self->raised = pending;
}

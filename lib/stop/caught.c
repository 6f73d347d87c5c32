#include "stop/caught.h"

#include "stop/excepthook.h"
#include "stop/raise.h"

bool fxi_call_caught(struct fxi_context *self, fx_callback fn, void *arg)
{
    struct fxi_net net;
    const struct fxi_net *volatile outer = self->base;
    volatile bool raised = true;
    if (fxi_jump_save(&net.jump) == 0) {
        fxi_net_spread(self, &net);
        fn(arg);
        raised = false;
    }
    self->base = outer;
    return raised;
}

void fxi_raised_drop(struct fxi_context *self)
{
    void *payload = self->raised.payload;
    self->raised.payload = NULL;
    if (payload && self->raised.free_payload)
        self->raised.free_payload(payload);
}

static void tell_excepthook(void *self)
{
    struct fxi_context *context = self;
    struct fxi_raised raised = context->raised; /* the hook may raise and catch */
    context->raised.payload = NULL;
    fxi_excepthook_tell(fxi_thread_of(context), &raised);
    context->raised = raised;
}

void fxi_raised_report(struct fxi_context *self)
{
    void *payload = self->raised.payload;
    fx_callback free_payload = self->raised.free_payload;
    if (fxi_call_caught(self, tell_excepthook, self))
        fxi_raised_drop(self);
    self->raised.payload = NULL;
    if (payload && free_payload)
        free_payload(payload);
}

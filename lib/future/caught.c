#include "future/caught.h"

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

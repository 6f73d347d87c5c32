#include "stop/callback.h"

#include <pthread.h>

#include "stop/raise.h"
#include "stop/walk.h"

struct call {
    fx_callback fn, failed;
    void *arg, *failed_arg;
    struct fxi_context *self;
    const struct fxi_net *outer; /* where exceptions went before */
    struct fx_scope *innermost;
};

/* Inside the library's net: whether fn returned. */
static FXI_PASSES_ON bool returns(struct call *call)
{
    struct fxi_net net;
    bool returned = false;
    if (fxi_jump_save(&net.jump) == 0) {
        fxi_net_spread(call->self, &net);
        call->fn(call->arg);
        returned = true;
    }
    call->self->base = call->outer;
    return returned;
}

/* libc unwinds the thread: pthread_exit(), or a cancellation. The scopes in fn are gone with it. */
static void unwound(void *arg)
{
    struct call *call = arg;
    call->self->base = call->outer;
    call->self->scopes.innermost = call->innermost;
    call->failed(call->failed_arg);
}

FXI_PASSES_ON void fxi_callback_run(fx_callback fn, void *arg, fx_callback failed, void *failed_arg)
{
    struct call call = { fn, failed, arg, failed_arg, fxi_self(), NULL, NULL };
    bool returned;
    call.outer = call.self->base;
    call.innermost = call.self->scopes.innermost;
    /* libc's net is the outer one, so that a raise, which ends in the inner one, leaves no net
     * behind that libc still knows of. */
    pthread_cleanup_push(unwound, &call);
    returned = returns(&call);
    pthread_cleanup_pop(0);
    if (returned)
        return;
    failed(failed_arg);
    fxi_raise_stored(call.self);
}

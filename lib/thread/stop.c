/* Stopping a thread. While the registry's lock is held, a thread that is alive does not end. */
#include <errno.h>

#include "context/registry.h"
#include "stop/handler.h"
#include "stop/stop.h"

static int ask(fx_thread *thread, fx_exc code)
{
    switch (fxi_thread_state(thread)) {
    case FXI_THREAD_NEW:
    case FXI_THREAD_STARTING:
        return -EINVAL;
    case FXI_THREAD_EXITING:
    case FXI_THREAD_ENDED:
    case FXI_THREAD_LOST:
        return -ESRCH;
    case FXI_THREAD_ALIVE:
        break;
    }
    if (thread->internal)
        return -EPERM;
    bool is_own = &thread->context == fxi_current;
    return fxi_stop_ask(&thread->context, is_own ? 0 : fxi_load_relaxed(&thread->native_id),
                        thread->kind != FXI_THREAD_FOREIGN, code);
}

int fx_thread_raise(fx_thread *thread, fx_exc code)
{
    if (!thread || code == 0)
        return -EINVAL;
    fxi_handler_install();
    fxi_sigmask mask = fxi_registry_lock();
    int rc = ask(thread, code);
    fxi_registry_unlock(mask);
    fxi_stop_check(); /* it may be the calling thread */
    return rc;
}

int fx_thread_stop(fx_thread *thread)
{
    return fx_thread_raise(thread, FX_STOPPED);
}

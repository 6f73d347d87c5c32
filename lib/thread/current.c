/* The calling thread, the main thread, and all that are alive. */
#include "context/hooks.h"
#include "context/registry.h"
#include "kernel/clone.h"

fx_thread *fx_current_thread(void)
{
    struct fxi_context *self = fxi_self();
    return self ? fxi_thread_of(self) : NULL;
}

fx_thread *fx_main_thread(void)
{
    return fxi_registry_main();
}

size_t fx_enumerate(fx_thread **out, size_t n)
{
    size_t alive = 0;
    fxi_sigmask mask = fxi_registry_lock();
    fxi_list_for_each(node, &fxi_registry_alive) {
        fx_thread *thread = fxi_registry_thread(node);
        if (thread->internal)
            continue;
        if (out && alive < n)
            out[alive] = fx_thread_ref(thread);
        alive++;
    }
    fxi_registry_unlock(mask);
    return alive;
}

size_t fx_active_count(void)
{
    fxi_sigmask mask = fxi_registry_lock();
    size_t count = fxi_registry_count;
    fxi_registry_unlock(mask);
    return count;
}

/* Main is a context from the beginning: it can be stopped, and is told of its end by libc, though it may
 * never call the library. */
FXI_AT_LOAD(FXI_FLOOR_THREAD) static void adopt_main(void)
{
    if (fxi_registry_main()->native_id == fxi_gettid())
        fxi_self();
}

/* The end of the program: the threads that are not daemons are waited for. */
#include "context/registry.h"
#include "park/park.h"
#include "thread/end.h"

/* A thread to wait for, with a reference; NULL: none is left. */
static fx_thread *next_to_join(void)
{
    fx_thread *found = NULL;
    fxi_sigmask mask = fxi_registry_lock();
    fxi_list_for_each(node, &fxi_registry_alive) {
        fx_thread *thread = fxi_registry_thread(node);
        if (fxi_thread_is_joined_at_exit(thread) && fxi_thread_state(thread) == FXI_THREAD_ALIVE) {
            found = fx_thread_ref(thread);
            break;
        }
    }
    fxi_registry_unlock(mask);
    return found;
}

/* The exiting thread says so first, as one of those waited for may be joining it. From here on nothing
 * stops it. */
static void announce_exit(void)
{
    fx_stop_disable();
    struct fxi_context *self = fxi_self();
    uint32_t alive = FXI_THREAD_ALIVE;
    if (self && fxi_cas_acq_rel(&fxi_thread_of(self)->state, &alive, FXI_THREAD_EXITING))
        fxi_unpark(&fxi_thread_of(self)->state, SIZE_MAX);
}

void fxi_thread_join_all(void)
{
    announce_exit();
    fx_thread *thread;
    while ((thread = next_to_join()) != NULL) {
        fx_thread_join(thread, NULL);
        fx_thread_unref(thread);
    }
}

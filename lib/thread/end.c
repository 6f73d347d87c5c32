#include "thread/end.h"

#include "base/annotate.h"
#include "context/hooks.h"
#include "context/registry.h"
#include "libc/thread_state.h"
#include "park/park.h"
#include "sync/rwlock.h"
#include "thread/local_values.h"

#define DESTRUCTOR_ROUNDS 4 /* PTHREAD_DESTRUCTOR_ITERATIONS */

void fxi_thread_run_destructors(bool of_libc)
{
    struct fxi_context *self = fxi_self();
    bool again = true;
    for (int round = 0; again && round < DESTRUCTOR_ROUNDS; round++) {
        again = of_libc && fxi_libc_run_destructors();
        again |= fxi_local_destroy_round(self);
    }
    fxi_local_free_table(self);
}

void fxi_thread_publish_end(fx_thread *thread, const uint32_t *end_word)
{
    fxi_rwlock_thread_ends();
    fxi_registry_lock_blocked();
    fxi_registry_remove(thread);
    fxi_happens_before(&thread->state);
    /* release: pairs with the acquire in fxi_thread_state, for the result and the exception. The
     * joiners' condition is changed before the unpark, as park's wake rule asks. */
    fxi_store_release(&thread->state, FXI_THREAD_ENDED);
    fxi_registry_unlock_blocked();
    fxi_unpark_at_end(&thread->state, end_word);
}

static void foreign_end(fx_thread *thread)
{
    fxi_thread_run_destructors(false);
    fxi_sigmask mask = fxi_signals_set(FXI_SIGNALS_BUT_SETXID);
    if (fxi_thread_is_alive(thread))
        fxi_thread_publish_end(thread, NULL);
    fxi_signals_set(mask);
}

static struct fxi_hooks hooks = { .foreign_end = foreign_end };

FXI_AT_LOAD(FXI_FLOOR_THREAD) static void register_hooks(void)
{
    fxi_hooks_register(&hooks);
}

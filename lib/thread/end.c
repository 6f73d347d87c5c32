#include "thread/end.h"

#include "base/annotate.h"
#include "context/hooks.h"
#include "context/registry.h"
#include "libc/thread_state.h"
#include "park/park.h"
#include "stop/caught.h"
#include "sync/rwlock.h"
#include "thread/local_values.h"

#define DESTRUCTOR_ROUNDS 4 /* PTHREAD_DESTRUCTOR_ITERATIONS */

/* What a destructor raises ends neither the context, which is ending, nor the round. */
static void call_destructor(fx_callback destructor, void *value)
{
    struct fxi_context *self = fxi_current;
    if (fxi_call_caught(self, destructor, value))
        fxi_raised_report(self);
}

void fxi_thread_run_destructors(bool of_libc)
{
    struct fxi_context *self = fxi_self();
    struct fxi_raised ended_by = self->raised;
    bool again = true;
    for (int round = 0; again && round < DESTRUCTOR_ROUNDS; round++) {
        again = of_libc && fxi_libc_run_destructors(call_destructor);
        again |= fxi_local_destroy_round(self, call_destructor);
    }
    self->raised = ended_by;
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

/* Here and not beside what is called: a program that is linked with the archive gets of it only what
 * something refers to. */
static struct fxi_hooks hooks = { .foreign_end = foreign_end, .program_exit = fxi_thread_join_all };

FXI_AT_LOAD(FXI_FLOOR_THREAD) static void register_hooks(void)
{
    fxi_hooks_register(&hooks);
}

/* The life of a thread of the library, from its start to the last instruction on its stack.
 *
 * The starter takes a carrier, enters the record into the registry and launches, all under the
 * registry's lock, with all signals but 33 blocked: so a fork sees a thread whole or not at all, and no
 * handler of the program's runs in a thread that is not ready. The thread runs fn inside two nets,
 * one for exceptions of the library and one for pthread_exit(), runs the destructors, tells its
 * joiners, cleans up after itself and gives its carrier to the pool.
 *
 * The thread holds a reference of its own on the record, from before the launch until it has woken
 * its joiners; the carrier outlives it (context/carrier.h). */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "context/number.h"
#include "context/overflow.h"
#include "context/program_exit.h"
#include "context/registry.h"
#include "kernel/clone.h"
#include "kernel/futex.h"
#include "kernel/lowlock.h"
#include "kernel/syscall.h"
#include "kernel/thread_name.h"
#include "libc/tcb_layout.h"
#include "libc/thread_state.h"
#include "stop/excepthook.h"
#include "stop/raise.h"
#include "stop/stop.h"
#include "thread/end.h"

/* Of a thread with processors of its own: what sched_setaffinity said in it. */
enum { VERDICT_PENDING, VERDICT_GO, VERDICT_REFUSED };

/* pthread_exit() has unwound the thread, with the scopes of frames that are gone. */
static void note_exit(fx_thread *thread, void *result)
{
    thread->context.base = NULL;
    thread->context.scopes.innermost = NULL;
    thread->context.raised.code = FX_EXITED;
    thread->exception = FX_EXITED;
    thread->result = result;
}

/* Runs fn inside the net for the library's exceptions. What fn returned, or nothing. */
static void run_in_own_net(fx_thread *thread)
{
    struct fxi_net base;
    if (fxi_jump_save(&base.jump) == 0) {
        fxi_net_spread(&thread->context, &base);
        fxi_stop_begin(&thread->context, __builtin_dwarf_cfa());
        thread->has_begun = true;
        thread->result = thread->fn(thread->arg);
        fxi_stop_end(&thread->context);
    } else {
        fxi_stop_end(&thread->context);
        fxi_raised_end(thread);
    }
    thread->context.base = NULL;
}

/* And that inside libc's: pthread_exit() and a cancellation unwind to the buffer registered here, as
 * they do to the one that pthread_create's threads have at their start. */
static void run(fx_thread *thread)
{
    __pthread_unwind_buf_t net;
    if (__sigsetjmp_cancel(net.__cancel_jmp_buf, 0) == 0) {
        __pthread_register_cancel(&net);
        run_in_own_net(thread);
        __pthread_unregister_cancel(&net);
    } else {
        fxi_stop_end(&thread->context);
        note_exit(thread, fxi_libc_exit_result());
        fxi_tcb_resume(&thread->carrier->tcb);
    }
}

/* The excepthook is the program's, and may raise or exit itself: what it raises is not reported. */
static void report(fx_thread *thread)
{
    struct fxi_net base;
    struct fxi_raised ended_by = thread->context.raised;
    if (fxi_jump_save(&base.jump) == 0) {
        fxi_net_spread(&thread->context, &base);
        fxi_excepthook_call(thread);
    }
    thread->context.base = NULL;
    thread->context.raised = ended_by;
}

/* All that the program may see of the thread's end, in the thread. */
static void finish(fx_thread *thread)
{
    int old;
    if (thread->exception != 0)
        report(thread);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
    fxi_thread_run_destructors(true);
    if (thread == fxi_registry_main()) /* it forked, and is all there is in this process */
        exit(thread->exception == 0 || thread->exception == FX_EXITED ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* Where its own reference is the last one, the program's free_result runs here, still in the thread's
 * context: if it uses locks, that has a number again, which is taken back. */
static void give_up_own(fx_thread *thread)
{
    fxi_thread_record_give_back_if_last(thread);
    if (thread->context.number != 0) {
        fxi_registry_lock_blocked();
        fxi_number_take_back(&thread->context);
        fxi_registry_unlock_blocked();
    }
    fx_thread_unref(thread);
}

/* The thread's last steps. After the unref the record may be gone, after the put the carrier is the
 * pool's; the kernel clears the tid, and somebody else may have both. */
static void leave(fx_thread *thread)
{
    struct fxi_carrier *carrier = thread->carrier;
    fxi_signals_set(FXI_SIGNALS_BUT_SETXID);
    fxi_stop_end_of_thread();
    thread->carrier = NULL;
    fxi_thread_publish_end(thread, fxi_tcb_end_word(&carrier->tcb));
    give_up_own(thread);
    fxi_libc_leave();
    fxi_context_run(NULL);
    fxi_tcb_retire(&carrier->tcb);
    fxi_carrier_put(carrier);
}

static bool take_affinity(fx_thread *thread)
{
    if (!thread->affinity)
        return true;
    long rc = fxi_syscall3(SYS_sched_setaffinity, 0, thread->affinity_size, thread->affinity);
    /* release: pairs with the starter's acquire, which then owns the record again if refused */
    fxi_store_release(&thread->affinity_verdict, rc < 0 ? VERDICT_REFUSED : VERDICT_GO);
    fxi_futex_wake(&thread->affinity_verdict, 1);
    return rc >= 0;
}

/* The first frame that is C. */
static void thread_main(void *arg)
{
    fx_thread *thread = arg;
    struct fxi_carrier *carrier = thread->carrier;
    fxi_libc_enter();
    fxi_context_run(&thread->context);
    fxi_store_relaxed(&thread->native_id, fxi_tcb_tid(&carrier->tcb));
    if (!take_affinity(thread)) {
        fxi_signals_set(FXI_SIGNALS_BUT_SETXID);
        fxi_libc_leave();
        fxi_context_run(NULL);
        fxi_tcb_retire(&carrier->tcb);
        fxi_carrier_put(carrier);
        return;
    }
    fxi_stack_use_alternate(&carrier->stack);
    fxi_kernel_name_set_own(fx_thread_name(thread));
    fxi_signals_set(thread->signal_mask & ~FXI_SIGNAL_BIT(FXI_STOP_SIGNAL));
    run(thread);
    finish(thread);
    leave(thread);
}

/* Once, before the first thread. */
static int prepare_process(void)
{
    static fxi_lowlock lock;
    static bool prepared;
    if (fxi_load_acquire(&prepared)) /* acquire: pairs with the release below */
        return 0;
    fxi_lowlock_acquire(&lock);
    int rc = prepared ? 0 : fxi_tcb_layout_learn();
    if (rc == 0 && !prepared) {
        fxi_overflow_watch();
        fxi_store_release(&prepared, true);
    }
    fxi_lowlock_release(&lock);
    return rc;
}

static int launch_entered(fx_thread *thread)
{
    struct fxi_carrier *carrier = thread->carrier;
    fxi_registry_add(thread);
    fx_thread_ref(thread);
    pid_t id = fxi_tcb_launch(&carrier->tcb, carrier->stack.base, carrier->stack.size, thread_main,
                              thread);
    if (id < 0) {
        fxi_registry_remove(thread);
        fxi_store_relaxed(&thread->ident, 0);
        fx_thread_unref(thread);
        return id;
    }
    /* The record is there: the caller has a handle. */
    fxi_store_relaxed(&thread->native_id, id);
    return 0;
}

static int launch(fx_thread *thread)
{
    struct fxi_carrier *carrier;
    fxi_sigmask mask = fxi_registry_lock();
    thread->signal_mask = mask;
    int rc = fxi_carrier_get(&carrier, thread->stack_size);
    if (rc == 0) {
        thread->carrier = carrier;
        rc = launch_entered(thread);
        if (rc != 0) {
            thread->carrier = NULL;
            fxi_carrier_put(carrier);
        }
    }
    fxi_registry_unlock(mask);
    return rc;
}

/* The new thread may have been refused its processors; it is gone then. */
static int await_affinity(fx_thread *thread)
{
    if (!thread->affinity)
        return 0;
    uint32_t verdict;
    /* acquire: pairs with take_affinity */
    while ((verdict = fxi_load_acquire(&thread->affinity_verdict)) == VERDICT_PENDING)
        fxi_futex_wait(&thread->affinity_verdict, VERDICT_PENDING, FX_FOREVER);
    if (verdict == VERDICT_GO)
        return 0;
    fxi_sigmask mask = fxi_registry_lock();
    fxi_registry_remove(thread);
    fxi_registry_unlock(mask);
    thread->carrier = NULL;
    fxi_store_relaxed(&thread->ident, 0);
    fxi_store_relaxed(&thread->native_id, 0);
    thread->affinity_verdict = VERDICT_PENDING;
    fx_thread_unref(thread);
    return -EINVAL;
}

int fx_thread_start(fx_thread *thread)
{
    if (!thread || thread->kind != FXI_THREAD_OWN)
        return -EINVAL;
    uint32_t fresh = FXI_THREAD_NEW;
    if (!fxi_cas_acquire(&thread->state, &fresh, FXI_THREAD_STARTING))
        return -EALREADY;
    int rc = prepare_process();
    if (rc == 0 && !fxi_load_relaxed(&thread->daemon))
        rc = fxi_program_exit_arm();
    if (rc == 0)
        rc = launch(thread);
    if (rc == 0)
        rc = await_affinity(thread);
    if (rc != 0)
        fxi_store_release(&thread->state, FXI_THREAD_NEW); /* with the acquire of the next try */
    return rc;
}

fx_thread *fx_thread_spawn(fx_target fn, void *arg)
{
    fx_thread *thread = fx_thread_new(fn, arg, NULL);
    int rc = thread ? fx_thread_start(thread) : 0;
    if (rc == 0)
        return thread;
    fx_thread_unref(thread);
    errno = -rc;
    return NULL;
}

_Noreturn void fx_thread_exit(void *result)
{
    struct fxi_context *self = fxi_self();
    if (!self)
        pthread_exit(result);
    fxi_raise_exit(self, result);
}

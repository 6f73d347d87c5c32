#include "context/context.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "context/hooks.h"
#include "context/registry.h"
#include "context/task_stack.h"
#include "kernel/clone.h"
#include "kernel/descriptor_fork.h"
#include "kernel/process.h"

_Thread_local struct fxi_context *fxi_current;
__thread struct fx_scopes *fx_scope_own;

extern void __asan_handle_no_return(void) FXI_WEAK;
extern void __asan_unpoison_memory_region(const volatile void *base, size_t size) FXI_WEAK;

/* The sanitizer knows only the thread's stack. */
void fxi_context_end_frames(void)
{
    const struct fxi_task_stack *stack = fxi_current ? fxi_current->stack : NULL;
    if (stack && &__asan_unpoison_memory_region)
        __asan_unpoison_memory_region(stack->base, stack->size);
    if (&__asan_handle_no_return)
        __asan_handle_no_return();
}

/* Its value is set in every thread that was adopted, so that libc tells of the thread's end. */
static pthread_key_t end_key;
static int end_key_error;

/* Called by libc in a main thread that pthread_exit() ends, or in a foreign thread at its end; again
 * where a later destructor makes the thread call the library once more. */
static void adopted_thread_ended(void *record)
{
    fx_thread *thread = record;
    thread->context.scopes.innermost = NULL; /* pthread_exit() has ended the frames of its scopes */
    fxi_hooks_foreign_end(thread);
    fxi_context_run(NULL);
    if (thread->kind == FXI_THREAD_FOREIGN)
        fx_thread_unref(thread);
}

FXI_AT_LOAD(FXI_FLOOR_CONTEXT) static void make_end_key(void)
{
    end_key_error = pthread_key_create(&end_key, adopted_thread_ended);
}

static fx_thread *new_foreign_record(void)
{
    static unsigned last_number;
    char name[sizeof "Dummy-4294967295"];
    snprintf(name, sizeof name, "Dummy-%u", fxi_add_relaxed(&last_number, 1u) + 1);
    fx_thread *thread = fxi_thread_record_new(FXI_THREAD_FOREIGN, name);
    if (!thread)
        return NULL;
    thread->daemon = true;
    thread->native_id = fxi_gettid();
    fxi_sigmask mask = fxi_registry_lock();
    fxi_registry_add(thread);
    fxi_registry_unlock(mask);
    return thread;
}

static fx_thread *record_of_caller(void)
{
    fx_thread *main_thread = fxi_registry_main();
    return main_thread->native_id == fxi_gettid() ? main_thread : new_foreign_record();
}

FXI_COLD struct fxi_context *fxi_context_adopt(void)
{
    int saved_errno = errno;
    fx_thread *thread = end_key_error == 0 ? record_of_caller() : NULL;
    if (!thread) {
        errno = ENOMEM;
        return NULL;
    }
    fxi_context_run(&thread->context);
    if (pthread_setspecific(end_key, thread) != 0) {
        adopted_thread_ended(thread);
        errno = ENOMEM;
        return NULL;
    }
    errno = saved_errno;
    return &thread->context;
}

static fxi_sigmask mask_before_fork; /* guarded by the registry's lock */

static void before_fork(void)
{
    fxi_self(); /* so that the child's only thread has a record of its own */
    /* 33 stays open: libc and others have locks to wait for until the fork, too. */
    fxi_sigmask mask = fxi_signals_set(FXI_SIGNALS_BUT_SETXID);
    fxi_hooks_before_fork();
    fxi_registry_before_fork();
    mask_before_fork = mask;
    fxi_carrier_before_fork();
    fxi_descriptors_before_fork();
}

static void after_fork(bool in_child)
{
    fx_thread *self = fxi_current ? fxi_thread_of(fxi_current) : NULL;
    fxi_descriptors_after_fork(in_child, fxi_process_is_forking());
    fxi_carrier_after_fork(in_child);
    if (in_child && self && self->carrier)
        fxi_tcb_relink(&self->carrier->tcb, true);
    fxi_sigmask mask = mask_before_fork;
    fxi_registry_after_fork(in_child, self);
    fxi_hooks_after_fork(in_child);
    fxi_registry_release_lost();
    fxi_signals_set(mask);
}

static void after_fork_in_parent(void)
{
    after_fork(false);
}

static void after_fork_in_child(void)
{
    after_fork(true);
}

FXI_AT_LOAD(FXI_FLOOR_CONTEXT) static void watch_forks(void)
{
    /* It fails for want of memory only, before main: nothing could be done about it. */
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

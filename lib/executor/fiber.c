#include "executor/fiber.h"

#include <errno.h>
#include <string.h>

#include "base/annotate.h"
#include "context/number.h"
#include "context/registry.h"
#include "kernel/switch.h"

/* The C++ runtime's, where a program has it: what the calling thread is handling. */
struct cxx_globals {
    void *caught;
    unsigned uncaught;
};
extern struct cxx_globals *__cxa_get_globals(void) FXI_WEAK;

/* AddressSanitizer's, where a program runs under it. */
extern void __sanitizer_start_switch_fiber(void **fake_stack, const void *base, size_t size) FXI_WEAK;
extern void __sanitizer_finish_switch_fiber(void *fake_stack, const void **base,
                                            size_t *size) FXI_WEAK;

#ifdef FXI_TSAN
#include <sanitizer/tsan_interface.h>
#else
#define __tsan_create_fiber(flags) NULL
#define __tsan_get_current_fiber() NULL
#define __tsan_destroy_fiber(fiber) ((void)0)
#define __tsan_switch_to_fiber(fiber, flags) ((void)0)
#endif

struct fxi_fiber *fxi_fiber_new(struct fxi_task_stacks *stacks, void (*entry)(void *))
{
    struct fxi_task_stack stack;
    if (fxi_task_stack_get(stacks, &stack) != 0)
        return NULL;
    uintptr_t top = (uintptr_t)stack.base + stack.size - sizeof(struct fxi_fiber);
    struct fxi_fiber *fiber = (struct fxi_fiber *)(void *)(top & ~(uintptr_t)(FXI_CACHE_LINE - 1));
    memset(fiber, 0, sizeof *fiber);
    fiber->stack = stack;
    fiber->context.stack = &fiber->stack;
    fiber->context.stop.disabled = 1; /* until a task begins */
    fiber->execution.context = &fiber->context;
    fiber->execution.base = stack.base;
    fiber->execution.size = stack.size;
    fiber->execution.stack_pointer = fxi_switch_prepare(fiber, entry, fiber);
    fiber->execution.fiber = __tsan_create_fiber(0);
    return fiber;
}

void fxi_fiber_free(struct fxi_task_stacks *stacks, struct fxi_fiber *fiber)
{
    struct fxi_task_stack stack = fiber->stack;
    __tsan_destroy_fiber(fiber->execution.fiber);
    fxi_task_stack_put(stacks, &stack);
}

void fxi_execution_begin(struct fxi_execution *loop, struct fxi_context *context)
{
    fx_thread *thread = fxi_thread_of(context);
    loop->context = context;
    loop->base = thread->carrier->stack.base;
    loop->size = thread->carrier->stack.size;
    loop->fiber = __tsan_get_current_fiber();
    loop->valgrind_id = fxi_stack_register(loop->base, (const char *)loop->base + loop->size);
    fxi_number_prepare();
}

void fxi_execution_end(struct fxi_execution *loop)
{
    fxi_stack_deregister(loop->valgrind_id);
}

static void leave(struct fxi_execution *from)
{
    from->error = errno;
    if (&__cxa_get_globals) {
        from->cxx.caught = __cxa_get_globals()->caught;
        from->cxx.uncaught = __cxa_get_globals()->uncaught;
    }
    /* libc tells the head of its chain by putting it into the next buffer; with the latter it takes
     * it back, in `enter`. */
    __pthread_register_cancel(&from->cleanup);
}

static void enter(struct fxi_execution *self)
{
    __pthread_unregister_cancel(&self->cleanup);
    if (&__cxa_get_globals) {
        __cxa_get_globals()->caught = self->cxx.caught;
        __cxa_get_globals()->uncaught = self->cxx.uncaught;
    }
    errno = self->error;
}

static void become(struct fxi_context *context)
{
    fxi_context_run(context);
    fxi_number_switch(context);
}

void fxi_execution_switch(struct fxi_execution *from, struct fxi_execution *to, bool for_ever)
{
    leave(from);
    become(to->context);
    if (&__sanitizer_start_switch_fiber)
        __sanitizer_start_switch_fiber(for_ever ? NULL : &from->fake_stack, to->base, to->size);
    __tsan_switch_to_fiber(to->fiber, 0);
    fxi_switch(&from->stack_pointer, to->stack_pointer);
    if (&__sanitizer_finish_switch_fiber)
        __sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
    enter(from);
}

void fxi_execution_entered(void)
{
    if (&__sanitizer_finish_switch_fiber)
        __sanitizer_finish_switch_fiber(NULL, NULL, NULL);
    if (&__cxa_get_globals) {
        __cxa_get_globals()->caught = NULL;
        __cxa_get_globals()->uncaught = 0;
    }
    errno = 0;
}

static void take_number_back(struct fxi_context *context)
{
    fxi_sigmask mask = fxi_registry_lock();
    fxi_number_take_back(context);
    fxi_registry_unlock(mask);
}

void fxi_fiber_renew(struct fxi_fiber *fiber)
{
    struct fxi_context *context = &fiber->context;
    if (context->number != 0)
        take_number_back(context);
    context->base = NULL;
    context->scopes.innermost = NULL;
    context->stop.mode = FX_STOP_SAFE;
    fxi_store_relaxed(&context->stop.asked, 0);
    fiber->descriptor.uses = fiber->descriptor.reads = 0;
    errno = 0;
}

/* The walk is libgcc's _Unwind_Backtrace: for each frame, innermost first, it calls step(), where
 * _Unwind_GetCFA() is the frame's stack pointer at its call of the frame before. It takes no lock where
 * libc has _dl_find_object (glibc 2.35) and allocates nothing.
 *
 * The first frame of a context is found by its CFA, which is exact: it is the stack pointer in the frame
 * that called it, the one after it here. Of the main thread, which has none of ours, it is the one that
 * two functions of libc at most, and then the program's entry, called. A walk that does not end there
 * has gone astray, and what it saw is not believed. */
#include "stop/walk.h"

#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#include "stop/own.h"
#include "stop/trampoline.h"

#define FRAMES_MOST 512
#define CALLERS_OF_MAIN_MOST 2
#define VFORK_BYTES 64

/* Of FXI_PASSES_ON's section: NULL in a static program that uses nothing of it. */
extern const char __start_fxthread_passes_on[] __attribute__((weak, visibility("hidden")));
extern const char __stop_fxthread_passes_on[] __attribute__((weak, visibility("hidden")));
static const char *const volatile passes_on_begin = __start_fxthread_passes_on;
static const char *const volatile passes_on_end = __stop_fxthread_passes_on;

/* libc's function for finding unwind information without a lock; NULL: it has none. */
extern const char fxi_dl_find_object[] __asm__("_dl_find_object") __attribute__((weak));
static const char *const volatile find_object = fxi_dl_find_object;

/* What has been seen of a stack so far. */
struct sight {
    bool has_foreign, meets_library;
    uintptr_t returns_to, stack_pointer; /* of the outermost foreign frame */
    uintptr_t nearest;                   /* the latter of the innermost */
};

struct walker {
    struct sight sight, before_callers_of_main;
    const struct fxi_context *self;
    unsigned frames, callers_of_main;
    uintptr_t lowest;     /* where the frames to come may lie, at least */
    uintptr_t base;       /* and at most */
    bool skips_handler;   /* until the frame that was interrupted */
    bool skips_library;   /* until the frame that called this library */
    bool after_trampoline; /* the last frame was an entry that has not begun */
    bool passes_on;       /* the library's frames here pass exceptions on */
    bool meets_library;   /* since the last frame of the program's */
    bool has_program;     /* a frame of the program's was seen */
    enum fxi_code callee; /* whose frame the last one was */
    enum fxi_walk_verdict verdict;
};

/* Functions in which the stack must be left alone: those that unwind; and those that change to another
 * one, in the midst of which libc's unwind information leads astray, and libgcc to memory that is none. */
static bool is_between_stacks(uintptr_t pc)
{
    void *function = _Unwind_FindEnclosingFunction((void *)pc);
    return function == (void *)_Unwind_RaiseException || function == (void *)_Unwind_Resume ||
           function == (void *)_Unwind_Resume_or_Rethrow ||
           function == (void *)_Unwind_ForcedUnwind || function == (void *)swapcontext ||
           function == (void *)setcontext;
}

static bool is_vfork(uintptr_t pc)
{
    return pc - (uintptr_t)vfork < VFORK_BYTES;
}

static bool is_passing_on(uintptr_t pc)
{
    return pc >= (uintptr_t)passes_on_begin && pc < (uintptr_t)passes_on_end;
}

enum fxi_code fxi_walk_code_at(uintptr_t pc)
{
    return is_passing_on(pc) ? FXI_CODE_LIBRARY : fxi_code_at(pc);
}

bool fxi_walk_is_busy_at(uintptr_t pc)
{
    return is_between_stacks(pc) || is_vfork(pc);
}

/* The first frame of the context is the one before this. */
static _Unwind_Reason_Code arrive(struct walker *walker, const struct sight *sight)
{
    bool has_begun = walker->has_program || walker->skips_library; /* its function may be the library's */
    walker->sight = *sight;
    walker->verdict = !has_begun            ? FXI_WALK_BUSY
                      : sight->has_foreign ? FXI_WALK_FOREIGN
                                           : FXI_WALK_FREE;
    return _URC_END_OF_STACK;
}

static _Unwind_Reason_Code arrive_at_entry(struct walker *walker)
{
    if (walker->callers_of_main <= CALLERS_OF_MAIN_MOST)
        return arrive(walker, &walker->before_callers_of_main);
    walker->sight.has_foreign = true; /* main has returned, and libc runs what exit() runs */
    return _URC_END_OF_STACK;
}

static void see_program(struct walker *walker, uintptr_t pc, uintptr_t stack_pointer)
{
    if (walker->callee != FXI_CODE_PROGRAM) {
        if (!walker->sight.has_foreign)
            walker->sight.nearest = stack_pointer;
        walker->sight.has_foreign = true;
        walker->sight.meets_library |= walker->meets_library;
        walker->sight.returns_to = pc;
        walker->sight.stack_pointer = stack_pointer;
    }
    walker->has_program = true;
    walker->skips_library = walker->passes_on = walker->meets_library = false;
    walker->callers_of_main = 0;
    walker->callee = FXI_CODE_PROGRAM;
}

/* Only the frame that waits for the program's callback passes on what that raises: not one that a
 * signal interrupted. */
static void see_library(struct walker *walker, uintptr_t pc)
{
    walker->passes_on |= is_passing_on(pc) && walker->has_program && walker->callee == FXI_CODE_PROGRAM;
    if (walker->passes_on || walker->skips_library)
        return;
    walker->callee = FXI_CODE_LIBRARY;
    walker->meets_library = true;
}

static void see_foreign(struct walker *walker)
{
    if (walker->callers_of_main == 0)
        walker->before_callers_of_main = walker->sight;
    walker->callers_of_main++;
    walker->skips_library = walker->passes_on = false;
    walker->callee = FXI_CODE_FOREIGN;
}

static _Unwind_Reason_Code step(struct _Unwind_Context *context, void *arg)
{
    struct walker *walker = arg;
    int is_interrupted = 0;
    uintptr_t pc = _Unwind_GetIPInfo(context, &is_interrupted);
    uintptr_t stack_pointer = _Unwind_GetCFA(context);
    if (walker->skips_handler && !is_interrupted)
        return _URC_NO_REASON;
    if (walker->skips_handler)
        walker->skips_handler = false;
    else if (is_interrupted) {
        walker->verdict = FXI_WALK_BUSY;
        return _URC_END_OF_STACK;
    }
    if (walker->frames == FRAMES_MOST)
        return _URC_END_OF_STACK;
    walker->frames++;
    if (walker->after_trampoline)
        stack_pointer -= FXI_TRAMPOLINE_CFA_EXCESS;
    walker->after_trampoline = !is_interrupted && fxi_trampoline_is_entry(pc);
    if (walker->after_trampoline)
        return _URC_NO_REASON;
    if (stack_pointer == walker->base)
        return arrive(walker, &walker->sight);
    /* Stacks grow down, and the first frame, where it is known, is the highest. */
    if (stack_pointer < walker->lowest || stack_pointer > walker->base)
        return _URC_END_OF_STACK;
    walker->lowest = stack_pointer;
    uintptr_t inside = is_interrupted ? pc : pc - 1; /* a return address may be the next function's */
    if (fxi_code_is_entry(inside) && walker->self->stop.base == FXI_STOP_BASE_OF_MAIN)
        return arrive_at_entry(walker);
    switch (fxi_walk_code_at(inside)) {
    case FXI_CODE_PROGRAM:
        see_program(walker, pc, stack_pointer);
        break;
    case FXI_CODE_LIBRARY:
        see_library(walker, inside);
        break;
    case FXI_CODE_FOREIGN:
        if (fxi_walk_is_busy_at(inside)) {
            walker->verdict = FXI_WALK_BUSY;
            return _URC_END_OF_STACK;
        }
        see_foreign(walker);
        break;
    }
    return _URC_NO_REASON;
}

static struct fxi_walk walk(struct walker *walker)
{
    const void *base = walker->self->stop.base;
    walker->base = base && base != FXI_STOP_BASE_OF_MAIN ? (uintptr_t)base : UINTPTR_MAX;
    walker->callee = FXI_CODE_PROGRAM;
    walker->verdict = FXI_WALK_BLIND;
    if (fxi_walk_is_possible())
        _Unwind_Backtrace(step, walker);
    return (struct fxi_walk){ .verdict = walker->verdict,
                              .returns_to = walker->sight.returns_to,
                              .stack_pointer = walker->sight.stack_pointer,
                              .nearest = walker->sight.nearest,
                              .meets_library = walker->sight.meets_library };
}

struct fxi_walk fxi_walk_from_here(const struct fxi_context *self)
{
    struct walker walker = { .self = self, .skips_library = true };
    struct fxi_walk result = walk(&walker);
    /* A foreign frame below one of the program's is one, whatever comes further out. */
    if (result.verdict == FXI_WALK_BLIND && walker.sight.has_foreign) {
        result.verdict = FXI_WALK_FOREIGN;
        result.returns_to = 0;
    }
    return result;
}

struct fxi_walk fxi_walk_from_interrupted(const struct fxi_context *self)
{
    struct walker walker = { .self = self, .skips_handler = true };
    return walk(&walker);
}

bool fxi_walk_is_possible(void)
{
    return fxi_code_is_told() && find_object;
}

static _Unwind_Reason_Code stop_at_once(struct _Unwind_Context *context, void *arg)
{
    (void)context;
    (void)arg;
    return _URC_END_OF_STACK;
}

void fxi_walk_prepare(void)
{
    _Unwind_Backtrace(stop_at_once, NULL);
}

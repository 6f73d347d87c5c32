/* What lies on a stack between a place and the context's first frame: whether an exception may be
 * raised at that place, or has to wait for a frame that is not the program's to return.
 *
 * Frames of this library count as foreign ones, but for: those between a stop point and its caller;
 * those between a callback that is run by FXI_PASSES_ON functions and the program's frame that called
 * the library, for exceptions are passed on there; and the context's first. */
#ifndef FXI_STOP_WALK_H
#define FXI_STOP_WALK_H

#include "context/context.h"
#include "stop/own.h"

enum fxi_walk_verdict {
    FXI_WALK_FREE,    /* nothing stands in the way */
    FXI_WALK_FOREIGN, /* something does, and will return to `returns_to` in the program */
    FXI_WALK_BUSY,    /* an unwinding, a signal handler, a vfork: nothing may be touched now */
    FXI_WALK_BLIND    /* the way to the first frame was not found: nothing is known */
};

struct fxi_walk {
    enum fxi_walk_verdict verdict;
    uintptr_t returns_to;    /* where the outermost foreign frame returns to; 0: not known */
    uintptr_t stack_pointer; /* and the stack pointer there, after the return */
    uintptr_t nearest;       /* the stack pointer where the innermost foreign frame returns to */
    bool meets_library;      /* among the foreign frames are some of this library */
};

/* From the caller, a stop point, outwards. */
struct fxi_walk fxi_walk_from_here(const struct fxi_context *self);

/* In a signal handler: from the place that the signal interrupted. Signal-safe. */
struct fxi_walk fxi_walk_from_interrupted(const struct fxi_context *self);

/* Of an address inside an instruction: whose code it is, where FXI_PASSES_ON functions are this library's;
 * and whether it is one, of another library, in which nothing may be touched. Signal-safe. */
enum fxi_code fxi_walk_code_at(uintptr_t pc);
bool fxi_walk_is_busy_at(uintptr_t pc);

/* Whether walks can tell anything in this process. */
bool fxi_walk_is_possible(void);

/* Walks once, so that nothing is left to be initialised in a signal handler. */
void fxi_walk_prepare(void);

/* Of functions that run a callback of the program's and pass on what it raises. */
#define FXI_PASSES_ON __attribute__((section("fxthread_passes_on"), noinline))

#endif

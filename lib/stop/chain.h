/* Whether other code may run on a thread before the present place has returned: not where a function of
 * another library has called the program back, for that may hold a lock of its own, or go on believing
 * that nobody else has come to its thread.
 *
 * A foreign frame is in the way if, further inside, there is one of the program's, or one of an object
 * that also stands outside of it. One in which the wait was called, or that calls another library, is not:
 * tasks may be functions of any library. This library's frames never are.
 *
 * To know that takes a walk over the stack. As a place is come to again and again, what a walk found free
 * is kept as a chain: where return addresses stand on the stack, counted from the first frame, and which.
 * Unwinding is a function of the innermost pc, the stack pointer and what stands there; so if the same
 * return addresses stand at the same places, it is the same chain (but where a function that moves its
 * stack pointer leaves a copy of an earlier chain there). Kept as far as the outermost frame that is not
 * the library's: it has called nothing but the program there. */
#ifndef FXI_STOP_CHAIN_H
#define FXI_STOP_CHAIN_H

#include <stdbool.h>
#include <stdint.h>

#define FXI_CHAINS 64           /* kept; the oldest goes first */
#define FXI_CHAIN_FRAMES_MOST 32 /* of one; longer ones are not kept */

struct fxi_chain {
    uint32_t depths[FXI_CHAIN_FRAMES_MOST]; /* of the places, below the first frame */
    uintptr_t returns_to[FXI_CHAIN_FRAMES_MOST];
};

struct fxi_chain_key {
    uintptr_t returns_to; /* the innermost return address */
    uint32_t depth;       /* of the stack pointer after that return; 0: no chain */
    uint32_t frames;
};

/* For one thread at a time. 30 KiB, of which little is ever touched. */
struct fxi_chains {
    uint32_t oldest;
    struct fxi_chain_key keys[FXI_CHAINS];
    struct fxi_chain chains[FXI_CHAINS];
};

/* False: nothing can be told in this process. */
bool fxi_chains_init(struct fxi_chains *chains);

/* Of the frames outside of a function, whose return address and CFA are given, up to the context's first
 * frame, whose CFA that is: whether none is in the way. Where the way is not found all the way, that is
 * taken to be so of what was not seen. In a signal handler that was run on this stack, in the midst of an
 * unwinding or a vfork: no. `*latest`: the caller's, for the next time; 0 at first. */
bool fxi_chain_is_free(struct fxi_chains *chains, uint32_t *latest, const void *first_frame,
                       const void *returns_to, const void *stack_pointer);

#endif

#include "stop/chain.h"

#include <dlfcn.h>
#include <unwind.h>

#include "base/annotate.h"
#include "base/compiler.h"
#include "stop/own.h"
#include "stop/trampoline.h"
#include "stop/walk.h"

#define FRAMES_MOST 512
#define OBJECTS_MOST 8

/* What is read may be anything that was ever on the stack. */
#define READS_THE_STACK __attribute__((no_sanitize("address", "thread")))

/* What has been seen of a stack so far. */
struct look {
    uintptr_t inner, base; /* the stack pointers between which the frames are that matter */
    uintptr_t previous;    /* of the last frame */
    unsigned frames;
    bool is_inside;        /* of the function that asks */
    bool after_trampoline; /* the last frame was an entry that has not begun */
    bool has_program;      /* a frame of the program's was seen */
    bool is_in_the_way;
    bool may_be_kept;
    const void *objects[OBJECTS_MOST], *last; /* others that were seen; the last frame's, NULL: none */
    unsigned object_count;
    uint32_t seen, kept;   /* return addresses in `chain`, and how many of them matter */
    struct fxi_chain chain;
};

/* What tells the object that an address lies in from others; NULL: not told. */
static const void *object_of(uintptr_t pc)
{
#ifdef DLFO_EH_SEGMENT_TYPE /* the header is of glibc 2.35 or newer */
    extern int find(void *, struct dl_find_object *) __asm__("_dl_find_object") FXI_WEAK;
    struct dl_find_object found;
    return find((void *)pc, &found) == 0 ? found.dlfo_link_map : NULL;
#else
    (void)pc;
    return NULL;
#endif
}

/* Whether an object is met again that was seen further inside, with another one in between. */
static bool comes_round(struct look *look, const void *object)
{
    if (!object || object == look->last)
        return false;
    look->last = object;
    for (unsigned i = 0; i < look->object_count; i++)
        if (look->objects[i] == object)
            return true;
    if (look->object_count < OBJECTS_MOST)
        look->objects[look->object_count++] = object;
    return false;
}

/* Notes where the return address stands: in the frame before, and on x86_64 at its end. */
READS_THE_STACK static void note(struct look *look, uintptr_t returns_to, uintptr_t stack_pointer)
{
    const uintptr_t *slot = (const uintptr_t *)stack_pointer;
    uintptr_t depth;
    do {
        slot--;
        depth = look->base - (uintptr_t)slot;
        if ((uintptr_t)slot < look->previous || look->seen == FXI_CHAIN_FRAMES_MOST ||
            depth > UINT32_MAX) {
            look->may_be_kept = false;
            return;
        }
    } while (*slot != returns_to);
    look->chain.depths[look->seen] = (uint32_t)depth;
    look->chain.returns_to[look->seen++] = returns_to;
}

static void see(struct look *look, uintptr_t inside)
{
    switch (fxi_walk_code_at(inside)) {
    case FXI_CODE_LIBRARY:
        return;
    case FXI_CODE_PROGRAM:
        look->has_program = true;
        look->last = NULL;
        break;
    case FXI_CODE_FOREIGN:
        look->is_in_the_way = look->has_program || fxi_walk_is_busy_at(inside) ||
                              comes_round(look, object_of(inside));
        break;
    }
    look->kept = look->seen;
}

static _Unwind_Reason_Code step(struct _Unwind_Context *context, void *arg)
{
    struct look *look = arg;
    int is_interrupted = 0;
    uintptr_t pc = _Unwind_GetIPInfo(context, &is_interrupted);
    uintptr_t stack_pointer = _Unwind_GetCFA(context);
    bool is_first = look->is_inside && stack_pointer == look->inner;
    if (look->is_inside && stack_pointer < look->inner) {
        look->previous = stack_pointer;
        return _URC_NO_REASON;
    }
    look->is_inside = false;
    if (is_interrupted) {
        look->is_in_the_way = true;
        return _URC_END_OF_STACK;
    }
    if (look->after_trampoline)
        stack_pointer -= FXI_TRAMPOLINE_CFA_EXCESS;
    look->after_trampoline = fxi_trampoline_is_entry(pc);
    if (look->after_trampoline) {
        look->may_be_kept = false;
        return _URC_NO_REASON;
    }
    if (stack_pointer == look->base || stack_pointer < look->previous ||
        stack_pointer > look->base || look->frames == FRAMES_MOST)
        return _URC_END_OF_STACK;
    look->frames++;
    if (look->may_be_kept && !is_first)
        note(look, pc, stack_pointer);
    look->previous = stack_pointer;
    see(look, pc - 1); /* a return address may be the next function's */
    return look->is_in_the_way ? _URC_END_OF_STACK : _URC_NO_REASON;
}

static void keep(struct fxi_chains *chains, const struct look *look, uint32_t *latest,
                 struct fxi_chain_key key)
{
    *latest = chains->oldest;
    chains->oldest = (chains->oldest + 1) % FXI_CHAINS;
    key.frames = look->kept;
    chains->keys[*latest] = key;
    for (uint32_t i = 0; i < look->kept; i++) {
        chains->chains[*latest].depths[i] = look->chain.depths[i];
        chains->chains[*latest].returns_to[i] = look->chain.returns_to[i];
    }
}

static FXI_COLD bool walk(struct fxi_chains *chains, uint32_t *latest, uintptr_t base,
                          uintptr_t stack_pointer, struct fxi_chain_key key)
{
    struct look look = { .inner = stack_pointer, .base = base, .is_inside = true };
    /* What nobody has written yet must not be compared there. */
    look.may_be_kept = base - stack_pointer <= UINT32_MAX && !fxi_runs_on_valgrind();
    _Unwind_Backtrace(step, &look);
    if (look.is_in_the_way)
        return false;
    if (look.may_be_kept)
        keep(chains, &look, latest, key);
    return true;
}

READS_THE_STACK static bool stands(const struct fxi_chain *chain, uint32_t frames, uintptr_t base)
{
    for (uint32_t i = 0; i < frames; i++)
        if (*(const uintptr_t *)(base - chain->depths[i]) != chain->returns_to[i])
            return false;
    return true;
}

bool fxi_chain_is_free(struct fxi_chains *chains, uint32_t *latest, const void *first_frame,
                       const void *returns_to, const void *stack_pointer)
{
    uintptr_t base = (uintptr_t)first_frame;
    struct fxi_chain_key key = { .returns_to = (uintptr_t)returns_to,
                                 .depth = (uint32_t)(base - (uintptr_t)stack_pointer) };
    uint32_t i = *latest;
    do {
        const struct fxi_chain_key *kept = &chains->keys[i];
        if (kept->depth == key.depth && kept->returns_to == key.returns_to &&
            stands(&chains->chains[i], kept->frames, base)) {
            *latest = i;
            return true;
        }
        i = (i + 1) % FXI_CHAINS;
    } while (i != *latest);
    return walk(chains, latest, base, (uintptr_t)stack_pointer, key);
}

bool fxi_chains_init(struct fxi_chains *chains)
{
    chains->oldest = 0;
    for (unsigned i = 0; i < FXI_CHAINS; i++)
        chains->keys[i] = (struct fxi_chain_key){ 0 };
    return fxi_walk_is_possible();
}

#include "context/number.h"

#include <errno.h>

#include "context/registry.h"
#include "kernel/membarrier.h"
#include "kernel/rseq.h"
#include "libc/alloc.h"

#define NEVER UINT32_MAX    /* is no lock's word: it has a number and bits that no lock has */
#define FREE_BEFORE_REUSE 64
#define FIRST_SEGMENT_BITS 6
#define SEGMENTS (29 - FIRST_SEGMENT_BITS + 1)

/* Segment 0 holds the first 64 entries, and each later one as many as all before it, so that
 * entries never move. */
union entry {
    struct fxi_context *context;
    uintptr_t free; /* odd, which tells it from a pointer: the next free number, twice, and 1 */
};

static union entry *segments[SEGMENTS];
static uint32_t last_number;
static uint32_t first_free, last_free, free_count;

static uint64_t no_sequence; /* written by releases in threads without an area, and never read */

__thread struct fx_lock_caller fx_lock_self = { .released_by = NEVER, .sequence = &no_sequence };

static unsigned segment_of(uint32_t number)
{
    uint32_t above = number >> FIRST_SEGMENT_BITS;
    return above == 0 ? 0 : 32 - (unsigned)__builtin_clz(above);
}

static uint32_t segment_begin(unsigned segment)
{
    return segment == 0 ? 0 : 1u << (FIRST_SEGMENT_BITS + segment - 1);
}

static size_t segment_size(unsigned segment)
{
    return segment == 0 ? 1u << FIRST_SEGMENT_BITS : segment_begin(segment);
}

static union entry *entry_of(uint32_t number)
{
    unsigned segment = segment_of(number);
    return &segments[segment][number - segment_begin(segment)];
}

static uint32_t take_fresh(void)
{
    uint32_t number = last_number + 1;
    unsigned segment = segment_of(number);
    if (number >= FX_LOCK_NUMBER)
        return 0;
    if (!segments[segment])
        segments[segment] = fxi_alloc(segment_size(segment) * sizeof *segments[segment]);
    if (!segments[segment])
        return 0;
    last_number = number;
    return number;
}

static uint32_t take_free(void)
{
    uint32_t number = first_free;
    if (number != 0) {
        first_free = (uint32_t)(entry_of(number)->free >> 1);
        free_count--;
    }
    return number;
}

static void set_free(uint32_t number, uint32_t next)
{
    entry_of(number)->free = (uintptr_t)next << 1 | 1;
}

static void put_free(uint32_t number)
{
    set_free(number, 0);
    if (first_free == 0)
        first_free = number;
    else
        set_free(last_free, number);
    last_free = number;
    free_count++;
}

static uint32_t take(void)
{
    uint32_t number = free_count >= FREE_BEFORE_REUSE ? take_free() : take_fresh();
    return number != 0 ? number : take_free();
}

/* What the inlined functions of locks go by. */
static void announce(uint32_t number)
{
    uint64_t *sequence = fxi_membarrier_works() ? fxi_rseq_sequence() : NULL;
    fx_lock_self = (struct fx_lock_caller){
        .number = number,
        .released_by = sequence && number != 0 ? number : NEVER,
        .sequence = sequence ? sequence : &no_sequence,
    };
}

void fxi_number_prepare(void)
{
    announce(0);
}

void fxi_number_switch(const struct fxi_context *context)
{
    bool has_sequence = fx_lock_self.sequence != &no_sequence;
    fx_lock_self.number = context->number;
    fx_lock_self.released_by = has_sequence && context->number != 0 ? context->number : NEVER;
}

FXI_COLD uint32_t fxi_number_give(void)
{
    struct fxi_context *self = fxi_self();
    if (!self)
        return 0;
    fxi_sigmask mask = fxi_registry_lock();
    uint32_t number = take();
    if (number != 0)
        entry_of(number)->context = self;
    fxi_registry_unlock(mask);
    if (number == 0) {
        errno = ENOMEM;
        return 0;
    }
    self->number = number;
    announce(number);
    return number;
}

struct fxi_context *fxi_number_context(uint32_t number)
{
    if (number == 0 || number > last_number)
        return NULL;
    const union entry *entry = entry_of(number);
    return entry->free & 1 ? NULL : entry->context;
}

void fxi_number_take_back(struct fxi_context *context)
{
    if (context->number == 0)
        return;
    put_free(context->number);
    context->number = 0;
    announce(0);
}

void fxi_number_lose(struct fxi_context *context)
{
    if (context->number != 0)
        entry_of(context->number)->context = NULL;
}

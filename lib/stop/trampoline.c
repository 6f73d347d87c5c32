#include "stop/trampoline.h"

#include "base/atomic.h"
#include "stop/stop.h"

#if defined __x86_64__

struct record {
    uintptr_t original; /* first: the entry pushes it */
    uintptr_t *slot;
    struct fxi_context *owner; /* NULL: free */
} __attribute__((aligned(FXI_TRAMPOLINE_RECORD_BYTES)));

_Static_assert(sizeof(struct record) == FXI_TRAMPOLINE_RECORD_BYTES, "as in trampoline.S");

/* Of assembly, and for it. */
extern const char fxi_trampoline_entries[];
extern struct record fxi_trampoline_records[FXI_TRAMPOLINES];
int fxi_trampoline_landed(uintptr_t *slot);

struct record fxi_trampoline_records[FXI_TRAMPOLINES];

static struct record *const records = fxi_trampoline_records;

static uintptr_t entry_of(const struct record *record)
{
    return (uintptr_t)fxi_trampoline_entries + 1 +
           (size_t)(record - records) * FXI_TRAMPOLINE_ENTRY_BYTES;
}

bool fxi_trampoline_is_entry(uintptr_t pc)
{
    uintptr_t offset = pc - (uintptr_t)fxi_trampoline_entries;
    return offset < FXI_TRAMPOLINES * FXI_TRAMPOLINE_ENTRY_BYTES &&
           offset % FXI_TRAMPOLINE_ENTRY_BYTES == 1;
}

static struct record *record_of(const struct fxi_context *owner, const uintptr_t *slot)
{
    for (struct record *record = records; record < records + FXI_TRAMPOLINES; record++)
        if (fxi_load_relaxed(&record->owner) == owner && record->slot == slot)
            return record;
    return NULL;
}

static struct record *claim(struct fxi_context *self)
{
    for (struct record *record = records; record < records + FXI_TRAMPOLINES; record++) {
        struct fxi_context *nobody = NULL;
        /* acquire: pairs with the release in give_up */
        if (!fxi_load_relaxed(&record->owner) && fxi_cas_acquire(&record->owner, &nobody, self)) {
            self->stop.trampolines++;
            return record;
        }
    }
    return NULL;
}

static void give_up(struct fxi_context *owner, struct record *record)
{
    owner->stop.trampolines--;
    /* release: pairs with the acquire in claim */
    fxi_store_release(&record->owner, NULL);
}

/* Drops what the program has jumped past: the slot holds something else since. To AddressSanitizer it may
 * have become a place between variables. */
__attribute__((no_sanitize("address"))) static void give_up_stale(struct fxi_context *self)
{
    for (struct record *record = records; record < records + FXI_TRAMPOLINES; record++)
        if (fxi_load_relaxed(&record->owner) == self && *record->slot != entry_of(record))
            give_up(self, record);
}

/* Whether the instruction before the address is a call: direct, or through a register or memory. */
static bool follows_call(uintptr_t address)
{
    const unsigned char *end = (const unsigned char *)address;
    enum { CALL_RELATIVE = 0xe8, CALL_GROUP = 0xff, LENGTH_MOST = 7 };
    if (end[-5] == CALL_RELATIVE)
        return true;
    for (int length = 2; length <= LENGTH_MOST; length++)
        if (end[-length] == CALL_GROUP && (end[1 - length] & 0x38) == 0x10)
            return true;
    return false;
}

/* The processor keeps return addresses a second time, and compares. */
static bool shadow_stack_is_active(void)
{
    uint64_t shadow_pointer = 0;
    __asm__ volatile("rdsspq %0" : "+r"(shadow_pointer)); /* does nothing where there is none */
    return shadow_pointer != 0;
}

__attribute__((no_sanitize("address"))) bool
fxi_trampoline_plant(struct fxi_context *self, const struct fxi_walk *walk)
{
    if (walk->returns_to == 0 || shadow_stack_is_active())
        return false;
    uintptr_t *slot = (uintptr_t *)walk->stack_pointer - 1;
    struct record *record = record_of(self, slot);
    if (record && *slot == entry_of(record))
        return record->original == walk->returns_to;
    if (*slot != walk->returns_to || !follows_call(walk->returns_to))
        return false;
    if (!record && self->stop.trampolines > 0)
        give_up_stale(self);
    if (!record)
        record = claim(self);
    if (!record)
        return false;
    record->original = walk->returns_to;
    record->slot = slot;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    *slot = entry_of(record);
    return true;
}

/* Called by assembly when the function has returned, with its results kept; the true address stands in
 * the slot again. Whether to raise, and not to return there. Calls nothing of libc. */
int fxi_trampoline_landed(uintptr_t *slot)
{
    struct fxi_context *self = fxi_current;
    struct record *own = self ? record_of(self, slot) : NULL;
    if (!own)
        return false; /* another thread's stack: the record is left to that thread */
    give_up(self, own);
    return fxi_stop_may_raise_now(self);
}

void fxi_trampolines_forget(struct fxi_context *self)
{
    for (struct record *record = records;
         self->stop.trampolines > 0 && record < records + FXI_TRAMPOLINES; record++)
        if (fxi_load_relaxed(&record->owner) == self)
            give_up(self, record);
}

__attribute__((no_sanitize("address"))) void fxi_trampolines_restore(struct fxi_context *self)
{
    for (struct record *record = records; record < records + FXI_TRAMPOLINES; record++) {
        if (record->owner == self && *record->slot == entry_of(record))
            *record->slot = record->original;
        record->owner = NULL;
    }
    if (self)
        self->stop.trampolines = 0;
}

#else

bool fxi_trampoline_plant(struct fxi_context *self, const struct fxi_walk *walk)
{
    (void)self;
    (void)walk;
    return false;
}

bool fxi_trampoline_is_entry(uintptr_t pc)
{
    (void)pc;
    return false;
}

void fxi_trampolines_forget(struct fxi_context *self)
{
    (void)self;
}

void fxi_trampolines_restore(struct fxi_context *self)
{
    (void)self;
}

#endif

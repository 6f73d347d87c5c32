#include "sync/reader_slots.h"

#include "base/atomic.h"
#include "libc/alloc.h"

static struct fxi_reader_slots *first;

static bool take_if_free(struct fxi_reader_slots *slots)
{
    uint32_t taken = 0;
    /* acquire: pairs with the release in fxi_reader_slots_give_back */
    return fxi_load_relaxed(&slots->taken) == 0 && fxi_cas_acquire(&slots->taken, &taken, 1);
}

static struct fxi_reader_slots *make(void)
{
    void *memory = fxi_alloc(sizeof(struct fxi_reader_slots) + FXI_CACHE_LINE - 1);
    if (!memory)
        return NULL;
    struct fxi_reader_slots *slots =
        (void *)(((uintptr_t)memory + FXI_CACHE_LINE - 1) & ~(uintptr_t)(FXI_CACHE_LINE - 1));
    slots->taken = 1;
    slots->next = fxi_load_relaxed(&first);
    /* release: pairs with the acquire in fxi_reader_slots_first */
    while (!fxi_cas_release(&first, &slots->next, slots))
        ;
    return slots;
}

struct fxi_reader_slots *fxi_reader_slots_take(void)
{
    for (struct fxi_reader_slots *slots = fxi_reader_slots_first(); slots; slots = slots->next)
        if (take_if_free(slots))
            return slots;
    return make();
}

void fxi_reader_slots_give_back(struct fxi_reader_slots *slots)
{
    /* release: pairs with the acquire in take_if_free; the slots are seen to be empty. */
    fxi_store_release(&slots->taken, 0);
}

struct fxi_reader_slots *fxi_reader_slots_first(void)
{
    /* acquire: pairs with the release in `make`, for what it points at */
    return fxi_load_acquire(&first);
}

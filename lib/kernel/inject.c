/* State: one armed fault, guarded by nothing but its atomics: a test arms it while the calls it aims
 * at are not being made. `countdown` goes from nth to 0, and the call that takes it to 0 fails; all
 * orders are relaxed, for no other memory hangs on them. */
#include "kernel/inject.h"

#include "base/atomic.h"
#include "base/compiler.h"

static struct {
    unsigned armed_kind;
    int countdown;
    int error;
    unsigned counts[FXI_INJECT_ANY + 1];
} fault;

void fxi_inject_arm(enum fxi_inject_kind kind, unsigned nth, int error)
{
    for (unsigned i = 0; i <= FXI_INJECT_ANY; i++)
        fxi_store_relaxed(&fault.counts[i], 0);
    fxi_store_relaxed(&fault.armed_kind, kind);
    fxi_store_relaxed(&fault.error, error);
    fxi_store_relaxed(&fault.countdown, (int)nth);
}

void fxi_inject_disarm(void)
{
    fxi_store_relaxed(&fault.countdown, 0);
}

unsigned fxi_inject_count(enum fxi_inject_kind kind)
{
    return fxi_load_relaxed(&fault.counts[kind]);
}

int fxi_inject(enum fxi_inject_kind kind)
{
    fxi_add_relaxed(&fault.counts[kind], 1);
    fxi_add_relaxed(&fault.counts[FXI_INJECT_ANY], 1);
    unsigned armed = fxi_load_relaxed(&fault.armed_kind);
    if (armed != FXI_INJECT_ANY && armed != kind)
        return 0;
    int left = fxi_load_relaxed(&fault.countdown);
    do {
        if (left <= 0)
            return 0;
    } while (!fxi_cas_relaxed(&fault.countdown, &left, left - 1));
    return left == 1 ? -fxi_load_relaxed(&fault.error) : 0;
}

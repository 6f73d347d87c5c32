#include "kernel/lowlock.h"

#include "kernel/futex.h"
#include "kernel/signal.h"

FXI_COLD void fxi_lowlock_acquire_slow(fxi_lowlock *lock)
{
    /* acquire: pairs with the release in fxi_lowlock_release */
    while (fxi_exchange_acquire(lock, 2u) != 0)
        fxi_futex_wait(lock, 2, FX_FOREVER);
}

FXI_COLD void fxi_lowlock_wake_one(fxi_lowlock *lock)
{
    fxi_futex_wake(lock, 1);
}

void fxi_lowlock_acquire_with_setxid_open(fxi_lowlock *lock)
{
    if (fxi_likely(fxi_lowlock_try_acquire(lock)))
        return;
    fxi_signals_set(FXI_SIGNALS_BUT_SETXID);
    fxi_lowlock_acquire(lock);
    fxi_signals_set(FXI_SIGNALS_ALL);
}

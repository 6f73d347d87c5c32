#include "kernel/lowlock.h"

#include "kernel/futex.h"

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

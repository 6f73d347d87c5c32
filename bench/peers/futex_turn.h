/* A turn handed over with the kernel's futex and nothing else: what a hand-off costs at least where
 * it has to go through the kernel. */
#ifndef BENCH_PEERS_FUTEX_TURN_H
#define BENCH_PEERS_FUTEX_TURN_H

#include <linux/futex.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Atomic uint32_t futex_turn[2];

static void futex_give(int side)
{
    atomic_store_explicit(&futex_turn[side], 1, memory_order_release);
    syscall(SYS_futex, &futex_turn[side], FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void futex_take(int side)
{
    while (atomic_exchange_explicit(&futex_turn[side], 0, memory_order_acquire) == 0)
        syscall(SYS_futex, &futex_turn[side], FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

#endif

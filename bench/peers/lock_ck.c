#include <ck_spinlock.h>

#include "bench/peers/lock_loops.h"

static ck_spinlock_fas_t fas __attribute__((aligned(64))) = CK_SPINLOCK_FAS_INITIALIZER;
static ck_spinlock_ticket_t ticket __attribute__((aligned(64))) = CK_SPINLOCK_TICKET_INITIALIZER;
static ck_spinlock_mcs_t mcs __attribute__((aligned(64))) = CK_SPINLOCK_MCS_INITIALIZER;
static _Thread_local ck_spinlock_mcs_context_t hold __attribute__((aligned(64)));

static inline void acquire_fas(void *lock)
{
    ck_spinlock_fas_lock(lock);
}

static inline void release_fas(void *lock)
{
    ck_spinlock_fas_unlock(lock);
}

static void pairs_fas(uint64_t n)
{
    bench_lock_loop_pairs(&fas, acquire_fas, release_fas, n);
}

static void contend_fas(struct bench_lock_turns *turns)
{
    bench_lock_loop_contend(&fas, acquire_fas, release_fas, turns);
}

static inline void acquire_ticket(void *lock)
{
    ck_spinlock_ticket_lock(lock);
}

static inline void release_ticket(void *lock)
{
    ck_spinlock_ticket_unlock(lock);
}

static void pairs_ticket(uint64_t n)
{
    bench_lock_loop_pairs(&ticket, acquire_ticket, release_ticket, n);
}

static void contend_ticket(struct bench_lock_turns *turns)
{
    bench_lock_loop_contend(&ticket, acquire_ticket, release_ticket, turns);
}

static inline void acquire_mcs(void *lock)
{
    ck_spinlock_mcs_lock(lock, &hold);
}

static inline void release_mcs(void *lock)
{
    ck_spinlock_mcs_unlock(lock, &hold);
}

static void pairs_mcs(uint64_t n)
{
    bench_lock_loop_pairs(&mcs, acquire_mcs, release_mcs, n);
}

static void contend_mcs(struct bench_lock_turns *turns)
{
    bench_lock_loop_contend(&mcs, acquire_mcs, release_mcs, turns);
}

const struct bench_lock_peer bench_lock_ck_fas = {
    .peer = { "ck_fas", "ck_spinlock_fas" },
    .pairs = pairs_fas,
    .contend = contend_fas,
};
const struct bench_lock_peer bench_lock_ck_ticket = {
    .peer = { "ck_ticket", "ck_spinlock_ticket" },
    .pairs = pairs_ticket,
    .contend = contend_ticket,
};
const struct bench_lock_peer bench_lock_ck_mcs = {
    .peer = { "ck_mcs", "ck_spinlock_mcs" },
    .pairs = pairs_mcs,
    .contend = contend_mcs,
};

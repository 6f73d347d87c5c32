/* What lib/thread and tests ask of read-write locks besides their public calls. */
#ifndef FXI_SYNC_RWLOCK_H
#define FXI_SYNC_RWLOCK_H

#include <fxthread/rwlock.h>

/* The calling thread ends: what it reads stays read, and is no longer in its slots. */
void fxi_rwlock_thread_ends(void);

/* Constant but in test builds, where a test that wants many revocations sets both low. */
struct fxi_rwlock_tuning {
    uint32_t sampled;           /* every so manieth read of a thread is noted in the lock */
    uint32_t reads_before_bias; /* so many since the last write, and the lock is biased */
};
#ifdef FXI_INJECT
extern struct fxi_rwlock_tuning fxi_rwlock_tuning;
#endif

#endif

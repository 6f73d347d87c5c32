/* Atomic operations on plain integers and pointers, by memory order.
 *
 * Public objects hold plain words so that C++ can read their headers, which rules out _Atomic; these
 * are its operations under short names. seq_cst is not offered: an algorithm that needs a full
 * fence says so with fxi_fence_full(). */
#ifndef FXI_BASE_ATOMIC_H
#define FXI_BASE_ATOMIC_H

#define fxi_load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define fxi_load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define fxi_store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define fxi_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define fxi_add_relaxed(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define fxi_sub_acq_rel(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_ACQ_REL)
#define fxi_or_relaxed(p, v) __atomic_fetch_or((p), (v), __ATOMIC_RELAXED)
#define fxi_and_relaxed(p, v) __atomic_fetch_and((p), (v), __ATOMIC_RELAXED)
#define fxi_exchange_acquire(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQUIRE)
#define fxi_exchange_release(p, v) __atomic_exchange_n((p), (v), __ATOMIC_RELEASE)
#define fxi_exchange_acq_rel(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)
#define fxi_cas_relaxed(p, expected, v) \
    __atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)
#define fxi_cas_acquire(p, expected, v) \
    __atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)
#define fxi_cas_release(p, expected, v) \
    __atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_RELEASE, __ATOMIC_RELAXED)
#define fxi_cas_acq_rel(p, expected, v) \
    __atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)
#ifndef FXI_TSAN
#define fxi_fence_full() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#else
/* The sanitizer does not know fences; an exchange is one on every processor that it runs on. */
#define fxi_fence_full()                                        \
    do {                                                        \
        static unsigned fence_;                                 \
        __atomic_exchange_n(&fence_, 1u, __ATOMIC_SEQ_CST);     \
    } while (0)
#endif

#endif

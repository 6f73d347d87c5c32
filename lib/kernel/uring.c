#include "kernel/uring.h"

#include <linux/io_uring.h>

#include "base/atomic.h"
#include "kernel/syscall.h"

bool fxi_uring_works(void)
{
    static int known; /* 0: not yet; every writer writes the same */
    int works = fxi_load_relaxed(&known);
    if (works == 0) {
        struct io_uring_params params = { 0 };
        long ring = fxi_syscall2(SYS_io_uring_setup, 1, &params);
        if (ring >= 0)
            fxi_syscall1(SYS_close, ring);
        works = ring >= 0 ? 1 : -1;
        fxi_store_relaxed(&known, works);
    }
    return works > 0;
}

#include "kernel/membarrier.h"

#include <errno.h>

#include "base/panic.h"
#include "kernel/inject.h"
#include "kernel/syscall.h"

/* <linux/membarrier.h> has the names since 5.10. */
enum { BARRIER = 1 << 7, REGISTER = 1 << 8 };

static bool works;

#ifdef FXI_INJECT
bool fxi_membarrier_is_left_out;
#else
enum { fxi_membarrier_is_left_out = false };
#endif

/* Before the constructors of the floors above. */
__attribute__((constructor(500))) static void register_process(void)
{
#if defined __x86_64__ /* where locks are released by restartable sequences */
    works = fxi_syscall3(SYS_membarrier, REGISTER, 0, 0) == 0;
#endif
}

bool fxi_membarrier_works(void)
{
    return works;
}

bool fxi_membarrier_rseq(void)
{
    long rc = fxi_inject(FXI_INJECT_MEMBARRIER);
    if (rc == 0 && !fxi_membarrier_is_left_out)
        rc = fxi_syscall3(SYS_membarrier, BARRIER, 0, 0);
    switch (rc) {
    case 0:
        return true;
    case -ENOMEM:
        return false;
    case -EPERM: /* not registered: it was */
    case -EINVAL: /* unknown to the kernel: it was not */
    default:
        fxi_panic("membarrier does not work any more: it is refused since the program began");
    }
}

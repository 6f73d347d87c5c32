#include "kernel/memory.h"

#include <errno.h>
#include <linux/mman.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/annotate.h"
#include "base/atomic.h"
#include "base/compiler.h"
#include "kernel/inject.h"
#include "kernel/syscall.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#endif
#ifndef PIDFD_SELF_THREAD_GROUP
#define PIDFD_SELF_THREAD_GROUP (-10001) /* Linux 6.15 */
#endif

size_t fxi_page_size(void)
{
    static size_t size; /* every writer writes the same */
    size_t known = fxi_load_relaxed(&size);
    if (known == 0) {
        known = (size_t)sysconf(_SC_PAGESIZE);
        fxi_store_relaxed(&size, known);
    }
    return known;
}

/* Memory that one thread unmaps and another one then maps is ordered by the kernel, which
 * ThreadSanitizer does not see. */
#ifdef FXI_TSAN
#include <sanitizer/tsan_interface.h>
static char order_of_mappings;
#else
#define __tsan_acquire(order) ((void)0)
#define __tsan_release(order) ((void)0)
#endif

void *fxi_pages_map(size_t size)
{
    long rc = fxi_inject(FXI_INJECT_MMAP);
    if (rc == 0)
        rc = fxi_syscall6(SYS_mmap, 0, (long)size, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (rc < 0 && rc > -4096)
        return NULL;
    /* Kernels before 6.7 ignore MAP_STACK and may back one touched page with a huge one. Refused
     * where the kernel has no huge pages, which serves as well. */
    fxi_syscall3(SYS_madvise, rc, size, MADV_NOHUGEPAGE);
    __tsan_acquire(&order_of_mappings);
    return (void *)rc;
}

void fxi_pages_unmap(void *base, size_t size)
{
    __tsan_release(&order_of_mappings);
    /* -ENOMEM, when a mapping would be split beyond the limit of their number: the memory itself
     * can still be given back. */
    if (fxi_syscall2(SYS_munmap, base, size) == -ENOMEM)
        fxi_pages_discard(base, size);
}

int fxi_pages_guard(void *base, size_t size)
{
    long rc = fxi_inject(FXI_INJECT_MMAP);
    if (rc != 0)
        return (int)rc;
    /* A guard installed in the page tables costs no mapping; other kernels take a mapping for it. So does
     * Valgrind, which takes all of a mapping for the stack of a thread that begins in it. */
    if (!fxi_runs_on_valgrind() && fxi_syscall3(SYS_madvise, base, size, MADV_GUARD_INSTALL) == 0)
        return 0;
    return fxi_syscall3(SYS_mprotect, base, size, PROT_NONE) == 0 ? 0 : -ENOMEM;
}

bool fxi_pages_guard_each(char *first, size_t size, size_t stride, unsigned n)
{
    static bool is_refused;
    struct iovec places[FXI_GUARDS_MOST];
    if (fxi_load_relaxed(&is_refused) || fxi_runs_on_valgrind() || fxi_inject(FXI_INJECT_MMAP) != 0)
        return false;
    for (unsigned i = 0; i < n; i++)
        places[i] = (struct iovec){ first + i * stride, size };
    long rc = fxi_syscall6(SYS_process_madvise, PIDFD_SELF_THREAD_GROUP, (long)places, (long)n,
                           MADV_GUARD_INSTALL, 0, 0);
    if (rc < 0 && rc != -ENOMEM && rc != -EAGAIN && rc != -EINTR)
        fxi_store_relaxed(&is_refused, true);
    return rc == (long)(n * size);
}

void fxi_pages_discard(void *base, size_t size)
{
    fxi_syscall3(SYS_madvise, base, size, MADV_DONTNEED);
}

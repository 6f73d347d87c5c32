#include "kernel/shared_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

#include "base/annotate.h"
#include "kernel/descriptor_fork.h"
#include "kernel/inject.h"
#include "kernel/syscall.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8 /* Linux 6.3 */
#endif

static int open_memory(void)
{
    long rc = fxi_inject(FXI_INJECT_DESCRIPTOR);
    if (rc != 0)
        return (int)rc;
    fxi_sigmask mask = fxi_descriptors_begin();
    rc = fxi_syscall2(SYS_memfd_create, "fxthread",
                      MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (rc == -EINVAL) /* an older kernel */
        rc = fxi_syscall2(SYS_memfd_create, "fxthread", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return fxi_descriptor_made(mask, rc);
}

/* Beyond the limit the kernel would send SIGXFSZ. */
static bool is_beyond_limit(size_t end)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
           end > limit.rlim_cur;
}

int fxi_shared_new(size_t size)
{
    if (is_beyond_limit(size))
        return -EFBIG;
    int descriptor = open_memory();
    if (descriptor < 0)
        return descriptor;
    long rc = fxi_syscall2(SYS_ftruncate, descriptor, size);
    if (rc == 0)
        rc = fxi_syscall3(SYS_fcntl, descriptor, F_ADD_SEALS,
                          F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    if (rc == 0)
        return descriptor;
    fxi_descriptor_close_noted(descriptor);
    return -ENOMEM;
}

/* Without access at first, and unlocked before there is any: in a program that keeps all its memory
 * locked, mapping would touch every page. */
void *fxi_shared_map(int descriptor, size_t size)
{
    long base = fxi_inject(FXI_INJECT_MMAP);
    /* Valgrind is slow to change it. */
    int protection = fxi_runs_on_valgrind() ? PROT_READ | PROT_WRITE : PROT_NONE;
    if (base == 0)
        base = fxi_syscall6(SYS_mmap, 0, (long)size, protection, MAP_SHARED | MAP_NORESERVE,
                            descriptor, 0);
    if (base < 0 && base > -4096)
        return NULL;
    if (fxi_runs_on_valgrind())
        return (void *)base;
    fxi_syscall2(SYS_munlock, base, size);
    fxi_syscall3(SYS_madvise, base, size, MADV_DONTDUMP);
    if (fxi_syscall3(SYS_mprotect, base, size, PROT_READ | PROT_WRITE) == 0)
        return (void *)base;
    fxi_shared_unmap((void *)base, size);
    return NULL;
}

void fxi_shared_unmap(void *base, size_t size)
{
    fxi_syscall2(SYS_munmap, base, size);
}

int fxi_shared_provide(int descriptor, size_t offset, size_t size)
{
    long rc = fxi_inject(FXI_INJECT_MMAP);
    while (rc == 0) {
        rc = fxi_syscall4(SYS_fallocate, descriptor, 0, offset, size);
        if (rc == 0)
            return 0;
        if (rc == -EINTR)
            rc = 0;
    }
    return -ENOMEM;
}

int fxi_shared_write(int descriptor, size_t offset, const void *bytes, size_t size)
{
    const char *from = bytes;
    if (is_beyond_limit(offset + size))
        return -EFBIG;
    long rc = fxi_inject(FXI_INJECT_MMAP);
    while (rc >= 0 && size > 0) {
        rc = fxi_syscall4(SYS_pwrite64, descriptor, from, size, offset);
        if (rc == -EINTR)
            rc = 0;
        if (rc <= 0)
            continue;
        from += rc;
        offset += (size_t)rc;
        size -= (size_t)rc;
    }
    return rc < 0 ? -ENOMEM : 0;
}

bool fxi_shared_discard(int descriptor, size_t offset, size_t size)
{
    long rc;
    do
        rc = fxi_syscall4(SYS_fallocate, descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                          offset, size);
    while (rc == -EINTR);
    return rc == 0;
}

void fxi_shared_forget(void *base, size_t size)
{
    fxi_syscall3(SYS_madvise, base, size, MADV_REMOVE);
}

size_t fxi_addresses_most(void)
{
    struct rlimit limit;
    bool is_limited = getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur < SIZE_MAX;
    return is_limited ? limit.rlim_cur : SIZE_MAX;
}

/* The number behind a name in /proc/meminfo, in KiB; 0: it is not there. */
static size_t number_behind(const char *text, const char *name)
{
    const char *found = strstr(text, name);
    return found ? strtoull(found + strlen(name), NULL, 10) : 0;
}

size_t fxi_memory_available(void)
{
    char text[4096];
    long file = fxi_syscall4(SYS_openat, AT_FDCWD, "/proc/meminfo", O_RDONLY | O_CLOEXEC, 0);
    if (file < 0)
        return SIZE_MAX;
    long size = fxi_syscall3(SYS_read, file, text, sizeof text - 1);
    fxi_syscall1(SYS_close, file);
    text[size > 0 ? size : 0] = 0;
    size_t kib = number_behind(text, "MemAvailable:");
    return kib == 0 ? SIZE_MAX : (kib + number_behind(text, "SwapFree:")) << 10;
}

size_t fxi_memory_of_machine(void)
{
    struct sysinfo info;
    if (sysinfo(&info) != 0)
        return (size_t)1 << 32;
    return ((size_t)info.totalram + (size_t)info.totalswap) * info.mem_unit;
}

#include "kernel/thread_name.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "kernel/clone.h"
#include "kernel/syscall.h"

void fxi_kernel_name_set_own(const char *name)
{
    fxi_syscall2(SYS_prctl, PR_SET_NAME, name);
}

void fxi_kernel_name_set(pid_t native_id, const char *name)
{
    if (native_id == fxi_gettid()) {
        fxi_kernel_name_set_own(name);
        return;
    }
    char path[sizeof "/proc/self/task/-2147483648/comm"];
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", (int)native_id);
    long file = fxi_syscall4(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
    if (file < 0)
        return;
    fxi_syscall3(SYS_write, file, name, strnlen(name, 15));
    fxi_syscall1(SYS_close, file);
}

#include "kernel/processor.h"

#include <sched.h>

#include "kernel/syscall.h"

int fxi_processor_count = 1;

/* Before the constructors of the floors above. A set larger than this one's room, on a machine of
 * more than 8192 processors, is refused by the kernel, and means many. */
__attribute__((constructor(500))) static void count_processors(void)
{
    unsigned long mask[8192 / (8 * sizeof(unsigned long))];
    long bytes = fxi_syscall3(SYS_sched_getaffinity, 0, sizeof mask, mask);
    int count = 0;
    for (long i = 0; i < bytes / (long)sizeof mask[0]; i++)
        count += __builtin_popcountl(mask[i]);
    fxi_processor_count = bytes < 0 ? 2 : count > 0 ? count : 1;
}

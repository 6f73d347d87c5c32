/* Whether a task of this process sleeps in the kernel: what a test awaits before a wake. */
#ifndef TESTS_KERNEL_ASLEEP_H
#define TESTS_KERNEL_ASLEEP_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

static inline bool is_asleep(pid_t tid)
{
    char path[64], line[256] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)tid);
    FILE *stat = tid > 0 ? fopen(path, "re") : NULL;
    if (!stat)
        return false;
    bool got = fgets(line, sizeof line, stat) != NULL;
    fclose(stat);
    /* The state follows the name, which stands in brackets and may hold brackets itself. */
    const char *end = got ? strrchr(line, ')') : NULL;
    return end && end[1] == ' ' && end[2] == 'S';
}

#endif

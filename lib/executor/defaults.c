/* What a pool gets that asks for nothing in particular. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "executor/pool.h"
#include "kernel/uring.h"

/* --- workers ---------------------------------------------------------------------------------- */

#define CPUS_MOST 8192

static size_t processors(void)
{
    union {
        cpu_set_t set;
        unsigned char bytes[CPUS_MOST / 8];
    } allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed.set) != 0)
        return 1;
    return (size_t)CPU_COUNT_S(sizeof allowed, &allowed.set);
}

/* A file of one line, without what ends it. */
static bool read_line(const char *path, char *line, int size)
{
    FILE *file = fopen(path, "re");
    bool found = file && fgets(line, size, file);
    if (file)
        fclose(file);
    if (found)
        line[strcspn(line, "\n")] = 0;
    return found;
}

/* The process's place in the hierarchy of cgroups, version 2; "" where it is not known. */
static void find_cgroup(char *path, size_t size)
{
    char line[512];
    FILE *file = fopen("/proc/self/cgroup", "re");
    path[0] = 0;
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, "0::/", 4) == 0)
            snprintf(path, size, "%.*s", (int)size - 1, line + 3);
    }
    if (file)
        fclose(file);
}

/* How many processors' time the cgroup's quota, or that of one above it, pays for, rounded up. */
static size_t quota(void)
{
    char cgroup[480], path[512], line[64];
    size_t least = SIZE_MAX;
    for (find_cgroup(cgroup, sizeof cgroup); cgroup[0]; *strrchr(cgroup, '/') = 0) {
        long long time, period;
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", cgroup);
        if (read_line(path, line, sizeof line) && sscanf(line, "%lld %lld", &time, &period) == 2 &&
            time > 0 && period > 0) {
            size_t pays_for = (size_t)((time + period - 1) / period);
            least = pays_for < least ? pays_for : least;
        }
    }
    return least;
}

size_t fxi_workers_default(void)
{
    size_t allowed = processors(), paid = quota();
    size_t count = allowed < paid ? allowed : paid;
    return count < 1 ? 1 : count;
}

/* --- the backend ------------------------------------------------------------------------------ */

int fxi_backend_choose(fx_backend wanted, fx_backend *chosen)
{
    const char *text = getenv("FX_BACKEND");
    if (wanted == FX_BACKEND_AUTO && text && strcmp(text, "epoll") == 0)
        wanted = FX_BACKEND_EPOLL;
    if (wanted == FX_BACKEND_AUTO && text && strcmp(text, "uring") == 0)
        wanted = FX_BACKEND_URING;
    bool has_ring = wanted != FX_BACKEND_EPOLL && fxi_uring_works();
    if (wanted == FX_BACKEND_URING && !has_ring)
        return -ENOTSUP;
    *chosen = has_ring ? FX_BACKEND_URING : FX_BACKEND_EPOLL;
    return 0;
}
